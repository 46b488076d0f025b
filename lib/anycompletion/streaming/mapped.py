"""Chunk sources over an existing stream (`MappedChunks`) or a whole reply (`CompletedChunks`); they send nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from .._boundary import ITERATION_ENDS, iteration_error
from ..calls.chunk_source import ChunkSource, ReplyRestarted
from ..calls.reply_chunks import as_chunk
from ..errors import CompletionError
from ..records import ChatCompletion, ReplyInfo, Usage
from ..records.chunks import ChatCompletionChunk

ChunkMapper: TypeAlias = Callable[[ChatCompletionChunk], ChatCompletionChunk | None]
"""Function from a chunk to the chunk that replaces it; None removes the chunk."""


class ReadableStream(Protocol):
    """The part of `CompletionStream` that `MappedChunks` uses."""

    @property
    def info(self) -> ReplyInfo:
        """Details of its call."""
        ...

    @property
    def usage(self) -> Usage | None:
        """The last token counts that the provider sent."""
        ...

    @property
    def snapshot(self) -> ChatCompletion:
        """The reply as far as it was delivered."""
        ...

    @property
    def may_restart(self) -> bool:
        """Whether it may begin anew."""
        ...

    async def open(self) -> None:
        """Sends the request, unless it was sent before."""

    async def __anext__(self) -> ChatCompletionChunk:
        """The next chunk."""
        ...

    def close(self) -> None:
        """Closes the connection at once."""

    async def aclose(self) -> None:
        """Closes the connection."""


class MappedChunks(ChunkSource):
    """The chunks of another stream, each replaced by the result of `change`."""

    __slots__ = ("_change", "_stream", "_usage")

    def __init__(self, stream: ReadableStream, change: ChunkMapper | None = None) -> None:
        self._stream = stream
        self._change = change
        self._usage: Usage | None = None
        """The last usage that was passed on."""

    @property
    def info(self) -> ReplyInfo:
        """Details of the stream's call."""
        return self._stream.info

    @property
    def may_restart(self) -> bool:
        """Whether the stream may begin anew."""
        return self._stream.may_restart

    async def open(self) -> None:
        """Opens the stream, unless it is open."""
        await self._stream.open()

    async def next(self) -> Sequence[ChatCompletionChunk] | None:
        """The next chunk; at the end one with the usage that the stream did not deliver as a chunk; then None."""
        while True:
            try:
                chunk = await self._stream.__anext__()
            except StopAsyncIteration:
                return self._usage_chunk()
            except CompletionError as error:
                if self._change is not None:
                    error.partial = None  # made of the unchanged chunks; the outer stream sets it from the changed ones
                raise
            except ReplyRestarted as restarted:
                self._usage = None
                if self._change is not None:
                    restarted.error.partial = None  # as above
                raise
            if chunk.usage is not None:
                self._usage = chunk.usage
            try:
                changed = chunk if self._change is None else self._change(chunk)
            except ITERATION_ENDS as error:
                raise iteration_error(error) from error
            if changed is not None:
                return (changed,)

    def _usage_chunk(self) -> Sequence[ChatCompletionChunk] | None:
        usage = self._stream.usage
        if usage is self._usage:
            return None
        self._usage = usage
        reply = self._stream.snapshot
        return (ChatCompletionChunk(reply.id, [], reply.created, reply.model, usage=usage),)

    def close(self, end: CompletionError | None = None) -> None:
        """Closes the stream, which raises its own error in a task that waits for a chunk."""
        self._stream.close()

    async def wait_closed(self) -> None:
        """Waits until the stream is closed."""
        await self._stream.aclose()


class CompletedChunks(ChunkSource):
    """A whole reply as a stream of one chunk."""

    __slots__ = ("_completion", "_pending")

    def __init__(self, completion: ChatCompletion) -> None:
        self._completion = completion
        self._pending = True

    @property
    def info(self) -> ReplyInfo:
        """Details of the call that the reply came from."""
        return self._completion.info

    async def open(self) -> None:
        """Does nothing: there is nothing to send."""

    async def next(self) -> Sequence[ChatCompletionChunk] | None:
        """The reply as one chunk; then None."""
        if not self._pending:
            return None
        self._pending = False
        return (as_chunk(self._completion),)

    def close(self, end: CompletionError | None = None) -> None:
        """Does nothing: there is nothing to release."""

    async def wait_closed(self) -> None:
        """Does nothing: there is nothing to release."""
