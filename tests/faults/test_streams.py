"""Streams that are cut, malformed, stalled or too fast: never silently short, and nothing that arrived is lost."""

import asyncio
import gzip
import itertools
import json
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from operator import length_hint
from random import Random
from typing import Any

import pytest

from anycompletion import (
    APIConnectionError,
    APIResponseError,
    APITimeoutError,
    AsyncCompletion,
    AuthenticationError,
    ChatCompletion,
    CompletionError,
    CompletionStream,
    ContentPolicyViolationError,
    ContextWindowExceededError,
    InternalServerError,
    OverloadedError,
    QuotaExceededError,
    RateLimitError,
    StreamInterruptedError,
    Timeout,
)
from faults import certificates
from faults.harness import FAULT, PROMPT, Stage, ask, client_to, covers, fails, fault
from support.raw_server import (
    DONE,
    END,
    FIN,
    REQUEST,
    RESET,
    STALL,
    STREAM,
    WHOLE,
    RawServer,
    Step,
    answer,
    event,
    head,
    piece,
)
from support.resource_leaks import nothing_left, pools

EVENTS = {"Content-Type": "text/event-stream"}
UNTIL_CLOSED = head(200, EVENTS | {"Connection": "close"})
"""The head of a streamed response that ends with the connection."""


def chunk_data(text: str | None = None, finish_reason: str | None = None, **members: Any) -> bytes:
    """The data of one event in OpenAI's format."""
    choice = {"index": 0, "delta": {} if text is None else {"content": text}, "finish_reason": finish_reason}
    return json.dumps({"id": "reply-1", "model": "m", "choices": [choice], **members}, ensure_ascii=False).encode()


def data(*values: bytes, end: bytes = b"\n") -> bytes:
    """Events with these data."""
    return b"".join(b"data: " + value + end + end for value in values)


async def collect(stream: CompletionStream, texts: list[str]) -> None:
    """Reads to the end into `texts`, which keeps what arrived before an error."""
    async for text in stream.text:
        texts.append(text)


async def kept(stage: Stage) -> int:
    """The number of kept connections, after all responses have ended."""
    while any(pool.in_flight for pool in pools(stage.client)):
        await asyncio.sleep(0.005)
    return stage.kept


def begin(client: AsyncCompletion, **options: Any) -> CompletionStream:
    return client.stream("openai/m", PROMPT, **options)


# --- framing of events -----------------------------------------------------------------------------------------------

HELLO, THERE, STOP = chunk_data("Hel"), chunk_data("lo."), chunk_data(finish_reason="stop")
LINES = b"".join(b"data:" + line + b"\n" for line in json.dumps(json.loads(HELLO), indent=1).encode().split(b"\n"))

FORMS: Mapping[str, tuple[str, bytes]] = {
    "lf": ("F30", data(HELLO, THERE, STOP, b"[DONE]")),
    "cr": ("F30", data(HELLO, THERE, STOP, b"[DONE]", end=b"\r")),
    "crlf": ("F30", data(HELLO, THERE, STOP, b"[DONE]", end=b"\r\n")),
    "mixed": ("F30", data(HELLO) + data(THERE, end=b"\r") + data(STOP, end=b"\r\n") + data(b"[DONE]")),
    "a mark": ("F31", b"\xef\xbb\xbf" + data(HELLO, THERE, STOP, b"[DONE]")),
    "a mark, and a second": ("F31", b"\xef\xbb\xbf\xef\xbb\xbfid: 1\n" + data(HELLO, THERE, STOP, b"[DONE]")),
    "comments": ("F32", b": hi\n\n:\n" + data(HELLO) + b": keep-alive\n\n" * 3 + data(THERE, STOP, b"[DONE]")),
    "no data": ("F32", b"event: ping\n\nid: 1\n\nretry: 9\n\n" + data(HELLO, THERE, STOP, b"[DONE]")),
    "several lines of data": ("F33", LINES + b"\n" + data(THERE, STOP, b"[DONE]")),
    "no space, other fields": ("F33", b"foo: bar\nfoo\ndata:" + HELLO + b"\nid\n\n" + data(THERE, STOP, b"[DONE]")),
    "a name": ("F33", b"event: message\n" + data(HELLO, THERE, STOP, b"[DONE]")),
}


