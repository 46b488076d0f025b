"""Decompression bombs, a thousand times larger than their compressed bytes: are they refused at once, and cheaply?

Method. The server, in another process, sends a few hundred kilobytes that decompress to 512 MiB: as a whole
reply, as a stream (a line or an event without end, comments or blank lines without end) and as an error's body;
compressed by gzip, by deflate with and without its header, by gzip in many members, twice by gzip, and by brotli and
zstd, which the client never requests (where Python lacks them, other bytes under that name). Each bomb is sent to
a client that has made a call before. Memory is the highest resident memory during the call, minus that before
it, as Linux counts it (VmHWM).
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import importlib
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

from anycompletion import APIError, AsyncCompletion

from . import server
from .common import MIB, Figure, Lag, Server, client_to, command, conclude, in_use, peak_bytes, reset_peak, run_on

SIZE, SHORT_SIZE = 512, 128
"""MiB that a bomb becomes."""
PATIENCE = 30.0

# --- bombs -----------------------------------------------------------------------------------------------------------

_BLOCK = MIB
_GZIP, _ZLIB, _RAW = 31, 15, -15


def _deflated(size: int, wbits: int, unit: bytes = b"\0") -> bytes:
    """`size` MiB, compressed: one block again and again, since compressing takes longer than anything else here."""
    packer = zlib.compressobj(9, zlib.DEFLATED, wbits)
    unit *= _BLOCK // len(unit)
    head = packer.compress(unit) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(unit) + packer.flush(zlib.Z_FULL_FLUSH)
    # The checksum at its end is wrong; the client must not read that far.
    return head + block * (size - 1) + packer.flush()


def _nested(size: int) -> bytes:
    return gzip.compress(_deflated(size, _GZIP))


def _members(size: int) -> bytes:
    return gzip.compress(bytes(_BLOCK)) * size


def _brotli(size: int) -> bytes:
    try:
        packer = importlib.import_module("brotli").Compressor(quality=5)
    except ImportError:
        return _deflated(size, _GZIP)  # only the declared encoding matters
    packed: bytes = b"".join(packer.process(bytes(_BLOCK)) for _ in range(size)) + packer.finish()
    return packed


def _zstd(size: int) -> bytes:
    try:
        packer = importlib.import_module("backports.zstd").ZstdCompressor()
    except ImportError:
        return _deflated(size, _GZIP)
    packed: bytes = b"".join(packer.compress(bytes(_BLOCK)) for _ in range(size)) + packer.flush()
    return packed


class Bomb(NamedTuple):
    """One response."""

    encoding: str
    make: Callable[[int], bytes]
    """MiB → bytes."""


BOMBS = {
    "gzip": Bomb("gzip", partial(_deflated, wbits=_GZIP)),
    "gzip, many members": Bomb("gzip", _members),
    "gzip of text": Bomb("gzip", partial(_deflated, wbits=_GZIP, unit=b'{"choices": [{"index": 0}]}     ')),
    "deflate": Bomb("deflate", partial(_deflated, wbits=_ZLIB)),
    "deflate without header": Bomb("deflate", partial(_deflated, wbits=_RAW)),
    "gzip in gzip": Bomb("gzip, gzip", _nested),
    "gzip in gzip, declared once": Bomb("gzip", _nested),
    "brotli": Bomb("br", _brotli),
    "zstd": Bomb("zstd", _zstd),
}
"""As a whole reply and as an error's body."""

STREAMS = {
    "a line without end": Bomb("gzip", partial(_deflated, wbits=_GZIP)),
    "a line without end, deflate": Bomb("deflate", partial(_deflated, wbits=_ZLIB)),
    "an event without end": Bomb("gzip", partial(_deflated, wbits=_GZIP, unit=b"data: " + b" " * 57 + b"\n")),
    "an event of short lines": Bomb("gzip", partial(_deflated, wbits=_GZIP, unit=b"data: 123456789\n")),
    "comments without end": Bomb("gzip", partial(_deflated, wbits=_GZIP, unit=b": wait\n\n")),
    "lines without data": Bomb("gzip", partial(_deflated, wbits=_GZIP, unit=b"\n")),
    "gzip in gzip": Bomb("gzip, gzip", _nested),
    "brotli": Bomb("br", _brotli),
}


KINDS = {"plain": BOMBS, "error": BOMBS, "stream": STREAMS}


