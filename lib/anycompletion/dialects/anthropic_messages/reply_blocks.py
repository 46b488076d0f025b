"""Content blocks of replies as Anthropic documents them, whatever types a server sent.

A block that has the documented types is returned as it is, so that it can be sent back unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from ...codecs.lenient import as_list, as_object, as_str, optional_object, optional_objects, optional_str
from ...records import JsonObject
from .native_types import block_type, citation_type

_CALLS = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
"""Types of blocks that call a tool with an `input`."""


def read_blocks(content: object) -> list[JsonObject]:
    """The blocks of a message.

    Raises:
        ShapeError: the content is no list, or one of its items is no object.
    """
    return [read_block(item, f"content[{i}]") for i, item in enumerate(as_list(content, "content"))]


def read_block(value: object, path: str) -> JsonObject:
    """A content block with its type, and with fields of the types that belong to it.

    Raises:
        ShapeError: the block is no object.
    """
    block = as_object(value, path)
    kind = block_type(block)
    changes: JsonObject = {} if block.get("type") == kind else {"type": kind}
    for field, usual, read in _FIELDS.get(kind, ()):
        value = block.get(field)
        if value.__class__ is not usual:
            fitting = read(value)
            if fitting is not value:
                changes[field] = fitting
    return {**block, **changes} if changes else block


def read_citations(value: object) -> list[JsonObject]:
    """The citations of a text block, or the one of a delta, with their types."""
    citations = optional_objects(value) or ()
    return [
        cited if isinstance(cited.get("type"), str) else cited | {"type": citation_type(cited)} for cited in citations
    ]


def _citations(value: object) -> object:
    if value is None:
        return None
    found = read_citations(value)
    return value if found == value else found


def _signature(value: object) -> str | None:
    return None if value is None else as_str(value)


def _id(value: object) -> str:
    return optional_str(value) or ""


def _input(value: object) -> object:
    """A call's input: an object, empty for none, or unchanged if it is not one in any form."""
    found = {} if value in (None, "") else optional_object(value)
    return value if found is None else found


_Field: TypeAlias = tuple[str, type, Callable[[object], object]]
_CALL: tuple[_Field, ...] = (("id", str, _id), ("name", str, as_str), ("input", dict, _input))
_FIELDS: Mapping[str, tuple[_Field, ...]] = {
    "text": (("text", str, as_str), ("citations", type(None), _citations)),
    "thinking": (("thinking", str, as_str), ("signature", str, _signature)),
    **dict.fromkeys(_CALLS, _CALL),
}
"""Type of a block → its fields, each with its documented type and the reader of values of other types."""
