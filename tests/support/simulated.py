"""Models of the simulated providers, made from the parameter table: a new column is tested wherever these are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from anycompletion.testing.formats.registry import FORMATS, FORMATS_BY_DIALECT
from support.params_table import ASKED_MODELS, COLUMNS

SIMULATED: Mapping[str, str] = ASKED_MODELS
"""Simulated provider → one of its models, as callers write it."""


def _models() -> Iterator[tuple[str, str]]:
    for provider, wire in FORMATS.items():
        for name, format_ in {"": wire, **wire.variants}.items():
            own_model = COLUMNS[provider].model if provider in COLUMNS else "some-model"
            model = f"{provider}/{name}/{own_model}" if name else f"{provider}/{own_model}"
            yield from ((dialect, model) for dialect, own in FORMATS_BY_DIALECT.items() if own is format_)


MODEL_BY_DIALECT: Mapping[str, str] = dict(_models())
"""Dialect → a model of the simulated provider that defines it; of a variant, ``provider/variant/model``."""

WITH_FUNCTIONS = frozenset(
    model for model in (*SIMULATED.values(), *MODEL_BY_DIALECT.values()) if COLUMNS[model.partition("/")[0]].functions
)
"""Those of the models that can call functions."""
