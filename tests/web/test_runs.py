"""Tool runs that real servers relay to real clients: as one reply, with errors, ended when the client disconnects."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any

import pytest
from aiohttp import web
from openai.types.chat import ChatCompletionChunk as OpenAIChunk
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute

from anycompletion import (
    AsyncCompletion,
    ChatCompletionChunk,
    ChunkChoice,
    Delta,
    ImagePart,
    ImageUrl,
    InvalidRequestError,
    Part,
    RateLimitError,
    TextPart,
    ToolCall,
    Usage,
)
from anycompletion.routing import Route
from anycompletion.testing import FakeProvider, FakeReply, SimulatorServer, tool_call
from anycompletion.tools import RunnableTool, ToolError, ToolRun, tool
from anycompletion.web import aiohttp_sse, cancel_on_disconnect, starlette_sse
from support.services import Peer, aiohttp_service, asgi_service, events

MODEL = "openai/gpt-4o"
SECRET = "Secret-of-the-service"
TIMEOUT = 10.0

Start = Callable[[], ToolRun[Any]]
Served = Callable[..., AbstractAsyncContextManager[str]]


@tool
async def weather(city: str) -> str:
    """The weather."""
    return f"{SECRET}: rain in {city}"


@tool
async def closed() -> str:
    """Reports an error."""
    raise ToolError("closed on Mondays")


@tool(needs_approval=True)
async def delete(path: str) -> str:
    """Deletes a file."""
    return f"deleted {path}"


# --- the services ----------------------------------------------------------------------------------------------------


def _starlette(start: Start, **options: Any) -> AbstractAsyncContextManager[str]:
    async def chat(_: Request) -> Response:
        return starlette_sse(start(), **options)

    async def plain(request: Request) -> Response:
        return Response((await cancel_on_disconnect(request, start())).text)

    routes = [StarletteRoute(path, handler, methods=["POST"]) for path, handler in (("/chat", chat), ("/plain", plain))]
    return asgi_service(Starlette(routes=routes))


def _aiohttp(start: Start, **options: Any) -> AbstractAsyncContextManager[str]:
    async def chat(request: web.Request) -> web.StreamResponse:
        await request.read()
        return await aiohttp_sse(request, start(), **options)

    async def plain(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(text=(await cancel_on_disconnect(request, start())).text)

    app = web.Application()
    app.add_routes([web.post("/chat", chat), web.post("/plain", plain)])
    return aiohttp_service(app)


services = pytest.mark.parametrize("serve", [_starlette, _aiohttp], ids=["starlette", "aiohttp"])


class FakeRuns:
    """A client whose provider gives scripted replies, and runs of it."""

    def __init__(self, client: AsyncCompletion, fake: FakeProvider) -> None:
        self.client = client
        self.fake = fake
        self.started: list[ToolRun[Any]] = []

    def start(self, *replies: FakeReply, **options: Any) -> Start:
        """A function that starts a run for which the model gives these replies."""

        def begin() -> ToolRun[Any]:
            self.fake.add(*replies)
            tools = options.pop("tools", [weather, closed, delete])
            self.started.append(self.client.run_tools(MODEL, "Hello!", tools, **options))
            return self.started[-1]

        return begin


@pytest.fixture
async def runs() -> AsyncIterator[FakeRuns]:
    """Runs of a model without replies."""
    fake = FakeProvider()
    async with AsyncCompletion(providers=[fake], max_retries=0) as client:
        yield FakeRuns(client, fake)


async def relayed(url: str) -> list[Any]:
    """The events of a complete answer."""
    async with Peer(url, "/chat", {}) as peer:
        head = await peer.head()
        assert (head.status, head.headers["content-type"].partition(";")[0]) == (200, "text/event-stream")
        *data, last = events(await peer.rest())
    assert last == "[DONE]"
    return [json.loads(each) for each in data]


def deltas(chunks: list[Any]) -> list[Any]:
    """The deltas of chunks, without those that have none."""
    return [choice["delta"] for chunk in chunks for choice in chunk["choices"] if choice["delta"]]


def finished(turn: int, call: ToolCall, content: str, *, failed: bool = False) -> dict[str, Any]:
    """The event of a call that has ended."""
    ids = {"call_id": call.id, "name": call.function.name}
    return {"type": "call_finished", "turn": turn, **ids, "content": content, "failed": failed}


# --- what is sent ----------------------------------------------------------------------------------------------------


@services
async def test_a_run_is_relayed_as_one_reply(serve: Served, runs: FakeRuns) -> None:
    """A page or an SDK of OpenAI's could not read it, or texts of two turns would run into each other."""
    start = runs.start(["Let me ", "look.", tool_call("weather", city="Oslo")], ["It ", "rains."])
    async with serve(start) as url:
        chunks = await relayed(url)
    assert "".join(delta["content"] for delta in deltas(chunks)) == "Let me look.\n\nIt rains."
    assert [delta.get("role") for delta in deltas(chunks)] == ["assistant", None, None, None]
    assert [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]] == [*[None] * 4, "stop"]
    assert len({(chunk["id"], chunk["model"], chunk["created"]) for chunk in chunks}) == 1
    assert chunks[0]["model"] == MODEL
    for chunk in chunks:
        OpenAIChunk.model_validate(chunk, strict=True)


