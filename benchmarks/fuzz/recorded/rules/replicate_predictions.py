"""Replicate's predictions."""

from __future__ import annotations

from .. import changes
from ..rule_types import Derived, DialectRules, Rule

_REPLICATE = (
    Rule(r"output", "part", changes.as_output),
    Rule(r"output\[[^\]]*\]", "part", changes.as_text),
    Rule(r"status", "identity", changes.as_word, "whether the prediction ended, and how; an unknown one is an error"),
    Rule(r"error", "error"),
    Rule(r"urls(\.\w+)?|id", "identity", None, "where the next request of an unfinished prediction goes"),
)

RULES = DialectRules(
    apis=("predictions.create", "predictions.get", "predictions.cancel"),
    changes=1_000,
    rules=_REPLICATE,
    opaque=r"input",
    derived=(
        Derived(r"metrics(\..*)?", ("usage",), "the counts of tokens"),
        Derived(r"created_at", ("created",), "the time in seconds"),
    ),
)
