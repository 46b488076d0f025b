"""Families of Gemini models: their generation, their thinking, and the parameters that they do not take. Data.

https://ai.google.dev/gemini-api/docs/thinking, https://ai.google.dev/gemini-api/docs/models

An unknown model counts as the newest, because most unknown names are those of later models.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ...params import ParamSupport, ParamTable, unsupported
from ..shared import mapped

MAX_CANDIDATES = 8
"""Candidates that one request can ask for, where a model returns several."""

BUDGETS: Mapping[str, int] = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
"""Effort → thinking tokens, for models with a thinking budget."""

_LEVELS = ("minimal", "low", "medium", "high")
_NEWEST = (99, 0)


def _levels(*names: str) -> Mapping[str, Mapping[str, Any]]:
    return {name: {"thinkingLevel": name} for name in names}


class GeminiFamily(NamedTuple):
    """The properties that models of one family share."""

    generation: tuple[int, int]
    """Major and minor version."""
    thinks: bool = True
    """Whether the model thinks; one that does not refuses each configuration of it."""
    efforts: Mapping[str, Mapping[str, Any]] = _levels(*_LEVELS, "xhigh")
    """Effort → the fields of the thinking configuration for it."""
    samples: bool = True
    """Whether a temperature has an effect."""

    @property
    def has_signed_calls(self) -> bool:
        """Whether calls in the history need a thought signature, and whether tool results may have media."""
        return self.generation >= (3, 0)

    @property
    def has_several_candidates(self) -> bool:
        """Whether one request can return several choices."""
        return self.generation < (3, 0) and self.generation > (1, 0)


def _budgets(*, may_be_off: bool) -> Mapping[str, Mapping[str, Any]]:
    return {effort: {"thinkingBudget": budget} for effort, budget in BUDGETS.items() if budget > 0 or may_be_off}


_FAMILIES: tuple[tuple[str, GeminiFamily], ...] = (
    (r"gemma|learnlm|gemini-exp", GeminiFamily((1, 0), thinks=False)),
    (r"gemini-1\.5", GeminiFamily((1, 5), thinks=False)),
    (r"gemini-1", GeminiFamily((1, 0), thinks=False)),
    (r"gemini-2\.0", GeminiFamily((2, 0), thinks=False)),
    (r"gemini-2\.5-flash-(preview-)?image", GeminiFamily((2, 5), thinks=False)),
    (r"gemini-2\.5-flash(-\w+)*-tts|gemini-2\.5-pro(-\w+)*-tts", GeminiFamily((2, 5), thinks=False)),
    (r"gemini-2\.5-pro", GeminiFamily((2, 5), efforts=_budgets(may_be_off=False))),
    (r"gemini-2\.5", GeminiFamily((2, 5), efforts=_budgets(may_be_off=True))),
    (r"gemini-3\.1-flash-image", GeminiFamily((3, 1), efforts=_levels("minimal", "high"))),
    (r"gemini-3\.1-pro", GeminiFamily((3, 1), efforts=_levels("low", "medium", "high"))),
    (r"gemini-3\.[78]-flash", GeminiFamily((3, 7), efforts=_levels("low", "medium", "high"), samples=False)),
    (r"gemini-3\.5-flash-lite", GeminiFamily((3, 5), efforts=_levels(*_LEVELS), samples=False)),
    (r"gemini-3\.6-flash", GeminiFamily((3, 6), efforts=_levels(*_LEVELS), samples=False)),
    (r"gemini-3-pro", GeminiFamily((3, 0), efforts=_levels("low", "high"))),
    (r"gemini-3[.-]", GeminiFamily((3, 0), efforts=_levels(*_LEVELS))),
    (r"gemini-4-(argon|carbon)", GeminiFamily((4, 0), efforts=_levels("low", "medium", "high"))),
)
"""Beginning of a model's name → its family; the first that matches counts."""

_UNKNOWN = GeminiFamily(_NEWEST)


@functools.lru_cache(256)
def family_of(model: str) -> GeminiFamily:
    """The family of a model, by the last part of its name."""
    name = model.rpartition("/")[2]
    return next((family for pattern, family in _FAMILIES if re.match(pattern, name)), _UNKNOWN)


_NO_PENALTIES = unsupported("Gemini 3 and newer models have no penalties")
_FIXED_SAMPLING = unsupported("the model ignores it: its sampling is fixed")


def model_params(model: str) -> ParamTable:
    """Support for parameters that depends on the model."""
    family = family_of(model)
    support: dict[str, ParamSupport] = {}
    if family.has_several_candidates:
        support["n"] = mapped("generationConfig.candidateCount")
    if family.generation >= (3, 0) and family.generation != _NEWEST:
        support |= dict.fromkeys(("presence_penalty", "frequency_penalty"), _NO_PENALTIES)
    if not family.samples:
        support |= dict.fromkeys(("temperature", "top_p"), _FIXED_SAMPLING)
    if family.thinks:
        support["reasoning_effort"] = mapped("generationConfig.thinkingConfig", tuple(family.efforts))
    else:
        support |= dict.fromkeys(("reasoning_effort", "thinking"), unsupported(f"{model} does not think"))
    return support
