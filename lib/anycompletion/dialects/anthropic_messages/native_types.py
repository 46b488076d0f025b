"""Types of Anthropic's events, deltas, blocks and citations: as sent, or inferred from the fields. Raises nothing.

Every object of the format has a `type`, but its fields determine it just as well, so a damaged type loses nothing.

https://docs.anthropic.com/en/api/messages-streaming
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from ...codecs.lenient import optional_objects

_Rules: TypeAlias = tuple[tuple[str, str], ...]
"""(field, type): the first field that an object has determines its type."""

_EVENTS = frozenset(
    {
        "content_block_delta",
        "content_block_start",
        "content_block_stop",
        "message_delta",
        "message_start",
        "message_stop",
        "ping",
    }
)
DELTA_TARGETS: Mapping[str, str] = {
    "text_delta": "text",
    "input_json_delta": "input",
    "thinking_delta": "thinking",
    "signature_delta": "thinking",
    "citations_delta": "text",
}
"""Type of a delta → the field that grows in the blocks it belongs to."""

_EVENT_RULES: _Rules = (
    ("message", "message_start"),
    ("content_block", "content_block_start"),
    ("index", "content_block_stop"),
    ("delta", "message_delta"),
    ("usage", "message_delta"),
)
_DELTA_RULES: _Rules = (
    ("text", "text_delta"),
    ("partial_json", "input_json_delta"),
    ("thinking", "thinking_delta"),
    ("signature", "signature_delta"),
    ("citation", "citations_delta"),
)
_BLOCK_RULES: _Rules = (
    ("text", "text"),
    ("thinking", "thinking"),
    ("signature", "thinking"),
    ("server_name", "mcp_tool_use"),
    ("name", "tool_use"),
    ("input", "tool_use"),
    ("data", "redacted_thinking"),
)
_CITATION_RULES: _Rules = (
    ("url", "web_search_result_location"),
    ("start_char_index", "char_location"),
    ("start_page_number", "page_location"),
    ("search_result_index", "search_result_location"),
    ("start_block_index", "content_block_location"),
)


def event_type(data: Mapping[str, Any], name: str) -> str:
    """The type of an event: its own if that is known, else the name of the server-sent event, else by its fields.

    Errors have the type "error", whatever they call themselves; "" is an event whose type nothing determines.
    """
    kind = _text(data.get("type"))
    if kind in _EVENTS:
        return kind
    if name == "error" or kind.endswith("error"):
        return "error"
    if name in _EVENTS:
        return name
    if kind:
        return kind  # added to the format later
    if isinstance(data.get("message"), str):
        return ""  # no message of the assistant, but that of an error
    if "delta" in data and "index" in data:
        return "content_block_delta"
    return _inferred(data, _EVENT_RULES)


def delta_type(delta: Mapping[str, Any]) -> str:
    """The type of a content block's delta."""
    return _text(delta.get("type")) or _inferred(delta, _DELTA_RULES)


def block_type(block: Mapping[str, Any]) -> str:
    """The type of a content block; "" if neither its type nor its fields determine it."""
    kind = _text(block.get("type"))
    if kind:
        return kind
    kind = _inferred(block, _BLOCK_RULES)
    if kind == "tool_use" and str(block.get("id")).startswith("srvtoolu_"):
        return "server_tool_use"
    return kind or (_tool_result_type(block.get("content")) if "tool_use_id" in block else "")


def citation_type(citation: Mapping[str, Any]) -> str:
    """The type of a citation."""
    return _text(citation.get("type")) or _inferred(citation, _CITATION_RULES)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _inferred(data: Mapping[str, Any], rules: _Rules) -> str:
    return next((kind for field, kind in rules if data.get(field) is not None), "")


def _tool_result_type(content: object) -> str:
    """The type of a server tool's result: it follows from the type of what it contains."""
    items = optional_objects(content)
    inner = _text(items[0].get("type")) if items else ""
    return inner.removesuffix("_result") + "_tool_result" if inner.endswith("_result") else ""