@services
async def test_calls_and_results_stay_in_the_service(serve: Served, runs: FakeRuns) -> None:
    """A visitor would read what the tools of the service return, or how the model reasons about it."""
    thought = ChatCompletionChunk(choices=[ChunkChoice(0, Delta(reasoning_content=SECRET))])
    start = runs.start([thought, tool_call("weather", city="Oslo")], [thought, "It rains."])
    async with serve(start) as url, Peer(url, "/chat", {}) as peer:
        await peer.head()
        body = (await peer.rest()).decode()
    assert "It rains." in body
    assert SECRET not in body
    assert "weather" not in body


@services
async def test_a_client_may_see_the_tools(serve: Served, runs: FakeRuns) -> None:
    """A page could not show what a tool does while the user waits."""
    thought = ChatCompletionChunk(choices=[ChunkChoice(0, Delta(reasoning_content="Hmm."))])
    first, second, unknown = tool_call("weather", city="Oslo"), tool_call("closed"), tool_call("open")
    async with serve(runs.start([thought, first], second, unknown, "It rains."), tools=True) as url:
        chunks = await relayed(url)
    assert [chunk["tool_event"] for chunk in chunks if "tool_event" in chunk] == [
        {"type": "call_started", "turn": 0, "call": first.to_dict()},
        finished(0, first, f"{SECRET}: rain in Oslo"),
        {"type": "call_started", "turn": 1, "call": second.to_dict()},
        finished(1, second, "closed on Mondays", failed=True),
        finished(2, unknown, '{"error":"unknown tool","tools":["weather","closed","delete"]}', failed=True),
        {"type": "run_finished", "turn": 3, "status": "finished", "pending": []},
    ]
    assert deltas(chunks)[0] == {"reasoning_content": "Hmm."}
    for chunk in chunks:
        OpenAIChunk.model_validate(chunk, strict=True)


@services
async def test_a_paused_run_is_marked(serve: Served, runs: FakeRuns) -> None:
    """A page could not ask its user for approval, or take the pause for a complete answer."""
    call = tool_call("delete", path="/a")
    async with serve(runs.start(["I would delete it.", call]), tools=True) as url:
        *_, ended, last = await relayed(url)
    pending = [{"id": call.id, "name": "delete", "arguments": {"path": "/a"}}]
    assert ended["tool_event"] == {"type": "run_finished", "turn": 0, "status": "paused", "pending": pending}
    assert last["choices"][0]["finish_reason"] == "tool_calls"


@services
async def test_a_run_that_goes_on_is_one_reply(serve: Served, runs: FakeRuns) -> None:
    """A page would see an empty id first, and another one in the middle of the reply."""
    paused = await runs.start(tool_call("delete", path="/a"))()
    runs.fake.add("It is gone.")
    start = lambda: runs.client.run_tools(MODEL, paused.messages, [delete], approve=lambda _: True)  # noqa: E731
    async with serve(start, tools=True) as url:
        chunks = await relayed(url)
    ((id, model, created),) = {(chunk["id"], chunk["model"], chunk["created"]) for chunk in chunks}
    assert (id[:9], model, created > 0) == ("chatcmpl-", MODEL, True)


@services
async def test_a_run_may_end_without_choices(serve: Served, runs: FakeRuns) -> None:
    """A reply of a provider that has no choices would be an internal error in the middle of the response."""
    start = runs.start([ChatCompletionChunk(usage=Usage(1, 0, 1))])
    async with serve(start, tools=True) as url:
        *_, last = await relayed(url)
    assert [choice["finish_reason"] for choice in last["choices"]] == ["stop"]


