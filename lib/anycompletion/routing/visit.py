"""A visit of a routed call to one of its targets, and what its outcome means for the health of the target."""

from __future__ import annotations

import logging

from ..errors import CompletionError
from ..logs import log, log_event
from .hedge_budget import HedgeBudget
from .move_rules import HealthEffect
from .planned import EncodedVisit, PlannedTarget
from .route import CircuitBreaker

_DEFAULT_BREAKER = CircuitBreaker()


class Visit:
    """One visit; `end` is called when it has ended, whatever its outcome was."""

    __slots__ = (
        "_ended",
        "_holds_probe",
        "answer",
        "began",
        "began_as_probe",
        "calls",
        "earlier_attempts",
        "has_own_total",
        "hedge_budget",
        "is_cut",
        "planned",
        "retry_paid",
    )

    def __init__(self, planned: PlannedTarget, encoded: EncodedVisit, began: float, *, is_counted: bool = True) -> None:
        self.planned = planned
        self.calls, self.has_own_total, self.answer = encoded
        self.began = began
        self.earlier_attempts = 0
        """Requests of earlier visits, which the info of the first call counts once the target has answered."""
        self.is_cut = False
        """Whether its stream failed after its first content, and may begin anew at another target."""
        self.hedge_budget: HedgeBudget | None = None
        """Of a visit that began while another one was under way: the budget that it took a hedge of."""
        self.retry_paid = False
        """Whether it took a token of the endpoint's retry budget."""
        self.began_as_probe = is_counted and planned.health.begin()
        """Whether it began as the probe of an open circuit."""
        self._holds_probe = self.began_as_probe
        """Whether the outcome of that probe is still unknown."""
        self._ended = not is_counted

    @property
    def attempts(self) -> int:
        """Requests that were made, of all branches."""
        return sum(call.info.attempts for call in self.calls) - self.earlier_attempts

    @property
    def is_hedge(self) -> bool:
        """Whether it began while another one was under way."""
        return self.hedge_budget is not None

    @property
    def requests(self) -> int:
        """Requests that count for the call: at least one, and branches, whose requests are made together, as one."""
        first, *others = [call.info.attempts for call in self.calls]
        return max(1, first - self.earlier_attempts, *others)

    def end(self) -> None:
        """Ends the visit for the target's load, and a probe for those that wait for it; an unsent hedge is refunded."""
        if not self._ended:
            self._ended = True
            if self.hedge_budget is not None and not self.attempts:
                self.hedge_budget.refund()
            self.planned.health.end(is_probe=self._holds_probe)

    def succeed(self, now: float, *, is_whole: bool) -> None:
        """Records that the target answered: as a whole, or with the first content of a stream."""
        health = self.planned.health
        health.on_success(now, is_probe=self._holds_probe, is_whole=is_whole)
        if self._holds_probe:
            self._holds_probe = False
            health.end_probe()  # its outcome is known; the rest of a stream may take long
        if self.retry_paid:
            self.retry_paid = False
            self.planned.plan.endpoint.retry_budget.refund()

    def fail(self, error: CompletionError, effect: HealthEffect, now: float, route: str | None) -> None:
        """Records an error that means `effect` for the target."""
        health, target = self.planned.health, self.planned.target
        breaker = target.breaker
        # Not where other failures opened the circuit anew after the first content of this probe's stream.
        is_probe = self._holds_probe or (self.began_as_probe and not health.open_until)
        match effect:
            case "none":
                return
            case "rate_limit":
                pause = (breaker or _DEFAULT_BREAKER).seconds if error.retry_after is None else error.retry_after
                if breaker is not None or error.retry_after is not None:
                    health.on_rate_limit(pause, now, error)
            case "failure":
                if breaker is not None and health.on_failure(breaker, now, error, is_probe=is_probe):
                    failed = "a failed probe" if is_probe else f"{breaker.failures} failures"
                    text = f"is passed by for {health.open_until - now:.3g} s after {failed}"
                    self._log(logging.WARNING, "circuit_opened", text, error, route)
            case "rejected":
                if breaker is None or health.on_rejected(breaker, now, error, is_probe=is_probe):
                    self._log(logging.ERROR, "target_rejected", "refuses all calls", error, route)

    def log_move(self, error: CompletionError, route: str | None) -> None:
        """Logs that the call goes on to another target."""
        self._log(
            self.planned.plan.log_level, "moving_on", "failed, and the call goes on to another target", error, route
        )

    def _log(self, level: int, event: str, text: str, error: CompletionError, route: str | None) -> None:
        if not log.isEnabledFor(level):
            return
        kind, place = type(error).__name__, self.planned.plan.target
        log_event(
            level,
            event,
            "%s%s/%s %s (%s)",
            "" if route is None else f"route {route}: ",
            place.provider,
            place.model,
            text,
            kind,
            provider=place.provider,
            model=place.model,
            route=route,
            target=self.planned.target.name,
            error=kind,
            status=error.status_code,
            request_id=error.request_id,
        )
