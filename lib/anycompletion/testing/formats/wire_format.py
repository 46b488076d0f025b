"""What a simulated wire format is: a request in, a response out, all as values; opens no socket and reads no clock.

Each provider has one `WireFormat`. Its `respond` depends on the request alone: identifiers, the time, the number of
earlier repeats of a request and the provider's memory come with it. How a fault changes the response on its way out is
decided elsewhere, from the kinds of the events.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeAlias

import attrs

from ..simulator.faults import Fault
from .simulated_reply import ReplyOptions

EventKind: TypeAlias = Literal["body", "finish", "usage", "end", "comment"]
"""What an event is for: content, the finish reason, the token counts, or the format's own end marker.

A comment carries no data and does not count as an event.
"""


UNKNOWN_MODEL = "no-such-model"
"""The one model that no simulated provider has."""

ASK = "ask"
"""The step of a request that asks for a reply; most providers have no other."""


class ProviderMemory:
    """State that a simulated provider keeps between requests; the oldest entries are dropped first.

    Args:
        most: maximum number of entries.
    """

    def __init__(self, most: int = 100_000) -> None:
        self._entries: dict[str, Any] = {}
        self._most = most

    def __len__(self) -> int:
        return len(self._entries)

    def store(self, name: str, value: Any) -> None:
        """Stores `value` under `name`."""
        self._entries[name] = value
        while len(self._entries) > self._most:
            del self._entries[next(iter(self._entries))]

    def get(self, name: str) -> Any:
        """The value stored under `name`; None if there is none."""
        return self._entries.get(name)


@attrs.frozen(kw_only=True)
class SimulatedRequest:
    """One request to a simulated provider, with everything its response may depend on."""

    method: str
    path: str
    """Below the format's `root`: ``/v1/messages``."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: Any
    """The parsed JSON, None where there was none."""
    uid: str
    """32 hexadecimal digits, different for every request; ids in the response are made from it."""
    now: float
    """Unix time in seconds."""
    repeats: int = 0
    """Number of earlier requests with the same body."""
    options: ReplyOptions = attrs.field(factory=ReplyOptions)
    query: Mapping[str, str] = attrs.field(factory=dict[str, str])
    origin: str = ""
    """The server's own URL, for responses that contain links."""
    latency: float = 0.0
    """Seconds that the server takes for any response."""
    fault: Fault | None = None
    """The fault to inject; only a format whose responses have an outcome of their own looks at it."""
    memory: ProviderMemory = attrs.field(factory=ProviderMemory)
    skip_validation: bool = False
    """Whether to accept a request that the provider would reject."""

    @property
    def bearer(self) -> str | None:
        """The token of the Authorization header."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else None


@attrs.frozen
class SimulatedError:
    """An error of a provider as data, from which each format encodes its own error body."""

    status: int
    type: str
    message: str
    code: str | None = None
    param: str | None = None


@attrs.frozen
class WholeResponse:
    """A response with one body."""

    status: int
    body: bytes
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    content_type: str = "application/json"
    opens_stream: bool = False
    """Whether it links to a stream; stream faults then apply to that stream instead."""


@attrs.frozen
class StreamEvent:
    """The bytes of one event, and its kind."""

    data: bytes
    kind: EventKind = "body"


@attrs.frozen
class StreamedResponse:
    """A response as a stream of events, each of which is one write."""

    events: tuple[StreamEvent, ...]
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    content_type: str = "text/event-stream; charset=utf-8"
    status: int = 200
    fault: Fault | None = None
    """The fault of the request that opened this stream; it has priority over any other."""


def single_step(method: str, path: str) -> str:
    """The step of every request to a provider that has only one."""
    return ASK


@attrs.frozen(kw_only=True)
class WireFormat:
    """One simulated provider."""

    provider: str
    root: str
    """The first segment of the path, by which the server finds the format."""
    base: str
    """Path of the provider's base URL on the simulator; starts with `root`."""
    api_key: str
    respond: Callable[[SimulatedRequest], WholeResponse | StreamedResponse]
    errors: Mapping[str, SimulatedError]
    """Error by name of the fault. Of several with one status the first is the default for that status."""
    error_response: Callable[[SimulatedRequest, SimulatedError], WholeResponse]
    """The error response, with the provider's own body and headers."""
    stream_error: Callable[[SimulatedRequest, SimulatedError], bytes]
    """The event that reports the error inside a stream."""
    step: Callable[[str, str], str] = single_step
    """Method and path below the root → the step of a call; a fault applies to requests of one step."""


def dump(value: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def sse(value: Any, name: str = "") -> bytes:
    """A server-sent event with `value` as its data."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + dump(value) + b"\n\n"


def first_error(
    request: SimulatedRequest, checks: Iterable[Callable[[SimulatedRequest], SimulatedError | None]]
) -> SimulatedError | None:
    """The error of the first check that fails; None if all pass."""
    return next((error for check in checks if (error := check(request)) is not None), None)


def find_error(wire: WireFormat, name: str, status: int | None) -> SimulatedError:
    """The provider's error of that name, or of that status where one is given.

    For a status that the provider's table does not have, the error for 400 or 500 is used with that status.
    """
    if status is None:
        return wire.errors[name]
    for error in wire.errors.values():
        if error.status == status:
            return error
    return attrs.evolve(wire.errors["server-error" if status >= 500 else "bad-request"], status=status)
