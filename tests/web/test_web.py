"""Streams that real servers relay to real clients: complete, with their errors, ended when the client disconnects."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Literal

import pytest
from aiohttp import web
from fastapi import BackgroundTasks, FastAPI, Request
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response

import anycompletion
from anycompletion import AsyncCompletion, ChatCompletionChunk, ChunkChoice, CompletionError, CompletionStream, Delta
from anycompletion.calls.chunk_source import ChunkSource
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

TIMEOUT = 10.0
"""Seconds after which an expected event counts as missing."""

PROMPT, KEY = "A confidential prompt.", "simulated-openai-key"

Make = Callable[[dict[str, Any]], CompletionStream]
"""Function from the JSON of a request to the stream that is relayed."""


@pytest.fixture
async def sim() -> AsyncIterator[SimulatorServer]:
    """A running simulator."""
    async with SimulatorServer(reply="one two three four five") as server:
        yield server


@pytest.fixture
async def client(sim: SimulatorServer) -> AsyncIterator[AsyncCompletion]:
    """A client of the simulator."""
    async with AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys, max_retries=0) as made:
        yield made


# --- the services ----------------------------------------------------------------------------------------------------


def starlette_app(client: AsyncCompletion, make: Make) -> FastAPI:
    """A FastAPI service with a stream and a plain call."""
    app = FastAPI()

    @app.post("/stream")
    async def stream(request: Request) -> Response:
        body = await request.json()
        options = {name: body[name] for name in ("ping", "write_timeout") if name in body}
        return starlette_sse(make(body), **options, headers={"X-More": "yes"})

    @app.post("/plain")
    async def plain(request: Request) -> Any:
        body = await request.json()
        reply = await cancel_on_disconnect(request, client.create(body["model"], PROMPT))
        return reply.to_dict()

    return app


def aiohttp_app(client: AsyncCompletion, make: Make) -> web.Application:
    """The same with aiohttp.web."""

    async def stream(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        options = {name: body[name] for name in ("ping", "write_timeout") if name in body}
        return await aiohttp_sse(request, make(body), **options, headers={"X-More": "yes"})

    async def plain(request: web.Request) -> web.Response:
        body = await request.json()
        reply = await cancel_on_disconnect(request, client.create(body["model"], PROMPT))
        return web.json_response(reply.to_dict())

    app = web.Application()
    app.add_routes([web.post("/stream", stream), web.post("/plain", plain)])
    return app


Served = Callable[..., AbstractAsyncContextManager[str]]


def _starlette(client: AsyncCompletion, make: Make | None = None) -> AbstractAsyncContextManager[str]:
    return asgi_service(starlette_app(client, make or _streams(client)))


def _aiohttp(client: AsyncCompletion, make: Make | None = None) -> AbstractAsyncContextManager[str]:
    return aiohttp_service(aiohttp_app(client, make or _streams(client)))


def _cancelling(client: AsyncCompletion, make: Make | None = None) -> AbstractAsyncContextManager[str]:
    return aiohttp_service(aiohttp_app(client, make or _streams(client)), handler_cancellation=True)


def _streams(client: AsyncCompletion) -> Make:
    return lambda body: client.stream(body.get("model", "openai/gpt-4o"), PROMPT, n=body.get("n", 1))


SERVICES: dict[str, Served] = {"starlette": _starlette, "aiohttp": _aiohttp, "aiohttp-cancelling": _cancelling}

all_services = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


def text_of(data: Sequence[str]) -> str:
    """The text of the chunks among the data of events."""
    chunks = [json.loads(each) for each in data if each != "[DONE]"]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk.get("choices", ()))


async def wait_for_requests(sim: SimulatorServer, count: int = 1) -> None:
    """Waits until the simulator has that many requests."""
    async with asyncio.timeout(TIMEOUT):
        while len(sim.requests) < count:
            await asyncio.sleep(0.001)


# --- complete streams ------------------------------------------------------------------------------------------------


@all_services
@pytest.mark.parametrize("model", ["openai/gpt-4o", "anthropic/claude-haiku-4-5"])
async def test_a_relayed_stream_has_openais_format(service: Served, model: str, client: AsyncCompletion) -> None:
    """An OpenAI client or a browser could not read it, or a proxy would buffer it."""
    async with service(client) as url, Peer(url, "/stream", {"model": model}) as peer:
        head = await peer.head()
        data = events(await peer.rest())
    assert (head.status, head.headers["content-type"].partition(";")[0]) == (200, "text/event-stream")
    assert head.headers["cache-control"] == "no-cache, no-transform"
    assert head.headers["x-accel-buffering"] == "no"
    assert (head.headers["x-more"], "content-length" in head.headers) == ("yes", False)
    assert data[-1] == "[DONE]"
    assert {json.loads(data)["object"] for data in data[:-1]} == {"chat.completion.chunk"}
    assert text_of(data) == "one two three four five"


@all_services
@pytest.mark.parametrize("mode", ["schema", "tool"])
async def test_a_typed_stream_is_relayed(
    service: Served, mode: Literal["schema", "tool"], sim: SimulatorServer, client: AsyncCompletion
) -> None:
    """A page that shows the streams of one provider could not show those of another, or there would be no end."""
    sim.reply = '{"value": ["one two three"]}'

    def make(body: Any) -> CompletionStream:
        return client.parse_stream("openai/gpt-4o", PROMPT, list[str], mode=mode)

    async with service(client, make) as url, Peer(url, "/stream", {}) as peer:
        assert (await peer.head()).status == 200
        data = events(await peer.rest())
    assert list(json.loads(text_of(data))) == ["value"]
    assert json.loads(data[-2])["choices"][0]["finish_reason"] == "stop"
    assert data[-1] == "[DONE]"


@all_services
async def test_a_chunk_is_sent_when_it_arrives(service: Served, sim: SimulatorServer, client: AsyncCompletion) -> None:
    """A user would see nothing until the end of the stream."""
    sim.fault = "stall-after-2-events"
    async with service(client) as url, Peer(url, "/stream", {}) as peer, asyncio.timeout(TIMEOUT):
        assert (await peer.head()).status == 200
        data = events(await peer.piece() + await peer.piece())
    assert text_of(data) == "one"


@all_services
async def test_pings_are_sent_during_silence(service: Served, sim: SimulatorServer, client: AsyncCompletion) -> None:
    """A proxy or browser would time out while the model is silent, or parse a ping as a chunk."""
    sim.latency = 0.2
    async with service(client) as url, Peer(url, "/stream", {"ping": 0.05}) as peer:
        assert (await peer.head()).status == 200
        body = await peer.rest()
    assert body.startswith(b": ping\n\n")
    data = events(body)
    assert (text_of(data), data[-1]) == ("one two three four five", "[DONE]")


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
"""Fault before the first chunk → status and code of the response. The last one makes the next call wait."""


@all_services
async def test_an_error_before_the_first_byte_has_its_own_status(
    service: Served, sim: SimulatorServer, client: AsyncCompletion
) -> None:
    """A caller would take an error for a reply, or an error of the service for one of its own."""
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


@all_services
async def test_a_rate_limit_has_retry_after_headers(
    service: Served, sim: SimulatorServer, client: AsyncCompletion
) -> None:
    """Callers would retry too early."""
    sim.fault = Fault.status(429, retry_after=7)
    async with service(client) as url, Peer(url, "/stream", {}) as peer:
        head, _ = await peer.whole()
    assert (head.status, head.headers["retry-after"], head.headers["retry-after-ms"]) == (429, "7", "7000")


@all_services
@pytest.mark.parametrize("fault", ["cut-after-3-events", "reset-after-3-events", "error-after-3-events"])
async def test_an_error_after_the_first_byte_is_an_event(
    service: Served, fault: str, sim: SimulatorServer, client: AsyncCompletion
) -> None:
    """A truncated reply would look complete, or internals of the service would be visible."""
    sim.fault = fault
    async with service(client) as url, Peer(url, "/stream", {}) as peer:
        assert (await peer.head()).status == 200
        body = await peer.rest()
    data = events(body)
    assert text_of(data[:-1]) == "one two"
    assert json.loads(data[-1])["error"]["type"] == "server_error"
    assert "[DONE]" not in data
    assert PROMPT.encode() not in body
    assert KEY.encode() not in body


@all_services
async def test_an_error_after_a_ping_is_an_event(
    service: Served, sim: SimulatorServer, client: AsyncCompletion
) -> None:
    """The status is sent already, and the response would end without an error."""
    sim.latency, sim.fault = 0.2, "rate-limit"
    async with service(client) as url, Peer(url, "/stream", {"ping": 0.05}) as peer:
        assert (await peer.head()).status == 200
        (data,) = events(await peer.rest())
    assert json.loads(data)["error"]["code"] == "rate_limit_exceeded"


class Broken(ChunkSource):
    """A source of chunks that raises after some chunks."""

    info = ReplyInfo("openai", "gpt-4o")

    def __init__(self, chunks: int) -> None:
        self._remaining = chunks
        self.closed = False

    async def open(self) -> None:
        """Nothing to do."""

    async def next(self) -> Sequence[ChatCompletionChunk]:
        """A chunk, or the error."""
        self._remaining -= 1
        if self._remaining < 0:
            raise ZeroDivisionError("internals")
        return [ChatCompletionChunk("id", [ChunkChoice(0, Delta(content="one"))])]

    def close(self, end: CompletionError | None = None) -> None:
        """Records that it was called."""
        self.closed = True

    async def wait_closed(self) -> None:
        """Nothing to do."""


@all_services
async def test_an_exception_of_user_code_is_relayed_as_internal_error_and_raised(
    service: Served, client: AsyncCompletion
) -> None:
    """A middleware's exception would end a stream without an error, show internals, or be swallowed."""
    sources = [Broken(1), Broken(0)]
    waiting = list(sources)

    def make(_: dict[str, Any]) -> CompletionStream:
        return CompletionStream(waiting.pop(0))

    async with service(client, make) as url:
        async with Peer(url, "/stream", {}) as peer:
            await peer.head()
            data = events(await peer.piece() + await peer.piece())
        async with Peer(url, "/stream", {}) as peer:
            assert (await peer.head()).status == 500
    assert text_of(data[:1]) == "one"
    assert json.loads(data[1])["error"]["code"] == "internal_error"
    assert "internals" not in data[1]
    assert all(source.closed for source in sources)


