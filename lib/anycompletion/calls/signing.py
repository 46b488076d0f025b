"""The headers that carry a call's key, which may have to be asked for first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, cast

from ..auth import check_key
from ..errors import APITimeoutError, CompletionError, ConfigurationError
from ..options import Secret
from ..redaction import MaskedValue

if TYPE_CHECKING:
    from ..http import HttpRequest
    from .call_context import CallContext


async def auth_headers(call: CallContext, request: HttpRequest) -> Mapping[str, str]:
    """The headers of `request` that carry the key.

    Raises:
        ConfigurationError: the key cannot be sent, or the function that gives it failed.
        APITimeoutError: the function took longer than the total timeout allows.
    """
    plan = call.plan
    if not callable(plan.key):
        plan.auth_headers = plan.sign(request, plan.checked_key())  # no scheme reads the request yet
        return plan.auth_headers
    key = check_key(await _requested_key(call, plan.key), plan.target.provider, plan.key_source_note)
    if call.last_key_sent is None or call.last_key_sent.reveal() != key:
        call.last_key_sent = Secret(key)
    return plan.sign(request, key)


async def _requested_key(call: CallContext, function: Callable[[], Awaitable[str]]) -> object:
    """The key that the caller's function gives, within the call's total timeout."""
    provider = call.plan.target.provider
    timer = asyncio.timeout(call.time_left())
    try:
        async with timer:
            key = cast("object", await function())
            return MaskedValue(key) if isinstance(key, str) else key
    except CompletionError:
        raise
    except Exception as error:  # noqa: BLE001 (user code may fail in any way)
        cause = error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)  # without our frame
    if timer.expired():
        raise APITimeoutError("the total timeout ran out while the key was asked for", phase="total")
    reason = type(cause).__name__
    hint = "; it must be async and return text" if isinstance(cause, TypeError) else ""
    raise ConfigurationError(
        f"the function that gives the key for {provider} failed with {reason}{hint}", provider=provider
    ) from cause
