"""Decoding of OpenAI's streams: events → chunks, and the ways in which a stream can end."""

import gc
import json
import weakref
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anycompletion import errors
from anycompletion.codecs.sse import Event, SSEParser
from anycompletion.dialects.base import Target
from anycompletion.dialects.error_body import holds_error
from anycompletion.dialects.openai_chat.dialect import DIALECT
from anycompletion.dialects.openai_chat.quirks import Quirks
from anycompletion.errors import APIError, APIResponseError, APIStatusError, StreamInterruptedError
from anycompletion.http import Headers, HttpResponse
from anycompletion.records import ChatRequest, FunctionDefinition, UserMessage
from anycompletion.records.chunks import ChatCompletionChunk, ChunkChoice, Delta, FunctionDelta, ToolCallDelta
from anycompletion.streaming.accumulator import accumulated

CHAT = ChatRequest("m", [UserMessage("Hi")])
TARGET = Target(provider="openai", model="m", base_url="https://x", stream=True)
DONE = b"[DONE]"


def event(data: Any, name: str = "") -> Event:
    return Event(data if isinstance(data, bytes) else json.dumps(data, separators=(",", ":")).encode(), name)


def chunk(*choices: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"id": "i", "object": "chat.completion.chunk", "created": 5, "model": "m", "choices": [*choices], **members}


def piece(index: int = 0, reason: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"index": index, "delta": delta, "finish_reason": reason}


def run(
    *events: Any, request: ChatRequest = CHAT, target: Target = TARGET
) -> tuple[list[ChatCompletionChunk], APIError | None]:
    """The chunks, and the error that ended the stream."""
    decoder = DIALECT.decoder(request, target)
    chunks: list[ChatCompletionChunk] = []
    try:
        for item in events:
            chunks += decoder.feed(item if isinstance(item, Event) else event(item))
            if decoder.done:
                break
        chunks += decoder.finish()
    except APIError as error:
        return chunks, error
    return chunks, None


HELLO: list[Any] = [
    chunk(piece(role="assistant", content="")),
    chunk(piece(content="Hel"), obfuscation="xYz12"),
    chunk(piece(content="lo.")),
    chunk(piece(reason="stop")),
    chunk(usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}),
]


def test_a_stream():
    """A streamed reply would differ from a complete one."""
    chunks, error = run(*HELLO, DONE)
    assert error is None
    assert [each.raw for each in chunks] == HELLO
    reply = accumulated(chunks)
    assert reply.to_dict() == {
        "id": "i",
        "object": "chat.completion",
        "created": 5,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello.", "refusal": None},
                "finish_reason": "stop",
                "logprobs": None,
            }
        ],
        "usage": HELLO[-1]["usage"],
    }


