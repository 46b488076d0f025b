"""Typed replies of instructor over OpenAI's SDK: by a tool, its default; for replies without a guarantee by MD_JSON."""

from __future__ import annotations

import importlib.metadata
from typing import Any

import instructor
from openai import AsyncOpenAI

from benchmarks.structured_peers.common import KEY, MODEL, base_url, run


async def _ask(into: Any, prompt: str, mode: instructor.Mode) -> object:
    async with AsyncOpenAI(base_url=base_url(), api_key=KEY) as openai:
        create: Any = instructor.from_openai(openai, mode=mode).chat.completions.create
        messages = [{"role": "user", "content": prompt}]
        return await create(model=MODEL, messages=messages, response_model=into, max_retries=1)


async def types(into: Any, prompt: str) -> object:
    return await _ask(into, prompt, instructor.Mode.TOOLS)


async def replies(into: Any, prompt: str) -> object:
    return await _ask(into, prompt, instructor.Mode.MD_JSON)


if __name__ == "__main__":
    run(importlib.metadata.version("instructor"), types, replies)
