"""Arguments of a function call that arrive as values at JSON paths. No I/O.

https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/function-calling#streaming-function-call-arguments
"""

from __future__ import annotations

import itertools
import re
from typing import Any, cast

from ...codecs.lenient import MAX_DEPTH, ShapeError, as_str
from ...records import JsonObject

_STEP = r"\.([^.\[\]]+)|\[(\d{1,6})\]|\['((?:[^'\\]|\\.)*)'\]|\[\"((?:[^\"\\]|\\.)*)\"\]"
_VALUES = ("stringValue", "numberValue", "boolValue", "nullValue")


class GeminiPartialArgs:
    """The arguments so far; the pieces of a text that continues are joined when the next value begins."""

    __slots__ = ("_args", "_open", "_pieces")

    def __init__(self, args: JsonObject) -> None:
        """`args` are those that the call began with."""
        self._args = args
        self._open: str | None = None
        """Path of the text that may continue."""
        self._pieces: list[str] = []

    def add(self, piece: JsonObject) -> None:
        """Adds a value, or a piece of a text.

        Raises:
            ShapeError: the path leads nowhere, or there is no value.
        """
        path = as_str(piece.get("jsonPath"))
        kind = next((name for name in _VALUES if name in piece), None)
        if kind == "stringValue" or (kind is None and path == self._open):
            if path != self._open:
                self._close()
                self._open = path
            self._pieces.append(as_str(piece.get("stringValue")))
            if piece.get("willContinue") is not True:
                self._close()
            return
        self._close()
        if kind is None:
            raise ShapeError("partialArgs", "a value", None)
        self._set(path, None if kind == "nullValue" else piece[kind])

    def complete(self) -> JsonObject:
        """The arguments."""
        self._close()
        return self._args

    def _close(self) -> None:
        if self._open is not None:
            path, text = self._open, "".join(self._pieces)
            self._open, self._pieces = None, []
            self._set(path, text)

    def _set(self, path: str, value: Any) -> None:
        steps = _steps(path)
        place: Any = self._args
        for step, following in itertools.pairwise(steps):
            place = _descend(place, step, [] if isinstance(following, int) else {}, path)
        _put(place, steps[-1], value, path)


def _steps(path: str) -> list[str | int]:
    """The names and indexes of a path such as ``$.a.b[0]``."""
    rest = path.removeprefix("$")
    if rest and rest[0] not in ".[":
        rest = f".{rest}"
    steps: list[str | int] = []
    at = 0
    while at < len(rest) and len(steps) < MAX_DEPTH:
        found = re.compile(_STEP).match(rest, at)
        if found is None:
            break
        name, index, *quoted = found.groups()
        text = next((part for part in quoted if part is not None), name)
        steps.append(int(index) if index is not None else cast("str", text))
        at = found.end()
    if not steps or at < len(rest) or isinstance(steps[0], int):
        raise ShapeError("partialArgs.jsonPath", "a path to an argument", path)
    return steps


def _descend(place: Any, step: str | int, empty: Any, path: str) -> Any:
    """The value at a step, which is `empty` if there is none."""
    found = _get(place, step)
    if found is None:
        _put(place, step, empty, path)
        return empty
    return found


def _get(place: Any, step: str | int) -> Any:
    if isinstance(place, dict):
        return cast("JsonObject", place).get(str(step))
    items = cast("list[Any]", place) if isinstance(place, list) else []
    return items[step] if isinstance(step, int) and step < len(items) else None


def _put(place: Any, step: str | int, value: Any, path: str) -> None:
    if isinstance(place, dict):
        cast("JsonObject", place)[str(step)] = value
        return
    items = cast("list[Any]", place) if isinstance(place, list) else None
    if items is None or not isinstance(step, int) or step > len(items):
        raise ShapeError("partialArgs.jsonPath", "a path to an argument", path)
    if step == len(items):
        items.append(value)
    else:
        items[step] = value
