"""Streams that real servers relay to real peers: whole, told when they fail, ended when the peer leaves."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from fastapi import BackgroundTasks, FastAPI, Request
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response

import anycompletion
from anycompletion import AsyncCompletion, ChatCompletionChunk, ChunkChoice, CompletionError, CompletionStream, Delta
from anycompletion.records import ReplyInfo
from anycompletion.testing import Fault, SimulatorServer
from anycompletion.web import (
    aiohttp_client,
    aiohttp_sse,
    cancel_on_disconnect,
    starlette_lifespan,
    starlette_sse,
)
from support.services import Peer, aiohttp_service, asgi_service, events

PATIENCE = 10.0
"""Seconds after which something that should have come counts as not coming."""

PROMPT, KEY = "A prompt that is nobody's business.", "simulated-openai-key"

Make = Callable[[dict[str, Any]], CompletionStream]
"""From a request's JSON to what is relayed."""


@pytest.fixture
async def sim() -> AsyncIterator[SimulatorServer]:
    """A running simulator."""
    async with SimulatorServer(reply="one two three four five") as server:
        yield server


@pytest.fixture
async def client(sim: SimulatorServer) -> AsyncIterator[AsyncCompletion]:
    """A client of the simulator's."""
    async with AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys, max_retries=0) as made:
        yield made


# --- the services ----------------------------------------------------------------------------------------------------


def of_starlette(client: AsyncCompletion, make: Make) -> FastAPI:
    """A FastAPI service with a stream and a plain call."""
    app = FastAPI()

    @app.post("/stream")
    async def stream(request: Request) -> Response:
        asked = await request.json()
        return starlette_sse(make(asked), ping=asked.get("ping", 15.0), headers={"X-More": "yes"})

    @app.post("/plain")
    async def plain(request: Request) -> Any:
        asked = await request.json()
        reply = await cancel_on_disconnect(request, client.create(asked["model"], PROMPT))
        return reply.to_dict()

    return app


def of_aiohttp(client: AsyncCompletion, make: Make) -> web.Application:
    """The same with aiohttp.web."""

    async def stream(request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        return await aiohttp_sse(request, make(asked), ping=asked.get("ping", 15.0), headers={"X-More": "yes"})

    async def plain(request: web.Request) -> web.Response:
        asked = await request.json()
        reply = await cancel_on_disconnect(request, client.create(asked["model"], PROMPT))
        return web.json_response(reply.to_dict())

    app = web.Application()
    app.add_routes([web.post("/stream", stream), web.post("/plain", plain)])
    return app


Served = Callable[..., AbstractAsyncContextManager[str]]


def _starlette(client: AsyncCompletion, make: Make | None = None) -> AbstractAsyncContextManager[str]:
    return asgi_service(of_starlette(client, make or _streams(client)))


def _aiohttp(client: AsyncCompletion, make: Make | None = None) -> AbstractAsyncContextManager[str]:
    return aiohttp_service(of_aiohttp(client, make or _streams(client)))


def _cancelling(client: AsyncCompletion, make: Make | None = None) -> AbstractAsyncContextManager[str]:
    return aiohttp_service(of_aiohttp(client, make or _streams(client)), handler_cancellation=True)


def _streams(client: AsyncCompletion) -> Make:
    return lambda asked: client.stream(asked.get("model", "openai/gpt-4o"), PROMPT, n=asked.get("n", 1))


SERVICES: dict[str, Served] = {"starlette": _starlette, "aiohttp": _aiohttp, "aiohttp-cancelling": _cancelling}

everywhere = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


def text_of(told: Sequence[str]) -> str:
    """What the chunks among some events say."""
    chunks = [json.loads(data) for data in told if data != "[DONE]"]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk.get("choices", ()))


async def asked(sim: SimulatorServer, count: int = 1) -> None:
    """Waits until the simulator has that many requests."""
    async with asyncio.timeout(PATIENCE):
        while len(sim.requests) < count:
            await asyncio.sleep(0.001)


# --- whole -----------------------------------------------------------------------------------------------------------


