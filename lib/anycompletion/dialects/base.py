"""What a dialect is: a wire format as pure functions over values; it never sees a socket, a clock, a retry or a key."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import attrs

from ..codecs.sse import Event
from ..errors import APIError, UnsupportedParameterError
from ..http import HttpRequest, HttpResponse
from ..options import OnUnsupported
from ..params import ParamTable
from ..records import ChatCompletion, ChatRequest
from ..records.chunks import ChatCompletionChunk
from .openai_chat.quirks import Quirks


@attrs.define(kw_only=True, eq=False)
class Target:
    """Where one call goes and how: everything a dialect may know of the provider."""

    provider: str
    model: str
    """The provider's own name of the model."""
    base_url: str
    """Without a slash at its end."""
    path: str | None = None
    """Replaces the dialect's own path."""
    api_version: str | None = None
    stream: bool = False
    quirks: Quirks = attrs.field(factory=Quirks)
    time_limit: float | None = None
    """Seconds the whole call may take; None is no limit."""
    on_unsupported: OnUnsupported = "raise"
    """What the encoder does with a part of the request that the format cannot say; see `Report`."""


class EncodingReport:
    """What was dropped, changed or defaulted while a request was encoded, under the caller's policy."""

    __slots__ = ("policy", "warnings")

    def __init__(self, policy: OnUnsupported, warnings: list[str] | None = None) -> None:
        self.policy: OnUnsupported = policy
        self.warnings: list[str] = [] if warnings is None else warnings

    def unsupported(self, param: str, why: str) -> None:
        """The format cannot say `param`: refuse it, or have it dropped.

        Raises:
            UnsupportedParameterError: under the policy "raise".
        """
        if self.policy == "raise":
            raise UnsupportedParameterError(f"{param}: {why}", param=param)
        if self.policy == "warn":
            self.warnings.append(f"{param} dropped: {why}")

    def warn(self, text: str) -> None:
        """Something was defaulted or changed, whatever the policy."""
        self.warnings.append(text)


class Prerequisite:
    """A dialect's answer to «encode»: fetch this first, remember it under `key`, then ask again."""

    __slots__ = ("key", "request")

    def __init__(self, key: str, request: HttpRequest) -> None:
        self.key = key
        self.request = request


class Continuation:
    """A dialect's answer to «decode»: not finished; ask again in `after` seconds, `cancel` if nobody wants it."""

    __slots__ = ("after", "cancel", "request")

    def __init__(self, request: HttpRequest, after: float, cancel: HttpRequest | None = None) -> None:
        self.request = request
        self.after = after
        self.cancel = cancel


FetchedValues: TypeAlias = Mapping[str, Any]
"""What a client has fetched for a dialect so far, by the keys of `Need`."""


class Decoder(Protocol):
    """Turns the events of one stream into chunks; a fresh one for every attempt."""

    @property
    def done(self) -> bool:
        """True once the format's own end marker was seen; nothing after it counts."""
        ...

    def feed(self, event: Event) -> Sequence[ChatCompletionChunk]:
        """The chunks of one event, often one, sometimes none.

        Raises:
            APIStatusError: the event is the provider's error.
            APIResponseError: the event cannot be read.
        """
        ...

    def finish(self) -> Sequence[ChatCompletionChunk] | Continuation:
        """Called at the end of the body (or at `done`); the last chunks, if any are held back.

        A `Follow` says that only another request tells how it ended: its answer goes to the dialect's `decode`, and
        the reply's end (finish reason, usage) closes the stream.

        Raises:
            StreamInterruptedError: the provider had not said why it stopped.
        """
        ...


@runtime_checkable
class AnnouncedDecoder(Protocol):
    """A decoder that wants to see the answer which announced the stream."""

    def start(self, response: HttpResponse) -> None:
        """Called once, before the first event."""
        ...


@attrs.frozen
class Dialect:
    """A wire format: pure functions between chat records and HTTP values."""

    name: str
    """The name that `Provider.dialect` refers to."""
    params: ParamTable
    """Parameter name → support. A parameter without an entry passes as it is."""
    encode: Callable[[ChatRequest, Target, FetchedValues], HttpRequest | Prerequisite] = attrs.field(kw_only=True)
    """The HTTP request for a validated request, whose messages and tools are records.

    Raises `InvalidRequestError` where the format cannot express the messages; `.param` names the place.
    """
    decode: Callable[[HttpResponse, ChatRequest, Target], ChatCompletion | Continuation] = attrs.field(kw_only=True)
    """The reply of a response with a good status.

    Raises `APIStatusError` where the body is an error all the same, and `APIResponseError` where it is not what the
    format allows.
    """
    decoder: Callable[[ChatRequest, Target], Decoder] = attrs.field(kw_only=True)
    """A new decoder for one stream."""
    error: Callable[[HttpResponse], APIError] = attrs.field(kw_only=True)
    """The exception for a response with a bad status: by structured code first, then by status."""
