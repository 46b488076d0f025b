"""CompletionStream: the async iterator that callers read; pulls chunks from a source and buffers one read of it.

An object, not an async generator, because a generator that is left early keeps its connection until it is garbage
collected. A chunk is added to the snapshot when it is returned, so `.snapshot` is exactly what the caller has received.
However the caller leaves the stream, the source is closed by a plain function call, which cannot be cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import NoReturn, Self

from .._async import ClosedOnExit, check_plain_function
from .._boundary import iteration_error
from ..calls.chunk_source import ChunkSource, ReplyRestarted
from ..errors import (
    APIResponseError,
    ClientClosedError,
    CompletionError,
    InvalidRequestError,
    StreamInterruptedError,
)
from ..logs import observer_failed
from ..records import ChatCompletion, JsonObject, ReplyInfo, Usage
from ..records.chunks import ChatCompletionChunk
from .accumulator import Accumulator
from .mapped import ChunkMapper, CompletedChunks, MappedChunks
from .passed_on import SSEView, TextView, error_object, refuse_restarts

_NO_CHUNKS: Iterator[ChatCompletionChunk] = iter(())


class CompletionStream(ClosedOnExit):
    """A streamed reply: an async iterator over `ChatCompletionChunk`s, and an async context manager.

    Made by `client.stream(...)` (sent at ``async with`` or at the first chunk) or by ``await client.create(...,
    stream=True)`` (sent already). A stream is never silently short: it ends with the provider's finish reason, or
    `StreamInterruptedError` is raised, whose `.partial` has what had arrived. One that keeps more than 256 MiB for its
    reply ends with `APIResponseError`; see `keep_text` in `CallOptions`.

    Leaving ``async with``, cancelling, dropping the object or `aclose()` closes the upstream connection at once.
    """

    _end_callbacks: list[Callable[[ChatCompletion, CompletionError | None], object]] | None = None
    """Callbacks of `on_end`; most streams have none."""
    _restart_callbacks: list[Callable[[CompletionError], object]] | None = None
    """Callbacks of `on_restart`; most streams have none."""
    _restarts = 0
    _is_source = False
    """Whether another stream reads this one, and begins anew when this one does."""

    def __init__(self, source: ChunkSource, *, usage_asked: bool = False, keep_text: bool = True) -> None:
        self._source = source
        self._next = source.next
        self._is_settled = False
        self._usage_asked = usage_asked
        self._ready = _NO_CHUNKS
        """Chunks that were read from the source and not returned yet."""
        self._keep_text = keep_text
        self._accumulator = Accumulator(keep_text=keep_text)
        self._opened = False
        self._finished = False
        self._closed = False
        self._reading = False
        self._error: CompletionError | None = None
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None

    def __repr__(self) -> str:
        state = (
            "finished"
            if self._finished
            else "failed"
            if self._error is not None
            else "closed"
            if self._closed
            else "open"
            if self._opened
            else "not sent"
        )
        return f"<{type(self).__name__} {self.info.provider}/{self.info.model} {state}>"

    # --- the state so far ---

    @property
    def info(self) -> ReplyInfo:
        """Details of the call (provider, status, request id, attempts …), as they become known."""
        return self._source.info

    @property
    def usage(self) -> Usage | None:
        """The token counts that the provider has sent so far; None before it sends any."""
        return self._accumulator.usage

    @property
    def snapshot(self) -> ChatCompletion:
        """The reply so far, made of the chunks that were returned; without its contents if `keep_text` is False."""
        completion = self._accumulator.completion()
        completion.info = self.info
        return completion

    @property
    def restarts(self) -> int:
        """How often the reply has begun anew at another target, as ``Route(restart_streams=True)`` lets it."""
        return self._restarts

    @property
    def may_restart(self) -> bool:
        """Whether the reply may begin anew although a part of it was read: ``Route(restart_streams=True)``."""
        return self._source.may_restart

    # --- iterating ---

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ChatCompletionChunk:
        while True:
            chunk = next(self._ready, None)
            if chunk is not None:
                try:
                    self._accumulator.add(chunk)
                except APIResponseError as error:  # there is more than a stream may have
                    self._fail(error)
                    raise
                if chunk.choices or chunk.usage is None or self._usage_asked:
                    return chunk
                continue
            # Inline, because each function that waits costs an open stream a quarter of a kilobyte, and each call
            # costs time for every chunk that arrives alone.
            if (
                (self._finished or self._closed or self._error is not None)
                or self._reading
                or self._loop is not asyncio.get_running_loop()
            ):
                self._check_readable()
            self._reading = True
            self._ready = _NO_CHUNKS
            try:
                if not self._opened:
                    await self._open()
                chunks = await self._next()
            except CompletionError as error:
                self._fail(error)
                raise
            except ReplyRestarted as restarted:
                self._restart(restarted)
                continue
            except BaseException as error:  # cancelled: nothing will read the rest of the response
                self._abandon(error)
                raise
            finally:
                self._reading = False
            if chunks is None:
                self._finish()
            else:
                self._ready = iter(chunks)
                if not self._is_settled:
                    self._is_settled, self._next = True, self._source.settled_next()

    async def open(self) -> None:
        """Sends the request, unless it was sent before; returns after a good status. Iterating calls it.

        Raises:
            APIError: the network failed, or the provider's error; its docstring lists the classes.
        """
        if self._opened:
            return
        self._check_reader()
        self._reading = True
        try:
            await self._open()
        finally:
            self._reading = False

    def _check_reader(self) -> None:
        if self._loop is not None and self._loop is not asyncio.get_running_loop():
            raise ClientClosedError("this stream belongs to another event loop; read it in the loop it was made in")
        if self._reading:
            raise RuntimeError("two tasks use this stream at the same time; give each a stream of its own")

    async def _open(self) -> None:
        if self._opened:
            return
        if self._error is not None:
            raise self._error
        self._check_not_closed()
        try:
            await self._source.open()
        except CompletionError as error:
            self._fail(error)
            raise
        except BaseException as error:  # cancelled while opening: nothing will read the response
            self._abandon(error)
            raise
        self._opened = True
        self._check_not_closed()

    def _check_not_closed(self) -> None:
        if self._closed:
            raise self._interrupted("the stream was closed before its end")

    def _check_readable(self) -> None:
        if self._finished:
            raise StopAsyncIteration
        if self._error is not None:
            raise self._error
        self._check_not_closed()
        self._check_reader()

    def _finish(self) -> NoReturn:
        self._finished = True
        self._notify_end(None)
        raise StopAsyncIteration

    def _fail(self, error: CompletionError) -> None:
        if self._error is None:
            self._end_with(error)

    def _end_with(self, error: CompletionError) -> None:
        if error.partial is None and (self._accumulator.started or isinstance(error, StreamInterruptedError)):
            error.partial = self.snapshot
        self._error = error
        self._source.close()
        self._notify_end(error)

    def _restart(self, restarted: ReplyRestarted) -> None:
        """Forgets what was read: the chunks of another target come next.

        Raises:
            ReplyRestarted: another stream reads this one.
        """
        error = restarted.error
        if error.partial is None:
            error.partial = self._accumulator.completion()
            error.partial.info = restarted.info
        self._accumulator = Accumulator(keep_text=self._keep_text)
        self._restarts += 1
        for callback in self._restart_callbacks or ():
            try:
                callback(error)
            except (Exception, GeneratorExit) as exc:  # noqa: BLE001 (an observer's failure is logged, whatever it is)
                observer_failed("on_restart", exc)
        if self._is_source:
            raise restarted

    def _abandon(self, error: BaseException) -> None:
        """Closes the stream after an error that is not one of ours."""
        self.close()
        if isinstance(error, StopAsyncIteration):  # of user code: sources return None at their end
            raise iteration_error(error) from error

    def _interrupted(self, text: str) -> StreamInterruptedError:
        info = self.info
        return StreamInterruptedError(
            text,
            provider=info.provider,
            model=info.model,
            request_id=info.request_id,
            attempts=info.attempts,
            partial=self.snapshot,
            phase="closed",
        )

    async def get_final_completion(self) -> ChatCompletion:
        """Reads the rest of the stream and returns the whole reply; sends no second request.

        Raises:
            InvalidRequestError: the stream does not keep its text (`keep_text=False`).
            StreamInterruptedError: the stream did not end properly, or was left early.
            APIError: the error that ended the stream.
        """
        if not self._keep_text:
            raise InvalidRequestError("keep_text: this stream keeps no text, so it has no reply", param="keep_text")
        async for chunk in self:
            del chunk  # the traceback of a later error has this frame, which must not show it
        return self.snapshot

    @property
    def text(self) -> AsyncIterator[str]:
        """An async iterator over the text of choice 0, piece by piece; it reads the same chunks as the stream."""
        return TextView(self)

    def sse(self, describe: Callable[[CompletionError], JsonObject] | None = None) -> AsyncIterator[bytes]:
        """The rest of the stream as server-sent events in OpenAI's format, as bytes; ``[DONE]`` last.

        Args:
            describe: returns the ``error`` object for an error. The default has the full error text, which is meant for
                operators: for a missing key, it names the environment variables. `anycompletion.web` reveals less.

        After an error, the last event is ``{"error": …}`` and there is no ``[DONE]``, so that readers do not take the
        interrupted reply for a complete one.

        Raises:
            InvalidRequestError: the reply may begin anew (``Route(restart_streams=True)``), and readers of the events
                would get its text twice.
        """
        refuse_restarts(self, "sse")
        return SSEView(self, describe or error_object)

    # --- for middleware and other code between the call and its reader ---

    def on_end(self, callback: Callable[[ChatCompletion, CompletionError | None], object]) -> None:
        """Registers a function that is called once, when the stream ends, with the reply so far and the error.

        The error is None after a proper end, and a `StreamInterruptedError` with ``phase="closed"`` if the reader
        closed or dropped the stream before its end. An exception of `callback` is logged and changes nothing. For a
        dropped stream, the destructor calls it, possibly in another thread. It must not reference the stream, which
        would then never be dropped. One that is async raises a TypeError.
        """
        check_plain_function(callback, "on_end")
        if self._end_callbacks is None:
            self._end_callbacks = []
        self._end_callbacks.append(callback)
        if self._finished or self._closed or self._error is not None:
            self._notify_end(None if self._finished else self._error or self._interrupted("the stream was closed"))

    def on_restart(self, callback: Callable[[CompletionError], object]) -> None:
        """Registers a function that is called each time the reply begins anew, before the first chunk of the new one.

        It gets the error that cut the reply off, whose `partial` is what was read of it; `snapshot` is empty by then.
        Only streams of a ``Route(restart_streams=True)`` do so. An exception of `callback` is logged and changes
        nothing. It must not reference the stream, which would then never be dropped; one that is async raises a
        TypeError.
        """
        check_plain_function(callback, "on_restart")
        self._restart_callbacks = [*(self._restart_callbacks or ()), callback]

    def _notify_end(self, error: CompletionError | None) -> None:
        if self._end_callbacks is None:
            return
        callbacks, self._end_callbacks = self._end_callbacks, None
        for callback in callbacks:
            try:
                callback(self.snapshot, error)
            except (Exception, GeneratorExit) as exc:  # noqa: BLE001 (an observer's failure is logged, whatever it is)
                observer_failed("on_end", exc)

    def map(self, change: ChunkMapper) -> CompletionStream:
        """A stream whose chunks are the results of `change`; read it instead of this one. None removes a chunk.

        An exception of `change` ends the new stream and is raised to its reader. An async `change` is a TypeError.
        """
        check_plain_function(change, "map")
        self._is_source = True
        return CompletionStream(MappedChunks(self, change), usage_asked=self._usage_asked, keep_text=self._keep_text)

    def as_source(self) -> ChunkSource:
        """This stream as the chunk source of another stream.

        Raises:
            RuntimeError: some of its chunks were read already and would be missing.
        """
        if self._finished and self._keep_text:
            return CompletedChunks(self.snapshot)
        if self._accumulator.started:
            raise RuntimeError(
                "a middleware returned a stream of which it had read a part; to look at chunks use "
                "stream.map(...), and stream.on_end(...) for the whole reply"
            )
        if self._source.is_complete and self._end_callbacks is None and not self._opened:
            return self._source
        self._is_source = True
        return MappedChunks(self)

    # --- closing ---

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    def close(self) -> None:
        """Closes the upstream connection now, without waiting for anything."""
        if not self._closed:
            self._closed = True
            end = None if self._finished else self._interrupted("the stream was closed")
            self._source.close(end)
            self._notify_end(end)

    async def aclose(self) -> None:
        """Closes the upstream connection; a task that waits for a chunk gets `StreamInterruptedError`."""
        self.close()
        await self._source.wait_closed()

    def __del__(self) -> None:
        # The event loop references an open connection, so that it would not be collected while the server sends.
        if getattr(self, "_opened", False) and not (self._finished or self._closed):
            self._source.close()
            if self._end_callbacks is not None:
                self._notify_end(self._interrupted("the stream was dropped"))
