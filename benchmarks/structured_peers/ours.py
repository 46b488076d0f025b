"""Typed replies of this package."""

from __future__ import annotations

from typing import Any

import anycompletion
from anycompletion import AsyncCompletion
from benchmarks.structured_peers.common import KEY, MODEL, base_url, run


def client() -> AsyncCompletion:
    """A client of the server."""
    return AsyncCompletion(base_urls={"openai": base_url()}, api_keys={"openai": KEY})


async def types(into: Any, prompt: str) -> object:
    async with client() as one:
        return (await one.parse(f"openai/{MODEL}", prompt, into)).parsed


async def replies(into: Any, prompt: str) -> object:
    async with client() as one:
        return (await one.parse(f"openai/{MODEL}", prompt, into, mode="prompt")).parsed


if __name__ == "__main__":
    run(anycompletion.__version__, types, replies)
