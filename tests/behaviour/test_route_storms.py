"""Random calls, failures, cancellations and settings in virtual time: no call outlasts its timeout, nothing is left."""

from __future__ import annotations

import asyncio
import gc
import random
from typing import Any

import pytest

from anycompletion import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    AsyncCompletion,
    AuthenticationError,
    BadRequestError,
    ChatRequest,
    ContextWindowExceededError,
    InternalServerError,
    RateLimit,
    RateLimitError,
    StreamInterruptedError,
)
from anycompletion.routing import CircuitBreaker, Route, RouteTarget
from anycompletion.testing import FakeProvider
from support.virtual_clock import run

PROVIDERS = ("openai", "groq", "mistral")
ERRORS: tuple[APIError, ...] = (
    APIConnectionError("no", phase="connect"),
    APITimeoutError("no", phase="idle", maybe_billed=True),
    InternalServerError("no", status_code=500),
    AuthenticationError("no", status_code=401),
    BadRequestError("no", status_code=400),
    ContextWindowExceededError("no", status_code=400),
    RateLimitError("no", status_code=429),
    *(RateLimitError("no", status_code=429, retry_after=seconds) for seconds in (0.5, 3.0, 70.0)),
)


class Storm:
    """One random client, its providers and its callers."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 (no secret)
        self.share_of_failures = 0.0

    async def reply(self, request: ChatRequest) -> Any:
        await asyncio.sleep(self.random.choice([0.0, 0.01, 0.3, 2.0, 20.0]))
        chance = self.random.random()
        if chance < self.share_of_failures:
            raise type(error := self.random.choice(ERRORS))(
                error.message, status_code=error.status_code, retry_after=error.retry_after, phase=error.phase
            )
        return ["a ", "b ", StreamInterruptedError("cut")] if chance > 0.9 else "a b c d"

    def client(self) -> AsyncCompletion:
        choose = self.random.choice
        breaker = CircuitBreaker(failures=choose([1, 3]), seconds=5, longest=40)
        targets = [
            RouteTarget(
                f"{name}/model",
                price=(index, 1.0),
                context_window=choose([None, 1000, 5000]),
                options={"timeout": choose([5, 30])} if choose([True, False]) else {},
            )
            for index, name in enumerate(PROVIDERS)
        ]
        route = Route(
            targets,
            choose(["order", "weighted", "least_busy", "fastest", "cheapest"]),
            attempts_per_target=choose([1, 2]),
            breaker=choose([None, breaker, breaker]),
            hedge_after=choose([None, 0.5]),
            hedge_share=1.0,
            sticky=choose([None, "prompt_cache"]),
        )
        fakes = [FakeProvider(self.reply, name=name, chunk_delay=choose([0.0, 0.1])) for name in PROVIDERS]
        limits: dict[str, RateLimit] | None = choose([None, {"openai": RateLimit(concurrency=choose([1, 3]))}])
        return AsyncCompletion(
            providers=fakes, routes={"route": route}, max_retries=choose([0, 2, 5]), limits=limits or {}
        )

    async def call(self, client: AsyncCompletion, *, stream: bool, timeout: float, n: int | None) -> None:
        messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello!"}]
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            if not stream:
                await client.create("route", messages, timeout=timeout, n=n)
            else:
                async with client.stream("route", messages, timeout=timeout) as opened:
                    async for _ in opened:
                        if self.random.random() < 0.1:
                            break
        except APIError:
            pass
        assert loop.time() - began <= timeout + 0.02

    async def one(self, client: AsyncCompletion) -> None:
        choose = self.random.choice
        call = self.call(client, stream=choose([True, False]), timeout=choose([3, 20, 200]), n=choose([None, None, 2]))
        task = asyncio.create_task(call)
        if self.random.random() < 0.2:
            await asyncio.sleep(choose([0.0, 0.01, 0.2, 3.0]))
            task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()

    async def run(self) -> None:
        async with self.client() as client:
            calls: list[asyncio.Task[None]] = []
            for _ in range(50):
                self.share_of_failures = self.random.choice([0.0, 0.3, 0.9])
                calls.append(asyncio.create_task(self.one(client)))
                await asyncio.sleep(self.random.choice([0.0, 0.05, 1.0, 6.0]))
            await asyncio.gather(*calls)
            gc.collect()
            await asyncio.sleep(1)
            stats = client.stats()
            assert [state.in_flight for state in stats.routes["route"]] == [0, 0, 0]
            assert [(each.in_flight, each.queued) for each in stats.providers.values()] == [(0, {})] * len(
                stats.providers
            )


@pytest.mark.parametrize("seed", range(8))
def test_no_call_outlasts_its_timeout_and_nothing_is_left(seed: int) -> None:
    """Some combination of failures would keep a call waiting, a target busy for ever, or a connection open."""
    run(Storm(seed).run())
