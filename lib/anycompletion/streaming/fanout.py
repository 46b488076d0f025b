"""Fan-out: runs `n` calls (branches) concurrently as one reply or one stream, with renumbered choices and summed usage.

Without streaming, one coroutine runs all branches. With streaming, each branch is a task that references its source and
the queue, but never the stream: when the caller drops the stream, its destructor can end the tasks. The client keeps
the strong references to the tasks. The queue is bounded: a slow consumer pauses the branches, and these their servers.

No branch waits for another one: each is read as soon as it is open, so that it ends and releases what the others may
wait for, a place in the client's own limits or a connection.
"""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from ..calls.chunk_source import ChunkSource
from ..errors import ClientClosedError, CompletionError
from ..records import ChatCompletion, Choice, ReplyInfo, Usage
from ..records.chunks import ChatCompletionChunk
from ..records.latest_usage import latest_usage

TrackTask = Callable[["asyncio.Task[None]"], None]
"""Function that keeps a strong reference to a task until it is done."""

_QUEUED_PER_BRANCH = 4
"""Lists of chunks in the queue, per branch, before the branches wait for the consumer."""

_OPEN: Sequence[ChatCompletionChunk] = ()
"""What a branch puts into the queue when it is open."""


def merged_info(parts: Sequence[ReplyInfo]) -> ReplyInfo:
    """The first branch's info with the attempts and warnings of all; `branches` has each, in the order of choices.

    Args:
        parts: the info of each branch, or of several that were merged before.
    """
    infos = [info for part in parts for info in (part.branches or (part,))]
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
    """The sum of the branches' usage; None where a branch reported none."""
    reported = [usage for usage in usages if usage is not None]
    return Usage.total_of(reported) if reported and len(reported) == len(usages) else None


def merge_completions(completions: Sequence[ChatCompletion]) -> ChatCompletion:
    """One completion that has the choices of all, numbered in the order of the branches."""
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
        extra=first.extra,
    )
    whole.keep_raw_of(completions)
    whole.info = merged_info([completion.info for completion in completions])
    return whole


async def gather(runs: Sequence[Callable[[], Awaitable[ChatCompletion]]]) -> ChatCompletion:
    """Runs the branches concurrently and merges their replies; raises what `complete_each` raises."""
    return merge_completions(await complete_each(runs))


async def complete_each(
    runs: Sequence[Callable[[], Awaitable[ChatCompletion]]], earlier: Sequence[ChatCompletion] = ()
) -> list[ChatCompletion]:
    """The replies of branches that run concurrently.

    Args:
        runs: the functions that run the branches.
        earlier: replies of the same logical call that came before.

    Raises:
        CompletionError: the first branch's error, unwrapped; the others are cancelled, and `.partial` has the replies
            that were complete, the earlier ones among them.
    """
    done: dict[int, ChatCompletion] = {}

    async def branch(index: int) -> None:
        done[index] = await runs[index]()

    try:
        error = await _first_error([branch(index) for index in range(len(runs))])
    except BaseException:  # cancelled; the traceback holds this frame, which must not show replies
        done.clear()
        raise
    if error is None:
        return [done[index] for index in range(len(runs))]
    if isinstance(error, CompletionError) and (done or earlier):
        error.partial = merge_completions([*earlier, *(done[index] for index in sorted(done))])
    done.clear()  # as above
    raise error


async def _first_error(branches: Sequence[Coroutine[Any, Any, None]]) -> BaseException | None:
    """Runs all branches until each has ended; returns the first error. An error or a cancellation cancels the others.

    Not an `asyncio.TaskGroup`: before Python 3.13, a group whose branch fails leaves a cancellation pending on the
    calling task, which breaks the scopes around it; and in any version, a group that is cancelled after a branch failed
    raises the error instead of the cancellation.
    """
    errors: list[BaseException] = []
    cancelled: asyncio.CancelledError | None = None
    changed = asyncio.Event()

    def on_done(task: asyncio.Task[None]) -> None:
        pending.discard(task)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None:
            errors.append(error)
        if errors or not pending:
            changed.set()

    pending = {asyncio.create_task(branch) for branch in branches}
    for task in pending:
        task.add_done_callback(on_done)
    ending = False
    while pending:
        changed.clear()
        try:
            await changed.wait()
        except asyncio.CancelledError as exc:  # each iteration may get one
            cancelled = cancelled or exc
        if not ending:
            ending = True
            for task in pending:
                task.cancel()
    if cancelled is None:
        return errors[0] if errors else None
    try:
        raise cancelled
    finally:
        cancelled = None  # a reference cycle otherwise: its traceback holds this frame


