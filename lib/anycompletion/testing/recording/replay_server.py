"""A server that replays recorded responses byte for byte, cut as the test asks for; never makes up a response."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate, pairwise
from typing import Literal, TypeAlias
from urllib.parse import quote

import attrs
from aiohttp import web

from ..simulator.loopback import LoopbackServer
from ..simulator.request_log import RecordedRequest
from .recordings import Recording, load_folder

CONNECTION_HEADERS = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "date",
        "keep-alive",
        "proxy-authenticate",
        "server",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that belong to the connection they were recorded on, not to the response."""

CONTENT_TYPES: Mapping[str, str] = {
    "json": "application/json",
    "json-array": "application/json",
    "sse": "text/event-stream; charset=utf-8",
    "ndjson": "application/x-ndjson",
    "aws-eventstream": "application/vnd.amazon.eventstream",
    "text": "text/plain; charset=utf-8",
}
"""Framing → content type, for recordings that do not have one."""


@attrs.frozen
class RandomCuts:
    """Cuts a body into pieces of random length, the same ones for the same seed."""

    seed: int
    """Seed of the lengths."""
    longest: int = 200
    """Bytes of the longest piece."""

    def __attrs_post_init__(self) -> None:
        if self.longest < 1:
            raise ValueError(f"longest must be at least 1, got {self.longest}")


Segmentation: TypeAlias = Literal["recorded"] | int | RandomCuts | None
"""How a body is cut: None not at all, ``"recorded"`` as it was read (not at all where that was not recorded), a number
into pieces of that many bytes, `RandomCuts` at random."""


def segments(recording: Recording, segmentation: Segmentation) -> list[bytes]:
    """The recording's body in the pieces asked for; none is empty.

    Raises:
        ValueError: there is no such segmentation.
    """
    body = recording.body
    cuts = {0, len(body), *_cuts(recording, segmentation)}
    return [body[start:stop] for start, stop in pairwise(sorted(cuts))]


def _cuts(recording: Recording, segmentation: Segmentation) -> Iterable[int]:
    size = len(recording.body)
    match segmentation:
        case None:
            return ()
        case "recorded":
            return accumulate(recording.chunk_lengths)
        case RandomCuts():
            return _random_cuts(size, segmentation)
        case int() if segmentation >= 1:
            return range(0, size, segmentation)
        case _:
            raise ValueError(f"segmentation must be None, 'recorded', RandomCuts or at least 1, got {segmentation!r}")


def _random_cuts(size: int, cuts: RandomCuts) -> Iterator[int]:
    rng = random.Random(cuts.seed)  # noqa: S311 (the cuts have to be reproducible, not secure)
    at = rng.randint(1, cuts.longest)
    while at < size:
        yield at
        at += rng.randint(1, cuts.longest)


class ReplayServer(LoopbackServer):
    """A server on 127.0.0.1 that responds with recordings: their status, headers and bytes.

    ::

        async with ReplayServer("recordings") as server:
            base_url = server.base_url("some-recording")

    Any path below a recording's base URL gets that recording, whatever the request contains; the requests are kept in
    `requests`. Headers that belong to a connection (lengths, encodings, cookies) are omitted; the content type is
    derived from the framing where it was not recorded.

    Args:
        recordings: recordings, or a folder of them.
        segmentation: how bodies are cut; each piece is written and drained as an HTTP chunk of its own. An attribute
            that may be changed at any time and applies to later requests.
        delay: seconds between two pieces; 0 by default. Without a delay a client may read several at once.
        host: 127.0.0.1 or localhost, no other.
        port: 0 picks a free one.

    Raises:
        OSError: the folder cannot be read.
        ValueError: another host, a file that is no recording, two recordings with one id, or a wrong segmentation.
    """

    def __init__(
        self,
        recordings: Iterable[Recording] | str | os.PathLike[str],
        *,
        segmentation: Segmentation = None,
        delay: float = 0.0,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(host=host, port=port)
        if isinstance(recordings, (str, os.PathLike)):
            recordings = load_folder(recordings)
        self.recordings: dict[str, Recording] = {}
        """Recording by id."""
        for each in recordings:
            if each.id in self.recordings:
                raise ValueError(f"two recordings have the id {each.id!r}")
            self.recordings[each.id] = each
        if delay < 0:
            raise ValueError(f"delay must not be negative, got {delay}")
        self.delay = delay
        self.segmentation = segmentation

    @property
    def segmentation(self) -> Segmentation:
        """How bodies are cut."""
        return self._segmentation

    @segmentation.setter
    def segmentation(self, segmentation: Segmentation) -> None:
        segments(Recording(id="none", provider=""), segmentation)  # raises here rather than in the middle of a response
        self._segmentation: Segmentation = segmentation

    def base_url(self, recording: Recording | str) -> str:
        """The base URL (without a slash at its end) under which every path gets that recording, or the one of that id.

        Raises:
            KeyError: the server does not have it.
            RuntimeError: the server was never started.
        """
        name = recording if isinstance(recording, str) else recording.id
        if name not in self.recordings:
            raise KeyError(name)
        return f"{self.url}/{quote(name, safe='')}"

    def _provider_of(self, path: str) -> str:
        """The provider whose recording a path asks for; empty for none."""
        recording = self._recording(path)
        return "" if recording is None else recording.provider

    async def _respond(self, request: web.Request, record: RecordedRequest) -> web.StreamResponse:
        """Responds to one request with the recording that its path names."""
        recording = self._recording(record.path)
        if recording is None:
            return web.json_response({"error": f"there is no recording for {record.path}"}, status=404)
        kept = {name: value for name, value in recording.headers.items() if name not in CONNECTION_HEADERS}
        kept.setdefault("content-type", CONTENT_TYPES.get(recording.framing, "application/octet-stream"))
        response = web.StreamResponse(status=recording.status, headers=kept)
        response.enable_chunked_encoding()
        pieces = segments(recording, self.segmentation)
        await response.prepare(request)
        for index, piece in enumerate(pieces):
            # Also without a delay: it lets the client read this piece before the next one.
            await asyncio.sleep(self.delay if index else 0)
            await response.write(piece)
            await request.writer.drain()
            record.chunks_written += 1
        await response.write_eof()
        record.finished = True
        return response

    def _recording(self, path: str) -> Recording | None:
        return self.recordings.get(path.split("/", 2)[1])