@services
async def test_a_reply_that_stays_paused_is_marked(serve: Served) -> None:
    """A page would take a reply that its provider only paused for a complete answer."""
    async with (
        SimulatorServer(reply="one two") as sim,
        AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys, max_retries=0) as client,
    ):
        sim.fault = "pause-turn"
        start = lambda: client.run_tools("anthropic/claude-sonnet-4-5", "Hello!", [weather], max_turns=1)  # noqa: E731
        async with serve(start, tools=True) as url:
            *_, ended, last = await relayed(url)
    assert ended["tool_event"] == {"type": "run_finished", "turn": 0, "status": "max_turns", "pending": []}
    assert [choice["finish_reason"] for choice in last["choices"]] == ["length"]


@services
async def test_a_result_with_an_image_is_relayed(serve: Served, runs: FakeRuns) -> None:
    """A page could not show what a tool returned, or the relay would break off."""

    @tool
    async def photo() -> list[Part]:
        """Takes a photo."""
        return [TextPart("a cat"), ImagePart(ImageUrl("data:image/png;base64,AAAA"))]

    async with serve(runs.start(tool_call("photo"), "A cat.", tools=[photo]), tools=True) as url:
        chunks = await relayed(url)
    (result,) = [event["content"] for chunk in chunks if "content" in (event := chunk.get("tool_event", {}))]
    assert result == [
        {"type": "text", "text": "a cat"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]


async def test_a_refusal_is_sent(runs: FakeRuns) -> None:
    """A page would show an empty answer where the model refused."""
    refusal = ChatCompletionChunk(choices=[ChunkChoice(0, Delta(refusal="No."))])
    async with _starlette(runs.start([refusal])) as url:
        assert deltas(await relayed(url)) == [{"refusal": "No."}]


@services
async def test_pings_are_sent_while_a_tool_runs(serve: Served, runs: FakeRuns) -> None:
    """A proxy would close the connection during a slow tool."""
    go = asyncio.Event()

    @tool
    async def slow() -> str:
        """Takes long."""
        await go.wait()
        return "done"

    start = runs.start(tool_call("slow"), "It is done.", tools=[slow])
    async with serve(start, ping=0.01) as url, Peer(url, "/chat", {}) as peer:
        await peer.head()
        assert await peer.piece() == b": ping\n\n"
        go.set()
        assert events(await peer.rest())[-1] == "[DONE]"


# --- errors ----------------------------------------------------------------------------------------------------------


@services
async def test_an_error_of_the_first_turn_has_a_status(serve: Served, runs: FakeRuns) -> None:
    """A page would get status 200 for a run that never began."""
    async with serve(runs.start(RateLimitError(SECRET, retry_after=2))) as url, Peer(url, "/chat", {}) as peer:
        head, body = await peer.whole()
    assert (head.status, head.headers["retry-after"], body["error"]["code"]) == (429, "2", "rate_limit_exceeded")
    assert SECRET not in json.dumps(body)


@services
async def test_an_error_of_a_later_turn_is_an_event(serve: Served, runs: FakeRuns) -> None:
    """A page would take a run that failed midway for a complete answer."""
    start = runs.start(["One moment.", tool_call("weather", city="Oslo")], RateLimitError(SECRET))
    async with serve(start) as url, Peer(url, "/chat", {}) as peer:
        assert (await peer.head()).status == 200
        *_, last = events(await peer.rest())
    assert json.loads(last)["error"]["code"] == "rate_limit_exceeded"
    assert SECRET not in last


@services
async def test_an_exception_of_a_tool_is_the_services(serve: Served, runs: FakeRuns) -> None:
    """A page would get the text of an exception in the service."""

    @tool
    async def broken() -> str:
        """Fails."""
        raise RuntimeError(SECRET)

    start = runs.start(["One moment.", tool_call("broken")], tools=[broken], on_tool_error="raise")
    async with serve(start, tools=True) as url, Peer(url, "/chat", {}) as peer:
        assert (await peer.head()).status == 200
        body = (await peer.rest()).decode()
    assert json.loads(body.split("data: ")[-1])["error"]["code"] == "internal_error"
    assert SECRET not in body


@services
async def test_a_run_whose_streams_begin_anew_is_refused(serve: Served) -> None:
    """A page would get the beginning of a text twice, from two models, or pay for a reply that is refused."""
    fakes = [FakeProvider(lambda _: "The air scatters light.", name=name) for name in ("openai", "groq")]
    routes = {"fast": Route([MODEL, "groq/llama-3.3-70b-versatile"], restart_streams=True)}
    async with AsyncCompletion(providers=fakes, routes=routes) as client:
        start = lambda: client.run_tools("fast", "Why?", [weather])  # noqa: E731
        async with serve(start) as url, Peer(url, "/chat", {}) as peer:
            head, body = await peer.whole()
        assert (head.status, body["error"]["code"]) == (500, "internal_error")
        with pytest.raises(InvalidRequestError, match="restart_streams: events of a run would"):
            await anext(start().text)
        assert [len(fake.requests) for fake in fakes] == [0, 0]
        assert (await start()).text == "The air scatters light."


def test_other_objects_are_refused(runs: FakeRuns) -> None:
    """A coroutine in place of a run would be an error in the middle of a response."""
    with pytest.raises(TypeError, match="expected a stream or a tool run, found list"):
        starlette_sse([])  # type: ignore[arg-type]


# --- the client disconnects ------------------------------------------------------------------------------------------


def waiting_tool(started: asyncio.Event, cancelled: asyncio.Event) -> RunnableTool[[], str]:
    """A tool that waits until it is cancelled."""

    @tool
    async def wait() -> str:
        """Waits."""
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return ""

    return wait


@services
@pytest.mark.parametrize("path", ["/chat", "/plain"])
async def test_a_disconnect_cancels_the_tools(serve: Served, path: str, runs: FakeRuns) -> None:
    """Tools would go on, and the model be asked again, for a page that was closed."""
    started, cancelled = asyncio.Event(), asyncio.Event()
    wait = waiting_tool(started, cancelled)

    start = runs.start(["One moment.", tool_call("wait")], tools=[wait])
    async with serve(start) as url, Peer(url, path, {}) as peer:
        async with asyncio.timeout(TIMEOUT):
            await started.wait()
            peer.leave()
            await cancelled.wait()
    assert len(runs.fake.requests) == 1


@services
@pytest.mark.parametrize("turn", [0, 1])
async def test_a_disconnect_closes_the_request(serve: Served, turn: int) -> None:
    """The provider would go on for a page that was closed."""
    async with (
        SimulatorServer(reply="one two three four") as sim,
        AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys, max_retries=0) as client,
    ):
        if turn == 0:
            sim.fault = "stall-after-3-events"

        @tool
        async def look() -> str:
            """Looks."""
            sim.fault = "stall-after-3-events"
            return "nothing"

        start = lambda: client.run_tools(MODEL, "Hello!", [look], tool_choice="required")  # noqa: E731
        async with serve(start, ping=0.01) as url, Peer(url, "/chat", {}) as peer:
            async with asyncio.timeout(TIMEOUT):
                await peer.head()
                while len(sim.requests) <= turn:
                    await peer.piece()
                peer.leave()
                assert await sim.requests[turn].wait_closed()