CHUNKS: dict[str, tuple[dict[str, Any], ChatCompletionChunk]] = {
    "text": (chunk(piece(content="x")), ChatCompletionChunk("i", [ChunkChoice(0, Delta(content="x"))], 5, "m")),
    "null delta": ({"choices": [{"index": 0, "delta": None}]}, ChatCompletionChunk(choices=[ChunkChoice()])),
    "empty delta": (chunk({}), ChatCompletionChunk("i", [ChunkChoice()], 5, "m")),
    "no choices": (
        {"id": "i", "prompt_filter_results": [{"prompt_index": 0}]},
        ChatCompletionChunk("i", prompt_filter_results=[{"prompt_index": 0}]),
    ),
    "a filter's findings": (
        chunk({**piece(content="x"), "content_filter_results": {"hate": {"filtered": False}}}),
        ChatCompletionChunk(
            "i",
            [ChunkChoice(0, Delta(content="x"), content_filter_results={"hate": {"filtered": False}})],
            5,
            "m",
        ),
    ),
    "content in parts": (
        chunk(
            piece(
                content=[
                    {"type": "thinking", "thinking": [{"type": "text", "text": "H"}, "?", {"text": "m"}]},
                    {"type": "thinking", "thinking": "m"},
                    {"type": "text", "text": "x"},
                    {"type": "reference", "reference_ids": [1]},
                    {"type": "text", "text": "y"},
                ]
            )
        ),
        ChatCompletionChunk(
            "i",
            [
                ChunkChoice(
                    0,
                    Delta(
                        content="xy",
                        annotations=[{"type": "reference", "reference_ids": [1]}],
                        reasoning_content="H?mm",
                    ),
                )
            ],
            5,
            "m",
        ),
    ),
    "reasoning as a summary in parts": (
        chunk(piece(content=[{"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}]}])),
        ChatCompletionChunk("i", [ChunkChoice(0, Delta(reasoning_content="Hm"))], 5, "m"),
    ),
    "a refusal in parts": (
        chunk(piece(content=[{"type": "refusal", "refusal": "No"}])),
        ChatCompletionChunk("i", [ChunkChoice(0, Delta(refusal="No"))], 5, "m"),
    ),
    "content in strings": (
        chunk(piece(content=["x", "y"])),
        ChatCompletionChunk("i", [ChunkChoice(0, Delta(content="xy"))], 5, "m"),
    ),
    "content of nulls": (
        chunk(piece(content=[None])),
        ChatCompletionChunk("i", [ChunkChoice(0, Delta(content=""))], 5, "m"),
    ),
    "objects in place of lists, and lists of one": (
        {"choices": {"delta": [{"content": [{"type": "thinking", "thinking": "H"}]}]}},
        ChatCompletionChunk(choices=[ChunkChoice(0, Delta(reasoning_content="H"))]),
    ),
    "content as a number": (
        chunk(piece(content=5)),
        ChatCompletionChunk("i", [ChunkChoice(0, Delta(content="5"))], 5, "m"),
    ),
    "content as an object": (
        chunk(piece(content={"city": "Oslo"})),
        ChatCompletionChunk("i", [ChunkChoice(0, Delta(content='{"city":"Oslo"}'))], 5, "m"),
    ),
    "a whole message in parts": (
        {"choices": [{"index": 0, "message": {"content": [{"type": "text", "text": "x"}]}}]},
        ChatCompletionChunk(choices=[ChunkChoice(0, Delta(content="x"))]),
    ),
    "a text in place of the delta": (
        {"choices": [{"index": 0, "text": "x"}]},
        ChatCompletionChunk(choices=[ChunkChoice(0, Delta(content="x"))]),
    ),
    "odd labels": (
        {"id": 7, "created": "5", "model": {}, "object": 1, "choices": [{"index": "1", "delta": {"content": "x"}}]},
        ChatCompletionChunk("7", [ChunkChoice(1, Delta(content="x"))], 5, object="1"),
    ),
    "null items": (
        {"choices": [None, {"index": 0, "delta": {"content": "x", "tool_calls": [None]}}]},
        ChatCompletionChunk(choices=[ChunkChoice(0, Delta(content="x"))]),
    ),
    "fields beyond OpenAI's": (
        {"id": "i", "provider": "Acme", "choices": [{"delta": {"content": "x", "mood": "fine"}, "stop_reason": 5}]},
        ChatCompletionChunk(
            "i",
            [ChunkChoice(0, Delta(content="x", extra={"mood": "fine"}), extra={"stop_reason": 5})],
            extra={"provider": "Acme"},
        ),
    ),
    "content in parts beside reasoning": (
        chunk(piece(content=[{"type": "thinking", "thinking": "H"}], reasoning_content="r")),
        ChatCompletionChunk("i", [ChunkChoice(0, Delta(reasoning_content="r"))], 5, "m"),
    ),
    "null choices": ({"id": "i", "choices": None}, ChatCompletionChunk("i")),
    "reasoning by another name": (
        chunk(piece(reasoning="r")),
        ChatCompletionChunk("i", [ChunkChoice(0, Delta(reasoning_content="r"))], 5, "m"),
    ),
    "reasoning by both names": (
        chunk(piece(reasoning="r", reasoning_content="s")),
        ChatCompletionChunk("i", [ChunkChoice(0, Delta(reasoning_content="s"))], 5, "m"),
    ),
    "an empty and a full name": (
        chunk(piece(reasoning="r", reasoning_content="")),
        ChatCompletionChunk("i", [ChunkChoice(0, Delta(reasoning_content="r"))], 5, "m"),
    ),
    "a tool call": (
        chunk(piece(tool_calls=[{"index": 1, "id": "c", "function": {"name": "f", "arguments": ""}}])),
        ChatCompletionChunk(
            "i",
            [ChunkChoice(0, Delta(tool_calls=[ToolCallDelta(1, "c", function=FunctionDelta("f", ""))]))],
            5,
            "m",
        ),
    ),
    "an error that is none": (
        {"error": None, **chunk(piece(content="x"))},
        ChatCompletionChunk("i", [ChunkChoice(0, Delta(content="x"))], 5, "m"),
    ),
}


@pytest.mark.parametrize("name", CHUNKS)
def test_chunks(name: str):
    """An event would be decoded into another chunk."""
    data, expected = CHUNKS[name]
    chunks, _ = run(data)
    assert chunks == [expected]
    assert chunks[0].raw == data


def test_usage_on_any_chunk():
    """The usage of a server that sends it with a choice would be lost."""
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "queue_time": 0.5}
    chunks, error = run(chunk(piece(content="x", reason="stop"), usage=usage), chunk(piece(), usage=None), DONE)
    assert error is None
    reply = accumulated(chunks)
    assert reply.usage is not None
    assert reply.usage.to_dict() == usage


USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
ELSEWHERE: list[tuple[dict[str, Any], dict[str, Any] | None]] = [
    (chunk(piece(reason="stop"), x_groq={"usage": USAGE}), USAGE),
    (chunk({**piece(reason="stop"), "usage": USAGE}), USAGE),
    (chunk({**piece(reason="stop"), "usage": USAGE}, x_groq={"usage": {"total_tokens": 0}}), USAGE),
    (chunk(piece(reason="stop"), x_groq={"usage": {"total_tokens": "3"}}), {"total_tokens": 3}),
    (chunk(piece(reason="stop"), usage=USAGE, x_groq={"usage": {"total_tokens": 9}}), USAGE),
    (chunk(piece(reason="stop"), usage=None, x_groq={"usage": None}), None),
    (chunk(piece(content='"usage"', reason="stop"), x_groq="x"), None),
    (chunk(piece(content="x"), x_groq={"usage": USAGE}), None),
]


@pytest.mark.parametrize(("data", "usage"), ELSEWHERE)
def test_usage_in_other_places(data: dict[str, Any], usage: dict[str, Any] | None):
    """The usage of a server that sends it in another place would be lost."""
    chunks, _ = run(data, DONE)
    found = accumulated(chunks).usage
    assert (None if found is None else found.to_dict()) == usage


def test_choices_and_tool_fragments_interleave():
    """Interleaved choices or tool calls would be mixed up."""
    events = [
        chunk(piece(1, content="b")),
        chunk(
            piece(
                0, tool_calls=[{"index": 1, "id": "d", "type": "function", "function": {"name": "g", "arguments": "{"}}]
            )
        ),
        chunk(
            piece(
                0, tool_calls=[{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "["}}]
            )
        ),
        chunk(piece(1, content="c"), piece(0, tool_calls=[{"index": 1, "function": {"arguments": "}"}}])),
        chunk(piece(0, tool_calls=[{"index": 0, "function": {"arguments": "]"}}])),
        chunk(piece(0, "tool_calls")),
        chunk(piece(1, "length")),
    ]
    chunks, error = run(*events, request=ChatRequest("m", "x", n=2))
    assert error is None
    reply = accumulated(chunks)
    calls = reply.choices[0].message.tool_calls
    assert calls is not None
    assert [(call.id, call.function.name, call.function.arguments) for call in calls] == [
        ("c", "f", "[]"),
        ("d", "g", "{}"),
    ]
    assert reply.texts == ["", "bc"]
    assert [choice.finish_reason for choice in reply.choices] == ["tool_calls", "length"]


SAME_INDEX: dict[str, list[Any]] = {
    "in one chunk": [
        chunk(piece(role="assistant"), piece(role="assistant"), piece(role="assistant")),
        chunk(piece(content="a"), piece(content="b"), piece(content="c")),
        chunk(piece(reason="stop"), piece(reason="stop"), piece(reason="length")),
    ],
    "in one chunk with a field of its own": [
        chunk(piece(content="a", x=1), piece(content="b", x=1), piece(content="c", x=1)),
        chunk(piece(reason="stop"), piece(reason="stop"), piece(reason="length")),
    ],
    "one after the other": [
        each
        for text, reason in (("a", "stop"), ("b", "stop"), ("c", "length"))
        for each in (
            chunk(piece(role="assistant", content="")),
            chunk(piece(content=text)),
            chunk(piece(reason=reason)),
        )
    ],
    "no index that can be read": [
        chunk(piece(index=None, content="a"), piece(index=None, content="b"), piece(index=None, content="c")),  # type: ignore[arg-type]
        chunk(piece(reason="stop"), piece(reason="stop"), piece(reason="length")),
    ],
}


@pytest.mark.parametrize("name", SAME_INDEX)
def test_choices_with_one_index_are_distinguished(name: str) -> None:
    """The texts of all choices would be one text, where a server gives all of them the index 0."""
    chunks, error = run(*SAME_INDEX[name], DONE, request=ChatRequest("m", "x", n=3))
    assert error is None
    reply = accumulated(chunks)
    assert reply.texts == ["a", "b", "c"]
    assert [choice.finish_reason for choice in reply.choices] == ["stop", "stop", "length"]


def test_a_choice_in_two_pieces_of_a_chunk_is_one() -> None:
    """The finish reason beside the last text would be another choice."""
    chunks, error = run(chunk(piece(content="a"), piece(reason="stop")), DONE, request=ChatRequest("m", "x", n=3))
    assert error is None
    assert [(choice.index, choice.finish_reason) for choice in accumulated(chunks).choices] == [(0, "stop")]


def test_proper_indexes_are_kept() -> None:
    """Choices would be renumbered although the server numbers them."""
    events = [
        chunk(piece(2, content="c")),
        chunk(piece(0, content="a")),
        chunk(piece(0, "stop")),
        chunk(piece(2, "stop")),
    ]
    chunks, error = run(*events, chunk(piece(0, content="!")), DONE, request=ChatRequest("m", "x", n=2))
    assert error is None
    assert [(choice.index, choice.message.content) for choice in accumulated(chunks).choices] == [(0, "a!"), (2, "c")]


def test_text_after_a_finish_reason_stays_in_its_choice_where_the_server_numbers_choices() -> None:
    """The late text of one choice would be joined to another one's."""
    events = [
        chunk(piece(1, content="b")),
        chunk(piece(0, content="a")),
        chunk(piece(0, "stop")),
        chunk(piece(0, content="!")),
        chunk(piece(0, "stop")),
        chunk(piece(1, "stop")),
    ]
    for count in (2, 3):
        chunks, error = run(*events, request=ChatRequest("m", "x", n=count))
        assert error is None
        assert accumulated(chunks).texts == ["a!", "b"]


# --- ends ---

ENDS: dict[str, tuple[list[Any], int | None, bool]] = {
    # events, n, whether the stream is complete
    "done": ([*HELLO, DONE], None, True),
    "done with a tail": ([chunk(piece(content="x")), b"[DONE] "], None, True),
    "empty events": ([Event(b""), chunk(piece(content="x")), Event(b" "), chunk(piece(reason="stop"))], None, True),
    "a finish reason alone, and done": ([chunk(piece(reason="stop")), DONE], None, True),
    "reasoning alone, and done": ([chunk(piece(reasoning_content="x")), DONE], None, True),
    "an unknown field alone, and done": ([chunk(piece(images=[{}])), DONE], None, True),
    "done, but without a finish reason": ([chunk(piece(content="x")), DONE], None, True),
    "a finish reason without done": ([chunk(piece(content="x")), chunk(piece(reason="stop"))], None, True),
    "a finish reason and then usage": ([chunk(piece(reason="stop")), chunk(usage={"total_tokens": 3})], None, True),
    "a finish reason of tomorrow": ([chunk(piece(reason="abort"))], None, True),
    "both of two choices": ([chunk(piece(0, "stop")), chunk(piece(1, "stop"))], 2, True),
    "one of two choices": ([chunk(piece(0, "stop"))], 2, True),
    "one of two choices that speak": ([chunk(piece(0, "stop")), chunk(piece(1, content="x"))], None, False),
    "an unasked choice": ([chunk(piece(0, "stop")), chunk(piece(7, "stop"))], None, True),
    "nothing": ([], None, False),
    "only usage": ([chunk(usage={"total_tokens": 3})], None, False),
    "only a role": ([chunk(piece(role="assistant"))], None, False),
    "in the middle": (HELLO[:3], None, False),
    "an empty finish reason is none": ([chunk(piece(content="x", reason=""))], None, False),
    "text after the finish reason": ([chunk(piece(reason="stop")), chunk(piece(content="x"))], None, False),
    "a call after the finish reason": (
        [chunk(piece(reason="stop")), chunk(piece(tool_calls=[{"id": "c"}]))],
        None,
        False,
    ),
    "text after the finish reason, and done": (
        [chunk(piece(reason="stop")), chunk(piece(content="x")), DONE],
        None,
        True,
    ),
    "an empty text after the finish reason": ([chunk(piece(reason="stop")), chunk(piece(content=""))], None, True),
    "a second finish reason": ([chunk(piece(reason="stop")), chunk(piece(content="x", reason="stop"))], None, True),
    "an empty and a real one": ([chunk(piece(content="x", reason="")), chunk(piece(reason="stop"))], None, True),
}


@pytest.mark.parametrize("name", ENDS)
def test_ends(name: str):
    """A cut stream would look complete, or a complete one would raise."""
    events, n, whole = ENDS[name]
    chunks, error = run(*events, request=ChatRequest("m", "x", n=n))
    assert len(chunks) == len([each for each in events if isinstance(each, dict)])
    if whole:
        assert error is None
    else:
        assert type(error) is StreamInterruptedError
        assert error.maybe_billed
        assert error.message == (
            f"the stream ended after {len(events)} events, before the provider sent a finish reason"
        )


def test_done_is_the_end():
    """Events after the end marker would be added to the reply."""
    decoder = DIALECT.decoder(CHAT, TARGET)
    decoder.feed(event(HELLO[1]))
    assert not decoder.done
    assert decoder.feed(event(DONE)) == ()
    assert decoder.done
    assert decoder.finish() == ()


EMPTY: dict[str, list[Any]] = {
    "nothing": [],
    "a role": [chunk(piece(role="assistant"))],
    "a role and an empty text": [chunk(piece(role="assistant", content=""))],
    "usage": [chunk(usage={"total_tokens": 3})],
    "empty choices": [chunk(piece(reason=""))],
    "an empty event": [Event(b"")],
}


@pytest.mark.parametrize("name", EMPTY)
def test_the_end_marker_alone_is_no_reply(name: str):
    """A failed generation would be an empty success, whose choices are missing."""
    _, error = run(*EMPTY[name], DONE)
    assert type(error) is StreamInterruptedError
    assert error.maybe_billed
    assert error.message == "the stream ended with [DONE], before the provider sent content or a finish reason"


# --- errors inside a stream ---


def failing(data: Any, name: str = "") -> APIError:
    chunks, error = run(chunk(piece(content="x")), event(data, name), chunk(piece(reason="stop")), DONE)
    assert len(chunks) == 1
    assert error is not None
    return error


FAILURES: dict[str, tuple[Any, str, type[APIStatusError], str]] = {
    # data, event name, class, text
    "an object": ({"error": {"message": "Oh.", "code": "rate_limit_exceeded"}}, "", errors.RateLimitError, "Oh."),
    "a status as code": ({"error": {"message": "Oh.", "code": 503}}, "", errors.ServiceUnavailableError, "Oh."),
    "quota": ({"error": {"message": "Oh.", "type": "insufficient_quota"}}, "", errors.QuotaExceededError, "Oh."),
    "overloaded": ({"error": {"message": "Oh.", "type": "overloaded_error"}}, "", errors.OverloadedError, "Oh."),
    "too long": (
        {"error": {"message": "Oh.", "code": "context_length_exceeded"}},
        "",
        errors.ContextWindowExceededError,
        "Oh.",
    ),
    "a bad request": (
        {"error": {"message": "Oh.", "type": "invalid_request_error"}},
        "",
        errors.BadRequestError,
        "Oh.",
    ),
    "a bad key": ({"error": {"message": "Oh.", "code": "invalid_api_key"}}, "", errors.AuthenticationError, "Oh."),
    "no such model": (
        {"error": {"message": "Oh.", "code": "model_not_found", "type": "invalid_request_error"}},
        "",
        errors.NotFoundError,
        "Oh.",
    ),
    "no code": ({"error": {"message": "Oh."}}, "", errors.InternalServerError, "Oh."),
    "a text": ({"error": "Oh."}, "", errors.InternalServerError, "Oh."),
    "after other members": ({"id": "i", "error": {"message": "Oh.", "code": 429}}, "", errors.RateLimitError, "Oh."),
    "with spaces": (b'{ "error": {"message": "Oh."}}', "", errors.InternalServerError, "Oh."),
    "beside no choices": (chunk(error={"message": "Oh.", "code": 429}), "", errors.RateLimitError, "Oh."),
    "beside usage": (chunk(error={"message": "Oh."}, usage={"total_tokens": 3}), "", errors.InternalServerError, "Oh."),
    "beside a choice that ends in it": (
        chunk(piece(content="", reason="error"), error={"message": "Oh.", "code": 502}),
        "",
        errors.InternalServerError,
        "Oh.",
    ),
    "a finish reason alone": (
        chunk(piece(reason="error")),
        "",
        errors.InternalServerError,
        "the generation failed: error",
    ),
    "in a choice": (
        chunk({**piece(content=""), "error": {"message": "Oh.", "code": 429}}),
        "",
        errors.RateLimitError,
        "Oh.",
    ),
    "in a choice that ends in it": (
        chunk({**piece(reason="error"), "error": {"message": "Oh."}}),
        "",
        errors.InternalServerError,
        "Oh.",
    ),
    "a list of errors": ({"errors": [{"message": "Oh."}], "choices": []}, "", errors.InternalServerError, "Oh."),
    "an object of the type error": (
        {"object": "error", "message": "Oh.", "type": "BadRequestError", "code": 400},
        "",
        errors.BadRequestError,
        "Oh.",
    ),
    "a failed status beside a choice": (
        chunk(piece(content="x"), base_resp={"status_code": 1002, "status_msg": "Oh."}),
        "",
        errors.RateLimitError,
        "Oh.",
    ),
    "a JSON string": (b'"Oh."', "", errors.InternalServerError, "Oh."),
    "beside choices of a wrong type": (
        {"choices": "x", "error": {"message": "Oh."}},
        "",
        errors.InternalServerError,
        "Oh.",
    ),
    "a named event": ({"message": "Oh.", "code": "rate_limit_exceeded"}, "error", errors.RateLimitError, "Oh."),
    "a named event with an error": ({"error": {"message": "Oh."}}, "error", errors.InternalServerError, "Oh."),
    "a named event of text": (b"Oh.", "error", errors.InternalServerError, "Oh."),
    "a named event of a list": ([1], "error", errors.InternalServerError, "1"),
    "a named event of nothing": ({}, "error", errors.InternalServerError, "the provider reported an error"),
}


_FAILED = {"message": "Oh."}

REPORTS: list[dict[str, Any]] = [
    *({name: _FAILED} for name in ("error", "errors", "Error", "fault", "err", "exception")),
    *({wrapper: {name: _FAILED}} for wrapper in ("data", "result", "response", "body") for name in ("error", "err")),
    {"base_resp": {"status_code": 1, "status_msg": "Oh."}},
    {"object": "error", "message": "Oh."},
    {"type": "error", "message": "Oh."},
]
CHOICE_REPORTS: list[dict[str, Any]] = [
    {"error": _FAILED},
    {"delta": {"error": _FAILED}},
    {"message": {"error": _FAILED}},
]


@pytest.mark.parametrize(
    "reported",
    [
        *({"choices": [], **report} for report in REPORTS),
        *({"choices": [{"index": 0, "delta": {}, **report}]} for report in CHOICE_REPORTS),
    ],
    ids=json.dumps,
)
def test_an_event_is_an_error_wherever_a_whole_reply_is_one(reported: dict[str, Any]) -> None:
    """A failure that a gateway reports in a field of its own would be an empty chunk, and the reply look complete."""
    assert holds_error(reported)
    assert failing({"id": "i", **reported}).message == "Oh."


@pytest.mark.parametrize("name", ["Error", "fault", "err", "exception", "data", "result"])
def test_a_field_beside_a_choice_is_no_error(name: str) -> None:
    """A server's own field would end the stream because a gateway calls an error so."""
    chunks, error = run(chunk(piece(content="a"), **{name: {"error": "x"}}), chunk(piece(reason="stop")))
    assert (error, accumulated(chunks).text) == (None, "a")


@pytest.mark.parametrize("name", FAILURES)
def test_errors_inside_a_stream(name: str):
    """A provider's failure would look like a reply, or would be raised as another class than with a status."""
    data, event_name, cls, text = FAILURES[name]
    error = failing(data, event_name)
    assert type(error) is cls
    assert error.message == text
    assert error.body == event(data).data.decode()


UNREADABLE: list[tuple[Any, str]] = [
    (b"<html>", "not JSON"),
    (b'{"choices": [', "not JSON"),
    (b"[" * 100_000, "nested too deeply"),
    ([], "chunk: expected an object, found list"),
    ({"choices": 5}, "choices: expected an array, found int"),
    (chunk("x"), "choices[0]: expected an object, found str"),
    (chunk({"delta": "x"}), "choices[0].delta: expected an object, found str"),
    (chunk(piece(tool_calls=["x"])), "choices[0].delta.tool_calls[0]: expected an object, found str"),
]


@pytest.mark.parametrize(("data", "reason"), UNREADABLE)
def test_events_that_cannot_be_read(data: Any, reason: str):
    """A broken event would be skipped, so that the reply is silently short."""
    error = failing(data)
    assert type(error) is APIResponseError
    assert error.message == f"event 2 of the stream cannot be read: {reason}"
    assert error.body == event(data).data.decode()[:2048]
    assert error.__context__ is None


MEMBERS = [
    "audio",
    "annotations",
    "choices",
    "content",
    "content_filter_results",
    "data",
    "delta",
    "error",
    "finish_reason",
    "function",
    "id",
    "index",
    "logprobs",
    "prompt_filter_results",
    "reasoning_details",
    "text",
    "thinking",
    "tool_calls",
    "type",
    "usage",
    "x_groq",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(MEMBERS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    st.lists(JSON | st.fixed_dictionaries({"choices": st.lists(st.fixed_dictionaries({"delta": JSON}))}), max_size=3)
)
def test_any_json_in_place_of_events(values: list[Any]):
    """Some event would raise an undocumented exception."""
    chunks, _ = run(*values)
    accumulated(chunks).to_dict()


# --- characters in halves ---

HALVES: dict[str, tuple[list[tuple[str, str | None]], str]] = {
    # the pieces as JSON text with their finish reasons, and the whole text
    "two halves": ([(r"a\ud83d", None), (r"\ude00b", "stop")], "a😀b"),
    "a piece between the chunks": ([(r"\ud83d", None), ("", None), (r"\ude00", "stop")], "😀"),
    "one character after the other": ([(r"\ud83d", None), (r"\ude00\ud83d", None), (r"\ude01", "stop")], "😀😁"),
    "upper-case digits": ([(r"\uD83D", None), (r"\uDE00", "stop")], "😀"),
    "a whole pair": ([(r"a\ud83d\ude00b", "stop")], "a😀b"),
    "a first half alone": ([(r"a\ud83d", None), ("b", "stop")], "a\ufffdb"),
    "a second half alone": ([("a", None), (r"\ude00b", "stop")], "a\ufffdb"),
    "a first half at the end": ([(r"a\ud83d", "stop")], "a\ufffd"),
    "a first half before an empty end": ([(r"a\ud83d", None), ("", "stop")], "a\ufffd"),
    "a first half and no finish reason": ([(r"a\ud83d", None)], "a\ufffd"),
    "two first halves": ([(r"\ud83d\ud83d", None), (r"\ude00", "stop")], "\ufffd😀"),
    "in the middle": ([(r"a\ud83db", "stop")], "a\ufffdb"),
}

PLACES: dict[str, str] = {
    "content": '{"content":"%s"}',
    "refusal": '{"refusal":"%s"}',
    "reasoning_content": '{"reasoning_content":"%s"}',
    "reasoning": '{"reasoning":"%s"}',
    "arguments": '{"tool_calls":[{"index":1,"function":{"arguments":"%s"}}]}',
    "input": '{"tool_calls":[{"index":1,"type":"custom","custom":{"input":"%s"}}]}',
    "function_call": '{"function_call":{"arguments":"%s"}}',
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", HALVES)
def test_a_character_in_two_chunks(name: str, place: str):
    """An emoji would be two replacement characters, or a lone half would make the text impossible to write."""
    pieces, expected = HALVES[name]
    events = [
        b'{"id":"\\udc00","choices":[{"index":2,"delta":%s,"finish_reason":%s}]}'
        % ((PLACES[place] % text).encode(), json.dumps(reason).encode())
        for text, reason in pieces
    ]
    chunks, error = run(*events, DONE)
    assert error is None
    for each in chunks:
        json.dumps(each.to_dict(), ensure_ascii=False).encode()
    message = accumulated(chunks).choices[0].message
    call = (message.tool_calls or [None])[0]
    found = {
        "content": message.content,
        "refusal": message.refusal,
        "reasoning_content": message.reasoning_content,
        "reasoning": message.reasoning_content,
        "arguments": call and call.function.arguments,
        "input": call and call.custom and call.custom.input,
        "function_call": message.function_call and message.function_call.arguments,
    }
    assert found[place] == expected


def test_halves_of_different_texts_are_not_joined():
    """The half of one choice's or one field's character would complete that of another."""
    first = b'{"choices":[{"index":0,"delta":{"content":"\\ud83d"}},{"index":1,"delta":{"refusal":"\\ud83d"}}]}'
    second = b'{"choices":[{"index":0,"delta":{"refusal":"\\ude00"}},{"index":1,"delta":{"content":"\\ude00"}}]}'
    third = b'{"choices":[{"index":0,"delta":{"content":"\\ude00"}},{"index":1,"delta":{"refusal":"\\ude01"}}]}'
    chunks, error = run(first, second, third, DONE)
    assert error is None
    messages = [choice.message for choice in accumulated(chunks).choices]
    assert [(message.content, message.refusal) for message in messages] == [("😀", "\ufffd"), ("\ufffd", "😁")]


# --- bytes ---

BODIES: dict[str, bytes] = {
    "lf": b"".join(b"data: " + event(each).data + b"\n\n" for each in HELLO) + b"data: [DONE]\n\n",
    "crlf and comments": b"\xef\xbb\xbf: hi\r\n\r\n"
    + b"".join(b"data:" + event(each).data + b"\r\n\r\n: keep-alive\r\n\r\n" for each in HELLO)
    + b"data: [DONE]\r\n\r\ndata: ghost\r\n\r\n",
    "no done": b"".join(b"event: chunk\ndata: " + event(each).data + b"\n\n" for each in HELLO),
}


@pytest.mark.parametrize("name", BODIES)
def test_the_same_chunks_however_the_bytes_are_cut(name: str):
    """A stream would be decoded differently when its bytes arrive one by one."""
    body = BODIES[name]
    whole = run(*SSEParser().feed(body))
    assert whole[1] is None
    assert [each.raw for each in whole[0]] == HELLO
    framing = SSEParser()
    pieces = [each for i in range(len(body)) for each in framing.feed(body[i : i + 1])]
    assert run(*pieces) == whole
    for place in range(0, len(body), 7):
        framing = SSEParser()
        assert run(*framing.feed(body[:place]), *framing.feed(body[place:])) == whole


def test_a_cut_body_is_never_a_complete_reply():
    """A lost connection would look like the end of the reply."""
    body = BODIES["lf"]
    end = body.index(b'"stop"')
    for place in range(end):
        _, error = run(*SSEParser().feed(body[:place]))
        assert type(error) is StreamInterruptedError, place


def test_a_stream_equals_the_complete_reply():
    """The same reply would have other values when it is streamed."""
    whole = {
        "id": "i",
        "object": "chat.completion",
        "created": 5,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}],
        "usage": HELLO[-1]["usage"],
    }
    response = HttpResponse(200, Headers(), json.dumps(whole).encode())
    assert accumulated(run(*HELLO, DONE)[0]) == DIALECT.decode(response, CHAT, TARGET)


# --- fields beyond OpenAI's ---


def test_the_reply_has_the_fields_beyond_openais():
    """Images, citations and signatures would be missing in the reply of a stream."""
    image = {"type": "image_url", "image_url": {"url": "data:,"}}
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{"}, "extra_content": {"google": {"s": "x"}}}
    token = {"id": 5, "token": "x", "logprob": -1.0, "bytes": None, "top_logprobs": []}
    events = [
        chunk(piece(role="assistant", content=""), provider="Acme", x_groq={"id": "r"}),
        chunk(piece(content="x", mood="fi"), provider="Acme", citations=["a"]),
        chunk({**piece(content="y", mood="ne"), "logprobs": {"content": [token]}}, citations=["a"]),
        chunk(piece(images=[image]), citations=["a", "b"]),
        chunk(piece(images=[image], tool_calls=[call])),
        chunk(piece(tool_calls=[{"index": 0, "function": {"arguments": "}"}}], channel="final")),
        chunk({**piece(reason="stop"), "stop_reason": 7}, x_groq={"usage": USAGE}),
    ]
    chunks, error = run(*events, DONE)
    assert error is None
    reply = accumulated(chunks)
    assert reply.extra == {"provider": "Acme", "citations": ["a", "b"], "x_groq": {"id": "r", "usage": USAGE}}
    choice = reply.choices[0]
    assert choice.extra == {"stop_reason": 7}
    assert choice.message.extra == {"images": [image, image], "mood": "fine", "channel": "final"}
    assert choice.message.tool_calls is not None
    assert choice.message.tool_calls[0].extra == {"extra_content": {"google": {"s": "x"}}}
    assert choice.logprobs is not None
    assert choice.logprobs.to_dict()["content"] == [token]
    assert reply.raw == reply.to_dict()
    assert reply.raw["choices"][0]["message"]["images"] == [image, image]


def test_a_number_given_to_one_call_is_not_given_to_another():
    """If a server uses an index twice, a later call's arguments would be added to an earlier call."""
    calls = [(0, "a"), (0, "b"), (0, "c"), (1, "d")]
    events = [
        chunk(piece(tool_calls=[{"index": i, "id": name, "function": {"name": name, "arguments": f'"{name}"'}}]))
        for i, name in calls
    ]
    chunks, error = run(*events, chunk(piece(reason="tool_calls")), DONE)
    assert error is None
    found = accumulated(chunks).choices[0].message.tool_calls
    assert found is not None
    assert [(call.id, call.function.arguments) for call in found] == [(name, f'"{name}"') for _, name in calls]


# --- the legacy form ---


def test_functions_are_answered_as_functions():
    """Code that uses functions would get tool calls, or lose further calls."""
    request = ChatRequest("m", "x", functions=[FunctionDefinition("f")])
    target = Target(provider="p", model="m", base_url="https://x", quirks=Quirks(functions_as_tools=True))
    events = [
        chunk(piece(role="assistant")),
        chunk(piece(tool_calls=[{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{"}}])),
        chunk(piece(tool_calls=[{"function": {"arguments": "}"}}, {"index": 1, "id": "d", "function": {"name": "g"}}])),
        chunk(piece(tool_calls=[{"index": 0, "id": "c"}])),
        chunk(piece(reason="tool_calls")),
    ]
    chunks, error = run(*events, DONE, request=request, target=target)
    assert error is None
    choice = accumulated(chunks).choices[0]
    assert choice.message.function_call is not None
    assert choice.message.function_call.to_dict() == {"name": "f", "arguments": "{}"}
    assert [call.id for call in choice.message.tool_calls or ()] == ["d"]
    assert (choice.finish_reason, choice.native_finish_reason) == ("function_call", "tool_calls")
    chunks, _ = run(*events, DONE, request=request)
    assert accumulated(chunks).choices[0].message.function_call is None


@pytest.mark.parametrize("data", [b'{"error":{"message":"m"}}', b'{"choices":5}', b"no JSON"])
def test_an_unreferenced_error_is_freed(data: bytes):
    """The frames of a retried stream's error, and their values, would live until the garbage collector runs."""

    def failed() -> weakref.ref[APIError]:
        try:
            DIALECT.decoder(CHAT, TARGET).feed(Event(data))
        except APIError as error:
            return weakref.ref(error)
        raise AssertionError("it was read")

    gc.disable()
    try:
        assert failed()() is None
    finally:
        gc.enable()


# --- choices that cannot be placed ------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", [True, {"value": 0}, "first", [0, 1]])
def test_an_unreadable_index_is_that_of_the_only_choice(index: Any) -> None:
    """A stream of one choice would be lost for a field that is not needed."""
    chunks, error = run(*HELLO[:2], chunk(piece(content="lo.") | {"index": index}), *HELLO[3:])
    assert error is None
    assert accumulated(chunks).texts == ["Hello."]


def test_an_unreadable_index_among_several_choices_is_an_error() -> None:
    """A piece of one choice would be added to another."""
    first = chunk(piece(0, content="a"), piece(1, content="b"))
    _, error = run(first, chunk(piece(content="c") | {"index": {}}), DONE)
    assert type(error) is APIResponseError


def test_an_unreadable_index_of_the_first_piece_of_another_choice_is_an_error() -> None:
    """The beginning of a second choice would be added to the first one."""
    second = chunk(piece(content="b") | {"index": []})
    _, error = run(chunk(piece(0, content="a")), second, DONE, request=ChatRequest("m", "x", n=2))
    assert type(error) is APIResponseError


def test_a_choice_without_any_field_of_a_choice_is_an_error() -> None:
    """A reply would lose the part that a server put in another place."""
    _, error = run(HELLO[0], chunk({"value": piece(content="Hello.")}), *HELLO[3:])
    assert type(error) is APIResponseError


@pytest.mark.parametrize("kind", [None, 7, {"type": "text"}])
def test_a_part_whose_type_cannot_be_read_is_known_by_its_field(kind: Any) -> None:
    """A text or a thought of Mistral's would be lost."""
    parts = [{"type": kind, "thinking": [{"type": "text", "text": "Hm."}]}, {"type": kind, "text": "Hello."}]
    chunks, error = run(chunk(piece(content=parts)), *HELLO[3:])
    assert error is None
    (choice,) = accumulated(chunks).choices
    assert (choice.message.reasoning_content, choice.message.content) == ("Hm.", "Hello.")