class MergedChunks(ChunkSource):
    """Chunk source that merges several streamed calls: the first choice of branch k becomes choice k.

    Further choices of a branch, which nothing asked for, follow after those of all branches.
    """

    def __init__(self, sources: Sequence[ChunkSource], track_task: TrackTask) -> None:
        self._sources = sources
        self._track_task = track_task
        self._queue: asyncio.Queue[_Item] = asyncio.Queue()
        self._early: deque[_Item] = deque()
        """Chunks that came while others were opened."""
        # Bounds the chunks in the queue. The end of a branch is queued without acquiring it, so that it is never lost.
        self._queue_slots = asyncio.Semaphore(_QUEUED_PER_BRANCH * len(sources))
        self._tasks: list[asyncio.Task[None]] = []
        self._usages: list[Usage | None] = [None] * len(sources)
        self._open_branches = len(sources)
        self._indexes: list[dict[int, int]] = [{} for _ in sources]
        """For each branch, its own index of a choice → the index in the merged reply."""
        self._next_index = len(sources)
        """The index of the next choice that nothing asked for."""
        self._id = self._model = ""
        self._created = 0
        """Id, model and time of the merged reply are those of the first branch; empty until its first chunk."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._info = merged_info([source.info for source in sources])

    @property
    def info(self) -> ReplyInfo:
        """Details of all branches, summed."""
        return self._info

    async def open(self) -> None:
        """Sends all branches; returns when each has a good status, or when so many chunks are there that they must be
        read: a branch may wait for a place that another one has until its end.

        Raises:
            CompletionError: the first branch's error, unwrapped; the others are closed.
        """
        self._loop = asyncio.get_running_loop()
        for index, source in enumerate(self._sources):
            task = self._loop.create_task(_run_branch(index, source, self._queue, self._queue_slots))
            task.add_done_callback(functools.partial(_on_task_done, index, source, self._queue))
            self._track_task(task)
            self._tasks.append(task)
        unopened = len(self._sources)
        try:
            while unopened and len(self._early) < _QUEUED_PER_BRANCH:
                index, item = await self._queue.get()
                match item:
                    case BaseException():
                        self.close()
                        await self.wait_closed()
                        raise item
                    case None:
                        self._open_branches -= 1
                    case _ if item is _OPEN:
                        unopened -= 1
                    case _:  # bound to no further name, which the traceback of a later error would show
                        self._early.append((index, item))
        except BaseException:  # cancelled while opening, or as above
            self._early.clear()
            self.close()
            raise
        self._refresh_info()

    def _refresh_info(self) -> None:
        merged = merged_info([source.info for source in self._sources])
        for name in ("status_code", "headers", "request_id", "attempts", "elapsed", "warnings"):
            setattr(self._info, name, getattr(merged, name))

    async def next(self) -> Sequence[ChatCompletionChunk] | None:
        """The next chunks of any branch; at the end one with the summed usage; then None."""
        while self._open_branches or self._early:
            index, item = self._early.popleft() if self._early else await self._queue.get()
            match item:
                case BaseException():
                    self.close()
                    self._refresh_info()
                    raise item
                case None:
                    self._open_branches -= 1
                case chunks if chunks is _OPEN:
                    self._refresh_info()
                case chunks:
                    self._queue_slots.release()
                    kept = [chunk for chunk in chunks if self._renumber(chunk, index)]
                    if kept:
                        return kept
        self._refresh_info()
        usage = total_usage(self._usages)
        self._usages = [None]
        return None if usage is None else (ChatCompletionChunk(self._id, [], self._created, self._model, usage=usage),)

    def _renumber(self, chunk: ChatCompletionChunk, index: int) -> bool:
        """Changes `chunk` into one of choice `index`; False if it only had the branch's usage and is to be dropped."""
        if index == 0:
            self._id = self._id or chunk.id
            self._model = self._model or chunk.model
            self._created = self._created or chunk.created
        chunk.id = self._id
        for choice in chunk.choices:
            choice.index = self._merged_index(index, choice.index)
        if chunk.usage is not None:
            self._usages[index] = latest_usage(self._usages[index], chunk.usage)
            chunk.usage = None
            return bool(chunk.choices)
        return True

    def _merged_index(self, branch: int, own: int) -> int:
        """The index in the merged reply of a branch's choice."""
        known = self._indexes[branch]
        index = known.get(own)
        if index is None:
            index = known[own] = self._next_index if known else branch
            self._next_index += index >= len(self._sources)
        return index

    def close(self, end: CompletionError | None = None) -> None:
        """Ends all branches at once; may be called in any thread, as destructors are."""
        try:
            running: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if self._loop is None or running is self._loop:
            _end_branches(self._tasks, self._sources, self._queue, end)
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_end_branches, self._tasks, self._sources, self._queue, end)

    async def wait_closed(self) -> None:
        """Waits until the branches' tasks are done."""
        if self._tasks and asyncio.get_running_loop() is self._loop:
            await asyncio.wait(self._tasks)


_Item = tuple[int, "Sequence[ChatCompletionChunk] | BaseException | None"]
"""Index of a branch, and `_OPEN`, its next chunks, its error, or None at its end."""


async def _run_branch(index: int, source: ChunkSource, queue: asyncio.Queue[_Item], slots: asyncio.Semaphore) -> None:
    """Opens one branch and puts its chunks into the queue, and then its error or its end (None)."""
    try:
        await source.open()
        queue.put_nowait((index, _OPEN))
        while (chunks := await source.next()) is not None:
            await slots.acquire()
            queue.put_nowait((index, chunks))
    except CompletionError as error:
        # Without this frame, which holds the queue and so the chunks of the other branches.
        queue.put_nowait((index, error.with_traceback(None)))
    except Exception as error:  # noqa: BLE001 (an error of user code or a bug: the consumer must not wait for ever)
        queue.put_nowait((index, error))
    else:
        queue.put_nowait((index, None))
    finally:
        source.close()


def _on_task_done(index: int, source: ChunkSource, queue: asyncio.Queue[_Item], task: asyncio.Task[None]) -> None:
    """Wakes the consumer after closing the client has cancelled a branch, even one that has not run yet."""
    if task.cancelled():
        source.close()
        queue.put_nowait((index, ClientClosedError("the client was closed while this stream was under way")))


def _end_branches(
    tasks: Sequence[asyncio.Task[None]],
    sources: Sequence[ChunkSource],
    queue: asyncio.Queue[_Item],
    end: CompletionError | None,
) -> None:
    """Cancels the branches and closes their sources; a consumer that waits gets `end`."""
    for task in tasks:
        task.cancel()
    for source in sources:
        source.close(end)
    if end is not None:
        queue.put_nowait((0, end))
