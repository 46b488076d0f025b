"""Errors of aiohttp and the system as errors of the package. They are not chained: aiohttp's hold request headers."""

from __future__ import annotations

import ssl

import aiohttp
from aiohttp.http_exceptions import ContentLengthError, HttpProcessingError, TransferEncodingError

from ..errors import APIConnectionError, APIError, APIResponseError, APITimeoutError, ClientClosedError


class MalformedBodyError(aiohttp.ClientPayloadError):
    """The body of a response is not valid HTTP."""


def errno_of(error: BaseException) -> int | None:
    """The system's number of an error."""
    return error.os_error.errno if isinstance(error, aiohttp.ClientConnectorError) else getattr(error, "errno", None)


def closed_error() -> ClientClosedError:
    """The error of requests of a closed pool."""
    return ClientClosedError("the client was closed; make calls inside `async with AsyncCompletion() as client:`")


def is_malformed(error: BaseException | None) -> bool:
    """Whether a body ended because it is not what its headers announce, and not because the connection was lost."""
    cause = None if error is None else error.__cause__
    return isinstance(error, MalformedBodyError) or (
        isinstance(cause, HttpProcessingError) and not isinstance(cause, (ContentLengthError, TransferEncodingError))
    )


def name_of(error: BaseException | None) -> str:
    """The kind of an error, for texts."""
    return "closed" if error is None else type(error).__name__


def _reason(error: OSError) -> str:
    """The system's text of an error; other event loops than asyncio's raise some without one."""
    return error.strerror or type(error).__name__


def timed_out(name: str, seconds: float | None, *, sent: bool = True) -> APITimeoutError:
    """The error of the timeout of that name; `sent` is whether the provider may have received something."""
    limit = f" of {seconds:g} s" if seconds is not None else ""
    return APITimeoutError(f"the {name} timeout{limit} ran out", phase=name, maybe_billed=sent and name != "connect")


_LOST_TLS = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
"""Errors of TLS that only say that the connection was lost."""


def _tls_error(error: BaseException) -> BaseException | None:
    """The error of TLS that caused `error`, in the handshake or by an alert after it; None if none did."""
    certificate = getattr(error, "certificate_error", None)
    candidates = (certificate, getattr(error, "os_error", None), error.__cause__, error.__context__, error)
    return next((each for each in candidates if isinstance(each, (ssl.SSLError, ssl.CertificateError))), None)


def _tls_failed(error: BaseException, host: str) -> APIConnectionError:
    """The error of a connection whose TLS failed before anything was sent; only a lost connection is worth a retry."""
    name = str(getattr(error, "reason", None) or "certificate refused")  # such as TLSV1_ALERT_PROTOCOL_VERSION
    reason = getattr(error, "verify_message", None) or name.replace("_", " ").lower()
    retryable = isinstance(error, _LOST_TLS)
    return APIConnectionError(f"TLS to {host} failed: {reason}", phase="connect", retryable=retryable)


def translate(error: BaseException, *, connect_timeout: float | None, sent: bool) -> APIError:
    """The error of the package for one of aiohttp or the system; its text names the host at most.

    Args:
        sent: whether the provider may have received something of the request; if not, nothing was billed.
    """
    if (tls := _tls_error(error)) is not None:
        return _tls_failed(tls, getattr(error, "host", "the server"))
    match error:
        case aiohttp.ServerTimeoutError() | TimeoutError():
            return timed_out("connect", connect_timeout)
        case aiohttp.ClientProxyConnectionError():
            return APIConnectionError(f"the proxy cannot be reached: {_reason(error.os_error)}", phase="connect")
        case aiohttp.ClientConnectorDNSError():
            return APIConnectionError(f"the host {error.host} was not found", phase="connect")
        case aiohttp.ClientConnectorError():
            return APIConnectionError(f"no connection to {error.host}: {_reason(error.os_error)}", phase="connect")
        case aiohttp.ClientHttpProxyError():
            return APIConnectionError(
                f"the proxy answered with status {error.status}", phase="connect", retryable=error.status >= 500
            )
        case aiohttp.ClientResponseError() | HttpProcessingError():
            return APIResponseError("the answer is not HTTP this client can read", maybe_billed=sent)
        case aiohttp.InvalidURL() | ValueError():
            return APIConnectionError("the URL or a header cannot be sent", phase="send", retryable=False)
        case _ if not sent:
            return APIConnectionError(f"the connection was lost while it was made ({name_of(error)})", phase="connect")
        case _:
            return APIConnectionError(
                f"the connection was lost before an answer came ({name_of(error)})", phase="headers", maybe_billed=True
            )
