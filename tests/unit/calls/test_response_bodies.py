"""Bodies of successful responses are read as what they are, whatever their content type is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from anycompletion import APIResponseError, AsyncCompletion, RateLimitError, StreamInterruptedError
from anycompletion.calls.response_bodies import body_kind, json_lines
from anycompletion.dialects.base import BodyKind
from support.raw_server import END, FIN, REQUEST, STALL, STREAM, RawServer, Step, completion, head, piece

BOM = b"\xef\xbb\xbf"

KINDS: dict[bytes, BodyKind | None] = {
    b"": None,
    b" \r\n\t": None,
    BOM: None,
    BOM[:1]: None,
    b"da": None,
    b"Hello.": None,
    b"datum: x": None,
    b"17": None,
    b"{": "json",
    BOM + b"\n [": "json",
    b'\n\n "': "json",
    b"<": "page",
    BOM + b"\r\n<!DOCTYPE html>": "page",
    b"data:": "events",
    b"event: x": "events",
    b"event\n": "events",
    b"id: 1\n": "events",
    b"retry: 1": "events",
    b": hi": "events",
    BOM + b"\n\ndata: {": "events",
}


@pytest.mark.parametrize("start", KINDS)
def test_the_first_bytes_tell_the_kind(start: bytes) -> None:
    """A reply would be read by its content type, and be lost."""
    assert body_kind(start) == KINDS[start]


def test_lines_of_json_are_events() -> None:
    """A reply that comes as one object per line would not be JSON."""
    assert [event.data for event in json_lines(b'{"a": 1}\r\n\n {"b": 2}\n')] == [b'{"a": 1}', b'{"b": 2}']
    for other in (b"", b"{}", b'{"a":\n1}', b'{"a": 1}\n{"b"', b"data: {}\n{}\n", b"[]\n[]"):
        assert json_lines(other) == []


# --- through the client ----------------------------------------------------------------------------------------------


def chunk(**members: Any) -> bytes:
    choice = {"index": 0, "delta": {}, "finish_reason": None} | members
    return json.dumps({"id": "r", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}).encode()


CHUNKS = (
    chunk(delta={"role": "assistant", "content": "Hel"}),
    chunk(delta={"content": "lo."}),
    chunk(finish_reason="stop"),
)
EVENTS = b"".join(b"data: %s\n\n" % data for data in CHUNKS)
DONE = b"data: [DONE]\n\n"
JSON = json.dumps(completion("Hello.")).encode()

REPLIES = {
    "events": EVENTS + DONE,
    "events without an end marker": EVENTS,
    "the last event without its blank line": EVENTS.rstrip(),
    "the end marker without its blank line": EVENTS + DONE.rstrip(),
    "events one line apart": b"".join(b"data: %s\n" % data for data in CHUNKS) + DONE,
    "events one line apart to the end": b"\r\n".join(b"data:" + data for data in CHUNKS),
    "events after a comment": b": hi\n\n" + EVENTS,
    "events after blank lines": b"\n\r\n" + EVENTS,
    "events after a BOM": BOM + EVENTS,
    "one event that is all": b"data: " + JSON.replace(b'"message"', b'"delta"') + b"\n\n",
    "one object per line": b"\n".join(CHUNKS),
    "JSON": JSON,
    "JSON after white space": b"\n\n  " + b"\r\n" * 3000 + JSON,
    "JSON after a BOM": BOM + JSON,
}
TYPES = ("text/event-stream", "application/json", "application/x-ndjson", "text/html; charset=utf-8", None)
plain_and_stream = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
every_type = pytest.mark.parametrize("label", TYPES)


def labelled(label: str | None) -> dict[str, str]:
    return {} if label is None else {"Content-Type": label}


async def ask(stream: bool, *script: Step, provider: str = "openai") -> tuple[str, str | None]:
    """The text and the finish reason of a reply."""
    async with (
        RawServer((REQUEST, *script, STALL)) as server,
        AsyncCompletion(base_urls={provider: server.url}, api_keys={provider: "key"}, max_retries=0) as client,
    ):
        if not stream:
            reply = await client.create(f"{provider}/m", "Hi.")
        else:
            async with client.stream(f"{provider}/m", "Hi.") as opened:
                reply = await opened.get_final_completion()
        assert reply.info.status_code == 200
        return reply.text, reply.choices[0].finish_reason


@plain_and_stream
@every_type
@pytest.mark.parametrize("body", REPLIES.values(), ids=REPLIES)
async def test_a_reply_is_read_as_what_it_is(body: bytes, label: str | None, stream: bool) -> None:
    """A reply under a wrong content type, or one that was streamed unasked, would be lost."""
    whole = head(200, labelled(label) | {"Content-Length": str(len(body))})
    for step in (body, body[:3]):
        assert await ask(stream, whole + step, 0.002, body[len(step) :]) == ("Hello.", "stop")


@plain_and_stream
@every_type
@pytest.mark.parametrize("provider", ["openai", "ollama"])
@pytest.mark.parametrize("page", [b"<html><title>Log in</title>...", b"\n<!doctype html><H1>Log in</H1>\n"])
async def test_a_web_page_is_an_error_with_its_title(
    page: bytes, provider: str, label: str | None, stream: bool
) -> None:
    """A captive portal would be an empty reply, or an error full of markup."""
    with pytest.raises(APIResponseError) as caught:
        await ask(stream, head(200, labelled(label) | {"Content-Length": str(len(page))}) + page, provider=provider)
    assert caught.value.message == "the answer is a web page: Log in"
    assert caught.value.body == page.decode()
    assert caught.value.status_code == 200


@plain_and_stream
@every_type
@pytest.mark.parametrize("provider", ["openai", "anthropic", "cohere", "ollama", "bedrock"])
async def test_the_error_for_a_text_has_it(provider: str, label: str | None, stream: bool) -> None:
    """A proxy's message with a good status would be lost."""
    body = b"\nThe upstream is gone."
    with pytest.raises((APIResponseError, StreamInterruptedError)) as caught:
        await ask(stream, head(200, labelled(label) | {"Content-Length": "22"}) + body, provider=provider)
    assert "The upstream is gone." in (caught.value.body or "")