# --- disconnects -----------------------------------------------------------------------------------------------------

DISCONNECTS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "mid-stream": ("/stream", {}, {"chunk_delay": 0.05, "chunks": 1000}),
    "mid-stream of three": ("/stream", {"model": "anthropic/claude-haiku-4-5", "n": 3}, {"chunk_delay": 0.05}),
    "between chunks": ("/stream", {}, {"fault": "stall-after-2-events"}),
    "before the first chunk": ("/stream", {}, {"fault": "stall-after-0-events"}),
    "before the answer": ("/stream", {}, {"latency": 30.0}),
    "after a ping": ("/stream", {"ping": 0.05}, {"latency": 30.0}),
    "mid-call": ("/plain", {"model": "openai/gpt-4o"}, {"latency": 30.0}),
}
"""When a client disconnects → the path, the body of its request, and how the simulator responds."""


@all_services
@pytest.mark.parametrize("case", DISCONNECTS)
async def test_a_disconnect_closes_the_upstream_request(
    service: Served, case: str, sim: SimulatorServer, client: AsyncCompletion
) -> None:
    """Tokens without a reader would be billed."""
    path, body, options = DISCONNECTS[case]
    sim.chunks = 1000
    for name, value in options.items():
        setattr(sim, name, value)
    async with service(client) as url:
        async with Peer(url, path, body) as peer:
            await wait_for_requests(sim, body.get("n", 1))
            if case in ("mid-stream", "mid-stream of three", "between chunks", "after a ping"):
                assert (await peer.head()).status == 200
                await peer.piece()
            peer.leave()
            closed = [await request.wait_closed(TIMEOUT) for request in sim.requests]
        assert closed == [True] * body.get("n", 1)