@everywhere
@pytest.mark.parametrize("model", ["openai/gpt-4o", "anthropic/claude-haiku-4-5"])
async def test_a_relayed_stream_is_what_openai_would_send(service: Served, model: str, client: AsyncCompletion) -> None:
    """An OpenAI client or a browser could not read it, or a proxy would hold it back."""
    async with service(client) as url, Peer(url, "/stream", {"model": model}) as peer:
        head = await peer.head()
        told = events(await peer.rest())
    assert (head.status, head.headers["content-type"].partition(";")[0]) == (200, "text/event-stream")
    assert head.headers["cache-control"] == "no-cache, no-transform"
    assert head.headers["x-accel-buffering"] == "no"
    assert (head.headers["x-more"], "content-length" in head.headers) == ("yes", False)
    assert told[-1] == "[DONE]"
    assert {json.loads(data)["object"] for data in told[:-1]} == {"chat.completion.chunk"}
    assert text_of(told) == "one two three four five"


@everywhere
async def test_a_chunk_is_sent_when_it_comes(service: Served, sim: SimulatorServer, client: AsyncCompletion) -> None:
    """A reader would see nothing until the end."""
    sim.fault = "stall-after-2-events"
    async with service(client) as url, Peer(url, "/stream", {}) as peer, asyncio.timeout(PATIENCE):
        assert (await peer.head()).status == 200
        told = events(await peer.piece() + await peer.piece())
    assert text_of(told) == "one"


@everywhere
async def test_a_silence_is_broken_by_pings(service: Served, sim: SimulatorServer, client: AsyncCompletion) -> None:
    """A proxy or browser would give up while the model thinks, or take a ping for a chunk."""
    sim.latency = 0.2
    async with service(client) as url, Peer(url, "/stream", {"ping": 0.05}) as peer:
        assert (await peer.head()).status == 200
        body = await peer.rest()
    assert body.startswith(b": ping\n\n")
    told = events(body)
    assert (text_of(told), told[-1]) == ("one two three four five", "[DONE]")


# --- failures --------------------------------------------------------------------------------------------------------

BEFORE = {
    "quota": (502, "upstream_refused"),
    "authentication": (502, "upstream_refused"),
    "permission": (502, "upstream_refused"),
    "not-found": (404, "model_not_found"),
    "bad-request": (400, None),
    "context-length": (400, "context_length_exceeded"),
    "content-policy": (400, "content_policy_violation"),
    "server-error": (502, "upstream_error"),
    "unavailable": (503, "overloaded"),
    "overloaded": (503, "overloaded"),
    "html": (502, "upstream_error"),
    "garbage": (502, "upstream_error"),
    "close-before-answer": (502, "upstream_error"),
    "cut-after-0-events": (502, "stream_interrupted"),
    "error-after-0-events": (503, "overloaded"),
    "rate-limit": (429, "rate_limit_exceeded"),
}
"""Fault before the first chunk → what the peer is told. Last what makes the next call wait."""


@everywhere
async def test_what_fails_before_the_first_byte_has_its_own_status(
    service: Served, sim: SimulatorServer, client: AsyncCompletion
) -> None:
    """A peer would take an error for an answer, or the service's own trouble for its own."""
    seen: dict[str, tuple[int, Any]] = {}
    async with service(client) as url:
        for fault in BEFORE:
            sim.fault = fault
            async with Peer(url, "/stream", {"model": "anthropic/claude-haiku-4-5"}) as peer:
                head, body = await peer.whole()
            seen[fault] = head.status, body["error"]["code"]
            assert head.headers["content-type"] == "application/json"
            assert sorted(body["error"]) == ["code", "message", "param", "type"]
    assert seen == BEFORE


@everywhere
async def test_a_rate_limit_says_how_long_to_wait(
    service: Served, sim: SimulatorServer, client: AsyncCompletion
) -> None:
    """Peers would come back too early."""
    sim.fault = Fault.status(429, retry_after=7)
    async with service(client) as url, Peer(url, "/stream", {}) as peer:
        head, _ = await peer.whole()
    assert (head.status, head.headers["retry-after"], head.headers["retry-after-ms"]) == (429, "7", "7000")


@everywhere
@pytest.mark.parametrize("fault", ["cut-after-3-events", "reset-after-3-events", "error-after-3-events"])
async def test_what_fails_after_the_first_byte_is_an_event(
    service: Served, fault: str, sim: SimulatorServer, client: AsyncCompletion
) -> None:
    """A cut answer would look whole, or show what is the service's own business."""
    sim.fault = fault
    async with service(client) as url, Peer(url, "/stream", {}) as peer:
        assert (await peer.head()).status == 200
        body = await peer.rest()
    told = events(body)
    assert text_of(told[:-1]) == "one two"
    assert json.loads(told[-1])["error"]["type"] == "server_error"
    assert "[DONE]" not in told
    assert PROMPT.encode() not in body
    assert KEY.encode() not in body


