"""The results of a batch that wait to be taken, in the order in which they come or in the order of the items."""

from __future__ import annotations

from collections import deque

from .._async import WaiterQueue
from ..records.results import Result


class ResultQueue:
    """Unbounded queue of results for one consumer task or several; each result goes to one of them.

    Adding a result never waits. The reader of the items bounds the queue: it stops at a number of results not taken.
    """

    def __init__(self, *, ordered: bool) -> None:
        self._ready: deque[Result] = deque()
        self._early: dict[int, Result] | None = {} if ordered else None
        """In ordered mode, results that wait for that of an item before them, by number."""
        self._next_number = 0
        self._waiters: WaiterQueue[None] = WaiterQueue()
        self.taken = 0
        """Number of results that were taken."""
        self.ended = False
        self._error: BaseException | None = None

    def put(self, number: int, result: Result) -> None:
        """Adds the result of the item with this number; dropped once the queue has ended."""
        if self.ended:
            return
        if self._early is None:
            self._append(result)
        elif number == self._next_number:
            next_result: Result | None = result
            while next_result is not None:
                self._append(next_result)
                self._next_number += 1
                next_result = self._early.pop(self._next_number, None)
        else:
            self._early[number] = result

    def end(self, error: BaseException | None) -> None:
        """Ends the queue. Consumers take the results in it first, then one of them gets `error`."""
        if self.ended:
            return
        if self._early:
            # An item before these ended without a result.
            self._ready.extend(result for _, result in sorted(self._early.items()))
            self._early.clear()
        self.ended, self._error = True, error
        self.notify_all()

    def discard(self) -> None:
        """Drops the results in the queue."""
        self._ready.clear()
        if self._early:
            self._early.clear()

    def take_error(self) -> BaseException | None:
        """The error that ended the queue, if no consumer got it yet."""
        error, self._error = self._error, None
        return error

    async def get(self) -> Result | None:
        """Takes the next result; None at the end. Raises the error that ended the queue."""
        while not self._ready:
            if self.ended:
                error = self.take_error()
                if error is None:
                    return None
                try:
                    raise error
                finally:
                    del error  # its traceback references this frame
            await self.wait_for_change()
        self.taken += 1
        return self._ready.popleft()

    async def wait_for_change(self) -> None:
        """Waits for a result, the end, or `notify_all`. Cancelled after it was woken, it wakes another consumer."""
        await self._waiters.wait(self._waiters.enqueue(), on_lost=self._waiters.wake_first)

    def notify_all(self) -> None:
        """Wakes all consumers, so that they look at the state again."""
        self._waiters.wake_all()

    def _append(self, result: Result) -> None:
        self._ready.append(result)
        self._waiters.wake_first()
