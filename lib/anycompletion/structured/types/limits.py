"""Limits and descriptions of a type, out of the metadata of `Annotated`; recognizes metadata by its attributes only.

That is `msgspec.Meta`, the classes of annotated_types, pydantic's `Field`, `Doc`, and bare strings as descriptions.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any, cast

import attrs

_BOUNDS = ("gt", "ge", "lt", "le", "multiple_of")
_SIZES = ("min_length", "max_length")
_NAMES = (*_BOUNDS, *_SIZES, "pattern", "tz")

_NUMBER_KEYWORDS = {
    "gt": "exclusiveMinimum",
    "ge": "minimum",
    "lt": "exclusiveMaximum",
    "le": "maximum",
    "multiple_of": "multipleOf",
}
_WORDS = {
    "gt": "greater than",
    "ge": "minimum",
    "lt": "less than",
    "le": "maximum",
    "multiple_of": "multiple of",
}
_SIZE_KEYWORDS = {
    "string": ("minLength", "maxLength"),
    "array": ("minItems", "maxItems"),
    "object": ("minProperties", "maxProperties"),
}

_TOLERANCE = 1e-9
"""Relative error of a quotient of floats that counts as a whole number: 1.15 is a multiple of 0.01."""


@attrs.frozen
class ValueLimits:
    """What values of a type must satisfy besides their type; None where there is no such limit."""

    gt: Any = None
    ge: Any = None
    lt: Any = None
    le: Any = None
    multiple_of: Any = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    tz: bool | None = None
    predicates: tuple[Callable[[Any], object], ...] = ()

    def names(self) -> set[str]:
        """The names of the limits that are set."""
        return {name for name in _NAMES if getattr(self, name) is not None}

    @property
    def on_numbers(self) -> bool:
        """Whether values must have an order."""
        return not self.names().isdisjoint(_BOUNDS)

    @property
    def on_sizes(self) -> bool:
        """Whether values must have a size."""
        return not self.names().isdisjoint(_SIZES)

    def allow(self, value: Any) -> bool:
        """Whether a value is within the limits."""
        return (
            self._allow_number(value)
            and (self.min_length is None or len(value) >= self.min_length)
            and (self.max_length is None or len(value) <= self.max_length)
            and (self.pattern is None or re.search(self.pattern, value) is not None)
            and (self.tz is None or (value.tzinfo is not None) is self.tz)
            and all(predicate(value) for predicate in self.predicates)
        )

    def _allow_number(self, value: Any) -> bool:
        return (
            (self.gt is None or value > self.gt)
            and (self.ge is None or value >= self.ge)
            and (self.lt is None or value < self.lt)
            and (self.le is None or value <= self.le)
            and (self.multiple_of is None or _is_multiple(value, self.multiple_of))
        )

    def words(self, kind: str) -> list[str]:
        """The limits that JSON Schema cannot express for a type of JSON, for people and models."""
        is_number = kind in {"integer", "number"}
        found = [f"{word} {getattr(self, name)}" for name, word in _WORDS.items() if getattr(self, name) is not None]
        found = [] if is_number else found
        if self.tz is not None:
            found.append("with a time zone" if self.tz else "without a time zone")
        return found + [f"for which {getattr(each, '__name__', 'a condition')} is true" for each in self.predicates]

    def keywords(self, kind: str) -> dict[str, Any]:
        """The keywords of JSON Schema for a type of JSON; those that JSON Schema cannot express are left out."""
        found: dict[str, Any] = {}
        if kind in {"integer", "number"}:
            for name, keyword in _NUMBER_KEYWORDS.items():
                bound = getattr(self, name)
                if isinstance(bound, (int, float)) and math.isfinite(bound):
                    found[keyword] = bound
        if kind in _SIZE_KEYWORDS:
            for keyword, size in zip(_SIZE_KEYWORDS[kind], (self.min_length, self.max_length), strict=True):
                if size is not None:
                    found[keyword] = size
        if self.pattern is not None:
            found["pattern"] = self.pattern
        return found


def _is_multiple(value: Any, unit: Any) -> bool:
    if isinstance(value, float) or isinstance(unit, float):
        quotient = float(value) / float(unit)
        return abs(quotient - round(quotient)) <= _TOLERANCE * max(1.0, abs(quotient))
    return bool(value % unit == 0)


@attrs.define
class TypeNotes:
    """The metadata of one `Annotated`."""

    limits: ValueLimits = ValueLimits()
    schema: dict[str, Any] = attrs.Factory(dict[str, Any])
    """Members for the JSON Schema: description, title, examples, and those of `Meta(extra_json_schema=…)`."""


def read_notes(metadata: Iterable[Any]) -> TypeNotes:
    """The limits and descriptions in metadata; of two values for the same one the last counts.

    Raises:
        ValueError: a limit is invalid.
    """
    notes = TypeNotes()
    for item in _flat(metadata):
        text = item if isinstance(item, str) else _attribute(item, "description") or _attribute(item, "documentation")
        if isinstance(text, str):
            notes.schema["description"] = text
        for name in ("title", "examples", "extra_json_schema"):
            value = _attribute(item, name)
            if isinstance(value, dict):
                notes.schema |= cast("dict[str, Any]", value)
            elif value and not isinstance(item, str):
                notes.schema[name] = value
        notes.limits = attrs.evolve(notes.limits, **_limits_of(item))
        if type(item).__name__ == "Predicate":
            predicates = (*notes.limits.predicates, cast("Any", item).func)
            notes.limits = attrs.evolve(notes.limits, predicates=predicates)
    return notes


def _flat(metadata: Iterable[Any]) -> Iterator[Any]:
    """Metadata, with the parts of grouped metadata (annotated_types) and of pydantic's `Field` after the whole."""
    for item in metadata:
        yield item
        if getattr(item, "__is_annotated_types_grouped_metadata__", False) is True:
            yield from _flat(item)
        elif isinstance(parts := _attribute(item, "metadata"), list):
            yield from _flat(cast("list[Any]", parts))


def _attribute(item: object, name: str) -> Any:
    """An attribute that is data and no method, as a text has them."""
    if isinstance(item, (str, type)):
        return None
    value = getattr(item, name, None)
    return None if callable(value) else value


def _limits_of(item: object) -> dict[str, Any]:
    found = {name: value for name in _NAMES if (value := _attribute(item, name)) is not None}
    if isinstance(pattern := found.get("pattern"), re.Pattern):
        found["pattern"] = cast("re.Pattern[str]", pattern).pattern
    if "pattern" in found:
        re.compile(found["pattern"])
    if "multiple_of" in found and not (
        isinstance(found["multiple_of"], (int, float, Decimal)) and found["multiple_of"] > 0
    ):
        raise ValueError("multiple_of must be a positive number")
    return found
