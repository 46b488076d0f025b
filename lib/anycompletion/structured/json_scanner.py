"""Incremental scanner of one JSON object in a text that arrives in pieces; decodes nothing.

A state machine that looks at each character once, however the text is cut. It knows at any time up to where the text is
a value that lacks only closing quotes and brackets. Texts with raw control characters are accepted, as
`codecs.json.loads` does; NaN and infinities are not.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias, cast

from ..codecs.lenient import MAX_DEPTH

_SPACE = r"[ \t\r\n]*+"
_STRING = r'"[^"\\]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\]*+)*+"'
_SCALAR = r"(?:-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?|true|false|null)"

_AlwaysMatch: TypeAlias = Callable[[str, int], re.Match[str]]
"""Matches a pattern that matches anywhere, if only nothing."""

_skip_space = cast("_AlwaysMatch", re.compile(_SPACE).match)
_match_word = cast("_AlwaysMatch", re.compile(r"[-+.0-9A-Za-z]*+").match)
_match_scalar = re.compile(_SCALAR).fullmatch

_COMMA, _COLON = rf"{_SPACE},{_SPACE}", rf"{_SPACE}:{_SPACE}"
_PLAIN = rf"(?:{_STRING}|{_SCALAR})"
_PLAIN_ITEMS = rf"\[{_SPACE}(?:{_PLAIN}(?:{_COMMA}{_PLAIN})*+{_SPACE})?\]"
_PLAIN_MEMBER = rf"{_STRING}{_COLON}(?:{_PLAIN}|{_PLAIN_ITEMS})"
_PLAIN_MEMBERS = rf"\{{{_SPACE}(?:{_PLAIN_MEMBER}(?:{_COMMA}{_PLAIN_MEMBER})*+{_SPACE})?\}}"
_match_members = re.compile(rf"(?:{_SPACE}{_PLAIN_MEMBER}{_SPACE},)++").match
_match_items = re.compile(rf"(?:{_SPACE}(?:{_PLAIN}|{_PLAIN_MEMBERS}|{_PLAIN_ITEMS}){_SPACE},)++").match
"""Members of an object, and items of an array, that have little in them and are followed by a comma. Of a large piece
they are the most, and are read in one step."""

_LOW_HALF = r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_CUT_LOW_HALF = r"(?:\\(?:u(?:[dD](?:[c-fC-F][0-9a-fA-F]?)?)?)?)?"
_HIGH_HALF = r"\\u[dD][89abAB][0-9a-fA-F]{2}"
"""Escapes of the halves of a character beyond U+FFFF."""

_SETTLED = (
    rf'(?:[^"\\]++|\\["\\/bfnrt]|\\u(?![dD][89abAB])[0-9a-fA-F]{{4}}'
    rf"|{_HIGH_HALF}{_LOW_HALF}|{_HIGH_HALF}(?!{_CUT_LOW_HALF}\Z))*+"
)
_match_settled = cast("_AlwaysMatch", re.compile(_SETTLED).match)
"""The part of a string that later pieces cannot change: it does not end in an escape or a character that is cut off."""

_match_cut_escape = re.compile(rf"\\(?:u[0-9a-fA-F]{{0,3}})?|{_HIGH_HALF}{_CUT_LOW_HALF}").fullmatch

_MAX_SCALAR = 4_300
"""Characters of a number that may still go on; Python converts no integer with more digits."""

_match_preamble = re.compile(r"[\ufeff \t\r\n]*+(?:```[-+\w]*+[ \t\r\n]*+)?").fullmatch
_MAX_PREAMBLE = 1_000
"""What may stand before any object, and its characters: white space, and the first line of a code fence."""

_MAX_STARTS = 16
"""Brackets in a text that are tried as the beginning of the object."""

Step: TypeAlias = Callable[["JSONScanner", str, int], int]
"""Reads what one state expects, from a position on; returns the position after it, or the same position if it has not
arrived yet."""


class OpenContainer:
    """An object or array that is open."""

    __slots__ = ("bracket", "key_end", "key_start", "start")

    def __init__(self, bracket: str, start: int) -> None:
        self.bracket = bracket
        """The bracket that closes it."""
        self.start = start
        """Where it begins in the text."""
        self.key_start = self.key_end = 0
        """Where the key of an object's last member is in the text, with its quotes."""


