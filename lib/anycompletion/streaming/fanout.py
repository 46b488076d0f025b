"""n calls, one answer or one stream: runs branches concurrently, renumbers their choices, sums what they used.

Strategy: a plain fan-out lives in one coroutine. A streamed one owns plain tasks that hold the branch queue and their
source, never the stream, so that dropping the stream lets its destructor end them; the client keeps the strong
references. The queue is bounded: a slow consumer stops the branches, and they stop their servers.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from ..calls import ChunkSource
from ..errors import ClientClosedError, CompletionError
from ..records import ChatCompletion, Choice, ReplyInfo, Usage
from ..records.chunks import ChatCompletionChunk

Keep = Callable[["asyncio.Task[None]"], None]
"""Takes a strong reference to a task for as long as it runs."""

_AHEAD = 4
"""Lists of chunks a branch may be ahead of the consumer."""


def merged_info(infos: Sequence[ReplyInfo]) -> ReplyInfo:
    """The first branch's info with attempts and warnings summed; `branches` in choice order."""
    first = infos[0]
    warnings = list(dict.fromkeys(text for info in infos for text in info.warnings))
    return ReplyInfo(
        first.provider,
        first.model,
        first.status_code,
        first.headers,
        first.request_id,
        sum(info.attempts for info in infos),
        max(info.elapsed for info in infos),
        warnings,
        tuple(infos),
    )


def total_usage(usages: Sequence[Usage | None]) -> Usage | None:
    """The sum, or None where any branch said nothing."""
    known = [usage for usage in usages if usage is not None]
    return Usage.total_of(known) if known and len(known) == len(usages) else None


def merge_completions(completions: Sequence[ChatCompletion]) -> ChatCompletion:
    """One completion of as many choices, numbered in the order of the branches."""
    first = completions[0]
    choices: list[Choice] = []
    for completion in completions:
        for choice in completion.choices:
            choice.index = len(choices)
            choices.append(choice)
    whole = ChatCompletion(
        first.id,
        choices,
        first.model,
        first.created,
        usage=total_usage([completion.usage for completion in completions]),
        service_tier=first.service_tier,
        system_fingerprint=first.system_fingerprint,
    )
    whole.keep_raw_of(completions)
    whole.info = merged_info([completion.info for completion in completions])
    return whole


async def gather(runs: Sequence[Callable[[], Awaitable[ChatCompletion]]]) -> ChatCompletion:
    """Runs the branches concurrently and merges their replies.

    Raises:
        CompletionError: the first branch's error, unwrapped; the others are cancelled and `.partial` holds the
            replies that were there.
    """
    done: dict[int, ChatCompletion] = {}

    async def branch(index: int) -> None:
        done[index] = await runs[index]()

    try:
        fault = await _first_fault([branch(index) for index in range(len(runs))])
    except BaseException:  # cancelled: the frames that raise this show no replies
        done.clear()
        raise
    if fault is None:
        return merge_completions([done[index] for index in range(len(runs))])
    if isinstance(fault, CompletionError) and done:
        fault.partial = merge_completions([done[index] for index in sorted(done)])
    done.clear()  # the frames that raise this show no replies
    raise fault


async def _first_fault(branches: Sequence[Coroutine[Any, Any, None]]) -> BaseException | None:
    """Runs all branches to their end; the first that fails ends the others, and a cancel ends all.

    Not an `asyncio.TaskGroup`: until Python 3.13 one whose branch fails leaves a cancellation pending on its caller's
    task, which breaks the scopes around it; and in any version one that is cancelled meanwhile raises the fault.
    """
    faults: list[BaseException] = []
    told: asyncio.CancelledError | None = None
    news = asyncio.Event()

    def ended(task: asyncio.Task[None]) -> None:
        pending.discard(task)
        fault = asyncio.CancelledError() if task.cancelled() else task.exception()
        if fault is not None:
            faults.append(fault)
        if faults or not pending:
            news.set()

    pending = {asyncio.create_task(branch) for branch in branches}
    for task in pending:
        task.add_done_callback(ended)
    ending = False
    while pending:
        news.clear()
        try:
            await news.wait()
        except asyncio.CancelledError as cancel:  # there may be one in every turn
            told = told or cancel
        if not ending:
            ending = True
            for task in pending:
                task.cancel()
    if told is None:
        return faults[0] if faults else None
    try:
        raise told
    finally:
        told = None  # its traceback holds this frame


