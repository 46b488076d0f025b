"""A body as it comes in: aiohttp's buffer without what only its other readers need.

aiohttp's parser makes its own `StreamReader` for each answer, and calls four of its methods for each piece of a chunked
body. Those count offsets and wake readers for who reads piece by piece; here everything that has come is read at once,
and a streamed chunk costs a third less.
"""

from __future__ import annotations

from typing import cast

import aiohttp
from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import EMPTY_PAYLOAD


class BodyReader(aiohttp.StreamReader):
    """What has come of a body and was not taken yet."""

    __slots__ = ()

    def feed_data(self, data: bytes, size: int = 0) -> bool:
        """A piece has come; whether there is more that it can be asked for, which there never is."""
        if not data:
            return False
        buffer = self._buffer
        buffer.append(data)
        self._size += len(data)
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)
        if self._size > self._high_water or len(buffer) > self._high_water_chunks:
            self._protocol.pause_reading()
        return False

    def begin_http_chunk_receiving(self) -> None:
        """Nobody asks where pieces begin, ..."""

    def end_http_chunk_receiving(self) -> None:
        """... or end."""

    def take(self) -> bytes:
        """All that has come; b"" where nothing has."""
        buffer = self._buffer
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


def as_body_reader(content: aiohttp.StreamReader, protocol: BaseProtocol) -> BodyReader | None:
    """An answer's reader as a `Body`; None where it is somebody else's."""
    if content is EMPTY_PAYLOAD:
        # All answers without a body share one reader, which is no whole one.
        empty = BodyReader(protocol, 0, loop=protocol._loop)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        empty.feed_eof()
        return empty
    if type(content) is not aiohttp.StreamReader:
        return None
    content.__class__ = BodyReader
    content.total_bytes -= content._size  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] (`take` counts it)
    return cast("BodyReader", content)
