"""Usage of a stream, which comes in two events: the prompt's counts at the start, the completion's at the end."""

from __future__ import annotations

from typing import cast

from ...records import JsonObject

_PROMPT = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation")
"""Fields of the prompt's counts, which belong together: a zero in one of them is a count if another is not zero."""


def merge_usage(usage: JsonObject, later: JsonObject) -> None:
    """Adds the fields of a later usage, in place.

    Counts are cumulative, so a later one replaces an earlier one. Nulls and zeros replace nothing: servers send them in
    the event that is not the one where they count.
    """
    if usage and all(_counts_nothing(value) for name in _PROMPT if (value := later.get(name))):
        later = {name: value for name, value in later.items() if name not in _PROMPT or name not in usage}
    for name, value in later.items():
        if value is not None and (name not in usage or name in _PROMPT or not _counts_nothing(value)):
            usage[name] = value


def _counts_nothing(value: object) -> bool:
    """Whether a value is null, zero, or an object of such values."""
    if isinstance(value, dict):
        return all(map(_counts_nothing, cast("JsonObject", value).values()))
    return not value or value == "0"
