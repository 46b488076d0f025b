"""The address book: one row per provider, and the parameter table as its rows and dialects say it; sends nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, cast

import attrs

from ..dialects.base import EncodingReport
from ..errors import InvalidRequestError
from ..params import NO_OP_VALUES, ParamSupport, ParamTable
from ..records import ChatRequest
from ..validation import without_frames
from .builtin import ROWS
from .plugins import installed
from .provider import DIALECTS, Provider, ProviderSource, TransportOverride, check_base_url, origin

PROVIDERS: Mapping[str, Provider] = MappingProxyType({row.name: row for row in ROWS})
"""The built-in rows by name."""


def all_providers(own: Iterable[Provider | ProviderSource] = ()) -> dict[str, Provider]:
    """The built-in rows and a client's own; of one name, its own wins. What makes rows of others sees all of them."""
    given = tuple(own)
    rows = {**PROVIDERS, **{row.name: row for row in given if isinstance(row, Provider)}}
    for source in given:
        if not isinstance(source, Provider):
            rows.update({row.name: row for row in source.rows(rows)})
    return rows


def known_providers() -> dict[str, Provider]:
    """All rows by name: the built-in ones, and those that installed packages bring.

    Raises:
        ConfigurationError: an installed package's row does not load.
    """
    return {**installed(), **PROVIDERS}


def resolve_model(model: str, provider: str | None, rows: dict[str, Provider]) -> tuple[Provider, str]:
    """Like `find`; what nobody knows is looked for in installed packages, whose rows are added to `rows`.

    Raises:
        InvalidRequestError: nobody knows the provider; the text names close ones.
        ConfigurationError: an installed package's row does not load.
    """
    try:
        return find(model, provider, rows)
    except InvalidRequestError as fault:
        error = fault
    more = {name: row for name, row in installed().items() if name not in rows}
    if not more:
        raise error
    rows.update(more)
    return find(model, provider, rows)


def find(model: str, provider: str | None, rows: Mapping[str, Provider]) -> tuple[Provider, str]:
    """The row and the provider's own model name for what a caller wrote.

    ``provider/model`` is split at the first slash (or colon) whose left side is a known provider; a bare name needs
    `provider`, or one of the well-known prefixes.

    Raises:
        InvalidRequestError: nobody knows the provider; the text names close ones.
    """
    if provider is not None:
        row = rows.get(provider)
        if row is None:
            raise InvalidRequestError(f"provider: {_unknown(provider, rows)}", param="provider")
        return row, _named(model.removeprefix(f"{provider}/"))
    for separator in "/:":
        left, found, right = model.partition(separator)
        row = rows.get(left)
        if found and row is not None:
            return row, _named(right)
    for row in rows.values():
        if row.prefixes and model.startswith(row.prefixes) and "/" not in model:
            return row, model
    name, slash, _ = model.partition("/")
    if slash:
        text = _unknown(name, rows)
    else:
        text = f"{_short(model)} names no provider; write provider/model, such as openai/gpt-4o, or pass provider="
    raise InvalidRequestError(f"model: {text}", param="model")


def _named(model: str) -> str:
    if not model.strip():
        raise InvalidRequestError("model: names a provider and no model", param="model")
    return model


def _short(text: str) -> str:
    """What a caller gave for a name may be anything, a prompt too: that is not repeated."""
    if " " in text:
        return "a text with spaces"
    return repr(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…")


_LONGEST = 40


def _unknown(name: str, rows: Mapping[str, Provider]) -> str:
    import difflib  # noqa: PLC0415 (only for an error; it costs an import 1 ms)

    close = difflib.get_close_matches(name[:_LONGEST].lower(), rows, 3)
    hint = f"did you mean {' or '.join(close)}?" if close else f"known are {', '.join(sorted(rows))}"
    return f"unknown provider {_short(name)}; {hint}"


def supported_params(
    model: str, provider: str | None = None, providers: Iterable[Provider | ProviderSource] = ()
) -> dict[str, ParamSupport]:
    """What `model`'s provider makes of every parameter: native, mapped, fanned out or refused, with ranges.

    Raises:
        InvalidRequestError: nobody knows the provider.
    """
    row, _ = resolve_model(model, provider, all_providers(providers))
    return dict(row.table)


# --- the gate: the parameter table applied to one request ---


@without_frames
def apply_param_support(request: ChatRequest, table: ParamTable, report: EncodingReport) -> ChatRequest:
    """`request` without what the table refuses; the caller's policy decides whether that is an error.

    A value that asks for nothing is accepted everywhere and left out where it is unknown.

    Raises:
        UnsupportedParameterError: under the policy "raise"; `.param` names the parameter.
    """
    dropped: dict[str, None] = {}
    given = request.given()
    for name, value in given.items():
        company = _ALONE.get(name)
        if company is not None and company not in given and value in NO_OP_VALUES[name]:
            dropped[name] = None  # it asks for nothing, and providers refuse it without its company
        cell = table.get(name)
        if cell is None:
            continue
        if cell.support == "unsupported":
            asks_for_nothing = value in NO_OP_VALUES.get(name, ())
            if asks_for_nothing and cell.takes_no_op:
                continue
            if not asks_for_nothing:
                report.unsupported(name, cell.note)
            dropped[name] = None
        elif problem := _out_of_range(value, cell):
            report.unsupported(name, f"{problem} ({cell.note})" if cell.note else problem)
            dropped[name] = None
    if not _MANY_OF.isdisjoint(given):
        _note_many(request, report)
    return attrs.evolve(request, **cast("dict[str, Any]", dropped)) if dropped else request


def _note_many(request: ChatRequest, report: EncodingReport) -> None:
    if request.n is not None and request.n > MANY:
        report.warn(f"n: more than {MANY} choices, which most providers refuse; each is paid for")
    for name, tools in (("tools", request.tools), ("functions", request.functions)):
        if tools is not None and len(tools) > MANY:
            report.warn(f"{name}: more than {MANY} of them, which most providers refuse")


_MANY_OF = frozenset(("n", "tools", "functions"))

MANY = 128
"""Choices, or tools, that OpenAI takes at most; more are sent where the table has no limit, and a warning says so."""

_ALONE: Mapping[str, str] = {
    "tool_choice": "tools",
    "function_call": "functions",
}
"""Parameter → the one without which it means nothing."""


def _out_of_range(value: Any, cell: ParamSupport) -> str | None:
    if isinstance(value, (int, float)):
        if cell.minimum is not None and value < cell.minimum:
            return f"must be at least {cell.minimum:g} here"
        if cell.maximum is not None and value > cell.maximum:
            return f"must be at most {cell.maximum:g} here"
    elif isinstance(value, str):
        if cell.values is not None and value not in cell.values:
            return f"must be one of {', '.join(cell.values)} here"
    elif cell.max_items is not None and len(value) > cell.max_items:
        return f"takes at most {cell.max_items} items here"
    return None


__all__ = [
    "DIALECTS",
    "PROVIDERS",
    "Provider",
    "ProviderSource",
    "TransportOverride",
    "all_providers",
    "apply_param_support",
    "check_base_url",
    "find",
    "known_providers",
    "origin",
    "resolve_model",
    "supported_params",
]