@plain_and_stream
@every_type
@pytest.mark.parametrize("lost", [1, 2, len(CHUNKS[2]) + 6, len(CHUNKS[2]) + 8])
async def test_a_last_event_that_is_cut_does_not_count(lost: int, label: str | None, stream: bool) -> None:
    """A reply would look complete although its end is missing."""
    body = EVENTS.rstrip()[:-lost]
    with pytest.raises(StreamInterruptedError):
        await ask(stream, head(200, labelled(label) | {"Content-Length": str(len(body))}) + body)


@plain_and_stream
@every_type
@pytest.mark.parametrize("lines", [1, 2])
async def test_objects_per_line_that_are_cut_are_no_reply(lines: int, label: str | None, stream: bool) -> None:
    """A reply would look complete although lines are missing: the first line alone is like a whole reply."""
    body = b"\n".join(CHUNKS[:lines]) + b"\n"
    with pytest.raises((APIResponseError, StreamInterruptedError)):
        await ask(stream, head(200, labelled(label) | {"Content-Length": str(len(body))}) + body)


@pytest.mark.parametrize("body", [EVENTS.rstrip(), EVENTS.rstrip() + b"\n"])
async def test_a_last_event_before_a_lost_connection_does_not_count(body: bytes) -> None:
    """An event that the loss of the connection cut would be taken for a whole one."""
    with pytest.raises(StreamInterruptedError):
        await ask(True, STREAM, piece(body), FIN)
    assert await ask(True, STREAM, piece(body), END) == ("Hello.", "stop")


@plain_and_stream
@every_type
@pytest.mark.parametrize(
    "body",
    [
        b'data: {"error": {"message": "Slow.", "code": "c"}}\n\n',
        b'event: error\ndata: {"message": "Slow.", "code": "c"}',
    ],
)
async def test_a_bad_status_with_an_event_is_that_error(body: bytes, label: str | None, stream: bool) -> None:
    """An error's message would be the raw event, and its code be lost."""
    with pytest.raises(RateLimitError) as caught:
        await ask(stream, head(429, labelled(label) | {"Content-Length": str(len(body))}) + body)
    assert (caught.value.message, caught.value.code) == ("Slow.", "c")


