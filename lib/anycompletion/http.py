"""HTTP as values: what a dialect asks to be sent and what came back; opens nothing and sends nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NoReturn, TypeAlias

import attrs

from .errors import UnsupportedParameterError
from .options import FUNCTION_CALLS, OnUnsupported, ParamSupport


class Headers(Mapping[str, str]):
    """Response headers, case-insensitive; of a repeated one the first value counts.

    Keeps the raw pairs and builds its index only when somebody looks: most calls never do.
    """

    __slots__ = ("_index", "_pairs")

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self._pairs = tuple(pairs)
        self._index: dict[str, str] | None = None

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Headers:
        """Headers from a plain mapping."""
        return cls(
            (name.encode("latin-1", "replace"), value.encode("utf-8", "surrogateescape"))
            for name, value in headers.items()
        )

    def _build_index(self) -> dict[str, str]:
        index = self._index
        if index is None:
            index = dict[str, str]()
            for name, value in self._pairs:
                index.setdefault(name.decode("latin-1").lower(), value.decode("utf-8", "surrogateescape"))
            self._index = index
        return index

    def contain_any(self, needles: Iterable[bytes]) -> bool:
        """Whether one of these stands in a value, without a look at each value."""
        values = b"\n".join([value for _, value in self._pairs])
        return any([needle in values for needle in needles])  # noqa: C419 (a list costs half of a generator here)

    def first(self, name: str) -> str | None:
        """A single value, without an index; `name` in lower case."""
        wanted = name.encode("latin-1")
        size = len(wanted)
        for key, value in self._pairs:
            if len(key) == size and key.lower() == wanted:
                return value.decode("utf-8", "surrogateescape")
        return None

    def __getitem__(self, name: str) -> str:
        return self._build_index()[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._build_index())

    def __len__(self) -> int:
        return len(self._build_index())

    def __repr__(self) -> str:
        return f"Headers({self._build_index()!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (Headers, (self._pairs,))


class RequestHeaders(dict[str, str]):
    """The headers of a request, not to be changed: their bytes are made once for all requests that have them."""

    __slots__ = ("has_host", "lines")

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__(headers)
        self.lines: bytes | None = None
        """As they are sent, once somebody has asked."""
        self.has_host = False
        """Whether ``Host`` is among them; known with `lines`."""


# dict[str, str] and list[str] are three times as slow to call, and every call makes some of these.


def _texts() -> list[str]:
    return []


def _members() -> dict[str, str]:
    return {}


@attrs.frozen
class Quirks:
    """Where an OpenAI-compatible server differs from OpenAI; the default is OpenAI itself."""

    include_usage: bool = True
    """Send ``stream_options.include_usage`` on streams that did not say otherwise."""
    reasoning: str | None = None
    """The member in which `reasoning_content` of earlier assistant turns goes back; None: it does not."""
    reasoning_details: bool = False
    """Send `reasoning_details` of earlier assistant turns back."""
    functions_as_tools: bool = False
    """The server has no functions: they are said as tools, and the answer is told in the form that was asked."""
    only_max_tokens: bool = False
    """The server knows `max_tokens` and not `max_completion_tokens`."""
    developer_role: bool | None = True
    """The server knows the role developer; where not, it is said as system. None: that depends on the model, so the
    role goes as it is and a warning says so."""
    calls_without_ids: bool = False
    """The server takes tool calls, and results of them, that have no id."""
    schema_name: bool = True
    """A JSON schema for the answer needs a name."""
    longest_function_name: int = 64
    """Characters that the name of a function may have."""
    renames: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """Parameters that have another name here."""
    stream_options: bool = True
    """The server knows `stream_options`; where not, usage comes without being asked for."""
    message_name: bool = True
    """Messages may have a name."""
    reply_members: bool = True
    """Assistant messages may keep OpenAI's members of replies (refusal, annotations, audio)."""
    deployments: bool = False
    """Azure's addresses: the deployment and the API version stand in the URL."""

    def cells(self) -> dict[str, ParamSupport]:
        """What these quirks change in the parameter table, so that the table says what the encoder does."""
        cells: dict[str, ParamSupport] = {}
        if self.functions_as_tools:
            cells["functions"] = ParamSupport("mapped", note="tools")
            cells["function_call"] = ParamSupport("mapped", values=FUNCTION_CALLS, note="tool_choice")
        for name, wire_name in self.renames.items():
            cells[name] = ParamSupport("mapped", note=wire_name)
        if not self.stream_options:
            cells["stream_options"] = ParamSupport("mapped", note="usage always comes")
        if self.only_max_tokens:
            cells["max_completion_tokens"] = ParamSupport("mapped", minimum=1, note="max_tokens")
        return cells


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
    quirks: Quirks = Quirks()
    time_limit: float | None = None
    """Seconds the whole call may take; None is no limit."""
    on_unsupported: OnUnsupported = "raise"
    """What the encoder does with a part of the request that the format cannot say; see `Report`."""


# Plain classes, where nothing of what attrs makes is needed: each would cost an import a quarter of a millisecond.


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


class MaskedValue(str):
    """A header value whose repr hides it, so that dumps of a traceback's locals show no key."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"

    def __deepcopy__(self, memo: object) -> MaskedValue:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a header value that may hold a key does not pickle")


class MaskedBytes(bytes):
    """A body whose repr hides it, so that dumps of a traceback's locals show no prompt."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"


@attrs.define
class HttpRequest:
    """A request as a value; `body` is what `convert.dumps` takes, and made into bytes only when it is sent."""

    url: str
    body: Mapping[str, Any] | None = attrs.field(default=None, repr=False)
    method: Literal["GET", "POST"] = "POST"
    headers: Mapping[str, str] = attrs.field(factory=_members, repr=False)
    authenticated: bool = True
    """False when the URL belongs to another host that must not see the provider's key."""
    warnings: list[str] = attrs.field(factory=_texts)
    """Everything that was dropped, changed or defaulted on the way; ends up in `reply.info.warnings`."""


class HttpResponse:
    """A whole response: status, headers and decoded body."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


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
