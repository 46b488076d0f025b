"""Response bodies: the bytes that arrived and were not taken yet. The only module that reads from aiohttp's
`StreamReader`.

Both readers have the same interface. `take_available` returns all that has arrived. If it returns None, await `wait`;
if that returns b"", call `take_available` again. Failures are not raised: aiohttp would raise the same exception object
in every reader, and its traceback would keep the frames of each. `exception` returns it once all that had arrived was
taken.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from types import NoneType
from typing import Any, TypeAlias, cast

import aiohttp


class BodyReader(aiohttp.StreamReader):
    """Body of a response, without what only aiohttp's own reading methods need.

    aiohttp's parser makes a `StreamReader` for each response, and calls four of its methods for each piece of a chunked
    body. Those count offsets and wake readers for callers that read piece by piece; without that a streamed chunk costs
    a third less. `as_body_reader` changes the class of the object that the parser made. The private members of
    `StreamReader` that this uses are those of the versions of aiohttp in `http1.is_supported_aiohttp`.
    """

    __slots__ = ()

    arrived: deque[bytes] = vars(aiohttp.StreamReader)["_buffer"]
    """Bytes that have arrived and were not taken: aiohttp's own slot, under a public name.

    `Response` uses only whether it is empty; see `ForeignBodyReader.arrived`.
    """

    def is_waiting(self) -> bool:
        """Whether a reader waits, and nothing has arrived for it."""
        return self._waiter is not None

    def take_available(self) -> bytes | None:
        """All bytes that have arrived; b"" after the end or a failure; None if there are none yet."""
        buffer = self._buffer
        if not buffer:
            return b"" if self._eof or self._exception is not None else None
        if len(buffer) == 1:
            data = buffer.popleft()
        else:
            data = b"".join(buffer)
            buffer.clear()
        self.total_bytes += len(data)
        self._size = 0
        protocol = self._protocol
        if protocol._reading_paused:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
            protocol.resume_reading()
        return data

    def wait(self) -> asyncio.Future[bytes]:
        """A future of the next bytes that arrive; b"" at the end or at a failure, or if others have taken them.

        Not a coroutine: one more would cost time for each chunk, and memory for each open stream.
        """
        waiter: asyncio.Future[bytes] = self._loop.create_future()
        if self._eof or self._exception is not None:
            waiter.set_result(b"")
        elif self._waiter is not None or self._protocol.transport is None:
            # Another task reads already, or nothing will arrive.
            self.set_exception(aiohttp.ClientConnectionError("closed"))
            waiter.set_result(b"")
        else:
            self._waiter = cast("Any", waiter)
        return waiter

    def abort(self) -> None:
        """Ends the body with an error, unless it has one; wakes its reader."""
        if self._exception is None:
            self.set_exception(aiohttp.ClientConnectionError("closed"))

    def feed_data(self, data: bytes, size: int = 0) -> bool:
        """Adds bytes that have arrived; returns False, as aiohttp does: the parser keeps nothing back."""
        if not data:
            return False
        waiter = cast("asyncio.Future[bytes] | None", self._waiter)
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                self.total_bytes += len(data)
                waiter.set_result(data)
                return False
        buffer = self._buffer
        buffer.append(data)
        self._size += len(data)
        if self._size > self._high_water or len(buffer) > self._high_water_chunks:
            self._protocol.pause_reading()
        return False

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
        """Ends the body with an error. The reader is woken without it, see the module."""
        waiter = cast("asyncio.Future[bytes] | None", self._waiter)
        self._waiter = None
        super().set_exception(exc)
        if waiter is not None and not waiter.done():
            waiter.set_result(b"")

    # aiohttp's parser calls these where each piece begins and ends, which readers here do not see. `NoneType()` is the
    # cheapest call that does nothing: a Python function would cost more for each chunk.
    begin_http_chunk_receiving: Callable[[], None] = staticmethod(NoneType)  # pyright: ignore[reportIncompatibleMethodOverride]
    end_http_chunk_receiving: Callable[[], None] = staticmethod(NoneType)  # pyright: ignore[reportIncompatibleMethodOverride]


class ForeignBodyReader:
    """Wraps a reader whose class cannot be changed: aiohttp's for empty bodies, or one of an untested version."""

    __slots__ = ("_content", "_waits", "arrived", "at_eof", "exception", "is_eof", "on_eof")

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content
        self._waits = False
        self.arrived = True
        """Always true: whether something has arrived is known only after `take_available`."""
        self.exception = content.exception
        self.at_eof = content.at_eof
        self.is_eof = content.is_eof
        self.on_eof = content.on_eof

    def is_waiting(self) -> bool:
        """Whether a reader waits."""
        return self._waits

    @property
    def total_bytes(self) -> int:
        """Decoded bytes."""
        return self._content.total_bytes

    @property
    def total_compressed_bytes(self) -> int | None:
        """Bytes received; None if the body is not compressed."""
        return getattr(self._content, "total_compressed_bytes", None)

    def take_available(self) -> bytes | None:
        """As `BodyReader.take_available`."""
        content = self._content
        if content.at_eof():
            return b""
        if content._size:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
            # aiohttp's `read_nowait` raises an error that is there first, and loses what arrived before.
            return content._read_nowait(-1)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        return None if content.exception() is None else b""

    async def wait(self) -> bytes:
        """As `BodyReader.wait`."""
        content = self._content
        self._waits = True
        try:
            return await content.readany()
        except (aiohttp.ClientError, OSError, RuntimeError):
            if content.exception() is None:
                content.set_exception(aiohttp.ClientConnectionError("closed"))
        finally:
            self._waits = False
        return b""

    def abort(self) -> None:
        """As `BodyReader.abort`."""
        content = self._content
        # A reader may have begun to wait after the body got its error.
        if content.exception() is None or self._waits:
            content.set_exception(aiohttp.ClientConnectionError("closed"))


ResponseBody: TypeAlias = BodyReader | ForeignBodyReader


def as_body_reader(content: aiohttp.StreamReader) -> ResponseBody:
    """The body of a response of a supported aiohttp; `content` becomes a `BodyReader` if it is aiohttp's own class."""
    if type(content) is not aiohttp.StreamReader:
        return ForeignBodyReader(content)
    content.__class__ = BodyReader  # no copy, because the parser goes on feeding this object
    assert isinstance(content, BodyReader)
    content.total_bytes -= content._size  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] (`take_available` counts it)
    return content