@services
async def test_a_client_that_reads_nothing_ends_the_run(serve: Served, runs: FakeRuns) -> None:
    """Tools would go on for a client that is connected, but reads nothing."""
    started, cancelled = asyncio.Event(), asyncio.Event()
    wait = waiting_tool(started, cancelled)

    @tool
    async def large() -> str:
        """Returns more than the buffers of a connection hold."""
        await started.wait()
        return "x" * 40_000_000

    calls = [tool_call("wait"), tool_call("large")]
    start = runs.start(calls, tools=[wait, large], max_result_chars=50_000_000)
    # uvicorn takes a write of any size at once, and lets the next one, which is a ping, wait.
    async with serve(start, tools=True, ping=0.01, write_timeout=0.3) as url, Peer(url, "/chat", {}):
        async with asyncio.timeout(TIMEOUT):
            await cancelled.wait()
    assert len(runs.fake.requests) == 1


async def test_a_run_that_is_read_in_part_can_be_relayed(runs: FakeRuns) -> None:
    """A service that waits for the first event, to choose a status itself, would get an error."""
    run = runs.start("It rains.")()
    async with aclosing(run):
        await anext(run.events())
        async with _starlette(lambda: run) as url:
            assert "".join(delta["content"] for delta in deltas(await relayed(url))) == " rains."
