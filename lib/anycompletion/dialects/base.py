"""What a dialect is: a wire format as pure functions over values; it never sees a socket, a clock, a retry or a key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import attrs

from ..codecs.sse import Event
from ..errors import APIError
from ..http import Continuation, FetchedValues, HttpRequest, HttpResponse, Prerequisite, Target
from ..options import ParamTable
from ..records import ChatCompletion, ChatRequest
from ..records.chunks import ChatCompletionChunk


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