@everywhere
async def test_what_fails_after_a_ping_is_an_event(
    service: Served, sim: SimulatorServer, client: AsyncCompletion
) -> None:
    """The status is sent by then, and the answer would end in silence."""
    sim.latency, sim.fault = 0.2, "rate-limit"
    async with service(client) as url, Peer(url, "/stream", {"ping": 0.05}) as peer:
        assert (await peer.head()).status == 200
        (told,) = events(await peer.rest())
    assert json.loads(told)["error"]["code"] == "rate_limit_exceeded"


class Broken:
    """A source of chunks with a bug."""

    info = ReplyInfo("openai", "gpt-4o")

    def __init__(self, chunks: int) -> None:
        self._left = chunks
        self.closed = False

    async def open(self) -> None:
        """Nothing to do."""

    async def next(self) -> Sequence[ChatCompletionChunk]:
        """A chunk, or the bug."""
        self._left -= 1
        if self._left < 0:
            raise ZeroDivisionError("internals")
        return [ChatCompletionChunk("id", [ChunkChoice(0, Delta(content="one"))])]

    def close(self, end: CompletionError | None = None) -> None:
        """Remembers it."""
        self.closed = True

    async def wait_closed(self) -> None:
        """Nothing to do."""


@everywhere
async def test_a_fault_that_is_not_ours_is_told_and_passed_on(service: Served, client: AsyncCompletion) -> None:
    """A middleware's exception would end a stream in silence, show internals, or be swallowed."""
    sources = [Broken(1), Broken(0)]
    waiting = list(sources)

    def make(_: dict[str, Any]) -> CompletionStream:
        return CompletionStream(waiting.pop(0))

    async with service(client, make) as url:
        async with Peer(url, "/stream", {}) as peer:
            await peer.head()
            told = events(await peer.piece() + await peer.piece())
        async with Peer(url, "/stream", {}) as peer:
            assert (await peer.head()).status == 500
    assert text_of(told[:1]) == "one"
    assert json.loads(told[1])["error"]["code"] == "internal_error"
    assert "internals" not in told[1]
    assert all(source.closed for source in sources)


# --- leaving ---------------------------------------------------------------------------------------------------------

WAYS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "mid-stream": ("/stream", {}, {"chunk_delay": 0.05, "chunks": 1000}),
    "mid-stream of three": ("/stream", {"model": "anthropic/claude-haiku-4-5", "n": 3}, {"chunk_delay": 0.05}),
    "between chunks": ("/stream", {}, {"fault": "stall-after-2-events"}),
    "before the first chunk": ("/stream", {}, {"fault": "stall-after-0-events"}),
    "before the answer": ("/stream", {}, {"latency": 30.0}),
    "after a ping": ("/stream", {"ping": 0.05}, {"latency": 30.0}),
    "mid-call": ("/plain", {"model": "openai/gpt-4o"}, {"latency": 30.0}),
}
"""When a peer leaves: the path, what it asks, and how the simulator answers."""


@everywhere
@pytest.mark.parametrize("way", WAYS)
async def test_when_the_peer_leaves_the_provider_stops(
    service: Served, way: str, sim: SimulatorServer, client: AsyncCompletion
) -> None:
    """Tokens that nobody reads would be paid for."""
    path, body, options = WAYS[way]
    sim.chunks = 1000
    for name, value in options.items():
        setattr(sim, name, value)
    async with service(client) as url:
        async with Peer(url, path, body) as peer:
            await asked(sim, body.get("n", 1))
            if way in ("mid-stream", "mid-stream of three", "between chunks", "after a ping"):
                assert (await peer.head()).status == 200
                await peer.piece()
            peer.leave()
            closed = [await request.wait_closed(PATIENCE) for request in sim.requests]
        assert closed == [True] * body.get("n", 1)


