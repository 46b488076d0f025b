"""The headers that carry a call's key, which may have to be asked for first, and signatures of requests."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from .._async import is_async_function
from ..errors import APIError, APITimeoutError, CompletionError, ConfigurationError
from ..http import HttpRequest, RequestHeaders
from ..options import AWSCredentials, Secret
from ..redaction import MaskedValue
from ..sigv4 import body_digest, signing_headers
from .plan import override

if TYPE_CHECKING:
    from .call_context import CallContext

_MAX_HASHED_AT_ONCE = 1024 * 1024
"""Bytes; a longer body is hashed in a thread, because that would block the event loop for milliseconds."""


_MIN_CORRECTION = 10.0
"""Seconds; ``Date`` has whole seconds, and responses take time, so that a smaller difference corrects nothing."""


async def auth_headers(call: CallContext, request: HttpRequest) -> Mapping[str, str]:
    """The headers of `request` that carry the key.

    Raises:
        ConfigurationError: the key cannot be sent, or the function that gives it failed.
        APITimeoutError: the function took longer than the total timeout allows.
    """
    plan = call.plan
    if not callable(plan.key):
        # Kept, because none of these headers depends on the request.
        plan.auth_headers = plan.sign(request, plan.checked_key(), plan.key)
        return plan.auth_headers
    given = await _requested_key(call, plan.key)
    key = plan.checked(given)
    call.last_key_sent = key if isinstance(key, AWSCredentials) else Secret(key)
    return plan.sign(request, key, given)


class RequestSigner:
    """Signs one request each time that it is sent, because a signature is valid for a few minutes."""

    __slots__ = ("_call", "_credentials", "_digest", "_headers", "_request")

    def __init__(
        self, call: CallContext, credentials: AWSCredentials, request: HttpRequest, headers: RequestHeaders, digest: str
    ) -> None:
        """`request` has the URL as it is sent, and `headers` are all headers but those of the signature."""
        self._call = call
        self._credentials = credentials
        self._request = request
        self._headers = headers
        self._digest = digest

    def signed_headers(self) -> RequestHeaders:
        """All headers of the request, with a signature of this moment."""
        call, credentials = self._call, self._credentials
        call.signed_offset = call.plan.endpoint.clock_offset
        signing = signing_headers(
            self._request.method,
            self._request.url,
            self._headers,
            self._digest,
            credentials,
            region=call.plan.signing_region(credentials),
            service=call.plan.provider_state.provider.auth.service,
            now=time.time() + call.signed_offset,
        )
        call.signature = Secret(signing["Authorization"].rpartition("=")[2])
        return override(self._headers, signing)


async def request_signer(
    call: CallContext, method: Literal["GET", "POST"], url: str, headers: RequestHeaders, body: bytes | None
) -> RequestSigner | None:
    """The signer of a request with AWS credentials; None where a key is sent, or the caller's own Authorization.

    Args:
        url: the URL as it is sent.
        headers: all other headers.
        body: the body as it is sent.
    """
    credentials = call.last_key_sent if callable(call.plan.key) else call.plan.key
    if not isinstance(credentials, AWSCredentials) or any(name.lower() == "authorization" for name in headers):
        return None
    if body is None or len(body) <= _MAX_HASHED_AT_ONCE:
        digest = body_digest(body)
    else:
        digest = await asyncio.to_thread(body_digest, body)
    return RequestSigner(call, credentials, HttpRequest(url, method=method), headers, digest)


def take_clock_correction(call: CallContext, error: APIError) -> bool:
    """Takes the call's one repetition with the server's time, after an error about the time of a signature.

    All later calls to this endpoint are signed with that time.
    """
    offset = None if call.clock_corrected else call.clock_offset(error)
    if offset is None or abs(offset - call.signed_offset) < _MIN_CORRECTION:
        return False
    call.clock_corrected = True
    call.plan.endpoint.clock_offset = offset
    return True


async def _result_of(function: Callable[[], str | Secret | Awaitable[str | Secret]]) -> object:
    """What the function returns; one that is not async may block, so it runs in a thread."""
    result: Any
    if is_async_function(function):
        result = function()
    else:
        result, error = await asyncio.to_thread(_outcome, function)
        if error is not None:
            raise error
    return await result if inspect.isawaitable(result) else result


def _outcome(function: Callable[[], object]) -> tuple[object, Exception | None]:
    """What the function returned or raised; a StopIteration cannot leave a thread otherwise."""
    try:
        return function(), None
    except Exception as error:  # noqa: BLE001 (user code may fail in any way)
        return None, error


def _without_our_frames(error: Exception) -> Exception:
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    return error.with_traceback(frames)


async def _requested_key(call: CallContext, function: Callable[[], str | Secret | Awaitable[str | Secret]]) -> Any:
    """The key that the caller's function gives, within the call's total timeout."""
    provider = call.plan.target.provider
    timer = asyncio.timeout(call.time_left())
    try:
        async with timer:
            key: Any = await _result_of(function)
            return MaskedValue(key) if isinstance(key, str) else key
    except CompletionError:
        raise
    except Exception as error:  # noqa: BLE001 (user code may fail in any way)
        cause = _without_our_frames(error)
    if timer.expired():
        raise APITimeoutError("the total timeout ran out while the key was asked for", phase="total")
    reason = type(cause).__name__
    hint = "; it must return text" if isinstance(cause, TypeError) else ""
    raise ConfigurationError(
        f"the function that gives the key for {provider} failed with {reason}{hint}", provider=provider
    ) from cause
