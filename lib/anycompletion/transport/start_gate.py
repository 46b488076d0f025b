"""How many requests begin in one turn of the event loop."""

from __future__ import annotations

import asyncio
from collections import deque

STARTS_PER_TICK = 64
"""Requests that begin in one turn of the event loop. Each takes a tenth of a millisecond, and thousands at once would
keep everything else waiting for as long as all of them take."""


class StartGate:
    """Lets at most so many requests begin in one turn of the event loop, and others in the next ones, in order."""

    __slots__ = ("_left", "_waiters")

    def __init__(self) -> None:
        self._left = STARTS_PER_TICK
        self._waiters: deque[asyncio.Future[None]] = deque()

    def try_start(self) -> bool:
        """Whether there is room in this turn, and nobody waits."""
        if not self._left or self._waiters:
            return False
        self._take()
        return True

    async def wait(self) -> None:
        """Waits for a turn with room."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    def _take(self) -> None:
        self._left -= 1
        if not self._left:
            asyncio.get_running_loop().call_soon(self._next)  # and not for each turn: a single request would pay for it

    def _next(self) -> None:
        """A new turn."""
        self._left = STARTS_PER_TICK
        while self._left and self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():  # as it is when its request was cancelled
                waiter.set_result(None)
                self._take()
