"""Ollama's chat; a line of a stream has the fields of a reply."""

from __future__ import annotations

from .. import changes
from ..rule_types import LIST_ITEM, MESSAGE, Derived, DialectRules, Rule

_CALL = rf"message\.tool_calls{LIST_ITEM}"

RULES = DialectRules(
    apis=("api/chat",),
    changes=2_000,
    rules=(
        Rule(r"message", "part", changes.as_object),
        Rule(r"message\.(content|thinking)", "part", changes.as_text),
        Rule(r"message\.tool_calls", "part", changes.as_objects),
        Rule(rf"{_CALL}(\.function)?", "part", changes.as_object),
        Rule(rf"{_CALL}\.function\.name", "part", changes.as_text),
        Rule(rf"{_CALL}\.function\.arguments", "part", None, "any JSON is the text of the arguments"),
        Rule(r"done", "identity", None, "says whether the reply ends"),
        Rule(r"done_reason", "part", changes.as_word),
        Rule(r"error", "error"),
    ),
    opaque=rf"{_CALL}\.function\.arguments",
    derived=(
        Derived(r".*_(count|duration)", ("usage",), "the total is the sum of two counts; durations are part of it"),
        Derived(r"created_at", ("created", "id", f"{MESSAGE}.tool_calls.id"), "missing ids are made from the time"),
        Derived(rf"{_CALL}\.id", (f"{MESSAGE}.tool_calls.id",), "its id"),
        Derived(r"logprobs.*", ("choices.logprobs",), "the tokens of the choice"),
    ),
)
