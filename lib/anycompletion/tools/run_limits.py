"""RunLimits: counts of a run, and what of its budget, deadline and turns is left."""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Sequence

from .._boundary import call_plainly
from ..errors import APITimeoutError, InvalidRequestError
from ..logs import log_event
from ..records import ChatCompletion, Usage
from .call_outcome import ToolOutcome
from .run_outcomes import Turn
from .run_settings import Budget, RunSettings
from .tool_errors import CallDenied

_MAX_FAILED_TURNS = 3
"""Turns in a row in which every call failed, after which a run ends."""

_MAX_CUT_TURNS = 2
"""Replies in a row that are cut inside a call, after which a run ends."""


_CLOCK_ERROR = 0.05
"""Seconds by which a timer may be early, with the clocks of all systems."""


class RunLimits:
    """What a run has used, and whether it may go on."""

    def __init__(self, settings: RunSettings) -> None:
        self._settings = settings
        self._usages: list[Usage | None] = []
        """Of the replies that a provider sent."""
        self._has_cached = False
        self._tool_calls = 0
        self._failed_turns = 0
        self._cut_turns = 0
        self.asked = 0
        """Replies that were asked for."""
        self.ends_at: float | None = None
        """When the deadline is, on the clock of `time.monotonic`; None before the start, and without one."""

    def start(self) -> None:
        """Starts the clock of the deadline."""
        if self._settings.deadline is not None:
            self.ends_at = time.monotonic() + self._settings.deadline

    def time_left(self) -> float | None:
        """Seconds until the deadline; None without one.

        Raises:
            APITimeoutError: it has passed.
        """
        if self.ends_at is None:
            return None
        left = self.ends_at - time.monotonic()
        if left <= 0:
            raise self.deadline_error()
        return left

    def deadline_error(self) -> APITimeoutError:
        """The error for a run whose deadline has passed."""
        return APITimeoutError(f"the run took longer than its deadline of {self._settings.deadline:g} s", phase="total")

    def explain(self, error: Exception) -> None:
        """Has a timeout name the deadline of the run, where that ended the request."""
        if self.ends_at is None or not isinstance(error, APITimeoutError) or error.phase != "total":
            return
        if self.ends_at - time.monotonic() < _CLOCK_ERROR:
            error.message = self.deadline_error().message
            error.args = (error.message,)

    @property
    def allows_turns(self) -> bool:
        """Whether `max_turns` is not reached."""
        return self.asked < self._settings.max_turns

    # --- what was used ---

    def add_reply(self, reply: ChatCompletion) -> None:
        """Counts what a reply used."""
        if reply.info.cached:
            self._has_cached = True
        else:
            self._usages.append(reply.usage)

    @property
    def usage(self) -> Usage | None:
        """Tokens of all replies but those of a cache; None where one of them did not say."""
        if not self._usages:
            return Usage(0, 0, 0, cost=0.0) if self._has_cached else None
        known = [usage for usage in self._usages if usage is not None]
        return Usage.total_of(known) if len(known) == len(self._usages) else None

    def ends_by_budget(self, reply: ChatCompletion) -> bool:
        """Whether the budget is spent, or what was used is not known; that is logged and noted in `reply`."""
        budget = self._settings.budget
        if budget is None:
            return False
        if budget.tool_calls is not None and self._tool_calls >= budget.tool_calls:
            return True
        if not self._usages:
            return False
        used = self.usage or Usage()
        for limit, amount, what in _measured(budget, used):
            if amount is None:
                text = f"budget: a reply does not say {what}, so the run ends"
                reply.info.warnings.append(text)
                log_event(logging.WARNING, "unknown_usage", "%s", text)
                return True
            if amount >= limit:
                return True
        return False

    def stops_after(self, turn: Turn) -> bool:
        """Whether `stop_when` ends the run.

        Raises:
            InvalidRequestError: it returned neither True nor False.
        """
        stop_when = self._settings.stop_when
        if stop_when is None:
            return False
        answer: object = call_plainly(stop_when, turn)
        if type(answer) is bool:
            return answer
        if inspect.iscoroutine(answer):
            answer.close()
        text = f"stop_when: expected a plain function of True or False, which returned {type(answer).__name__}"
        raise InvalidRequestError(text, param="stop_when")

    # --- failures ---

    def add_outcomes(self, outcomes: Sequence[ToolOutcome]) -> None:
        """Counts the calls of a turn."""
        self._tool_calls += len(outcomes)
        failed = bool(outcomes) and all(map(_has_failed, outcomes))
        self._failed_turns = self._failed_turns + 1 if failed else 0

    def add_calls(self, *, is_cut: bool) -> None:
        """Counts a reply with calls, of which the last may be cut."""
        self._cut_turns = self._cut_turns + 1 if is_cut else 0

    @property
    def is_cut_again(self) -> bool:
        """Whether the last replies were all cut inside a call, although the model had been given that as the result."""
        return self._cut_turns >= _MAX_CUT_TURNS

    @property
    def only_failures(self) -> bool:
        """Whether every call of the last turns failed."""
        return self._failed_turns >= _MAX_FAILED_TURNS


def _has_failed(outcome: ToolOutcome) -> bool:
    """Whether a call failed; a denial is a decision of the program's user."""
    return outcome.error is not None and not isinstance(outcome.error, CallDenied)


def _measured(budget: Budget, used: Usage) -> list[tuple[float, float | None, str]]:
    """The limits of a budget that need the usage of replies: limit, what was used, and what it is."""
    limits = (
        (budget.total_tokens, used.total_tokens, "how many tokens it used"),
        (budget.cost, used.cost, "what it cost"),
    )
    return [(limit, amount, what) for limit, amount, what in limits if limit is not None]
