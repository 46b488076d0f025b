"""What a simulated wire format is: a call in, an answer out, all as values; opens no socket and reads no clock.

A provider is one module with one `Format`. Its `answer` depends on the call alone: identifiers, the time, the number of
earlier twins of a request and the provider's memory come with it. What the answer looks like when something goes wrong
on the way is decided elsewhere, from the marks on the events.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeAlias

import attrs

from ..simulator.faults import Fault
from .simulated_reply import Style

Mark: TypeAlias = Literal["body", "finish", "usage", "end", "comment"]
"""What an event is for: content, the reason why it stopped, the token counts, or the format's own end marker.

A comment is no event: it says nothing, and nobody counts it.
"""


UNKNOWN_MODEL = "no-such-model"
"""The one model that no simulated provider has."""

ASK = "ask"
"""The step of a request that asks for an answer; most providers know no other."""


class Memory:
    """What a simulated provider knows from one call to the next; of too much the oldest goes.

    Args:
        most: things that are kept.
    """

    def __init__(self, most: int = 100_000) -> None:
        self._kept: dict[str, Any] = {}
        self._most = most

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, name: str, thing: Any) -> None:
        """Keeps `thing` under `name`."""
        self._kept[name] = thing
        while len(self._kept) > self._most:
            del self._kept[next(iter(self._kept))]

    def find(self, name: str) -> Any:
        """What is kept under `name`; None for nothing."""
        return self._kept.get(name)


@attrs.frozen(kw_only=True)
class Call:
    """One request to a simulated provider, with everything its answer may depend on."""

    method: str
    path: str
    """Below the format's `root`: ``/v1/messages``."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: Any
    """The parsed JSON, None where there was none."""
    uid: str
    """32 hexadecimal digits, different for every call; ids are made from it."""
    now: float
    """Unix time in seconds."""
    twins: int = 0
    """How many requests with the same body came before this one."""
    style: Style = attrs.field(factory=Style)
    query: Mapping[str, str] = attrs.field(factory=dict[str, str])
    origin: str = ""
    """The server's own URL, for answers that hold links."""
    latency: float = 0.0
    """Seconds that the server takes for any answer."""
    fault: Fault | None = None
    """What is to go wrong; only a format whose answers have an outcome of their own looks at it."""
    memory: Memory = attrs.field(factory=Memory)
    trusted: bool = False
    """The request is not looked through for what the provider would refuse."""

    @property
    def bearer(self) -> str | None:
        """The token of the Authorization header."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else None


@attrs.frozen
class Failure:
    """Why a provider refuses, in words every format can write."""

    status: int
    type: str
    message: str
    code: str | None = None
    param: str | None = None


@attrs.frozen
class Plain:
    """An answer in one piece."""

    status: int
    body: bytes
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    content_type: str = "application/json"
    opens_stream: bool = False
    """It links to a stream, and a fault of streams waits for that."""


@attrs.frozen
class StreamEvent:
    """One event as it goes over the wire, and what it is for."""

    data: bytes
    mark: Mark = "body"


@attrs.frozen
class Stream:
    """An answer in events, each of which is its own write."""

    events: tuple[StreamEvent, ...]
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    content_type: str = "text/event-stream; charset=utf-8"
    status: int = 200
    fault: Fault | None = None
    """A fault that the request met which opened this stream; it goes before any other."""


def always_ask(method: str, path: str) -> str:
    """The step of every request to a provider that answers in one."""
    return ASK


@attrs.frozen(kw_only=True)
class Format:
    """One provider as the simulator speaks it."""

    provider: str
    root: str
    """The first segment of the path, by which the server finds the format."""
    base: str
    """Path of the provider's base URL on the simulator; starts with `root`."""
    api_key: str
    answer: Callable[[Call], Plain | Stream]
    failures: Mapping[str, Failure]
    """Fault name → how this provider says it. Of several with one status the first is that status's usual one."""
    refuse: Callable[[Call, Failure], Plain]
    """A refusal with the provider's own body and headers."""
    stream_error: Callable[[Call, Failure], bytes]
    """The event that says the same inside a stream."""
    step: Callable[[str, str], str] = always_ask
    """Method and path below the root → which step of a call that is; a fault meets one kind of steps."""


def dump(value: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def sse(value: Any, name: str = "") -> bytes:
    """A server-sent event with `value` as its data."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + dump(value) + b"\n\n"


def first_failure(call: Call, checks: Iterable[Callable[[Call], Failure | None]]) -> Failure | None:
    """What the first check that objects says."""
    return next((failure for check in checks if (failure := check(call)) is not None), None)


def failure_of(wire: Format, name: str, status: int | None) -> Failure:
    """The provider's failure of that name, or of that status where one is given.

    A status the provider's table does not have is said in the words of its 400 or its 500.
    """
    if status is None:
        return wire.failures[name]
    for failure in wire.failures.values():
        if failure.status == status:
            return failure
    return attrs.evolve(wire.failures["server-error" if status >= 500 else "bad-request"], status=status)
