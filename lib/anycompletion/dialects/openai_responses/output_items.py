"""Output items of the Responses API as a chat message, whatever types a server gives their members. No I/O.

https://platform.openai.com/docs/api-reference/responses/object
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, cast

from ...codecs.lenient import (
    ShapeError,
    as_list,
    as_object,
    as_str,
    optional_int,
    optional_objects,
    optional_str,
    unknown_fields,
)
from ...records import (
    Annotation,
    ChatCompletionMessage,
    ChatRequest,
    CustomCall,
    CustomTool,
    FunctionCall,
    JsonObject,
    ToolCall,
    UrlCitation,
)
from ...records.logprobs import Logprobs
from ..shared import without_nulls

SEPARATOR = "\n\n"
"""Between messages, and between sections of reasoning: a blank line."""

_URL_CITATION = frozenset(("type", "url", "title", "start_index", "end_index"))
_TYPE = frozenset(("type",))
_CALL_FIELDS = frozenset(("type", "id", "call_id", "name", "arguments", "input", "status"))
_BY_FIELD = (
    ("arguments", "function_call"),
    ("input", "custom_tool_call"),
    ("encrypted_content", "reasoning"),
    ("summary", "reasoning"),
    ("role", "message"),
    ("content", "message"),
)
"""Field → the type of an item that has it and no type of its own; the first one decides."""


class OpenAIOfferedTools(NamedTuple):
    """The caller's tools, by which calls for the caller are recognized."""

    legacy: bool = False
    """Whether the reply uses `function_call`, which has a place for one call."""
    custom: frozenset[str] = frozenset()
    """Names of the custom tools that the caller offers. Servers report calls of tools of their own as custom calls,
    too, which are no calls for the caller."""

    def with_echo(self, response: JsonObject) -> OpenAIOfferedTools:
        """These, and the custom tools that the response lists: a stored prompt may add some."""
        echoed = optional_objects(response.get("tools"))
        names = [optional_str(tool.get("name")) for tool in echoed or () if tool.get("type") == "custom"]
        return self._replace(custom=self.custom.union(filter(None, names))) if names else self


def offered_tools(request: ChatRequest) -> OpenAIOfferedTools:
    """The tools that a request offers."""
    tools = [tool.extra.get("custom") for tool in request.tools or () if isinstance(tool, CustomTool)]
    names = [cast("Mapping[str, object]", tool).get("name") for tool in tools if isinstance(tool, Mapping)]
    legacy = bool(request.functions) and not request.tools
    return OpenAIOfferedTools(legacy, frozenset(name for name in names if isinstance(name, str)))


class OpenAITextSections:
    """Sections of a text, such as messages, between which there is a blank line."""

    __slots__ = ("_key", "length")

    def __init__(self) -> None:
        self.length = 0
        """Characters so far."""
        self._key: object = None

    def piece(self, key: object, text: str) -> str:
        """The next piece of a section, which begins with a blank line if it is the first one after another section."""
        if text:
            if key != self._key:
                self._key = key
                text = SEPARATOR + text if self.length else text
            self.length += len(text)
        return text

    def start_of(self, key: object) -> int:
        """Where the next piece of a section will be, in characters."""
        return self.length + len(SEPARATOR) if self.length and key != self._key else self.length


def item_type(item: JsonObject) -> str:
    """The type of an item: its own, or by its fields; "" if nothing determines it."""
    kind: object = item.get("type")
    if isinstance(kind, str) and kind:
        return kind
    return next((kind for field, kind in _BY_FIELD if item.get(field) is not None), "")


def read_items(value: object) -> list[JsonObject]:
    """The items of an output, each with its type.

    Raises:
        ShapeError: the output is no list, or one of its items is no object.
    """
    return [read_item(item, f"output[{i}]") for i, item in enumerate(as_list(value, "output"))]


def read_item(value: object, path: str) -> JsonObject:
    """An item with its type.

    Raises:
        ShapeError: it is no object, or one without anything that determines its type.
    """
    item = as_object(value, path)
    kind = item_type(item)
    if not kind:
        raise ShapeError(f"{path}.type", "the type of an item", item.get("type"))
    return item if item.get("type") == kind else item | {"type": kind}


def is_commentary(item: JsonObject) -> bool:
    """Whether a message is a note that the model writes before its answer."""
    return item.get("phase") == "commentary"


def is_call(item: JsonObject, offered: OpenAIOfferedTools) -> bool:
    """Whether an item is a call of one of the caller's tools."""
    kind = item["type"]
    return kind == "function_call" or (kind == "custom_tool_call" and as_str(item.get("name")) in offered.custom)


def message_parts(item: JsonObject, path: str = "content") -> list[JsonObject]:
    """The content parts of a message or of reasoning; a text in place of one is a part with that text."""
    content: object = item.get("content")
    if isinstance(content, str):
        return [{"type": "output_text", "text": content}]
    parts = as_list(content, path)
    return [
        {"type": "output_text", "text": part} if isinstance(part, str) else as_object(part, f"{path}[{i}]")
        for i, part in enumerate(parts)
    ]


