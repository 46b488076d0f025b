"""Limit on the connections of one provider, derived from the file descriptors that the process may still open."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from .._async import WaiterQueue
from ..errors import ClientClosedError
from .errors import closed_error

_SPARE = 64
"""File descriptors left to the rest of the process."""

_MINIMUM = 8
"""Connections that are allowed whatever the system reports: without any, none would ever be released."""

_RECHECK = 64
"""While callers wait, the system is asked again after so many releases."""

_SHARE = 0.75
"""Of the descriptors that were free at first, one provider gets no more: if it does not respond, the others must not
starve."""

Free = Callable[[], "int | None"]
"""Returns how many file descriptors the process may still open; None if that is not known."""


class ConnectionLimit:
    """Limit on the exchanges that one provider may have at the same time; callers wait for it first in, first out.

    The system is asked how much is left only when there are more exchanges than ever before, so that acquiring takes a
    comparison.
    """

    def __init__(self, free: Free | None = None) -> None:
        self._free = free or free_descriptors
        self.used = 0
        self._known_to_fit = _MINIMUM
        self._limit: int | None = None
        self._releases = 0
        self._closed = False
        self._waiters: WaiterQueue[None] = WaiterQueue()

    def __repr__(self) -> str:
        return f"<ConnectionLimit used={self.used} queued={self.queued}>"

    @property
    def queued(self) -> int:
        """Callers that wait."""
        return len(self._waiters)

    def try_acquire(self) -> bool:
        """Acquires one if it is free; returns whether it was."""
        if self.used >= self._known_to_fit and (self._waiters or not self._raise_limit()):
            return False  # with fewer in use there are no waiters: `release` wakes them
        self.used += 1
        return True

    async def acquire(self) -> None:
        """Waits for one in the order of asking, after `try_acquire` returned False. Cancelling leaves the queue.

        Raises:
            ClientClosedError: the limit was closed before one was free.
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

    def release(self) -> None:
        """Releases one, for the first waiter."""
        self.used -= 1
        self._releases += 1
        if self._waiters:
            self._wake_waiters()

    def _wake_waiters(self) -> None:
        if self._releases % _RECHECK == 0:
            self._raise_limit()
        while self.used < self._known_to_fit and self._waiters.wake_first():
            self.used += 1

    def on_exhausted(self) -> None:
        """The system refused a file descriptor: what was known to fit does not fit any more."""
        self._known_to_fit = max(_MINIMUM, min(self._known_to_fit, self.used - 1))

    def close(self) -> None:
        """Ends all waits, with an error."""
        self._closed = True
        while self._waiters.wake_first():
            self.used += 1  # until the waiter runs, which then releases it

    def _raise_limit(self) -> bool:
        """Asks the system how many fit; returns whether one more does."""
        left = self._free()
        if left is None:
            self._known_to_fit = self.used + 2**20
            return True
        if self._limit is None:
            self._limit = max(_MINIMUM, int((self.used + left - _SPARE) * _SHARE))
        # Half of it, because other clients and providers ask too.
        self._known_to_fit = max(_MINIMUM, min(self._limit, self.used + (left - _SPARE) // 2))
        return self.used < self._known_to_fit


def free_descriptors() -> int | None:
    """How many file descriptors this process may still open, where the system reports it."""
    try:
        import resource  # noqa: PLC0415 (not on every system)

        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return None if most == resource.RLIM_INFINITY else most - len(os.listdir("/dev/fd"))
    except OSError as error:
        # Listing needs a descriptor too.
        return 0 if error.errno in (errno.EMFILE, errno.ENFILE) else None
    except ImportError:
        return None
