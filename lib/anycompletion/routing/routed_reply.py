"""Whole replies of calls over a route."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import cast

from ..calls import Call
from ..errors import CompletionError
from ..records import ChatCompletion
from ..records.reply_info import Tried
from .hedging import first_answer
from .planned import PlannedRoute, PlannedTarget
from .routed_call import RoutedCall
from .visit import Visit


async def routed_reply(call: RoutedCall) -> ChatCompletion:
    """The reply of the first target that answers.

    Raises:
        CompletionError: an error that no other target may answer, or `AllTargetsFailedError`.
    """
    return await _reply(call, call.first_visit() or await call.next_visit())


async def reply_after(
    call: RoutedCall, planned: PlannedTarget, calls: list[Call], failed: CompletionError
) -> ChatCompletion:
    """The reply of a call whose first visit has failed."""
    final = call.fail_first(planned, calls, failed)
    del failed  # its traceback has this frame
    if final is not None:
        raise final
    return await _reply(call, await call.next_visit())


async def _reply(call: RoutedCall, visit: Visit) -> ChatCompletion:
    while True:
        visit, outcome = await _outcome(call, visit)
        if isinstance(outcome, ChatCompletion):
            _record(call, visit, outcome)
            return outcome
        final = call.fail(visit, outcome)
        del outcome  # its traceback has this frame
        if final is not None:
            raise final
        visit = await call.next_visit()


async def _outcome(call: RoutedCall, visit: Visit) -> tuple[Visit, ChatCompletion | CompletionError]:
    """The reply to a visit, or to the one that was begun because the first is slow; or the error of the last."""
    delay = call.hedge_delay(visit)
    if delay is not None:
        return await first_answer(call, visit, _answer_of, delay)
    try:
        return visit, await _answer_of(visit)
    except CompletionError as error:
        return visit, error
    except BaseException:  # cancelled, or an error of user code, which is not the target's
        visit.end()
        raise


async def _answer_of(visit: Visit) -> ChatCompletion:
    return await cast("Awaitable[ChatCompletion]", visit.answer)


def record_first_reply(known: PlannedRoute, planned: PlannedTarget, reply: ChatCompletion) -> None:
    """Records the reply of a call whose first visit was answered, in the health of the target and the reply's info."""
    info, target, health = reply.info, planned.target.name, planned.health
    info.route, info.target = known.route.name, target
    info.tried = (Tried(target, info.provider, info.model, None, info.elapsed, info.attempts),)
    if health.is_troubled:
        health.on_success(asyncio.get_running_loop().time(), is_probe=False)
    usage = reply.usage
    if usage is not None and usage.completion_tokens:
        health.add_per_token(info.elapsed / usage.completion_tokens)


def _record(call: RoutedCall, visit: Visit, reply: ChatCompletion) -> None:
    call.succeed(visit, reply.info, is_whole=True)
    visit.end()
    usage = reply.usage
    if usage is not None and usage.completion_tokens:
        elapsed = asyncio.get_running_loop().time() - visit.began
        visit.planned.health.add_per_token(elapsed / usage.completion_tokens)
