"""Characters that a stream cuts in two: joins the halves of surrogate pairs that come in different pieces of a text.

JSON writes a character beyond U+FFFF as two escapes, and some servers put these into different events. Each half alone
is no text: it cannot be encoded, so it waits here for the other one.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

_REPLACEMENT = "\ufffd"


class SplitCharacters:
    """First halves of characters, each waiting for the next piece of its text."""

    __slots__ = ("_halves",)

    def __init__(self) -> None:
        self._halves: dict[Hashable, str] = {}

    def __bool__(self) -> bool:
        return bool(self._halves)

    def join(self, text_id: Hashable, piece: str) -> str:
        """The piece with the half that waited for it, and without a half at its end.

        Args:
            text_id: identifies the text among those of the stream.
            piece: the next piece of that text, in which surrogates may be alone.
        """
        piece = self._halves.pop(text_id, "") + piece
        if "\ud800" <= piece[-1:] <= "\udbff":
            self._halves[text_id], piece = piece[-1], piece[:-1]
        return piece.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def waiting(self) -> Iterable[Hashable]:
        """The texts whose last piece ended in a half."""
        return tuple(self._halves)

    def give_up(self, text_id: Hashable) -> str:
        """U+FFFD for a half whose text has ended; "" if none waited."""
        return _REPLACEMENT if self._halves.pop(text_id, None) else ""
