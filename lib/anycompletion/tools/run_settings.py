"""The keywords of `run_tools` that are the loop's own, checked."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import attrs

from .._async import is_async_function
from ..errors import InvalidRequestError
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


def _at_least_one(value: object) -> str | None:
    return None if type(value) is int and value >= 1 else "a number of at least 1"


def _flag(value: object) -> str | None:
    return None if type(value) is bool else "True or False"


def _seconds(value: object) -> str | None:
    if value is None:
        return None
    is_number = type(value) in (int, float)
    return None if is_number and math.isfinite(cast("float", value)) and cast("float", value) > 0 else "seconds above 0"


def _function(value: object) -> str | None:
    return None if callable(value) else "a function"


def _plain_function(value: object) -> str | None:
    return None if callable(value) and not is_async_function(value) else "a plain function, which is not async"


_CHECKS: Mapping[str, Callable[[object], str | None]] = {
    "max_turns": _at_least_one,
    "final_answer": _flag,
    "approve": _function,
    "approve_every": _flag,
    "stop_when": _plain_function,
    "budget": lambda value: None if isinstance(value, Budget) else "a Budget",
    "concurrency": _at_least_one,
    "tool_timeout": _seconds,
    "max_result_chars": _at_least_one,
    "deadline": _seconds,
    "on_tool_error": lambda value: None if value in ("report", "raise") else "'report' or 'raise'",
    "on_event": _plain_function,
}
"""Keyword → what is wrong with a value, as what was expected; None where it is right."""
