"""The calls of one turn: checked, approved, run, and answered in the order in which the model made them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import anyio
import attrs

from ..records import Message, ToolCall
from .outcomes import ToolOutcome
from .run_outcomes import PendingCall
from .run_settings import RunSettings
from .tool_calling import error_outcome, run_call
from .tool_context import ToolContext
from .tool_errors import ArgumentMismatch
from .tool_results import invalid_arguments, unknown_tool
from .tool_set import ToolSet


@attrs.frozen
class CallAnswers:
    """What became of the calls of a turn."""

    outcomes: list[ToolOutcome]
    """In the order of the calls; without those that are pending."""
    pending: list[PendingCall]
    is_paused: bool = False
    """Whether a pending call waits for an approval; otherwise it is one that the caller has to answer."""


async def answer_calls(
    calls: Sequence[ToolCall],
    *,
    tools: ToolSet,
    settings: RunSettings,
    turn: int,
    messages: Sequence[Message],
    ends_at: float | None,
    threads: anyio.CapacityLimiter | None,
    on_started: Callable[[ToolCall], None],
    on_finished: Callable[[ToolOutcome], None],
) -> CallAnswers:
    """Runs the calls of a turn.

    Args:
        calls: in the model's order.
        tools: the tools of the run.
        settings: of the run.
        turn: index of the turn.
        messages: the conversation, the message with the calls included.
        ends_at: when the run's deadline is, on the clock of `time.monotonic`.
        threads: limits the threads of sync tools.
        on_started: called when a tool begins to run.
        on_finished: called when a call has its outcome, in the order in which they end.
    """
    outcomes: dict[int, ToolOutcome] = {}

    async def answer(at: int, call: ToolCall) -> None:
        tool = tools.runnable.get(call.function.name)
        if tool is None:
            error = LookupError("no such tool")
            outcome = error_outcome(call, unknown_tool(list(tools.runnable)), error)
        else:
            try:
                arguments = tool.read_arguments(call.function.arguments)
            except ArgumentMismatch as mismatch:
                outcome = error_outcome(call, invalid_arguments(mismatch), mismatch)
            else:
                on_started(call)
                outcome = await run_call(
                    tool,
                    call,
                    arguments,
                    context=ToolContext(settings.context, call, turn, messages, ends_at=ends_at),
                    timeout=settings.tool_timeout,
                    max_result_chars=settings.max_result_chars,
                    threads=threads,
                )
        outcomes[at] = outcome
        on_finished(outcome)

    async with asyncio.TaskGroup() as group:
        for at, call in enumerate(calls):
            group.create_task(answer(at, call))
    return CallAnswers([outcomes[at] for at in range(len(calls))], [])
