"""200 clients read paced tokens from one web service: is anything lost, does memory grow, is upstream work cancelled?

Method, for Starlette (served by uvicorn) and for aiohttp.web, one after the other. The service is another process: a
handler that relays a stream of this package's client, and one that makes a plain call. Its upstream is a third process,
which sends every stream a token 20 times a second. The readers are tasks of this process that speak HTTP over bare
sockets; each reads a stream to its end and then the next, for a minute. Every token contains its stream's number and
its own.

Resident memory of the service is read after a third of the time and at the end, each after a full collection. Its
event-loop lag is the delay of a task that wakes every 5 ms, those collections left out; the part of it in which this
process ran shows whether the service or a busy machine was the cause.

Meanwhile other readers disconnect: in the middle of a stream, before its first chunk, and in the middle of a plain
call. Their upstream is the simulator, in this process. Measured is the time from the closing of the reader's connection
until the simulator sees its own side closed, by its event loop's clock.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any

from anycompletion import AsyncCompletion
from anycompletion.testing import SimulatorServer

from . import server
from .common import MIB, Figure, Server, allow_files, command, conclude, in_use, resident_bytes, run_on

READERS, SHORT_READERS = 200, 40
SECONDS, SHORT_SECONDS = 60.0, 4.0
LEAVERS, SHORT_LEAVERS = 30, 3
"""Of each kind."""
PACE = 20
"""Tokens a second and stream."""
STREAMS = 6
"""One after the other, of each reader."""
PATIENCE = 240.0


# --- what the service asks -------------------------------------------------------------------------------------------


class Service(server.Service):
    """Streams of paced tokens."""

    def __init__(self, tokens: str) -> None:
        super().__init__()
        self._tokens = int(tokens)
        self._streams: set[asyncio.Task[None]] = set()

    def answer(self, connection: server.Connection, target: str, body: bytes) -> None:
        """Opens a stream."""
        task = asyncio.get_running_loop().create_task(self._stream(connection, server.question(body)))
        self._streams.add(task)
        task.add_done_callback(self._streams.discard)

    async def _stream(self, connection: server.Connection, number: str) -> None:
        connection.write(server.STREAM)
        due = time.monotonic()
        for turn in range(self._tokens):
            connection.write(server.event(_text(number, turn)))
            due += 1 / PACE
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        connection.write(server.STOP + server.DONE)


def _text(number: str, turn: int) -> str:
    return f"{number} {turn};"


# --- the service -----------------------------------------------------------------------------------------------------


class Watched:
    """Measurements that the service reports about itself."""

    def __init__(self, client: AsyncCompletion) -> None:
        self._client = client
        self._delays: list[float] = []
        self._ran: list[float] = []
        self._skip = True

    async def tick(self) -> None:
        """Writes down how late it runs, for ever."""
        while True:
            due, before = time.perf_counter() + 0.005, time.process_time()
            await asyncio.sleep(0.005)
            delay = max(0.0, time.perf_counter() - due) * 1000
            if not self._skip:
                self._delays.append(delay)
                self._ran.append(min(delay, (time.process_time() - before) * 1000))
            self._skip = False

    def report(self) -> dict[str, Any]:
        """Memory, lag so far, and what is in use."""
        self._skip = True
        delays, ran = (sorted(each) or [0.0] for each in (self._delays, self._ran))
        return {
            "resident": resident_bytes(),
            "left": sum(in_use(self._client).values()),
            "p50": delays[len(delays) // 2],
            "p99": delays[len(delays) * 99 // 100],
            "p99 ran": ran[len(ran) * 99 // 100],
            "worst": delays[-1],
            "seconds": time.process_time(),
        }


def _client(upstream: str, simulator: str) -> AsyncCompletion:
    urls = {"openai": upstream, "anthropic": simulator}
    keys = {"openai": "key", "anthropic": SimulatorServer().api_keys["anthropic"]}
    return AsyncCompletion(base_urls=urls, api_keys=keys)


async def _serve_starlette(client: AsyncCompletion, watched: Watched) -> None:
    # Each of the two services imports its own framework only.
    import uvicorn  # noqa: PLC0415
    from fastapi import FastAPI, Request  # noqa: PLC0415
    from fastapi.responses import JSONResponse, Response  # noqa: PLC0415

    from anycompletion.web import cancel_on_disconnect, starlette_sse  # noqa: PLC0415

    app = FastAPI()

    async def stream(request: Request) -> Response:
        asked = await request.json()
        return starlette_sse(client.stream(asked["model"], asked["prompt"]))

    async def plain(request: Request) -> Response:
        asked = await request.json()
        reply = await cancel_on_disconnect(request, client.create(asked["model"], asked["prompt"]))
        return JSONResponse(reply.to_dict())

    async def control(_: Request) -> Response:
        return JSONResponse(watched.report())

    app.add_route("/stream", stream, ["POST"])
    app.add_route("/plain", plain, ["POST"])
    app.add_route("/control/state", control)
    config = uvicorn.Config(app, port=0, log_level="error", ws="none", timeout_graceful_shutdown=1, backlog=4096)
    serving = uvicorn.Server(config)
    task = asyncio.ensure_future(serving.serve())
    while not serving.started:  # noqa: ASYNC110 (uvicorn has no event for it)
        await asyncio.sleep(0.01)
    await _until_stdin_ends(serving.servers[0].sockets[0].getsockname()[1])
    serving.should_exit = True
    await task


async def _serve_aiohttp(client: AsyncCompletion, watched: Watched) -> None:
    # Each of the two services imports its own framework only.
    from aiohttp import web  # noqa: PLC0415

    from anycompletion.web import aiohttp_sse, cancel_on_disconnect  # noqa: PLC0415

    async def stream(request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        return await aiohttp_sse(request, client.stream(asked["model"], asked["prompt"]))

    async def plain(request: web.Request) -> web.Response:
        asked = await request.json()
        reply = await cancel_on_disconnect(request, client.create(asked["model"], asked["prompt"]))
        return web.json_response(reply.to_dict())

    async def control(_: web.Request) -> web.Response:
        return web.json_response(watched.report())

    app = web.Application()
    app.add_routes([web.post("/stream", stream), web.post("/plain", plain), web.get("/control/state", control)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=4096).start()
    await _until_stdin_ends(runner.addresses[0][1])
    await runner.cleanup()


SERVICES: dict[str, Callable[[AsyncCompletion, Watched], Awaitable[None]]] = {
    "Starlette": _serve_starlette,
    "aiohttp.web": _serve_aiohttp,
}


async def _until_stdin_ends(port: int) -> None:
    print(port, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def _serve(framework: str, upstream: str, simulator: str) -> list[Figure]:
    """Serves until its standard input ends; it has no figures of its own."""
    async with _client(upstream, simulator) as client:
        watched = Watched(client)
        ticking = asyncio.ensure_future(watched.tick())
        await SERVICES[framework](client, watched)
        ticking.cancel()
    return []


# --- the readers -----------------------------------------------------------------------------------------------------


class Connection:
    """One request over a socket of its own."""

    def __init__(self, url: str, path: str, model: str, prompt: str) -> None:
        self._host, self._port = url.removeprefix("http://").split(":")
        body = json.dumps({"model": model, "prompt": prompt}).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json"
        self._request = f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

    async def __aenter__(self) -> asyncio.StreamReader:
        reader, self._writer = await asyncio.open_connection(self._host, int(self._port))
        self._writer.write(self._request)
        return reader

    async def __aexit__(self, *exc_info: object) -> None:
        self._writer.close()


class Readers:
    """Reads streams and counts what is wrong with them."""

    def __init__(self, url: str, tokens: int) -> None:
        self._url = url
        self._tokens = tokens
        self.errors: Counter[str] = Counter()
        self.lost = self.reordered = self.whole = self.read = 0

    async def run(self, number: int) -> None:
        """One reader: one stream after the other."""
        await asyncio.sleep(number % PACE / PACE / PACE)  # not all tokens at the same moment
        for turn in range(STREAMS):
            await self._stream(f"{number}-{turn}")

    async def _stream(self, name: str) -> None:
        turn, last = 0, ""
        try:
            async with Connection(self._url, "/stream", "openai/m", name) as reader:
                async for data in _events(reader):
                    last = data
                    text = "" if data == "[DONE]" else _content(data)
                    if text:
                        self.reordered += text != _text(name, turn)
                        turn += 1
        except (OSError, ValueError, KeyError) as error:
            self.errors[f"{type(error).__name__}: {error}"] += 1
        self.read += turn
        self.lost += self._tokens - turn
        self.whole += last == "[DONE]"


async def _events(reader: asyncio.StreamReader) -> AsyncGenerator[str, None]:
    """The data of each event, to the end of the body."""
    status = await reader.readline()
    if b" 200 " not in status:
        raise ValueError(status)
    while line := await reader.readline():
        if line.startswith(b"data: "):
            yield line[6:-1].decode()
        elif line == b"0\r\n":
            return


def _content(data: str) -> str:
    choices = json.loads(data)["choices"]
    return (choices[0]["delta"].get("content") or "") if choices else ""


async def leave(url: str, simulator: SimulatorServer, kind: str, times: int) -> list[float]:
    """Readers disconnect one after the other; returns the milliseconds until the simulator sees its side closed."""
    path = "/plain" if kind == "in a plain call" else "/stream"
    took: list[float] = []
    for turn in range(times):
        simulator.latency = 0.0 if kind == "in a stream" else 30.0
        async with Connection(url, path, "anthropic/m", f"{kind} {turn}") as reader:
            while not simulator.requests:  # noqa: ASYNC110 (nor the simulator)
                await asyncio.sleep(0.001)
            (request,) = simulator.requests
            if kind == "in a stream":
                await anext(_events(reader))
        left = asyncio.get_running_loop().time()
        if not await request.wait_closed(PATIENCE):
            raise RuntimeError("the simulator's side stayed open")
        took.append((asyncio.get_running_loop().time() - left) * 1000)
        simulator.requests.clear()
        await asyncio.sleep(0.05 * (turn % 3))
    return took


KINDS = ("in a stream", "before the first chunk", "in a plain call")


async def measure(loop: str, framework: str, readers: int, seconds: float, leavers: int) -> list[Figure]:
    """One framework."""
    tokens = round(seconds * PACE / STREAMS)
    simulator = SimulatorServer(chunks=10_000, chunk_delay=0.02)
    async with simulator, asyncio.timeout(PATIENCE):
        with Server("server", "web", tokens) as upstream, _service(loop, framework, upstream, simulator) as service:
            start = await asyncio.to_thread(service.ask, "state")
            reading = Readers(service.url, tokens)
            tasks = [asyncio.ensure_future(reading.run(number)) for number in range(readers)]
            await asyncio.sleep(seconds / 3)
            early = await asyncio.to_thread(service.ask, "state")
            took = {kind: await leave(service.url, simulator, kind, leavers) for kind in KINDS}
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            late = await asyncio.to_thread(service.ask, "state")
            await asyncio.wait(tasks)
            await asyncio.sleep(0.2)
            end = await asyncio.to_thread(service.ask, "state")
    for error, count in reading.errors.most_common(5):
        print(f"{framework}: {count} times {error}")
    cpu = (end["seconds"] - start["seconds"]) / max(1, reading.read) * 1e6
    growth = (late["resident"] - early["resident"]) / MIB
    figures = [
        Figure("tokens read", reading.read, at_least=readers * tokens * STREAMS),
        Figure("tokens lost", reading.lost, at_most=0),
        Figure("tokens reordered, doubled or another stream's", reading.reordered, at_most=0),
        Figure("errors", reading.errors.total(), at_most=0),
        Figure("streams that ended with [DONE]", reading.whole, at_least=readers * STREAMS),
        Figure("responses, slots, waiters and connections in use afterwards", end["left"], at_most=0),
        Figure("memory gained in the last two thirds", growth, at_most=8, unit="MiB", machine=True),
        Figure("event-loop lag, median", late["p50"], unit="ms"),
        Figure("event-loop lag, 99 of 100 below", late["p99"], at_most=50, unit="ms", machine=True),
        Figure("    that of which this process ran", late["p99 ran"], at_most=50, unit="ms", machine=True),
        Figure("event-loop lag, worst", late["worst"], unit="ms"),
        Figure("CPU time of the service for a token", cpu, unit="µs"),
    ]
    for kind, each in took.items():
        figures += [
            Figure(f"upstream closed when a reader leaves {kind}, median", statistics.median(each), unit="ms"),
            Figure("    worst", max(each), at_most=250, unit="ms", machine=True),
        ]
    return [figure._replace(label=f"{framework}: {figure.label}") for figure in figures]


def _service(loop: str, framework: str, upstream: Server, simulator: SimulatorServer) -> Server:
    return Server("web", "--serve", loop, framework, upstream.url, simulator.base_urls["anthropic"])


def run(given: argparse.Namespace) -> int:
    """One run in one form."""
    allow_files()
    readers, seconds, leavers = (
        (SHORT_READERS, SHORT_SECONDS, SHORT_LEAVERS) if given.short else (READERS, SECONDS, LEAVERS)
    )
    figures: list[Figure] = []
    for framework in SERVICES:
        figures += run_on(given.loop, measure(given.loop, framework, readers, seconds, leavers))
    title = f"{readers} readers at one service, {PACE} tokens a second each, {seconds:g} s"
    return conclude(title, figures, short=given.short)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    return command("web", __doc__, run, arguments)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        allow_files()
        run_on(sys.argv[2], _serve(*sys.argv[3:]))
    else:
        sys.exit(main())
