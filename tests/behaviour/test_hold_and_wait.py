"""Calls with several choices where only one request may be under way: no branch waits for what another one keeps."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest

from anycompletion import AsyncCompletion, CompletionStream, RateLimit
from anycompletion.client import state as state_module
from anycompletion.transport import ConnectionLimit
from support.raw_server import END, REQUEST, STREAM, RawServer, Step, answer, piece
from support.resource_leaks import nothing_left

N = 3
LONG = "x" * 20_000
PIECES = 60
"""Pieces of a stream: together more than all buffers hold, so that a stream that is not read does not end."""

KINDS = ("limit", "model limit", "both limits", "shared limiter", "connection limit", "session", "session per host")


class OneAtATime:
    """Shared limiter that lets one request through at a time."""

    def __init__(self) -> None:
        self._semaphore = asyncio.Semaphore(1)

    async def acquire(self, key: str, *, requests: int, tokens: int) -> None:
        await self._semaphore.acquire()

    def settle(self, key: str, *, estimated: int, actual: int) -> None:
        self._semaphore.release()


@contextlib.asynccontextmanager
async def limited(kind: str, server: RawServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AsyncCompletion]:
    """A client that may have one request under way."""
    one = RateLimit(concurrency=1)
    limits = {
        "limit": {"groq": one, "llamacpp": one},
        "model limit": {"groq/m": one, "llamacpp/m": one},
        "both limits": {"groq": one, "groq/m": one, "llamacpp": one, "llamacpp/m": one},
    }.get(kind)
    if kind == "connection limit":
        monkeypatch.setattr(state_module, "ConnectionLimit", lambda at_most: ConnectionLimit(at_most=1))
    async with contextlib.AsyncExitStack() as stack:
        session = None
        if kind.startswith("session"):
            connector = aiohttp.TCPConnector(limit=1) if kind == "session" else aiohttp.TCPConnector(limit_per_host=1)
            session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        client = await stack.enter_async_context(
            AsyncCompletion(
                base_urls={"groq": server.url + "/v1", "llamacpp": server.url + "/v1"},
                api_keys={"groq": "key", "llamacpp": "key"},
                limits=limits,
                rate_limiter=OneAtATime() if kind == "shared limiter" else None,
                session=session,
                timeout=8,
                max_retries=0,
            )
        )
        if session is None:  # a session has timers of its own
            await stack.enter_async_context(nothing_left(client))
        yield client


def chunk(text: str | None, finish: str | None = None) -> bytes:
    delta = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    body = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return piece(b"data: " + json.dumps(body).encode() + b"\n\n")


STREAMED: tuple[Step, ...] = (
    REQUEST,
    STREAM,
    *[chunk(LONG)] * PIECES,
    chunk(None, "stop") + piece(b"data: [DONE]\n\n") + END,
)
WHOLE: tuple[Step, ...] = (REQUEST, 0.01, answer())


async def plain(client: AsyncCompletion, model: str) -> list[str]:
    return (await client.create(model, "Hi.", n=N)).texts


async def opened(client: AsyncCompletion, model: str) -> list[str]:
    stream = await client.create(model, "Hi.", n=N, stream=True)
    return await texts_of(stream)


async def streamed(client: AsyncCompletion, model: str) -> list[str]:
    async with client.stream(model, "Hi.", n=N) as stream:
        return await texts_of(stream)


async def twice(client: AsyncCompletion, model: str) -> list[str]:
    first, second = await asyncio.gather(streamed(client, model), opened(client, model))
    assert first == second
    return first


async def texts_of(stream: CompletionStream) -> list[str]:
    """The texts of a stream whose reader is slower than the server."""
    await anext(stream)
    await asyncio.sleep(0.02)
    return (await stream.get_final_completion()).texts


@pytest.mark.parametrize("use", [plain, opened, streamed, twice], ids=lambda use: use.__name__)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", ["groq/m", "llamacpp/m"], ids=["branches", "missing choices"])
async def test_branches_end_one_after_the_other_where_one_may_run(
    kind: str,
    use: Callable[[AsyncCompletion, str], Awaitable[list[str]]],
    model: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A call would wait for itself, or two for each other, until their total timeout ends them."""
    script = WHOLE if use is plain else STREAMED
    async with RawServer(script * 8) as server, limited(kind, server, monkeypatch) as client:
        found = await use(client, model)
        assert len(found) == N
        assert use is plain or set(found) == {LONG * PIECES}
        assert len(server.requests) == (2 * N if use is twice else N)


async def test_waiting_for_a_place_in_a_callers_session_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls that wait in the session's own queue would look as if they waited for the provider."""
    async with RawServer((REQUEST, 0.1, answer()) * 3) as server, limited("session", server, monkeypatch) as client:
        calls = [asyncio.ensure_future(client.create("groq/m", "Hi.")) for _ in range(3)]
        while not server.requests:
            await asyncio.sleep(0.005)
        assert client.stats().providers["groq"].queued == {"connection": 2}
        await asyncio.gather(*calls)
