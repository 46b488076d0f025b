"""Errors of aiohttp and the system as errors of the package. They are not chained: aiohttp's hold request headers."""

from __future__ import annotations

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


def timed_out(name: str, seconds: float | None, *, sent: bool = True) -> APITimeoutError:
    """The error of the timeout of that name; `sent` is whether the provider may have received something."""
    limit = f" of {seconds:g} s" if seconds is not None else ""
    return APITimeoutError(f"the {name} timeout{limit} ran out", phase=name, maybe_billed=sent and name != "connect")


def translate(error: BaseException, *, connect_timeout: float | None, sent: bool) -> APIError:
    """The error of the package for one of aiohttp or the system; its text names the host at most.

    Args:
        sent: whether the provider may have received something of the request; if not, nothing was billed.
    """
    match error:
        case aiohttp.ServerTimeoutError() | TimeoutError():
            return timed_out("connect", connect_timeout)
        case aiohttp.ClientConnectorCertificateError():
            reason = getattr(error.certificate_error, "verify_message", None) or "certificate refused"
            return APIConnectionError(f"TLS to {error.host} failed: {reason}", phase="connect", retryable=False)
        case aiohttp.ClientSSLError():
            return APIConnectionError(f"TLS to {error.host} failed: {error.os_error.strerror}", phase="connect")
        case aiohttp.ClientProxyConnectionError():
            return APIConnectionError(f"the proxy cannot be reached: {error.os_error.strerror}", phase="connect")
        case aiohttp.ClientConnectorDNSError():
            return APIConnectionError(f"the host {error.host} was not found", phase="connect")
        case aiohttp.ClientConnectorError():
            return APIConnectionError(f"no connection to {error.host}: {error.os_error.strerror}", phase="connect")
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
