"""Adapters of the measured clients, one module each: the same operations, each written as the client documents them.

A module has a class `Client(root)` and, as a script, makes one first call. It runs in its client's environment, so it
imports only this module of ours, and this module only the standard library.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

MODEL = "gpt-4o-mini"
ANTHROPIC_MODEL = "claude-haiku-4-5"
KEY = "sk-not-a-key"
AWS_KEYS = ("AKIANOTAKEY000000000", "not/a/secret/access/key/0000000000000000")
"""Access key id and secret access key that sign requests."""
AWS_REGION = "us-east-1"

Json = dict[str, Any]


class Streamed(NamedTuple):
    """Result of a stream that was read to its end."""

    characters: int
    first: float
    """`time.perf_counter()` at the first chunk with text."""


class Client(Protocol):
    """Operations of a client, all with the client's own defaults."""

    async def call(self, messages: list[Json], params: Json) -> int:
        """Makes one call; returns the length of the reply's text."""
        ...

    async def stream(self, messages: list[Json], params: Json) -> Streamed:
        """Reads one stream and looks at every chunk."""
        ...

    async def hold(self, messages: list[Json], params: Json) -> object:
        """Opens a stream and reads up to its first text; it stays open as long as the returned object exists."""
        ...

    async def close(self) -> None:
        """Closes everything."""
        ...


def check_end(reason: str | None, expected: str, tokens: int | None) -> None:
    """Checks the finish reason and the count of completion tokens, which a complete reply has."""
    if reason != expected or not tokens:
        raise ValueError(f"a reply ended with {reason!r} after {tokens} tokens")


class FanningClient(Client, Protocol):
    """A client that supports several choices where the server returns one per call."""

    async def fan(self, messages: list[Json], params: Json, n: int) -> int:
        """Makes one call with `n` choices; returns the total length of all texts."""
        ...

    async def fan_stream(self, messages: list[Json], params: Json, n: int) -> Streamed:
        """Reads one stream with `n` choices."""
        ...


class BatchingClient(Client, Protocol):
    """A client with an API for many requests at once."""

    async def batch(
        self, chats: list[tuple[list[Json], Json]], concurrency: int, *, ordered: bool, journal: str
    ) -> int:
        """Runs all requests; returns the total length of all texts. An empty `journal` means none."""
        ...


async def _first_call(make: Callable[[str], Client], root: str) -> None:
    client = make(root)
    if await client.call([{"role": "user", "content": "Hello!"}], {}) == 0:
        raise ValueError("an empty reply")
    await client.close()


def first_call(make: Callable[[str], Client]) -> None:
    """Runs a program that makes one call; its argument is the server's root URL."""
    asyncio.run(_first_call(make, sys.argv[1]))
