"""A stream, or a whole reply, as the source of another stream's chunks; sends nothing itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from ..calls import ChunkSource, as_chunk
from ..errors import CompletionError
from ..records import ChatCompletion, ReplyInfo, Usage
from ..records.chunks import ChatCompletionChunk

ChunkMapper: TypeAlias = Callable[[ChatCompletionChunk], ChatCompletionChunk | None]
"""Makes a chunk of a chunk; None leaves it out."""


class ReadableStream(Protocol):
    """What is needed of the stream whose chunks are mapped; `CompletionStream` has it."""

    @property
    def info(self) -> ReplyInfo:
        """Details of its call."""

    @property
    def usage(self) -> Usage | None:
        """The newest usage."""

    @property
    def snapshot(self) -> ChatCompletion:
        """The reply as far as it was delivered."""

    async def open(self) -> None:
        """Sends the request if it was not sent."""

    async def __anext__(self) -> ChatCompletionChunk:
        """The next chunk."""
        ...

    def close(self) -> None:
        """Closes the connection at once."""

    async def aclose(self) -> None:
        """Closes the connection."""


class MappedChunks(ChunkSource):
    """The chunks of another stream, as `change` makes them."""

    __slots__ = ("_change", "_stream", "_usage")

    def __init__(self, stream: ReadableStream, change: ChunkMapper | None = None) -> None:
        self._stream = stream
        self._change = change
        self._usage: Usage | None = None
        """The newest that was passed on."""

    @property
    def info(self) -> ReplyInfo:
        """How the call goes."""
        return self._stream.info

    async def open(self) -> None:
        """Sends, if the stream was not sent yet."""
        await self._stream.open()

    async def next(self) -> Sequence[ChatCompletionChunk] | None:
        """The next chunk; at the end one with the usage that the stream kept to itself; then None."""
        while True:
            try:
                chunk = await self._stream.__anext__()
            except StopAsyncIteration:
                return self._last()
            except CompletionError as error:
                if self._change is not None:
                    error.partial = None  # it is what was there before the change; who reads the changed adds theirs
                raise
            if chunk.usage is not None:
                self._usage = chunk.usage
            changed = chunk if self._change is None else self._change(chunk)
            if changed is not None:
                return (changed,)

    def _last(self) -> Sequence[ChatCompletionChunk] | None:
        usage = self._stream.usage
        if usage is self._usage:
            return None
        self._usage = usage
        known = self._stream.snapshot
        return (ChatCompletionChunk(known.id, [], known.created, known.model, usage=usage),)

    def close(self, end: CompletionError | None = None) -> None:
        """Closes the stream; whoever reads it meanwhile is told so by the stream itself."""
        self._stream.close()

    async def wait_closed(self) -> None:
        """Until the stream is closed."""
        await self._stream.aclose()


class CompletedChunks(ChunkSource):
    """A whole reply as a stream of one chunk."""

    __slots__ = ("_completion", "_left")

    def __init__(self, completion: ChatCompletion) -> None:
        self._completion = completion
        self._left = True

    @property
    def info(self) -> ReplyInfo:
        """How the reply came about."""
        return self._completion.info

    async def open(self) -> None:
        """Nothing is to be sent."""

    async def next(self) -> Sequence[ChatCompletionChunk] | None:
        """The reply; then None."""
        if not self._left:
            return None
        self._left = False
        return (as_chunk(self._completion),)

    def close(self, end: CompletionError | None = None) -> None:
        """Nothing is held."""

    async def wait_closed(self) -> None:
        """Nothing is held."""
