"""The conversation of a tool run, which is its checkpoint: calls, their results in call order, and which are open.

A run that is resumed finds the calls that have no result at the end of its messages. Nothing here calls a model or a
tool.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Sequence

import attrs

from ..errors import InvalidRequestError
from ..records import (
    AssistantTurn,
    ChatCompletion,
    ChatCompletionMessage,
    Choice,
    FunctionMessage,
    Message,
    TextPart,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from ..validation import taken_call_ids, unused_call_id
from .call_outcome import LEGACY, ToolOutcome


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

    def restore_open_turn(self) -> TurnResults | None:
        """The calls at the end of the messages, of which some have no result; None if there are none.

        Calls whose id is missing, or that of an earlier call, get another id, in the messages and in their results.
        """
        last = len(self.messages) - 1
        while last >= 0 and _is_result(self.messages[last]):
            last -= 1
        message = self.messages[last] if last >= 0 else None
        if not isinstance(message, AssistantTurn):
            return None
        calls = _calls_of(message, last)
        found, others = _paired(calls, self.messages[last + 1 :])
        if len(found) == len(calls):
            return None
        warnings: list[str] = []
        if message.tool_calls:
            calls = self._with_unique_ids(last, message.tool_calls, warnings)
            if warnings:
                message = attrs.evolve(message, tool_calls=calls)
                self.messages[last] = message
        answered = sorted(found)
        results = [_with_id(found[index], calls[index].id) for index in answered]
        self.messages[last + 1 :] = [*results, *others]
        return TurnResults(self.messages, message, last + 1, calls, answered, warnings)

    def _with_unique_ids(self, at: int, calls: list[ToolCall], warnings: list[str]) -> list[ToolCall]:
        """The calls of the message at an index, with ids that no call before them has."""
        while self._known < at:
            earlier = self.messages[self._known]
            if isinstance(earlier, AssistantTurn):
                self._ids.update(call.id for call in earlier.tool_calls or ())
            self._known += 1
        seen, unique = set[str](), list[ToolCall]()
        taken: set[str] | None = None
        for number, call in enumerate(calls):
            if not call.id or call.id in self._ids or call.id in seen:
                if taken is None:
                    taken = self._ids | taken_call_ids(self.messages[at:])
                why = "is the id of an earlier call" if call.id else "is missing"
                call = attrs.evolve(call, id=unused_call_id(f"call_{at}_{number}", taken))  # noqa: PLW2901
                warnings.append(f"tool_calls[{number}].id {why}; it was replaced by {call.id}")
            seen.add(call.id)
            unique.append(call)
        return unique


def check_open_calls(messages: Sequence[Message]) -> None:
    """Checks that calls without a result are at the end of the messages, where a run executes them.

    Raises:
        InvalidRequestError: other messages follow such calls.
    """
    last = next((at for at in reversed(range(len(messages))) if not _is_result(messages[at])), 0)
    results: list[Message] = []
    for at in reversed(range(len(messages))):
        if _is_result(messages[at]):
            results.insert(0, messages[at])
        elif calls := _calls_of(messages[at], at):
            found, _ = _paired(calls, results)
            missing = [call for index, call in enumerate(calls) if index not in found]
            if missing and at < last:
                ids = ", ".join(call.function.name if call.type == LEGACY else call.id for call in missing)
                text = f"messages[{at}]: other messages follow calls without a result: {ids:.200}; resume the run "
                text += "first, or insert a ToolMessage for each call, such as one that it was not run"
                raise InvalidRequestError(text, param="messages")
            results = []


def _is_result(message: Message) -> bool:
    return isinstance(message, (ToolMessage, FunctionMessage))


def _calls_of(message: Message, at: int) -> Sequence[ToolCall]:
    """The calls of the message at an index; one in the form of `functions` is a call as well."""
    if not isinstance(message, AssistantTurn):
        return ()
    if not message.tool_calls and message.function_call is not None:
        return [ToolCall(f"call_{at}_0", message.function_call, LEGACY)]
    return message.tool_calls or ()


def _paired(calls: Sequence[ToolCall], results: Sequence[Message]) -> tuple[dict[int, Message], list[Message]]:
    """Index of a call → its result, and the results of no call; those of one id are paired in their order."""
    waiting: defaultdict[str, deque[int]] = defaultdict(deque)
    for index, call in enumerate(calls):
        waiting[call.id].append(index)
    legacy = next((call.id for call in calls if call.type == LEGACY), None)
    found, others = dict[int, Message](), list[Message]()
    for result in results:
        call_id = result.tool_call_id if isinstance(result, ToolMessage) else legacy
        if call_id is not None and waiting[call_id]:
            found[waiting[call_id].popleft()] = result
        else:
            others.append(result)
    return found, others


def _with_id(result: Message, call_id: str) -> Message:
    if isinstance(result, ToolMessage) and result.tool_call_id != call_id:
        return attrs.evolve(result, tool_call_id=call_id)
    return result


def _messages_of(outcome: ToolOutcome) -> list[Message]:
    """The message of a result. Images of a legacy call follow in a message of the user: its result can only be text."""
    message = outcome.message
    if isinstance(message, ToolMessage) or isinstance(outcome.content, str):
        return [message]
    others = [part for part in outcome.content if not isinstance(part, TextPart)]
    return [message, UserMessage(others)] if others else [message]


def stored_reply(message: AssistantTurn, model: str) -> ChatCompletion:
    """The message of a transcript from which a run goes on, as a reply."""
    if not isinstance(message, ChatCompletionMessage):
        message = ChatCompletionMessage.from_dict(message.to_dict())
    return ChatCompletion("", [Choice(0, message, "tool_calls")], model)