@plain_and_stream
@every_type
@pytest.mark.parametrize("start", [b"data: ", b""], ids=["event", "line without a field"])
@pytest.mark.parametrize("end", [b"\n\n", b"\n", b"", b"\n\ndata: [DONE]\n\n"])
async def test_an_error_event_in_a_good_status_is_an_error(
    start: bytes, end: bytes, label: str | None, stream: bool
) -> None:
    """A failure would be a reply, or one without the provider's words."""
    body = EVENTS[: -len(CHUNKS[2]) - 8] + start + b'{"error": {"message": "Slow.", "code": 429}}' + end
    with pytest.raises(RateLimitError) as caught:
        await ask(stream, head(200, labelled(label) | {"Content-Length": str(len(body))}) + body)
    assert (caught.value.message, caught.value.status_code) == ("Slow.", 429)


# --- other dialects --------------------------------------------------------------------------------------------------


def named(*events: dict[str, Any]) -> bytes:
    return b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events)


ANTHROPIC = (
    {"type": "message_start", "message": {"id": "r", "role": "assistant", "model": "m", "usage": {"input_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello."}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
    {"type": "message_stop"},
)
COHERE = (
    {"type": "message-start", "id": "r", "delta": {"message": {"role": "assistant", "content": []}}},
    {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
    {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "Hello."}}}},
    {"type": "content-end", "index": 0},
    {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": {}}},
)
OLLAMA = b"".join(
    json.dumps({"model": "m", "created_at": "2026-08-04T19:58:20Z", "message": {"content": text}, **rest}).encode()
    + b"\n"
    for text, rest in (("Hel", {"done": False}), ("lo.", {"done": False}), ("", {"done": True, "done_reason": "stop"}))
)
FORMATS = {
    "anthropic": named(*ANTHROPIC),
    "anthropic, last event without its blank line": named(*ANTHROPIC).rstrip(),
    "anthropic, no end marker, and no blank line": named(*ANTHROPIC[:-1]).rstrip(),
    "cohere": named(*COHERE),
    "cohere, last event without its blank line": named(*COHERE).rstrip(),
    "ollama": OLLAMA,
    "ollama, last line without its end": OLLAMA.rstrip(),
    "ollama, other line ends and blank lines": b"\r\n \n" + OLLAMA.replace(b"\n", b"\r\n\n"),
    "ollama, one line": OLLAMA.splitlines()[-1].replace(b'"content": ""', b'"content": "Hello."'),
}


async def ask_format(name: str, body: bytes, label: str | None, stream: bool) -> tuple[str, str | None]:
    provider = name.partition(",")[0]
    whole = head(200, labelled(label) | {"Content-Length": str(len(body))}) + body
    return await ask(stream, whole, provider=provider)


@plain_and_stream
@every_type
@pytest.mark.parametrize("name", FORMATS)
async def test_every_dialect_reads_events_as_events(name: str, label: str | None, stream: bool) -> None:
    """A reply in another format than OpenAI's would be lost for its content type, or for its last blank line."""
    assert await ask_format(name, FORMATS[name], label, stream) == ("Hello.", "stop")


@plain_and_stream
@pytest.mark.parametrize(
    "name", ["anthropic, no end marker, and no blank line", "cohere, last event without its blank line"]
)
async def test_no_dialect_reads_a_cut_event(name: str, stream: bool) -> None:
    """A reply would look complete although its end is missing."""
    for lost in (1, 2, 20):
        with pytest.raises(StreamInterruptedError):
            await ask_format(name, FORMATS[name][:-lost], "text/event-stream", stream)


@plain_and_stream
async def test_no_line_of_json_is_read_that_is_cut(stream: bool) -> None:
    """A reply would look complete although the end of its last line is missing."""
    for lost in (2, 3, 20):
        with pytest.raises((StreamInterruptedError, APIResponseError)):
            await ask_format("ollama", OLLAMA[:-lost], "application/x-ndjson", stream)