@all_services
async def test_a_client_that_does_not_read_pauses_the_provider(
    service: Served, sim: SimulatorServer, client: AsyncCompletion
) -> None:
    """A service would buffer what slow clients do not read, or not notice their disconnect."""
    sim.reply, sim.chunks = "x" * 40_000_000, 4_000
    async with service(client) as url, Peer(url, "/stream", {}) as peer:
        await wait_for_requests(sim)
        (request,) = sim.requests
        written = -1
        async with asyncio.timeout(TIMEOUT):
            while written != request.chunks_written or not written:
                written = request.chunks_written
                await asyncio.sleep(0.2)
        assert written < 4_000
        peer.leave()
        assert await request.wait_closed(TIMEOUT)


@all_services
async def test_a_client_that_reads_nothing_is_disconnected(
    service: Served, sim: SimulatorServer, client: AsyncCompletion
) -> None:
    """Clients that read nothing would hold streams, their memory and the provider's connections for ever."""
    sim.reply, sim.chunks = "x" * 40_000_000, 4_000
    body = {"ping": None, "write_timeout": 0.3}
    async with service(client) as url:
        before = asyncio.all_tasks()
        async with Peer(url, "/stream", body):
            await wait_for_requests(sim)
            assert await sim.requests[0].wait_closed(TIMEOUT)
        async with asyncio.timeout(TIMEOUT):
            while asyncio.all_tasks() - before:
                await asyncio.sleep(0.01)


