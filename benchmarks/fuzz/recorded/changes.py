"""Changes of one field of a JSON document, and the conversions by which a field of another type is read.

The conversions follow the docstring of `anycompletion.codecs.lenient`; none of its code is used.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

Step = str | int
Path = tuple[Step, ...]

ABSENT: Final = object()
"""Marks a field that is left out, and a change that does not apply."""


class Place(NamedTuple):
    """A field or list item of a document."""

    path: Path
    pattern: str
    """The path without indices: `choices[].delta.content`; blocks show their type: `content[text].text`."""
    value: Any


def places(document: Any, opaque: re.Pattern[str], *, is_event: bool) -> Iterator[Place]:
    """Every field and list item, outermost first; nothing inside of places whose pattern is `opaque`.

    The patterns of an event begin with its type: `message_delta/usage`.
    """
    yield from _inside(document, (), f"{kind}/" if is_event and (kind := _type_of(document)) else "", opaque)


def _inside(value: Any, path: Path, pattern: str, opaque: re.Pattern[str]) -> Iterator[Place]:
    items: list[tuple[Step, str, Any]] = []
    if isinstance(value, dict):
        dot = "" if not pattern or pattern.endswith("/") else "."
        items = [(name, f"{pattern}{dot}{name}", item) for name, item in value.items()]
    elif isinstance(value, list):
        items = [(number, f"{pattern}[{_type_of(item)}]", item) for number, item in enumerate(value)]
    for step, inner, item in items:
        yield Place((*path, step), inner, item)
        if not opaque.fullmatch(inner):
            shown = f"{inner}<{kind}>" if isinstance(step, str) and (kind := _type_of(item)) else inner
            yield from _inside(item, (*path, step), shown, opaque)


def _type_of(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else None
    return kind if isinstance(kind, str) else ""


def changed(document: Any, path: Path, value: Any) -> Any:
    """A copy of `document` with the value of one place replaced, or left out if it is `ABSENT`."""
    step, *rest = path
    copy = dict(document) if isinstance(document, dict) else list(document)
    if rest:
        copy[step] = changed(document[step], tuple(rest), value)
    elif value is ABSENT:
        del copy[step]
    else:
        copy[step] = value
    return copy


# --- kinds of changes -------------------------------------------------------------------------------------------------


def _number_of_text(value: Any) -> Any:
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,15}(\.\d{1,6})?", value):
        return json.loads(value) if not re.match(r"-?0\d", value) else ABSENT
    return ABSENT


KINDS: Mapping[str, Callable[[Any], Any]] = {
    "null": lambda _: None,
    "missing": lambda _: ABSENT,
    "text": lambda _: "odd",
    "number": lambda _: 7,
    "true": lambda _: True,
    "object": lambda _: {"odd": 1},
    "list": lambda _: ["odd"],
    "nested": lambda value: {"value": value},
    "list of one": lambda value: [value],
    "its JSON as text": lambda value: ABSENT if isinstance(value, str) or value is None else _json_text(value),
    "its number": _number_of_text,
    "with a fraction": lambda value: float(value) if type(value) is int and abs(value) < 2**53 else ABSENT,
    "its only item": lambda value: value[0] if isinstance(value, list) and len(value) == 1 else ABSENT,
}
"""Name → the changed value for a value; `ABSENT` where the change does not apply."""


def applies(kind: str, place: Place) -> bool:
    """Whether a change gives the place a value of another type, and no list fewer items."""
    if kind == "missing":
        return isinstance(place.path[-1], str)
    value = KINDS[kind](place.value)
    if value is ABSENT:
        return False
    swaps = kind in ("null", "text", "number", "true", "object", "list")
    return not swaps or _type(value) is not _type(place.value)


def _type(value: Any) -> type:
    """The JSON type; whole numbers and fractions are one."""
    return float if type(value) is int else type(value)


# --- conversions ------------------------------------------------------------------------------------------------------

UNREADABLE: Final = object()
"""Marks a value that has no conversion."""

AMBIGUOUS: Final = object()
"""Marks a value that has several readings."""


def _json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def as_text(value: Any) -> Any:
    """What a text is read as: null is empty, a list of texts and nulls the sum of its texts, anything else its JSON."""
    if value is None or value is ABSENT:
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(item is None or isinstance(item, str) for item in value):
        return "".join(item for item in value if item is not None)
    return _json_text(value)


def as_object(value: Any) -> Any:
    """What an object is read as: itself, the only item of a list, or the JSON in a text."""
    if value is None or value is ABSENT:
        return None
    if isinstance(value, dict):
        return value
    if isinstance(value, list):
        return as_object(value[0]) if len(value) == 1 and value[0] is not None else UNREADABLE
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            return as_object(json.loads(value))
        except ValueError:
            return UNREADABLE
    return UNREADABLE


def as_objects(value: Any) -> Any:
    """What a list of objects is read as: its items without nulls; an object is a list of one."""
    if value is None or value is ABSENT:
        return None
    items = [value] if isinstance(value, dict) else value
    if not isinstance(items, list):
        return UNREADABLE
    found = [as_object(item) for item in items if item is not None]
    return UNREADABLE if UNREADABLE in found else found


def as_block(value: Any) -> Any:
    """What a content block is read as: as `as_object` reads it; another text is a block of text."""
    if isinstance(value, list) and len(value) == 1:
        return as_block(value[0])
    found = as_object(value)
    return {"type": "text", "text": value} if found is UNREADABLE and isinstance(value, str) else found


def as_blocks(value: Any) -> Any:
    """What a list of content blocks is read as: its items without nulls; a text is one block of text."""
    if isinstance(value, list):
        found = [as_block(item) for item in value if item is not None]
        return UNREADABLE if UNREADABLE in found else found
    return [{"type": "text", "text": value}] if isinstance(value, str) else as_objects(value)


def as_content(value: Any) -> Any:
    """What the content of a message is read as: a text, or a list of parts; a list of one list is that list."""
    if not isinstance(value, list):
        return as_text(value)
    if len(value) == 1 and isinstance(value[0], list):
        return as_content(value[0])
    return value if any(isinstance(item, dict) for item in value) else as_text(value)


def as_part(value: Any) -> Any:
    """What a content part is read as: as `as_object` reads it; others can be texts, or items of a structured reply."""
    found = as_object(value)
    return AMBIGUOUS if found is UNREADABLE else found


def as_choice_index(value: Any) -> Any:
    """What the index of a choice is read as: a count; servers leave out that of the only choice."""
    found = as_count(value)
    return UNREADABLE if found is None and value is not None and value is not ABSENT else found or 0


def as_word(value: Any) -> Any:
    """What a name such as a finish reason is read as: a text, a number as its text, or nothing."""
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _json_text(value)
    return as_word(value[0]) if isinstance(value, list) and len(value) == 1 else None


def as_count(value: Any) -> Any:
    """What a count is read as: a whole number without its fraction, the number in a text, or nothing."""
    match value:
        case bool():
            return None
        case int():
            return value
        case float():
            return int(value) if math.isfinite(value) else None
        case str():
            number = _number_of_text(value.strip())
            return None if number is ABSENT else as_count(number)
        case [item]:
            return as_count(item)
        case _:
            return None


def as_optional_object(value: Any) -> Any:
    """What an object that is not needed is read as: as `as_object` reads it, or nothing."""
    found = as_object(value)
    return None if found is UNREADABLE else found


def as_output(value: Any) -> Any:
    """What a model's output is read as, a text or a list of pieces, each of which is read as a text."""
    return "".join(as_text(item) or "" for item in value) if isinstance(value, list) else as_text(value)
