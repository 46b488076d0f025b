"""Interface of dialects: a wire format as pure functions over values. No sockets, clocks, retries or keys.

A new dialect is a folder beside this module, whose `dialect.py` has a value `DIALECT`, and is registered by one line in
`providers/provider.py` (`_REGISTERED_DIALECTS`). A simulator of its format goes to `testing/formats`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

import attrs
import msgspec

from .._value import Declaration, Value
from ..errors import APIError, APIResponseError, UnsupportedParameterError
from ..http import Headers, HttpRequest, HttpResponse
from ..options import NO_OPTIONS, OnUnsupported, OptionValues
from ..params import ParamTable
from ..records import ChatCompletion, ChatRequest

if TYPE_CHECKING:
    from ..codecs.sse import Event
    from ..records.chunks import ChatCompletionChunk


class DialectQuirks(Declaration):
    """Differences between a server and its dialect: none here; a dialect whose servers differ has a subclass."""

    __slots__ = ()

    @property
    def requires_call_ids(self) -> bool:
        """Whether tool calls and their results need an id."""
        return True

    def param_support(self) -> ParamTable:
        """Parameter support that differs from the dialect's."""
        return {}


class TargetExtras:
    """What options and the provider's row add to a request; neither its repr nor a pickle has any of it.

    Keys and headers with keys may be among it.
    """

    __slots__ = ("_reveal", "variant")

    def __init__(
        self, options: OptionValues = NO_OPTIONS, headers: Mapping[str, str] | None = None, variant: str = ""
    ) -> None:
        # In a closure, as in `Secret`.
        self._reveal: Callable[[], tuple[OptionValues, Mapping[str, str]]] = lambda: (options, headers or {})
        self.variant = variant
        """The provider's other format in which the model is asked; "" for its main one."""

    def __repr__(self) -> str:
        return "TargetExtras(***)"

    def __copy__(self) -> TargetExtras:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> TargetExtras:
        return self

    def __reduce__(self) -> Any:
        return TargetExtras, ()

    def reveal(self) -> tuple[OptionValues, Mapping[str, str]]:
        """The options of the call, with those of its view and client, and the headers of its provider."""
        return self._reveal()


_NO_EXTRAS = TargetExtras()


@attrs.define(kw_only=True, eq=False, repr=False)
class Target(Value):
    """What a dialect may know of a call besides its request: the provider, the address and the call's options."""

    provider: str
    """Name of the provider."""
    model: str
    """The provider's own name of the model."""
    base_url: str
    """Without a slash at its end."""
    path: str | None = None
    """Replaces the dialect's own path."""
    api_version: str | None = None
    """The API version that is asked for, if any."""
    stream: bool = False
    """Whether a stream is asked for."""
    quirks: DialectQuirks = attrs.field(factory=DialectQuirks, repr=False)
    """An instance of the dialect's `quirks_type`, or of `DialectQuirks` for none."""
    time_limit: float | None = None
    """Seconds that the whole call may take; None is no limit."""
    on_unsupported: OnUnsupported = "raise"
    """What the encoder does with a part of the request that the format cannot express; see `EncodingReport`."""
    own_key: bool = False
    """Whether the call, or its view, has a key of its own."""
    extras: TargetExtras = attrs.field(default=_NO_EXTRAS, repr=False, eq=False)
    """What options and the provider's row add to a request."""
    route: str | None = None
    """The name of the route whose target it is; None without one. Dialects do not know it."""
    route_digest: str | None = None
    """Digest of all targets of the route, as `client.check` and `call_next.target` return it."""


class EncodingReport(msgspec.Struct, eq=False):
    """Warnings and refusals of one request's encoding, under the call's policy `on_unsupported`."""

    policy: OnUnsupported
    warnings: list[str] = []

    def unsupported(self, param: str, why: str) -> None:
        """Reports that the format cannot express `param`. If this returns, the encoder must leave `param` out.

        Raises:
            UnsupportedParameterError: under the policy "raise"; under each for a message, a part of one, or a tool:
                without it, the model would be asked something else.
        """
        if self.policy == "raise" or _is_content(param):
            raise UnsupportedParameterError(f"{param}: {why}", param=param)
        if self.policy == "warn":
            self.warnings.append(f"{param} dropped: {why}")

    def moved_to_front(self, param: str, why: str) -> None:
        """Reports that an instruction is sent before the first message, which the encoder must do if this returns.

        Raises:
            UnsupportedParameterError: under the policy "raise".
        """
        if self.policy == "raise":
            raise UnsupportedParameterError(f"{param}: {why}", param=param)
        self.warnings.append(f"{param} moved to the front: {why}")

    def warn(self, text: str) -> None:
        """Reports something that was defaulted or changed, under every policy."""
        self.warnings.append(text)


def _is_content(param: str) -> bool:
    """Whether it is a message, a part of one or a tool, and not one of their attributes."""
    if param.startswith("messages["):
        return not param.endswith((".name", ".detail"))
    return param in ("tools", "functions") or (param.startswith(("tools[", "functions[")) and param.endswith("]"))


