"""Batches without a client or a network: an in-process provider, and a `BatchClient` that uses it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, cast

from anycompletion.batch import BatchRun
from anycompletion.options import OptionValues
from anycompletion.ratelimit.adaptive_concurrency import AdaptiveConcurrency
from anycompletion.records import (
    ChatCompletion,
    ChatCompletionMessage,
    ChatRequest,
    Choice,
    ReplyInfo,
    Usage,
    UserMessage,
)
from anycompletion.records.results import Result

OnLoadRefusal = Callable[[], None] | None
Complete = Callable[[ChatRequest, OnLoadRefusal], Awaitable[ChatCompletion]]


def reply(text: str, **usage: Any) -> ChatCompletion:
    completion = ChatCompletion(
        "chatcmpl-1",
        [Choice(0, ChatCompletionMessage(text), "stop")],
        "m",
        1_700_000_000,
        usage=Usage(3, 2, 5, **usage),
    )
    completion.info = ReplyInfo("openai", "m", 200)
    return completion


def make_request(number: int, model: str = "openai/m") -> ChatRequest:
    return ChatRequest(model, f"question {number}", custom_id=f"row-{number}")


class Provider:
    """In-process provider that replies after some iterations of the event loop, and counts requests."""

    def __init__(self, *, delay: int = 1, errors: dict[str, Exception] | None = None) -> None:
        self.delay = delay
        """Iterations of the event loop before a reply."""
        self.errors = errors or {}
        """Id → the error that is raised instead of a reply."""
        self.started: Counter[str | None] = Counter()
        """Id → number of requests."""
        self.in_flight = 0
        self.max_in_flight = 0
        self.cancelled = 0
        self.blocked: dict[str, asyncio.Event] = {}
        """Id → the event that its reply waits for."""
        self.usage: dict[str, Any] = {}

    async def __call__(self, request: ChatRequest, on_load_refusal: OnLoadRefusal) -> ChatCompletion:
        custom_id = request.custom_id or ""
        self.started[request.custom_id] += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        try:
            for _ in range(self.delay):
                await asyncio.sleep(0)
            if custom_id in self.blocked:
                await self.blocked[custom_id].wait()
            if custom_id in self.errors:
                raise self.errors[custom_id]
            return reply(f"answer to {cast('UserMessage', request.messages[0]).content}", **self.usage)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.in_flight -= 1


class TaskTracker:
    """Keeps references to tasks until they end, as a client does."""

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()

    def track_task(self, task: asyncio.Task[None]) -> None:
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


class _InProcessClient:
    """The client of a batch without a network: `provider` answers its requests."""

    def __init__(self, provider: Complete, tracker: TaskTracker) -> None:
        self._provider = provider
        self.track_task = tracker.track_task

    def complete(
        self, request: ChatRequest, options: OptionValues, on_load_refusal: OnLoadRefusal
    ) -> Awaitable[ChatCompletion]:
        return self._provider(request, on_load_refusal)

    def total_timeout(self, options: OptionValues) -> float | None:
        return 600.0

    def provider_of(self, model: str, given: str | None) -> str:
        return model.partition("/")[0]

    def track_concurrency(self, provider: str, limit: AdaptiveConcurrency) -> None:
        """Not tracked."""

    def check_alive(self) -> None:
        """Never closed."""


def batch(items: Any, provider: Complete, tracker: TaskTracker | None = None, **options: Any) -> BatchRun:
    """A batch whose requests `provider` answers."""
    return BatchRun(items, client=_InProcessClient(provider, tracker or TaskTracker()), **options)


async def results(run: BatchRun) -> list[Result]:
    async with asyncio.timeout(60):
        async with run:
            return [result async for result in run]
