"""Bodies that are too much, encoded in ways nobody asked for, no JSON, or JSON of another shape."""

import gzip
import json
import zlib
from collections.abc import Sequence
from typing import Any

import pytest

from anycompletion import (
    APIResponseError,
    APIStatusError,
    ChatCompletion,
    CompletionError,
    InternalServerError,
    OverloadedError,
    QuotaExceededError,
    RateLimitError,
    ServiceUnavailableError,
    StreamInterruptedError,
)
from faults.harness import BOTH_WAYS, FAULT, WAYS, Stage, Way, ask, covers, fails, fails_both_ways, fault
from support.raw_server import END, REQUEST, STALL, Step, answer, completion, head, piece

MEGABYTE = 1024 * 1024
TEXT = json.dumps(completion("Hello. " * 300)).encode()
HELLO = json.dumps(completion()).encode()

# --- encodings -----------------------------------------------------------------------------------------------------


def encoded(body: bytes, encoding: str, status: int = 200) -> bytes:
    """An answer in a content encoding."""
    return answer(body, status, {"Content-Encoding": encoding})


GOOD = {
    "gzip": encoded(gzip.compress(HELLO), "gzip"),
    "gzip in capitals": encoded(gzip.compress(HELLO), "GZIP"),
    "gzip in two members": encoded(gzip.compress(HELLO[:50]) + gzip.compress(HELLO[50:]), "gzip"),
    "deflate": encoded(zlib.compress(HELLO), "deflate"),
    "deflate without a head": encoded(zlib.compress(HELLO, wbits=-15), "deflate"),
    "none by name": encoded(HELLO, "identity"),
}


@covers("F21")
@pytest.mark.parametrize("said", GOOD.values(), ids=GOOD)
async def test_an_encoding_that_was_asked_for_is_read(said: bytes) -> None:
    """The tests below would pass with a client that reads no encoding at all."""
    async with Stage((REQUEST, said) * 2 + (STALL,)) as stage:
        for way in WAYS:
            assert await ask(stage.client, way) == "Hello."
            assert stage.kept == 1


FINAL: dict[str, Any] = {"status_code": 200, "retryable": False, "maybe_billed": True}


def unreadable(name: str, *said: Step) -> Any:
    """A body that cannot be decoded, from a server that then waits for what happens."""
    return fault("F21", name, (REQUEST, *said, STALL), APIResponseError, **FINAL)


SHORT = zlib.compress(TEXT)[:-20]
CUT_DEFLATE: tuple[Step, ...] = (
    head(200, {"Content-Type": "application/json", "Content-Encoding": "deflate", "Content-Length": str(len(SHORT))}),
    0.02,
    SHORT,
)

ENCODINGS = (
    unreadable("an encoding nobody knows", encoded(b"{}", "x-secret")),
    unreadable("gzip by its old name", encoded(gzip.compress(HELLO), "x-gzip")),
    unreadable("gzip twice", encoded(gzip.compress(gzip.compress(HELLO)), "gzip, gzip")),
    unreadable("two encodings", encoded(gzip.compress(zlib.compress(HELLO)), "deflate, gzip")),
    unreadable("nobody's gzip", encoded(HELLO, "gzip")),
    unreadable("nobody's deflate", encoded(HELLO, "deflate")),
    unreadable("gzip with something behind it", encoded(gzip.compress(HELLO) + b"and more", "gzip")),
    unreadable("gzip with another checksum", encoded(gzip.compress(TEXT)[:-8] + bytes(8), "gzip")),
    unreadable("gzip in 20,000 members", encoded(gzip.compress(b"") * 20_000 + gzip.compress(HELLO), "gzip")),
    unreadable("gzip cut short", encoded(gzip.compress(TEXT)[:-20], "gzip")),
    unreadable("deflate cut short", *CUT_DEFLATE),
)


@pytest.mark.parametrize(FAULT, ENCODINGS)
async def test_a_body_that_cannot_be_decoded_is_an_error_of_the_answer(
    script: Sequence[Step], cls: type[CompletionError], attributes: dict[str, Any], requests: int
) -> None:
    """Compressed bytes would be read as if they were none, or the request be paid for again."""
    for way in WAYS:
        async with Stage(script, max_retries=2) as stage:
            await fails(ask(stage.client, way), cls, **attributes)
            assert stage.requests == requests


