"""Bodies that are too large, in unrequested encodings, not JSON, or JSON of another shape."""

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

# --- encodings -------------------------------------------------------------------------------------------------------


def encoded(body: bytes, encoding: str, status: int = 200) -> bytes:
    """A response in a content encoding."""
    return answer(body, status, {"Content-Encoding": encoding})


GOOD = {
    "gzip": encoded(gzip.compress(HELLO), "gzip"),
    "gzip in capitals": encoded(gzip.compress(HELLO), "GZIP"),
    "gzip by its old name": encoded(gzip.compress(HELLO), "x-gzip"),
    "gzip and nothing": encoded(gzip.compress(HELLO), "X-Gzip, identity"),
    "gzip in two members by its old name": encoded(gzip.compress(HELLO[:50]) + gzip.compress(HELLO[50:]), "x-gzip"),
    "deflate in a list": encoded(zlib.compress(HELLO), "identity, deflate"),
    "deflate without a head in a list": encoded(zlib.compress(HELLO, wbits=-15), "identity,deflate"),
    "nothing, twice": encoded(HELLO, "identity, "),
    "gzip in two members": encoded(gzip.compress(HELLO[:50]) + gzip.compress(HELLO[50:]), "gzip"),
    "deflate": encoded(zlib.compress(HELLO), "deflate"),
    "deflate without a head": encoded(zlib.compress(HELLO, wbits=-15), "deflate"),
    "none by name": encoded(HELLO, "identity"),
}


@covers("F21")
@pytest.mark.parametrize("response", GOOD.values(), ids=GOOD)
async def test_a_requested_encoding_is_decoded(response: bytes) -> None:
    """The tests below would pass with a client that decodes nothing."""
    async with Stage((REQUEST, response) * 2 + (STALL,)) as stage:
        for way in WAYS:
            assert await ask(stage.client, way) == "Hello."
            assert stage.kept == 1


FINAL: dict[str, Any] = {"status_code": 200, "retryable": False, "maybe_billed": True}


def unreadable(name: str, *response: Step) -> Any:
    """A body that cannot be decoded, from a server that then leaves the connection open."""
    return fault("F21", name, (REQUEST, *response, STALL), APIResponseError, **FINAL)


SHORT = zlib.compress(TEXT)[:-20]
CUT_DEFLATE: tuple[Step, ...] = (
    head(200, {"Content-Type": "application/json", "Content-Encoding": "deflate", "Content-Length": str(len(SHORT))}),
    0.02,
    SHORT,
)

ENCODINGS = (
    unreadable("an unknown encoding", encoded(b"{}", "x-secret")),
    unreadable("not gzip by its old name", encoded(HELLO, "x-gzip")),
    unreadable("x-gzip with bytes after it", encoded(gzip.compress(HELLO) + b"and more", "x-gzip")),
    unreadable("x-gzip with another checksum", encoded(gzip.compress(TEXT)[:-8] + bytes(8), "x-gzip")),
    unreadable("x-gzip in 20,000 members", encoded(gzip.compress(b"") * 20_000 + gzip.compress(HELLO), "x-gzip")),
    unreadable("x-gzip cut short", encoded(gzip.compress(TEXT)[:-20], "x-gzip")),
    unreadable("deflate in a list with bytes after it", encoded(zlib.compress(HELLO) + b"more", "identity, deflate")),
    unreadable("gzip twice", encoded(gzip.compress(gzip.compress(HELLO)), "gzip, gzip")),
    unreadable("two encodings", encoded(gzip.compress(zlib.compress(HELLO)), "deflate, gzip")),
    unreadable("not gzip", encoded(HELLO, "gzip")),
    unreadable("not deflate", encoded(HELLO, "deflate")),
    unreadable("gzip with bytes after it", encoded(gzip.compress(HELLO) + b"and more", "gzip")),
    unreadable("gzip with another checksum", encoded(gzip.compress(TEXT)[:-8] + bytes(8), "gzip")),
    unreadable("gzip in 20,000 members", encoded(gzip.compress(b"") * 20_000 + gzip.compress(HELLO), "gzip")),
    unreadable("gzip cut short", encoded(gzip.compress(TEXT)[:-20], "gzip")),
    unreadable("deflate cut short", *CUT_DEFLATE),
)