def drip(body: bytes) -> list[Step]:
    """A body byte by byte, with an iteration of the loop after each."""
    return [step for byte in body for step in (piece(bytes([byte])), 0.0)]


@pytest.mark.parametrize("name", [pytest.param(name, marks=covers(row)) for name, (row, _) in FORMS.items()])
async def test_events_in_any_framing_and_in_any_pieces_are_read_alike(name: str) -> None:
    """A valid stream of some server or proxy would be misread, or read correctly only on a fast network."""
    body = FORMS[name][1]
    async with Stage((REQUEST, STREAM, piece(body) + END, REQUEST, STREAM, *drip(body), END, STALL)) as stage:
        assert await ask(stage.client, "stream") == "Hello."
        assert await ask(stage.client, "stream") == "Hello."
        assert (stage.server.connections, await kept(stage)) == (1, 1)


@covers("F32")
async def test_comments_do_not_count_as_the_first_event() -> None:
    """A provider that only sends keep-alive comments would block a caller for ever."""
    comments = [step for _ in range(100) for step in (piece(b": keep-alive\n\n"), 0.02)]
    async with Stage((REQUEST, STREAM, *comments, STALL), timeout=Timeout(first_chunk=0.2, idle=5)) as stage:
        error = await fails(ask(stage.client, "stream"), APITimeoutError, phase="first_chunk", status_code=200)
        assert error.partial is None
        assert (stage.requests, await kept(stage)) == (1, 0)


@covers("F34")
async def test_characters_that_only_look_like_line_separators_are_text() -> None:
    """A text with a line separator in it would be cut there, as `str.splitlines` cuts it."""
    text = "a\u2028b\u2029c\x85d"
    async with Stage((REQUEST, STREAM, *drip(data(chunk_data(text), STOP, b"[DONE]")), END, STALL)) as stage:
        assert await ask(stage.client, "stream") == text
        assert await kept(stage) == 1


@covers("F35")
async def test_split_characters_are_joined_and_invalid_ones_are_replaced() -> None:
    """An emoji cut in two would become four question marks, and one invalid byte would lose the reply."""
    body = data(chunk_data("€\U0001f600é"), chunk_data("x").replace(b"x", b"\xff\xe2\x82"), STOP, b"[DONE]")
    async with Stage((REQUEST, STREAM, *drip(body), END, STALL)) as stage:
        assert await ask(stage.client, "stream") == "€\U0001f600é\ufffd\ufffd"
        assert await kept(stage) == 1


LARGE = {
    "a line of 100 KB": chunk_data("x" * 100_000),
    "a line of 10 MB": chunk_data("x" * 10_000_000),
    "100,000 lines": HELLO[:1] + b"\ndata:" * 100_000 + HELLO[1:],
}


@covers("F36")
@pytest.mark.parametrize("name", LARGE)
async def test_large_events_are_read(name: str) -> None:
    """An image in an event would be refused, or would block the event loop."""
    body = data(LARGE[name], STOP, b"[DONE]")
    async with Stage((REQUEST, STREAM, piece(body), END, STALL)) as stage:
        texts: list[str] = []
        await collect(begin(stage.client), texts)
        assert len(texts[0]) in (3, 100_000, 10_000_000)
        assert await kept(stage) == 1


TOO_LARGE = {
    "a line": b"data: " + b"x" * 68_000_000,
    "many lines": (b"data: " + b"x" * 1000 + b"\n") * 68_000,
    "a line without data": b"x" * 68_000_000,
}


@covers("F36")
@pytest.mark.parametrize("name", TOO_LARGE)
async def test_an_event_without_end_is_refused(name: str) -> None:
    """A server that never ends an event would fill the memory, and what came before it would be lost."""
    async with Stage((REQUEST, STREAM, event("Hel"), piece(TOO_LARGE[name]), STALL), max_retries=2) as stage:
        texts: list[str] = []
        error = await fails(collect(begin(stage.client), texts), APIResponseError, status_code=200, maybe_billed=True)
        assert "longer than" in str(error)
        assert partial_text(error) == "".join(texts) == "Hel"
        assert (stage.requests, await kept(stage)) == (1, 0)


def partial_text(error: CompletionError) -> str | None:
    return None if error.partial is None else error.partial.text


# --- ends ------------------------------------------------------------------------------------------------------------

