"""Parameter support applied to a request: unsupported parameters are refused or dropped before it is encoded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import attrs

from ..dialects.base import EncodingReport
from ..params import NO_OP_VALUES, ParamSupport, ParamTable
from ..records import ChatRequest

MANY = 128
"""OpenAI's limit of choices and of tools. More are sent to providers without a limit in their table, with a warning."""

_CHECKED_FOR_MANY = frozenset(("n", "tools", "functions"))

_NEEDS: Mapping[str, str] = {
    "tool_choice": "tools",
    "function_call": "functions",
}
"""Parameter → the parameter without which it has no meaning."""


def apply_param_support(request: ChatRequest, table: ParamTable, report: EncodingReport) -> ChatRequest:
    """`request` without the parameters that the table does not support; `report` decides whether those are errors.

    A value of `NO_OP_VALUES` is accepted everywhere, and left out where the parameter is unsupported.

    Raises:
        UnsupportedParameterError: under the policy "raise"; `.param` names the parameter.
    """
    dropped: dict[str, None] = {}
    given = request.given()
    for name, value in given.items():
        needed = _NEEDS.get(name)
        if needed is not None and needed not in given and value in NO_OP_VALUES[name]:
            dropped[name] = None  # it changes nothing, and providers refuse it without the other
        support = table.get(name)
        if support is None:
            continue
        if support.support == "unsupported":
            is_no_op = value in NO_OP_VALUES.get(name, ())
            if is_no_op and support.takes_no_op:
                continue
            if not is_no_op:
                report.unsupported(name, support.note)
            dropped[name] = None
        elif problem := _range_problem(value, support):
            report.unsupported(name, f"{problem} ({support.note})" if support.note else problem)
            dropped[name] = None
    if not _CHECKED_FOR_MANY.isdisjoint(given):
        _warn_of_many(request, report)
    return attrs.evolve(request, **cast("dict[str, Any]", dropped)) if dropped else request


def _warn_of_many(request: ChatRequest, report: EncodingReport) -> None:
    if request.n is not None and request.n > MANY:
        report.warn(f"n: more than {MANY} choices, which most providers refuse; each is paid for")
    for name, tools in (("tools", request.tools), ("functions", request.functions)):
        if tools is not None and len(tools) > MANY:
            report.warn(f"{name}: more than {MANY} of them, which most providers refuse")


def _range_problem(value: Any, support: ParamSupport) -> str | None:
    if isinstance(value, (int, float)):
        if support.minimum is not None and value < support.minimum:
            return f"must be at least {support.minimum:g} here"
        if support.maximum is not None and value > support.maximum:
            return f"must be at most {support.maximum:g} here"
    elif isinstance(value, str):
        if support.values is not None and value not in support.values:
            return f"must be one of {', '.join(support.values)} here"
    elif support.max_items is not None and len(value) > support.max_items:
        return f"takes at most {support.max_items} items here"
    return None
