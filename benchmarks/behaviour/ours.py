"""Behaviour of this package, which is asked for a model of Anthropic's."""

from __future__ import annotations

from typing import Any

import anycompletion
from anycompletion import AsyncCompletion, RateLimitError
from benchmarks.behaviour.common import (
    CUT,
    REFUSED,
    SYSTEM_IN_THE_MIDDLE,
    TRY,
    Facts,
    address,
    outcome,
    refusal,
    run,
    user,
)

MODEL = "anthropic/claude-haiku-4-5"


async def facts() -> Facts:
    base_url, api_key = address("anthropic")
    async with AsyncCompletion(base_urls={"anthropic": base_url}, api_keys={"anthropic": api_key}) as client:
        create: Any = client.create

        async def read(text: str, **options: Any) -> None:
            async for _ in await create(MODEL, user(text), stream=True, **options):
                pass

        return {
            "cut stream": await outcome(lambda: read("Hello, you!", extra_headers=CUT)),
            "timeout=0.5, stream of 1 s": await outcome(lambda: read("word " * 20, timeout=0.5)),
            "pickled error": await refusal(create(MODEL, TRY, extra_headers=REFUSED), RateLimitError),
            "misspelt keyword": await outcome(lambda: create(MODEL, "Hello!", temprature=1)),
            "n=3": await outcome(lambda: create(MODEL, "Hello!", n=3)),
            "system in the middle": await outcome(lambda: create(MODEL, SYSTEM_IN_THE_MIDDLE)),
        }


if __name__ == "__main__":
    run(anycompletion.__version__, facts)
