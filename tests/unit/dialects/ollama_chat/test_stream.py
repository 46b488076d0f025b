"""Ollama's stream: lines → chunks."""

import json
from typing import Any

import pytest

from anycompletion import APIResponseError, ContextWindowExceededError, InternalServerError, StreamInterruptedError
from anycompletion.dialects.ollama_chat.dialect import DIALECT
from anycompletion.http import Headers, HttpResponse
from anycompletion.records import ChatCompletion, ChatRequest, FunctionDefinition, UserMessage
from support.ollama_stream import CREATED, HEAD, TARGET, called, end, piece, reply, run

LEGACY = ChatRequest("qwen3:8b", [UserMessage("Hi")], functions=[FunctionDefinition("look")])


def test_pieces_of_text_and_thinking_become_chunks_at_once() -> None:
    """A reader would wait, or thinking would be part of the text."""
    chunks = run(piece(thinking="Hm"), piece(content="He", thinking="."), piece(content="llo"), end())
    deltas = [(chunk.choices[0].delta.reasoning_content, chunk.choices[0].delta.content) for chunk in chunks[:3]]
    assert deltas == [("Hm", None), (".", "He"), (None, "llo")]
    assert [chunk.choices[0].delta.role for chunk in chunks[:4]] == ["assistant", None, None, None]
    assert {(chunk.created, chunk.model) for chunk in chunks} == {(CREATED, "qwen3:8b")}
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[0].id
    assert [chunk.raw["message"] for chunk in chunks[:2]] == [piece(thinking="Hm")["message"], chunks[1].raw["message"]]


def test_the_end_has_the_reason_and_the_counts() -> None:
    """The reason, tokens or durations would be lost."""
    last, counts = run(piece(content="Hi"), end("length"))[1:]
    assert (last.choices[0].finish_reason, last.choices[0].native_finish_reason) == ("length", None)
    assert counts.choices == []
    assert counts.usage is not None
    assert counts.usage.to_dict() == {
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "total_tokens": 5,
        "total_duration": 9,
        "load_duration": 1,
    }


def test_a_reply_in_one_line_is_complete() -> None:
    """A short reply, which Ollama sends as its end, would be empty."""
    found = reply({**end(), "message": {"role": "assistant", "content": "Hi", "thinking": "Hm"}})
    assert (found.text, found.message.reasoning_content, found.choices[0].finish_reason) == ("Hi", "Hm", "stop")


def test_tool_calls_of_several_lines_have_numbers_of_their_own() -> None:
    """Calls that a server all numbers 0 would be merged."""
    first, second = called("look", {"q": "é"}, "call_1"), called("look", {"q": "b", "n": 1}, "call_2")
    found = reply(piece(tool_calls=[first]), piece(tool_calls=[second]), end())
    calls = [(call.id, call.function.name, call.function.arguments) for call in found.message.tool_calls or ()]
    assert calls == [("call_1", "look", '{"q":"é"}'), ("call_2", "look", '{"q":"b","n":1}')]
    assert (found.choices[0].finish_reason, found.choices[0].native_finish_reason) == ("tool_calls", "stop")


def test_calls_without_ids_get_some() -> None:
    """A result could not be sent for a call of an older server."""
    lines = [piece(tool_calls=[called("look", {})]), piece(tool_calls=[called("look", {})]), end()]
    ids = [call.id for call in reply(*lines).message.tool_calls or ()]
    assert len(set(ids)) == 2
    assert all(each.startswith("call_") for each in ids)
    assert ids == [call.id for call in reply(*lines).message.tool_calls or ()]


def test_a_legacy_reply_has_the_first_call() -> None:
    """A program with functions would get tool calls, or not know of further ones."""
    found = reply(piece(tool_calls=[called("look", {"q": 1}), called("find", {})]), end(), request=LEGACY)
    message = found.message
    assert message.function_call is not None
    assert (message.function_call.name, message.function_call.arguments) == ("look", '{"q":1}')
    assert message.tool_calls is None
    assert found.choices[0].finish_reason == "function_call"
    assert message.provider_specific_fields is not None
    assert [call["function"]["name"] for call in message.provider_specific_fields["ollama"]["tool_calls"]] == [
        "look",
        "find",
    ]


def test_a_call_that_is_cut_by_the_limit_is_no_complete_one() -> None:
    """A program would run a tool for a reply that the limit of tokens cut."""
    assert reply(piece(tool_calls=[called("look", {})]), end("length")).choices[0].finish_reason == "length"


@pytest.mark.parametrize("lines", [[], [piece(content="Hi")], [piece(content="Hi"), piece()]])
def test_a_stream_without_its_end_is_interrupted(lines: list[Any]) -> None:
    """A cut reply would look complete."""
    with pytest.raises(StreamInterruptedError):
        run(*lines)


def test_an_empty_reason_is_no_end() -> None:
    """A cut stream of a server that sends an empty reason with each line would look complete."""
    with pytest.raises(StreamInterruptedError):
        run({**piece(content="a"), "done_reason": ""}, {**piece(content="b"), "done_reason": ""})


