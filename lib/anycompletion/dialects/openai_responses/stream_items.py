"""Items of a stream while they grow: what of each was sent, so that its end can add what no delta had. No I/O."""

from __future__ import annotations

from ...codecs.lenient import as_str, optional_int, optional_object, optional_str
from ...records import JsonObject
from ...records.chunks import CustomDelta, Delta, FunctionDelta, ToolCallDelta, tool_call_delta
from ..shared import without_nulls
from .output_items import (
    OpenAIOfferedTools,
    OpenAITextSections,
    annotation,
    annotations_of,
    is_call,
    is_commentary,
    item_type,
    message_parts,
    part_text,
    reasoning_texts,
    tool_call,
)
from .stream_item import MATCHES, OpenAIStreamItem, ids_of, is_other, rest_of


class OpenAIStreamItems:
    """The items of one stream, in order."""

    __slots__ = (
        "_at",
        "_by_id",
        "_calls",
        "_content",
        "_reasoning",
        "all",
        "current",
        "has_shared_numbers",
        "offered",
    )

    def __init__(self, offered: OpenAIOfferedTools) -> None:
        self.offered = offered
        """The caller's tools."""
        self._content = OpenAITextSections()
        self._reasoning = OpenAITextSections()
        self._at: dict[int, OpenAIStreamItem] = {}
        """Number → the last item with it."""
        self._by_id: dict[str, OpenAIStreamItem] = {}
        """Id, or id of a call → the last item with it."""
        self.has_shared_numbers = False
        """Whether a number is that of several items which grow at once."""
        self._calls = 0
        self.all: list[OpenAIStreamItem] = []
        self.current: OpenAIStreamItem | None = None
        """The item of the last event; nearly always the next one's as well."""

    @property
    def has_calls(self) -> bool:
        """Whether any item is a call of one of the caller's tools."""
        return self._calls > 0

    def of_event(self, data: JsonObject, kind: str) -> OpenAIStreamItem:
        """The item of an event; a new one of type `kind` if none was announced under its number or id."""
        current = self.current
        index = data.get("output_index")
        if current is not None and index is not None and current.index == index and not self.has_shared_numbers:
            return current
        number, item_id = optional_int(index), data.get("item_id")
        found = self._find(number, (item_id,)) or self._unnamed(number, kind)
        if found is None:
            found = self._new(number, kind)
        if item_id and isinstance(item_id, str):
            self._by_id[item_id] = found
        self.current = found
        return found

    def add(self, index: object, item: JsonObject) -> list[Delta]:
        """Begins an item; an earlier one with its number is not replaced if it ended, or has another id."""
        number = optional_int(index)
        known = self._find(number, ids_of(item)) or self._unnamed(number, "", begins=True)
        found = known
        if known is None or known.done is not None or is_other(known, item, "call_id", "id"):
            self.has_shared_numbers |= number is not None and known is not None and known.done is None
            found = self._new(len(self.all) if number is None else number, "")  # in order where none is given
        assert found is not None
        self.current = found
        return self._describe(found, item)

    def end(self, index: object, item: JsonObject) -> list[Delta]:
        """Ends an item, and returns what of it no delta had."""
        number = optional_int(index)
        found = self._find(number, ids_of(item)) or self._unnamed(number, item_type(item))
        if found is None or found.done is not None or is_other(found, item, "call_id"):
            found = self._new(number, "")
        return self._end(found, item)

    def end_missing(self, whole: list[JsonObject]) -> list[Delta]:
        """Ends items by the whole output, and returns what of it no delta had; items that no event had are new."""
        left = [*self.all]
        deltas: list[Delta] = []
        for place, item in enumerate(whole):
            found = next((known for matches in MATCHES for known in left if matches(known, place, item)), None)
            if found is not None:
                left.remove(found)
            if found is None or found.done is None:
                deltas += self._end(found or self._new(None, ""), item)
        return deltas

    def _end(self, found: OpenAIStreamItem, item: JsonObject) -> list[Delta]:
        deltas = self._describe(found, item)
        found.done = item
        self.current = found
        match found.kind:
            case "message":
                return deltas + self._rest_of_message(found, item)
            case "reasoning":
                return deltas + self._rest_of_reasoning(found, item)
            case _:
                return deltas if found.number < 0 else deltas + self._rest_of_call(found, item)

    def _find(self, number: int | None, ids: tuple[object, ...]) -> OpenAIStreamItem | None:
        """The item of a number; its ids decide only without one, or where several items have it: some servers change
        ids from event to event."""
        known = self._at.get(number) if number is not None else None
        if number is None or self.has_shared_numbers:
            for each in ids:
                found = self._by_id.get(each) if isinstance(each, str) else None
                if found is not None and (number is None or found.index == number):
                    return found
        return known

    def _unnamed(self, number: int | None, kind: str, *, begins: bool = False) -> OpenAIStreamItem | None:
        """The item of the last event, if an event without a number may be about it."""
        current = self.current
        if number is not None or current is None or current.done is not None:
            return None
        if begins:
            return None if current.kind else current
        return None if kind and current.kind and kind != current.kind else current

    def _new(self, number: int | None, kind: str) -> OpenAIStreamItem:
        item = OpenAIStreamItem(number, len(self.all), kind)
        if number is not None:
            self._at[number] = item
        self.all.append(item)
        return item

    def _describe(self, item: OpenAIStreamItem, source: JsonObject) -> list[Delta]:
        """Sets the type and the ids of an item; the start of a call."""
        item.id = optional_str(source.get("id")) or item.id
        item.call_id = optional_str(source.get("call_id")) or item.call_id
        for each in (item.id, item.call_id):
            if each:
                self._by_id[each] = item
        item.kind = item.kind or item_type(source)
        item.commentary = item.commentary or is_commentary(source)
        if item.number >= 0 or not is_call({"type": item.kind, "name": source.get("name")}, self.offered):
            return []
        item.number, self._calls = self._calls, self._calls + 1
        call = tool_call({**source, "type": item.kind})
        name = call.function.name if call.custom is None else call.custom.name
        item.has_name = bool(name)
        early = "".join(item.early)
        if early:
            item.sent["arguments"] = [early]
        return self._call(item, name or None, early, call.id, call.extra)

    # --- text ---------------------------------------------------------------------------------------------------------

    def text(self, item: OpenAIStreamItem, part: object, piece: str) -> Delta | None:
        """A piece of a message's text."""
        if not piece:
            return None
        sections = self._reasoning if item.commentary else self._content
        if part != item.part:
            item.part = number = optional_int(part) or 0
            item.starts.setdefault(number, sections.start_of(item.key))
            item.pieces = item.sent.setdefault(number, [])
        item.pieces.append(piece)
        if item.commentary:
            return Delta(reasoning_content=sections.piece(item.key, piece))
        return Delta(content=sections.piece(item.key, piece))

    def refusal(self, item: OpenAIStreamItem, part: object, piece: str) -> Delta | None:
        """A piece of a message's refusal."""
        if not piece:
            return None
        number = optional_int(part) or 0
        item.starts.setdefault(number, self._content.length)
        item.sent.setdefault(("refusal", number), []).append(piece)
        return Delta(refusal=piece)

    def rest_of_part(self, item: OpenAIStreamItem, part: object, source: JsonObject) -> list[Delta]:
        """What of a whole part no delta had."""
        number = optional_int(part) or 0
        text = rest_of(item.sent.get(number), part_text(source), "text")
        refusal = rest_of(item.sent.get(("refusal", number)), as_str(source.get("refusal")), "refusal")
        found = (self.text(item, number, text), self.refusal(item, number, refusal))
        return [delta for delta in found if delta is not None]

    def annotate(self, item: OpenAIStreamItem, part: object, source: JsonObject) -> Delta:
        """An annotation of a part."""
        number = optional_int(part) or 0
        item.annotated.add(number)
        return Delta(annotations=[annotation(source, self._start(item, number)).to_dict()])

    def _start(self, item: OpenAIStreamItem, part: int) -> int | None:
        """Where the text of a part begins in the content; None if it is not part of it."""
        return None if item.commentary else item.starts.get(part, self._content.start_of(item.key))

    def _rest_of_message(self, item: OpenAIStreamItem, source: JsonObject) -> list[Delta]:
        deltas: list[Delta] = []
        for number, part in enumerate(message_parts(source)):
            deltas += self.rest_of_part(item, number, part)
            if number not in item.annotated:
                found = [each.to_dict() for each in annotations_of(part, self._start(item, number))]
                if found:
                    deltas.append(Delta(annotations=found))
        return deltas

    # --- reasoning ----------------------------------------------------------------------------------------------------

    def thought(self, item: OpenAIStreamItem, kind: str, section: object, piece: str) -> Delta | None:
        """A piece of reasoning. Of an item's own text and its summary, that which came first is sent."""
        item.thinks_in = item.thinks_in or kind
        if not piece or item.thinks_in != kind:
            return None
        return Delta(reasoning_content=self._reasoning.piece((item.key, optional_int(section) or 0), piece))

    def _rest_of_reasoning(self, item: OpenAIStreamItem, source: JsonObject) -> list[Delta]:
        if item.thinks_in:
            return []
        found = [self.thought(item, "whole", i, text) for i, text in enumerate(reasoning_texts(source))]
        return [delta for delta in found if delta is not None]

    # --- calls --------------------------------------------------------------------------------------------------------

    def argument(self, item: OpenAIStreamItem, piece: str) -> list[Delta]:
        """A piece of a call's arguments or input."""
        if not piece:
            return []
        if item.number < 0:
            item.early.append(piece)
            return []
        item.sent.setdefault("arguments", []).append(piece)
        return self._call(item, None, piece)

    def rest_of_argument(self, item: OpenAIStreamItem, whole: str) -> list[Delta]:
        """What of a call's whole arguments or input no delta had."""
        sent = item.early if item.number < 0 else item.sent.get("arguments")
        return self.argument(item, rest_of(sent, whole, "arguments"))

    def _rest_of_call(self, item: OpenAIStreamItem, source: JsonObject) -> list[Delta]:
        name = None if item.has_name else as_str(source.get("name")) or None
        field = "input" if item.kind == "custom_tool_call" else "arguments"
        rest = rest_of(item.sent.get("arguments"), as_str(source.get(field)), field)
        item.has_name = item.has_name or name is not None
        if rest:
            item.sent.setdefault("arguments", []).append(rest)
        return self._call(item, name, rest) if name or rest else []

    def _call(
        self,
        item: OpenAIStreamItem,
        name: str | None,
        piece: str,
        call_id: str | None = None,
        extra: JsonObject | None = None,
    ) -> list[Delta]:
        """The delta of a call, which begins with its id."""
        delta: Delta | None
        if item.kind == "custom_tool_call":
            kind = None if call_id is None else "custom"
            call = ToolCallDelta(item.number, call_id, kind, custom=CustomDelta(name, piece))
            delta = Delta(tool_calls=[call])
        else:
            function = FunctionDelta(name, piece)
            delta = tool_call_delta(item.number, function, call_id, legacy=self.offered.legacy)
        if delta is not None and delta.tool_calls and extra:
            delta.tool_calls[0].extra = extra
        return [] if delta is None else [delta]


def response_of(data: JsonObject) -> JsonObject:
    """The response in an event; {} if there is none."""
    return optional_object(data.get("response")) or {}


def described_error(data: JsonObject) -> JsonObject:
    """The error that an event reports, in the form of an error body."""
    has_own = isinstance(data.get("error"), (dict, str)) and bool(data["error"])
    reported = data["error"] if has_own else without_nulls(data)
    return {"error": reported, "error_type": optional_str(data.get("error_type"))}
