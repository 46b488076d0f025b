"""Results on their way to who iterates: as they come, or in the order of the items; never waits itself to put one."""

from __future__ import annotations

import asyncio
from collections import deque

from ..records import Result


class ResultQueue:
    """Holds results until they are taken, by one task or several; each result goes to one of them."""

    def __init__(self, *, ordered: bool) -> None:
        self._ready: deque[Result] = deque()
        self._early: dict[int, Result] | None = {} if ordered else None
        """By number: what waits for an item before it."""
        self._due = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self.taken = 0
        """How many items are behind us: their results were taken."""
        self.ended = False
        self._fault: BaseException | None = None

    def put(self, number: int, result: Result) -> None:
        """The result of the item with this number."""
        if self.ended:
            return
        if self._early is None:
            self._ready.append(result)
            self._wake_one()
        elif number == self._due:
            self._hand_on(result, self._early)
        else:
            self._early[number] = result

    def _hand_on(self, result: Result | None, early: dict[int, Result]) -> None:
        while result is not None:
            self._ready.append(result)
            self._wake_one()
            self._due += 1
            result = early.pop(self._due, None)

    def end(self, fault: BaseException | None) -> None:
        """No more will come. What is there is taken first, then `fault` is raised, once."""
        if self.ended:
            return
        if self._early:
            # Items before these ended without a result.
            self._ready.extend(result for _, result in sorted(self._early.items()))
            self._early.clear()
        self.ended, self._fault = True, fault
        self.wake_all()

    def discard(self) -> None:
        """What is there will not be taken."""
        self._ready.clear()
        if self._early:
            self._early.clear()

    def fault(self) -> BaseException | None:
        """What ended it, if nobody was told yet."""
        fault, self._fault = self._fault, None
        return fault

    async def get(self) -> Result | None:
        """The next result; None at the end. Raises what ended it."""
        while not self._ready:
            if self.ended:
                fault = self.fault()
                if fault is None:
                    return None
                try:
                    raise fault
                finally:
                    del fault  # its traceback holds this frame
            await self.wait_for_change()
        self.taken += 1
        return self._ready.popleft()

    async def wait_for_change(self) -> None:
        """Until a result comes, or the end."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._wake_one()  # it was told in the same moment; another may take the result
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
            raise

    def _wake_one(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def wake_all(self) -> None:
        """Lets everybody look again."""
        while self._waiters:
            self._wake_one()
