"""What a 429 means for all calls to one origin with one key: they rest, and go on at the pace of the answers."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from .._async import Line, first, let_go

_JITTER = 0.1
"""A rest is up to so much longer than the hint, never shorter."""

_SPREAD, _SHORT = 8, 0.1
"""Calls let through per rest at first, at least; with fewer answers, nothing is known of the provider's rate. Rests
that are shorter than so many seconds tell when there is room for one, and not for how many."""

_SEARCH = 1.5
"""The rate after a first rest grows by so much per second: it was counted in a moment, and may be far too low."""

_BELOW, _WELL_BELOW, _FAR_BELOW = 0.95, 0.85, 0.7
"""Of the rate at which the provider refused, so much is asked of it from then on: while it grew; while it was kept; and
as soon as it was tried. A guess that was refused as soon as that is halved."""

_SAME = 1.25
"""Answers that come at a rate that is lower by less tell nothing: it grew meanwhile, and some are still to come."""

_DROP = 2.0
"""Nothing divides a rate by more at once."""

_LEAST = 0.02
"""Whoever says how long to wait has room for one call then. So many seconds, or what was asked for, is the longest gap:
a provider that refuses at random would else bring its calls to a halt."""

_HOLD, _SHORTEST_HOLD, _LONGEST_HOLD = 10, 3.0, 60.0
"""Hints, and seconds at least and at most, for which a rate that is known is kept before more is tried: a try costs a
rest, and each refused call one of its attempts."""

_GROWTH, _LONGEST_PACE = 1.02, 5.0
"""Then it grows by this to the power of the square of the hints that have passed (seconds: one to five each)."""

_RECENT = 10.0
"""Seconds: what was answered before that, and before that again, tells nothing of the rate now."""

_MOMENT = 1.0
"""Seconds: providers count in windows, so nothing shorter tells a rate."""

_LATE = 0.05
"""Seconds by which a turn may be late without the next ones being so too."""

_NO_GAP = 0.001
"""Seconds between two calls below which they are not spaced any more."""


class _Count:
    """Answers, and how long they took to come: of the last ten to twenty seconds."""

    __slots__ = ("_before", "_number", "_since", "_since_before")

    def __init__(self) -> None:
        self._number = self._before = 0
        self._since = self._since_before = -1.0

    def add(self, asked: float) -> None:
        """A good answer came, to a call that began then."""
        if asked - self._since > _RECENT:
            far = self._since < 0 or asked - self._since > 2 * _RECENT
            self._since_before, self._before = (asked, 0) if far else (self._since, self._number)
            self._since, self._number = asked, 0
        self._number += 1

    def look(self, now: float) -> tuple[int, float]:
        """How many, in how many seconds."""
        number = self._number + self._before
        return number, max(0.0, now - self._since_before) if number else 0.0

    def restart(self, since: float) -> None:
        """Counts from then on."""
        self._number = self._before = 0
        self._since = self._since_before = since


class Cooldown:
    """After a 429 all calls rest, and then go on in the order of asking, at the rate the provider was seen to answer.

    The first rate is a guess, and grows fast until it is refused. From then on it is known: it is kept for
    ten times as long as a rest takes, and then grows faster and faster, until it is refused or nobody has to wait.
    """

    def __init__(self) -> None:
        self.until = 0.0
        """A time of the loop's clock; 0 where nobody has to wait, which is the one look a call takes in good times."""
        self._count = _Count()
        self.record_success = self._count.add
        """To be told of each good answer, by the time when its call began."""
        self._gap = 0.0
        """Seconds between two calls when the rest is over; 0 where there was none yet."""
        self._is_known = False
        """Whether `_gap` is more than a guess."""
        self._hold, self._pace = 0.0, 1.0
        self._last = 0.0
        """When the last one was let through, or was to be."""
        self._waiters: Line = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None
        self._over = False

    def start(self, hint: float, now: float, random: Callable[[], float]) -> None:
        """The provider asked to wait `hint` seconds."""
        until = now + hint * (1 + _JITTER * random())
        if self._over or until <= self.until:
            return
        if now >= self.until:
            # A first one, and not one more answer to what had been sent before the rest.
            self._is_known, self._gap = bool(self.until), self._next_gap(hint, now)
            self._hold = min(max(_HOLD * hint, _SHORTEST_HOLD), _LONGEST_HOLD)
            self._pace = min(max(hint, 1.0), _LONGEST_PACE)
            self._count.restart(until)
        self.until = until

    def _next_gap(self, hint: float, now: float) -> float:
        """The gap after the rest that begins now."""
        number, seconds = self._count.look(now)
        seen = max(seconds + hint, _MOMENT) / max(number, 1)
        if not self.until:
            return min(seen, max(hint, _SHORT if number < _SPREAD else _MOMENT) / _SPREAD)
        rested = now - self.until
        if rested < 2 * hint:
            gap = self._gap / (_FAR_BELOW if self._is_known else 1 / _DROP)
        elif self._is_known and rested < self._hold:
            gap = self._gap / _WELL_BELOW
        else:
            # What is refused now, was too much a moment ago.
            gap = self._gap_at(now - self._pace) / _BELOW
        if seconds >= max(hint, _MOMENT):
            gap = max(gap, min(seen / _SAME, gap * _DROP))
        return min(gap, max(hint, _LEAST))

    def is_active(self) -> bool:
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
            let_go(first(self._waiters))

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
        if not self._is_known:
            return self._gap / float(_SEARCH ** min(rested, 100.0))
        grown = min(max(0.0, rested - self._hold) / self._pace, 100.0)
        return self._gap / float(_GROWTH ** (grown * grown))

    def _let_through(self, now: float) -> None:
        gap = self._gap_at(now)
        due = self._last + gap
        # Timers are late as a rule: counted from there, each would make all that follow it later.
        self._last = due if now - due < _LATE else now
        if gap < _NO_GAP:
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
            if let_go(first(self._waiters)):
                self._let_through(now)
                break
        if not self.until:
            self._let_all_through()
        self._set_timer(loop)
