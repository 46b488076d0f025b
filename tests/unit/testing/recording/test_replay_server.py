"""Tests of replays: the recorded bytes in the chosen segmentation, without headers of the recorded connection."""

import asyncio
import os
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anycompletion.testing import RandomCuts, Recording, ReplayServer, load_folder
from anycompletion.testing.recording.replay_server import segments

BODY = "".join(f"data: {number} é\n\n" for number in range(40)).encode()
STREAM = Recording(
    id="stream é#?",
    provider="openai",
    api="chat.completions",
    streaming=True,
    framing="sse",
    headers={
        "x-request-id": "req_1",
        "retry-after": "2",
        "x-should-retry": "false",
        "anthropic-ratelimit-tokens-limit": "10",
        "content-length": "3",
        "content-encoding": "br",
        "transfer-encoding": "chunked",
        "connection": "close",
        "set-cookie": "a=b",
    },
    body=BODY,
    chunk_lengths=(100, 1, len(BODY) - 101),
)
ERROR = Recording(
    id="error",
    provider="anthropic",
    api="messages",
    status=529,
    headers={"content-type": "application/json; charset=ascii"},
    body=b'{"type": "error"}',
)
EMPTY = Recording(id="empty", provider="openai", status=204)


@pytest.fixture
async def server() -> AsyncIterator[ReplayServer]:
    """A running server with three recordings."""
    async with ReplayServer([STREAM, ERROR, EMPTY]) as running:
        yield running


async def pieces(http: aiohttp.ClientSession, url: str) -> list[bytes]:
    """The HTTP chunks of a body."""
    found = [b""]
    async with http.post(url) as response:
        async for data, ends in response.content.iter_chunks():
            found[-1] += data
            if ends:
                found.append(b"")
    return [piece for piece in found if piece]


@pytest.mark.parametrize("tail", ["/chat/completions", "/v1/messages", ""])
async def test_every_path_below_a_base_url_gets_the_recording(
    server: ReplayServer, http: aiohttp.ClientSession, tail: str
) -> None:
    """A client would not find the recording under its provider's path."""
    async with http.post(server.base_url(STREAM) + tail, json={"model": "x"}) as response:
        assert response.status == 200
        assert await response.read() == BODY
    (request,) = server.requests
    assert (request.provider, request.body, request.finished) == ("openai", {"model": "x"}, True)
    assert request.path == f"/{STREAM.id}{tail}"


async def test_headers_of_the_connection_are_omitted(server: ReplayServer, http: aiohttp.ClientSession) -> None:
    """A recorded length or encoding would break the response, a missing retry hint the test."""
    async with http.post(server.base_url("stream é#?")) as response:
        for name in ("x-request-id", "retry-after", "x-should-retry", "anthropic-ratelimit-tokens-limit"):
            assert response.headers[name] == STREAM.headers[name]
        for name in ("content-length", "content-encoding", "connection", "set-cookie"):
            assert name not in response.headers
        assert response.headers["content-type"].startswith("text/event-stream")


async def test_status_and_type_are_the_recorded_ones(server: ReplayServer, http: aiohttp.ClientSession) -> None:
    """Errors would be replayed as successful responses."""
    async with http.post(server.base_url(ERROR)) as response:
        assert (response.status, response.headers["content-type"]) == (529, "application/json; charset=ascii")
        assert await response.read() == ERROR.body
    async with http.post(server.base_url(EMPTY)) as response:
        assert (response.status, await response.read()) == (204, b"")


async def test_pieces_are_sent_separately(server: ReplayServer, http: aiohttp.ClientSession) -> None:
    """The client would get other pieces than the test chose."""
    url = server.base_url(STREAM)
    assert await pieces(http, url) == [BODY]
    server.segmentation = "recorded"
    assert [len(each) for each in await pieces(http, url)] == [100, 1, len(BODY) - 101]
    server.segmentation = 7
    found = await pieces(http, url)
    assert {len(each) for each in found[:-1]} == {7}
    assert b"".join(found) == BODY
    assert server.requests[-1].chunks_written == len(found)
    server.segmentation = RandomCuts(seed=1, longest=30)
    found = await pieces(http, url)
    assert b"".join(found) == BODY
    assert found == await pieces(http, url)
    assert len({len(each) for each in found}) > 3


@given(st.binary(), st.integers(0, 1000), st.integers(1, 50))
def test_random_pieces_add_up_and_have_the_maximum_length(body: bytes, seed: int, longest: int) -> None:
    """Bytes would be lost between two pieces."""
    found = segments(Recording(id="x", provider=""), None)
    assert found == []
    found = segments(Recording(id="x", provider="", body=body), RandomCuts(seed, longest))
    assert b"".join(found) == body
    assert all(0 < len(each) <= longest for each in found)


def test_a_body_without_recorded_pieces_is_not_cut() -> None:
    """Recordings without lengths of reads could not be replayed with others."""
    assert segments(ERROR, "recorded") == [ERROR.body]


@pytest.mark.parametrize("wrong", [0, -1, "Recorded", 1.5])
async def test_an_invalid_segmentation_is_rejected_immediately(server: ReplayServer, wrong: Any) -> None:
    """The mistake would show up as a broken response."""
    with pytest.raises(ValueError, match="segmentation"):
        server.segmentation = wrong
    with pytest.raises(ValueError, match="longest"):
        RandomCuts(1, 0)


async def test_the_delay_is_between_two_pieces(http: aiohttp.ClientSession) -> None:
    """Slow streams could not be replayed."""
    async with ReplayServer([STREAM], segmentation="recorded", delay=0.05) as server:
        times: list[float] = []
        async with http.post(server.base_url(STREAM)) as response:
            async for _ in response.content.iter_chunks():
                times.append(asyncio.get_running_loop().time())
        assert all(later - earlier > 0.03 for earlier, later in pairwise(times))


async def test_an_unknown_recording_is_not_found(server: ReplayServer, http: aiohttp.ClientSession) -> None:
    """A misspelt id would get another recording."""
    async with http.post(server.url + "/other/chat/completions") as response:
        assert response.status == 404
    with pytest.raises(KeyError):
        server.base_url("other")
    assert server.requests[0].provider == ""


def test_ids_are_unique() -> None:
    """One recording would hide another."""
    with pytest.raises(ValueError, match="two recordings"):
        ReplayServer([ERROR, ERROR])


async def test_a_disconnect_is_recorded(http: aiohttp.ClientSession) -> None:
    """A client that does not disconnect would pass."""
    async with ReplayServer([STREAM], segmentation=1, delay=0.01) as server:
        async with http.post(server.base_url(STREAM)) as response:
            await response.content.readany()
            response.close()
        assert await server.requests[0].wait_closed(2) is True
        assert server.requests[0].chunks_written < 20


@pytest.mark.traffic
@pytest.mark.parametrize("segmentation", [None, "recorded", 1000])
async def test_real_recordings_are_replayed_byte_for_byte(http: aiohttp.ClientSession, segmentation: Any) -> None:
    """Tests would get other bytes than the real traffic has."""
    folder = os.environ.get("ANYCOMPLETION_TRAFFIC")
    if not folder:
        pytest.skip("ANYCOMPLETION_TRAFFIC names no folder of recordings")
    async with ReplayServer(load_folder(folder), segmentation=segmentation) as server:
        for recording in server.recordings.values():
            async with http.post(server.base_url(recording) + "/x") as response:
                assert response.status == recording.status, recording.id
                assert await response.read() == recording.body, recording.id
