"""Typed replies of LiteLLM, which takes types and returns text; pydantic makes the value of it, as its pages show."""

from __future__ import annotations

import importlib.metadata
from typing import Any

import litellm
from pydantic import TypeAdapter

from benchmarks.structured_peers.common import KEY, MODEL, base_url, run

litellm.suppress_debug_info = True


async def types(into: Any, prompt: str) -> object:
    create: Any = litellm.acompletion
    reply = await create(
        model=f"openai/{MODEL}",
        messages=[{"role": "user", "content": prompt}],
        response_format=into,
        api_base=base_url(),
        api_key=KEY,
    )
    adapter: TypeAdapter[object] = TypeAdapter(into)
    return adapter.validate_json(reply.choices[0].message.content)


if __name__ == "__main__":
    run(importlib.metadata.version("litellm"), types, types)
