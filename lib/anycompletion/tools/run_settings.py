"""The keywords of `run_tools` that are the loop's own, checked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import attrs

from ..errors import InvalidRequestError
from .keyword_checks import (
    at_least_one_problem,
    flag_problem,
    function_problem,
    plain_function_problem,
    seconds_problem,
)
from .run_outcomes import ApprovalDecision, Budget, PendingCall, Turn

if TYPE_CHECKING:
    from .events import ToolEvent

Approve: TypeAlias = Callable[[PendingCall], ApprovalDecision | Awaitable[ApprovalDecision]]
"""Decides whether a call may run."""


@attrs.frozen(eq=False)
class RunSettings:
    """How a run goes on and when it ends; `RunParams` describes each field."""

    context: object = attrs.field(default=None, repr=False)
    max_turns: int = 10
    final_answer: bool = False
    approve: Approve | None = None
    approve_every: bool = False
    stop_when: Callable[[Turn], bool] | None = None
    budget: Budget | None = None
    concurrency: int = 8
    tool_timeout: float | None = 60.0
    max_result_chars: int = 200_000
    deadline: float | None = None
    on_tool_error: Literal["report", "raise"] = "report"
    on_event: Callable[[ToolEvent], object] | None = None


SETTING_NAMES = frozenset(each.name for each in attrs.fields(RunSettings))
"""Names of the keywords that are the loop's own."""


def checked_settings(given: Mapping[str, Any]) -> RunSettings:
    """The settings of a run.

    Raises:
        InvalidRequestError: one of them is invalid; `.param` names it.
    """
    values = {name: value for name, value in given.items() if value is not None or name in _NONE_HAS_MEANING}
    for name, value in values.items():
        check = _CHECKS.get(name)
        if check is not None and (problem := check(value)) is not None:
            raise InvalidRequestError(f"{name}: expected {problem}", param=name)
    return RunSettings(**cast("dict[str, Any]", values))


_NONE_HAS_MEANING = frozenset(("tool_timeout", "context"))
"""Keywords whose None is no absence."""


def _observer_problem(value: object) -> str | None:
    problem = plain_function_problem(value)
    return f"{problem}; for several, pass one that calls each of them" if isinstance(value, (list, tuple)) else problem


_CHECKS: Mapping[str, Callable[[object], str | None]] = {
    "max_turns": at_least_one_problem,
    "final_answer": flag_problem,
    "approve": function_problem,
    "approve_every": flag_problem,
    "stop_when": plain_function_problem,
    "budget": lambda value: None if isinstance(value, Budget) else "a Budget",
    "concurrency": at_least_one_problem,
    "tool_timeout": seconds_problem,
    "max_result_chars": at_least_one_problem,
    "deadline": seconds_problem,
    "on_tool_error": lambda value: None if value in ("report", "raise") else "'report' or 'raise'",
    "on_event": _observer_problem,
}
"""Keyword → what is wrong with a value, as what was expected; None where it is right."""
