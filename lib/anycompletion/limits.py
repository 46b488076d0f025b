"""How much at a time and how soon: rests that calls share, and slots that run out; decides, and never sends.

`Rest` is what a 429 means for all calls to one origin with one key. `Slots` bounds what one provider may hold of the
process's file descriptors.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeAlias

# --- rests ---

_JITTER = 0.1
"""A rest is up to so much longer than the hint, never shorter."""

_SPREAD = 8
"""Calls let through per rest where nothing is known of the provider's rate."""

_GROWTH = 1.1
"""The rate after a rest grows by so much in the time of one hint, five seconds at most."""

_SLOW_START = 2.0
"""The same per second where nothing is known of the provider's rate."""

_LONGEST_PACE = 5.0

_NO_GAP = 0.001
"""Seconds between two calls below which they are not spaced any more."""


class Rest:
    """After a 429 all calls rest, and then go on in the order of asking, at the rate the provider was seen to answer.

    It is counted from the rest before, and grows while all goes well, until nobody has to wait.
    """

    def __init__(self) -> None:
        self.until = 0.0
        """A time of the loop's clock; 0 where nobody has to wait, which is the one look a call takes in good times."""
        self._answered = 0
        self._since: float | None = None
        """Since when answers are counted."""
        self._gap = 0.0
        self._growth, self._pace = _GROWTH, 1.0
        """The rate grows by so much, in so many seconds."""
        self._last = 0.0
        """When the last one was let through."""
        self._waiters: _Line = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None
        self._over = False

    def begin(self, hint: float, now: float, random: Callable[[], float]) -> None:
        """The provider asked to wait `hint` seconds."""
        until = now + hint * (1 + _JITTER * random())
        if self._over or until <= self.until:
            return
        if now >= self.until:
            # A first one, and not one more answer to what had been sent before the rest.
            busy = 0.0 if self._since is None else now - self._since
            known = (busy + hint) / self._answered if self._answered else hint
            self._gap = min(known, hint / _SPREAD)
            self._growth = _GROWTH if self._answered else _SLOW_START
            self._pace = min(max(hint, 1.0), _LONGEST_PACE) if self._answered else 1.0
            self._answered, self._since = 0, until
        self.until = until

    def answered(self, asked: float) -> None:
        """A good answer came, to a call that began then."""
        self._answered += 1
        if self._since is None:
            self._since = asked

    def holds(self) -> bool:
        """Whether what was let through before must not be sent after all."""
        return bool(self.until) and asyncio.get_running_loop().time() < self.until

    def expected(self, now: float) -> float:
        """Seconds that one who asks now will wait, about."""
        if not self.until:
            return 0.0
        gap = self._gap_at(now)
        return max(self.until - now, self._last + gap - now, 0.0) + gap * len(self._waiters)

    async def wait(self) -> None:
        """Until it is the caller's turn, or `wake` is called. Cancelling leaves the line."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        if not self._waiters and self.expected(now) == 0.0:
            self._let_through(now)
            return
        waiter = loop.create_future()
        self._waiters[waiter] = None
        self._set_timer(loop)
        try:
            await waiter
        except asyncio.CancelledError:
            self._leave(waiter, loop)
            raise

    def wake(self) -> None:
        """Lets everybody go, for good: the client is closed, and sending says so."""
        self._over = True
        self._let_all_through()

    def _let_all_through(self) -> None:
        self.until = 0.0
        self._stop_timer()
        while self._waiters:
            _let_go(_first(self._waiters))

    def _leave(self, waiter: asyncio.Future[None], loop: asyncio.AbstractEventLoop) -> None:
        self._waiters.pop(waiter, None)
        if not waiter.cancelled():
            self._last = 0.0  # its turn came in the same moment, and is the next one's
        elif self._waiters:
            return
        self._stop_timer()
        self._set_timer(loop)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _gap_at(self, now: float) -> float:
        rested = max(0.0, now - self.until)
        growth: float = self._growth ** min(rested / self._pace, 1000.0)
        return self._gap / growth

    def _let_through(self, now: float) -> None:
        self._last = now
        if self._gap_at(now) < _NO_GAP:
            self.until = 0.0

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is None and self._waiters:
            when = max(self.until, self._last + self._gap_at(loop.time()))
            self._timer = loop.call_at(when, self._next, loop)

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        # A new rest may have begun since the timer was set.
        while self._waiters and now >= self.until:
            if _let_go(_first(self._waiters)):
                self._let_through(now)
                break
        if not self.until:
            self._let_all_through()
        self._set_timer(loop)


_Line: TypeAlias = "OrderedDict[asyncio.Future[None], None]"
"""Who waits, in the order of asking. Who gives up is taken out at once: thousands may, and those behind them must not
wait for their turns."""


def _first(line: _Line) -> asyncio.Future[None]:
    """Takes out the first."""
    return line.popitem(last=False)[0]


def _let_go(waiter: asyncio.Future[None]) -> bool:
    """False where nobody waits any more."""
    if waiter.done():
        return False
    waiter.set_result(None)
    return True


# --- slots ---

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


class Slots:
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
        self._waiters: _Line = OrderedDict()

    @property
    def queued(self) -> int:
        """Who waits for a slot."""
        return len(self._waiters)

    def take_now(self) -> bool:
        """Takes a slot, if there is one and nobody waits for it."""
        if self._waiters or not (self.used < self._sure or self._more()):
            return False
        self.used += 1
        return True

    async def take(self) -> None:
        """Takes a slot when it is the caller's turn. Cancelling leaves the queue."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = None
        try:
            await waiter
        except asyncio.CancelledError:
            self._waiters.pop(waiter, None)
            if not waiter.cancelled():
                self.give()  # it was handed over in the same moment
            raise

    def give(self) -> None:
        """Gives a slot back: to the first who waits."""
        self.used -= 1
        self._given += 1
        if self._waiters and self._given % _SELDOM == 0:
            self._more()
        while self._waiters and self.used < max(self._sure, 1):
            if _let_go(_first(self._waiters)):
                self.used += 1

    def ran_out(self) -> None:
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
