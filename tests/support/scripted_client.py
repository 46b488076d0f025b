"""Client of a server that follows scripts, which is checked for leaks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from anycompletion import AsyncCompletion
from support.raw_server import RawServer, Step
from support.resource_leaks import nothing_left


@asynccontextmanager
async def scripted(
    *scripts: tuple[Step, ...], provider: str = "openai", **options: Any
) -> AsyncIterator[tuple[RawServer, AsyncCompletion]]:
    """The server, and a client whose requests to one provider it answers."""
    async with (
        RawServer(*scripts) as server,
        AsyncCompletion(base_urls={provider: server.url}, api_keys={provider: "key"}, **options) as client,
        nothing_left(client),
    ):
        yield server, client
