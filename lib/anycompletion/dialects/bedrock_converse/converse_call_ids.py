"""Ids of tool calls as Bedrock's models take them: of its characters and length, one per call.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolUseBlock.html
"""

from __future__ import annotations

import hashlib
import re

from ..tool_call_ids import ToolCallIds
from .bedrock_models import MISTRAL, BedrockModelFamily

_GENERAL = "[a-zA-Z0-9_.:-]{1,64}"
_OF_MISTRAL = "[a-zA-Z0-9]{9}"
"""Mistral's models refuse ids of another form, which those of other models have."""


def converse_call_ids(family: BedrockModelFamily) -> ToolCallIds:
    """The ids of a new conversation."""
    return ToolCallIds(_mistral_id if family.vendor == MISTRAL else _general_id)


def _general_id(given: str, number: int) -> str:
    if number == 1 and re.fullmatch(_GENERAL, given):
        return given
    safe = re.sub("[^a-zA-Z0-9_.:-]", "_", given)[:48]
    return f"{safe}_{_digest(given, number)[:12]}"


def _mistral_id(given: str, number: int) -> str:
    return given if number == 1 and re.fullmatch(_OF_MISTRAL, given) else _digest(given, number)[:9]


def _digest(given: str, number: int) -> str:
    """Hexadecimal digits that keep different ids different."""
    return hashlib.sha256(f"{number}:{given}".encode("utf-8", "surrogatepass")).hexdigest()
