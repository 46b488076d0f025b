"""How many exchanges one provider may have at a time, by what the process may still open."""

from __future__ import annotations

import asyncio
import errno
import os
from collections import OrderedDict
from collections.abc import Callable

from .._async import Line, first, let_go

_SPARE = 64
"""File descriptors left to everybody else."""

_FEW = 8
"""Slots that are given out whatever the system says: without any, nothing would ever be given back."""

_SELDOM = 64
"""While somebody waits, the system is asked again each time so many slots were given back."""

_MOST = 0.75
"""Of the descriptors that were free at first, one provider takes no more: a mute one must not starve the others."""

Free = Callable[[], "int | None"]
"""How many file descriptors the process may still open; None where nobody knows."""


class ConnectionLimit:
    """How many exchanges one provider may have at a time, first come, first served.

    The system is asked how much is left only when there are more exchanges than ever before, so that a slot costs a
    comparison.
    """

    def __init__(self, free: Free | None = None) -> None:
        self._free = free or free_descriptors
        self.used = 0
        self._sure = _FEW
        """So many are known to fit."""
        self._limit: int | None = None
        self._given = 0
        self._waiters: Line = OrderedDict()

    @property
    def queued(self) -> int:
        """Who waits for a slot."""
        return len(self._waiters)

    def try_acquire(self) -> bool:
        """Takes a slot, if there is one and nobody waits for it."""
        if self._waiters or not (self.used < self._sure or self._more()):
            return False
        self.used += 1
        return True

    async def acquire(self) -> None:
        """Takes a slot when it is the caller's turn. Cancelling leaves the queue."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = None
        try:
            await waiter
        except asyncio.CancelledError:
            self._waiters.pop(waiter, None)
            if not waiter.cancelled():
                self.release()  # it was handed over in the same moment
            raise

    def release(self) -> None:
        """Gives a slot back: to the first who waits."""
        self.used -= 1
        self._given += 1
        if self._waiters and self._given % _SELDOM == 0:
            self._more()
        while self._waiters and self.used < max(self._sure, 1):
            if let_go(first(self._waiters)):
                self.used += 1

    def on_exhausted(self) -> None:
        """The system refused a descriptor: what was known to fit does not any more."""
        self._sure = max(_FEW, min(self._sure, self.used - 1))

    def _more(self) -> bool:
        """Whether one more fits, by asking the system."""
        left = self._free()
        if left is None:
            self._sure = self.used + 2**20
            return True
        if self._limit is None:
            self._limit = max(_FEW, int((self.used + left - _SPARE) * _MOST))
        # Half of it, because others ask too.
        self._sure = max(_FEW, min(self._limit, self.used + (left - _SPARE) // 2))
        return self.used < self._sure


def free_descriptors() -> int | None:
    """How many file descriptors this process may still open, where the system tells."""
    try:
        import resource  # noqa: PLC0415 (not on every system)

        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return None if most == resource.RLIM_INFINITY else most - len(os.listdir("/dev/fd"))
    except OSError as fault:
        # Looking takes a descriptor too.
        return 0 if fault.errno in (errno.EMFILE, errno.ENFILE) else None
    except ImportError:
        return None