GOOD_ENDS: Mapping[str, tuple[str, Sequence[Step], int]] = {
    "an end marker": ("F37", WHOLE, 1),
    "no end marker": ("F37", (STREAM, event("Hello."), event(finish_reason="stop"), END), 1),
    "no end marker, usage last": (
        "F37",
        (STREAM, event("Hello."), event(finish_reason="stop"), event(choices=[], usage={"total_tokens": 3}), END),
        1,
    ),
    "no end marker, connection closed": (
        "F37",
        (UNTIL_CLOSED, data(chunk_data("Hello."), STOP), FIN),
        0,
    ),
    "no end marker, chunks cut": ("F37", (STREAM, event("Hello."), event(finish_reason="stop"), FIN), 0),
    "no end marker, reset": ("F37", (STREAM, event("Hello."), event(finish_reason="stop"), 0.05, RESET), 0),
    "an end marker and no finish reason": ("F37", (STREAM, event("Hello."), DONE + END), 1),
    "two end markers": ("F40", (STREAM, event("Hello."), event(finish_reason="stop"), DONE + DONE + END), 1),
    "events after the end": (
        "F40",
        (STREAM, event("Hello."), event(finish_reason="stop"), DONE + event("gh") + END),
        1,
    ),
    "events later": ("F40", (STREAM, event("Hello."), event(finish_reason="stop"), DONE, 0.01, event("gh"), END), 1),
    "nonsense after the end": ("F40", (STREAM, event("Hello."), DONE + piece(b"data: {]\n\n") + END), 1),
    "the end of the body later": ("F40", (STREAM, event("Hello."), event(finish_reason="stop"), DONE, 0.01, END), 1),
    "connection held open": ("F40", (STREAM, event("Hello."), event(finish_reason="stop"), DONE, STALL), 0),
    "cut after the end": ("F40", (STREAM, event("Hello."), event(finish_reason="stop"), DONE, FIN), 0),
    "endless after the end": (
        "F40",
        (STREAM, event("Hello."), event(finish_reason="stop"), DONE, *(event("ghost"), 0.005) * 200, STALL),
        0,
    ),
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=covers(row)) for name, (row, *_) in GOOD_ENDS.items()])
async def test_a_stream_with_a_finish_reason_is_complete(name: str) -> None:
    """Complete streams would be reported as cut, or later bytes be read as part of them."""
    _, script, connections = GOOD_ENDS[name]
    async with Stage((REQUEST, *script, STALL), max_retries=2, timeout=Timeout(idle=5)) as stage:
        stream = begin(stage.client)
        final = await stream.get_final_completion()
        assert final.text == "Hello."
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        assert stage.requests == 1
        assert await kept(stage) == connections


PART = (STREAM, event("Hel"))
CUT = {"status_code": 200, "maybe_billed": True, "retryable": False}


def cut(row: str, name: str, *script: Step) -> Any:
    """A stream that ends without a finish reason."""
    return fault(row, name, (REQUEST, *script), StreamInterruptedError, **CUT)


BAD_ENDS = (
    cut("F38", "a clean end", *PART, END, STALL),
    cut("F38", "a clean end with usage", *PART, event(choices=[], usage={"total_tokens": 3}), END, STALL),
    cut("F38", "an empty finish reason", *PART, event(finish_reason=""), END, STALL),
    cut("F38", "a clean end inside an event", *PART, piece(b'data: {"choices": [{"del'), END, STALL),
    cut("F38", "a clean end one byte before a whole event", *PART, piece(b"data: " + STOP[:-1]), END, STALL),
    cut("F39", "closed after a whole event without its blank line", *PART, piece(b"data: " + STOP), FIN),
    cut("F38", "a clean end inside a marker", *PART, piece(b"data: [DO"), END, STALL),
    cut("F38", "a connection's end", UNTIL_CLOSED, data(HELLO), FIN),
    cut("F38", "a connection's end inside an event", UNTIL_CLOSED, data(HELLO) + b"data: {", FIN),
    cut("F39", "closed", *PART, FIN),
    cut("F39", "closed inside a chunk", STREAM, event("Hel") + event("lo.")[:-20], FIN),
    cut("F39", "closed inside the size of a chunk", STREAM, event("Hel") + b"1", FIN),
    cut("F39", "reset", *PART, 0.05, RESET),
    cut("F39", "shorter than announced", head(200, EVENTS | {"Content-Length": "5000"}), data(HELLO), FIN),
)


