"""A provider inside the process for tests of batches, and batches without a client."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, cast

from anycompletion.batch import BatchRun
from anycompletion.records import (
    AssistantMessage,
    ChatCompletion,
    ChatRequest,
    Choice,
    ReplyInfo,
    Result,
    Usage,
    UserMessage,
)

OnThrottled = Callable[[], None] | None
Answer = Callable[[ChatRequest, OnThrottled], Awaitable[ChatCompletion]]


def reply(text: str, **usage: Any) -> ChatCompletion:
    completion = ChatCompletion(
        "chatcmpl-1", [Choice(0, AssistantMessage(text), "stop")], "m", 1_700_000_000, usage=Usage(3, 2, 5, **usage)
    )
    completion.info = ReplyInfo("openai", "m", 200)
    return completion


def asked(number: int, model: str = "openai/m") -> ChatRequest:
    return ChatRequest(model, f"question {number}", custom_id=f"row-{number}")


class Provider:
    """Answers after some turns of the loop, and counts."""

    def __init__(self, *, turns: int = 1, faults: dict[str, Exception] | None = None) -> None:
        self.turns = turns
        self.faults = faults or {}
        """By id."""
        self.begun: Counter[str | None] = Counter()
        self.in_flight = 0
        self.most = 0
        self.cancelled = 0
        self.held: dict[str, asyncio.Event] = {}
        """By id: who is answered only then."""
        self.usage: dict[str, Any] = {}

    async def __call__(self, request: ChatRequest, on_throttled: OnThrottled) -> ChatCompletion:
        self.begun[request.custom_id] += 1
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        try:
            for _ in range(self.turns):
                await asyncio.sleep(0)
            if (held := self.held.get(request.custom_id or "")) is not None:
                await held.wait()
            fault = self.faults.get(request.custom_id or "")
            if fault is not None:
                raise fault
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

    def __init__(self, provider: Answer, tracker: TaskTracker) -> None:
        self._provider = provider
        self.track_task = tracker.track_task

    def complete(self, request: ChatRequest, on_throttled: OnThrottled) -> Awaitable[ChatCompletion]:
        return self._provider(request, on_throttled)

    def provider_of(self, model: str) -> str:
        return model.partition("/")[0]

    def check_alive(self) -> None:
        """Never closed."""


def batch(items: Any, provider: Answer, tracker: TaskTracker | None = None, **options: Any) -> BatchRun:
    """A batch whose requests `provider` answers."""
    return BatchRun(items, client=_InProcessClient(provider, tracker or TaskTracker()), **options)


async def results(run: BatchRun) -> list[Result]:
    async with asyncio.timeout(60):
        async with run:
            return [result async for result in run]