@covers("F21")
@pytest.mark.parametrize("encoding", ["br", "zstd"])
@BOTH_WAYS
async def test_an_encoding_that_was_not_asked_for_is_refused_whoever_could_read_it(way: Way, encoding: str) -> None:
    """What a body may grow to would depend on which other packages are installed."""
    async with Stage((REQUEST, encoded(b"{}", encoding), STALL), max_retries=2) as stage:
        await fails(ask(stage.client, way), APIResponseError, retryable=False, maybe_billed=True)
        assert stage.requests == 1


@covers("F21")
async def test_an_error_in_an_unknown_encoding_is_still_that_error() -> None:
    """A gateway's odd body would hide what its status says."""
    async with Stage((REQUEST, encoded(b"\x00\x01\x02", "x-secret", 503), STALL)) as stage:
        error = await fails(ask(stage.client), ServiceUnavailableError, status_code=503)
        assert error.body in (None, "")


@covers("F21")
async def test_a_stream_cut_inside_its_compression_is_interrupted() -> None:
    """The text of half a stream would be taken for all of it."""
    events = b"".join(b"data: %s\n\n" % json.dumps(_chunk(f"{i} ")).encode() for i in range(200))
    cut = gzip.compress(events)[:-200]
    stream = {"Content-Type": "text/event-stream", "Content-Encoding": "gzip", "Transfer-Encoding": "chunked"}
    async with Stage((REQUEST, head(200, stream), piece(cut) + END, STALL)) as stage:
        error = await fails(ask(stage.client, "stream"), StreamInterruptedError, status_code=200)
        assert error.partial is not None
        assert error.partial.text.startswith("0 1 2 3 ")