class MergedChunks(ChunkSource):
    """Several streamed calls as one source of chunks; branch k's chunks are choice k."""

    __slots__ = (
        "_created",
        "_id",
        "_info",
        "_keep",
        "_loop",
        "_model",
        "_open_branches",
        "_queue",
        "_room",
        "_sources",
        "_tasks",
        "_usages",
    )

    def __init__(self, sources: Sequence[ChunkSource], keep: Keep) -> None:
        self._sources = sources
        self._keep = keep
        self._queue: asyncio.Queue[_Item] = asyncio.Queue()
        # Chunks need room, so that the queue is bounded; the word that a branch ended needs none and always gets in.
        self._room = asyncio.Semaphore(_AHEAD * len(sources))
        self._tasks: list[asyncio.Task[None]] = []
        self._usages: list[Usage | None] = [None] * len(sources)
        self._open_branches = len(sources)
        self._id = self._model = ""
        self._created = 0
        """The first branch's, and so the whole reply's; empty until that branch speaks."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._info = merged_info([source.info for source in sources])

    @property
    def info(self) -> ReplyInfo:
        """Details of all branches, summed."""
        return self._info

    async def open(self) -> None:
        """Sends all branches; returns when each has a good status.

        Raises:
            CompletionError: the first branch's error, unwrapped; the others are closed.
        """
        self._loop = asyncio.get_running_loop()
        try:
            fault = await _first_fault([source.open() for source in self._sources])
        except BaseException:  # cancelled while opening: the branches that are open belong to nobody
            self.close()
            raise
        if fault is not None:
            self.close()
            raise fault
        self._refresh_info()
        for index, source in enumerate(self._sources):
            task = self._loop.create_task(_pump(index, source, self._queue, self._room))
            task.add_done_callback(functools.partial(_gone, index, source, self._queue))
            self._keep(task)
            self._tasks.append(task)

    def _refresh_info(self) -> None:
        fresh = merged_info([source.info for source in self._sources])
        for name in ("status_code", "headers", "request_id", "attempts", "elapsed", "warnings"):
            setattr(self._info, name, getattr(fresh, name))

    async def next(self) -> Sequence[ChatCompletionChunk] | None:
        """The next chunks of some branch; at the end one with the summed usage; then None."""
        while self._open_branches:
            index, item = await self._queue.get()
            match item:
                case BaseException():
                    self.close()
                    self._refresh_info()
                    raise item
                case None:
                    self._open_branches -= 1
                case chunks:
                    self._room.release()
                    kept = [chunk for chunk in chunks if self._renumbered(chunk, index)]
                    if kept:
                        return kept
        self._refresh_info()
        usage = total_usage(self._usages)
        self._usages = [None]
        return None if usage is None else (ChatCompletionChunk(self._id, [], self._created, self._model, usage=usage),)

    def _renumbered(self, chunk: ChatCompletionChunk, index: int) -> bool:
        """Makes `chunk` one of choice `index`; a chunk that only told the branch's usage is not handed out."""
        if index == 0:
            self._id = self._id or chunk.id
            self._model = self._model or chunk.model
            self._created = self._created or chunk.created
        chunk.id = self._id
        for choice in chunk.choices:
            choice.index = index
        if chunk.usage is not None:
            self._usages[index] = chunk.usage
            chunk.usage = None
            return bool(chunk.choices)
        return True

    def close(self, end: CompletionError | None = None) -> None:
        """Ends all branches at once; may be called from any thread, as destructors are."""
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if self._loop is None or here is self._loop:
            _end(self._tasks, self._sources, self._queue, end)
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_end, self._tasks, self._sources, self._queue, end)

    async def wait_closed(self) -> None:
        """Until the branches' tasks are gone."""
        if self._tasks and asyncio.get_running_loop() is self._loop:
            await asyncio.wait(self._tasks)


_Item = tuple[int, "Sequence[ChatCompletionChunk] | BaseException | None"]


async def _pump(index: int, source: ChunkSource, queue: asyncio.Queue[_Item], room: asyncio.Semaphore) -> None:
    """Carries one branch's chunks to the queue; its failure travels the same way."""
    try:
        while (chunks := await source.next()) is not None:
            await room.acquire()
            queue.put_nowait((index, chunks))
    except CompletionError as error:
        # Without this frame, in which the queue holds what the other branches said.
        queue.put_nowait((index, error.with_traceback(None)))
    except Exception as fault:  # noqa: BLE001 (a bug, or somebody else's code: the consumer must not wait for ever)
        queue.put_nowait((index, fault))
    else:
        queue.put_nowait((index, None))
    finally:
        source.close()


def _gone(index: int, source: ChunkSource, queue: asyncio.Queue[_Item], task: asyncio.Task[None]) -> None:
    """The client cancels its branches when it is closed, before their first step too: the consumer must not wait."""
    if task.cancelled():
        source.close()
        queue.put_nowait((index, ClientClosedError("the client was closed while this stream was under way")))


def _end(
    tasks: Sequence[asyncio.Task[None]],
    sources: Sequence[ChunkSource],
    queue: asyncio.Queue[_Item],
    end: CompletionError | None,
) -> None:
    for task in tasks:
        task.cancel()
    for source in sources:
        source.close(end)
    if end is not None:
        # A consumer that waits for the next chunk must learn that none will come.
        queue.put_nowait((0, end))
