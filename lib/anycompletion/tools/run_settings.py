"""The keywords of `run_tools` that are the loop's own, checked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import attrs

from ..errors import InvalidRequestError
from .approvals import ApprovalDecision, PendingCall
from .keyword_checks import (
    at_least_one_problem,
    flag_problem,
    function_problem,
    plain_function_problem,
    seconds_problem,
)
from .run_outcomes import Turn

if TYPE_CHECKING:
    from .events import ToolEvent

Approve: TypeAlias = Callable[[PendingCall], ApprovalDecision | Awaitable[ApprovalDecision]]
"""Decides whether a call may run."""


@attrs.frozen
class Budget:
    """What a run may use. It is checked before each turn, so that one turn may use more.

    Where a limit is set and a reply does not say what it used, the run ends.

    Raises:
        InvalidRequestError: a limit is not positive.
    """

    total_tokens: int | None = None
    """Tokens of all requests and replies."""
    cost: float | None = None
    """US dollars, as `Usage.cost` has them: of the provider, or of middleware that sets it."""
    tool_calls: int | None = None
    """Calls of tools that were answered."""

    def __attrs_post_init__(self) -> None:
        for name, kinds in (("total_tokens", (int,)), ("cost", (int, float)), ("tool_calls", (int,))):
            value: object = getattr(self, name)
            if value is None:
                continue
            if type(value) not in kinds or not cast("float", value) > 0:
                raise InvalidRequestError(f"budget.{name}: expected a positive number", param=f"budget.{name}")


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
