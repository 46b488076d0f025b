"""The usage of a stream whose server reports it several times, as it grows."""

from __future__ import annotations

from typing import Any, cast

import attrs

from .base import JsonObject, Record
from .completion import Usage


def latest_usage(earlier: Usage | None, later: Usage) -> Usage:
    """The usage of a stream after one more report of it, which replaces earlier ones count by count.

    A count that is missing or 0 replaces nothing: some servers report zeros at the end, or the counts in two halves.
    """
    if earlier is None or _replaces(earlier, later):
        return later
    merged: Usage = _latest(earlier, later)
    if None not in (merged.prompt_tokens, merged.completion_tokens, merged.total_tokens):
        merged.total_tokens = max(
            merged.total_tokens or 0, (merged.prompt_tokens or 0) + (merged.completion_tokens or 0)
        )
    return merged


def _replaces(earlier: Usage, later: Usage) -> bool:
    """Whether `later` has all that `earlier` has, as most reports do; a quick check, because some streams have many."""
    return bool(
        later.prompt_tokens
        and later.completion_tokens
        and later.total_tokens
        and (later.prompt_tokens_details is not None or earlier.prompt_tokens_details is None)
        and (later.completion_tokens_details is not None or earlier.completion_tokens_details is None)
        and (later.cost is not None or earlier.cost is None)
        and later.extra.keys() >= earlier.extra.keys()
    )


def _latest(earlier: Any, later: Any) -> Any:
    """`later`, with what it does not report filled in from `earlier`; both are records of one class, or values."""
    if isinstance(later, Record) and isinstance(earlier, Record):
        names = (attribute.name for attribute in attrs.fields(type(later)))
        return type(later)(**{name: _latest(getattr(earlier, name), getattr(later, name)) for name in names})
    if isinstance(later, dict) and isinstance(earlier, dict):
        return cast("JsonObject", earlier) | {name: value for name, value in cast("JsonObject", later).items() if value}
    is_silent = later is None or later == 0 or later == {}
    return cast("object", earlier) if is_silent and earlier is not None else cast("object", later)