@pytest.mark.parametrize(FAULT, ENCODINGS)
async def test_a_body_that_cannot_be_decoded_is_a_response_error(
    script: Sequence[Step], cls: type[CompletionError], attributes: dict[str, Any], requests: int
) -> None:
    """Compressed bytes would be taken for the reply, or the request be billed again."""
    for way in WAYS:
        async with Stage(script, max_retries=2) as stage:
            await fails(ask(stage.client, way), cls, **attributes)
            assert stage.requests == requests


@covers("F21")
@pytest.mark.parametrize("encoding", ["br", "zstd"])
@BOTH_WAYS
async def test_an_unrequested_encoding_is_refused_even_if_it_could_be_decoded(way: Way, encoding: str) -> None:
    """The size limit of a body would depend on the packages that are installed."""
    async with Stage((REQUEST, encoded(b"{}", encoding), STALL), max_retries=2) as stage:
        await fails(ask(stage.client, way), APIResponseError, retryable=False, maybe_billed=True)
        assert stage.requests == 1


@covers("F21")
async def test_an_error_in_an_unknown_encoding_is_still_that_error() -> None:
    """A gateway's unusual body would hide its status."""
    async with Stage((REQUEST, encoded(b"\x00\x01\x02", "x-secret", 503), STALL)) as stage:
        error = await fails(ask(stage.client), ServiceUnavailableError, status_code=503)
        assert error.body in (None, "")


@covers("F21")
async def test_a_stream_cut_inside_its_compression_is_interrupted() -> None:
    """The text of half a stream would be taken for the whole."""
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


# --- too large -------------------------------------------------------------------------------------------------------

JSON = {"Content-Type": "application/json"}
ENDLESS = head(200, JSON | {"Transfer-Encoding": "chunked"})


def bomb(compressor: Any, megabytes: int) -> bytes:
    """`megabytes` of zeros, compressed to a thousandth."""
    packed = b"".join(compressor.compress(bytes(MEGABYTE)) for _ in range(megabytes))
    return packed + bytes(compressor.flush())


def large(row: str, name: str, *response: Step) -> Any:
    """A body that is too large."""
    return fault(row, name, (REQUEST, *response, STALL), APIResponseError, **FINAL)


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
async def test_a_body_that_is_too_large_is_refused_before_it_is_read(
    script: Sequence[Step], cls: type[CompletionError], attributes: dict[str, Any], requests: int
) -> None:
    """One response would fill the memory."""
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


# --- not JSON, or of another shape -----------------------------------------------------------------------------------


def shape(name: str, body: bytes | dict[str, Any] | list[Any], where: str = "") -> Any:
    """A successful response with a body that is not a reply, and the position that the error names."""
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
    shape("bytes that are not UTF-8", b'{"choices": "\xff\xfe\xfa"}', "choices"),
    shape("null", b"null", "NoneType"),
    shape("a list", [], "list"),
    shape("a number", b"17", "int"),
    shape("100,000 brackets", b"[" * 100_000, "deep"),
    shape("100,000 objects", b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "deep"),
    shape("100,000 brackets inside", HELLO[:-1] + b', "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "deep"),
    shape("no choices", reply_with(choices=None), "choices"),
    shape("choices missing", {"id": "reply-1"}, "choices"),
    shape("choices empty", reply_with(choices=[]), "choices"),
    shape("choices a string", reply_with(choices="Hello."), "choices"),
    shape("a choice that is null", reply_with(choices=[None]), "choices"),
    shape("a message that is text", reply_with(choices=[{"index": 0, "message": "Hello."}]), "choices[0].message"),
    shape("tool calls that are text", message_with(tool_calls="now"), "choices[0].message.tool_calls"),
)


@covers("F23")
@pytest.mark.parametrize(("body", "where"), SHAPES)
async def test_a_body_of_another_shape_is_an_error_that_names_the_position(body: bytes, where: str) -> None:
    """A provider's mistake would become a KeyError, a RecursionError or a None far from its cause."""
    async with Stage((REQUEST, answer(body)) * 2 + (STALL,), max_retries=2) as stage:
        for error in await fails_both_ways(stage, APIResponseError, kept=1, **FINAL):
            assert where in error.message
            assert len(error.body or "") <= 2048