@pytest.mark.parametrize(FAULT, BAD_ENDS)
async def test_a_stream_without_a_finish_reason_is_interrupted(
    script: Sequence[Step], cls: type[CompletionError], attributes: dict[str, Any], requests: int
) -> None:
    """Half a reply would be taken for a whole one, or be requested and billed again while it is read."""
    async with Stage(script, max_retries=2) as stage:
        texts: list[str] = []
        stream = begin(stage.client)
        error = await fails(collect(stream, texts), cls, **attributes)
        assert partial_text(error) == "".join(texts) == "Hel"
        assert stage.requests == requests
        # A body that ended as HTTP bodies do leaves a connection that can be used again, whatever was in it.
        assert await kept(stage) == script.count(END)
        with pytest.raises(cls) as caught:
            await anext(stream)
        assert caught.value is error


@covers("F38")
@pytest.mark.parametrize("reason", [None, "stop"])
async def test_a_tls_connection_that_ends_without_close_notify(reason: str | None) -> None:
    """A man in the middle could cut a reply short unnoticed."""
    body = UNTIL_CLOSED + data(chunk_data("Hello."), *([chunk_data(finish_reason=reason)] if reason else []))
    async with (
        Truncating(body) as server,
        client_to(server.url, ssl_context=certificates.trusting()) as client,
        nothing_left(client),
    ):
        texts: list[str] = []
        if reason is None:
            await fails(collect(begin(client), texts), StreamInterruptedError, **CUT)
        else:
            await collect(begin(client), texts)
        assert texts == ["Hello."]


class Truncating:
    """TLS server that responds, and drops the connection without TLS's close_notify."""

    def __init__(self, response: bytes) -> None:
        self._response = response

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> "Truncating":
        context: ssl.SSLContext = certificates.valid()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}")
        writer.write(self._response)
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.transport.abort()


UNSEEN: Mapping[str, Sequence[Step]] = {
    "a clean end": (STREAM, piece(b": hi\n\n"), END),
    "an empty body": (head(200, EVENTS | {"Content-Length": "0"}),),
    "an end marker alone": (STREAM, DONE, END),
    "reset": (STREAM, 0.02, RESET),
    "an error of the server": (STREAM, piece(b'data: {"error": {"message": "no", "code": 503}}\n\n'), END),
}


@covers("F38", "F39", "F42")
@pytest.mark.parametrize("name", UNSEEN)
async def test_failures_before_the_first_chunk_are_retried(name: str) -> None:
    """Callers who have received nothing yet would have to retry themselves."""
    async with Stage((REQUEST, *UNSEEN[name]), (REQUEST, *WHOLE, STALL), max_retries=1) as stage:
        stream = begin(stage.client)
        assert (await stream.get_final_completion()).text == "Hello."
        assert (stage.requests, stream.info.attempts) == (2, 2)


ARRIVED = (STREAM, *(event(f"{i} ") for i in range(5)))
BUSY: Mapping[str, tuple[Sequence[Step], type[CompletionError], str]] = {
    "reset": ((0.05, RESET), StreamInterruptedError, "body"),
    "closed": ((FIN,), StreamInterruptedError, "body"),
    "closed inside a chunk": ((event("lost")[:-9], FIN), StreamInterruptedError, "body"),
    "stalled": ((STALL,), APITimeoutError, "idle"),
}


@covers("F39", "F45")
@pytest.mark.parametrize("name", BUSY)
async def test_a_busy_consumer_loses_nothing_that_arrived(name: str) -> None:
    """Bytes that are billed and have arrived would be dropped because the connection broke in the meantime."""
    ending, cls, phase = BUSY[name]
    async with Stage((REQUEST, *ARRIVED, *ending), timeout=Timeout(idle=0.1)) as stage:
        stream = begin(stage.client)
        texts = [await anext(stream.text)]
        await asyncio.sleep(0.15)
        error = await fails(collect(stream, texts), cls, phase=phase, status_code=200, maybe_billed=True)
        assert texts == ["0 ", "1 ", "2 ", "3 ", "4 "]
        assert partial_text(error) == "0 1 2 3 4 "
        assert (stage.requests, await kept(stage)) == (1, 0)


# --- malformed events ------------------------------------------------------------------------------------------------

