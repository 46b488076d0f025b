"""Admission: everything that an attempt waits for before its request is sent.

The waits, in order; each bounds something else, and each is passed once per attempt unless noted:

1. **Start gate** (`client.state.StartGate`, once per call, before its request is read): at most 64 calls begin in one
   iteration of the event loop, so that thousands of calls made at once do not block it.
2. **The client's own limits** (``limits=``, `LocalRateLimiter`): requests and tokens per minute, calls in flight; the
   model's limit before the provider's.
3. **The shared limiter** (``rate_limiter=``): the same across clients or processes.
4. **Cooldown** (`Cooldown`, one per origin, key and model; one per origin and key where the provider's row has
   ``rate_limit_scope="key"``): after a 429, until the provider's hint has passed, then at the pace of its answers. A
   used-up quota starts the cooldowns of all models of the key.
5. **Connection limit** (`ConnectionLimit`, one per provider and client): as many exchanges as there are file
   descriptors, and as a caller's session opens connections. Behind it the cooldown is checked again, because it may
   have begun in the meantime.
6. **Connect gate** (`MAX_CONNECTING`, in the transport's connector): at most 128 connections to one address are being
   opened at a time; reused connections do not pass it. If a cooldown has begun in the meantime, the request goes back
   to 4.

Waits 2 and 3 are for requests that ask for a reply; requests that only poll or cancel skip them, and those that do not
carry the key skip 4. Every wait counts towards the call's total timeout, but for waits 2 and 3 of a batch's items: a
batch queues any number of them, and how long they wait is the client's own doing. Every wait ends with
`ClientClosedError` when the client is closed, and can be cancelled without taking anything.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import TYPE_CHECKING, TypeVar

from ..errors import APITimeoutError, RateLimitError
from ..ratelimit.token_estimate import estimated_tokens

if TYPE_CHECKING:
    from ..ratelimit.client_limits import Permit
    from .call_context import CallContext

T = TypeVar("T")


async def acquire_limits(call: CallContext, size: int) -> Permit:
    """Waits for the client's own limits, then for the shared limiter; the time of a batch's item does not run then.

    Args:
        call: the call, whose plan has limits.
        size: bytes of the request's body, from which its tokens are estimated.

    Raises:
        APITimeoutError: the call's total timeout ran out.
        CompletionError: what the shared limiter raised.
    """
    limits = call.plan.limits
    assert limits is not None, "only calls with limits wait for them"
    tokens = estimated_tokens(call.request, size)
    if call.is_batch_item:
        clock = asyncio.get_running_loop().time
        begun = clock()
        permit = await limits.acquire(tokens)
        call.started += clock() - begun
        return permit
    return await _within_total(
        call,
        limits.acquire(tokens),
        f"the total timeout ran out while the call waited for the limits of {limits.key}",
    )


async def wait_to_send(call: CallContext, *, authenticated: bool) -> None:
    """Waits for the end of a cooldown and for the connection limit; the caller then owns one place of the limit.

    Raises:
        RateLimitError: the cooldown lasts longer than the total timeout allows.
        APITimeoutError: the call's total timeout ran out.
    """
    cooldown, limit = call.plan.cooldown, call.plan.transport.connection_limit
    while True:
        if cooldown.until and authenticated:
            await _wait_for_cooldown(call)
        if not limit.try_acquire():
            await _within_total(call, limit.acquire(), "the total timeout ran out in the queue for a connection")
        if not (cooldown.until and authenticated and cooldown.is_cooling_down()):
            return
        limit.release()


async def _wait_for_cooldown(call: CallContext) -> None:
    cooldown, left = call.plan.cooldown, call.time_left()
    wait = cooldown.expected(asyncio.get_running_loop().time())
    if call.may_wait_for_cooldown and (left is None or wait < left):
        call.log(call.plan.log_level, "cooling_down", f"waits {wait:.2f} s, as all calls to this model do", delay=wait)
        with contextlib.suppress(APITimeoutError):
            return await _within_total(call, cooldown.wait(), "")  # else the error below, which has the reason
    provider = call.plan.target.provider
    reason = "it is longer than this call's timeout, so " if call.may_wait_for_cooldown else ""
    error = call.cooldown_error or RateLimitError(
        f"{provider} asked for a pause, which all calls to this model keep; {reason}nothing was sent", retry_after=wait
    )
    raise call.with_details(error)


async def _within_total(call: CallContext, waiting: Awaitable[T], text: str) -> T:
    """The result of `waiting`, within the call's total timeout."""
    timer = asyncio.timeout(call.time_left())
    try:
        async with timer:
            return await waiting
    except TimeoutError:
        if not timer.expired():
            raise
    raise APITimeoutError(text, phase="total")
