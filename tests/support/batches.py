"""A provider inside the process for tests of batches, and batches without a client."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from anycompletion.batch import BatchRun
from anycompletion.ratelimit.adaptive_concurrency import AdaptiveConcurrency
from anycompletion.records import (
    AssistantMessage,
    ChatCompletion,
    ChatRequest,
    Choice,
    ReplyInfo,
    Result,
    Usage,
)

Run = Callable[[ChatRequest], Any]


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

    async def __call__(self, request: ChatRequest, on_refused: Callable[[], None] | None) -> ChatCompletion:
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
            return reply(f"answer to {request.messages}", **self.usage)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.in_flight -= 1


class Tasks:
    """Keeps tasks as a client does."""

    def __init__(self) -> None:
        self.kept: set[asyncio.Task[None]] = set()

    def keep(self, task: asyncio.Task[None]) -> None:
        self.kept.add(task)
        task.add_done_callback(self.kept.discard)


def batch(items: Any, provider: Any, tasks: Tasks | None = None, **options: Any) -> BatchRun:
    """A batch whose calls `provider` answers."""
    return BatchRun(
        items,
        run=provider,
        provider_of=lambda model: model.partition("/")[0],
        adaptive=options.pop("adaptive", AdaptiveConcurrency),
        keep=(tasks or Tasks()).keep,
        check_alive=lambda: None,
        **options,
    )


async def results(run: BatchRun) -> list[Result]:
    async with asyncio.timeout(60):
        async with run:
            return [result async for result in run]
