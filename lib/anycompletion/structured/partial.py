"""Partial values: what a JSON text that is still arriving is so far, as plain data.

Strings grow; numbers, true, false and null appear when they are complete, and a member when its value begins.
"""

from __future__ import annotations

from typing import Any

import attrs
import msgspec

from .json_scanner import JSONScanner
from .mismatch import ValueMismatch
from .types.json_text import check_nesting, read_json
from .types.type_node import is_object

_decode = msgspec.json.Decoder().decode


@attrs.frozen
class Partial:
    """A typed reply so far, as plain data that is not validated."""

    data: Any
    """Dicts, lists, strings, numbers, booleans and None: a value of its own, which nothing changes later."""
    open: tuple[str | int, ...] | None
    """Where in `data` the object, list or string is that is still being written: keys and indexes, () for `data`
    itself. All that is not on this path is final; None if all is."""
    finished: bool
    """Whether the value has arrived as a whole."""


class PartialScanner(JSONScanner):
    """Scanner that makes data of the text so far.

    Args:
        is_wrapped: whether the data is the member ``value`` of the object.
        is_embedded: whether any text may surround the object.
    """

    __slots__ = ("_is_wrapped", "_read_end")

    def __init__(self, *, is_wrapped: bool = False, is_embedded: bool = False) -> None:
        super().__init__(is_embedded=is_embedded)
        self._is_wrapped = is_wrapped

    def _reset(self) -> None:
        super()._reset()
        self._read_end = 0
        """The end of what the last partial was made of."""

    def read(self) -> Partial | None:
        """The data so far; None if there is none yet, or it is that of the last time."""
        if self._end == self._read_end or self.failed:
            return None
        self._read_end = self._end
        text = self._text()
        quote = '"' if self._is_in_string else ""
        brackets = "".join([container.bracket for container in reversed(self._stack)])
        try:
            data = loads(f"{text[: self._end]}{quote}{brackets}")
        except ValueMismatch:  # a number that is larger than a float can be
            self.failed = True
            return None
        path = self._open_path(text, data)
        if not self._is_wrapped:
            return Partial(data, path, self.finished)
        if "value" not in data:
            return None
        is_open = path is not None and path[:1] == ("value",)
        return Partial(data["value"], path[1:] if path is not None and is_open else None, self.finished)

    def _open_path(self, text: str, data: Any) -> tuple[str | int, ...] | None:
        path: list[str | int] = []
        for container in self._stack if self._is_in_string else self._stack[:-1]:
            is_array = container.bracket == "]"
            path.append(len(data) - 1 if is_array else loads(text[container.key_start : container.key_end]))
            data = data[path[-1]]
        return tuple(path) if self._stack else None

    def _text(self) -> str:
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0]


def partial_data(text: str, *, is_wrapped: bool = False) -> Any:
    """The data of a text that was cut, as far as it came; None if there is none."""
    scanner = PartialScanner(is_wrapped=is_wrapped, is_embedded=True)
    scanner.feed(text)
    partial = scanner.read()
    return None if partial is None else partial.data


@attrs.frozen
class PlainData:
    """A plan that reads JSON as plain data."""

    is_wrapped: bool
    """Whether the data is the member ``value`` of an object made for it, which models may leave out."""

    def decode(self, data: bytes) -> Any:
        """The data.

        Raises:
            ValueMismatch: the text is not JSON, or not an object where there has to be one.
        """
        check_nesting(data)
        value = _loads(data)
        if not self.is_wrapped and not is_object(value):
            raise ValueMismatch("an object")
        return value.get("value", value) if self.is_wrapped and is_object(value) else value


def loads(text: str) -> Any:
    """The value of a JSON text that is not nested too deeply.

    Raises:
        ValueMismatch: the text is not JSON.
    """
    return _loads(utf8(text))


def _loads(data: bytes) -> Any:
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return read_json(data)


def utf8(text: str) -> bytes:
    """`text` in UTF-8, with U+FFFD in place of lone surrogates, which middleware may have left in it."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