MALFORMED = {
    "no JSON": b'{"choices": [',
    "a word": b"ok",
    "a list": b"[]",
    "a number": b"1" * 5000,
    "choices that are a text": b'{"choices": "x"}',
    "a choice that is a list": b'{"choices": [[]]}',
    "a delta that is a text": b'{"choices": [{"delta": "x"}]}',
    "nested 100,000 deep": b'{"choices": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a web page": b"<html>",
}


@covers("F41")
@pytest.mark.parametrize("name", MALFORMED)
async def test_an_event_that_cannot_be_parsed_is_an_error_that_names_it(name: str) -> None:
    """A part of the reply would be missing unnoticed, or the exception of a parser reach the caller."""
    script = (REQUEST, STREAM, event("Hel") + piece(data(MALFORMED[name])) + event("lo."), STALL)
    async with Stage(script, max_retries=2) as stage:
        texts: list[str] = []
        error = await fails(
            collect(begin(stage.client), texts), APIResponseError, status_code=200, retryable=False, maybe_billed=True
        )
        assert "event 2 of the stream cannot be read: " in str(error)
        assert partial_text(error) == "".join(texts) == "Hel"
        assert (stage.requests, await kept(stage)) == (1, 0)


ODD = {
    "a choice that is null": b'{"choices": [null]}',
    "an index that is a text": b'{"choices": [{"index": "0"}]}',
    "an index that is not a whole number": b'{"choices": [{"index": 0.5}]}',
    "a finish reason that is an object": b'{"choices": [{"finish_reason": {}}]}',
    "a call that is null": b'{"choices": [{"delta": {"tool_calls": [null]}}]}',
    "a call that is no list": b'{"choices": [{"delta": {"tool_calls": {"index": 0, "function": {"name": "f"}}}}]}',
    "arguments that are an object": b'{"choices": [{"delta": {"tool_calls": [{"function": {"arguments": {}}}]}}]}',
    "usage that is a text": b'{"choices": [], "usage": "x"}',
    "nothing": b"",
}


@covers("F41")
@pytest.mark.parametrize("name", ODD)
async def test_an_event_with_an_odd_type_does_not_end_the_stream(name: str) -> None:
    """One odd field in an event would cost the reply, which is billed."""
    odd = piece(data(ODD[name]))
    script = (REQUEST, STREAM, event("Hel") + odd + event("lo."), event(finish_reason="stop"), DONE + END, STALL)
    async with Stage(script) as stage:
        texts: list[str] = []
        await collect(begin(stage.client), texts)
        assert "".join(texts) == "Hello."


@covers("F41")
async def test_a_malformed_first_event_is_not_retried() -> None:
    """A server with another format would bill three such responses."""
    async with Stage((REQUEST, STREAM, piece(data(b"[]")), STALL), max_retries=2) as stage:
        error = await fails(ask(stage.client, "stream"), APIResponseError, status_code=200, maybe_billed=True)
        assert error.partial is None
        assert (stage.requests, await kept(stage)) == (1, 0)


HARMLESS = (
    b"{}",
    b'{"choices": null}',
    b"null",
    b'{"choices": []}',
    b'{"choices": [{}]}',
    b'{"choices": [{"delta": null}]}',
    b'{"choices": [{"delta": {"content": null, "tool_calls": null}, "logprobs": null}]}',
    b'{"choices": [{"delta": {}, "finish_reason": null, "unknown": {"a": [1]}}], "unknown": NaN}',
    b'{"id": null, "created": null, "model": null, "choices": [], "usage": null}',
)


@covers("F41")
async def test_missing_null_and_unknown_members_are_ignored() -> None:
    """Streams of a server that omits empty members would be refused."""
    odd = piece(data(*HARMLESS))
    async with Stage((REQUEST, STREAM, odd, event("Hel"), odd, event("lo."), odd, *WHOLE[-2:], STALL)) as stage:
        assert await ask(stage.client, "stream") == "Hello."
        assert await kept(stage) == 1


def call(index: int, arguments: str, call_id: str | None = None, name: str | None = None) -> bytes:
    function = {"arguments": arguments} if name is None else {"arguments": arguments, "name": name}
    delta = {"tool_calls": [{"index": index, "function": function} | ({"id": call_id} if call_id else {})]}
    return piece(data(json.dumps({"choices": [{"index": 0, "delta": delta}]}).encode()))


