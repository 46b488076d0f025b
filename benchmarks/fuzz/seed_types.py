"""Seeds of fuzzing: valid responses of one format as values, and how its events are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, TypeAlias

Event: TypeAlias = "tuple[str, Any]"
"""Name and data of an event; data other than a text is sent as JSON."""

Write: TypeAlias = Callable[[Random, str, bytes], bytes]
"""Bytes of an event with that name and data on the wire."""


def as_event(rng: Random, name: str, data: bytes) -> bytes:
    """A server-sent event."""
    end = rng.choice((b"\n", b"\n", b"\r\n", b"\r"))
    head = b"event: " + name.encode() + end if name else b""
    return head + b"".join(b"data: " + line + end for line in data.split(b"\n")) + end


def as_line(rng: Random, name: str, data: bytes) -> bytes:
    """A line of JSON."""
    return data.replace(b"\n", b" ") + rng.choice((b"\n", b"\n", b"\r\n", b"\n\n"))


@dataclass(frozen=True)
class Seeds:
    """Valid responses of one format; together they have every member that is read."""

    streams: Sequence[Sequence[Event]]
    replies: Sequence[Any]
    errors: Sequence[Any]
    headers: Mapping[str, str]
    write: Write = as_event
