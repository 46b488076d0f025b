"""Tests of transcripts: which calls at the end of a conversation are open, and where their results go."""

import json
import random
from typing import Any

import pytest

from anycompletion import AssistantMessage, FunctionCall, ImagePart, ImageUrl, Message, TextPart, ToolCall, UserMessage
from anycompletion.tools.call_outcome import ToolOutcome
from anycompletion.tools.transcript import Transcript, TurnResults
from anycompletion.validation.message_input import parse_messages


def asked(*ids: str, **fields: Any) -> AssistantMessage:
    """A message of the assistant with calls of these ids."""
    return AssistantMessage(tool_calls=[ToolCall(each, FunctionCall("look")) for each in ids], **fields)


def given(*messages: Message | dict[str, Any]) -> Transcript:
    """A conversation that was stored as JSON and read again."""
    plain = [each if isinstance(each, dict) else each.to_dict() for each in messages]
    return Transcript(parse_messages(json.loads(json.dumps(plain))))


def result(call_id: str, content: str = "") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content or f"result of {call_id}"}


def opened(transcript: Transcript) -> TurnResults:
    turn = transcript.restore_open_turn()
    assert turn is not None
    return turn


def add(turn: TurnResults, index: int, content: str = "") -> None:
    call = turn.calls[index]
    turn.add(index, ToolOutcome(call, content or f"result of {call.id}", None, 0.0))


def ids(transcript: Transcript) -> list[str]:
    """The ids in the results, in order."""
    return [each.tool_call_id for each in transcript.messages if each.role == "tool"]


ASK = {"role": "user", "content": "Look!"}
LEGACY = AssistantMessage(function_call=FunctionCall("look"))
ANSWERED: dict[str, list[Message | dict[str, Any]]] = {
    "a question": [ASK],
    "an answer": [ASK, AssistantMessage("Yes.")],
    "results of all calls": [ASK, asked("a", "b"), result("a"), result("b")],
    "results in another order": [ASK, asked("a", "b"), result("b"), result("a")],
    "a question after calls": [ASK, asked("a", "b"), result("a"), ASK],
    "a legacy result": [ASK, LEGACY, {"role": "function", "name": "look", "content": "x"}],
    "results alone": [result("a")],
}


@pytest.mark.parametrize("end", ANSWERED)
def test_a_conversation_without_open_calls_has_no_open_turn(end: str) -> None:
    """A run would answer calls a second time, or those that a user has left behind."""
    transcript = given(*ANSWERED[end])
    before = [each.to_dict() for each in transcript.messages]
    assert transcript.restore_open_turn() is None
    assert [each.to_dict() for each in transcript.messages] == before


@pytest.mark.parametrize(
    ("there", "missing"),
    [([], [0, 1, 2]), (["b"], [0, 2]), (["c", "a"], [1]), (["a", "b"], [2])],
    ids=["none", "middle", "ends", "first two"],
)
def test_the_results_that_are_missing_are_found(there: list[str], missing: list[int]) -> None:
    """A resumed run would leave a call without a result, which every provider refuses."""
    turn = opened(given(ASK, asked("a", "b", "c"), *map(result, there)))
    assert turn.unanswered == missing
    assert [each.id for each in turn.calls] == ["a", "b", "c"]


def test_results_stand_in_the_order_of_the_calls_whenever_they_come() -> None:
    """The transcript would depend on which tool was faster, and prompt caches would miss."""
    order = list(range(8))
    calls = [f"call_{number}" for number in order]
    for seed in range(50):
        rolls = random.Random(seed)  # noqa: S311 (reproducible, not secret)
        there = rolls.sample(calls, rolls.randrange(8))
        transcript = given(ASK, asked(*calls), *map(result, there))
        turn = opened(transcript)
        missing = turn.unanswered
        rolls.shuffle(missing)
        for index in missing:
            add(turn, index)
            # Whenever a run ends here, the next one finds those that are missing.
            again = given(*transcript.messages).restore_open_turn()
            assert (again is None) == (ids(transcript) == calls)
            assert again is None or again.unanswered == turn.unanswered
        assert ids(transcript) == calls
        assert transcript.restore_open_turn() is None


