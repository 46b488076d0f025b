"""How many exchanges one provider may have at a time, by what the process may still open."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from .._async import WaiterQueue
from ..errors import ClientClosedError
from .errors import closed_error

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
        self._closed = False
        self._waiters: WaiterQueue[None] = WaiterQueue()

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
        """Waits for a slot in the order of asking and takes it. Cancelling leaves the queue.

        Raises:
            ClientClosedError: the limit was closed before a slot was free.
        """
        self._require_open()
        await self._waiters.wait(self._waiters.enqueue(), on_lost=self.release)
        try:
            self._require_open()
        except ClientClosedError:
            self.release()
            raise

    def _require_open(self) -> None:
        if self._closed:
            raise closed_error()

    def close(self) -> None:
        """Ends all waits for a slot, with an error."""
        self._closed = True
        while self._waiters.wake_first():
            self.used += 1  # until the waiter runs, which then releases it

    def release(self) -> None:
        """Gives a slot back: to the first who waits."""
        self.used -= 1
        self._given += 1
        if self._waiters and self._given % _SELDOM == 0:
            self._more()
        while self.used < max(self._sure, 1) and self._waiters.wake_first():
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
