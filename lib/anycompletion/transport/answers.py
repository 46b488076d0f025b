"""What an exchange reads: an answer whose headers have come, on a connection of ours or of a caller's session."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, cast

import aiohttp

from .body import BodyReader, as_body_reader

if TYPE_CHECKING:
    from aiohttp.client_reqrep import ConnectionKey

    from .connector import Connector, PooledConnection


class RawResponse(Protocol):
    """Status, headers, and the body as it comes."""

    status: int
    raw_headers: tuple[tuple[bytes, bytes], ...]
    content: aiohttp.StreamReader

    @property
    def own(self) -> BodyReader | None:
        """The same, where it comes from an aiohttp whose privates are known."""

    def close(self) -> None:
        """Closes the connection unless the body has ended, and wakes who reads it."""
        ...


def wake(content: aiohttp.StreamReader) -> None:
    """Wakes who reads a body that is being closed, by an error of its own.

    aiohttp has a single one for all readers: with each that is woken, it keeps more of their frames, for ever.
    """
    # A reader may have begun to wait after the body had got its error.
    if content.exception() is None or getattr(content, "_waiter", None) is not None:
        content.set_exception(aiohttp.ClientConnectionError("closed"))


class DirectResponse:
    """An answer on a connection of ours, which goes back to its connector when the body ends."""

    __slots__ = ("_connector", "_is_long", "_key", "_wire", "_writing", "content", "own", "raw_headers", "status")

    def __init__(
        self,
        status: int,
        raw_headers: tuple[tuple[bytes, bytes], ...],
        content: aiohttp.StreamReader,
        wire: PooledConnection,
        key: ConnectionKey,
        connector: Connector,
        writing: asyncio.Task[None] | None,
        is_long: bool,
    ) -> None:
        self.status = status
        self.raw_headers = raw_headers
        self.own = as_body_reader(content, wire)
        self.content: aiohttp.StreamReader = self.own or content
        self._wire: PooledConnection | None = wire
        self._key = key
        self._connector = connector
        self._writing = writing
        self._is_long = is_long
        self.content.on_eof(self._ended)

    def _ended(self) -> None:
        self._let_go(cut=False)

    def close(self) -> None:
        """Closes the connection unless the body has ended, and wakes who reads it."""
        wake(self.content)
        self._let_go(cut=True)

    def _let_go(self, *, cut: bool) -> None:
        wire, self._wire = self._wire, None
        if wire is None:
            return
        if self._writing is not None and not self._writing.done():
            self._writing.cancel()
            cut = True  # the answer came early, and the rest of the request must not stand before the next one
        if self._is_long and self.status >= 400:
            cut = True  # as it may have here too: what TLS, or the system, has not sent yet cannot be seen
        self._connector.release(self._key, wire, cut=cut)


class SessionResponse:
    """An answer of a caller's own session."""

    __slots__ = ("_response", "content", "raw_headers", "status")
    own = None

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.status = response.status
        self.raw_headers = response.raw_headers
        self.content = response.content
        self._response = response
        # The request's address and headers take as much memory as an open answer does, and nobody asks it for them.
        response._request_info = cast("aiohttp.RequestInfo", None)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

    def close(self) -> None:
        """Closes the connection unless the body has ended, and wakes who reads it."""
        wake(self.content)
        self._response.close()
