"""Numbers for the tool calls of one choice of a stream, which are distinguished by index, id and name together. No I/O.

OpenAI gives each call an index, and its id and name once. Servers that are compatible with it leave out the index or
the id, give all calls the index 0, repeat the id or the name in every fragment, give one call two indexes, or send a
call a second time as a whole. The rules, by what a fragment has:

- a known id continues its call, whatever the index; a call that was complete and is sent again is not appended, and
  one that then has other arguments is another call;
- an unknown id begins a call, except that it is the late id of a call without one, and that servers which make a new
  id for every fragment do not repeat the name with it;
- without an id, another name than that of the call at this index begins a call, and so does the same name once the
  call's arguments are complete, unless the server repeats the name and the fragment has no arguments: that ends a call;
- without id and name, the fragment continues the call at its index, and the last call if there is none.

A call keeps the server's index as its number, unless it has none or another call has it.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...codecs.json import loads
from ...codecs.lenient import NotJSONError
from ...records.chunks import CustomDelta, FunctionDelta, ToolCallDelta

_MAX_CHECKS = 1000
"""Times that the arguments of one call are parsed to learn whether they are complete: each time costs their length."""


class _Call:
    """A tool call that has begun."""

    __slots__ = ("arguments", "checks", "id", "name", "number", "repeated", "repeats_name", "size")

    def __init__(self, number: int) -> None:
        self.number = number
        self.id = self.name = ""
        self.repeats_name = False
        """Whether the name came in several fragments of this call, or of the one at its index before it."""
        self.arguments: list[str] = []
        """Pieces; the accumulator has the same texts, so that this takes little memory."""
        self.size = 0
        """Characters of the arguments."""
        self.checks = 0
        """Times that the arguments were parsed."""
        self.repeated: dict[int | None, int] = {}
        """Index under which the call is sent again → how many characters of its arguments were."""

    def text(self) -> str:
        """The arguments so far."""
        if len(self.arguments) > 1:
            self.arguments[:] = ["".join(self.arguments)]
        return self.arguments[0] if self.arguments else ""

    def is_complete(self) -> bool:
        """Whether the arguments are a whole JSON object, to which nothing can be appended."""
        if not self.arguments or not self.arguments[-1].rstrip().endswith("}") or self.checks == _MAX_CHECKS:
            return False
        self.checks += 1
        try:
            return isinstance(loads(self.text().encode("utf-8", "replace")), dict)
        except NotJSONError:
            return False


class OpenAIToolCallNumbers:
    """Numbers for the tool calls of one choice."""

    __slots__ = ("_at", "_by_id", "_highest", "_last", "_numbers")

    def __init__(self) -> None:
        self._at: dict[int | None, _Call] = {}
        """The server's index → the last call with it."""
        self._by_id: dict[str, _Call] = {}
        self._last: _Call | None = None
        self._numbers: set[int] = set()
        self._highest = -1

    def number(self, deltas: Sequence[ToolCallDelta]) -> None:
        """Sets the index of each fragment to the number of its call, and removes repeated arguments."""
        for delta in deltas:
            index = delta.index
            part = delta.function or delta.custom
            name = part.name if part is not None else None
            if delta.id or name or index not in self._at:
                call = self._find(index, delta.id, name, part)
            else:
                call = self._at[index]
            if index is not None:
                self._at[index] = call
            self._last = call
            delta.index = call.number
            if part is not None and not _append(call, index, part):
                self._begin_again(call, index, delta, part)

    def _find(
        self, index: int | None, call_id: str | None, name: str | None, part: FunctionDelta | CustomDelta | None
    ) -> _Call:
        """The call of a fragment that has an id, a name or an unknown index; a new one if none fits."""
        current = self._at.get(index) if index is not None else self._last
        call = self._known(index, call_id, name, part) if call_id else None
        if call is None:
            if current is not None and not _starts(current, index, call_id, name, part):
                call = current
            elif not call_id and not name and self._last is not None:
                call = self._last  # an index that no call began with
            else:
                call = self._begin(index)
                call.repeats_name = current is not None and current.repeats_name
        if call_id and not call.id:
            call.id = call_id
        if call_id:
            self._by_id[call_id] = call
        if name:
            call.repeats_name = call.repeats_name or bool(call.name)
            call.name = call.name or name
        return call

    def _known(
        self, index: int | None, call_id: str, name: str | None, part: FunctionDelta | CustomDelta | None
    ) -> _Call | None:
        """The call with this id, unless the fragment is another call with the same id."""
        call = self._by_id.get(call_id)
        if call is None or not name:
            return call
        if call.name and name != call.name:
            return None
        piece = _piece(part)
        is_moved = self._at.get(index) is not call
        is_same = is_moved and 0 < len(piece) == call.size and piece == call.text()
        if is_same or call.is_complete():
            if piece and not call.text().startswith(piece):
                return None
            call.repeated[index] = 0
        return call

    def _begin_again(
        self, like: _Call, index: int | None, delta: ToolCallDelta, part: FunctionDelta | CustomDelta
    ) -> None:
        """Makes a fragment the beginning of a call that has the id of another one, and until now its arguments."""
        start = like.repeated.pop(index)
        call = self._begin(index)
        call.id, call.name = like.id, like.name
        self._at[index] = self._by_id[like.id] = self._last = call
        delta.index, delta.id, part.name = call.number, call.id, call.name
        _set_piece(part, like.text()[:start] + _piece(part))
        _append(call, index, part)

    def _begin(self, index: int | None) -> _Call:
        """A new call, with the server's index as its number if that is free."""
        is_free = index is not None and index >= 0 and index not in self._numbers
        call = _Call(index if is_free and index is not None else self._highest + 1)
        self._numbers.add(call.number)
        self._highest = max(self._highest, call.number)
        return call


def _starts(
    current: _Call,
    index: int | None,
    call_id: str | None,
    name: str | None,
    part: FunctionDelta | CustomDelta | None,
) -> bool:
    """Whether a fragment, whose id is not known, begins a call, rather than continuing the current one."""
    if call_id and current.id:
        return index is None or bool(name)
    if not name or not current.name:
        return False
    return name != current.name or (current.is_complete() and not (current.repeats_name and not _piece(part)))


def _piece(part: FunctionDelta | CustomDelta | None) -> str:
    """The piece of the arguments in a fragment."""
    if part is None:
        return ""
    return (part.arguments if isinstance(part, FunctionDelta) else part.input) or ""


def _append(call: _Call, index: int | None, part: FunctionDelta | CustomDelta) -> bool:
    """Appends a piece of the arguments, unless the call has it and is sent again.

    Returns False for a piece that is not of this call, but of another one with its id.
    """
    piece = _piece(part)
    if not piece:
        return True
    if call.repeated and index in call.repeated:
        start = call.repeated[index]
        if not call.text().startswith(piece, start):
            return False
        call.repeated[index] = start + len(piece)
        _set_piece(part, "")
        return True
    call.arguments.append(piece)
    call.size += len(piece)
    return True


def _set_piece(part: FunctionDelta | CustomDelta, piece: str) -> None:
    if isinstance(part, FunctionDelta):
        part.arguments = piece
    else:
        part.input = piece
