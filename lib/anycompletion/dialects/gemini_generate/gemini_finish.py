"""Gemini's finish reasons → OpenAI's.

https://ai.google.dev/api/generate-content#FinishReason
"""

from __future__ import annotations

from collections.abc import Mapping

from ...codecs.lenient import optional_str
from ...records import JsonObject

_FILTERED = "content_filter"

_FINISH: Mapping[str, str] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    **dict.fromkeys(
        (
            *("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE", "OTHER"),
            *("MODEL_ARMOR", "ESCALATION", "PUP_LIMITED_DISABLED", "NO_IMAGE"),
        ),
        _FILTERED,
    ),
}
"""Gemini's reason → OpenAI's; reasons that begin with IMAGE_ are filters as well."""

FAILED_REASONS = frozenset(
    ("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MALFORMED_RESPONSE", "TOO_MANY_TOOL_CALLS")
)
"""Reasons of a generation that failed."""

NO_SIGNATURE = "MISSING_THOUGHT_SIGNATURE"
"""The reason that reports a mistake of the request."""

_NUMBERS: Mapping[str, str] = {"1": "STOP", "2": "MAX_TOKENS", "3": "SAFETY", "4": "RECITATION", "5": "OTHER"}
"""Number of a reason, where a server sends numbers, → its name. Later numbers differ between Google's services."""

_NO_REASON = ("", "0", "FINISH_REASON_UNSPECIFIED")
_NO_BLOCK = ("", "0", "BLOCK_REASON_UNSPECIFIED", "BLOCKED_REASON_UNSPECIFIED")


def native_reason(candidate: JsonObject) -> str | None:
    """The finish reason of a candidate by its name; None if it has not ended."""
    reason = optional_str(candidate.get("finishReason"))
    return None if reason is None or reason in _NO_REASON else _NUMBERS.get(reason, reason)


def finish_reason(native: str | None, *, has_calls: bool, legacy: bool) -> str | None:
    """OpenAI's finish reason: calls end with STOP, an unknown reason is a stop, and a failure has none."""
    if native is None or native in FAILED_REASONS or native == NO_SIGNATURE:
        return None
    found = _FILTERED if native.startswith("IMAGE_") else _FINISH.get(native, "stop")
    if found != "stop" or not has_calls:
        return found
    return "function_call" if legacy else "tool_calls"


def block_reason(feedback: JsonObject | None) -> str | None:
    """Why the prompt was blocked; None if it was not."""
    reason = None if feedback is None else optional_str(feedback.get("blockReason"))
    return None if reason is None or reason in _NO_BLOCK else reason
