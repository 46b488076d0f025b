"""Limit on the connections of one provider, derived from the file descriptors that the process may still open."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from .._async import WaiterQueue
from ..errors import ClientClosedError
from .errors import closed_error

if TYPE_CHECKING:
    import aiohttp

_SPARE = 64
"""File descriptors left to the rest of the process."""

_MINIMUM = 8
"""Connections that are allowed whatever the system reports: without any, none would ever be released."""

_RECHECK = 64
"""While callers wait, the system is asked again after so many releases."""

_SHARE = 0.75
"""Part of the descriptors that were free at first which one provider may use: if it does not respond, the others must
not starve."""

CountFree = Callable[[], "int | None"]
"""Returns how many file descriptors the process may still open; None if that is not known."""


class ConnectionLimit:
    """Limit on the exchanges that one provider may have at the same time; callers wait first in, first out.

    An exchange acquires one place. Acquiring is usually a comparison: the system is asked how much is left only when
    more places are in use than ever before.

    Args:
        count_free: how many descriptors are free, see `CountFree`.
        at_most: places whatever the system allows; None for no such limit.
    """

    def __init__(self, count_free: CountFree | None = None, at_most: int | None = None) -> None:
        self._count_free = count_free or free_descriptors
        self._at_most = at_most or 2**20
        self.used = 0
        self._limit_now = min(_MINIMUM, self._at_most)
        self._ceiling: int | None = None
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
        """Acquires a place if one is free; returns whether it was."""
        if self.used >= self._limit_now and (self._waiters or not self._measure()):
            return False  # while fewer are in use there are no waiters, because `release` wakes them
        self.used += 1
        return True

    async def acquire(self) -> None:
        """Waits for a place in the order of asking, after `try_acquire` returned False. Cancelling leaves the queue.

        Raises:
            ClientClosedError: the limit was closed before a place was free.
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
        """Releases a place, for the first waiter."""
        self.used -= 1
        self._releases += 1
        if self._waiters:
            self._wake_waiters()

    def _wake_waiters(self) -> None:
        if self._releases % _RECHECK == 0:
            self._measure()
        while self.used < self._limit_now and self._waiters.wake_first():
            self.used += 1

    def on_exhausted(self) -> None:
        """Lowers the limit, because the system refused a file descriptor."""
        self._limit_now = min(max(_MINIMUM, min(self._limit_now, self.used - 1)), self._at_most)

    def close(self) -> None:
        """Ends all waits with `ClientClosedError`."""
        self._closed = True
        while self._waiters.wake_first():
            self.used += 1  # until the waiter runs, which then releases the place

    def _measure(self) -> bool:
        """Sets the limit to what the system still allows; returns whether a place is free."""
        left = self._count_free()
        if left is None:
            self._limit_now = self._at_most
            return self.used < self._limit_now
        if self._ceiling is None:
            self._ceiling = max(_MINIMUM, int((self.used + left - _SPARE) * _SHARE))
        # Half of it, because other clients and providers ask too.
        allowed = max(_MINIMUM, min(self._ceiling, self.used + (left - _SPARE) // 2))
        self._limit_now = min(allowed, self._at_most)
        return self.used < self._limit_now


def session_limit(session: aiohttp.ClientSession | None) -> int | None:
    """Connections to one host that the connector of a caller's session opens at most; None where it has no limit.

    A call in the connector's own queue would look as if it waited for the provider.
    """
    connector = None if session is None else session.connector
    limits = [getattr(connector, name, 0) for name in ("limit", "limit_per_host")]
    return min((limit for limit in limits if limit), default=None)


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
