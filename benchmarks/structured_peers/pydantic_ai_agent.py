"""Typed replies of pydantic-ai's Agent: by a tool, its default, and for replies without a guarantee PromptedOutput."""

from __future__ import annotations

import importlib.metadata
from typing import Any

from pydantic_ai import Agent, PromptedOutput
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from benchmarks.structured_peers.common import KEY, MODEL, base_url, run


async def types(into: Any, prompt: str) -> object:
    model = OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=base_url(), api_key=KEY))
    agent: Any = Agent(model, output_type=into, retries=0)
    return (await agent.run(prompt)).output


async def replies(into: Any, prompt: str) -> object:
    return await types(PromptedOutput(into), prompt)


if __name__ == "__main__":
    run(importlib.metadata.version("pydantic-ai-slim"), types, replies)
