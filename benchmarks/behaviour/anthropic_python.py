"""Behaviour of Anthropic's SDK."""

from __future__ import annotations

from typing import Any

import anthropic
from anthropic import AsyncAnthropic, RateLimitError

from benchmarks.behaviour.common import (
    CUT,
    MAX_TOKENS,
    REFUSED,
    TRY,
    Facts,
    address,
    outcome,
    refusal,
    run,
    user,
)

MODEL = "claude-haiku-4-5"


async def facts() -> Facts:
    base_url, api_key = address("anthropic")
    async with AsyncAnthropic(base_url=base_url, api_key=api_key) as client:
        create: Any = client.messages.create

        async def read(text: str, **options: Any) -> None:
            async with client.messages.stream(
                model=MODEL, max_tokens=MAX_TOKENS, messages=user(text), **options
            ) as stream:
                await stream.get_final_message()

        return {
            "cut stream": await outcome(lambda: read("Hello, you!", extra_headers=CUT)),
            "timeout=0.5, stream of 1 s": await outcome(lambda: read("word " * 20, timeout=0.5)),
            "pickled error": await refusal(
                create(model=MODEL, max_tokens=MAX_TOKENS, messages=user(TRY), extra_headers=REFUSED), RateLimitError
            ),
            "misspelt keyword": await outcome(
                lambda: create(model=MODEL, max_tokens=MAX_TOKENS, messages=user("Hello!"), temprature=1)
            ),
        }


if __name__ == "__main__":
    run(anthropic.__version__, facts)
