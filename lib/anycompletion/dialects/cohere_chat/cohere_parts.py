"""Assembly of the content parts that Cohere's stream sends in pieces. No I/O."""

from __future__ import annotations

from ...codecs.lenient import as_str
from ...records import JsonObject
from ...records.chunks import Delta
from .decode import TEXT_FIELDS, part_type


class _GrowingPart:
    """A content part that is not complete yet."""

    __slots__ = ("growing", "index", "native", "number", "pieces")

    def __init__(self, kind: str, index: int | None, number: int) -> None:
        self.number = number
        self.native: JsonObject = {"type": kind}
        self.growing = kind if kind in TEXT_FIELDS else ""
        """The field that is sent in pieces, text or thinking; "" for a part of another type."""
        self.index = index
        self.pieces: list[str] = []

    def as_sent(self) -> JsonObject:
        """The part in Cohere's form, as far as it has arrived."""
        return self.native | {self.growing: "".join(self.pieces)} if self.growing else self.native


class CohereParts:
    """The content parts of one message."""

    __slots__ = ("_length", "_open", "_parts", "starts")

    def __init__(self) -> None:
        self._parts: list[_GrowingPart] = []
        self._open: dict[tuple[int | None, str], _GrowingPart] = {}
        """Index and growing field → the part; servers reuse an index for a part of another type."""
        self._length = 0
        self.starts: list[int] = []
        """Offset of each part's text in the content, in characters."""

    @property
    def have_text(self) -> bool:
        """Whether any text or thinking has arrived."""
        return any(any(part.pieces) for part in self._parts)

    def as_sent(self) -> list[JsonObject]:
        """The parts in Cohere's form."""
        return [part.as_sent() for part in self._parts]

    def begin(self, index: int | None, item: JsonObject, delta: Delta) -> None:
        """Begins a part with its first piece, whose text is added to `delta`."""
        self._add(self._new(index, part_type(item)), item, delta)

    def add(self, index: int | None, item: JsonObject, delta: Delta) -> None:
        """Adds a piece, whose text is added to `delta`, to the part that it belongs to."""
        text = item.get("text")
        part = self._open.get((index, "text"))
        if part is not None and isinstance(text, str) and len(item) == 1:  # nearly always
            self._add_text(part, text, delta)
            return
        kind = part_type(item)
        self._add(self._open.get((index, kind or "")) or self._part_of(index, kind), item, delta)

    def _new(self, index: int | None, kind: str | None) -> _GrowingPart:
        part = _GrowingPart(kind or "text", index, len(self._parts))
        self._open[index, part.growing] = part
        self._parts.append(part)
        self.starts.append(self._length)
        return part

    def _part_of(self, index: int | None, kind: str | None) -> _GrowingPart:
        return self._likely_part(index, kind) or self._new(index, kind)

    def _likely_part(self, index: int | None, kind: str | None) -> _GrowingPart | None:
        """The last part with this index; where the index of the piece or of the part is not known, the last part."""
        fields = (*TEXT_FIELDS, "") if kind is None else (kind, "")
        same = [part for field in fields if (part := self._open.get((index, field))) is not None]
        if same:
            return max(same, key=lambda part: part.number)
        last = self._parts[-1] if self._parts else None
        is_fitting = last is not None and last.growing in fields and None in (index, last.index)
        return last if is_fitting else None

    def _add(self, part: _GrowingPart, item: JsonObject, delta: Delta) -> None:
        for name, value in item.items():
            if value is None or name == "type":
                continue
            if name == part.growing == "text":
                self._add_text(part, as_str(value), delta)
            elif name == part.growing:
                piece = as_str(value)
                part.pieces.append(piece)
                delta.reasoning_content = (delta.reasoning_content or "") + piece or None
            elif part.growing and name in TEXT_FIELDS:
                self.add(part.index, {name: value}, delta)
            else:
                # An unknown field comes complete, or in pieces if it is text.
                old = part.native.get(name)
                part.native[name] = old + value if isinstance(old, str) and isinstance(value, str) else value

    def _add_text(self, part: _GrowingPart, piece: str, delta: Delta) -> None:
        if piece:
            part.pieces.append(piece)
            self._length += len(piece)
            delta.content = piece if delta.content is None else delta.content + piece
