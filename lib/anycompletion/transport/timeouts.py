"""Timeouts of requests and responses, and the one timer that checks all of a pool.

A timeout runs only while something is waited for: the headers of a response, or the next bytes of its body. A slow
consumer cannot cause one, and bytes that have arrived are read before a timeout is reported, also those that wait in
the socket because something else has blocked the event loop.
"""

from __future__ import annotations

import asyncio
import math
import weakref
from collections.abc import Callable

import msgspec


class AttemptTimeouts(msgspec.Struct, frozen=True, gc=False):
    """Timeouts of one attempt in seconds, and the deadline of its call, by the event loop's clock."""

    connect: float | None = None
    first_chunk: float | None = None
    idle: float | None = None
    deadline: float | None = None


class TimeoutTimer:
    """The one timer of a pool: when it fires, it ends the waits of all watches whose timeout has expired.

    It fires every `_CHECK_INTERVAL` while something waits, and sooner if a timeout expires sooner. Nearly every wait
    therefore finds the timer set early enough and leaves it alone. Once nothing waits, the timer is not set again.
    """

    __slots__ = ("__weakref__", "_handle", "_is_deferred", "at", "watches")

    def __init__(self) -> None:
        self._handle: asyncio.TimerHandle | None = None
        self._is_deferred = False
        """Whether the next check is one that was deferred."""
        self.at = math.inf
        """The time at which it fires; infinite if it is not set."""
        self.watches: set[TimeoutWatch] = set()

    def schedule_by(self, when: float, loop: asyncio.AbstractEventLoop) -> None:
        """Makes sure that it fires at `when` or before."""
        if when < self.at:
            if self._handle is None:
                when = min(when, loop.time() + _CHECK_INTERVAL)
            self.stop()
            # A weak reference: otherwise the event loop would keep a client that its program has dropped.
            weak: weakref.ref[TimeoutTimer] = weakref.ref(self)
            self.at, self._handle = when, loop.call_at(when, _fire, weak, loop)

    def stop(self) -> None:
        """Cancels it."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle, self.at = None, math.inf

    def check_all(self, loop: asyncio.AbstractEventLoop) -> None:
        """Expires the watches that are overdue, and sets the timer for the others.

        If it fires late, the event loop was blocked. Then the check is deferred once, until the sockets were read.
        """
        now = loop.time()
        self._is_deferred = not self._is_deferred and now - self.at > _COALESCE
        self._handle, self.at = None, math.inf
        if self._is_deferred:
            self.schedule_by(now + _COALESCE, loop)
            return
        later = [due for watch in tuple(self.watches) if (due := watch.check(now)) is not None]
        if later:
            self.schedule_by(max(min(later), now + _COALESCE), loop)


def _fire(timer: weakref.ref[TimeoutTimer], loop: asyncio.AbstractEventLoop) -> None:
    alive = timer()
    if alive is not None:
        alive.check_all(loop)


_CHECK_INTERVAL = 0.5
"""Seconds between two checks at most, while there are watches."""

_COALESCE = 0.01
"""Seconds between two checks at least: timeouts that expire close together are checked at once. In that time the event
loop reads what has arrived."""


class TimeoutWatch:
    """Timeouts of one request and its response: which one runs now, and what ends the wait when it expires.

    Args:
        on_expire: ends the wait for the headers of the response.
    """

    __slots__ = (
        "_deadline",
        "_first_by",
        "_first_chunk",
        "_idle",
        "_is_waiting",
        "_loop",
        "_on_expire",
        "_reading_since",
        "_timer",
        "expired",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        timeouts: AttemptTimeouts,
        timer: TimeoutTimer,
        on_expire: Callable[[], object],
    ) -> None:
        self._loop = loop
        self._timer = timer
        # The values, not the object: many streams are open at the same time.
        self._first_chunk, self._idle, self._deadline = timeouts.first_chunk, timeouts.idle, timeouts.deadline
        self._on_expire = on_expire
        self._is_waiting: Callable[[], bool] | None = None
        """Whether a reader waits for bytes; None before the response has started."""
        self._first_by: float | None = None
        """The time by which the first event must arrive; None before the request and after that event."""
        self._reading_since: float | None = None
        """When a reader last began to wait for bytes of the body."""
        self.expired: str | None = None
        """Name of the timeout that expired: first_chunk, idle or total; "close" if the pool was closed."""
        timer.watches.add(self)
        if self._deadline is not None:
            timer.schedule_by(self._deadline, loop)

    def begin_request(self) -> None:
        """Starts the first-chunk timeout: there is a connection, and the request is about to be sent."""
        if self._first_chunk is not None:
            self._first_by = self._loop.time() + self._first_chunk
            self._timer.schedule_by(self._first_by, self._loop)

    def response_started(self, on_expire: Callable[[], object], is_waiting: Callable[[], bool]) -> None:
        """Called when the headers have arrived. From then on timeouts run only while a reader waits for bytes.

        Args:
            on_expire: ends the wait for bytes.
            is_waiting: whether a reader waits for bytes.
        """
        self._on_expire = on_expire
        self._is_waiting = is_waiting

    def begin_read(self) -> None:
        """Called when a reader is about to wait for bytes."""
        self._reading_since = now = self._loop.time()
        at, deadline = self._timer.at, self._deadline
        # The usual case: only the idle timeout runs, and perhaps the total, and the timer fires before either expires.
        # An `idle_by` of 0 means that this is another case.
        idle_by = now + self._idle if self._idle is not None and self._first_by is None else 0.0
        if at <= idle_by and (deadline is None or at <= deadline):
            return
        due = self._next_due()
        if due is not None:  # what is overdue expires after the sockets were read
            self._timer.schedule_by(max(due[0], now + _COALESCE), self._loop)

    def first_event_received(self, *, keep_deadline: bool) -> None:
        """Ends the first-chunk timeout, and the total unless it is to be kept: a first event has arrived."""
        self._first_by = None
        if not keep_deadline:
            self._deadline = None

    def stop(self) -> None:
        """Ends all timeouts."""
        self._timer.watches.discard(self)

    def give_up(self) -> None:
        """Ends the wait for the headers of a response, because the pool is closed."""
        self.stop()
        if self._is_waiting is None and self.expired is None:
            self.expired = "close"
            self._on_expire()

    def check(self, now: float) -> float | None:
        """Ends the wait if a timeout has expired; otherwise returns the time at which one will."""
        if self.expired is not None or (self._is_waiting is not None and not self._is_waiting()):
            return None  # the next wait sets the timer again
        due = self._next_due()
        if due is None:
            return None
        if due[0] > now:
            return due[0]
        self.expired = due[1]
        self._on_expire()
        return None

    def seconds(self, name: str) -> float | None:
        """The length of the expired timeout; None for the total, of which only the end is known."""
        return {"first_chunk": self._first_chunk, "idle": self._idle}.get(name)

    def _next_due(self) -> tuple[float, str] | None:
        """The earliest time at which a timeout expires, and its name."""
        if self._first_by is not None:
            due = (self._first_by, "first_chunk")
        elif self._reading_since is not None and self._idle is not None:
            due = (self._reading_since + self._idle, "idle")
        elif self._deadline is not None:
            return (self._deadline, "total")
        else:
            return None
        return due if self._deadline is None or self._deadline >= due[0] else (self._deadline, "total")
