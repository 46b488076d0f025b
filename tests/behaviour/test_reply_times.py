"""Tests of `created`: the provider's time, else that of the `Date` header, else this machine's clock; never 0."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import pytest

from anycompletion import AsyncCompletion, ChatCompletion, Usage
from anycompletion.http import parse_date
from anycompletion.testing import SimulatorServer
from support.raw_server import END, REQUEST, RawServer, Step, answer, head, piece
from support.resource_leaks import nothing_left
from support.simulated import SIMULATED

DATE, MOMENT = {"Date": "Tue, 04 Nov 2025 00:51:20 GMT"}, 1762217480
BOTH_WAYS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


async def created(script: tuple[Step, ...], *, stream: bool) -> tuple[int, list[int]]:
    """The times of the reply and of its chunks."""
    async with (
        RawServer(script) as server,
        AsyncCompletion(
            base_urls={"openai": server.url, "anthropic": server.url},
            api_keys={"openai": "key", "anthropic": "key"},
        ) as client,
        nothing_left(client),
    ):
        if not stream:
            return (await client.create("openai/gpt-4o", "Hi.")).created, []
        opened = client.stream("openai/gpt-4o", "Hi.")
        times = [chunk.created async for chunk in opened]
        return (await opened.get_final_completion()).created, times


def reply(headers: Mapping[str, str], **fields: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}
    return answer({"id": "r", "model": "m", "choices": [choice], **fields}, headers=headers)


def chunk(text: str, reason: str | None = None, **fields: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
    data = {"object": "chat.completion.chunk", "id": "r", "model": "m", "choices": [choice], **fields}
    return piece(b"data: " + json.dumps(data).encode() + b"\n\n")


def streamed(headers: Mapping[str, str], *chunks: bytes) -> tuple[Step, ...]:
    start = head(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked", **headers})
    return REQUEST, start, *chunks, piece(b"data: [DONE]\n\n"), END


@pytest.mark.parametrize("fields", [{}, {"created": 0}, {"created": None}, {"created": "now"}])
@BOTH_WAYS
async def test_a_reply_without_a_time_has_that_of_its_date_header(fields: dict[str, Any], stream: bool) -> None:
    """Replies would be from 1970 where a server sends no time."""
    chunks = chunk("a", **fields), chunk("b", "stop", **fields)
    script = streamed(DATE, *chunks) if stream else (REQUEST, reply(DATE, **fields))
    assert await created(script, stream=stream) == (MOMENT, [MOMENT, MOMENT] if stream else [])


@pytest.mark.parametrize("headers", [{}, {"Date": "yesterday"}, {"Date": ""}])
@BOTH_WAYS
async def test_without_a_date_header_the_clock_decides(headers: dict[str, str], stream: bool) -> None:
    """Replies would be from 1970, or the call would fail, without a readable `Date` header."""
    before = int(time.time())
    script = streamed(headers, chunk("a"), chunk("b", "stop")) if stream else (REQUEST, reply(headers))
    found, times = await created(script, stream=stream)
    assert all(before <= each <= time.time() for each in (found, *times))


@BOTH_WAYS
async def test_the_providers_time_comes_first(stream: bool) -> None:
    """The time of the response would replace the provider's own."""
    script = streamed(DATE, chunk("a", "stop", created=7)) if stream else (REQUEST, reply(DATE, created=7))
    assert await created(script, stream=stream) == (7, [7] if stream else [])


async def test_a_chunk_without_a_time_has_one_all_the_same() -> None:
    """Azure's chunks of filter results, which have no time, would be from 1970, or decide the reply's time."""
    filtered = piece(b'data: {"id": "", "created": 0, "model": "", "choices": []}\n\n')
    script = streamed(DATE, filtered, chunk("a", created=7), chunk("b", "stop", created=8), filtered)
    assert await created(script, stream=True) == (7, [MOMENT, 7, 8, 8])


@pytest.mark.parametrize("model", SIMULATED.values(), ids=SIMULATED)
@pytest.mark.parametrize("n", [1, 2])
@BOTH_WAYS
async def test_every_format_has_times(model: str, n: int, stream: bool) -> None:
    """Replies of formats that have no time would be from 1970."""
    before = int(time.time())
    async with (
        SimulatorServer() as sim,
        AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys) as client,
    ):
        if stream:
            opened = client.stream(model, "Hi.", n=n, stream_options={"include_usage": True})
            chunks = [chunk async for chunk in opened]
            assert all(before <= each.created <= time.time() for each in chunks)
            found: ChatCompletion = opened.snapshot
        else:
            found = await client.create(model, "Hi.", n=n)
    assert before <= found.created <= time.time()
    assert isinstance(found.usage, Usage)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (DATE["Date"], MOMENT),
        ("Tue, 04 Nov 2025 01:51:20 +0100", MOMENT),
        (None, None),
        ("", None),
        ("soon", None),
        ("Tue, 99 Nov 2025 00:51:20 GMT", None),
    ],
)
def test_dates_are_read(header: str | None, seconds: int | None) -> None:
    """A malformed `Date` header would cost the reply."""
    assert parse_date(header) == seconds