class Prerequisite:
    """A request whose response the encoder needs first: send it, add its JSON to the `FetchedValues`, encode again."""

    __slots__ = ("key", "request")

    def __init__(self, key: str, request: HttpRequest) -> None:
        self.key = key
        self.request = request


class Continuation:
    """The next request of an unfinished call: send it after `after` seconds, or `cancel` if the call is cancelled."""

    __slots__ = ("after", "cancel", "request")

    def __init__(self, request: HttpRequest, after: float, cancel: HttpRequest | None = None) -> None:
        self.request = request
        self.after = after
        self.cancel = cancel


FetchedValues: TypeAlias = Mapping[str, Any]
"""`Prerequisite.key` → the JSON that was fetched for it; None where the fetch failed."""

Chunks: TypeAlias = "Sequence[ChatCompletionChunk]"


BodyKind: TypeAlias = Literal["json", "events", "page"]
"""JSON, server-sent events, or a web page."""


class Framing(Protocol):
    """Incremental parser of one stream's bytes: bytes → events."""

    @property
    def body_kind(self) -> BodyKind | None:
        """The kind of the bodies that it parses, by their first bytes; None for any other. A body of another kind is
        no stream, but a whole reply or a web page."""
        ...

    @property
    def error(self) -> APIResponseError | None:
        """Set once the bytes cannot be parsed further; events before that point were returned."""
        ...

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes."""
        ...

    def finish(self) -> list[Event]:
        """The events that the end of the body completes; not called after a connection was cut."""
        ...


class Decoder(Protocol):
    """Decoder of one attempt's stream: events → chunks."""

    @property
    def done(self) -> bool:
        """Whether the format's end marker was received; later events are ignored."""
        ...

    def feed(self, event: Event) -> Chunks:
        """The chunks of one event: often one, sometimes none.

        Raises:
            APIStatusError: the event is the provider's error.
            APIResponseError: the event cannot be read.
        """
        ...

    def finish(self) -> Chunks | Continuation:
        """The chunks that are left at the end of the body, or at `done`.

        A `Continuation` means that only another request reports how the stream ended. Decode its response with
        `Dialect.decode`; the stream then ends with that completion's finish reason and usage.

        Raises:
            StreamInterruptedError: the stream was cut before the provider sent a finish reason.
        """
        ...


@runtime_checkable
class DecoderWithResponse(Protocol):
    """A decoder that also needs the response before the stream, which names the stream's URL (Replicate's does)."""

    def start(self, response: HttpResponse) -> None:
        """Called once with that response, before the first event."""
        ...


class DecoderWithHeaders(Protocol):
    """A decoder that also needs the stream's own headers, which have the reply's id where its events have none."""

    def read_headers(self, headers: Headers) -> None:
        """Called once, before the first event."""
        ...


class ModelListing(msgspec.Struct, frozen=True, eq=False):
    """How the servers of a dialect list their models: a GET request per page, as data."""

    url: Callable[[Target], str]
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    items: str = "data"
    """The field of a page that has the models; a page may also be the list itself."""
    name: tuple[str, ...] = ("id",)
    """The fields of a model that its name consists of; a slash is between them."""
    name_prefix: str = ""
    """The beginning of each name that callers do not write, such as the name of a collection."""
    cursor: tuple[str, str] = ("", "")
    """The field of a page that has the cursor of the next one, and its parameter in the query; empty for one page."""


class Dialect(msgspec.Struct, frozen=True, eq=False):
    """A wire format as pure functions between chat records and HTTP values."""

    name: str
    """The name that `Provider.dialect` refers to."""
    params: ParamTable
    """Parameter name → support. A parameter without an entry is sent unchanged."""
    path: str
    """The endpoint's path below the base URL, such as ``/chat/completions``."""
    encode: Callable[[ChatRequest, Target, FetchedValues], HttpRequest | Prerequisite]
    """The HTTP request for a validated request, whose messages and tools are records.

    Raises `InvalidRequestError` where the format cannot express the messages; `.param` names the place.
    """
    decode: Callable[[HttpResponse, ChatRequest, Target], ChatCompletion | Continuation]
    """The completion in a response with a good status.

    Raises `APIStatusError` where the body is an error nevertheless, and `APIResponseError` where it does not have the
    format's shape.
    """
    decoder: Callable[[ChatRequest, Target], Decoder]
    """A new decoder for one stream; it may be a `DecoderWithResponse` or a `DecoderWithHeaders`."""
    error: Callable[[HttpResponse], APIError]
    """The exception for a response with a bad status: by structured code first, then by status."""
    models: ModelListing | Callable[[Target], ModelListing]
    """How models are listed, which may depend on the target's quirks."""
    framing: Callable[[], Framing]
    """A new parser for one stream's bytes."""
    other_bases: Mapping[str, str] = {}
    """Last segment of base URLs of another format on the same servers → how an error goes on after "which"."""
    quirks_type: type[DialectQuirks] = DialectQuirks
    """The class of `Provider.quirks` for this dialect."""
    model_params: Callable[[str], ParamTable] | None = None
    """Model → support that differs from `params`, for formats whose models differ; None where they do not."""
