"""HTTP as values: what a dialect asks to be sent and what came back; opens nothing and sends nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import attrs


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


# Plain classes, where nothing of what attrs makes is needed: each would cost an import a quarter of a millisecond.


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
