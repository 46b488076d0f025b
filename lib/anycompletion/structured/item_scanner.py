"""Items of a list in a JSON text that is still arriving: the JSON of each one as soon as it is complete."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import msgspec

from .json_scanner import JSONScanner, Step
from .partial import loads, utf8

_split = msgspec.json.Decoder(list[msgspec.Raw]).decode

_DEPTH = 2
"""Containers that are open where the list's items are: the object around it, and the list."""


class ItemScanner(JSONScanner):
    """Scanner that splits the list which is the member ``value`` of the object."""

    __slots__ = ("_begin", "_dropped", "_list_end")

    _SKIPPED_IN = _DEPTH

    def _reset(self) -> None:
        super()._reset()
        self._begin: int | None = None
        """Where the items begin that were not taken yet; None before the list."""
        self._list_end: int | None = None
        """Where the list ends; None before."""
        self._dropped = 0
        """Characters at the beginning of the text that are not kept any more."""

    @property
    def has_all(self) -> bool:
        """Whether the list has ended."""
        return self._list_end is not None

    def take(self) -> list[bytes]:
        """The JSON of the items that have become complete since the last time."""
        begin = self._begin
        if begin is None:
            return []
        end = self._items_end()
        if end == begin:
            return []
        text, start = "".join(self._pieces), self._dropped
        self._pieces = [text[end - start :]]
        self._begin = self._dropped = end
        return _items(text[begin - start : end - start].strip(", \t\r\n"))

    def _items_end(self) -> int:
        """The end of the last complete item, or where the one after it begins."""
        if self._list_end is not None:
            return self._list_end
        if len(self._stack) > _DEPTH:
            return self._stack[_DEPTH].start
        return self._string_start if self._is_in_string else self._end

    def _open(self, bracket: str, position: int, step: Step) -> int:
        reached = super()._open(bracket, position, step)
        if bracket == "]" and len(self._stack) == _DEPTH and self._begin is None:
            text, around = "".join((*self._pieces, self._new)), self._stack[0]
            if loads(text[around.key_start : around.key_end]) == "value":
                self._begin = self._end
        return reached

    def _close(self, bracket: str, position: int) -> int:
        if len(self._stack) == _DEPTH and self._begin is not None and self._list_end is None:
            self._list_end = self._length + position
        return super()._close(bracket, position)


def _items(text: str) -> list[bytes]:
    """The JSON of each item, of a list without its brackets."""
    try:
        return [bytes(item) for item in _split(utf8(f"[{text}]"))]
    except msgspec.DecodeError:  # control characters or lone surrogates
        return [utf8(text[start:end]) for start, end in _spans(text)]


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """The begin and the end of each item, of a list without its brackets."""
    end = 0
    while begin := re.compile(r"[^,\s]").search(text, end):
        _, end = _find_end(text, begin.start())
        yield begin.start(), end


_find_end = json.JSONDecoder(parse_int=str, parse_float=str, strict=False).raw_decode