def test_a_conversation_may_begin_with_open_calls() -> None:
    """The calls of a conversation without a question would never be answered."""
    turn = opened(given(asked("a")))
    assert turn.unanswered == [0]


def test_missing_and_repeated_ids_are_replaced_in_calls_and_results() -> None:
    """The result of one call would be taken for that of another, which would never be answered."""
    transcript = given(ASK, asked("a", "", "a", ""), result("a", "first"), result("", "second"))
    turn = opened(transcript)
    assert [each.id for each in turn.calls] == ["a", "call_1_1", "call_1_2", "call_1_3"]
    assert turn.unanswered == [2, 3]
    assert turn.warnings == [
        "tool_calls[1].id is missing; it was replaced by call_1_1",
        "tool_calls[2].id is the id of an earlier call; it was replaced by call_1_2",
        "tool_calls[3].id is missing; it was replaced by call_1_3",
    ]
    add(turn, 3)
    add(turn, 2)
    assert ids(transcript) == ["a", "call_1_1", "call_1_2", "call_1_3"]
    message = transcript.messages[1]
    assert isinstance(message, AssistantMessage)
    assert [each.id for each in message.tool_calls or ()] == ids(transcript)


def test_a_repeated_id_of_another_turn_is_replaced() -> None:
    """An approval that was stored for the first call would be taken for one of the second."""
    transcript = given(ASK, asked("a"), result("a"), asked("a", "call_3_0"))
    turn = opened(transcript)
    assert [each.id for each in turn.calls] == ["call_3_0_", "call_3_0"]
    transcript = Transcript(parse_messages([ASK]))
    for number in range(3):
        transcript.messages.append(asked("a"))
        turn = opened(transcript)
        assert turn.calls[0].id == ("a" if number == 0 else f"call_{2 * number + 1}_0")
        add(turn, 0)


def test_the_message_of_a_reply_is_kept_where_its_ids_are_unique() -> None:
    """Signed reasoning would be refused in the next turn, because it is no longer what the provider sent."""
    transcript = given(ASK)
    message = asked("a", "b", reasoning_content="hm", thinking_blocks=[{"type": "thinking", "signature": "s"}])
    transcript.messages.append(message)
    assert opened(transcript).warnings == []
    assert transcript.messages[-1] is message


def test_the_rest_of_a_message_is_kept_where_an_id_is_replaced() -> None:
    """Reasoning, and members that this package does not know, would be lost."""
    transcript = given(ASK)
    message = asked("", content="So:", thinking_blocks=[{"type": "thinking", "signature": "s"}], extra={"x": 1})
    transcript.messages.append(message)
    opened(transcript)
    sent, kept = message.to_dict(), transcript.messages[-1].to_dict()
    assert sent.pop("tool_calls")[0]["id"] == ""
    assert kept.pop("tool_calls")[0]["id"] == "call_1_0"
    assert kept == sent


def test_a_legacy_call_is_answered_in_its_own_form() -> None:
    """A server of the legacy form would refuse a result of the role tool."""
    transcript = given(ASK, LEGACY)
    turn = opened(transcript)
    assert turn.calls[0].id == "call_1_0"
    add(turn, 0, "seen")
    assert transcript.messages[-1].to_dict() == {"role": "function", "name": "look", "content": "seen"}
    assert transcript.messages[1].to_dict() == LEGACY.to_dict()


def test_images_of_a_legacy_call_follow_its_result() -> None:
    """The image would be lost, because a result in the legacy form is a text."""
    transcript = given(ASK, LEGACY)
    turn = opened(transcript)
    image = ImagePart(ImageUrl("https://example.com/a.png"))
    turn.add(0, ToolOutcome(turn.calls[0], [TextPart("seen"), image], None, 0.0))
    assert transcript.messages[-2].to_dict() == {"role": "function", "name": "look", "content": "seen"}
    assert transcript.messages[-1] == UserMessage([image])
    assert transcript.restore_open_turn() is None


def test_results_of_no_call_stay() -> None:
    """A message of the caller would disappear, and with it the provider's word on what is wrong."""
    transcript = given(ASK, asked("a", "b"), result("x"), result("b"))
    turn = opened(transcript)
    assert turn.unanswered == [0]
    add(turn, 0)
    assert ids(transcript) == ["a", "b", "x"]
