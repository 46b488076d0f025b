"""The conversation of a tool run, which is its checkpoint: calls, their results in call order, and which are open.

A run that is resumed finds the calls that have no result at the end of its messages. Nothing here calls a model or a
tool.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import attrs

from ..records import (
    AssistantTurn,
    FunctionMessage,
    Message,
    TextPart,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from ..validation import taken_call_ids, unused_call_id
from .outcomes import LEGACY, ToolOutcome


class TurnResults:
    """The calls of the last assistant message and their results, which follow it in the order of the calls.

    A result gets its place as soon as it is there, so that the messages can be saved at any time.
    """

    __slots__ = ("_answered", "_first", "_messages", "calls", "message", "warnings")

    def __init__(
        self,
        messages: list[Message],
        message: AssistantTurn,
        first: int,
        calls: Sequence[ToolCall],
        answered: list[int],
        warnings: list[str],
    ) -> None:
        self._messages = messages
        self.message: AssistantTurn = message
        """The message with the calls."""
        self._first = first
        """Index of the first result."""
        self._answered = answered
        """Indexes of the calls that have a result, ascending."""
        self.calls = calls
        """All calls of the message, in order; each has an id that no other call of the conversation has."""
        self.warnings = warnings
        """The ids that were changed."""

    @property
    def unanswered(self) -> list[int]:
        """Indexes of the calls that have no result."""
        answered = set(self._answered)
        return [index for index in range(len(self.calls)) if index not in answered]

    @property
    def conversation(self) -> tuple[Message, ...]:
        """The messages before the results."""
        return tuple(self._messages[: self._first])

    def add(self, index: int, outcome: ToolOutcome) -> None:
        """Inserts the result of a call that had none."""
        place = bisect_left(self._answered, index)
        self._answered.insert(place, index)
        at = self._first + place
        self._messages[at:at] = _messages_of(outcome)


class Transcript:
    """The messages of a run.

    Args:
        messages: the messages to begin with; the list is changed.
    """

    __slots__ = ("_ids", "_known", "messages")

    def __init__(self, messages: list[Message]) -> None:
        self.messages = messages
        """Every message so far; valid as the messages of another run at any time."""
        self._ids: set[str] = set()
        """Ids of the calls in the first `_known` messages."""
        self._known = 0

    def open_turn(self) -> TurnResults | None:
        """The calls at the end of the messages, of which some have no result; None if there are none.

        Calls whose id is missing, or that of an earlier call, get another id, in the messages and in their results.
        """
        last = len(self.messages) - 1
        while last >= 0 and isinstance(self.messages[last], (ToolMessage, FunctionMessage)):
            last -= 1
        message = self.messages[last] if last >= 0 else None
        if not isinstance(message, AssistantTurn):
            return None
        calls = message.tool_calls or []
        if not calls and message.function_call is not None:
            calls = [ToolCall(f"call_{last}_0", message.function_call, LEGACY)]
        results = self.messages[last + 1 :]
        if not calls or (len(results) >= len(calls) and not _has_open(calls, results)):
            return None
        given = [call.id for call in calls]
        warnings: list[str] = []
        if message.tool_calls:
            calls = self._with_unique_ids(last, message.tool_calls, warnings)
            if warnings:
                message = attrs.evolve(message, tool_calls=calls)
                self.messages[last] = message
        found = _results_by_call(given, calls, results)
        self.messages[last + 1 :] = [found[index] for index in sorted(found)]
        answered = sorted(index for index in found if index < len(calls))
        return TurnResults(self.messages, message, last + 1, calls, answered, warnings)

    def _with_unique_ids(self, at: int, calls: list[ToolCall], warnings: list[str]) -> list[ToolCall]:
        """The calls of the message at an index, with ids that no call before them has."""
        while self._known < at:
            earlier = self.messages[self._known]
            if isinstance(earlier, AssistantTurn):
                self._ids.update(call.id for call in earlier.tool_calls or ())
            self._known += 1
        seen, unique = set[str](), list[ToolCall]()
        for number, call in enumerate(calls):
            if not call.id or call.id in self._ids or call.id in seen:
                taken = seen | self._ids | taken_call_ids(self.messages[at:])
                why = "is the id of an earlier call" if call.id else "is missing"
                call = attrs.evolve(call, id=unused_call_id(f"call_{at}_{number}", taken))  # noqa: PLW2901
                warnings.append(f"tool_calls[{number}].id {why}; it was replaced by {call.id}")
            seen.add(call.id)
            unique.append(call)
        return unique


def _has_open(calls: Sequence[ToolCall], results: Sequence[Message]) -> bool:
    """Whether a call has no result."""
    found = _results_by_call([call.id for call in calls], calls, results)
    return any(index not in found for index in range(len(calls)))


def _results_by_call(given: Sequence[str], calls: Sequence[ToolCall], results: Sequence[Message]) -> dict[int, Message]:
    """Index of a call → its result, with the id of that call. Results of no call follow, in their order.

    Args:
        given: the ids that the calls had, which the results refer to.
        calls: the calls with their present ids.
        results: messages of the roles tool and function.
    """
    found: dict[int, Message] = {}
    others = len(calls)
    for result in results:
        index = next((i for i in range(len(calls)) if i not in found and _answers(result, given[i], calls[i])), None)
        if index is None:
            index, others = others, others + 1
        elif isinstance(result, ToolMessage) and result.tool_call_id != calls[index].id:
            result = attrs.evolve(result, tool_call_id=calls[index].id)  # noqa: PLW2901
        found[index] = result
    return found


def _answers(result: Message, given: str, call: ToolCall) -> bool:
    if call.type == LEGACY:
        return isinstance(result, FunctionMessage)
    return isinstance(result, ToolMessage) and result.tool_call_id == given


def _messages_of(outcome: ToolOutcome) -> list[Message]:
    """The message of a result. Images of a legacy call follow in a message of the user: its result can only be text."""
    message = outcome.message
    if isinstance(message, ToolMessage) or isinstance(outcome.content, str):
        return [message]
    others = [part for part in outcome.content if not isinstance(part, TextPart)]
    return [message, UserMessage(others)] if others else [message]
