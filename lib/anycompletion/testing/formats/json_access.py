"""Reads JSON values of unknown shape without raising, and writes JSON as bytes; never reports what is wrong with it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any, cast


def as_dict(value: Any) -> dict[str, Any]:
    """`value` if it is a JSON object, else an empty one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """`value` if it is a JSON array, else an empty one."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def as_text(value: Any) -> str:
    """`value` if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def is_number(value: Any) -> bool:
    """True for JSON numbers, which booleans and infinities are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def is_integer(value: Any) -> bool:
    """True for JSON numbers without a fraction part."""
    return isinstance(value, int) and not isinstance(value, bool)


def text_of(content: Any) -> str:
    """The text of a message's content in OpenAI's JSON, a string or a list of parts."""
    if isinstance(content, str):
        return content
    return "\n".join(
        as_text(as_dict(part).get("text")) for part in as_list(content) if as_dict(part).get("type") == "text"
    )


def last_result(messages: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """The last tool result in OpenAI's roles that no message of the assistant follows; None if there is none."""
    found: dict[str, Any] | None = None
    for message in messages:
        if message.get("role") == "assistant":
            found = None
        elif message.get("role") in ("tool", "function"):
            found = message
    return found


def dump(value: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def sse(value: Any, name: str = "") -> bytes:
    """A server-sent event with `value` as its data."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + dump(value) + b"\n\n"
