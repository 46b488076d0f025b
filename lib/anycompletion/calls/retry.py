"""What a call does after a failed attempt: it waits and tries again, or raises. `retry_policy` has the rules."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from ..errors import APIError, AuthenticationError, QuotaExceededError, RateLimitError
from ..retry_policy import MAX_HINT, has_wait_hint, is_load_refusal, never_connected, next_delay, work_may_have_begun

if TYPE_CHECKING:
    from ..options import Secret
    from .call_context import CallContext


async def retry_or_raise(call: CallContext, error: APIError, tried: int, *, creating: bool = False) -> None:
    """Returns when the next attempt is due, or raises `error` with the call's details.

    Args:
        tried: attempts so far.
        creating: True for a request for a reply, False for a poll or a prerequisite. If True, the permit of the
            client's limits is given back while the call waits for its next attempt.
    """
    plan = call.plan
    call.retry_paid = False  # the token of an attempt that failed is spent
    if creating:
        call.settle_permit(refused=not error.maybe_billed)
    was_sent = error.elapsed is None  # admission raises errors that have the call's details already
    if was_sent and call.on_load_refusal is not None and is_load_refusal(error):
        call.on_load_refusal()
    if not _may_repeat(call, error, creating=creating):
        _give_up(call, error)
    max_repeats = call.max_repeats if creating else None
    repeats = plan.max_retries if max_repeats is None else max_repeats
    if tried <= repeats and (_take_clock_correction(call, error) or _take_key_refresh(call, error)):
        plan.provider_state.retries += 1
        return
    if max_repeats is not None:
        _give_up(call, error)
    delay = next_delay(
        error, tried=tried, max_retries=plan.max_retries, time_left=call.time_left(), random=random.random
    )
    if delay is None or not _take_retry(call, error):
        _give_up(call, error)
    plan.provider_state.retries += 1
    if error.maybe_billed:
        call.info.warnings.append(
            f"attempt {tried} got no answer ({error.phase}); it may have been billed all the same"
        )
    kind = type(error).__name__
    call.log(plan.log_level, "retrying", f"{kind}, again in {delay:.2f} s", error=kind, delay=delay)
    if error is call.cooldown_error and plan.cooldown.until:
        return  # admission waits for the cooldown instead; the delay was only compared with the time left
    await plan.transport.pause(delay)


def start_cooldown(call: CallContext, error: APIError) -> None:
    """Starts the cooldown that a 429 with a wait hint asks for; none over `MAX_HINT`, which ends the call.

    It is that of the call's model; of all models of the key if its quota is used up.
    """
    hint, plan = error.retry_after, call.plan
    if hint is None or hint > MAX_HINT or not isinstance(error, RateLimitError):
        return
    if isinstance(error, QuotaExceededError):
        plan.endpoint.start_for_all(hint, random.random)
    elif error.retryable:
        call.cooldown_error = error
        plan.cooldown.start(hint, asyncio.get_running_loop().time(), random.random)


def _give_up(call: CallContext, error: APIError) -> NoReturn:
    call.log_failure(error)
    raise call.with_details(error)


def _may_repeat(call: CallContext, error: APIError, *, creating: bool) -> bool:
    """Whether the request may be sent again: not if the provider could then create, and bill, a second reply."""
    return not creating or call.plan.provider_state.provider.retry_safe or not work_may_have_begun(error)


def _take_key_refresh(call: CallContext, error: APIError) -> bool:
    """Takes the call's one key refresh after the key was refused; False if it was taken or no function gives keys."""
    if call.key_refreshed or not callable(call.plan.key):
        return False
    if not isinstance(error, AuthenticationError) and not _is_expired_session(call, error):
        return False
    call.key_refreshed = True
    on_refused: Callable[[Secret], object] | None = getattr(call.plan.key, "on_refused", None)
    if on_refused is not None and call.last_key_sent is not None:
        on_refused(call.last_key_sent)
    return True


def _take_clock_correction(call: CallContext, error: APIError) -> bool:
    """Takes the call's repetition with the server's time; False for a request without a signature."""
    if call.signature is None:
        return False
    from .signing import take_clock_correction  # noqa: PLC0415 (loaded when the request was signed)

    return take_clock_correction(call, error)


def _is_expired_session(call: CallContext, error: APIError) -> bool:
    """Whether the credentials of the request's signature have expired; False for a request without one."""
    if call.signature is None:
        return False
    from ..sigv4 import is_expired_session  # noqa: PLC0415 (loaded when the request was signed)

    return is_expired_session(error.code, error.message)


def _take_retry(call: CallContext, error: APIError) -> bool:
    """Takes one retry; False if the budget is spent. A retry that cannot make an outage worse is free."""
    if has_wait_hint(error):
        return True
    if never_connected(error) and not call.free_reconnect_used:
        call.free_reconnect_used = True
        return True
    call.retry_paid = call.plan.endpoint.retry_budget.spend()
    if call.retry_paid:
        return True
    error.add_note("not tried again: too many calls to this provider fail, and retries would make it worse")
    return False
