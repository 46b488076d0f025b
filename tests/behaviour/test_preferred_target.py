"""Tests of requests that prefer a target of their route, as the turns of a run of tools do after the first one."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from anycompletion import AsyncCompletion, CallOptions, ChatRequest, CompletionStream, InternalServerError, UserMessage
from anycompletion.middleware import CallNext, Reply
from anycompletion.routing import CircuitBreaker, Route, Strategy
from anycompletion.testing import FakeProvider

TARGETS = ["openai/gpt-4o", "anthropic/claude-haiku-4-5", "cohere/command-a-03-2025"]
LAST = TARGETS[-1]


class Pinned:
    """A client with a route over three providers, whose requests prefer the last one."""

    async def __aenter__(self) -> Pinned:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()

    def __init__(self, strategy: Strategy = "order", *, failing: str = "", **options: Any) -> None:
        self.fakes = {
            name: FakeProvider(lambda request: InternalServerError("down"), name=name)
            if name == failing
            else FakeProvider(lambda request: "Hello.", name=name)
            for name in ("openai", "anthropic", "cohere")
        }
        route = Route(TARGETS, strategy=strategy, breaker=CircuitBreaker(failures=1))
        self.client = AsyncCompletion(providers=[*self.fakes.values()], routes={"any": route}, **options)

    async def ask(self, preferred: str | None = LAST, *, stream: bool = False) -> str | None:
        """The target that answered."""
        request = ChatRequest("any", [UserMessage("Hi")], preferred_target=preferred)
        reply = await self.client.send(request, stream=stream)
        return (await reply.get_final_completion() if isinstance(reply, CompletionStream) else reply).info.target


WAYS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@WAYS
@pytest.mark.parametrize("strategy", ["order", "weighted", "least_busy", "fastest", "cheapest"])
async def test_the_preferred_target_is_visited(strategy: Strategy, stream: bool) -> None:
    """A run of tools would move between its turns, so that thinking signatures and the prompt cache were lost."""
    async with Pinned(strategy) as route:
        assert [await route.ask(stream=stream) for _ in range(3)] == [LAST] * 3
        assert [len(fake.requests) for fake in route.fakes.values()] == [0, 0, 3]


@WAYS
async def test_a_preferred_target_that_fails_is_left(stream: bool) -> None:
    """A run of tools would fail with its first target, although the route has others."""
    async with Pinned(failing="cohere", max_retries=0) as route:
        assert await route.ask(stream=stream) == TARGETS[0]
        assert await route.ask(stream=stream) == TARGETS[0]
        assert len(route.fakes["cohere"].requests) == 1


@WAYS
async def test_an_unknown_preferred_target_changes_nothing(stream: bool) -> None:
    """A transcript of an earlier configuration, whose target is gone, could not be continued."""
    async with Pinned() as route:
        assert await route.ask("gone/model", stream=stream) == TARGETS[0]
        assert await route.ask(None, stream=stream) == TARGETS[0]


async def test_the_preference_passes_middleware_and_is_not_sent() -> None:
    """Behind middleware a run would move, or the name of the target would reach the provider."""

    async def changing(request: ChatRequest, options: CallOptions, call_next: CallNext) -> Reply:
        return await call_next(attrs.evolve(request, temperature=0.5), options)

    async with Pinned(middleware=[changing]) as route:
        assert await route.ask() == LAST
        (sent,) = route.fakes["cohere"].requests
        assert sent.body == {
            "model": "command-a-03-2025",
            "messages": [{"role": "user", "content": "Hi"}],
            "temperature": 0.5,
        }
