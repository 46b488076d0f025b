"""Parameter support applied to a request: unsupported parameters are refused or dropped before it is encoded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import attrs

from ..dialects.base import EncodingReport
from ..errors import InvalidRequestError
from ..params import NATIVE, NO_OP_VALUES, ParamSupport, ParamTable
from ..records import ChatRequest

MANY = 128
"""OpenAI's limit of choices and of tools. More are sent to providers without a limit in their table, with a warning."""

_CHECKED_FOR_MANY = frozenset(("n", "tools", "functions"))

_NEEDS: Mapping[str, str] = {
    "tool_choice": "tools",
    "parallel_tool_calls": "tools",
    "function_call": "functions",
}
"""Parameter → the parameter without which it has no meaning."""

_WITH_FORMS = frozenset(("response_format", "logprobs"))
"""Parameters of which some providers have forms of their own."""

_LISTS = frozenset(("tools", "functions"))
"""Parameters whose empty list asks for nothing and is refused by many servers; it is not sent."""


def apply_param_support(
    request: ChatRequest,
    table: ParamTable,
    report: EncodingReport,
    *,
    stream: bool = False,
    provider: str = "the provider",
) -> ChatRequest:
    """`request` without the parameters that the table does not support; `report` decides whether those are errors.

    A value of `NO_OP_VALUES` is accepted everywhere, and left out where the parameter is unsupported. `provider` is the
    name in refusals.

    Raises:
        UnsupportedParameterError: under the policy "raise"; `.param` names the parameter.
        InvalidRequestError: a parameter has a form that only other providers accept.
    """
    dropped: dict[str, None] = {}
    given = request.given()
    for name, value in given.items():
        if (name in _LISTS and not value) or (name in _NEEDS and _lacks_what_it_needs(name, value, given)):
            dropped[name] = None
            continue
        if name == "stream_options" and not stream:
            report.warn("stream_options left out: the call is not a stream")
            dropped[name] = None
            continue
        support = table.get(name)
        if support is None:
            if name not in _WITH_FORMS:
                continue
            support = NATIVE
        if support.support == "unsupported":
            is_no_op = value in NO_OP_VALUES.get(name, ())
            if is_no_op and support.takes_no_op:
                continue
            if not is_no_op:
                report.unsupported(name, support.note)
            dropped[name] = None
        elif problem := (name in _WITH_FORMS and _form_problem(name, value, support)) or _range_problem(value, support):
            problem = f"{_shown_name(provider, table)} {problem}"
            report.unsupported(name, f"{problem} ({support.note})" if support.note else problem)
            dropped[name] = None
    if not _CHECKED_FOR_MANY.isdisjoint(given):
        _warn_of_many(request, report)
    return attrs.evolve(request, **cast("dict[str, Any]", dropped)) if dropped else request


def _lacks_what_it_needs(name: str, value: Any, given: Mapping[str, Any]) -> bool:
    """Whether a parameter has no meaning because the one that it needs is missing; providers refuse it without.

    A choice that demands a call is kept in any case, so that the provider reports that there is nothing to call.
    """
    needed = _NEEDS[name]
    if given.get(needed):
        return False
    if needed in given:  # as an empty list
        return name == "parallel_tool_calls" or value in ("auto", "none")
    return name != "parallel_tool_calls" and value in NO_OP_VALUES[name]


def _form_problem(name: str, value: Any, support: ParamSupport) -> str | None:
    """Why a form that some providers have of their own is not accepted by this one; None if it is OpenAI's form."""
    if support.own_forms:
        return None
    if name == "response_format" and value.get("type") == "json_schema":
        schema = value.get("json_schema")
        place = "json_schema" if schema is None else "json_schema.schema"
        if schema is None or "schema" not in schema:
            raise InvalidRequestError(f"{name}.{place}: is missing", param=f"{name}.{place}")
    if name == "logprobs" and type(value) is int:
        return "takes True or False; top_logprobs is the number"
    return None


def _warn_of_many(request: ChatRequest, report: EncodingReport) -> None:
    if request.n is not None and request.n > MANY:
        report.warn(f"n: more than {MANY} choices, which most providers refuse; each is paid for")
    for name, tools in (("tools", request.tools), ("functions", request.functions)):
        if tools is not None and len(tools) > MANY:
            report.warn(f"{name}: more than {MANY} of them, which most providers refuse")


def _shown_name(provider: str, table: ParamTable) -> str:
    """The provider's name as the notes of its table write it: all refusals name OpenAI, and not some openai."""
    return next((word for row in table.values() for word in row.note.split() if word.lower() == provider), provider)


def _range_problem(value: Any, support: ParamSupport) -> str | None:
    if isinstance(value, (int, float)):
        if support.minimum is not None and value < support.minimum:
            return f"takes at least {support.minimum:g}"
        if support.maximum is not None and value > support.maximum:
            return f"takes at most {support.maximum:g}"
    elif isinstance(value, str):
        if support.values is not None and value not in support.values:
            return f"takes one of {', '.join(support.values)}"
    elif support.max_items is not None and len(value) > support.max_items:
        return f"takes at most {support.max_items} items"
    return None
