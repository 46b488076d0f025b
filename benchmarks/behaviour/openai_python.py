"""Behaviour of OpenAI's SDK."""

from __future__ import annotations

from typing import Any

import openai
from openai import AsyncOpenAI, RateLimitError

from benchmarks.behaviour.common import CUT, REFUSED, TRY, Facts, address, outcome, refusal, run, user

MODEL = "gpt-4o-mini"


async def facts() -> Facts:
    base_url, api_key = address("openai")
    async with AsyncOpenAI(base_url=base_url, api_key=api_key) as client:
        create: Any = client.chat.completions.create

        async def read(text: str, **options: Any) -> None:
            async for _ in await create(model=MODEL, messages=user(text), stream=True, **options):
                pass

        return {
            "cut stream": await outcome(lambda: read("Hello, you!", extra_headers=CUT)),
            "timeout=0.5, stream of 1 s": await outcome(lambda: read("word " * 20, timeout=0.5)),
            "pickled error": await refusal(
                create(model=MODEL, messages=user(TRY), extra_headers=REFUSED), RateLimitError
            ),
            "misspelt keyword": await outcome(lambda: create(model=MODEL, messages=user("Hello!"), temprature=1)),
        }


if __name__ == "__main__":
    run(openai.__version__, facts)
