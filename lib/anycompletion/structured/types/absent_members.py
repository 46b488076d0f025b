"""Nulls that stand for members left out: strict schemas have no optional members, so that models write null for them.

The types that are compiled here read such nulls by themselves; this is for data that pydantic validates.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias, cast

from .type_node import is_array

Path: TypeAlias = Sequence[str | int]
"""Members and indexes from the root of data to a place in it."""


def without_optional_nulls(data: Any, paths: Iterable[Path], schema: dict[str, Any]) -> Any:
    """A copy of the data without the members at `paths` that are null and that the schema does not require.

    Args:
        data: plain JSON data.
        paths: places whose values do not fit.
        schema: the schema of the data, with its ``$defs``.

    Returns:
        The data itself where there is no such member.
    """
    removed: _Places = {}
    for path in paths:
        if path and _is_null(data, path) and _is_optional(schema, path):
            places = removed
            for part in path:
                places = places.setdefault(part, {})
    return _without(data, removed) if removed else data


_Places: TypeAlias = "dict[str | int, _Places]"
"""Members and indexes, each with places inside of it; a member without such is removed itself."""


def _is_null(data: Any, path: Path) -> bool:
    for part in path:
        data = data[part]
    return data is None


def _without(data: Any, removed: _Places) -> Any:
    if is_array(data):
        return [_without(item, removed[at]) if at in removed else item for at, item in enumerate(data)]
    return {
        name: _without(item, removed[name]) if name in removed else item
        for name, item in data.items()
        if removed.get(name) != {}
    }


def _is_optional(schema: dict[str, Any], path: Path) -> bool:
    """Whether the schema has the member at a path, and does not require it."""
    name, here = path[-1], [*_choices(schema, schema, ())]
    for part in path[:-1]:
        here = [choice for each in here for below in _below(each, part) for choice in _choices(below, schema, ())]
    return any(name in each.get("properties", ()) and name not in each.get("required", ()) for each in here)


def _below(schema: dict[str, Any], part: str | int) -> Iterator[dict[str, Any]]:
    """The schemas of a member or an item."""
    if isinstance(part, str):
        found = schema.get("properties", {}).get(part, schema.get("additionalProperties"))
    else:
        first = schema.get("prefixItems", ())
        found = first[part] if part < len(first) else schema.get("items")
    if isinstance(found, dict):
        yield cast("dict[str, Any]", found)


def _choices(schema: dict[str, Any], root: dict[str, Any], seen: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """The schema, and those that it refers to or combines."""
    yield schema
    target = str(schema.get("$ref", ""))
    if target.startswith("#/$defs/") and target not in seen:
        yield from _choices(root["$defs"][target.removeprefix("#/$defs/")], root, (*seen, target))
    for keyword in ("anyOf", "oneOf", "allOf"):
        for each in schema.get(keyword, ()):
            yield from _choices(each, root, seen)
