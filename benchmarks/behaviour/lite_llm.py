"""Behaviour of LiteLLM, which is asked for a model of Anthropic's."""

from __future__ import annotations

import importlib.metadata
from typing import Any

import litellm

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

litellm.suppress_debug_info = True
create: Any = litellm.acompletion


async def facts() -> Facts:
    base_url, api_key = address("anthropic")
    model: dict[str, Any] = {"model": "anthropic/claude-haiku-4-5", "api_base": base_url, "api_key": api_key}

    async def read(text: str, **options: Any) -> None:
        async for _ in await create(**model, messages=user(text), stream=True, **options):
            pass

    return {
        "cut stream": await outcome(lambda: read("Hello, you!", extra_headers=CUT)),
        "timeout=0.5, stream of 1 s": await outcome(lambda: read("word " * 20, timeout=0.5)),
        "pickled error": await refusal(
            create(**model, messages=user(TRY), extra_headers=REFUSED), litellm.RateLimitError
        ),
        "misspelt keyword": await outcome(lambda: create(**model, messages=user("Hello!"), temprature=1)),
        "n=3": await outcome(lambda: create(**model, messages=user("Hello!"), n=3)),
        "system in the middle": await outcome(lambda: create(**model, messages=SYSTEM_IN_THE_MIDDLE)),
    }


if __name__ == "__main__":
    run(importlib.metadata.version("litellm"), facts)