@all_services
async def test_a_client_that_reads_slowly_is_served(
    service: Served, sim: SimulatorServer, client: AsyncCompletion
) -> None:
    """The clock of a write would count the time of a whole slow stream, or that between the provider's chunks."""
    sim.chunk_delay = 0.15
    async with service(client) as url, Peer(url, "/stream", {"write_timeout": 0.1}) as peer:
        assert (await peer.head()).status == 200
        assert text_of(events(await peer.rest())) == "one two three four five"


@all_services
async def test_disconnects_leave_no_tasks_behind(
    service: Served, sim: SimulatorServer, client: AsyncCompletion
) -> None:
    """Every disconnect would leak a task."""
    sim.chunk_delay, sim.chunks = 0.01, 1000
    async with service(client) as url:
        before = asyncio.all_tasks()
        for _ in range(5):
            async with Peer(url, "/stream", {}) as peer:
                await peer.head()
        async with asyncio.timeout(TIMEOUT):
            while asyncio.all_tasks() - before:
                await asyncio.sleep(0.01)


async def test_a_shutdown_closes_open_streams(sim: SimulatorServer, client: AsyncCompletion) -> None:
    """A deployment would leave upstream requests open that are billed."""
    sim.chunk_delay, sim.chunks = 0.05, 1000
    async with _aiohttp(client) as url:
        peer = await Peer(url, "/stream", {}).__aenter__()
        await peer.head()
    assert await sim.requests[0].wait_closed(TIMEOUT)
    await peer.__aexit__()