def part_text(part: JsonObject) -> str:
    """The text of a content part, whatever its type; "" for a refusal."""
    return as_str(part.get("text"))


def reasoning_texts(item: JsonObject) -> list[str]:
    """The sections of a reasoning item: its own text if there is any, else its summary."""
    for name in ("content", "summary"):
        texts = [part_text(part) for part in message_parts({"content": item.get(name)}, name)]
        if any(texts):
            return texts
    return []


def annotations_of(part: JsonObject, start: int | None) -> list[Annotation]:
    """The annotations of a content part whose text begins at `start` of the content; None if it is not part of it."""
    return [annotation(found, start) for found in optional_objects(part.get("annotations")) or ()]


def annotation(source: JsonObject, start: int | None) -> Annotation:
    """An annotation in the chat API's form; a web page's place is given in characters of the whole content."""
    kind = as_str(source.get("type"))
    if kind != "url_citation":
        return Annotation(kind, extra=unknown_fields(source, _TYPE))
    first, last = (optional_int(source.get(name)) for name in ("start_index", "end_index"))
    return Annotation(
        kind,
        UrlCitation(
            optional_str(source.get("url")) or "",
            optional_str(source.get("title")) or "",
            None if start is None or first is None else start + first,
            None if start is None or last is None else start + last,
            extra=without_nulls(unknown_fields(source, _URL_CITATION)),
        ),
    )


def logprobs_of(value: object) -> Logprobs | None:
    """Log probabilities of a part or a delta; None for none."""
    return Logprobs.from_dict({"content": value}) if value and optional_objects(value) else None


def tool_call(item: JsonObject) -> ToolCall:
    """A call in the chat API's form; its id is the one that its result refers to."""
    call_id = optional_str(item.get("call_id")) or optional_str(item.get("id")) or ""
    name, extra = as_str(item.get("name")), without_nulls(unknown_fields(item, _CALL_FIELDS))
    if item["type"] == "custom_tool_call":
        return ToolCall(call_id, type="custom", custom=CustomCall(name, as_str(item.get("input"))), extra=extra)
    return ToolCall(call_id, FunctionCall(name, as_str(item.get("arguments"))), extra=extra)


# --- the message ------------------------------------------------------------------------------------------------------


class OpenAIOutputReader:
    """Reads the items of an output into a message."""

    __slots__ = ("_annotations", "_content", "_offered", "_reasoning", "_refusals", "_sections", "calls", "logprobs")

    def __init__(self, offered: OpenAIOfferedTools) -> None:
        self._offered = offered
        self._content: list[str] = []
        self._reasoning: list[str] = []
        self._refusals: list[str] = []
        self._annotations: list[Annotation] = []
        self._sections = (OpenAITextSections(), OpenAITextSections())
        self.calls: list[ToolCall] = []
        self.logprobs: Logprobs | None = None
        """The log probabilities of the content."""

    def message(self, items: Iterable[JsonObject]) -> ChatCompletionMessage:
        """The message of all items.

        Raises:
            ShapeError: the content of an item cannot be read.
        """
        for index, item in enumerate(items):
            match item["type"]:
                case "message":
                    self._add_message(item, index)
                case "reasoning":
                    for i, text in enumerate(reasoning_texts(item)):
                        self._reasoning.append(self._sections[1].piece((index, i), text))
                case _:
                    if is_call(item, self._offered):
                        self.calls.append(tool_call(item))
        legacy = self._offered.legacy
        return ChatCompletionMessage(
            "".join(self._content) or None,
            "".join(self._refusals) or None,
            None if legacy else self.calls or None,
            self.calls[0].function if legacy and self.calls else None,
            annotations=self._annotations or None,
            reasoning_content="".join(self._reasoning) or None,
        )

    def _add_message(self, item: JsonObject, index: int) -> None:
        commentary = is_commentary(item)
        texts, sections = (self._reasoning, self._sections[1]) if commentary else (self._content, self._sections[0])
        for part in message_parts(item):
            if part.get("refusal") is not None:
                self._refusals.append(as_str(part["refusal"]))
            start = sections.start_of(index)
            texts.append(sections.piece(index, part_text(part)))
            self._annotations += annotations_of(part, None if commentary else start)
            found = None if commentary else logprobs_of(part.get("logprobs"))
            if found is not None:
                earlier = self.logprobs.content if self.logprobs is not None else None
                self.logprobs = Logprobs([*(earlier or ()), *(found.content or ())])


def read_message(items: Iterable[JsonObject], offered: OpenAIOfferedTools) -> ChatCompletionMessage:
    """The message of an output's items."""
    return OpenAIOutputReader(offered).message(items)


def item_fields(item: JsonObject, *names: str) -> dict[str, Any]:
    """The fields of an item without those of `names`, and without nulls."""
    return {name: value for name, value in item.items() if value is not None and name not in names}
