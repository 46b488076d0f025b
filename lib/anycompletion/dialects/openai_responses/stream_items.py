"""Items of a stream while they grow: what of each was sent, so that its end can add what no delta had. No I/O."""

from __future__ import annotations

from ...codecs.lenient import as_str, optional_int, optional_object, optional_str
from ...records import JsonObject
from ...records.chunks import CustomDelta, Delta, FunctionDelta, ToolCallDelta
from ..shared import tool_call_delta, without_nulls
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


class OpenAIStreamItem:
    """An output item of a stream."""

    __slots__ = (
        "annotated",
        "arguments",
        "commentary",
        "done",
        "has_name",
        "index",
        "key",
        "kind",
        "number",
        "part",
        "starts",
        "thinks_in",
    )

    def __init__(self, index: int | None, key: int, kind: str) -> None:
        self.index = index
        """The number that the server gave it; None if it is unknown."""
        self.key = key
        """Its place among the items."""
        self.kind = kind
        """Its type; "" if it is unknown."""
        self.commentary = False
        """Whether it is a message before the answer."""
        self.part = -1
        """The content part of the last piece of text."""
        self.starts: dict[int, int] = {}
        """Content part of which text was sent → where it begins in the content."""
        self.annotated: set[int] = set()
        """Content parts of which annotations were sent."""
        self.number = -1
        """Its place among the calls; -1 for what is no call."""
        self.has_name = self.arguments = False
        """Whether a call's name, and any of its arguments, were sent."""
        self.thinks_in = ""
        """Which of its texts is the reasoning that was sent; "" for none yet."""
        self.done: JsonObject | None = None
        """The whole item, once it came."""


class OpenAIStreamItems:
    """The items of one stream, in order."""

    __slots__ = ("_at", "_calls", "_content", "_reasoning", "all", "current", "offered")

    def __init__(self, offered: OpenAIOfferedTools) -> None:
        self.offered = offered
        """The caller's tools."""
        self._content = OpenAITextSections()
        self._reasoning = OpenAITextSections()
        self._at: dict[int | None, OpenAIStreamItem] = {}
        """Number → the last item with it."""
        self._calls = 0
        self.all: list[OpenAIStreamItem] = []
        self.current: OpenAIStreamItem | None = None
        """The item of the last event; nearly always the next one's as well."""

    @property
    def has_calls(self) -> bool:
        """Whether any item is a call of one of the caller's tools."""
        return self._calls > 0

    def of_event(self, data: JsonObject, kind: str) -> OpenAIStreamItem:
        """The item of an event; a new one of type `kind` if none was announced under its number."""
        current = self.current
        index = data.get("output_index")
        if current is not None and current.index == index:
            return current
        number = optional_int(index)
        found = self._at.get(number) or (current if number is None else None)
        if found is None:
            found = self._new(number, kind)
        self.current = found
        return found

    def add(self, index: object, item: JsonObject) -> list[Delta]:
        """Begins an item; an earlier one with its number is not replaced if it ended."""
        number = optional_int(index)
        if number is None:
            number = len(self.all)  # in order
        known = self._at.get(number)
        found = known if known is not None and known.done is None else self._new(number, "")
        self.current = found
        return self._describe(found, item)

    def end(self, index: object, item: JsonObject) -> list[Delta]:
        """Ends an item, and returns what of it no delta had."""
        number = optional_int(index)
        found = self.current if number is None else self._at.get(number)
        if found is None or found.done is not None:
            found = self._new(number, "")
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

    def _new(self, number: int | None, kind: str) -> OpenAIStreamItem:
        item = self._at[number] = OpenAIStreamItem(number, len(self.all), kind)
        self.all.append(item)
        return item

    def _describe(self, item: OpenAIStreamItem, source: JsonObject) -> list[Delta]:
        """Sets the type of an item; the start of a call."""
        item.kind = item.kind or item_type(source)
        item.commentary = item.commentary or is_commentary(source)
        if item.number >= 0 or not is_call({"type": item.kind, "name": source.get("name")}, self.offered):
            return []
        item.number, self._calls = self._calls, self._calls + 1
        call = tool_call({**source, "type": item.kind})
        name = call.function.name if call.custom is None else call.custom.name
        item.has_name = bool(name)
        return self._call(item, name or None, "", call.id, call.extra)

    # --- text ---------------------------------------------------------------------------------------------------------

    def text(self, item: OpenAIStreamItem, part: object, piece: str) -> Delta | None:
        """A piece of a message's text."""
        if not piece:
            return None
        sections = self._reasoning if item.commentary else self._content
        if part != item.part:
            item.part = number = optional_int(part) or 0
            item.starts.setdefault(number, sections.start_of(item.key))
        if item.commentary:
            return Delta(reasoning_content=sections.piece(item.key, piece))
        return Delta(content=sections.piece(item.key, piece))

    def refusal(self, item: OpenAIStreamItem, part: object, piece: str) -> Delta | None:
        """A piece of a message's refusal."""
        if not piece:
            return None
        item.starts.setdefault(optional_int(part) or 0, self._content.length)
        return Delta(refusal=piece)

    def annotate(self, item: OpenAIStreamItem, part: object, source: JsonObject) -> Delta:
        """An annotation of a part."""
        number = optional_int(part) or 0
        item.annotated.add(number)
        return Delta(annotations=[annotation(source, self._start(item, number)).to_dict()])

    def _start(self, item: OpenAIStreamItem, part: int) -> int | None:
        """Where the text of a part begins in the content; None if it is not part of it."""
        return None if item.commentary else item.starts.get(part, self._content.start_of(item.key))

    def _rest_of_message(self, item: OpenAIStreamItem, source: JsonObject) -> list[Delta]:
        deltas: list[Delta | None] = []
        for number, part in enumerate(message_parts(source)):
            if number not in item.starts:
                deltas.append(self.text(item, number, part_text(part)))
                deltas.append(self.refusal(item, number, as_str(part.get("refusal"))))
            if number not in item.annotated:
                found = [each.to_dict() for each in annotations_of(part, self._start(item, number))]
                deltas.append(Delta(annotations=found) if found else None)
        return [delta for delta in deltas if delta is not None]

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
        if not piece or item.number < 0:
            return []
        item.arguments = True
        return self._call(item, None, piece)

    def _rest_of_call(self, item: OpenAIStreamItem, source: JsonObject) -> list[Delta]:
        name = None if item.has_name else as_str(source.get("name")) or None
        field = "input" if item.kind == "custom_tool_call" else "arguments"
        rest = "" if item.arguments else as_str(source.get(field))
        item.has_name = item.has_name or name is not None
        item.arguments = item.arguments or bool(rest)
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
