"""Short texts that match regular expressions; never raises for a pattern that it does not know."""

from __future__ import annotations

import re

_CLASSES = {"d": "0", "w": "a", "s": " ", "D": "a", "W": " ", "S": "a"}
"""Letter of a class of characters → one of them."""

_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}
_CANDIDATES = "a0A -_.@!~é\n"
"""Characters that are tried for a class that excludes others."""

_GROUP = re.compile(r"\?(?:(<?[=!])|:|P<\w+>)")
"""The start of a group; those that look ahead or behind have the first part."""

_MAX_REPEATS = 1_000


def pattern_sample(pattern: str) -> str | None:
    """A short text in which `pattern` matches; None if none is found."""
    try:
        expression = re.compile(pattern)
        text = _PatternReader(pattern).text()
    except (re.error, IndexError, ValueError, OverflowError, RecursionError):
        return None
    return text if expression.search(text) else None


class _PatternReader:
    """Reads a pattern from left to right, and makes the shortest text for each part."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    def text(self) -> str:
        """The text of the first alternative up to the end of the pattern or group; others are skipped."""
        first = self._sequence()
        while self._next_is("|"):
            self._sequence()
        return first

    def _sequence(self) -> str:
        parts: list[str] = []
        while self._at < len(self._pattern) and self._pattern[self._at] not in "|)":
            part = self._atom()
            parts.append(part * self._fewest_repeats())
        return "".join(parts)

    def _atom(self) -> str:
        character = self._take()
        match character:
            case "(":
                start = _GROUP.match(self._pattern, self._at)
                self._at = self._at if start is None else start.end()
                inner = self.text()
                self._take()
                # What only looks ahead or behind adds nothing; whether it agrees is seen when the text is tried.
                return "" if start is not None and start[1] else inner
            case "[":
                return self._class()
            case "\\":
                return self._escaped()
            case "^" | "$":
                return ""
            case ".":
                return "a"
            case _:
                return character

    def _escaped(self) -> str:
        letter = self._take()
        if letter in "bB":
            return ""
        return _CLASSES.get(letter) or _ESCAPES.get(letter) or letter

    def _class(self) -> str:
        start = self._at - 1
        self._next_is("^")
        self._next_is("]")
        while self._take() != "]":
            if self._pattern[self._at - 1] == "\\":
                self._take()
        whole = re.compile(self._pattern[start : self._at])
        characters = _CANDIDATES + "".join(map(chr, range(33, 127)))
        return next(each for each in characters if whole.fullmatch(each))

    def _fewest_repeats(self) -> int:
        found = re.compile(r"([*+?]|\{(\d+)(?:,\d*)?\})[?+]?").match(self._pattern, self._at)
        if found is None:
            return 1
        self._at = found.end()
        if found[2] is not None:
            return min(int(found[2]), _MAX_REPEATS)
        return 1 if found[1] == "+" else 0

    def _take(self) -> str:
        self._at += 1
        return self._pattern[self._at - 1]

    def _next_is(self, character: str) -> bool:
        """Whether `character` comes next; it is then skipped."""
        if self._pattern[self._at : self._at + 1] != character:
            return False
        self._at += 1
        return True