@everywhere
async def test_a_peer_that_reads_nothing_stops_the_provider(
    service: Served, sim: SimulatorServer, client: AsyncCompletion
) -> None:
    """The memory of a service would hold what its slow readers do not read, or they could not leave."""
    sim.reply, sim.chunks = "x" * 40_000_000, 4_000
    async with service(client) as url, Peer(url, "/stream", {}) as peer:
        await asked(sim)
        (request,) = sim.requests
        written = -1
        async with asyncio.timeout(PATIENCE):
            while written != request.chunks_written or not written:
                written = request.chunks_written
                await asyncio.sleep(0.2)
        assert written < 4_000
        peer.leave()
        assert await request.wait_closed(PATIENCE)


@everywhere
async def test_nothing_is_left_behind(service: Served, sim: SimulatorServer, client: AsyncCompletion) -> None:
    """Every peer that leaves would leave a task behind."""
    sim.chunk_delay, sim.chunks = 0.01, 1000
    async with service(client) as url:
        before = asyncio.all_tasks()
        for _ in range(5):
            async with Peer(url, "/stream", {}) as peer:
                await peer.head()
        async with asyncio.timeout(PATIENCE):
            while asyncio.all_tasks() - before:
                await asyncio.sleep(0.01)


async def test_streams_of_a_service_that_stops_are_closed(sim: SimulatorServer, client: AsyncCompletion) -> None:
    """A deployment would leave requests behind that go on being paid for."""
    sim.chunk_delay, sim.chunks = 0.05, 1000
    async with _aiohttp(client) as url:
        peer = await Peer(url, "/stream", {}).__aenter__()
        await peer.head()
    assert await sim.requests[0].wait_closed(PATIENCE)
    await peer.__aexit__()


