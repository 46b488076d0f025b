"""Content blocks of replies, whatever types a server sent, and the message that they make.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html

A block that has the documented types is kept as it is, so that it can be sent back unchanged.
"""

from __future__ import annotations

from typing import Any

from ...codecs import json
from ...codecs.lenient import (
    ShapeError,
    as_list,
    as_object,
    as_optional_object,
    as_str,
    optional_object,
    optional_objects,
    optional_str,
    unknown_fields,
)
from ...records import (
    Annotation,
    ChatCompletionMessage,
    FunctionCall,
    JsonObject,
    ToolCall,
    UrlCitation,
)
from ..base import EncodingReport
from .bedrock_models import BedrockModelFamily
from .converse_parts import BedrockParts
from .converse_turns import NATIVE_CONTENT, assistant_blocks, is_blank_block

_URL = frozenset({"url"})
_TEXT = frozenset({"text"})


def read_blocks(content: object) -> list[JsonObject]:
    """The blocks of a message.

    Raises:
        ShapeError: the content is no list, or one of its items, or a part of it that the reply needs, is no object.
    """
    return [_block(item, f"output.message.content[{i}]") for i, item in enumerate(as_list(content, "content"))]


def _block(value: object, path: str) -> JsonObject:
    block = as_object(value, path)
    if len(block) > 1:
        block = {name: member for name, member in block.items() if member not in (None, "")} or {"text": ""}
    changes: JsonObject = {}
    text = block.get("text")
    if text is not None and not isinstance(text, str):
        changes["text"] = as_str(text)
    for name, read in (("toolUse", read_tool_use), ("reasoningContent", _reasoning), ("citationsContent", _cited)):
        given = block.get(name)
        if given is not None:
            found = read(given, f"{path}.{name}")
            if found is not given:
                changes[name] = found
    return {**block, **changes} if changes else block


def read_tool_use(value: object, path: str) -> JsonObject:
    """A call with a name and an id that are texts, and an input that is an object if it is one in any form."""
    use = as_object(value, path)
    changes: JsonObject = {}
    given = use.get("input")
    if not isinstance(given, dict) and "input" in use:
        found = {} if given in (None, "") else optional_object(given)
        if found is not None:
            changes["input"] = found
    for name, read in (("toolUseId", optional_str), ("name", as_str)):
        given = use.get(name)
        if not isinstance(given, str):
            changes[name] = read(given) or ""
    return {**use, **changes} if changes else use


def _reasoning(value: object, path: str) -> JsonObject:
    content = as_object(value, path)
    given = content.get("reasoningText")
    found = as_optional_object(given, f"{path}.reasoningText")
    if found is None:
        return content
    changes = {name: as_str(text) for name, text in found.items() if text is not None and not isinstance(text, str)}
    return {**content, "reasoningText": {**found, **changes}} if changes or found is not given else content


def _cited(value: object, path: str) -> JsonObject:
    content = as_object(value, path)
    texts = optional_objects(content.get("content")) or []
    changed = [{**item, "text": as_str(item["text"])} if item.get("text") is not None else item for item in texts]
    citations = optional_objects(content.get("citations")) or []
    fitting = {"content": changed, "citations": citations}
    changes = {name: found for name, found in fitting.items() if name in content and content[name] != found}
    return {**content, **changes} if changes else content


# --- the message ------------------------------------------------------------------------------------------------------


class _BlockReader:
    """What OpenAI's fields have of the blocks read so far."""

    def __init__(self, family: BedrockModelFamily) -> None:
        self.family = family
        self.texts: list[str] = []
        self.reasoning: list[str] = []
        self.thinking: list[JsonObject] = []
        self.calls: list[ToolCall] = []
        self.annotations: list[Annotation] = []
        self.images: list[JsonObject] = []
        self._length = 0

    def add(self, block: JsonObject, path: str) -> None:
        """Reads one block; content of a kind that is not known is in the native block only."""
        for name, value in block.items():
            if value is None or value == "":
                continue  # some servers write all members, and leave those of other kinds empty
            match name:
                case "text":
                    self._add_text(value)
                case "reasoningContent":
                    self._add_reasoning(value)
                case "toolUse":
                    self._add_call(value, path)
                case "citationsContent":
                    self._add_cited(value)
                case "image":
                    self.images += image_parts(optional_object(value) or {})
                case _:
                    pass

    def _add_text(self, text: str) -> None:
        self.texts.append(text)
        self._length += len(text)

    def _add_reasoning(self, content: JsonObject) -> None:
        reasoning: Any = content.get("reasoningText") or {}
        self.reasoning.append(reasoning.get("text") or "")
        block = thinking_block(content, self.family)
        if block is not None:
            self.thinking.append(block)

    def _add_call(self, use: JsonObject, path: str) -> None:
        if not is_server_tool(use):
            arguments = json.dumps(as_object(use.get("input") or {}, f"{path}.toolUse.input")).decode()
            self.calls.append(ToolCall(use["toolUseId"], FunctionCall(use["name"], arguments)))

    def _add_cited(self, content: JsonObject) -> None:
        start = self._length
        for item in content.get("content") or ():
            self._add_text(item.get("text") or "")
        for citation in content.get("citations") or ():
            self.annotations.append(annotation(citation, start, self._length))


