"""Hedged visits: where a target is slow to answer, a second one is asked as well, and the first good answer wins."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from ..calls.chunk_source import ChunkSource
from ..errors import CompletionError
from .visit import Visit

T = TypeVar("T")


class HedgedCall(Protocol):
    """The part of a routed call that makes hedges."""

    def begin_hedge(self, first: Visit) -> Visit | None:
        """A visit to another target, if one may begin now."""
        ...

    def give_up(self, visit: Visit) -> None:
        """Records a visit that is closed because another one was answered."""
        ...

    def fail(self, visit: Visit, error: CompletionError) -> CompletionError | None:
        """Records that a visit failed; returns the error of the call if it is final."""
        ...


class _Race:
    """The visits of one call that are under way at the same time."""

    def __init__(self, call: HedgedCall, answer_of: Callable[[Visit], Coroutine[Any, Any, Any]]) -> None:
        self._call = call
        self._answer_of = answer_of
        self.visits: dict[asyncio.Task[Any], Visit] = {}

    def begin(self, visit: Visit | None) -> None:
        if visit is not None:
            self.visits[asyncio.get_running_loop().create_task(self._answer_of(visit))] = visit

    def begin_hedge(self, first: Visit) -> None:
        """Begins a visit to another target than that of `first`, if one may begin now."""
        self.begin(self._call.begin_hedge(first))

    async def end(self) -> None:
        """Closes the visits that are left, and waits until they are."""
        for task, visit in self.visits.items():
            task.cancel()
            if isinstance(visit.answer, ChunkSource):
                visit.answer.close()
            visit.end()
        if self.visits:
            await asyncio.wait(self.visits)
        for task in self.visits:
            if not task.cancelled():
                task.exception()  # retrieved, so that asyncio does not report it


async def first_answer(
    call: HedgedCall, first: Visit, answer_of: Callable[[Visit], Coroutine[Any, Any, T]], delay: float
) -> tuple[Visit, T | CompletionError]:
    """The visit that was answered first, with its answer; or the last visit, with its error.

    Args:
        call: makes the second visit, after `delay` seconds without an answer to `first`.
        first: the first visit.
        answer_of: waits for the answer to a visit.
        delay: seconds.

    Raises:
        CompletionError: an error of one of them that is final for the call.
    """
    race = _Race(call, answer_of)
    try:
        race.begin(first)
        done, _ = await asyncio.wait(race.visits, timeout=delay)
        if not done:
            race.begin_hedge(first)
        while True:
            done, _ = await asyncio.wait(race.visits, return_when=asyncio.FIRST_COMPLETED)
            task = done.pop()
            visit, error = race.visits.pop(task), task.exception()
            if error is None:
                for other in race.visits.values():
                    call.give_up(other)
                return visit, task.result()
            if not isinstance(error, CompletionError):
                visit.end()
                raise error
            if not race.visits:
                return visit, error
            final = call.fail(visit, error)
            if final is not None:
                raise final
            if visit.is_hedge and not visit.attempts:  # its target could not be asked
                race.begin_hedge(first)
    finally:
        await race.end()
