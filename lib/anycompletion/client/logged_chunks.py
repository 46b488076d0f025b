"""Chunks of several calls that are one visit of a route: their end is logged once, with the usage of all."""

from __future__ import annotations

from ..calls import Call
from ..calls.chunk_source import ChunkSource
from ..dialects.base import Chunks
from ..errors import CompletionError
from ..logs import log
from ..records import ReplyInfo, Usage
from ..records.latest_usage import latest_usage


def visit_chunks(calls: list[Call], chunks: ChunkSource) -> ChunkSource:
    """The chunks of the calls of one visit, with one log record for their end."""
    if len(calls) == 1 and (calls[0].request.n or 1) == 1:
        return chunks
    for call in calls:
        call.is_part = True
    return LoggedChunks(chunks, calls[0]) if log.isEnabledFor(calls[0].plan.log_level) else chunks


class LoggedChunks(ChunkSource):
    """The chunks of another source, whose proper end is logged as that of `first`, one of its calls."""

    __slots__ = ("_first", "_source", "_usage")

    def __init__(self, source: ChunkSource, first: Call) -> None:
        self._source = source
        self._first = first
        self._usage: Usage | None = None

    @property
    def info(self) -> ReplyInfo:
        """Details of all calls."""
        return self._source.info

    async def open(self) -> None:
        """Opens the source."""
        await self._source.open()

    async def next(self) -> Chunks | None:
        """The next chunks; None at the proper end."""
        chunks = await self._source.next()
        if chunks is None:
            self._first.log_finished(self._usage, self.info)
            return None
        for chunk in chunks:
            if chunk.usage is not None:
                self._usage = latest_usage(self._usage, chunk.usage)
        return chunks

    def close(self, end: CompletionError | None = None) -> None:
        """Closes the source."""
        self._source.close(end)

    async def wait_closed(self) -> None:
        """Waits until the source is closed."""
        await self._source.wait_closed()
