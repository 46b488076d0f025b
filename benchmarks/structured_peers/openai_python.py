"""Typed replies of OpenAI's SDK, which has one mode."""

from __future__ import annotations

from typing import Any

import openai
from openai import AsyncOpenAI

from benchmarks.structured_peers.common import KEY, MODEL, base_url, run


async def types(into: Any, prompt: str) -> object:
    async with AsyncOpenAI(base_url=base_url(), api_key=KEY) as client:
        reply = await client.chat.completions.parse(
            model=MODEL, messages=[{"role": "user", "content": prompt}], response_format=into
        )
        return reply.choices[0].message.parsed


if __name__ == "__main__":
    run(openai.__version__, types, types)
