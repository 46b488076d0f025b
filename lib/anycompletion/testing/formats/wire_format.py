"""What a simulated wire format is: a request in, a response out, all as values; opens no socket and reads no clock.

Each provider has one `WireFormat`. Its response depends on the request alone: identifiers, the time, the number of
earlier repeats of a request and the provider's memory come with it. How a fault changes the response on its way out is
decided elsewhere, from the kinds of the events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeAlias

import attrs

from ...errors import CompletionError
from ..simulator.faults import Fault
from .reply_script import ReplyScript
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
class ErrorSpec:
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


AnyResponse: TypeAlias = WholeResponse | StreamedResponse


def single_step(method: str, path: str) -> str:
    """The step of every request to a provider that has only one."""
    return ASK


@attrs.frozen(kw_only=True)
class WireFormat:
    """One simulated provider."""

    provider: str
    base_path: str = ""
    """Path of the provider's base URL below `root`."""
    api_key: str
    """The only key that the simulator accepts; not secret."""
    api: str = ""
    """The name of the API in recordings."""
    validate: Callable[[SimulatedRequest, str], ErrorSpec | None]
    """The error with which the provider rejects a request, given the valid key; None for a valid request."""
    reply: Callable[[SimulatedRequest], AnyResponse]
    """The response to a valid request, without `headers`."""
    encode: Callable[[SimulatedRequest, ReplyScript], AnyResponse] | None = None
    """The response with a scripted reply, without `headers`; None for variants of another format."""
    max_choices: int | None = 1
    """Choices that one response can have; None is no limit."""
    errors: Mapping[str, ErrorSpec]
    """Error by name of the fault. Of several with one status the first is the default for that status."""
    error_codes: Mapping[type[CompletionError], str] = attrs.field(factory=dict[type[CompletionError], str])
    """Errors that clients recognize by a code, and not by their status alone."""
    encode_error: Callable[[SimulatedRequest, ErrorSpec], WholeResponse]
    """The error response, without `headers`."""
    stream_error: Callable[[SimulatedRequest, ErrorSpec], bytes]
    """The event that reports the error inside a stream."""
    headers: Callable[[SimulatedRequest, int], Mapping[str, str]]
    """The provider's own headers of a response with that status."""
    step: Callable[[str, str], str] = single_step
    """Method and path below the root → the step of a call; a fault applies to requests of one step."""
    variants: Mapping[str, WireFormat] = attrs.field(factory=dict[str, "WireFormat"])
    """Segment of the path → the format of the requests whose path has it, for a provider with several."""

    def of_path(self, path: str) -> WireFormat:
        """The format of requests to `path`."""
        segments = path.split("/") if self.variants else ()
        return next((found for name, found in self.variants.items() if name in segments), self)

    @property
    def root(self) -> str:
        """The first segment of the path, by which the server finds the format."""
        return f"/{self.provider}"

    @property
    def base(self) -> str:
        """Path of the provider's base URL on the simulator."""
        return self.root + self.base_path

    def respond(self, request: SimulatedRequest) -> AnyResponse:
        """The response to any request below `root`."""
        error = self.validate(request, self.api_key)
        if error is not None:
            return self.error_response(request, error)
        response = self.reply(request)
        return attrs.evolve(response, headers={**self.headers(request, response.status), **response.headers})

    def error_response(self, request: SimulatedRequest, error: ErrorSpec) -> WholeResponse:
        """The error response."""
        response = self.encode_error(request, error)
        return attrs.evolve(response, headers={**self.headers(request, error.status), **response.headers})


def first_error(
    request: SimulatedRequest, checks: Iterable[Callable[[SimulatedRequest], ErrorSpec | None]]
) -> ErrorSpec | None:
    """The error of the first check that fails; None if all pass."""
    return next((error for check in checks if (error := check(request)) is not None), None)


def find_error(wire: WireFormat, name: str, status: int | None) -> ErrorSpec:
    """The provider's error of that name, or of that status where one is given.

    For a status that the provider's table does not have, the error for 400 or 500 is used with that status.
    """
    if status is None:
        return wire.errors[name]
    for error in wire.errors.values():
        if error.status == status:
            return error
    return attrs.evolve(wire.errors["server-error" if status >= 500 else "bad-request"], status=status)
