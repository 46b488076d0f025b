"""Assembly of the tool calls that Cohere's stream sends in pieces. No I/O.

A call is identified by its id, its index and its name together, because servers repeat and mix up each of them.
"""

from __future__ import annotations

from typing import Any

from ...codecs.lenient import ShapeError, as_optional_object, as_str, optional_str, unknown_fields
from ...records import JsonObject
from ...records.chunks import Delta, FunctionDelta, tool_call_delta
from ..shared import without_nulls
from .decode import CALL_FIELDS


class _GrowingCall:
    """A tool call that is not complete yet."""

    __slots__ = ("ended", "id", "index", "name", "native", "number", "pieces")

    def __init__(self, number: int, index: int | None, native: JsonObject) -> None:
        function = _function(native)
        self.number = number
        self.index = index
        self.native = native | {"function": function}
        self.id = optional_str(native.get("id")) or ""
        self.name = as_str(function.get("name"))
        self.pieces: list[str] = []
        self.ended = False

    def as_sent(self) -> JsonObject:
        """The call in Cohere's form, as far as it has arrived."""
        arguments = {"arguments": "".join(self.pieces) or "{}"}
        return self.native | {"function": self.native["function"] | arguments}


class CohereCalls:
    """The tool calls of one message."""

    __slots__ = ("_by_id", "_calls", "_last_at", "_legacy", "_open")

    def __init__(self, legacy: bool) -> None:
        self._legacy = legacy
        """Whether the reply uses `function_call`, which has a place for the first call only."""
        self._calls: list[_GrowingCall] = []
        self._by_id: dict[str, _GrowingCall] = {}
        """Id → the last call with it."""
        self._last_at: dict[int | None, _GrowingCall] = {}
        """Index → the last call with it."""
        self._open: dict[int | None, _GrowingCall] = {}
        """Index → the call that is open."""

    def __bool__(self) -> bool:
        return bool(self._calls)

    def as_sent(self) -> list[JsonObject]:
        """The calls in Cohere's form."""
        return [call.as_sent() for call in self._calls]

    def begin(self, index: int | None, native: JsonObject) -> list[Delta]:
        """Begins a call; a second start of it repeats what arrived, unless that was without arguments.

        A start without arguments at another index, after the end of the call with its id, begins a call of its own.
        """
        call, function = self._with_id(native), _function(native)
        name = as_str(function.get("name"))
        is_other = call is not None and call.ended and call.index != index and not function.get("arguments")
        if call is None or is_other or (name and call.name not in ("", name)):
            return self._new(index, native)
        return [] if call.pieces else self._add(call, function)

    def add(self, index: int | None, native: JsonObject) -> list[Delta]:
        """Adds a piece to the call that it belongs to; a piece with a new name begins a call.

        Raises:
            ShapeError: the piece belongs to no call.
        """
        function = _function(native)
        call = (self._with_id(native) if "id" in native else None) or self._open.get(index) or self._likely_call(index)
        if "name" in function:
            name = as_str(function["name"])
            if name and (call is None or call.ended or call.name not in ("", name)):
                return self._new(index, native)
        if call is not None:
            return self._add(call, function)
        if function.get("arguments"):
            raise ShapeError("index", "the number of a tool call that has started", index)
        return []

    def end(self, index: int | None) -> list[Delta]:
        """Completes a call. One without arguments gets {}, as in complete replies, where streams send nothing."""
        call = self._open.pop(index, None)
        if call is None:
            return []
        call.ended = True
        return [] if call.pieces else self._deltas(call, FunctionDelta(arguments="{}"))

    def end_all(self) -> list[Delta]:
        """Completes the calls that are open."""
        return [delta for index in tuple(self._open) for delta in self.end(index)]

    def _with_id(self, native: JsonObject) -> _GrowingCall | None:
        call_id = optional_str(native.get("id"))
        return self._by_id.get(call_id) if call_id else None

    def _likely_call(self, index: int | None) -> _GrowingCall | None:
        """The last call with this index, else the last call if it is open."""
        last = next((call for call in self._calls[-1:] if not call.ended), None)
        return self._last_at.get(index) or last

    def _new(self, index: int | None, native: JsonObject) -> list[Delta]:
        deltas = self.end(index)  # a reused index ends the call before
        call = self._open[index] = _GrowingCall(len(self._calls), index, native)
        self._calls.append(call)
        self._last_at[index] = call
        self._by_id[call.id] = call
        arguments = as_str(call.native["function"].get("arguments"))
        if arguments:
            call.pieces.append(arguments)
        begun = self._deltas(call, FunctionDelta(call.name, arguments), call.id)
        for each in begun:
            if each.tool_calls:
                each.tool_calls[0].extra = without_nulls(unknown_fields(native, CALL_FIELDS)) or None
        return deltas + begun

    def _add(self, call: _GrowingCall, function: JsonObject) -> list[Delta]:
        piece = as_str(function.get("arguments"))
        name: str | None = None
        if not call.name:
            call.name = as_str(function.get("name"))
            name = call.name or None
        if piece:
            if call.ended and not call.pieces:
                raise ShapeError("index", "the number of a tool call that has not ended", call.index)
            call.pieces.append(piece)
        return self._deltas(call, FunctionDelta(name, piece or None)) if piece or name else []

    def _deltas(self, call: _GrowingCall, function: FunctionDelta, call_id: str | None = None) -> list[Delta]:
        delta = tool_call_delta(call.number, function, call_id, legacy=self._legacy)
        return [] if delta is None else [delta]


def _function(call: JsonObject) -> JsonObject:
    function: Any = call.get("function")
    if function.__class__ is dict:
        return function
    return as_optional_object(function, "delta.message.tool_calls.function") or {}