async def test_middlewares_of_starlette_may_stand_between(sim: SimulatorServer, client: AsyncCompletion) -> None:
    """With a middleware, chunks would be held back, or nobody would notice that a peer left."""
    sim.fault = "stall-after-2-events"
    app = of_starlette(client, _streams(client))

    async def passes(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        return await call_next(request)

    app.add_middleware(BaseHTTPMiddleware, dispatch=passes)
    app.add_middleware(GZipMiddleware, minimum_size=1)
    async with (
        asgi_service(app) as url,
        Peer(url, "/stream", {}, {"Accept-Encoding": "gzip"}) as peer,
        asyncio.timeout(PATIENCE),
    ):
        await peer.head()
        assert text_of(events(await peer.piece() + await peer.piece())) == "one"
        peer.leave()
        assert await sim.requests[0].wait_closed(PATIENCE)
        sim.latency = 30.0
        async with Peer(url, "/plain", {"model": "openai/gpt-4o"}) as other:
            await asked(sim, 2)
            other.leave()
            assert await sim.requests[1].wait_closed(PATIENCE)


# --- plain handlers --------------------------------------------------------------------------------------------------


@everywhere
async def test_a_plain_call_is_answered(service: Served, client: AsyncCompletion) -> None:
    """The guard would get in the way of those who stay."""
    async with service(client) as url, Peer(url, "/plain", {"model": "openai/gpt-4o"}) as peer:
        head, body = await peer.whole()
    assert head.status == 200
    assert body["choices"][0]["message"]["content"] == "one two three four five"


async def test_a_body_can_be_read_before_and_after() -> None:
    """The guard would eat the request's body."""
    app = FastAPI()

    @app.post("/after")
    async def after(request: Request) -> Any:
        await cancel_on_disconnect(request, asyncio.sleep(0.01))
        return await request.json()

    @app.post("/streamed")
    async def streamed(request: Request) -> Any:
        body = b"".join([piece async for piece in request.stream()])
        return await cancel_on_disconnect(request, asyncio.sleep(0.01, json.loads(body)))

    async with asgi_service(app) as url:
        for path in ("/after", "/streamed"):
            async with Peer(url, path, {"a": 1}) as peer:
                head, body = await peer.whole()
            assert (head.status, body) == (200, {"a": 1})


async def test_what_the_call_raises_is_raised(sim: SimulatorServer, client: AsyncCompletion) -> None:
    """A handler could not tell its peer what went wrong."""
    raised: list[BaseException] = []
    sim.fault = "rate-limit"

    async def handler(request: web.Request) -> web.Response:
        try:
            await cancel_on_disconnect(request, client.create("openai/gpt-4o", PROMPT))
        except CompletionError as error:
            raised.append(error)
        return web.Response()

    app = web.Application()
    app.add_routes([web.get("/", handler)])
    async with aiohttp_service(app) as url, Peer(url, "/") as peer:
        await peer.head()
    assert [type(error) for error in raised] == [anycompletion.RateLimitError]


async def test_a_cancelled_handler_cancels_its_call(sim: SimulatorServer, client: AsyncCompletion) -> None:
    """A handler's own timeout would leave the call running."""
    sim.latency = 30.0
    timed_out: list[bool] = []

    async def handler(request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(0.05):
                await cancel_on_disconnect(request, client.create("openai/gpt-4o", PROMPT))
        except TimeoutError:
            timed_out.append(True)
        return web.Response()

    app = web.Application()
    app.add_routes([web.get("/", handler)])
    async with aiohttp_service(app) as url, Peer(url, "/") as peer:
        await peer.head()
        assert await sim.requests[0].wait_closed(PATIENCE)
    assert timed_out == [True]


async def test_a_request_of_neither_framework_is_refused() -> None:
    """The error would be about an attribute, and the call would be left unawaited."""
    nothing: Any = object()
    with pytest.raises(TypeError, match="expected a request of Starlette's or aiohttp's, found object"):
        await cancel_on_disconnect(nothing, asyncio.sleep(0))


# --- the rest --------------------------------------------------------------------------------------------------------


async def test_background_tasks_run_after_the_stream(client: AsyncCompletion) -> None:
    """FastAPI's background tasks would be lost with a relayed stream."""
    app, ran = FastAPI(), asyncio.Event()

    @app.post("/")
    async def handler(tasks: BackgroundTasks) -> Response:
        tasks.add_task(ran.set)
        return starlette_sse(client.stream("openai/gpt-4o", PROMPT))

    async with asgi_service(app) as url, Peer(url, "/", {}) as peer:
        await peer.head()
        assert events(await peer.rest())[-1] == "[DONE]"
        await asyncio.wait_for(ran.wait(), PATIENCE)


async def test_a_client_lives_as_long_as_its_application() -> None:
    """Connections would be left open, or a handler would find no client."""
    key = web.AppKey("client", AsyncCompletion)
    seen: list[AsyncCompletion] = []

    async def of_app(request: web.Request) -> web.Response:
        seen.append(request.app[key])
        return web.Response()

    app = web.Application()
    app.add_routes([web.get("/", of_app)])
    app.cleanup_ctx.append(aiohttp_client(key))
    async with aiohttp_service(app) as url, Peer(url, "/") as peer:
        await peer.head()

    api = FastAPI(lifespan=starlette_lifespan(lambda: AsyncCompletion(max_retries=5), state="llm"))

    @api.get("/")
    async def of_state(request: Request) -> None:
        seen.append(request.app.state.llm)

    async with asgi_service(api) as url, Peer(url, "/") as peer:
        await peer.head()
    assert [repr(client) for client in seen] == ["<AsyncCompletion closed>"] * 2


async def test_a_lifespan_fits_into_another() -> None:
    """An application with a lifespan of its own could not use it."""
    app: Any = Starlette()
    async with starlette_lifespan()(app):
        assert repr(app.state.client) == "<AsyncCompletion unused>"
    assert repr(app.state.client) == "<AsyncCompletion closed>"


@pytest.mark.parametrize("ping", [0, -1.0, float("nan")])
def test_a_ping_that_never_ends_is_refused(ping: float) -> None:
    """A relay would send nothing but pings."""
    with pytest.raises(ValueError, match="ping must be more than 0 seconds"):
        starlette_sse(CompletionStream(Broken(0)), ping=ping)


ALONE = """
import sys
import anycompletion.web
assert not {"starlette", "aiohttp.web"} & sys.modules.keys(), "imported too early"
sys.modules["starlette"] = None
try:
    anycompletion.web.starlette_sse(None)
except ImportError as error:
    print(error)
try:
    anycompletion.web.chat_completions_app(None, authorize=bool)
except ImportError as error:
    print(error)
import anycompletion.web.aiohttp
"""


def test_a_user_of_one_framework_needs_not_the_other() -> None:
    """aiohttp.web services would have to install Starlette, or would not be told what to install."""
    path = {"PYTHONPATH": str(Path(anycompletion.__file__).parents[1])}
    command = [sys.executable, "-W", "error", "-c", ALONE]
    done = subprocess.run(command, env=path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"{name} needs Starlette: pip install 'anycompletion[web]'"
        for name in ("starlette_sse", "chat_completions_app")
    ]
