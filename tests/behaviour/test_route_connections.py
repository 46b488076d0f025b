"""Routes over real connections: those of targets that lose, fail or are left are closed, and nothing is left open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from anycompletion import (
    AllTargetsFailedError,
    AsyncCompletion,
    CompletionError,
    CompletionStream,
    RateLimit,
    RateLimitError,
    StreamInterruptedError,
    Timeout,
)
from anycompletion.routing import CircuitBreaker, Route, RouteTarget
from anycompletion.testing import Fault, SimulatorServer

TARGETS = ["openai/gpt-4o", "groq/llama-3.3-70b"]
FORMS = pytest.mark.parametrize("stream", [False, True])


class Pair:
    """Two servers, and a client with a route over both."""

    def __init__(self, first: SimulatorServer, last: SimulatorServer, client: AsyncCompletion) -> None:
        self.first, self.last, self.client = first, last, client

    async def ask(self, *, stream: bool = False, **options: Any) -> str:
        """The text of a call."""
        reply = await self.client.create("pair", "Hello!", stream=stream, **options)
        if isinstance(reply, CompletionStream):
            reply = await reply.get_final_completion()
        return reply.text

    @property
    def in_flight(self) -> list[int]:
        """What is under way: calls to the targets, and requests to the providers."""
        stats = self.client.stats()
        states = [state.in_flight for state in stats.routes["pair"]]
        return states + [each.in_flight for each in stats.providers.values()]

    @property
    def asked(self) -> tuple[int, int]:
        return len(self.first.requests), len(self.last.requests)


@asynccontextmanager
async def pair(route: Route | None = None, **first: Any) -> AsyncGenerator[Pair]:
    """Two simulators, of which the first has a fault."""
    async with SimulatorServer(**first) as one, SimulatorServer(reply="from the last") as two:
        urls = {"openai": one.base_urls["openai"], "groq": two.base_urls["openai"]}
        keys = {"openai": one.api_keys["openai"], "groq": two.api_keys["openai"]}
        routes = {"pair": route or Route(TARGETS)}
        async with AsyncCompletion(base_urls=urls, api_keys=keys, routes=routes, max_retries=0) as client:
            made = Pair(one, two, client)
            yield made
            assert set(made.in_flight) == {0}


@FORMS
async def test_the_connection_of_the_slower_target_is_closed(stream: bool) -> None:
    """A provider would go on to generate, and to bill, an answer without a reader."""
    async with pair(Route(TARGETS, hedge_after=0.05), fault="hang") as both:
        assert await both.ask(stream=stream) == "from the last"
        assert both.asked == (1, 1)
        assert await both.first.requests[0].wait_closed()


@pytest.mark.parametrize("events", [0, 1])
async def test_the_connection_of_a_stream_that_stalls_is_closed_when_the_call_moves_on(events: int) -> None:
    """Each stalled stream would keep a connection, and its provider would go on writing into it."""
    shorter = RouteTarget(TARGETS[0], options={"timeout": Timeout(first_chunk=0.1, idle=0.1)})
    async with pair(Route([shorter, TARGETS[1]]), fault=f"stall-after-{events}-events") as both:
        assert await both.ask(stream=True) == "from the last"
        assert await both.first.requests[0].wait_closed()


@FORMS
async def test_a_call_that_is_cancelled_closes_its_connection_and_spares_the_health(stream: bool) -> None:
    """Callers who give up would have a healthy target passed by, or leave connections."""
    async with pair(Route(TARGETS, breaker=CircuitBreaker(failures=1)), fault="hang") as both:
        call = asyncio.create_task(both.ask(stream=stream))
        while not both.first.requests:
            await asyncio.sleep(0.001)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await both.first.requests[0].wait_closed()
        assert both.asked == (1, 0)
        assert [state.state for state in both.client.stats().routes["pair"]] == ["closed", "closed"]


async def test_a_reader_that_leaves_closes_the_connection_of_the_target() -> None:
    """A target would write the rest of a stream without a reader."""
    async with pair(chunks=500, chunk_delay=0.01) as both:
        async with both.client.stream("pair", "Hello!") as stream:
            async for _ in stream:
                break
        assert await both.first.requests[0].wait_closed()
        assert both.asked == (1, 0)


@pytest.mark.parametrize("fault", ["reset", "close", "cut", "error"])
@pytest.mark.parametrize("events", range(5))
async def test_no_text_comes_twice_wherever_a_stream_ends(fault: str, events: int) -> None:
    """A reader would get the beginning of two answers, or the middle of one as if it were all of it."""
    async with pair(fault=f"{fault}-after-{events}-events", reply="one two three four five") as both:
        texts: list[str] = []
        async with both.client.stream("pair", "Hello!") as stream:
            failed: CompletionError | None = None
            try:
                async for text in stream.text:
                    texts.append(text)
            except CompletionError as error:
                failed = error
        if failed is None:
            assert ("".join(texts), both.asked) == ("from the last", (1, 1))
        else:
            assert texts
            assert "one two three four five".startswith("".join(texts))
            assert not isinstance(failed, AllTargetsFailedError)
            assert both.asked == (1, 0)


@pytest.mark.parametrize("name", ["first_chunk", "idle"])
async def test_a_target_may_shorten_the_times_of_its_streams(name: str) -> None:
    """A target that is known to be quick would be waited for as long as a slow one."""
    timeout = Timeout(first_chunk=0.1) if name == "first_chunk" else Timeout(idle=0.1)
    fault = "hang" if name == "first_chunk" else "stall-after-1-events"
    async with pair(Route([RouteTarget(TARGETS[0], options={"timeout": timeout}), TARGETS[1]]), fault=fault) as both:
        async with both.client.stream("pair", "Hello!", timeout=Timeout(first_chunk=30, idle=30)) as stream:
            assert (await stream.get_final_completion()).text == "from the last"
        (failed, _) = stream.info.tried
        assert failed.error is not None
        assert failed.error.phase == name


async def test_a_target_cannot_lengthen_the_times_of_the_call() -> None:
    """A caller would wait longer than the call allows."""
    longer = RouteTarget(TARGETS[0], options={"timeout": Timeout(total=60, first_chunk=60)})
    async with pair(Route([longer, TARGETS[1]]), fault="hang") as both:
        assert await both.ask(stream=True, timeout=Timeout(first_chunk=0.1)) == "from the last"


@pytest.mark.parametrize("stream", [False, True])
async def test_all_choices_move_together_where_one_of_them_fails(stream: bool) -> None:
    """The choices of one reply would come from two models."""
    route = Route(["anthropic/claude-haiku-4-5", "groq/llama-3.3-70b"])
    async with SimulatorServer(fault=Fault.status(500, skip=1, times=1)) as one, SimulatorServer(reply="last") as two:
        urls = {"anthropic": one.base_urls["anthropic"], "groq": two.base_urls["openai"]}
        keys = {"anthropic": one.api_keys["anthropic"], "groq": two.api_keys["openai"]}
        async with AsyncCompletion(base_urls=urls, api_keys=keys, routes={"pair": route}, max_retries=0) as client:
            reply = await client.create("pair", "Hello!", n=3, stream=stream)
            if isinstance(reply, CompletionStream):
                reply = await reply.get_final_completion()
            assert [choice.message.content for choice in reply.choices] == ["last"] * 3
            assert reply.info.provider == "groq"
            assert [state.in_flight for state in client.stats().routes["pair"]] == [0, 0]
            for request in one.requests:
                await request.wait_closed()
            assert client.stats().providers["anthropic"].in_flight == 0


@FORMS
@pytest.mark.parametrize("targets", [TARGETS[:1], ["openai/gpt-4o", "openai/gpt-4o-mini"]], ids=["one", "two"])
async def test_a_pause_that_begins_while_calls_are_queued_costs_them_no_attempt(
    targets: list[str], stream: bool
) -> None:
    """Calls that queue for the client's own limits would fail, with nothing sent, where those without a route wait."""
    async with SimulatorServer(latency=0.02, fault=Fault.status(429, retry_after=0.1, times=1)) as server:
        options: dict[str, Any] = {"limits": {"openai": RateLimit(concurrency=1)}, "max_retries": 0}
        options |= {"base_urls": server.base_urls, "api_keys": server.api_keys}
        async with AsyncCompletion(routes={"route": Route(targets)}, **options) as client:

            async def ask(index: int) -> str:
                reply = await client.create("route", f"Question {index}", stream=stream)
                if isinstance(reply, CompletionStream):
                    reply = await reply.get_final_completion()
                return reply.text

            calls = (asyncio.create_task(ask(index)) for index in range(5))
            results = await asyncio.gather(*calls, return_exceptions=True)
        failed = [each for each in results if isinstance(each, BaseException)]
        assert [type(each) for each in failed] == [RateLimitError] * (2 - len(targets))
        assert len(server.requests) == 5 + (len(targets) - 1)


async def test_a_stream_that_is_cut_after_its_first_content_counts_as_a_failure() -> None:
    """A target whose streams all break would get all calls."""
    route = Route(TARGETS, breaker=CircuitBreaker(failures=2))
    async with pair(route, fault="reset-after-3-events", reply="one two three four five") as both:
        for _ in range(2):
            with pytest.raises(StreamInterruptedError):
                await both.ask(stream=True)
        assert both.client.stats().routes["pair"][0].state == "open"
        assert await both.ask(stream=True) == "from the last"