class JSONScanner:
    """Scanner of the first JSON object in a text.

    Args:
        is_embedded: whether any text may surround the object, which then is the first one in it; otherwise only white
            space, a byte-order mark and a code fence may.
    """

    __slots__ = (
        "_end",
        "_is_embedded",
        "_is_in_string",
        "_length",
        "_new",
        "_pieces",
        "_stack",
        "_starts",
        "_step",
        "_string_start",
        "_tail",
        "failed",
        "finished",
    )

    _SKIPPED_IN = 1
    """Number of open containers from which on several members are read in one step."""

    def __init__(self, *, is_embedded: bool = False) -> None:
        self._is_embedded = is_embedded
        self._starts = 1
        self.failed = False
        """Whether the text is no JSON, whatever follows."""
        self.finished = False
        """Whether the value is complete."""
        self._reset()

    def _reset(self) -> None:
        self._step: Step | None = None
        """What comes next; None before the value begins."""
        self._tail: str = ""
        """The last characters, if they cannot be read before more arrive."""
        self._pieces: list[str] = []
        """The value so far, without the tail."""
        self._new: str = ""
        """The piece that is being scanned, which is not yet one of the pieces."""
        self._length = 0
        """Characters of the pieces."""
        self._stack: list[OpenContainer] = []
        self._is_in_string = False
        """Whether a string that is a value is open."""
        self._string_start = 0
        """Where the last such string began."""
        self._end = 0
        """End of the last complete value, opening bracket, or settled part of a string."""

    def feed(self, text: str) -> None:
        """Adds the next piece of the text; what follows the value is ignored."""
        if self.finished or self.failed:
            return
        self._scan(text)
        while self._starts_again():
            rest = "".join((*self._pieces, self._tail))[1:]
            self.failed = False
            self._reset()
            self._scan(rest)

    def _starts_again(self) -> bool:
        """Whether what failed was a bracket of the text around the object; broken JSON is not read from its middle."""
        if not (self.failed and self._is_embedded):
            return False
        self._starts += 1
        is_prose = len(self._stack) == 1 and self._step is JSONScanner._read_first_key
        return is_prose and self._starts <= _MAX_STARTS

    def _scan(self, text: str) -> None:
        text = self._tail + text
        self._tail = ""
        if self._step is None:
            start = self._root(text)
            if start < 0:
                return
            text, self._step = text[start:], JSONScanner._read_value
        self._new = text
        position, end, reached = 0, len(text), -1
        while reached != position != end and not self.finished:
            reached, position = position, self._step(self, text, position)
        self._tail = text[position:]
        self._new = ""
        self._pieces.append(text[:position])
        self._length += position

    def _root(self, text: str) -> int:
        """Where the value begins; -1 if it has not begun."""
        start = text.find("{")
        if not self._is_embedded and (start < 0 or not _match_preamble(text, 0, start)):
            self._tail = text
            self.failed = start >= 0 or len(text) > _MAX_PREAMBLE
            return -1
        return start

    # --- steps ---

    def _read_value(self, text: str, position: int) -> int:
        position = _skip_space(text, position).end()
        match text[position : position + 1]:
            case '"':
                self._is_in_string = True
                self._string_start = self._length + position
                self._end = self._string_start + 1
                self._step = JSONScanner._read_string
                return position + 1
            case "{":
                return self._open("}", position, JSONScanner._read_first_key)
            case "[":
                return self._open("]", position, JSONScanner._read_first_item)
            case "":
                return position
            case _:
                return self._read_scalar(text, position)

    def _read_scalar(self, text: str, position: int) -> int:
        end = _match_word(text, position).end()
        if end == len(text) and end - position <= _MAX_SCALAR:
            return position  # it may go on
        if end == len(text) or not _match_scalar(text, position, end):
            return self._fail(position)
        self._ended(self._length + end)
        return end

    def _read_string(self, text: str, position: int) -> int:
        end = _match_settled(text, position).end()
        self._end = self._length + end
        if text[end : end + 1] != '"':
            return self._wait_for_escape(text, end)
        self._is_in_string = False
        self._ended(self._length + end + 1)
        return end + 1

    def _wait_for_escape(self, text: str, position: int) -> int:
        """The same position; the string goes on, unless an escape is invalid."""
        is_valid = position == len(text) or _match_cut_escape(text, position)
        return position if is_valid else self._fail(position)

    def _read_first_item(self, text: str, position: int) -> int:
        position = _skip_space(text, position).end()
        match text[position : position + 1]:
            case "]":
                return self._close("]", position)
            case "":
                return position
            case _:
                return self._read_item(text, position)

    def _read_item(self, text: str, position: int) -> int:
        items = _match_items(text, position)
        if items is None:
            self._step = JSONScanner._read_value
            return self._read_value(text, position)
        self._end = self._length + items.end() - 1  # without the comma
        self._step = JSONScanner._read_item
        return items.end()

    def _read_first_key(self, text: str, position: int) -> int:
        position = _skip_space(text, position).end()
        return self._close("}", position) if text[position : position + 1] == "}" else self._read_key(text, position)

    def _read_key(self, text: str, position: int) -> int:
        members = _match_members(text, position) if len(self._stack) >= self._SKIPPED_IN else None
        if members is not None:
            position = members.end()
            self._end = self._length + position - 1  # without the comma
            self._step = JSONScanner._read_key
        position = _skip_space(text, position).end()
        if position == len(text):
            return position
        if text[position] != '"':
            return self._fail(position)
        self._stack[-1].key_start = self._length + position
        self._step = JSONScanner._read_rest_of_key
        return position + 1

    def _read_rest_of_key(self, text: str, position: int) -> int:
        end = _match_settled(text, position).end()
        if text[end : end + 1] != '"':
            return self._wait_for_escape(text, end)
        self._stack[-1].key_end = self._length + end + 1
        self._step = JSONScanner._read_colon
        return end + 1

    def _read_colon(self, text: str, position: int) -> int:
        position = _skip_space(text, position).end()
        if position == len(text):
            return position
        if text[position] != ":":
            return self._fail(position)
        self._step = JSONScanner._read_value
        return position + 1

    def _read_separator(self, text: str, position: int) -> int:
        position = _skip_space(text, position).end()
        if position == len(text):
            return position
        if text[position] != ",":
            return self._close(text[position], position)
        self._step = JSONScanner._read_key if self._stack[-1].bracket == "}" else JSONScanner._read_item
        return position + 1

    # --- what steps do ---

    def _open(self, bracket: str, position: int, step: Step) -> int:
        if len(self._stack) == MAX_DEPTH:
            return self._fail(position)
        self._stack.append(OpenContainer(bracket, self._length + position))
        self._end = self._length + position + 1
        self._step = step
        return position + 1

    def _close(self, bracket: str, position: int) -> int:
        if bracket != self._stack[-1].bracket:
            return self._fail(position)
        self._stack.pop()
        self._ended(self._length + position + 1)
        return position + 1

    def _ended(self, end: int) -> None:
        """A value ended, at this position of the whole text."""
        self._end = end
        if self._stack:
            self._step = JSONScanner._read_separator
        else:
            self.finished = True

    def _fail(self, position: int) -> int:
        self.failed = True
        return position