@covers("F41")
async def test_interleaved_pieces_of_tool_calls_with_large_indexes_are_joined() -> None:
    """The arguments of one call would end up in another, or a large index take a gigabyte."""
    script = (
        call(10**9, "", "b", "second"),
        call(0, '{"x"', "a", "first"),
        call(10**9, '{"y": '),
        call(0, ": 1}"),
        call(10**9, "2}"),
    )
    async with Stage((REQUEST, STREAM, *script, event(finish_reason="tool_calls"), DONE + END, STALL)) as stage:
        final = await begin(stage.client).get_final_completion()
        calls = final.choices[0].message.tool_calls or []
        assert [(each.id, each.function.name, each.function.arguments) for each in calls] == [
            ("a", "first", '{"x": 1}'),
            ("b", "second", '{"y": 2}'),
        ]


# --- errors inside a stream ------------------------------------------------------------------------------------------


def openai_error(error: Any, name: str = "", **members: Any) -> bytes:
    head = f"event: {name}\n".encode() if name else b""
    return piece(head + data(json.dumps({"error": error, **members}).encode()))


QUOTA = {"message": "You exceeded your quota.", "type": "insufficient_quota", "code": "insufficient_quota"}
FAILED = {"code": 502, "message": "Upstream failed", "metadata": {"error_type": "provider_unavailable"}}
ERRORS: Mapping[str, tuple[bytes, type[CompletionError], dict[str, Any]]] = {
    "an object": (
        openai_error({"message": "no", "code": "server_error"}),
        InternalServerError,
        {"code": "server_error"},
    ),
    "a text": (openai_error("it broke"), InternalServerError, {"message": "it broke"}),
    "a text with a status": (openai_error("slow down", code=429), RateLimitError, {"status_code": 429}),
    "quota": (openai_error(QUOTA), QuotaExceededError, {"code": "insufficient_quota", "retryable": False}),
    "overloaded": (openai_error({"message": "busy", "type": "overloaded_error"}), OverloadedError, {}),
    "a number for a code": (openai_error({"message": "key", "code": 401}), AuthenticationError, {"status_code": 401}),
    "too long": (openai_error({"code": "context_length_exceeded"}), ContextWindowExceededError, {}),
    "filtered": (openai_error({"code": "content_filter", "message": "no"}), ContentPolicyViolationError, {}),
    "an event named error": (openai_error({"message": "no"}, "error"), InternalServerError, {}),
    "an event named error that is a text": (piece(b"event: error\ndata: it broke\n\n"), InternalServerError, {}),
    "beside a choice": (event("", "error", error=FAILED), CompletionError, {"code": "502", "status_code": 502}),
    "a finish reason": (event("", "error"), InternalServerError, {}),
}


@covers("F42")
@pytest.mark.parametrize("name", ERRORS)
async def test_an_error_inside_a_stream_is_raised_with_the_partial_reply(name: str) -> None:
    """A provider's failure would be taken for the end of the reply, or for a broken connection."""
    reported, cls, attributes = ERRORS[name]
    async with Stage((REQUEST, STREAM, event("Hel") + reported + event("ghost"), STALL), max_retries=2) as stage:
        texts: list[str] = []
        with pytest.raises(cls) as caught:
            await collect(begin(stage.client), texts)
        error = caught.value
        assert {each: getattr(error, each) for each in attributes} == attributes
        assert (error.attempts, error.maybe_billed) == (1, True)
        assert partial_text(error) == "".join(texts) == "Hel"
        assert (stage.requests, await kept(stage)) == (1, 0)


@asynccontextmanager
async def anthropic(*scripts: Sequence[Step], **options: Any) -> AsyncGenerator[tuple[RawServer, AsyncCompletion]]:
    """A server and a client for Anthropic's format."""
    async with RawServer(*scripts) as server:
        urls, keys = {"anthropic": server.url}, {"anthropic": "key"}
        async with AsyncCompletion(base_urls=urls, api_keys=keys, **options) as client, nothing_left(client):
            yield server, client


def named(kind: str, **members: Any) -> bytes:
    return piece(f"event: {kind}\n".encode() + data(json.dumps({"type": kind, **members}).encode()))


