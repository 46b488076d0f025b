"""What a dialect is: a wire format as pure functions over values; it never sees a socket, a clock, a retry or a key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from ..chunks import ChatCompletionChunk
from ..errors import APIError
from ..framing import Event
from ..options import Table
from ..records import ChatCompletion, ChatRequest
from ..wire import Follow, HttpRequest, HttpResponse, Known, Need, Target


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

    def finish(self) -> Sequence[ChatCompletionChunk] | Follow:
        """Called at the end of the body (or at `done`); the last chunks, if any are held back.

        A `Follow` says that only another request tells how it ended: its answer goes to the dialect's `decode`, and
        the reply's end (finish reason, usage) closes the stream.

        Raises:
            StreamInterruptedError: the provider had not said why it stopped.
        """
        ...


@runtime_checkable
class Starts(Protocol):
    """A decoder that wants to see the answer which announced the stream."""

    def start(self, response: HttpResponse) -> None:
        """Called once, before the first event."""
        ...


class Dialect(Protocol):
    """A module of this package; `PARAMS` is its column of the parameter table."""

    @property
    def NAME(self) -> str:  # noqa: N802 (a module's constant)
        """The name rows refer to."""
        ...

    @property
    def PARAMS(self) -> Table:  # noqa: N802
        """Parameter name → cell. A parameter without a cell passes as it is."""
        ...

    def encode(self, request: ChatRequest, target: Target, known: Known) -> HttpRequest | Need:
        """The HTTP request for a validated `request`, whose messages and tools are records.

        Raises:
            InvalidRequestError: the messages cannot be said in this format; `.param` names the place.
        """
        ...

    def decode(self, response: HttpResponse, request: ChatRequest, target: Target) -> ChatCompletion | Follow:
        """The reply of a good status.

        Raises:
            APIStatusError: the body is an error all the same.
            APIResponseError: the body is not what the format allows.
        """
        ...

    def decoder(self, request: ChatRequest, target: Target) -> Decoder:
        """A decoder for one stream."""
        ...

    def error(self, response: HttpResponse) -> APIError:
        """The exception for a bad status: by structured code first, then by status."""
        ...
