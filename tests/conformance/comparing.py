"""Comparison of JSON values path by path."""

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

Facts = dict[str, Any]


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The scalars of a JSON value with their paths; nulls, empty lists and empty objects are left out."""
    match value:
        case dict():
            for name, item in value.items():
                yield from leaves(item, f"{path}.{name}" if path else str(name))
        case list():
            for index, item in enumerate(value):
                yield from leaves(item, f"{path}[{index}]")
        case None:
            return
        case _:
            yield path, value


def differences(ours: Any, theirs: Any) -> Facts:
    """Path → (ours, theirs), wherever two JSON values differ."""
    mine, other = dict(leaves(ours)), dict(leaves(theirs))
    return {
        path: (mine.get(path), other.get(path))
        for path in sorted(mine.keys() | other.keys())
        if mine.get(path) != other.get(path)
    }


def plain(model: BaseModel) -> Facts:
    """An SDK's object as JSON, including unknown members."""
    return model.model_dump(mode="json", by_alias=True, exclude_unset=True, warnings=False)


def canonical(value: Any) -> str:
    """JSON with sorted members."""
    return json.dumps(value, sort_keys=True)
