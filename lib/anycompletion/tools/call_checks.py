"""Checks of a call before any call runs: is the tool known, is the call complete, do the arguments fit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import attrs

from ..errors import InvalidRequestError
from ..records import ChatCompletion, ToolCall
from .approvals import Approval, PendingCall
from .argument_reading import ParsedArguments, read_plain
from .call_outcome import LEGACY, ToolOutcome
from .runnable_tool import RunnableTool
from .running_call import arguments_or_outcome, error_outcome, unknown_tool_outcome
from .tool_errors import ArgumentMismatch, CallDenied, CallError, ToolError
from .tool_results import denied, json_text, sendable_text
from .tool_set import ToolSet


@attrs.frozen(eq=False)
class CheckedCall:
    """A call that can run."""

    call: ToolCall
    tool: RunnableTool[..., Any]
    arguments: ParsedArguments

    def pending(self, turn: int) -> PendingCall:
        """The call while it waits for an approval, with a copy of its arguments."""
        return PendingCall(self.call.id, self.tool.name, self.arguments.plain, self.tool, turn)


def check_call(call: ToolCall, tools: ToolSet, *, cut: bool = False) -> CheckedCall | ToolOutcome | None:
    """A call that can run, or the outcome of one that cannot; None for one that the caller has to answer.

    Args:
        call: the call.
        tools: the tools of the run.
        cut: whether the reply ended early, inside this call, as far as can be known.
    """
    if cut:
        return cut_outcome(call)  # also one that the caller would answer, who does not see that it is incomplete
    name = call.function.name
    tool = tools.runnable.get(name)
    if (
        call.custom is not None
        or name in tools.left_to_caller
        or (tool is None and call.type not in ("function", LEGACY))
    ):
        return None
    if tool is None:
        return unknown_tool_outcome(call, tools.names)
    return with_arguments(call, tool)


def with_arguments(call: ToolCall, tool: RunnableTool[..., Any]) -> CheckedCall | ToolOutcome:
    """The call with its arguments read, or an outcome with the reason why they do not fit."""
    arguments = arguments_or_outcome(call, tool.read_arguments)
    return arguments if isinstance(arguments, ToolOutcome) else CheckedCall(call, tool, arguments)


def cut_call_ids(calls: Sequence[ToolCall]) -> set[str]:
    """Ids of those calls of a reply that ended early that may be incomplete.

    They are those whose arguments are no JSON object, and the last one: in formats whose arguments are objects, a part
    of them is an object as well.
    """
    return {call.id for call in calls[-1:]} | {call.id for call in calls if _is_incomplete(call)}


def _is_incomplete(call: ToolCall) -> bool:
    """Whether the arguments of a call are no whole JSON object, which no beginning of one is."""
    if call.custom is not None:
        return False
    try:
        return not isinstance(json.loads(call.function.arguments), dict)
    except (ValueError, RecursionError):
        return True


def _plain_arguments(call: ToolCall) -> dict[str, Any] | None:
    """The arguments of a call as plain data, read as those of calls that run; None where they are no JSON object."""
    try:
        return read_plain(call.function.arguments)
    except ArgumentMismatch:
        return None


def cut_outcome(call: ToolCall) -> ToolOutcome:
    """The outcome of a call that is incomplete, because the reply ended inside it."""
    return error_outcome(call, {"error": _CUT_OFF}, CallError("the reply ended early, inside the call"))


def denied_outcome(call: ToolCall, reason: str | None = None) -> ToolOutcome:
    """The outcome of a call that was not approved."""
    reason = None if reason is None else sendable_text(reason)
    return error_outcome(call, denied(reason), CallDenied("denied"))


def pending_call(call: ToolCall, tools: ToolSet, turn: int) -> PendingCall:
    """A call that is not answered, with its arguments as far as they can be read."""
    if call.custom is not None:
        return PendingCall(call.id, call.custom.name, {"input": call.custom.input}, None, turn)
    name = call.function.name
    return PendingCall(call.id, name, _plain_arguments(call) or {}, tools.runnable.get(name), turn)


_CUT_OFF = "the reply ended inside this call, at the token limit or by a filter; its arguments are incomplete"


def with_approved_arguments(checked: CheckedCall, approval: Approval) -> CheckedCall:
    """The call with other arguments than the model's.

    Raises:
        InvalidRequestError: they are no JSON object, or do not fit the tool, which the model cannot repair.
    """
    call = checked.call
    try:
        text = json_text(dict(approval.arguments))
    except (TypeError, ValueError, RecursionError):
        raise InvalidRequestError("approve: the arguments of an Approval are no JSON object", param="approve") from None
    approved = with_arguments(attrs.evolve(call, function=attrs.evolve(call.function, arguments=text)), checked.tool)
    if isinstance(approved, CheckedCall):
        return approved
    name = checked.tool.name
    text = f"approve: the arguments of an Approval do not fit the tool {name!r}: {approved.error}"
    raise InvalidRequestError(text, param="approve")


def was_raised_by_tool(error: BaseException | None) -> bool:
    """Whether an outcome's error is an exception that the tool raised, other than one for the model."""
    return error is not None and not isinstance(error, (ToolError, CallError, ArgumentMismatch))


_EARLY_ENDS = ("length", "content_filter")
"""Finish reasons of replies that may end inside a call."""


def is_cut(reply: ChatCompletion | None) -> bool:
    """Whether a reply ended early, at the token limit or by a filter, so that a call in it may be incomplete."""
    return reply is not None and bool(reply.choices) and reply.choices[0].finish_reason in _EARLY_ENDS