def _chunk(text: str) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return {"id": "reply-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


# --- too much ------------------------------------------------------------------------------------------------------

JSON = {"Content-Type": "application/json"}
ENDLESS = head(200, JSON | {"Transfer-Encoding": "chunked"})


def bomb(compressor: Any, megabytes: int) -> bytes:
    """So many megabytes of nothing, in a thousandth of that."""
    packed = b"".join(compressor.compress(bytes(MEGABYTE)) for _ in range(megabytes))
    return packed + bytes(compressor.flush())


def large(row: str, name: str, *said: Step) -> Any:
    """A body that is too much."""
    return fault(row, name, (REQUEST, *said, STALL), APIResponseError, **FINAL)


BOMBS = (
    large("F21", "a gzip bomb", encoded(bomb(zlib.compressobj(wbits=31), 64), "gzip")),
    large("F21", "a deflate bomb", encoded(bomb(zlib.compressobj(), 64), "deflate")),
    large("F21", "a gzip bomb in members", encoded(bomb(zlib.compressobj(wbits=31), 1) * 200, "gzip")),
    large("F22", "10 GB announced", head(200, JSON | {"Content-Length": "10000000000"}), b"{"),
    large(
        "F22",
        "10 GB announced, compressed",
        head(200, JSON | {"Content-Length": "10000000000", "Content-Encoding": "gzip"}),
    ),
    large("F22", "chunks without end", ENDLESS, *[piece(b" " * MEGABYTE)] * 200),
)


@pytest.mark.parametrize(FAULT, BOMBS)
async def test_a_body_that_is_too_much_is_refused_before_it_is_read(
    script: Sequence[Step], cls: type[CompletionError], attributes: dict[str, Any], requests: int
) -> None:
    """One answer would fill the memory."""
    async with Stage(script, max_retries=2) as stage:
        error = await fails(ask(stage.client), cls, **attributes)
        assert "larger" in str(error)
        assert (stage.requests, stage.kept) == (requests, 0)
        assert stage.server.steps < 100


@covers("F21", "F22")
async def test_an_errors_body_is_read_up_to_a_limit() -> None:
    """An error page without end would fill the memory, or hide the status."""
    endless = head(500, {"Content-Type": "text/html", "Transfer-Encoding": "chunked"})
    packed = encoded(bomb(zlib.compressobj(wbits=31), 16), "gzip", 500)
    scripts: list[tuple[Step, ...]] = [
        (REQUEST, endless, *[piece(b"no " * 20_000)] * 100, STALL),
        (REQUEST, packed, STALL),
    ]
    for script in scripts:
        async with Stage(script) as stage:
            error = await fails(ask(stage.client), InternalServerError, status_code=500)
            assert len(error.body or "") <= 2048
            assert stage.kept == 0


# --- no JSON, or of another shape ----------------------------------------------------------------------------------


def shape(name: str, body: bytes | dict[str, Any] | list[Any], where: str = "") -> Any:
    """A good status with a body that is no reply, and the place that the error names."""
    return pytest.param(body if isinstance(body, bytes) else json.dumps(body).encode(), where, id=name)


def reply_with(**members: Any) -> dict[str, Any]:
    """A reply with other members."""
    return completion() | members


def message_with(**members: Any) -> dict[str, Any]:
    """A reply with other members in its message."""
    message = {"role": "assistant", "content": "Hello."} | members
    return reply_with(choices=[{"index": 0, "message": message, "finish_reason": "stop"}])


SHAPES = (
    shape("half of it", HELLO[: len(HELLO) // 2], "not JSON"),
    shape("words", b"Hello.", "not JSON"),
    shape("nothing", b"", "not JSON"),
    shape("white space", b" \n", "not JSON"),
    shape("two of them", HELLO + HELLO, "not JSON"),
    shape("bytes that are no text", b'{"choices": "\xff\xfe\xfa"}', "choices"),
    shape("null", b"null", "NoneType"),
    shape("a list", [], "list"),
    shape("a string", b'"Hello."', "str"),
    shape("a number", b"17", "int"),
    shape("100,000 brackets", b"[" * 100_000, "deep"),
    shape("100,000 objects", b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "deep"),
    shape("100,000 brackets inside", HELLO[:-1] + b', "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "deep"),
    shape("a time of a million digits", HELLO.replace(b'"created": 1', b'"created": ' + b"1" * 1_000_000)),
    shape("no choices", reply_with(choices=None), "choices"),
    shape("choices missing", {"id": "reply-1"}, "choices"),
    shape("choices empty", reply_with(choices=[]), "choices"),
    shape("choices a string", reply_with(choices="Hello."), "choices"),
    shape("a choice that is null", reply_with(choices=[None]), "choices[0]"),
    shape("a message that is text", reply_with(choices=[{"index": 0, "message": "Hello."}]), "choices[0].message"),
    shape("content that is a number", message_with(content=17), "choices[0].message.content"),
    shape("content that is an object", message_with(content={"text": "Hello."}), "choices[0].message.content"),
    shape("tool calls that are text", message_with(tool_calls="now"), "choices[0].message.tool_calls"),
    shape("usage that is text", reply_with(usage="much"), "usage"),
    shape("usage that counts in words", reply_with(usage={"prompt_tokens": "ten"}), "usage.prompt_tokens"),
    shape("a time that is no number", HELLO.replace(b'"created": 1', b'"created": NaN')),
    shape("a time without end", HELLO.replace(b'"created": 1', b'"created": Infinity')),
)


@covers("F23")
@pytest.mark.parametrize(("body", "where"), SHAPES)
async def test_a_body_of_another_shape_is_an_error_that_names_the_place(body: bytes, where: str) -> None:
    """A provider's slip would surface as a KeyError, a RecursionError or a None, far from where it was made."""
    async with Stage((REQUEST, answer(body)) * 2 + (STALL,), max_retries=2) as stage:
        for error in await fails_both_ways(stage, APIResponseError, kept=1, **FINAL):
            assert where in error.message
            assert len(error.body or "") <= 2048


LENIENT: dict[str, tuple[bytes, dict[str, Any]]] = {
    "members nobody knows": (json.dumps(message_with(mood="sunny")).encode(), {}),
    "a member twice": (HELLO[:-1] + b', "model": "z"}', {"model": "z"}),
    "no id, no model, no time": (json.dumps({"choices": [{"message": {"content": "Hello."}}]}).encode(), {"id": ""}),
    "no role": (json.dumps({"choices": [{"message": {"content": "Hello."}}]}).encode(), {}),
    "usage null": (json.dumps(reply_with(usage=None)).encode(), {"usage": None}),
    "error null": (json.dumps(reply_with(error=None)).encode(), {}),
    "a number of a million digits": (HELLO[:-1] + b', "x": ' + b"1" * 1_000_000 + b"}", {}),
    "white space around it": (b" \r\n" + HELLO + b"\n\n", {}),
}


@covers("F24")
@pytest.mark.parametrize(("body", "members"), LENIENT.values(), ids=LENIENT)
async def test_a_reply_that_says_more_or_less_than_expected_is_a_reply(body: bytes, members: dict[str, Any]) -> None:
    """Every new field of a provider, and every field one leaves out, would break every call."""
    async with Stage((REQUEST, answer(body), STALL)) as stage:
        reply = await stage.client.create("openai/m", "Hi.")
        assert reply.text == "Hello."
        assert {name: getattr(reply, name) for name in members} == members
        assert stage.kept == 1


@covers("F24")
@pytest.mark.parametrize("reason", ["because", "", None])
async def test_a_finish_reason_that_nobody_knows_is_told_as_it_is(reason: str | None) -> None:
    """A provider's new reason would break every call that ends for it."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": reason}
    async with Stage((REQUEST, answer(reply_with(choices=[choice])), STALL)) as stage:
        reply = await stage.client.create("openai/m", "Hi.")
        assert (reply.text, reply.choices[0].finish_reason) == ("Hello.", reason or None)


@covers("F24")
async def test_what_nobody_knows_is_kept() -> None:
    """What a provider says beyond the format would be lost."""
    body = message_with(mood="sunny") | {"weather": {"wind": 3}}
    async with Stage((REQUEST, answer(body), STALL)) as stage:
        reply: ChatCompletion = await stage.client.create("openai/m", "Hi.")
        assert reply.raw["weather"] == {"wind": 3}
        assert reply.raw["choices"][0]["message"]["mood"] == "sunny"


# --- errors and pages under a good status --------------------------------------------------------------------------

INSIDE: dict[str, tuple[Any, type[APIStatusError], dict[str, Any]]] = {
    "overloaded": ({"message": "Busy.", "code": "overloaded"}, OverloadedError, {"retryable": True}),
    "a status as its code": (
        {"message": "Slow.", "code": 429},
        RateLimitError,
        {"status_code": 429, "retryable": True},
    ),
    "quota": ({"message": "Pay.", "code": "insufficient_quota"}, QuotaExceededError, {"retryable": False}),
    "text": ("Something broke.", InternalServerError, {"retryable": True}),
}


@covers("F25")
@pytest.mark.parametrize(("said", "cls", "attributes"), INSIDE.values(), ids=INSIDE)
@BOTH_WAYS
async def test_an_error_under_a_good_status_is_that_error(
    way: Way, said: Any, cls: type[APIStatusError], attributes: dict[str, Any]
) -> None:
    """A gateway's failure would come as an empty answer."""
    async with Stage((REQUEST, answer({"error": said}), STALL)) as stage:
        await fails(ask(stage.client, way), cls, **attributes)
        assert (stage.requests, stage.kept) == (1, 1)


PAGE = b"<!DOCTYPE html>\n<html><body>Please log in.\x1b[2J</body></html>"
PAGES = {
    "a page": answer(PAGE, headers={"Content-Type": "text/html; charset=utf-8"}),
    "a page by another name": answer(PAGE),
    "a page that talks of an error": answer(b"<html>502 Bad Gateway</html>", headers={"Content-Type": "text/html"}),
    "nothing": answer(b""),
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
}


@covers("F26")
@pytest.mark.parametrize("said", PAGES.values(), ids=PAGES)
async def test_a_page_instead_of_an_answer_is_an_error(said: bytes) -> None:
    """A captive portal would come as an empty answer."""
    async with Stage((REQUEST, said, STALL), max_retries=2) as stage:
        error = await fails(ask(stage.client), APIResponseError, retryable=False, maybe_billed=True)
        assert "\x1b" not in str(error) + repr(error)
        assert len(error.body or "") <= 2048
        assert stage.requests == 1


@covers("F26")
async def test_a_reply_under_another_content_type_is_a_reply() -> None:
    """A gateway that labels its answers wrongly would break every call."""
    for kind in ("text/plain", "application/octet-stream", "application/problem+json"):
        async with Stage((REQUEST, answer(headers={"Content-Type": kind}), STALL)) as stage:
            assert await ask(stage.client) == "Hello."
    async with Stage((REQUEST, head(200, {"Content-Length": str(len(HELLO))}) + HELLO, STALL)) as stage:
        assert await ask(stage.client) == "Hello."
