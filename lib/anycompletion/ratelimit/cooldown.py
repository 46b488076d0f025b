"""Cooldown after a 429: all calls to one model (of an origin, with a key) wait, and go on at the rate of the answers.

If the provider refuses nothing more, calls are at full pace again within five seconds of the end of the cooldown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .._async import WaiterQueue
from .rate_estimate import MIN_INTERVAL, RateEstimate

_MAX_JITTER = 0.1
"""A cooldown is longer than the hint by up to this fraction of it, and never shorter. The retries of its calls wait for
it instead of their own backoff."""

_TIMER_TOLERANCE = 0.05
"""Seconds by which a call may be late without delaying the ones after it: timers are late as a rule, and each would
delay all that follow."""

_CLOCK_RESOLUTION = 1e-6
"""Seconds by which a timer may fire early."""

_RECHECK = 0.1
"""Seconds after which the interval is looked at again, at the latest: it shrinks while a call waits for its end."""


class Cooldown:
    """Makes calls wait after a 429, and then lets them through one by one, first in, first out::

                   start(hint)                  `until` is reached              interval < 1 ms
        inactive ───────────────▶ cooling down ────────────────────▶ spaced ─────────────────────▶ inactive
                                   ▲  │    ▲                           │
                                   └──┘    └───────────────────────────┘
                           start(longer hint)       start(hint)

    *Inactive*: `until` is 0 and calls do not wait; reading `until` is all that a call costs then. *Cooling down*: all
    calls wait, and a request that was let through just before must not be sent (`is_cooling_down`). *Spaced*: `until`
    has passed, and calls are let through at the interval of `RateEstimate`, which shrinks until the provider refuses
    again or it is so short that calls are not spaced any more.
    """

    def __init__(self) -> None:
        self.until = 0.0
        """End of the cooldown by the event loop's clock; in the past while calls are spaced, 0 while it is inactive."""
        self._rate = RateEstimate()
        self.record_success = self._rate.record_success
        """Called for each successful answer, with the time at which its call started."""
        self._last_due = 0.0
        """When the last call was due, or was let through if that was much later."""
        self._waiters: WaiterQueue[None] = WaiterQueue()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def queued(self) -> int:
        """Number of calls that wait."""
        return len(self._waiters)

    def remaining(self, now: float) -> float | None:
        """Seconds until the cooldown ends; None unless it is cooling down."""
        return self.until - now if now < self.until else None

    def is_cooling_down(self) -> bool:
        """Whether `until` is still to come: a call that was let through before must wait again."""
        return bool(self.until) and asyncio.get_running_loop().time() < self.until

    def expected(self, now: float) -> float:
        """Seconds that a call which starts to wait now is expected to wait."""
        if not self.until:
            return 0.0
        interval = self._interval(now)
        first = max(self.until - now, self._last_due + interval - now, 0.0)
        unspaced = max(self.until + self._rate.spaced_time - now, 0.0)
        return min(first + interval * len(self._waiters), max(unspaced, self.until - now))

    def start(self, hint: float, now: float, random: Callable[[], float]) -> None:
        """Starts a cooldown, or lengthens it, because the provider asked to wait `hint` seconds."""
        until = now + hint * (1 + _MAX_JITTER * random())
        if self._closed or until <= self.until:
            return
        if now >= self.until:  # else the call was sent before the cooldown, so the 429 is no evidence of the rate
            self._rate.on_cooldown_ended()
            self._rate.on_refused(hint, now, now - self.until if self.until else None, until)
        self.until = until

    async def wait(self) -> None:
        """Waits until the call may be sent, or `wake` is called."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._note_end(now)
        if not self._waiters and self.expected(now) == 0.0:
            self._let_through(now)
            return
        waiter = self._waiters.enqueue()
        self._set_timer(loop)
        try:
            await self._waiters.wait(waiter, on_lost=self._let_next_through)
        except asyncio.CancelledError:
            if not self._waiters:
                self._stop_timer()
            raise

    def wake(self) -> None:
        """Lets all calls through, for good: the client is closed, and sending reports that."""
        self._closed = True
        self._let_all_through()

    def _note_end(self, now: float) -> None:
        if now >= self.until:
            self._rate.on_cooldown_ended()

    def _interval(self, now: float) -> float:
        return self._rate.interval(now - self.until)

    def _let_through(self, now: float) -> None:
        interval = self._interval(now)
        due = self._last_due + interval
        self._last_due = due if now - due < _TIMER_TOLERANCE else now
        if interval < MIN_INTERVAL:
            self.until = 0.0

    def _let_next_through(self) -> None:
        """Lets another call through in place of one that was cancelled before it ran."""
        self._last_due = 0.0  # long ago: the next one is due at once
        self._stop_timer()
        self._set_timer(asyncio.get_running_loop())

    def _let_all_through(self) -> None:
        self.until = 0.0
        self._stop_timer()
        self._waiters.wake_all()

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is None and self._waiters:
            now = loop.time()
            when = max(self.until, min(self._last_due + self._interval(now), now + _RECHECK))
            self._timer = loop.call_at(when, self._on_timer, loop)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        self._note_end(now)
        # The cooldown may have been lengthened since the timer was set, which may be earlier than the next call.
        is_due = now >= max(self.until, self._last_due + self._interval(now) - _CLOCK_RESOLUTION)
        if is_due and self._waiters.wake_first():
            self._let_through(now)
        if not self.until:
            self._let_all_through()
        self._set_timer(loop)
