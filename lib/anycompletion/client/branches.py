"""The branches of a logical call with several choices: its calls, and one log record for all of them."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, cast

import attrs

from ..calls import Call, CallPlan
from ..logs import log
from ..records import ChatCompletion, ChatRequest, ReplyInfo

if TYPE_CHECKING:
    from ..streaming.stream import CompletionStream


def branches_of(plan: CallPlan, request: ChatRequest, warnings: list[str], started: float) -> list[Call]:
    """The calls of a request with `n`: one, or `n` where the provider has no `n` of its own."""
    count, support, target = cast("int", request.n), plan.param_support.get("n"), plan.target
    if support is None or support.support != "fanned_out":
        count = 1
    elif count != 1 or not support.takes_no_op:
        request = attrs.evolve(request, n=None)
    infos = [ReplyInfo(target.provider, target.model, warnings=[*warnings]) for _ in range(count)]
    return [Call(plan, request, info, started) for info in infos]


async def logged(calls: list[Call], reply: Awaitable[ChatCompletion]) -> ChatCompletion:
    """The reply of several calls that make one logical call, whose end is logged once."""
    for call in calls:
        call.is_part = True
    completion = await reply
    calls[0].log_finished(completion.usage, completion.info)
    return completion


def log_end(calls: list[Call], stream: CompletionStream) -> None:
    """The same for a stream; failures are logged where they happen."""
    for call in calls:
        call.is_part = True
    if log.isEnabledFor(calls[0].plan.log_level):
        stream.on_end(lambda reply, error: calls[0].log_finished(reply.usage, reply.info) if error is None else None)
