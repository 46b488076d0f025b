"""Chunks of calls over a route: a stream moves on to other targets until its first content; after it never, or anew."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NoReturn, cast

from .._async import call_in_loop
from ..calls.chunk_source import ChunkSource, ReplyRestarted
from ..calls.close_signal import CloseSignal
from ..dialects.base import Chunks
from ..errors import CompletionError
from ..records import ReplyInfo
from ..records.chunks import ChatCompletionChunk, Delta
from .hedging import first_answer
from .move_rules import move_rule
from .routed_call import RoutedCall
from .visit import Visit


class RoutedChunks(ChunkSource):
    """The chunks of the first target of a route that sends some content.

    Opening it returns when that content is there, so that an error in place of it still moves the call on.
    """

    __slots__ = ("_call", "_closed", "_info", "_loop", "_next", "_opening", "_ready", "_source", "_visit")

    def __init__(self, call: RoutedCall) -> None:
        self._call = call
        self._closed = CloseSignal()
        self._visit: Visit | None = None
        self._source: ChunkSource | None = None
        self._next: Callable[[], Awaitable[Chunks | None]] | None = None
        """What reads the chunks after those that are ready; None before the stream is open, and after its end."""
        self._ready: list[ChatCompletionChunk] = []
        """Chunks that were read while the stream was opened."""
        self._opening = False
        self._loop: asyncio.AbstractEventLoop | None = None
        place = call.encode_first().plan.target  # now, so that the errors of an invalid request come now
        self._info = ReplyInfo(place.provider, place.model)

    @property
    def info(self) -> ReplyInfo:
        """Details of the visit that is under way; before the first, the target that would be visited."""
        return self._info if self._source is None else self._source.info

    @property
    def may_restart(self) -> bool:
        """Whether the route lets streams begin anew."""
        return self._call.route.settings.restart_streams

    async def open(self) -> None:
        """Visits targets until one sends content.

        Raises:
            CompletionError: an error that no other target may answer, or `AllTargetsFailedError`.
        """
        self._loop = asyncio.get_running_loop()
        if self._closed.error is not None:
            raise self._closed.error
        await self._interruptible(self._open())

    async def _interruptible(self, opening: Coroutine[Any, Any, None]) -> None:
        """Opens the stream of a target, unless this one is closed in the meantime."""
        self._opening = True
        try:
            await self._closed.interrupting(opening)
        except BaseException:
            self._leave()
            raise
        finally:
            self._opening = False

    async def _open(self) -> None:
        call = self._call
        if not call.time.started:
            call.time.started = await call.next_target().plan.provider_state.start_call()
        await self._open_from(call.first_visit() or await call.next_visit())

    async def _open_next(self) -> None:
        await self._open_from(await self._call.next_visit())

    async def _open_from(self, visit: Visit) -> None:
        """Opens a visit, or the first after it that sends content."""
        call = self._call
        while True:
            visit, outcome = await self._outcome(visit)
            if isinstance(outcome, list):
                self._ready = outcome
                self._record(visit, cast("ChunkSource", visit.answer))
                return
            cast("ChunkSource", visit.answer).close()
            if self._closed.error is not None:
                raise self._closed.error
            final = call.fail(visit, outcome)
            del outcome  # its traceback has this frame
            if final is not None:
                raise final
            visit = await call.next_visit()

    async def _outcome(self, visit: Visit) -> tuple[Visit, list[ChatCompletionChunk] | CompletionError]:
        """The first chunks of a visit, or of the one that was begun because the first is slow; or the last's error."""
        self._visit, self._source = visit, cast("ChunkSource", visit.answer)
        delay = self._call.hedge_delay(visit)
        if delay is not None:
            visit, outcome = await first_answer(self._call, visit, _first_content, delay)
            self._visit, self._source = visit, cast("ChunkSource", visit.answer)
            return visit, outcome
        try:
            return visit, await _first_content(visit)
        except CompletionError as error:
            return visit, error

    def _record(self, visit: Visit, source: ChunkSource) -> None:
        """Records that the target answers; an error from now on is one of the stream."""
        now = asyncio.get_running_loop().time()
        self._next = source.settled_next()
        self._call.succeed(visit, source.info, is_whole=False)
        visit.planned.health.add_first_content(now - visit.began)

    def next(self) -> Awaitable[Chunks | None]:
        """The next chunks, at least one; None at the proper end."""
        return self._first_chunks() if self._ready else self._further_chunks()

    async def _first_chunks(self) -> Chunks:
        ready, self._ready = self._ready, []
        return ready

    def settled_next(self) -> Callable[[], Awaitable[Chunks | None]]:
        """What reads the chunks after the first."""
        return self._further_chunks

    async def _further_chunks(self) -> Chunks | None:
        if self._next is None:
            return None
        try:
            chunks = await self._next()
        except CompletionError as error:
            if not self.may_restart or self._closed.error is not None:
                self._fail(error)
                raise
            failed = error
        except BaseException:
            self._leave()
            raise
        else:
            if chunks is None:
                self._complete()
            return chunks
        try:
            await self._restart(failed)
        finally:
            del failed  # its traceback has this frame

    async def _restart(self, error: CompletionError) -> NoReturn:
        """Begins anew at the next target.

        Raises:
            ReplyRestarted: its first content is there.
            CompletionError: no target may answer the call any more.
        """
        visit, source = self._visit, self._source
        assert visit is not None and source is not None, "chunks were delivered"  # noqa: PT018 (one fact)
        cut = source.info
        self._leave()
        final = self._call.fail_stream(visit, error)
        if final is not None:
            del error  # as above
            raise final
        await self._interruptible(self._open_next())
        self._next = self._opened_chunks
        raise ReplyRestarted(error, cut)

    async def _opened_chunks(self) -> Chunks | None:
        """The chunks that were read while the stream was opened anew; then those after them."""
        assert self._source is not None, "it was opened"
        self._next = self._source.settled_next()
        return await (self._first_chunks() if self._ready else self._next())

    def _complete(self) -> None:
        """Records the proper end of the stream."""
        if self._visit is not None:
            self._visit.succeed(asyncio.get_running_loop().time(), is_whole=True)
        self._leave()

    def _fail(self, error: CompletionError) -> None:
        """Records an error after the first content: the stream has failed, and so has its target."""
        visit, call = self._visit, self._call
        assert visit is not None, "chunks were delivered"
        if self._closed.error is None and error.phase != "total":
            effect = move_rule(error, call.route.settings).health
            visit.fail(error, effect, asyncio.get_running_loop().time(), call.route.name)
        self._leave()

    def _leave(self) -> None:
        """Ends the visit that is under way, and closes what it has open."""
        self._next = None
        if self._source is not None:
            self._source.close()
        if self._visit is not None:
            self._visit.end()

    def close(self, end: CompletionError | None = None) -> None:
        """Closes the connection at once; may be called from any thread, as destructors are.

        Args:
            end: the error for a reader that waits for chunks.
        """
        if self._loop is None:
            self._closed.send(end)
        else:
            call_in_loop(self._loop, self._close, end)

    def _close(self, end: CompletionError | None) -> None:
        self._closed.send(end)
        if self._opening and end is not None:
            return  # the signal interrupts what waits, which closes the rest
        if self._source is not None:
            self._source.close(end)
        if self._visit is not None:
            self._visit.end()

    async def wait_closed(self) -> None:
        """Waits until everything is released."""
        if self._source is not None:
            await self._source.wait_closed()


async def _first_content(visit: Visit) -> list[ChatCompletionChunk]:
    """Opens a visit's stream and reads it up to its first content, or to its end."""
    source, ready = cast("ChunkSource", visit.answer), list[ChatCompletionChunk]()
    await source.open()
    while True:
        chunks = await source.next()
        if chunks is None:
            return ready
        ready += chunks
        if any(map(_has_content, chunks)):
            return ready


def _has_content(chunk: ChatCompletionChunk) -> bool:
    """Whether a chunk shows that the model has begun to answer, with more than a role."""
    return any(choice.finish_reason is not None or _is_answer(choice.delta) for choice in chunk.choices)


def _is_answer(delta: Delta) -> bool:
    parts = (delta.content, delta.reasoning_content, delta.refusal, delta.tool_calls, delta.function_call, delta.audio)
    return any(parts) or bool(delta.thinking_blocks or delta.reasoning_details or delta.extra)
