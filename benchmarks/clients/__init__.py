"""One module per client that is measured: the same few acts, each said as that client's own documentation says them.

A module has a class `Client(root)` and, as a script, makes one first call. It runs in its client's environment, so it
imports nothing of ours but this module, and this module only the standard library.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

MODEL = "gpt-4o-mini"
ANTHROPIC_MODEL = "claude-haiku-4-5"
KEY = "sk-not-a-key"

Json = dict[str, Any]


class Streamed(NamedTuple):
    """A stream that was read to its end."""

    characters: int
    first: float
    """`time.perf_counter()` at the first chunk with text."""


class Client(Protocol):
    """What is asked of a client; all of it with the client's own defaults."""

    async def call(self, messages: list[Json], params: Json) -> int:
        """One reply; returns the length of its text."""
        ...

    async def stream(self, messages: list[Json], params: Json) -> Streamed:
        """One stream, every chunk looked at."""
        ...

    async def hold(self, messages: list[Json], params: Json) -> object:
        """A stream that is open and has given its first text; it stays open as long as the returned object lives."""
        ...

    async def close(self) -> None:
        """Closes everything."""
        ...


class FanningClient(Client, Protocol):
    """A client that gives several choices where the server gives one at a time."""

    async def fan(self, messages: list[Json], params: Json, n: int) -> int:
        """One reply of `n` choices; returns the length of all texts together."""
        ...

    async def fan_stream(self, messages: list[Json], params: Json, n: int) -> Streamed:
        """One stream of `n` choices."""
        ...


class BatchingClient(Client, Protocol):
    """A client that is given many requests at once."""

    async def batch(
        self, chats: list[tuple[list[Json], Json]], concurrency: int, *, ordered: bool, journal: str
    ) -> int:
        """All of them, so many at a time; returns the length of all texts together. No journal where it is ""."""
        ...


async def _first_call(make: Callable[[str], Client], root: str) -> None:
    client = make(root)
    if await client.call([{"role": "user", "content": "Hello!"}], {}) == 0:
        raise ValueError("an empty reply")
    await client.close()


def first_call(make: Callable[[str], Client]) -> None:
    """What a program that makes one call does; the server's root is its argument."""
    asyncio.run(_first_call(make, sys.argv[1]))
