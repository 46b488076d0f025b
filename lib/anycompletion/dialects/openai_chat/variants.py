"""Fields that some OpenAI-compatible servers add or give another form, converted to OpenAI's form."""

from __future__ import annotations

from typing import Any, cast

from ...codecs.lenient import as_str, optional_list, optional_object, optional_str
from ...records import JsonObject


def with_plain_deltas(chunk: JsonObject) -> JsonObject:
    """The JSON of a chunk whose deltas have the form of `with_plain_texts`."""
    choices = optional_list(chunk.get("choices"))
    return chunk if choices is None else chunk | {"choices": list(map(_with_plain_delta, choices))}


def _with_plain_delta(choice: object) -> object:
    source = optional_object(choice)
    if source is None:
        return choice
    # A whole message replaces a missing delta.
    name = "message" if source.get("delta") is None else "delta"
    found = optional_object(source.get(name))
    return source if found is None else source | {name: with_plain_texts(found)}


# --- texts of messages and deltas -------------------------------------------------------------------------------------


def with_plain_texts(fields: JsonObject) -> JsonObject:
    """The JSON of a message or delta whose `content` and `reasoning_content` are texts.

    Content parts, which Mistral and Databricks send, are divided by their type: texts, reasoning, refusals, citations
    (`annotations`) and images (`images`, as OpenRouter calls them). Parts of other types are left out. The reasoning
    may also be an object or a list of parts, and be called `reasoning`.
    """
    content = fields.get("content")
    if isinstance(content, list):
        fields = fields | _divided(cast("list[object]", content), fields)
    return _with_reasoning(fields)


def _divided(content: list[object], fields: JsonObject) -> JsonObject:
    """The fields of a message or delta, with the parts of its content divided among them by type."""
    types = list(map(_part_type, content))
    if not any(types):
        only: Any = content[0] if len(content) == 1 else None
        if isinstance(only, list) and any(map(_part_type, cast("list[object]", only))):
            return _divided(cast("list[object]", only), fields)
        return {"content": as_str(content)}  # texts, or a structured reply as JSON
    texts: list[str] = []
    others: dict[str, list[Any]] = {}
    for kind, item in zip(types, content, strict=True):
        if kind in _FIELDS:
            others.setdefault(_FIELDS[kind], []).append(optional_object(item))
        elif kind in _TEXT_TYPES:
            texts.append(as_str((optional_object(item) or {}).get("text")))
        elif not isinstance(item, dict):
            texts.append(as_str(item))
    divided: JsonObject = {"content": "".join(texts) if texts else None}
    for name in ("annotations", "images"):
        if name in others:
            divided[name] = [*(optional_list(fields.get(name)) or ()), *others[name]]
    if "refusal" in others and not fields.get("refusal"):
        divided["refusal"] = "".join(as_str(part.get("refusal")) for part in others["refusal"])
    if "reasoning_content" in others and not fields.get("reasoning_content"):
        divided["reasoning_content"] = _reasoning_text(others["reasoning_content"])
    return divided


def _part_type(item: object) -> str:
    """The type of a content part; "" for what is no part."""
    part = optional_object(item) or {}
    kind = optional_str(part.get("type")) or ""
    if kind not in _FIELDS and kind not in _TEXT_TYPES and not isinstance(part.get("type"), str):
        kind = next((name for name in ("text", "thinking") if name in part), kind)
    # A text may be the JSON of any object.
    return kind if isinstance(item, dict) or kind in _FIELDS or kind in _TEXT_TYPES else ""


_TEXT_TYPES = frozenset(("text", "output_text"))
_FIELDS = {
    "thinking": "reasoning_content",
    "reasoning": "reasoning_content",
    "refusal": "refusal",
    "reference": "annotations",
    "image_url": "images",
}
"""Type of a content part → the field of the message for parts of this type."""


def _with_reasoning(fields: JsonObject) -> JsonObject:
    """The fields with the reasoning as text, under LiteLLM's name `reasoning_content`."""
    given = fields.get("reasoning_content")
    text = _reasoning_text(given)
    if text:
        return fields if text is given else fields | {"reasoning_content": text}
    text = _reasoning_text(fields.get("reasoning"))
    if not text:
        return fields
    fields = fields | {"reasoning_content": text}
    del fields["reasoning"]
    return fields


def _reasoning_text(value: object) -> str:
    """The text of reasoning: a text, an object that has one, or a list of these; "" for all else."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(map(_reasoning_text, cast("list[object]", value)))
    if isinstance(value, dict):
        source = cast("JsonObject", value)
        return next((text for name in _REASONING_FIELDS if (text := _reasoning_text(source.get(name)))), "")
    return ""


_REASONING_FIELDS = ("text", "thinking", "reasoning", "summary", "content")
"""Fields of an object with reasoning that can have the text, the likeliest first."""
