"""Missing choices: further requests for the choices that a server left out although it takes `n`.

The first request asks for all `n` choices. One more asks for those that its reply lacks, and the rest is asked for by
concurrent requests for one choice each. So a logical call makes at most `n` requests besides retries, and a server that
sends everything gets one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

import attrs

from ..calls import Call
from ..calls.chunk_source import CallChunks, ChunkSource
from ..errors import CompletionError
from ..records import ChatCompletion, ReplyInfo, Usage
from ..records.chunks import ChatCompletionChunk
from ..records.latest_usage import latest_usage
from .fanout import MergedChunks, TrackTask, complete_each, merge_completions, merged_info, total_usage


def _further_call(first: Call, count: int) -> Call:
    """A call for `count` more choices, of the same logical call as `first`."""
    target = first.plan.target
    request = attrs.evolve(first.request, n=count if count > 1 else None)
    call = Call(first.plan, request, ReplyInfo(target.provider, target.model), first.started)
    call.on_load_refusal, call.is_part = first.on_load_refusal, True
    return call


def _count_warning(received: int, count: int, first: int) -> str | None:
    """The warning about a wrong number of choices; None where there is nothing to report.

    Args:
        received: choices of all requests.
        count: choices that were asked for.
        first: choices of the first request.
    """
    if received < count:
        return f"n: the provider sent {received} of {count} choices"
    if received > count:
        return f"n: the provider sent {received} choices in place of {count}; all are kept"
    if first < count:
        return f"n: the provider sent {first} of {count} choices; the others come from further requests"
    return None


# --- whole replies ---


async def complete_choices(first: Call) -> ChatCompletion:
    """The reply to a call for several choices, with all of them.

    Raises:
        CompletionError: what `Call.complete` raises; `.partial` has the choices of the requests that were answered.
    """
    count = first.request.n or 1
    replies = [await first.complete()]
    received = len(replies[0].choices)
    if received < count and first.plan.fill_choices:
        try:
            await _add_missing(first, replies, count - received)
        except BaseException:  # the traceback holds these frames, which must not show replies
            replies.clear()
            raise
    reply = merge_completions(replies) if len(replies) > 1 else replies[0]
    if len({choice.index for choice in reply.choices}) < len(reply.choices):
        for index, choice in enumerate(reply.choices):
            choice.index = index
    warning = _count_warning(len(reply.choices), count, received)
    if warning is not None:
        reply.info.warnings.append(warning)
    return reply


async def _add_missing(first: Call, replies: list[ChatCompletion], missing: int) -> None:
    """Appends the replies that have the missing choices to `replies`."""
    replies += await complete_each([_further_call(first, missing).complete], replies)
    missing -= len(replies[-1].choices)
    if missing > 0:
        replies += await complete_each([_further_call(first, 1).complete for _ in range(missing)], replies)


# --- streams ---


class FilledChunks(ChunkSource):
    """The chunks of a call for several choices, and after its end those of calls for the missing ones.

    Usage that arrives while choices are missing is withheld until the end, because it may be one part of a sum.
    """

    def __init__(self, first: Call, track_task: TrackTask) -> None:
        self._first = first
        self._track_task = track_task
        self._count = first.request.n or 1
        self._source: ChunkSource = CallChunks(first)
        self._indexes: set[int] = set()
        """Indexes of the choices that have arrived."""
        self._taken: frozenset[int] = frozenset()
        """Indexes of the choices of earlier sources, which the present one must not use."""
        self._received = 0
        """Choices of the first call's reply; set at its end."""
        self._id = self._model = ""
        self._created = 0
        """Id, model and time of the first call's reply; empty until its first chunk."""
        self._usage: Usage | None = None
        """The usage of the present source so far."""
        self._is_withheld = False
        """Whether that usage was not passed on."""
        self._usages: list[Usage | None] = []
        """The usage of each source that has ended."""
        self._info = first.info
        self._branches: list[ReplyInfo] = []
        """The info of each call; empty while only the first was made."""
        self._ended = False

    @property
    def info(self) -> ReplyInfo:
        """Details of the calls so far, summed."""
        if self._branches:
            merged = merged_info(self._branches)
            for name in ("attempts", "warnings", "branches"):
                setattr(self._info, name, getattr(merged, name))
        return self._info

    async def open(self) -> None:
        """Sends the first call.

        Raises:
            CompletionError: what `Call.complete` raises.
        """
        await self._source.open()

    async def next(self) -> Sequence[ChatCompletionChunk] | None:
        """The next chunks, at last one with the usage that was withheld; None at the proper end.

        Raises:
            CompletionError: a call failed.
        """
        while not self._ended:
            chunks = await self._source.next()
            if chunks is None:
                await self._continue_or_end()
                continue
            kept = [chunk for chunk in chunks if self._receive(chunk)]
            if kept:
                return kept
        usage = self._withheld_usage()
        return None if usage is None else (ChatCompletionChunk(self._id, [], self._created, self._model, usage=usage),)

    def _withheld_usage(self) -> Usage | None:
        """The usage of all calls, once; None where it was passed on, or a call reported none."""
        if not self._is_withheld:
            return None
        self._is_withheld = False
        return total_usage(self._usages) if len(self._usages) > 1 else self._usage

    def _receive(self, chunk: ChatCompletionChunk) -> bool:
        """Records a chunk and gives it its place in the reply; False if it had only usage, which is withheld."""
        if self._branches:
            chunk.id, chunk.created = self._id, self._created
            for choice in chunk.choices:
                choice.index = free_index(self._taken, choice.index)
        elif not self._id:
            self._id, self._model, self._created = chunk.id, chunk.model, chunk.created
        self._indexes.update([choice.index for choice in chunk.choices])
        if chunk.usage is None:
            return True
        self._usage = latest_usage(self._usage, chunk.usage)
        is_partial = self._branches or len(self._indexes) < self._count
        self._is_withheld = bool(is_partial and self._first.plan.fill_choices)
        if self._is_withheld:
            chunk.usage = None
        return not self._is_withheld or bool(chunk.choices)

    async def _continue_or_end(self) -> None:
        """Opens the source of the choices that are missing; at the end, writes the warning about their number."""
        self._usages.append(self._usage)
        left = self._count - len(self._indexes)
        if not self._branches:
            self._received = len(self._indexes)
        if left <= 0 or not self._first.plan.fill_choices or len(self._usages) > 2:
            self._end()
            return
        calls = [_further_call(self._first, each) for each in ([1] * left if self._branches else [left])]
        if not self._first.plan.timeout.total_is_explicit:
            for call in calls:  # a default total has ended with the first chunk
                call.started = asyncio.get_running_loop().time()
        sources = [CallChunks(call) for call in calls]
        self._source = sources[0] if len(sources) == 1 else MergedChunks(sources, self._track_task)
        self._taken, self._usage, self._is_withheld = frozenset(self._indexes), None, True
        self._branches = [*(self._branches or [_copied(self._info)]), *(call.info for call in calls)]
        await self._source.open()

    def _end(self) -> None:
        self._ended = True
        info = self.info
        if self._branches:
            info.elapsed, self._branches = self._first.elapsed(), []
        warning = _count_warning(len(self._indexes), self._count, self._received)
        if warning is not None:
            info.warnings.append(warning)

    def close(self, end: CompletionError | None = None) -> None:
        """Closes the call that is under way at once; may be called from any thread."""
        self._source.close(end)

    async def wait_closed(self) -> None:
        """Waits until the call that is under way is closed."""
        await self._source.wait_closed()


def free_index(taken: Collection[int], number: int) -> int:
    """The `number`-th of the indexes that are not taken, counted from 0; a negative number counts as 0."""
    index = max(number, 0)
    for each in sorted(taken):
        index += 0 <= each <= index
    return index


def _copied(info: ReplyInfo) -> ReplyInfo:
    """A copy for the branch of the first call; the original gets the sums of all branches."""
    return attrs.evolve(info, warnings=[*info.warnings])
