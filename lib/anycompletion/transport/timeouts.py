"""What bounds an exchange in time: its clocks, and the one timer that serves all exchanges of a pool."""

from __future__ import annotations

import asyncio
import math
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .answers import RawResponse
    from .connector import PooledConnection


class Deadlines:
    """What bounds one exchange: seconds, except `deadline`, which is a time of the loop's clock."""

    __slots__ = ("connect", "deadline", "first_chunk", "idle")

    def __init__(
        self,
        connect: float | None = None,
        first_chunk: float | None = None,
        idle: float | None = None,
        deadline: float | None = None,
    ) -> None:
        self.connect = connect
        self.first_chunk = first_chunk
        self.idle = idle
        self.deadline = deadline


class TimeoutTimer:
    """The one timer of a pool: it fires no later than the first limit of all watches, and looks which are overdue.

    While there are watches it also fires every now and then, so that most limits lie later than the time it is set to,
    and a request costs no timer of its own; when there are none, it soon goes.
    """

    __slots__ = ("__weakref__", "_handle", "_loop", "at", "watches")

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handle: asyncio.TimerHandle | None = None
        self.at = math.inf
        """When it fires."""
        self.watches: set[TimeoutWatch] = set()

    def schedule_by(self, when: float, loop: asyncio.AbstractEventLoop) -> None:
        """Makes sure that it fires by then."""
        if when < self.at:
            if self._handle is None:
                when = min(when, loop.time() + _NOW_AND_THEN)
            self.stop()
            # Weakly, or a client that is dropped would live on with its timer.
            weak: weakref.ref[TimeoutTimer] = weakref.ref(self)
            self.at, self._handle = when, loop.call_at(when, _fire, weak, loop)

    def stop(self) -> None:
        """Does not fire any more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle, self.at = None, math.inf

    def check_all(self, loop: asyncio.AbstractEventLoop) -> None:
        """Looks which watches are overdue."""
        self._handle, self.at = None, math.inf
        now = loop.time()
        later = [limit for watch in tuple(self.watches) if (limit := watch.check(now)) is not None]
        if later:
            self.schedule_by(max(min(later), now + _COALESCE), loop)


def _fire(timer: weakref.ref[TimeoutTimer], loop: asyncio.AbstractEventLoop) -> None:
    alive = timer()
    if alive is not None:
        alive.check_all(loop)


_NOW_AND_THEN = 0.5
"""Seconds."""

_COALESCE = 0.01
"""Seconds between two looks at all watches at least: many limits that lie close together are one look."""


class TimeoutWatch:
    """The clocks of an exchange."""

    __slots__ = (
        "_loop",
        "_timer",
        "connect",
        "connected",
        "deadline",
        "expired",
        "first_by",
        "first_chunk",
        "fresh",
        "idle",
        "kept",
        "must_defer",
        "task",
        "waiting_since",
        "wake",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clocks: Deadlines,
        task: asyncio.Task[Any],
        held: Callable[[], bool] | None,
        timer: TimeoutTimer,
    ) -> None:
        self._loop = loop
        self._timer = timer
        # And not the clocks themselves: many streams are open at a time.
        self.connect, self.first_chunk, self.idle = clocks.connect, clocks.first_chunk, clocks.idle
        self.deadline = clocks.deadline
        self.task: asyncio.Task[Any] | None = task
        self.must_defer = held
        """Asked before a connection is opened: whether the request must wait after all."""
        self.connected = False
        """Whether the peer may have seen something of the request."""
        self.kept: PooledConnection | None = None
        """The kept connection that the request went out on."""
        self.fresh = False
        """Whether the request must not get a kept connection."""
        self.first_by: float | None = None
        self.waiting_since: float | None = None
        """Since when a reader waits for bytes after the headers; None while nobody does."""
        self.expired: str | None = None
        self.wake: RawResponse | None = None
        timer.watches.add(self)
        if clocks.deadline is not None:
            timer.schedule_by(clocks.deadline, loop)

    def begin(self) -> None:
        """The request is about to be sent: waiting for an answer begins."""
        if self.first_chunk is not None:
            self.first_by = self._loop.time() + self.first_chunk
            self._timer.schedule_by(self.first_by, self._loop)

    def wait(self) -> str | None:
        """A reader is about to wait for bytes; the name of a clock that has run out already."""
        self.waiting_since = now = self._loop.time()
        at, deadline = self._timer.at, self.deadline
        looks_by = now + self.idle if self.idle is not None and self.first_by is None else 0.0
        if at <= looks_by and (deadline is None or at <= deadline):
            return None  # as nearly always: the timer looks early enough
        limit = self._limit()
        if limit is None:
            return None
        if limit[0] <= now:
            return limit[1]
        self._timer.schedule_by(limit[0], self._loop)
        return None

    def stop(self) -> None:
        """Nobody waits any more."""
        self._timer.watches.discard(self)

    def give_up(self) -> None:
        """Ends the wait for the headers, whatever the clocks say."""
        self.stop()
        if self.task is not None and self.expired is None:
            self.expired = "close"
            self.task.cancel()

    def check(self, now: float) -> float | None:
        """Ends the wait if a clock has run out; else the time at which one will."""
        if self.task is None and self.waiting_since is None:
            return None  # nobody waits: the next wait sets the timer again
        limit = self._limit()
        if limit is None or self.expired is not None:
            return None
        if limit[0] > now:
            return limit[0]
        self.expired = limit[1]
        if self.task is not None:
            self.task.cancel()
        elif self.wake is not None:
            self.wake.close()
        return None

    def _limit(self) -> tuple[float, str] | None:
        """The earliest time at which a clock runs out, and its name."""
        if self.first_by is not None:
            limit = (self.first_by, "first_chunk")
        elif self.waiting_since is not None and self.idle is not None:
            limit = (self.waiting_since + self.idle, "idle")
        elif self.deadline is not None:
            return (self.deadline, "total")
        else:
            return None
        return limit if self.deadline is None or self.deadline >= limit[0] else (self.deadline, "total")
