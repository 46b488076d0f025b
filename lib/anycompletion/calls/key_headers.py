"""The headers that carry a call's key, which may have to be asked for first."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from .._async import is_async_function
from ..errors import APITimeoutError, CompletionError, ConfigurationError
from ..http import HttpRequest
from ..options import AWSCredentials, Secret
from ..redaction import MaskedValue

if TYPE_CHECKING:
    from .call_context import CallContext


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
