"""Health of one target (provider, origin, key and model): its circuit breaker, its load, and its latency.

Pure state: it sends nothing and reads no clock.
"""

from __future__ import annotations

import copy
from collections import deque
from typing import Literal

import attrs

from .._async import WaiterQueue
from .._value import FrozenValue
from ..errors import CompletionError
from .route import CircuitBreaker

_NEWEST = 0.1
"""Weight of the newest sample in a mean that falls."""


@attrs.frozen(eq=False, repr=False)
class TargetState(FrozenValue):
    """The state of one target of a route, for health pages."""

    name: str
    """Name of the target."""
    state: Literal["closed", "open", "half_open"]
    """Closed: calls go there. Open: it failed, and calls pass it by. Half open: the next call probes it."""
    retry_in: float | None
    """Seconds until an open target is probed, or until one that refused calls for their rate is asked again."""
    in_flight: int
    """Calls that are under way there; open streams count."""
    latency: float | None
    """Mean of the last calls: seconds to a stream's first content, or seconds per token of a whole reply."""


class TargetHealth:
    """Circuit breaker of a target, and what else routes know of it::

                 failures in a row            time is up                    a probe succeeds
        closed ─────────────────────▶ open ─────────────▶ half open ─────────────────────────▶ closed
                                       ▲                      │
                                       └──────────────────────┘
                                    a probe fails: twice as long

    Half open, one visit goes through, the probe; the others pass by until it ends. A visit that began before the
    circuit opened neither closes it nor opens it for longer. `blocked_until` is 0 while nothing is wrong, and reading
    it is all that a healthy target costs.
    """

    __slots__ = (
        "_failed_at",
        "_open_for",
        "blocked_until",
        "cooling_until",
        "failed_probes",
        "first_content",
        "in_flight",
        "is_troubled",
        "last_error",
        "open_until",
        "per_token",
        "probe_waiters",
        "probing",
    )

    def __init__(self) -> None:
        self.in_flight = 0
        """Visits that are under way; open streams count."""
        self.first_content: float | None = None
        """Mean of the last streams' seconds to their first content; a peak counts at once, and fades."""
        self.per_token: float | None = None
        """The same of whole replies: seconds per token."""
        self.open_until = 0.0
        """When an open circuit may be probed, on the loop's clock; 0 while it is closed."""
        self.cooling_until = 0.0
        """When a target that refused calls for their rate may be asked again; 0, or in the past, if it may now."""
        self.blocked_until = 0.0
        """The later of the two; 0 while there is neither."""
        self.probing = False
        """Whether a probe is under way."""
        self.failed_probes = 0
        """Probes that failed so far."""
        self.probe_waiters: WaiterQueue[None] = WaiterQueue()
        """Calls that wait for the outcome of a probe."""
        self.last_error: CompletionError | None = None
        """The error that last blocked the target."""
        self.is_troubled = False
        """Whether a success changes something."""
        self._open_for = 0.0
        """Seconds for which the circuit was opened last; 0 once it has closed and a visit was answered as a whole."""
        self._failed_at: deque[float] = deque()
        """When the last visits failed, without a success between them."""

    def state(self, now: float) -> Literal["closed", "open", "half_open"]:
        """The state of the circuit."""
        if not self.open_until:
            return "closed"
        return "half_open" if self.probing or now >= self.open_until else "open"

    def may_visit(self, now: float) -> bool:
        """Whether a visit may begin: the circuit is closed, or due for a probe that no other visit makes."""
        return not self.blocked_until or (now >= self.blocked_until and not self.probing)

    def retry_in(self, now: float) -> float | None:
        """Seconds until a visit may begin; None if one may now."""
        return self.blocked_until - now if now < self.blocked_until else None

    # --- visits ---

    def begin(self) -> bool:
        """Begins a visit; returns whether it is the probe of an open circuit."""
        self.in_flight += 1
        if self.open_until and not self.probing:
            self.probing = True
            return True
        return False

    def end(self, *, is_probe: bool) -> None:
        """Ends a visit, whatever its outcome was."""
        self.in_flight -= 1
        if is_probe:
            self.end_probe()

    def end_probe(self) -> None:
        """Lets those that waited for the probe look at its outcome."""
        self.probing = False
        self.probe_waiters.wake_all()

    def on_success(self, now: float, *, is_probe: bool, is_whole: bool = True) -> None:
        """Records a visit that was answered, as a whole or, with `is_whole` False, by the first content of a stream.

        A stream may still fail, so that its first content resets no failures.
        """
        if is_probe:
            self.open_until = 0.0
        if self.open_until:
            return
        if is_whole:
            self._open_for = 0.0
            self._failed_at.clear()
        if now >= self.cooling_until:
            self.cooling_until, self.last_error = 0.0, None
        self.blocked_until = self.cooling_until
        self.is_troubled = bool(self._failed_at or self.blocked_until or self._open_for)

    def on_failure(self, breaker: CircuitBreaker, now: float, error: CompletionError, *, is_probe: bool) -> bool:
        """Records a visit that failed; returns whether that opened the circuit."""
        if is_probe:
            self.failed_probes += 1
            self._open(min(max(2 * self._open_for, breaker.seconds), breaker.longest), now, error)
            return True
        if self.open_until:
            return False  # it began before the circuit opened
        self._failed_at.append(now)
        self.is_troubled = True
        while len(self._failed_at) > breaker.failures:
            self._failed_at.popleft()
        if len(self._failed_at) < breaker.failures or now - self._failed_at[0] > breaker.within:
            return False
        self._open(min(breaker.seconds, breaker.longest), now, error)
        return True

    def on_rejected(self, breaker: CircuitBreaker, now: float, error: CompletionError, *, is_probe: bool) -> bool:
        """Records a refusal that all visits would meet; returns whether that opened the circuit anew."""
        self.failed_probes += is_probe
        is_new = is_probe or not self.open_until
        self._open(breaker.longest, now, error)
        return is_new

    def on_rate_limit(self, seconds: float, now: float, error: CompletionError) -> None:
        """Records a refusal because of the rate: the target is asked again after so many seconds."""
        self.cooling_until = max(self.cooling_until, now + seconds)
        self._note(error)

    def add_first_content(self, seconds: float) -> None:
        """Adds the seconds that a stream took to its first content."""
        self.first_content = _peak_mean(self.first_content, seconds)

    def add_per_token(self, seconds: float) -> None:
        """Adds the seconds per token of a whole reply."""
        mean = self.per_token  # as `_peak_mean`, without the time of a call
        self.per_token = seconds if mean is None or seconds > mean else mean + _NEWEST * (seconds - mean)

    def _open(self, seconds: float, now: float, error: CompletionError) -> None:
        self._open_for = max(self._open_for, seconds)
        self.open_until = max(self.open_until, now + seconds)
        self._failed_at.clear()
        self._note(error)

    def _note(self, error: CompletionError) -> None:
        self.is_troubled = True
        self.blocked_until = max(self.open_until, self.cooling_until)
        self.last_error = copy.copy(error)  # without its traceback, whose frames would stay; the error keeps it

    async def wait_for_probe(self) -> None:
        """Waits until the probe that is under way has ended."""
        await self.probe_waiters.wait(self.probe_waiters.enqueue())


def _peak_mean(mean: float | None, sample: float) -> float:
    """The exponentially weighted mean, which a peak raises at once."""
    return sample if mean is None or sample > mean else mean + _NEWEST * (sample - mean)
