"""Content encodings: their names as servers write them, and bodies that aiohttp leaves encoded.

aiohttp decodes ``gzip`` and ``deflate`` by exactly these names.
"""

from __future__ import annotations

import zlib
from typing import Any

from .body import ResponseBody
from .errors import MalformedBodyError

DECODED_BY_AIOHTTP = frozenset(("gzip", "deflate"))
"""Names of content encodings, in lower case."""

_ALIASES = {"x-gzip": "gzip"}
"""Other name of an encoding → its name."""

_PIECE = 1024 * 1024
"""Bytes that are decoded at a time."""

_MAX_MEMBERS = 1000
"""Members of one gzip body that are decoded; each costs time, although it may be empty."""

_GZIP, _ZLIB, _RAW = zlib.MAX_WBITS + 16, zlib.MAX_WBITS, -zlib.MAX_WBITS
"""The argument of `zlib.decompressobj` for each format."""


def encoding_of(header: str | None) -> str:
    """The encodings in a header ``Content-Encoding`` by their standard names; "" for none."""
    names = (name.strip().lower() for name in (header or "").split(","))
    return ", ".join(_ALIASES.get(name, name) for name in names if name not in ("", "identity"))


class DecodedBody:
    """Body in gzip or deflate, decoded as it is read; has the interface of the body that it wraps."""

    __slots__ = (
        "_body",
        "_decompressor",
        "_ended",
        "_error",
        "_is_gzip",
        "_members",
        "_rest",
        "arrived",
        "is_eof",
        "on_eof",
        "total_bytes",
        "total_compressed_bytes",
    )

    def __init__(self, body: ResponseBody, encoding: str) -> None:
        self._body = body
        self._is_gzip = encoding == "gzip"
        self._decompressor: Any = None
        """The object of `zlib.decompressobj`, whose class has no public name."""
        self._members = 0
        self._rest = b""
        """Bytes that have arrived and are not decoded yet."""
        self._error: MalformedBodyError | None = None
        self._ended = False
        self.arrived = True
        """Always true: whether something has arrived is known only after `take_available`."""
        self.total_bytes = 0
        self.total_compressed_bytes = 0
        self.is_eof = body.is_eof
        self.on_eof = body.on_eof

    def at_eof(self) -> bool:
        """Whether everything was taken."""
        return self._ended

    def exception(self) -> BaseException | None:
        """The error that ended the body."""
        return self._error or self._body.exception()

    def take_available(self) -> bytes | None:
        """As `BodyReader.take_available`."""
        while True:
            data = self._rest or self._body.take_available()
            if data is None:
                return None
            decoded = self._decode(data) if data else b""
            if not data or self._error is not None:
                self._end()
                return b""
            if decoded:
                return decoded

    async def wait(self) -> bytes:
        """As `BodyReader.wait`."""
        data = b"" if self._rest else await self._body.wait()
        return self._decode(data) if data else b""

    def _decode(self, data: bytes) -> bytes:
        """The first piece of what `data` decodes to; `_rest` keeps the bytes that are left."""
        if data is not self._rest:
            self.total_compressed_bytes += len(data)
        try:
            decoded, self._rest = self._decompressed(data)
        except (zlib.error, ValueError):
            self._error, self._rest = MalformedBodyError("not in its content encoding"), b""
            return b""
        self.total_bytes += len(decoded)
        return decoded

    def _decompressed(self, data: bytes) -> tuple[bytes, bytes]:
        while True:
            if self._decompressor is None or self._decompressor.eof:
                self._decompressor = self._next_member(data)
            decoded = self._decompressor.decompress(data, _PIECE)
            rest = self._decompressor.unconsumed_tail or self._decompressor.unused_data
            if decoded or not rest:
                return decoded, rest
            data = rest

    def _next_member(self, data: bytes) -> Any:
        self._members += 1
        if self._members > (_MAX_MEMBERS if self._is_gzip else 1):
            raise ValueError("bytes after the end")
        # Some servers send deflate without the zlib header that HTTP requires.
        return zlib.decompressobj(_GZIP if self._is_gzip else _ZLIB if data[0] & 0xF == 8 else _RAW)

    def _end(self) -> None:
        self._ended = True
        cut = self._decompressor is not None and not self._decompressor.eof
        if cut and self.exception() is None:
            self._error = MalformedBodyError("cut short")
