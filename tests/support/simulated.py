"""Models of the simulated providers, made from the parameter table: a new column is tested wherever these are."""

from __future__ import annotations

from collections.abc import Mapping

from anycompletion.testing.formats.registry import FORMATS_BY_DIALECT
from support.params_table import COLUMNS

SIMULATED: Mapping[str, str] = {provider: f"{provider}/{column.model}" for provider, column in COLUMNS.items()}
"""Simulated provider → one of its models, as callers write it."""

MODEL_BY_DIALECT: Mapping[str, str] = {
    dialect: SIMULATED[wire.provider] for dialect, wire in FORMATS_BY_DIALECT.items() if wire.provider in SIMULATED
}
"""Dialect → a model of the simulated provider that defines it."""

WITH_FUNCTIONS = frozenset(model for provider, model in SIMULATED.items() if COLUMNS[provider].functions)
"""Those of the models that can call functions."""
