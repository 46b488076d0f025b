"""Fields that some OpenAI-compatible servers add or give another form, converted to OpenAI's form."""

from __future__ import annotations

from typing import Any, cast

from ...codecs.lenient import (
    ShapeError,
    as_list,
    as_object,
    as_str,
    optional_float,
)
from ...records import JsonObject, Usage

_TICKS_PER_DOLLAR = 10_000_000_000


def set_cost(usage: Usage | None) -> None:
    """Sets the cost from xAI's `cost_in_usd_ticks`, unless the usage has a cost or the ticks cannot be read.

    Azure reports 0 ticks when it serves xAI's models, because it does not count them.
    """
    if usage is None or usage.cost is not None:
        return
    try:
        ticks = optional_float(usage.extra.get("cost_in_usd_ticks"))
    except ShapeError:
        return
    if ticks:
        usage.cost = ticks / _TICKS_PER_DOLLAR


def with_text_content(chunk: JsonObject) -> JsonObject:
    """The JSON of a chunk with text in place of Mistral's content parts, which are texts and thinking.

    Raises:
        ShapeError: a part cannot be read; the text names its path.
    """
    choices: Any = chunk.get("choices")
    if not isinstance(choices, list):
        return chunk
    items = enumerate(cast("list[Any]", choices))
    return chunk | {"choices": [_with_text_content(item, f"choices[{i}].delta.content") for i, item in items]}


def _with_text_content(choice: object, path: str) -> object:
    delta: Any = cast("JsonObject", choice).get("delta") if isinstance(choice, dict) else None
    content: Any = cast("JsonObject", delta).get("content") if isinstance(delta, dict) else None
    if not isinstance(content, list):
        return cast("object", choice)
    texts: list[str] = []
    thoughts: list[str] = []
    for i, item in enumerate(cast("list[Any]", content)):
        part = as_object(item, f"{path}[{i}]")
        if part.get("type") == "text":
            texts.append(as_str(part.get("text")))
        elif part.get("type") == "thinking":
            thoughts.append(thinking_text(part))
    changed = cast("JsonObject", delta) | {"content": "".join(texts) if texts else None}
    if thoughts and changed.get("reasoning_content") is None:
        changed["reasoning_content"] = "".join(thoughts)
    return cast("JsonObject", choice) | {"delta": changed}


def thinking_text(part: JsonObject) -> str:
    """The text of one of Mistral's thinking parts: a string, or a list of parts with text."""
    thinking = part.get("thinking")
    if isinstance(thinking, str):
        return thinking
    return "".join(
        as_str(cast("JsonObject", item).get("text")) for item in as_list(thinking, "thinking") if isinstance(item, dict)
    )