LENIENT: dict[str, tuple[bytes, dict[str, Any]]] = {
    "unknown members": (json.dumps(message_with(mood="sunny")).encode(), {}),
    "a member twice": (HELLO[:-1] + b', "model": "z"}', {"model": "z"}),
    "no id, no model, no time": (json.dumps({"choices": [{"message": {"content": "Hello."}}]}).encode(), {"id": ""}),
    "no role": (json.dumps({"choices": [{"message": {"content": "Hello."}}]}).encode(), {}),
    "a time of a million digits": (HELLO.replace(b'"created": 1', b'"created": ' + b"1" * 1_000_000), {}),
    "a time that is not a number": (HELLO.replace(b'"created": 1', b'"created": NaN'), {}),
    "a time without end": (HELLO.replace(b'"created": 1', b'"created": Infinity'), {}),
    "content in texts": (json.dumps(message_with(content=["Hel", "lo."])).encode(), {}),
    "usage that is text": (json.dumps(reply_with(usage="much")).encode(), {"usage": None}),
    "usage that counts in words": (json.dumps(reply_with(usage={"prompt_tokens": "ten"})).encode(), {}),
    "usage null": (json.dumps(reply_with(usage=None)).encode(), {"usage": None}),
    "error null": (json.dumps(reply_with(error=None)).encode(), {}),
    "a number of a million digits": (HELLO[:-1] + b', "x": ' + b"1" * 1_000_000 + b"}", {}),
    "white space around it": (b" \r\n" + HELLO + b"\n\n", {}),
}


@covers("F24")
@pytest.mark.parametrize(("body", "members"), LENIENT.values(), ids=LENIENT)
async def test_a_reply_with_more_or_fewer_members_than_expected_is_accepted(
    body: bytes, members: dict[str, Any]
) -> None:
    """Every new member of a provider's reply, and every omitted one, would break every call."""
    async with Stage((REQUEST, answer(body), STALL)) as stage:
        reply = await stage.client.create("openai/m", "Hi.")
        assert reply.text == "Hello."
        assert {name: getattr(reply, name) for name in members} == members
        assert stage.kept == 1


@covers("F24")
@pytest.mark.parametrize("reason", ["because", "", None])
async def test_an_unknown_finish_reason_is_returned_as_it_is(reason: str | None) -> None:
    """A provider's new finish reason would break calls that end with it."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": reason}
    async with Stage((REQUEST, answer(reply_with(choices=[choice])), STALL)) as stage:
        reply = await stage.client.create("openai/m", "Hi.")
        assert (reply.text, reply.choices[0].finish_reason) == ("Hello.", reason or None)


@covers("F24")
async def test_unknown_members_are_kept() -> None:
    """Members that are not part of the format would be lost."""
    body = message_with(mood="sunny") | {"weather": {"wind": 3}}
    async with Stage((REQUEST, answer(body), STALL)) as stage:
        reply: ChatCompletion = await stage.client.create("openai/m", "Hi.")
        assert reply.raw["weather"] == {"wind": 3}
        assert reply.raw["choices"][0]["message"]["mood"] == "sunny"


# --- errors and pages with status 200 --------------------------------------------------------------------------------

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
@pytest.mark.parametrize(("reported", "cls", "attributes"), INSIDE.values(), ids=INSIDE)
@BOTH_WAYS
async def test_an_error_with_status_200_is_that_error(
    way: Way, reported: Any, cls: type[APIStatusError], attributes: dict[str, Any]
) -> None:
    """A gateway's failure would become an empty reply."""
    async with Stage((REQUEST, answer({"error": reported}), STALL)) as stage:
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
@pytest.mark.parametrize("response", PAGES.values(), ids=PAGES)
async def test_a_page_instead_of_a_reply_is_an_error(response: bytes) -> None:
    """A captive portal would become an empty reply."""
    async with Stage((REQUEST, response, STALL), max_retries=2) as stage:
        error = await fails(ask(stage.client), APIResponseError, retryable=False, maybe_billed=True)
        assert "\x1b" not in str(error) + repr(error)
        assert len(error.body or "") <= 2048
        assert stage.requests == 1


@covers("F26")
async def test_a_reply_under_another_content_type_is_a_reply() -> None:
    """A gateway that labels its responses wrongly would break every call."""
    for kind in ("text/plain", "application/octet-stream", "application/problem+json"):
        async with Stage((REQUEST, answer(headers={"Content-Type": kind}), STALL)) as stage:
            assert await ask(stage.client) == "Hello."
    async with Stage((REQUEST, head(200, {"Content-Length": str(len(HELLO))}) + HELLO, STALL)) as stage:
        assert await ask(stage.client) == "Hello."
