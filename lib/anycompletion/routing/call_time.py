"""The time of one call over a route: when it began, and how much of its total timeout is left."""

from __future__ import annotations

from ..options import Timeout


class CallTime:
    """The clock of one call, whose total timeout covers its visits to all targets."""

    __slots__ = ("started", "timeout", "total_began")

    def __init__(self, timeout: Timeout, started: float) -> None:
        self.timeout = timeout
        """The call's own."""
        self.started = started
        """When the call began, on the loop's clock; 0.0 before that."""
        self.total_began: float | None = None
        """When the total timeout began; None if with the call."""

    def start(self, now: float) -> None:
        """Begins the call, if it has not begun."""
        self.started = self.started or now

    def renew_default_total(self, now: float) -> None:
        """Begins a default total anew for what follows a stream, because it ended with the stream's first chunk."""
        if not self.timeout.total_is_explicit:
            self.total_began = now

    def left(self, now: float) -> float | None:
        """Seconds until the total timeout; None if there is none."""
        total, began = self.timeout.total, self.total_began
        return None if total is None else (self.started if began is None else began) + total - now

    def allows_visit(self, left: float | None, targets: int) -> bool:
        """Whether `left` seconds are enough to connect to another target; `targets` share a short total."""
        total, connect = self.timeout.total, self.timeout.connect
        if left is None or total is None:
            return True
        least = min(connect or 0.0, total / (targets + 1))
        return left > max(least, 0.0)
