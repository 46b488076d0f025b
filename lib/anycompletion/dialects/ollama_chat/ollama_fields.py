"""Reading of the fields that Ollama's replies and the lines of its streams have in common. No I/O.

https://docs.ollama.com/api/chat
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from ...codecs import json
from ...codecs.lenient import (
    as_list,
    as_object,
    as_optional_object,
    as_str,
    optional_int,
    optional_list,
    optional_object,
    optional_str,
    unknown_fields,
)
from ...records import FunctionCall, JsonObject, PromptTokensDetails, ToolCall, Usage
from ...records.logprobs import Logprobs
from ..shared import unix_seconds, without_nulls

NATIVE = "ollama"
"""The field of `provider_specific_fields` that contains what OpenAI's fields cannot express."""

_FINISH: Mapping[str | None, str] = {None: "stop", "load": "stop", "unload": "stop"}
"""Ollama's reason → OpenAI's finish reason, where they differ."""
_DURATIONS = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")
"""Fields with nanoseconds."""
_COUNTS = ("prompt_eval_count", "eval_count", "prompt_eval_cached_count")
_KNOWN = frozenset(
    ("id", "model", "created_at", "message", "done", "done_reason", "logprobs", "error", *_DURATIONS, *_COUNTS)
)
_MESSAGE = frozenset(("role", "content", "thinking", "tool_calls"))
_CALL = frozenset(("id", "type", "function"))
_FUNCTION = frozenset(("index", "name", "arguments"))


def has_end_mark(data: JsonObject) -> bool:
    """Whether this is marked as the end of a reply."""
    value: object = data.get("done")
    return value is True or optional_str(value) in ("true", "1")


def is_done(data: JsonObject) -> bool:
    """Whether this is the end of a reply; some servers have a reason there only."""
    return has_end_mark(data) or done_reason(data) is not None


def done_reason(data: JsonObject) -> str | None:
    """Why a reply ended; None for none, which some servers send as an empty text."""
    return optional_str(data.get("done_reason")) or None


def read_message(data: JsonObject) -> JsonObject:
    """The message; the end of a reply may have none.

    Raises:
        ShapeError: it is missing elsewhere, or is no object.
    """
    message: object = data.get("message")
    return {} if message is None and is_done(data) else as_object(message, "message")


def read_calls(message: JsonObject, data: JsonObject, count: int) -> list[ToolCall]:
    """The tool calls of a message; one without an id, as older servers send it, gets one.

    Args:
        message: the message.
        data: what the message is in.
        count: the reply's calls before these.

    Raises:
        ShapeError: a call cannot be read.
    """
    items = as_list(message.get("tool_calls"), "message.tool_calls")
    moment = optional_str(data.get("created_at")) or ""
    return [_call(item, f"message.tool_calls[{i}]", f"{moment} {count + i}") for i, item in enumerate(items)]


def _call(value: object, path: str, place: str) -> ToolCall:
    call = as_object(value, path)
    function = as_optional_object(call.get("function"), f"{path}.function") or {}
    name, arguments = as_str(function.get("name")), _arguments(function.get("arguments"))
    return ToolCall(
        optional_str(call.get("id")) or f"call_{_digest(f'{place} {name} {arguments}')}",
        FunctionCall(name, arguments, extra=without_nulls(unknown_fields(function, _FUNCTION))),
        extra=without_nulls(unknown_fields(call, _CALL)),
    )


def _arguments(value: object) -> str:
    """The arguments of a call, which Ollama sends as an object, as JSON text."""
    if value is None:
        return "{}"
    return (value if isinstance(value, str) else json.dumps(value).decode()) or "{}"


def _digest(text: str) -> str:
    """An identifier made from a text: the same whenever the same reply is read."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]


def native_fields(calls: list[ToolCall], legacy: bool) -> JsonObject | None:
    """All calls of a legacy reply, whose form has a place for one; for reading only."""
    return {NATIVE: {"tool_calls": [call.to_dict() for call in calls]}} if legacy and len(calls) > 1 else None


def finish_reasons(data: JsonObject, *, has_calls: bool, legacy: bool) -> tuple[str, str | None]:
    """OpenAI's finish reason, and Ollama's where it differs. Ollama stops after a call, too."""
    reason = done_reason(data)
    found = _FINISH.get(reason, reason or "stop")
    if has_calls and found == "stop":
        found = "function_call" if legacy else "tool_calls"
    return found, None if reason == found else reason


def read_usage(data: JsonObject) -> Usage | None:
    """The token counts, and durations in `extra`. A count that is missing is unknown: older servers send no count of a
    prompt that is in their cache."""
    prompt, completion, cached = (optional_int(data.get(name)) for name in _COUNTS)
    durations = without_nulls({name: data.get(name) for name in _DURATIONS})
    if prompt is None and completion is None and not durations:
        return None
    return Usage(
        prompt,
        completion,
        None if prompt is None or completion is None else prompt + completion,
        None if cached is None else PromptTokensDetails(cached),
        extra=durations,
    )


def read_logprobs(value: object) -> Logprobs | None:
    """Log probabilities of the tokens, each in OpenAI's form; those of thinking are among them.

    Some servers send OpenAI's object with the tokens in place of the tokens.
    """
    items = optional_list(value) or [None]
    whole = optional_object(items[0]) or {}
    tokens = optional_list(whole["content"]) if "content" in whole else optional_list(value)
    return Logprobs.from_dict({"content": tokens}) if tokens else None


def reply_id(data: JsonObject) -> str:
    """The reply's id, which only other servers of this format give it; else one made from its time, "" without any."""
    given, moment = optional_str(data.get("id")), optional_str(data.get("created_at"))
    return given or ("" if moment is None else f"chat-{_digest(moment)}")


def created_of(data: JsonObject) -> int:
    """The time in seconds; 0 where there is none."""
    return max(0, int(unix_seconds(data.get("created_at")) or 0))


def reply_extra(data: JsonObject) -> JsonObject:
    """Fields of a reply beyond those that are read, such as `remote_model`."""
    return without_nulls(unknown_fields(data, _KNOWN))


def message_extra(message: JsonObject) -> JsonObject:
    """Fields of a message beyond those that are read."""
    return without_nulls(unknown_fields(message, _MESSAGE))
