"""What goes wrong on the road, as errors of ours: aiohttp's hold the request's headers, so they are not chained."""

from __future__ import annotations

import aiohttp
from aiohttp.http_exceptions import ContentLengthError, HttpProcessingError, TransferEncodingError

from ..errors import APIConnectionError, APIError, APIResponseError, APITimeoutError, ClientClosedError
from .timeouts import TimeoutWatch


class MalformedBodyError(aiohttp.ClientPayloadError):
    """The body stopped being HTTP."""


def is_keep_alive_race(fault: BaseException, watch: TimeoutWatch) -> bool:
    """Whether a kept connection died under the request without a byte of an answer."""
    if watch.kept is None or watch.kept.received_any:
        return False
    return isinstance(fault, (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)) and not isinstance(
        fault, aiohttp.ClientConnectorError
    )


def errno_of(fault: BaseException) -> int | None:
    """What the system called the fault."""
    return fault.os_error.errno if isinstance(fault, aiohttp.ClientConnectorError) else getattr(fault, "errno", None)


def closed_error() -> ClientClosedError:
    """The pool was closed."""
    return ClientClosedError("the client was closed; make calls inside `async with AsyncCompletion() as client:`")


def is_malformed(fault: BaseException | None) -> bool:
    """Whether a body ended because it is not what its headers say, and not because the connection did."""
    cause = None if fault is None else fault.__cause__
    return isinstance(fault, MalformedBodyError) or (
        isinstance(cause, HttpProcessingError) and not isinstance(cause, (ContentLengthError, TransferEncodingError))
    )


def name_of(fault: BaseException | None) -> str:
    """What kind of fault it was, for texts."""
    return "closed" if fault is None else type(fault).__name__


def timed_out(clock: str, watch: TimeoutWatch, *, sent: bool = True) -> APITimeoutError:
    """A clock ran out."""
    limit = {"connect": watch.connect, "first_chunk": watch.first_chunk, "idle": watch.idle}.get(clock)
    said = f" of {limit:g} s" if limit is not None else ""
    return APITimeoutError(f"the {clock} timeout{said} ran out", phase=clock, maybe_billed=sent and clock != "connect")


def translate(fault: BaseException, watch: TimeoutWatch, *, sent: bool) -> APIError:
    """Our error for one of aiohttp's or the system's; its text names the host at most.

    What fails before something was `sent` fails on the way to the provider, at a proxy.
    """
    match fault:
        case aiohttp.ServerTimeoutError() | TimeoutError():
            return timed_out("connect", watch)
        case aiohttp.ClientConnectorCertificateError():
            reason = getattr(fault.certificate_error, "verify_message", None) or "certificate refused"
            return APIConnectionError(f"TLS to {fault.host} failed: {reason}", phase="connect", retryable=False)
        case aiohttp.ClientSSLError():
            return APIConnectionError(f"TLS to {fault.host} failed: {fault.os_error.strerror}", phase="connect")
        case aiohttp.ClientProxyConnectionError():
            return APIConnectionError(f"the proxy cannot be reached: {fault.os_error.strerror}", phase="connect")
        case aiohttp.ClientConnectorDNSError():
            return APIConnectionError(f"the host {fault.host} was not found", phase="connect")
        case aiohttp.ClientConnectorError():
            return APIConnectionError(f"no connection to {fault.host}: {fault.os_error.strerror}", phase="connect")
        case aiohttp.ClientHttpProxyError():
            return APIConnectionError(
                f"the proxy answered with status {fault.status}", phase="connect", retryable=fault.status >= 500
            )
        case aiohttp.ClientResponseError() | HttpProcessingError():
            return APIResponseError("the answer is not HTTP this client can read", maybe_billed=sent)
        case aiohttp.InvalidURL() | ValueError():
            return APIConnectionError("the URL or a header cannot be sent", phase="send", retryable=False)
        case _ if not sent:
            return APIConnectionError(f"the connection was lost while it was made ({name_of(fault)})", phase="connect")
        case _:
            return APIConnectionError(
                f"the connection was lost before an answer came ({name_of(fault)})", phase="headers", maybe_billed=True
            )
