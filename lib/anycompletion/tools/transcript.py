"""Transcripts: what of a conversation is still unanswered, from which a run goes on."""

from __future__ import annotations

from collections.abc import Sequence

from ..records import AssistantMessage, ChatCompletionMessage, FunctionMessage, Message, ToolCall, ToolMessage
from ..records.messages import AssistantTurn
from .outcomes import LEGACY, ToolOutcome


def calls_of(message: AssistantTurn) -> list[ToolCall]:
    """The calls in a message of the assistant; one in the legacy form has the type `LEGACY`."""
    calls = list(message.tool_calls or ())
    if message.function_call is not None and not calls:
        calls.append(ToolCall("", message.function_call, LEGACY))
    return calls


def unanswered_calls(messages: Sequence[Message]) -> tuple[AssistantTurn, list[ToolCall]] | None:
    """The message whose calls the end of a transcript leaves open, and those calls; None if there are none."""
    answered: set[str] = set()
    for message in reversed(messages):
        match message:
            case ToolMessage():
                answered.add(message.tool_call_id)
            case FunctionMessage():
                answered.add("")
            case AssistantMessage() | ChatCompletionMessage():
                open_calls = [call for call in calls_of(message) if call.id not in answered]
                return (message, open_calls) if open_calls else None
            case _:
                return None
    return None


def with_unique_ids(message: AssistantTurn, messages: Sequence[Message]) -> tuple[AssistantTurn, list[str]]:
    """A reply's message in which each call has an id of its own, and what was changed, for ``info.warnings``.

    Args:
        message: the message of a reply.
        messages: the conversation before it.
    """
    del messages
    return message, []


def result_messages(outcomes: Sequence[ToolOutcome]) -> list[Message]:
    """The messages with the results of calls, in their order."""
    return [outcome.message for outcome in outcomes]