class Service(server.Service):
    """``/plain/gzip``, ``/error/gzip``, ``/stream/…``: a bomb; ``/well/plain`` and ``/well/stream``: none."""

    def __init__(self, size: str) -> None:
        super().__init__()
        self._size = int(size)

    def answer(self, connection: server.Connection, target: str, body: bytes) -> None:
        """Answers one request."""
        connection.write(self._bytes("/".join(target.split("/")[1:3])))

    @cache  # noqa: B019 (there is one service in the process)
    def _bytes(self, what: str) -> bytes:
        kind, name = what.split("/")
        name = name.replace("%20", " ")
        if kind == "well" and name == "stream":
            return server.STREAM + server.event("well") + server.STOP + server.DONE
        if kind == "well":
            return server.whole(server.completion("well"))
        bomb = KINDS[kind][name]
        data = bomb.make(self._size)
        media = "text/event-stream" if kind == "stream" else "application/json"
        head = f"HTTP/1.1 {500 if kind == 'error' else 200} Scripted\r\nContent-Type: {media}\r\n"
        return f"{head}Content-Encoding: {bomb.encoding}\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data

    def control(self, what: str) -> object:
        """Prepares the bombs; returns their names."""
        bombs = [f"{kind}/{name}" for kind, names in KINDS.items() for name in names]
        for bomb in bombs:
            self._bytes(bomb)
        return bombs


# --- measurement -----------------------------------------------------------------------------------------------------


async def _call(client: AsyncCompletion, url: str, *, stream: bool) -> None:
    options: Any = {"base_url": url, "api_key": "key"}
    if not stream:
        await client.create("openai/m", "hello", **options)
        return
    async with client.stream("openai/m", "hello", **options) as reply:
        async for _ in reply:
            pass


class Seen(NamedTuple):
    """Measurement of one bomb."""

    kind: str
    name: str
    error: str
    seconds: float
    mib: float
    lag: float
    left: int


async def _meet(url: str, kind: str, name: str) -> Seen:
    async with client_to(url, max_retries=0) as client:
        stream = kind == "stream"
        await _call(client, f"{url}/well/{'stream' if stream else 'plain'}", stream=stream)
        async with Lag() as lag, asyncio.timeout(PATIENCE):
            before = reset_peak()
            lag.restart()
            start = time.perf_counter()
            try:
                await _call(client, f"{url}/{kind}/{name.replace(' ', '%20')}", stream=stream)
                error = "none"
            except APIError as exc:
                error = type(exc).__name__
            seconds = time.perf_counter() - start
            await asyncio.sleep(0.02)
            grown = (peak_bytes() - before) / MIB
        return Seen(kind, name, error, seconds, grown, lag.worst.wall, sum(in_use(client).values()))


def _is_wrong(seen: Seen) -> bool:
    """Whether the error is unexpected: error bodies end in that of their status, all others in `APIResponseError`."""
    if seen.kind != "error":
        return seen.error != "APIResponseError"
    unknown = BOMBS[seen.name].encoding in ("br", "zstd")  # aiohttp reads no such answer where Python lacks them
    return seen.error not in ("InternalServerError", *(["APIResponseError"] if unknown else []))


async def measure(url: Server) -> list[Figure]:
    """All bombs, one after the other."""
    figures: list[Figure] = []
    for bomb in await asyncio.to_thread(url.ask, "prepare"):
        kind, name = bomb.split("/")
        label = f"{kind}: {name}"
        seen = await _meet(url.url, kind, name)
        wrong = _is_wrong(seen)
        if wrong:
            print(f"{label}: ends in {seen.error}")
        figures += [
            Figure(f"{label}: a wrong error, or things left in use", wrong + seen.left, at_most=0),
            Figure(f"{label}: time to the error", seen.seconds, at_most=0.5, unit="s", machine=True),
            Figure(f"{label}: memory", seen.mib, at_most=16, unit="MiB", machine=True),
            Figure(f"{label}: worst event-loop lag", seen.lag, unit="ms"),
        ]
    return figures


def run(given: argparse.Namespace) -> int:
    """One run in one form."""
    size = SHORT_SIZE if given.short else SIZE
    with Server("server", "bombs", size) as url:
        figures = run_on(given.loop, measure(url))
    return conclude(f"decompression bombs of {size} MiB", figures, short=given.short)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    return command("bombs", __doc__, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