def test_a_reason_is_an_end_even_if_done_is_missing() -> None:
    """A complete reply of some servers would be an error."""
    line = {**end("length"), "done": False}
    found = reply(piece(content="Hi"), line)
    assert (found.text, found.choices[0].finish_reason) == ("Hi", "length")
    assert found.usage is not None
    assert found.usage.prompt_tokens == 3
    again = reply(piece(content="Hi"), {**line, "eval_count": 7}, end(None))
    assert again.choices[0].finish_reason == "length"


@pytest.mark.parametrize("reason", ["load", "unload", None])
def test_a_reply_without_a_reason_stops(reason: str | None) -> None:
    """The finish reason would be none of OpenAI's."""
    choice = reply(piece(content="Hi"), end(reason)).choices[0]
    assert (choice.finish_reason, choice.native_finish_reason) == ("stop", reason)


def test_lines_without_content_are_skipped() -> None:
    """A reader would get chunks with nothing in them."""
    chunks = run(piece(), piece(content="Hi"), b"null", {**HEAD, "message": {}, "done": False}, end())
    assert [chunk.choices[0].delta.content for chunk in chunks[:-1]] == ["Hi", None]


def test_log_probabilities_come_with_their_line() -> None:
    """Log probabilities would be lost, or those of lines without text."""
    token = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": [{"token": "Yo", "logprob": -2}]}
    found = reply({**piece(), "logprobs": [token]}, {**piece(content="Hi"), "logprobs": [token]}, end())
    logprobs = found.choices[0].logprobs
    assert logprobs is not None
    assert [(each.token, each.logprob) for each in logprobs.content or ()] == [("Hi", -0.5)] * 2


def test_log_probabilities_may_be_in_openais_object() -> None:
    """The log probabilities of servers that imitate Ollama would be lost."""
    token = {"token": "Hi", "logprob": -0.5}
    logprobs = reply({**piece(content="Hi"), "logprobs": {"content": [token]}}, end()).choices[0].logprobs
    assert logprobs is not None
    assert [each.token for each in logprobs.content or ()] == ["Hi"]


def test_an_error_in_a_running_stream_is_raised() -> None:
    """The rest of a reply would be missing without an error."""
    with pytest.raises(InternalServerError) as caught:
        run(piece(content="Hi"), {"error": "the model runner has unexpectedly stopped"}, end())
    assert caught.value.message == "the model runner has unexpectedly stopped"
    with pytest.raises(ContextWindowExceededError):
        run({"error": "the input length exceeds the context length"})


@pytest.mark.parametrize("line", [b"oops", b"[1]", b"17", b'{"message":7,"done":false}', b'{"a":1}'])
def test_an_unreadable_line_is_an_error(line: bytes) -> None:
    """A part of the reply would be lost silently."""
    with pytest.raises(APIResponseError) as caught:
        run(piece(content="Hi"), line, end())
    assert caught.value.body == line.decode()


ODD: list[dict[str, Any]] = [
    {"created_at": 7},
    {"created_at": None},
    {"created_at": {"odd": 1}},
    {"model": ["odd"]},
    {"prompt_eval_count": "odd"},
    {"eval_duration": {"odd": 1}},
    {"logprobs": "odd"},
    {"remote_host": "https://ollama.com"},
]


@pytest.mark.parametrize("members", ODD)
def test_an_odd_member_costs_nothing(members: dict[str, Any]) -> None:
    """A paid reply would be lost for a member that is not needed."""
    found = reply({**piece(content="He"), **members}, {**piece(content="llo"), **members}, {**end(), **members})
    assert (found.text, found.choices[0].finish_reason) == ("Hello", "stop")


def whole(line: dict[str, Any]) -> ChatCompletion:
    """The decoded reply of a call that is not streamed."""
    found = DIALECT.decode(HttpResponse(200, Headers(), json.dumps(line).encode()), ChatRequest("m", "Hi"), TARGET)
    assert isinstance(found, ChatCompletion)
    return found


def test_a_stream_is_its_reply() -> None:
    """A reply would depend on whether it is streamed."""
    calls = [called("look", {"q": 1}, "call_1")]
    message = {"role": "assistant", "content": "Hello", "thinking": "Hm.", "tool_calls": calls}
    plain = whole({**end(), "message": message, "remote_model": "qwen3:8b"})
    pieces = [piece(thinking="Hm."), piece(content="Hel"), piece(content="lo"), piece(tool_calls=calls)]
    streamed = reply(*pieces, end(remote_model="qwen3:8b"))
    assert streamed.to_dict() == plain.to_dict()
    assert plain.extra == {"remote_model": "qwen3:8b"}


def test_the_beginning_of_a_stream_is_no_reply() -> None:
    """A call that is answered by one line of a stream would return a part of the reply."""
    with pytest.raises(APIResponseError, match="done"):
        whole(piece(content="Hi"))
