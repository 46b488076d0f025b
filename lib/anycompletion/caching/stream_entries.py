"""Streams in a cache: what records the chunks of one while it is read, and what gives stored ones again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import msgspec

from ..calls.chunk_source import ChunkSource
from ..calls.close_signal import CloseSignal
from ..errors import APIResponseError, CompletionError
from ..records import ChatCompletion, ReplyInfo, Usage
from ..records.chunks import ChatCompletionChunk
from .stored_replies import ChunkLine, is_storable, read_chunks, write_chunk, write_stream

Replay: TypeAlias = Literal["at_once", "recorded"]

_BATCH = 64 << 10
"""Bytes of chunks that are decoded at once, about 256 chunks; other tasks run between two batches."""


class StreamRecorder:
    """Records the chunks of a stream, and passes it to `store` if it ends as it should.

    Args:
        store: called with the value to store.
        clock: returns seconds.
        now: returns Unix seconds.
        max_bytes: bytes of a stream that are recorded; a longer one is not stored.
        keep_raw: whether the data of the provider's events are recorded.
    """

    def __init__(
        self,
        store: Callable[[bytes], object],
        clock: Callable[[], float],
        now: Callable[[], float],
        *,
        max_bytes: int,
        keep_raw: bool,
    ) -> None:
        self._store = store
        self._clock = clock
        self._now = now
        self._left = max_bytes
        self._keep_raw = keep_raw
        self._began = clock()
        self.has_ended = False
        """Whether the stream is over."""
        self._usage: Usage | None = None
        """The last counts that were recorded."""
        self._lines: list[bytes] | None = []
        """The chunks so far; None where the stream will not be stored."""

    def record(self, chunk: ChatCompletionChunk) -> ChatCompletionChunk:
        """Records a chunk, in the form it has now: its reader may change it later."""
        if self._lines is not None:
            self._lines = self._with(self._lines, chunk)
        return chunk

    def _with(self, lines: list[bytes], chunk: ChatCompletionChunk) -> list[bytes] | None:
        """The lines with one more; None where the stream cannot be stored."""
        if any(choice.delta.audio for choice in chunk.choices):  # its id expires
            return None
        try:
            line = write_chunk(int((self._clock() - self._began) * 1000), chunk, keep_raw=self._keep_raw)
        except (TypeError, ValueError, RecursionError):
            return None
        self._usage = chunk.usage or self._usage
        self._left -= len(line)
        if self._left < 0:
            return None
        lines.append(line)
        return lines

    def end(self, reply: ChatCompletion, error: CompletionError | None) -> None:
        """Stores the stream, if it ended properly; what `CompletionStream.on_end` calls."""
        lines, self._lines = self._lines, None
        self.has_ended = True
        began_anew = any(each.error is not None and each.error.partial is not None for each in reply.info.tried)
        if not lines or error is not None or began_anew or not is_storable(reply):
            return  # of a reply that began anew, the lines have what was cut off as well
        if reply.usage is not None and reply.usage != self._usage:  # its reader did not ask for the chunk that has it
            lines = self._with(lines, ChatCompletionChunk(reply.id, [], reply.created, reply.model, usage=reply.usage))
        if lines is not None:
            self._store(write_stream(lines, reply.info, self._now()))


class ReplayedChunks(ChunkSource):
    """The chunks of a stored stream: the same ones, at once or with the pauses they came with."""

    __slots__ = ("_at", "_closed", "_info", "_lines", "_pauses", "_pending", "_started", "_waited")

    is_complete = True

    def __init__(self, lines: bytes, info: ReplyInfo, replay: Replay) -> None:
        self._lines = lines
        self._at = 0
        """Bytes of them that are decoded."""
        self._info = info
        self._pauses = replay == "recorded"
        self._pending: list[ChunkLine] = []
        """Chunks that are decoded and whose time has not come."""
        self._waited = 0
        """Milliseconds of the recording that are over."""
        self._started = 0.0
        self._closed = CloseSignal()

    @property
    def info(self) -> ReplyInfo:
        """Metadata of the original, with the seconds that this reply took."""
        return self._info

    async def open(self) -> None:
        """Starts the clock; there is nothing to send."""
        self._started = asyncio.get_running_loop().time()

    async def next(self) -> Sequence[ChatCompletionChunk] | None:
        """The next chunks that come together; None at the end.

        Raises:
            APIResponseError: the stored stream cannot be read.
        """
        if not self._pending and not self._decode():
            self._info.elapsed += asyncio.get_running_loop().time() - self._started
            return None
        if not self._pauses:
            if self._at > 2 * _BATCH:
                await asyncio.sleep(0)
            chunks = [line.chunk for line in self._pending]
            self._pending = []
            return chunks
        at = self._pending[0].at
        if at > self._waited:
            await self._closed.interrupting(asyncio.sleep((at - self._waited) / 1000))
            self._waited = at
        chunks = [line.chunk for line in self._pending if line.at <= at]
        del self._pending[: len(chunks)]
        return chunks

    def _decode(self) -> bool:
        """Decodes the next lines; False where there are none left."""
        start = self._at
        if start >= len(self._lines):
            return False
        end = self._lines.find(b"\n", start + _BATCH)
        self._at = len(self._lines) if end < 0 else end + 1
        try:
            self._pending = read_chunks(self._lines[start : self._at])
        except (msgspec.MsgspecError, UnicodeError):
            raise APIResponseError("a stored stream cannot be read", provider=self._info.provider) from None
        return bool(self._pending)

    def close(self, end: CompletionError | None = None) -> None:
        """Ends a pause."""
        self._closed.send(end)

    async def wait_closed(self) -> None:
        """Returns at once: there is nothing to release."""