BEGUN = (
    named("message_start", message={"id": "msg_1", "model": "m", "usage": {"input_tokens": 3}}),
    named("content_block_start", index=0, content_block={"type": "text", "text": ""}),
    named("content_block_delta", index=0, delta={"type": "text_delta", "text": "Hel"}),
)
STOPPED = named("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 3})
ANTHROPIC_ENDS: Mapping[str, tuple[Sequence[Step], type[CompletionError] | None]] = {
    "overloaded": ((named("error", error={"type": "overloaded_error", "message": "Overloaded"}),), OverloadedError),
    "no stop reason": ((named("content_block_stop", index=0), END), StreamInterruptedError),
    "an end marker without a stop reason": ((named("message_stop"), END), None),
    "no end marker": ((STOPPED, END), None),
    "malformed": ((named("content_block_delta", index=7, delta={}),), APIResponseError),
}


@covers("F37", "F38", "F41", "F42")
@pytest.mark.parametrize("name", ANTHROPIC_ENDS)
async def test_other_formats_end_and_fail_by_the_same_rules(name: str) -> None:
    """The guarantees for OpenAI's streams would not hold for other formats."""
    ending, cls = ANTHROPIC_ENDS[name]
    async with anthropic((REQUEST, STREAM, *BEGUN, *ending, STALL), max_retries=2) as (server, client):
        texts: list[str] = []
        stream = client.stream("anthropic/m", PROMPT, max_tokens=9)
        if cls is None:
            await collect(stream, texts)
        else:
            error = await fails(collect(stream, texts), cls, provider="anthropic", maybe_billed=True)
            assert partial_text(error) == "Hel"
        assert texts == ["Hel"]
        assert len(server.requests) == 1


# --- not a stream ----------------------------------------------------------------------------------------------------


@covers("F43")
async def test_a_whole_reply_instead_of_a_stream_is_one_chunk() -> None:
    """A gateway that cannot stream would return an empty text."""
    async with Stage((REQUEST, answer(), STALL)) as stage:
        stream = begin(stage.client)
        chunks = [chunk async for chunk in stream]
        assert [chunk.choices[0].delta.content for chunk in chunks] == ["Hello."]
        assert chunks[0].choices[0].finish_reason == "stop"
        assert (stage.requests, await kept(stage)) == (1, 1)


HTML = {"Content-Type": "text/html; charset=utf-8"}
NO_STREAM: Mapping[str, tuple[bytes, type[CompletionError], dict[str, Any], int, int]] = {
    "a web page": (answer(b"<html>Log in</html>", 200, HTML), APIResponseError, {"retryable": False}, 2, 1),
    "an error": (answer({"error": {"message": "no", "code": "insufficient_quota"}}), QuotaExceededError, {}, 2, 1),
    "an error that may pass": (answer({"error": {"message": "no", "code": "overloaded"}}), OverloadedError, {}, 1, 2),
    "an error as an event": (
        answer(b'data: {"error": {"message": "no", "code": 401}}\n\n', 200, EVENTS),
        AuthenticationError,
        {"status_code": 401},
        2,
        1,
    ),
    "JSON of another shape": (answer({"answer": 42}), APIResponseError, {"retryable": False}, 2, 1),
    "no JSON": (answer(b"{", 200), APIResponseError, {"retryable": False}, 2, 1),
    "nothing": (answer(b"", 200, EVENTS), StreamInterruptedError, {"retryable": True}, 0, 1),
    "a text": (answer(b"It works!", 200, {"Content-Type": "text/plain"}), StreamInterruptedError, {}, 0, 1),
}
"""Name → response, error class, its attributes, retries allowed, and requests made."""


@covers("F44")
@pytest.mark.parametrize("name", NO_STREAM)
async def test_something_else_instead_of_a_stream_is_an_error_before_the_first_chunk(name: str) -> None:
    """A captive portal would be read as an empty reply."""
    body, cls, attributes, retries, requests = NO_STREAM[name]
    async with Stage((REQUEST, body, REQUEST, body, STALL), max_retries=retries) as stage:
        texts: list[str] = []
        error = await fails(collect(begin(stage.client), texts), cls, attempts=requests, **attributes)
        assert (texts, partial_text(error) or "") == ([], "")
        assert stage.requests == requests


# --- slow servers, slow consumers ------------------------------------------------------------------------------------

STALLED: Mapping[str, Sequence[Step]] = {
    "silent": (STALL,),
    "silent inside an event": (piece(b'data: {"cho'), STALL),
    "silent inside a chunk": (event("lost")[:-9], STALL),
    "a byte now and then": (*(piece(b":"), 0.25) * 20,),
}


@covers("F45")
@pytest.mark.parametrize("name", STALLED)
async def test_a_stalled_stream_ends_with_the_partial_reply(name: str) -> None:
    """A reader would wait for ever for a provider that has stopped."""
    async with Stage((REQUEST, *PART, *STALLED[name]), timeout=Timeout(idle=0.1), max_retries=2) as stage:
        texts: list[str] = []
        error = await fails(
            collect(begin(stage.client), texts), APITimeoutError, phase="idle", status_code=200, maybe_billed=True
        )
        assert partial_text(error) == "".join(texts) == "Hel"
        assert (stage.requests, await kept(stage)) == (1, 0)


@covers("F45")
async def test_an_endless_stream_is_bounded_by_an_explicit_total() -> None:
    """A server that sends something now and then would block a caller for ever."""
    script = (REQUEST, STREAM, *(event("x"), 0.02) * 400)
    async with Stage(script, timeout=Timeout(total=0.3), max_retries=2) as stage:
        texts: list[str] = []
        error = await fails(
            collect(begin(stage.client), texts), APITimeoutError, phase="total", status_code=200, maybe_billed=True
        )
        assert partial_text(error) == "".join(texts)
        assert set(texts) == {"x"}
        assert (stage.requests, await kept(stage)) == (1, 0)


MEGABYTE = 2**20
BLOCK = piece(data(*[chunk_data("x" * 1000)] * 900))
"""About a megabyte of events."""


@covers("F46")
async def test_a_slow_consumer_slows_the_server_down_and_gets_no_timeout() -> None:
    """A fast provider would fill the memory, or a slow consumer get a timeout of the provider."""
    blocks = 32
    script = (REQUEST, STREAM, *[BLOCK] * blocks, event(finish_reason="stop"), DONE + END, STALL)
    async with Stage(script, timeout=Timeout(idle=0.15, first_chunk=5), seconds=30) as stage:
        stream = begin(stage.client)
        await anext(stream)
        await asyncio.sleep(0.3)
        assert stage.server.steps < blocks / 2  # the rest waits at the server: kernels take a few megabytes
        inside: Any = stream
        buffered = inside._source._attempt.response._body._size + length_hint(inside._ready) * len(
            chunk_data("x" * 1000)
        )
        assert buffered < 1.5 * MEGABYTE
        count = 1
        async for chunk in stream:
            count += chunk.choices[0].delta.content is not None
            if count % 9000 == 0:
                await asyncio.sleep(0.2)
        assert count == blocks * 900


BURSTS: Mapping[str, tuple[Mapping[str, str], Callable[[bytes], bytes]]] = {
    "plain": ({}, bytes),
    "compressed": ({"Content-Encoding": "gzip"}, gzip.compress),
}


@covers("F47")
@pytest.mark.parametrize("name", BURSTS)
async def test_a_stream_that_is_always_ready_does_not_block_other_tasks(name: str) -> None:
    """One fast stream would block everything else in the process."""
    headers, encode = BURSTS[name]
    events = 20_000
    random = Random(1)  # noqa: S311 (text that compresses like text: zeros would be refused as a bomb)
    body = encode(data(*(chunk_data(random.randbytes(200).hex()) for _ in range(events)), STOP, b"[DONE]"))
    script = (REQUEST, head(200, {**EVENTS, **headers, "Content-Length": str(len(body))}), body, STALL)
    async with Stage(script, seconds=30) as stage:
        between: list[int] = []
        count = 0

        async def watch() -> None:
            while True:
                between.append(count)
                await asyncio.sleep(0)

        watcher = asyncio.create_task(watch())
        async for chunk in begin(stage.client):
            count += chunk.choices[0].finish_reason is None
        watcher.cancel()
        assert count == events
        most = max(b - a for a, b in itertools.pairwise(between))
        assert most * len(chunk_data("x" * 400)) < MEGABYTE  # returned between two iterations of the loop


def test_the_reply_of_this_table_is_a_completion() -> None:
    """The whole replies above would differ from what a provider sends."""
    assert ChatCompletion.from_dict(json.loads(answer().partition(b"\r\n\r\n")[2])).text == "Hello."
    assert issubclass(StreamInterruptedError, APIConnectionError)
