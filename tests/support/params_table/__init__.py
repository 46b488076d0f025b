"""The parameter table: for each call, what each provider must receive, written by hand from the providers' documents.

Each module of this package is the column of the provider it is named for, with an underscore for a hyphen, and defines
`COLUMN`; a new provider adds a module and changes nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from pkgutil import iter_modules

from support.legacy_params_calls import LEGACY_CALLS
from support.params_calls import CALLS, INVALID_CALLS
from support.params_notation import Expectation, Invalid, ParamsCall, ProviderColumn, Row

COLUMNS: Mapping[str, ProviderColumn] = {
    module.name.replace("_", "-"): import_module(f"{__name__}.{module.name}").COLUMN
    for module in iter_modules(__path__)
}
"""Provider, or variant of one → its column."""

ASKED_MODELS: Mapping[str, str] = {
    name: f"{column.asked_as or name}/{column.model}" for name, column in COLUMNS.items()
}
"""Column → its model, as callers write it."""

PROVIDER_OF: Mapping[str, str] = {name: model.partition("/")[0] for name, model in ASKED_MODELS.items()}
"""Column → the name of its provider."""

MODELS: Mapping[str, str] = {provider: column.model for provider, column in COLUMNS.items()}
"""Provider → the model that is asked."""


def _rows() -> Iterator[Row]:
    for call in CALLS:
        yield Row(call, {provider: column.expectations[call.name] for provider, column in COLUMNS.items()}, COLUMNS)
    for call, param in INVALID_CALLS:
        yield Row(call, dict.fromkeys(COLUMNS, Invalid(param)), COLUMNS)
    own: dict[str, tuple[ParamsCall, dict[str, Expectation]]] = {}
    for provider, column in COLUMNS.items():
        for call, expectation in column.own_expectations:
            own.setdefault(call.name, (call, {}))[1][provider] = expectation
    for call, expectations in own.values():
        yield Row(call, expectations, COLUMNS)


ROWS: list[Row] = list(_rows())

LEGACY_ROWS: dict[str, Row] = {
    call.name: Row(call, {name: column.legacy_expectations[call.name] for name, column in COLUMNS.items()}, COLUMNS)
    for call in LEGACY_CALLS
}
"""Name → a call that uses it."""
