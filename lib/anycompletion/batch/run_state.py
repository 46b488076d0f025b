"""The state that the reader, the workers and the closer of one batch share; starts and ends nothing itself."""

from __future__ import annotations

from collections.abc import Callable

from .._async import Interruptible, WaiterQueue
from .._boundary import ITERATION_ENDS, iteration_error
from ..records.results import Result
from .progress import ProgressCounter
from .result_queue import ResultQueue
from .run_journal import RunJournal


class RunState:
    """The journal, results and progress of a batch, whether it may start new work, and the error that ends it.

    A batch is *halted* when no new request may start; what is in flight is finished, because it is paid for. It is
    *stopped* when the caller no longer wants it; then what is in flight is cancelled.
    """

    def __init__(self, journal: RunJournal, results: ResultQueue, progress: ProgressCounter) -> None:
        self.journal = journal
        self.results = results
        self.progress = progress
        self.halted = False
        self.stopped = False
        self.error: BaseException | None = None
        """The first error that ends the run; the consumer gets it after the last result."""
        self.unwritten: list[Result] = []
        """Results that could not be written to the journal."""
        self.item_wait: Interruptible | None = None
        """The reader's wait for the next item of an async iterable, which halting ends: the item may never come."""
        self._waiters: WaiterQueue[Callable[[], bool]] = WaiterQueue()

    def deliver(self, number: int, result: Result) -> None:
        """Counts the result of the item with this number and passes it to the consumer."""
        self.progress.count(result)
        self.results.put(number, result)

    def record_error(self, error: BaseException) -> None:
        """Keeps `error` for the consumer, if it is the first; one that would end its loop silently is wrapped."""
        if self.error is None:
            self.error = iteration_error(error) if isinstance(error, ITERATION_ENDS) else error

    def halt(self, error: BaseException) -> None:
        """Ends reading, and keeps `error` for the consumer."""
        self.record_error(error)
        self.halted = True
        if self.item_wait is not None:
            self.item_wait.interrupt()
        self.notify()

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Waits until `notify` is called while `condition()` is true. Only one task waits at a time."""
        await self._waiters.wait(self._waiters.enqueue(condition))

    def notify(self) -> None:
        """Wakes the waiting task if its condition is true now; called after each change that may make it true."""
        condition = self._waiters.first
        if condition is not None and condition():
            self._waiters.wake_first()
