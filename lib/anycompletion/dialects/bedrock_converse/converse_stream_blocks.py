"""Content blocks of a stream while they grow: which block a delta belongs to. No I/O.

Servers number blocks; text, reasoning and citations begin without an event of their own. Where one number is used for
two kinds of content, the kind decides, so that no text is added to reasoning or to a call.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import cast

from ...codecs.lenient import ShapeError
from ...records import JsonObject
from ..shared import loads_or_none

STARTED_KINDS = ("toolUse", "toolResult", "image")
"""Kinds of blocks that begin with an event of their own."""

_KINDS = ("text", "reasoningContent", *STARTED_KINDS)

_MAX_OPEN = 1000
"""Blocks that may be open at a time: no server needs more than a few."""


class BedrockGrowingBlock:
    """A content block of a stream."""

    __slots__ = ("citations", "items", "kind", "native", "number", "pieces", "redacted", "signature", "start")

    def __init__(self, kind: str, native: JsonObject, number: int, start: int) -> None:
        self.kind = kind
        self.native = native
        """The fields with which it began."""
        self.number = number
        """Its index among the calls; -1 for those of tools that Bedrock runs."""
        self.start = start
        """Offset of its text in the content, in characters."""
        self.pieces: list[str] = []
        """Pieces of its text, reasoning or input."""
        self.signature: list[str] = []
        self.redacted: list[str] = []
        self.citations: list[JsonObject] = []
        self.items: list[JsonObject] = []
        """Items of a tool's result."""

    def complete(self) -> JsonObject | None:
        """The block as a whole reply has it; None for one that has nothing."""
        text = "".join(self.pieces)
        match self.kind:
            case "text" if self.citations:
                cited = {"content": [{"text": text}] if text else [], "citations": self.citations}
                return {"citationsContent": cited}
            case "text":
                return {"text": text} if text else None
            case "reasoningContent":
                return self._reasoning(text)
            case "toolUse":
                return {"toolUse": {**self.native, "input": self.input()}}
            case "toolResult":
                return {"toolResult": {**self.native, "content": self.items}}
            case _:
                return {self.kind: self.native}

    def input(self) -> JsonObject | None:
        """A call's input: the JSON of its pieces, {} for none, and None for JSON that is cut or no object."""
        text = "".join(self.pieces)
        value: object = loads_or_none(text.encode("utf-8", "replace")) if text.strip() else {}
        return cast("JsonObject", value) if isinstance(value, dict) else None

    def _reasoning(self, text: str) -> JsonObject | None:
        if self.redacted:
            return {"reasoningContent": {"redactedContent": _joined_base64(self.redacted)}}
        if not text and not self.signature:
            return None
        signature = {"signature": "".join(self.signature)} if self.signature else {}
        return {"reasoningContent": {"reasoningText": {"text": text} | signature}}


class BedrockStreamBlocks:
    """The blocks of one stream, in order."""

    __slots__ = ("_blocks", "_counts", "_open", "current", "current_index")

    def __init__(self) -> None:
        self._blocks: list[BedrockGrowingBlock] = []
        self._open: dict[tuple[str, int | None], BedrockGrowingBlock] = {}
        self._counts: dict[str, int] = {}
        self.current: BedrockGrowingBlock | None = None
        """The block of the last delta if it is open; nearly always the next delta's as well."""
        self.current_index: object = None

    @property
    def has_calls(self) -> bool:
        """Whether there is a call of one of the caller's own tools."""
        return bool(self._counts.get("toolUse"))

    def open(
        self, kind: str, index: int | None, native: JsonObject, start: int, *, numbered: bool = True
    ) -> BedrockGrowingBlock:
        """A new block; `start` is the length of the content before it.

        Raises:
            ShapeError: too many blocks are open.
        """
        if len(self._open) == _MAX_OPEN:
            raise ShapeError("contentBlockIndex", f"the end of one of {_MAX_OPEN} open blocks", native)
        number = self._counts.get(kind, 0)
        if numbered:
            self._counts[kind] = number + 1
        block = BedrockGrowingBlock(kind, native, number if numbered else -1, start)
        self._blocks.append(block)
        self._open[kind, index] = block
        self.current, self.current_index = block, index
        return block

    def of_delta(self, kind: str, index: int | None, start: int) -> BedrockGrowingBlock:
        """The open block that a delta belongs to; a new one for content that begins without an event.

        Raises:
            ShapeError: the delta continues a call that has not started.
        """
        block = self._open.get((kind, index))
        if block is None and kind in STARTED_KINDS:
            others = [found for (found_kind, _), found in self._open.items() if found_kind == kind]
            block = others[-1] if others else None
            if block is None and kind == "toolUse":
                expected = f"the number of a tool call that has started, not {index}"
                raise ShapeError("contentBlockIndex", expected, index)
        if block is None:
            return self.open(kind, index, {}, start)
        self.current, self.current_index = block, index
        return block

    def close(self, index: int | None) -> Sequence[BedrockGrowingBlock]:
        """Ends the blocks of a number; without a number the last open one."""
        if index is None and self._open:
            self.current = None
            return [self._open.popitem()[1]]
        return self.close_numbered(index)

    def close_numbered(self, index: int | None) -> Sequence[BedrockGrowingBlock]:
        """Ends the blocks with this number, or those without one."""
        self.current = None
        return [self._open.pop((kind, index)) for kind in _KINDS if (kind, index) in self._open]

    def close_all(self) -> Sequence[BedrockGrowingBlock]:
        """Ends the blocks that are open."""
        self.current = None
        blocks = [*self._open.values()]
        self._open.clear()
        return blocks

    def native(self) -> list[JsonObject]:
        """All blocks as a whole reply has them."""
        return [native for block in self._blocks if (native := block.complete()) is not None]


def _joined_base64(pieces: list[str]) -> str:
    """The base64 of all pieces, each of which is the base64 of a part."""
    if len(pieces) == 1:
        return pieces[0]
    try:
        return base64.b64encode(b"".join(map(base64.b64decode, pieces))).decode()
    except (binascii.Error, ValueError):
        return "".join(pieces)
