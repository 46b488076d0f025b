"""Values that arrive in fragments: merges unknown fields, audio and reasoning blocks of a stream's deltas.

Several values of one unknown field become one:

- objects are merged, field by field;
- lists of a choice, a delta or a tool call are fragments, which are appended; those of a chunk are whole, so that the
  last one is kept (Perplexity repeats its citations in every chunk);
- texts of a delta are fragments, too, unless the field is a label such as `type`;
- of all other values the last one is kept.
"""

from __future__ import annotations

from typing import Any, cast

from ..records import JsonObject

_LABELS = frozenset(("channel", "format", "id", "name", "object", "phase", "recipient", "status", "type"))
"""Fields of a delta whose texts are no fragments."""

_APPENDED = ("thinking", "text", "summary", "signature", "data")
"""Fields of a reasoning block that arrive in pieces; a new value of any other field replaces the old one."""

_TEXTS_IN_PIECES = ("thinking", "reasoning.text")
"""Types of reasoning blocks that are texts with a signature at their end."""

_OPAQUE = ("signature", "data")
"""Fields of `_APPENDED` that some servers send a second time as a whole; the repetition is not appended."""


OBJECT_SIZE = 64
"""Characters that an object, a list or a piece of text counts beside its contents."""

MEDIA_SHARE = 4
"""Characters of images and audio that count as one."""


def size_of(value: Any) -> int:
    """About how much memory JSON takes, in characters; those of media count less."""
    if isinstance(value, str):
        return len(value) // MEDIA_SHARE if value.startswith("data:") else len(value)
    size = OBJECT_SIZE
    if isinstance(value, dict):
        for name, inner in cast("JsonObject", value).items():
            size += len(name) + size_of(inner)
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            size += size_of(item)
    return size


class _TextPieces(list[str]):
    """Pieces of a text, distinguished from lists that a server sends."""


def _appended(old: Any, value: Any) -> Any:
    """A field's value with one more piece appended; a value that is not text replaces the old one."""
    if not isinstance(value, str):
        return value
    if not isinstance(old, _TextPieces):
        return _TextPieces([value])
    old.append(value)
    return old


class _ListItems(list[Any]):
    """Items of several lists, distinguished from a list that a server sends."""


class _MergedFields(dict[str, Any]):
    """Fields of objects that were merged, distinguished from an object that a server sends."""


def joined(fields: JsonObject) -> JsonObject:
    """A copy of `fields` in which pieces of text are joined, which later pieces do not change."""
    return {name: _whole(value) for name, value in fields.items()}


def _whole(value: Any) -> Any:
    if isinstance(value, _TextPieces):
        return "".join(value)
    if isinstance(value, _MergedFields):
        return joined(value)
    return list(value) if isinstance(value, _ListItems) else value


def merge_extra(fields: JsonObject, extra: JsonObject, *, lists: bool = False, texts: bool = False) -> None:
    """Merges unknown fields into `fields`, in place.

    Args:
        fields: what has arrived.
        extra: the fields of one chunk, choice, delta or tool call.
        lists: append lists, instead of keeping the last one.
        texts: append texts, likewise.
    """
    for name, value in extra.items():
        old = fields.get(name)
        if isinstance(value, dict) and isinstance(old, dict):
            if not isinstance(old, _MergedFields):
                old = fields[name] = _MergedFields(cast("JsonObject", old))
            merge_extra(old, cast("JsonObject", value))
        elif lists and isinstance(value, list):
            if not isinstance(old, _ListItems):
                old = fields[name] = _ListItems()
            old.extend(cast("list[Any]", value))
        elif texts and name not in _LABELS:
            fields[name] = _appended(old, value)
        else:
            fields[name] = value


def merge_audio(audio: JsonObject, piece: JsonObject) -> JsonObject:
    """Merges one piece of audio into `audio`, in place."""
    for name, value in piece.items():
        if value is not None:
            audio[name] = _appended(audio.get(name), value) if name in ("data", "transcript") else value
    return audio


class ReasoningBlocks:
    """Reasoning blocks of a message: pieces with the same index and type are one block.

    A piece without an index is a whole block, unless it is the first of its delta, its type is one of
    `_TEXTS_IN_PIECES`, and the last block has the same type and no signature: LiteLLM's proxy sends such pieces.
    """

    __slots__ = ("_blocks", "_last_at", "_of_type")

    def __init__(self) -> None:
        self._blocks: list[JsonObject] = []
        self._last_at: dict[int | str, JsonObject] = {}
        """Index → the block of the last piece with it."""
        self._of_type: dict[tuple[int | str, str], JsonObject] = {}
        """Index and type → the block."""

    def add(self, pieces: list[JsonObject]) -> None:
        """Adds pieces to their blocks."""
        for i, piece in enumerate(pieces):
            block = self._block_of(piece, may_continue=i == 0)
            for name, value in piece.items():
                if value is None:
                    block.setdefault(name, None)
                elif name not in _APPENDED:
                    block[name] = value
                elif name not in _OPAQUE or _whole(block.get(name)) != value:
                    block[name] = _appended(block.get(name), value)

    def _block_of(self, piece: JsonObject, *, may_continue: bool) -> JsonObject:
        index, kind = piece.get("index"), piece.get("type")
        if isinstance(index, (int, str)):
            found = self._last_at.get(index)
            if found is None or (kind is not None and found.get("type") not in (None, kind)):
                found = self._of_type.get((index, str(kind)))
            if found is None:
                self._blocks.append(found := {})
            self._last_at[index] = found
            if kind is not None:
                self._of_type[index, str(kind)] = found
            return found
        if may_continue and kind in _TEXTS_IN_PIECES and self._blocks:
            last = self._blocks[-1]
            if last.get("index") is None and last.get("type") == kind and not _whole(last.get("signature")):
                return last
        block: JsonObject = {}
        self._blocks.append(block)
        return block

    def joined(self, *, with_index: bool) -> list[JsonObject] | None:
        """Copies of the blocks, in the order in which they began; None if there are none."""
        blocks = [joined(block) for block in self._blocks]
        if not with_index:
            for block in blocks:
                block.pop("index", None)
        return blocks or None
