"""Gate for calls that begin at the same time: a limited number in each iteration of the event loop."""

from __future__ import annotations

import asyncio

from .._async import WaiterQueue

STARTS_PER_TICK = 64
"""Calls that begin in one iteration of the event loop. Each takes a tenth of a millisecond, and thousands at once would
block everything else for as long as all of them take."""


class StartGate:
    """Lets at most `STARTS_PER_TICK` calls begin in one iteration of the event loop, and others later, in order."""

    __slots__ = ("_left", "_waiters")

    def __init__(self) -> None:
        self._left = STARTS_PER_TICK
        self._waiters: WaiterQueue[None] = WaiterQueue()

    def try_start(self) -> bool:
        """Whether the caller may begin in this iteration."""
        # Callers wait only while nothing is left, or until the next iteration has woken all that it can.
        if not self._left:
            return False
        self._left -= 1
        if not self._left:
            self._refill_soon()
        return True

    async def wait(self) -> None:
        """Waits for an iteration in which the caller may begin."""
        await self._waiters.wait(self._waiters.enqueue())

    def _refill_soon(self) -> None:
        # Only when nothing is left, and not in each iteration: a single call would pay for it.
        asyncio.get_running_loop().call_soon(self._refill)

    def _refill(self) -> None:
        self._left = STARTS_PER_TICK
        while self._left and self._waiters.wake_first():
            self._left -= 1
        if not self._left:
            self._refill_soon()