def read_message(blocks: list[JsonObject], family: BedrockModelFamily, legacy: bool) -> ChatCompletionMessage:
    """The message of content blocks, with the blocks themselves where its fields cannot express them exactly.

    Raises:
        ShapeError: a call's input is no object.
    """
    parts = _BlockReader(family)
    for i, block in enumerate(blocks):
        parts.add(block, f"output.message.content[{i}]")
    message = ChatCompletionMessage(
        "".join(parts.texts) or None,
        tool_calls=None if legacy else parts.calls or None,
        function_call=parts.calls[0].function if legacy and parts.calls else None,
        annotations=parts.annotations or None,
        reasoning_content="".join(parts.reasoning) or None,
        thinking_blocks=parts.thinking or None,
        extra={"images": parts.images} if parts.images else {},
    )
    sent = _with_one_call(blocks) if legacy else blocks
    if not _is_complete(message, sent, family, legacy):
        message.provider_specific_fields = {NATIVE_CONTENT: sent}
    return message


def message_of_native(native: object, family: BedrockModelFamily) -> ChatCompletionMessage | None:
    """The message that native blocks of an earlier reply make, with all its calls; None if they cannot be read."""
    try:
        return read_message(read_blocks(native), family, legacy=False)
    except ShapeError:
        return None


def _with_one_call(blocks: list[JsonObject]) -> list[JsonObject]:
    """The blocks without calls after the first one: the legacy form has no place for them, nor for their results."""
    later = frozenset([i for i, block in enumerate(blocks) if _is_call(block)][1:])
    return [block for i, block in enumerate(blocks) if i not in later] if later else blocks


def _is_call(block: JsonObject) -> bool:
    use = optional_object(block.get("toolUse"))
    return use is not None and not is_server_tool(use)


def is_server_tool(use: JsonObject) -> bool:
    """Whether a call is one of a tool that Bedrock runs itself, whose result is in the reply as well."""
    return use.get("type") == "server_tool_use"


def thinking_block(content: JsonObject, family: BedrockModelFamily) -> JsonObject | None:
    """A block of Claude's reasoning in Anthropic's form; None for reasoning of others, or without a signature."""
    if not family.may_be_claude:
        return None
    if content.get("redactedContent") is not None:
        return {"type": "redacted_thinking", "data": content["redactedContent"]}
    text = optional_object(content.get("reasoningText")) or {}
    if not text.get("signature"):
        return None
    return {"type": "thinking", "thinking": text.get("text") or "", "signature": text["signature"]}


def annotation(citation: JsonObject, start: int, end: int) -> Annotation:
    """A citation of the content between `start` and `end`; a web page's has OpenAI's form.

    The type of another is that of its location: documentChar, documentPage, documentChunk, searchResultLocation.
    """
    location = optional_object(citation.get("location")) or {}
    web = optional_object(location.get("web"))
    if web is not None:
        page = UrlCitation(as_str(web.get("url")), as_str(citation.get("title")), start, end)
        others = unknown_fields(web, _URL) | unknown_fields(citation, frozenset({"location", "title"}))
        return Annotation("url_citation", page, extra=others)
    kind = next(iter(location), "citation")
    return Annotation(kind, extra={"content_start_index": start, "content_end_index": end, **citation})


def image_parts(image: JsonObject) -> list[JsonObject]:
    """An image of a reply as OpenAI's part with a data URL; none for one without data."""
    source = optional_object(image.get("source")) or {}
    data, form = optional_str(source.get("bytes")), optional_str(image.get("format"))
    if not data:
        return []
    return [{"type": "image_url", "image_url": {"url": f"data:image/{form or 'png'};base64,{data}"}}]


def _is_complete(
    message: ChatCompletionMessage, blocks: list[JsonObject], family: BedrockModelFamily, legacy: bool
) -> bool:
    """Whether encoding the message's fields gives the same blocks again."""
    if len(blocks) == 1 and blocks[0].keys() == _TEXT and not is_blank_block(blocks[0]):
        return True  # as nearly always
    report = EncodingReport("drop")
    rebuilt = assistant_blocks(message, 0, family, report, BedrockParts(report))
    native = [_essence(block) for block in blocks if not is_blank_block(block)]
    if legacy:
        # The legacy form has no ids: a call and its result get the same new one.
        rebuilt, native = [_without_id(block) for block in rebuilt], [_without_id(block) for block in native]
    return rebuilt == native


def _essence(block: JsonObject) -> JsonObject:
    """A block without what is the default: a call of the caller's own tool."""
    match block:
        case {"toolUse": {"type": "tool_use", **use}}:
            return {**block, "toolUse": use}
        case _:
            return block


def _without_id(block: JsonObject) -> JsonObject:
    use = optional_object(block.get("toolUse"))
    return block if use is None else {**block, "toolUse": {**use, "toolUseId": ""}}
