"""What one call has met so far on its visits to the targets of its route."""

from __future__ import annotations

from ..errors import APIError, CompletionError, RateLimitError
from ..records.reply_info import Tried
from ..transport import Transport
from .flat_route import FlatTarget
from .visit import Visit


class VisitLog:
    """The visits of one call so far."""

    __slots__ = ("attempts", "counts", "deferred", "excluded", "failed", "refused", "tried", "used", "warnings")

    def __init__(self) -> None:
        self.used = 0
        """Requests so far; a visit that sent none counts as one, except the first that a target's pause deferred."""
        self.attempts = 0
        """Requests that failed so far, of all branches."""
        self.counts: dict[FlatTarget, int] = {}
        """Target → visits that failed."""
        self.failed: dict[FlatTarget, tuple[APIError, Transport]] = {}
        """Target → the error of the last visit, and the transport that it was made with."""
        self.deferred: set[FlatTarget] = set()
        """Targets that asked other calls for a pause while this one's request was queued, so that it was not sent."""
        self.excluded: set[FlatTarget] = set()
        """Targets that are not visited any more."""
        self.tried: list[Tried] = []
        """The visits that have ended, as they are reported."""
        self.refused: dict[FlatTarget, CompletionError] = {}
        """Errors of targets to which the call cannot be sent."""
        self.warnings: list[str] = []

    def pass_over(self, target: FlatTarget, error: CompletionError) -> None:
        """Records that the request cannot be sent to a target."""
        self.excluded.add(target)
        self.refused[target] = error
        self.warnings.append(f"{target.name} passed over: {error.message}")

    def note(self, visit: Visit, error: CompletionError, now: float) -> None:
        """Keeps what a failed visit cost."""
        place, attempts = visit.planned.plan.target, visit.attempts
        if not attempts and isinstance(error, RateLimitError) and visit.planned.target not in self.deferred:
            self.deferred.add(visit.planned.target)
        else:
            self.used += visit.requests
        self.attempts += attempts
        if visit.is_cut:
            text = "was cut off, and the reply began anew; both may be billed"
            self.warnings.append(f"{visit.planned.target.name} {text}")
        elif error.maybe_billed:
            self.warnings.append(f"{visit.planned.target.name} got no answer; it may have been billed all the same")
        elapsed, name, maybe_billed = now - visit.began, visit.planned.target.name, error.maybe_billed
        tried = Tried(name, place.provider, place.model, error, elapsed, attempts, visit.is_hedge, maybe_billed)
        self.tried.append(tried)