async def test_starlettes_middlewares_do_not_buffer_or_hide_disconnects(
    sim: SimulatorServer, client: AsyncCompletion
) -> None:
    """Behind a middleware, chunks would be buffered, or a disconnect would not be noticed."""
    sim.fault = "stall-after-2-events"
    app = starlette_app(client, _streams(client))

    async def pass_through(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        return await call_next(request)

    app.add_middleware(BaseHTTPMiddleware, dispatch=pass_through)
    app.add_middleware(GZipMiddleware, minimum_size=1)
    async with (
        asgi_service(app) as url,
        Peer(url, "/stream", {}, {"Accept-Encoding": "gzip"}) as peer,
        asyncio.timeout(TIMEOUT),
    ):
        await peer.head()
        assert text_of(events(await peer.piece() + await peer.piece())) == "one"
        peer.leave()
        assert await sim.requests[0].wait_closed(TIMEOUT)
        sim.latency = 30.0
        async with Peer(url, "/plain", {"model": "openai/gpt-4o"}) as other:
            await wait_for_requests(sim, 2)
            other.leave()
            assert await sim.requests[1].wait_closed(TIMEOUT)


# --- plain handlers --------------------------------------------------------------------------------------------------


@all_services
async def test_a_plain_call_returns_its_reply(service: Served, client: AsyncCompletion) -> None:
    """Calls of clients that stay connected would be cancelled."""
    async with service(client) as url, Peer(url, "/plain", {"model": "openai/gpt-4o"}) as peer:
        head, body = await peer.whole()
    assert head.status == 200
    assert body["choices"][0]["message"]["content"] == "one two three four five"


async def test_the_body_can_be_read_before_and_after() -> None:
    """`cancel_on_disconnect` would consume the request's body."""
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


async def test_a_middleware_that_repeats_the_body_does_not_stop_the_event_loop() -> None:
    """Waiting for the client to disconnect would never suspend, and so stop the whole service."""

    async def repeat() -> dict[str, Any]:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    request = Request({"type": "http", "method": "POST", "headers": []}, repeat)
    async with asyncio.timeout(TIMEOUT):
        assert await cancel_on_disconnect(request, asyncio.sleep(0.05, "done")) == "done"


async def test_exceptions_of_the_call_propagate(sim: SimulatorServer, client: AsyncCompletion) -> None:
    """A handler could not respond to an error."""
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
        assert await sim.requests[0].wait_closed(TIMEOUT)
    assert timed_out == [True]


async def test_a_request_of_neither_framework_is_refused() -> None:
    """The error would be an AttributeError, and the coroutine would never be awaited."""
    nothing: Any = object()
    with pytest.raises(TypeError, match="expected a request of Starlette's or aiohttp's, found object"):
        await cancel_on_disconnect(nothing, asyncio.sleep(0))


# --- lifecycle -------------------------------------------------------------------------------------------------------


async def test_background_tasks_run_after_the_stream(client: AsyncCompletion) -> None:
    """FastAPI's background tasks would not run after a relayed stream."""
    app, ran = FastAPI(), asyncio.Event()

    @app.post("/")
    async def handler(tasks: BackgroundTasks) -> Response:
        tasks.add_task(ran.set)
        return starlette_sse(client.stream("openai/gpt-4o", PROMPT))

    async with asgi_service(app) as url, Peer(url, "/", {}) as peer:
        await peer.head()
        assert events(await peer.rest())[-1] == "[DONE]"
        await asyncio.wait_for(ran.wait(), TIMEOUT)


async def test_a_client_is_closed_with_its_application() -> None:
    """Connections would be left open, or a handler would have no client."""
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


async def test_a_lifespan_can_be_used_inside_another() -> None:
    """An application with a lifespan of its own could not use it."""
    app: Any = Starlette()
    async with starlette_lifespan()(app):
        assert repr(app.state.client) == "<AsyncCompletion unused>"
    assert repr(app.state.client) == "<AsyncCompletion closed>"


@pytest.mark.parametrize("ping", [0, -1.0, float("nan")])
def test_an_invalid_ping_interval_is_refused(ping: float) -> None:
    """A relay would send pings without a pause."""
    with pytest.raises(ValueError, match="ping must be more than 0 seconds"):
        starlette_sse(CompletionStream(Broken(0)), ping=ping)


ONLY_AIOHTTP = """
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

ONLY_STARLETTE = """
import sys
import anycompletion.web.endpoint, anycompletion.web.starlette
assert "aiohttp.web" not in sys.modules, "imported too early"
"""


def test_a_user_of_one_framework_does_not_need_the_other() -> None:
    """Services would need a framework that they do not use, or an error would not name the extra to install."""
    path = {"PYTHONPATH": str(Path(anycompletion.__file__).parents[1])}
    done = {}
    for program in (ONLY_AIOHTTP, ONLY_STARLETTE):
        command = [sys.executable, "-W", "error", "-c", program]
        done[program] = subprocess.run(command, env=path, capture_output=True, text=True, timeout=60, check=False)
        assert (done[program].returncode, done[program].stderr) == (0, "")
    assert done[ONLY_AIOHTTP].stdout.splitlines() == [
        f"{name} needs Starlette: pip install 'anycompletion[web]'"
        for name in ("starlette_sse", "chat_completions_app")
    ]
