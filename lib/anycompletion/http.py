"""HTTP requests, responses and headers as values; opens no connection and sends nothing."""

from __future__ import annotations

import email.utils
import functools
import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import msgspec

MAX_RESPONSE_BYTES = 32 * 1024 * 1024
"""Default of `HttpRequest.max_response_bytes`."""


class Headers(Mapping[str, str]):
    """Response headers: a case-insensitive mapping, where the first value of a repeated header counts.

    `first` and `contain_any` need no index. All other lookups build one, so a call that succeeds, on a client without
    limits, uses only these two.
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

    def contain_any(self, fragments: Iterable[bytes]) -> bool:
        """Whether a value contains one of the fragments; searches all values at once."""
        values = b"\n".join(map(operator.itemgetter(1), self._pairs))
        return any(map(values.__contains__, fragments))

    def first(self, name: str) -> str | None:
        """The first value of a header, found without an index; `name` is in lower case."""
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


NO_HEADERS = Headers()
"""Headers of an attempt that has no response yet."""


class RequestHeaders(dict[str, str]):
    """Request headers, immutable by convention, so that requests with the same headers share their encoded form."""

    __slots__ = ("has_host", "lines")

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__(headers)
        self.lines: bytes | None = None
        """The header lines as they are sent; set by the transport at the first request."""
        self.has_host = False
        """Whether ``Host`` is among them; set by the transport together with `lines`."""


class HttpRequest(msgspec.Struct):
    """HTTP request as a value."""

    url: str
    body: Mapping[str, Any] | bytes | None = None
    """A JSON object, encoded when it is sent, or bytes, sent as they are.

    Bytes that are not JSON need a ``Content-Type`` in `headers`.
    """
    method: Literal["GET", "POST"] = "POST"
    headers: Mapping[str, str] = {}
    authenticated: bool = True
    """False for a URL of another host, which gets neither the provider's key nor its or the caller's other headers."""
    warnings: list[str] = []
    """Everything that was dropped, changed or defaulted while the request was encoded."""
    max_response_bytes: int = MAX_RESPONSE_BYTES
    """Size limit of the response's body; a larger one is an `APIResponseError`."""

    def __repr__(self) -> str:
        return f"<HttpRequest {self.method} {self.url}>"


class HttpResponse(msgspec.Struct, eq=False):
    """Complete HTTP response: status, headers and decoded body."""

    status: int
    headers: Headers
    body: bytes

    def __repr__(self) -> str:
        return f"<HttpResponse {self.status}: {len(self.body)} bytes>"


def parse_date(header: str | None) -> float | None:
    """An HTTP date as Unix seconds; None where it is missing, malformed or without a time zone."""
    return None if not header or len(header) > _MAX_DATE else _parse_date(header)


_MAX_DATE = 64
"""Characters of a date; a longer text is not parsed, because that takes time."""


@functools.lru_cache(64)
def _parse_date(text: str) -> float | None:
    # Cached: it takes 8 µs, and the responses of one second have the same date.
    try:
        then = email.utils.parsedate_to_datetime(text)
        return None if then.tzinfo is None else then.timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
