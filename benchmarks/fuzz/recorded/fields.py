"""Which fields of each format carry a reply, which identify a part of it, and what is derived from others: data.

A pattern is a path without indices (see `changes.Place.pattern`); the first rule whose expression matches decides. A
field without a rule is one that is not needed: whatever it holds, the rest of the reply stays the same.
"""

from __future__ import annotations

import re

from .rule_types import MESSAGE, Rule
from .rules import RULES

OF_ERRORS = frozenset(
    {
        *("error", "errors", "message", "detail", "details", "finish_reason", "choices", "delta", "type", "status"),
        *("candidates", "finishReason", "finishMessage"),
    }
)
"""Fields that describe an error, or that hold those."""


def rule_of(dialect: str, kind: str, pattern: str) -> Rule | None:
    """The first rule that matches."""
    own = RULES[dialect]
    rules = own.stream_rules if kind == "stream" and own.stream_rules else own.rules
    return next((rule for rule in rules if re.fullmatch(rule.pattern, pattern)), None)


def places_of(dialect: str, pattern: str) -> list[str]:
    """Where a reply may change with a field that is not needed: prefixes of paths without indices."""
    names = re.sub(r"\[[^\]]*\]|<[^>]*>", "", pattern.rpartition("/")[2])
    # A chunk's `delta` is the reply's `message`; other formats have other names above the field.
    found = [names, re.sub(r"^choices\.delta\b", MESSAGE, names)]
    if not RULES[dialect].same_names:
        found = [names.rpartition(".")[2]]
    for derived in RULES[dialect].derived:
        if re.fullmatch(derived.pattern, pattern):
            found += derived.places
    return found
