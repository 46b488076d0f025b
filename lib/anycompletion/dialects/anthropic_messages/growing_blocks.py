"""Content blocks of a stream while they grow: which block a delta belongs to. No I/O.

Servers number blocks with `index`. Where that is damaged or used for two blocks of different types, the type of the
delta decides, so that no text is added to a block of thinking or to a call.
"""

from __future__ import annotations

from ...codecs.lenient import ShapeError, optional_int
from ...records import JsonObject
from .native_types import DELTA_TARGETS

_NUMBERED = {"thinking": "thinking", "redacted_thinking": "thinking", "tool_use": "tool_use"}
"""Type of a block → the series that its `number` belongs to."""

_MAX_OPEN = 1000
"""Blocks that may be open at a time: each event searches all of them, and no server needs more than a few."""


class AnthropicGrowingBlock:
    """A content block of a stream."""

    __slots__ = ("citations", "grows", "index", "native", "number", "pieces", "start")

    def __init__(self, native: JsonObject, index: int | None, number: int, start: int) -> None:
        self.native = native
        self.index = index
        """The number that the server gave it; None if it is unknown."""
        self.number = number
        """Its index among the thinking blocks, or among the tool calls."""
        self.start = start
        """Offset of its text in the content, in characters."""
        self.pieces: list[str] = []
        self.citations: list[JsonObject] = []
        kind = native["type"]
        self.grows = kind if kind in ("text", "thinking", "redacted_thinking") else "input"
        """The field that its deltas append to; redacted thinking has none."""

    def keep(self, delta: JsonObject) -> JsonObject:
        """Keeps and returns the fields of a delta of an unknown type: text is appended, all else replaced."""
        fields = {name: value for name, value in delta.items() if name != "type" and value is not None}
        for name, value in fields.items():
            old = self.native.get(name)
            self.native[name] = old + value if isinstance(old, str) and isinstance(value, str) else value
        return fields

    def complete(self) -> JsonObject:
        """The native block with all pieces of its text."""
        if self.grows in ("text", "thinking"):
            self.native[self.grows] = "".join(self.pieces)
        return self.native


class AnthropicStreamBlocks:
    """The blocks of one stream, in order."""

    __slots__ = ("_blocks", "_numbers", "_open", "current")

    def __init__(self) -> None:
        self._blocks: list[AnthropicGrowingBlock] = []
        self._open: list[AnthropicGrowingBlock] = []
        self.current: AnthropicGrowingBlock | None = None
        """The block of the last event if it is open; nearly always the next delta's as well."""
        self._numbers = {"thinking": 0, "tool_use": 0}

    def open(self, native: JsonObject, index: object, start: int) -> AnthropicGrowingBlock:
        """A new block; `start` is the length of the content before it.

        Raises:
            ShapeError: too many blocks are open.
        """
        if len(self._open) == _MAX_OPEN:
            raise ShapeError("content_block", f"the end of one of {_MAX_OPEN} open blocks", native)
        series = _NUMBERED.get(native["type"], "")
        number = self._numbers.get(series, 0)
        if series:
            self._numbers[series] = number + 1
        block = self.current = AnthropicGrowingBlock(native, optional_int(index), number, start)
        self._blocks.append(block)
        self._open.append(block)
        return block

    def of_delta(self, kind: str, index: object, start: int) -> AnthropicGrowingBlock | None:
        """The block of a delta of type `kind`; a new one for text or thinking that no open block takes.

        Raises:
            ShapeError: the delta continues a call that has not started.
        """
        target = DELTA_TARGETS.get(kind)
        number = optional_int(index)
        block = self.current = self._find(number, target)
        if block is not None or target is None:
            return block
        if target == "input":
            raise ShapeError("index", "the number of a tool call that has started", index)
        empty: JsonObject = {"type": target, target: ""}
        return self.open(empty, number, start)

    def close(self, block: AnthropicGrowingBlock) -> None:
        """Ends a block: it takes no more deltas."""
        self._open.remove(block)
        if self.current is block:
            self.current = None

    def ended_by(self, index: object) -> AnthropicGrowingBlock | None:
        """The block that a stop event ends: without a number, the last open one."""
        if self.current is not None and self.current.index == index:
            return self.current
        number = optional_int(index)
        return next((block for block in reversed(self._open) if number is None or block.index == number), None)

    def replaced_by(self, native: JsonObject, index: object) -> AnthropicGrowingBlock | None:
        """The open block of the same type that ends because `native` starts under its number."""
        number = optional_int(index)
        if number is not None:
            for block in reversed(self._open):
                if block.index == number and block.native["type"] == native["type"]:
                    return block
        return None

    def still_open(self) -> list[AnthropicGrowingBlock]:
        """The blocks without a stop event."""
        return [*self._open]

    def native(self) -> list[JsonObject]:
        """All blocks as a whole reply has them."""
        return [block.complete() for block in self._blocks]

    def have_content(self) -> bool:
        """Whether a block has text, thinking or an input."""
        return any(any(block.pieces) or block.grows == "input" for block in self._blocks)

    def _find(self, number: int | None, target: str | None) -> AnthropicGrowingBlock | None:
        """The newest open block that takes a delta: one with its number, else one whose number is unknown."""
        fitting = [block for block in reversed(self._open) if target in (block.grows, None)]
        same = next((block for block in fitting if block.index == number), None)
        if same is not None:
            return same
        if number is None:
            return next(iter(fitting), None)
        unnumbered = next((block for block in fitting if block.index is None), None)
        if unnumbered is not None and target is not None:
            unnumbered.index = number
        return unnumbered
