"""Reports every call: JSON lines by the `logging` module, a function per call, and a middleware that measures."""

import asyncio
import json
import logging
import sys
import time
from collections.abc import Callable
from typing import Any

from anycompletion import (
    AsyncCompletion,
    CallNext,
    CallOptions,
    ChatCompletion,
    ChatRequest,
    CompletionError,
    CompletionStream,
    Reply,
)


class JsonLines(logging.Formatter):
    """Formats records as JSON, with the attributes of this package."""

    def format(self, record: logging.LogRecord) -> str:
        details = {name.removeprefix("ac_"): value for name, value in vars(record).items() if name.startswith("ac_")}
        return json.dumps({"level": record.levelname, **details}, default=str)


OnCall = Callable[[str, float, int | None], object]


class Measured:
    """Middleware that reports provider, seconds and tokens of each call, streams included."""

    def __init__(self, report: OnCall) -> None:
        self._report = report

    async def __call__(self, request: ChatRequest, options: CallOptions, call_next: CallNext) -> Reply:
        provider, started = call_next.target(request, options).provider, time.monotonic()

        def on_end(reply: ChatCompletion, error: CompletionError | None) -> None:
            tokens = reply.usage.completion_tokens if reply.usage is not None else None
            self._report(provider, time.monotonic() - started, tokens)

        reply = await call_next(request, options)
        match reply:
            case CompletionStream():
                reply.on_end(on_end)
            case ChatCompletion():
                on_end(reply, None)
        return reply


def on_event(event: dict[str, Any]) -> None:
    """For ``logger_fn=``, which observes single calls."""
    print("event:", event["event"], event["provider"])


async def main() -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("anycompletion")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    measured: list[tuple[str, bool]] = []

    def report(provider: str, seconds: float, tokens: int | None) -> None:
        measured.append((provider, seconds >= 0 and tokens is not None))

    async with AsyncCompletion(middleware=[Measured(report)]) as client:
        await client.create("openai/gpt-4o-mini", "Hello!", logger_fn=on_event, metadata={"team": "blue"})
        async with client.stream("anthropic/claude-haiku-4-5", "Hello!", verbose=True) as stream:
            async for _ in stream:
                pass
        print("measured:", measured)
        print("waiting:", client.stats().providers["openai"].queued)


if __name__ == "__main__":
    asyncio.run(main())
