"""Ids of tool calls as Anthropic takes them: of its characters, one per call.

https://docs.anthropic.com/en/api/messages
"""

from __future__ import annotations

import hashlib
import re

from ..tool_call_ids import ToolCallIds

_UNSAFE = "[^a-zA-Z0-9_-]"


def anthropic_call_ids() -> ToolCallIds:
    """The ids of a new conversation."""
    return ToolCallIds(_numbered_id)


def _numbered_id(given: str, number: int) -> str:
    return tool_id(given) if number == 1 else f"{tool_id(given)}_{number}"


def tool_id(given: str) -> str:
    """An id of Anthropic's characters, deterministic; the digest keeps two different ids different."""
    if given and not re.search(_UNSAFE, given):
        return given
    digest = hashlib.sha256(given.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{re.sub(_UNSAFE, '_', given)}_{digest}"
