"""Validates requests for chats as Ollama does, with its error messages; never makes a reply.

https://docs.ollama.com/api/chat

Ollama ignores members that it does not know; an option with a value of another type is an error.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

from ..json_access import as_dict, as_list, as_text, is_integer, is_number
from ..schema_checks import GRAMMAR_SCHEMA
from ..wire_format import UNKNOWN_MODEL, ErrorSpec, SimulatedRequest, first_error

PATH = "/api/chat"

_ROLES = ("system", "user", "assistant", "tool")
_LEVELS = ("low", "medium", "high", "max")
_MAX_TOP_LOGPROBS = 20

_OPTIONS: Mapping[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("num_ctx", "num_predict", "num_keep", "seed", "top_k", "repeat_last_n"), is_integer),
    **dict.fromkeys(
        ("temperature", "top_p", "min_p", "typical_p", "repeat_penalty", "presence_penalty", "frequency_penalty"),
        is_number,
    ),
    "stop": lambda value: isinstance(value, list) and all(isinstance(each, str) for each in as_list(value)),
}
"""Option → whether it has the right type; unknown options are ignored."""


def validate(request: SimulatedRequest, api_key: str) -> ErrorSpec | None:
    """The error that rejects the request, or None if it is valid."""
    if request.path != PATH:
        return ErrorSpec(404, "", f'path "{request.path}" not found')
    if request.method != "POST":
        return ErrorSpec(405, "", "method not allowed")
    if request.bearer != api_key:
        return ErrorSpec(401, "", "unauthorized")
    return first_error(request, _CHECKS)


def _invalid(message: str) -> ErrorSpec:
    return ErrorSpec(400, "", message)


def _wrong_type(member: str) -> ErrorSpec:
    return _invalid(f"json: cannot unmarshal the value of field ChatRequest.{member}")


def _members(request: SimulatedRequest) -> ErrorSpec | None:
    body = as_dict(request.body)
    if not body:
        return _invalid("missing request body")
    model = body.get("model")
    if not isinstance(model, str):
        return _wrong_type("model")
    if not model:
        return _invalid("model is required")
    if model == UNKNOWN_MODEL:
        return ErrorSpec(404, "", f"model '{model}' not found")
    for name in ("stream", "logprobs", "truncate", "shift"):
        if not isinstance(body.get(name, False), (bool, type(None))):
            return _wrong_type(name)
    return None


def _values(request: SimulatedRequest) -> ErrorSpec | None:
    body = as_dict(request.body)
    think: Any = body.get("think")
    if not (think is None or isinstance(think, bool) or think in _LEVELS):
        return _invalid(f'invalid think value: {think!r} (must be "high", "medium", "low", "max", true, or false)')
    alternatives: Any = body.get("top_logprobs") or 0
    if not is_integer(alternatives):
        return _wrong_type("top_logprobs")
    if not 0 <= alternatives <= _MAX_TOP_LOGPROBS:
        return _invalid(f"top_logprobs must be between 0 and {_MAX_TOP_LOGPROBS}")
    wanted = body.get("format")
    if not (wanted in (None, "", "json") or isinstance(wanted, dict)):
        return _invalid('invalid format: expected "json" or a JSON schema')
    problem = GRAMMAR_SCHEMA.problem(wanted) if isinstance(wanted, dict) else None
    if problem is not None:
        return _invalid(f"invalid JSON schema in format: {problem.text}")
    options = body.get("options")
    if not isinstance(options, (dict, type(None))):
        return _wrong_type("options")
    for name, has_type in _OPTIONS.items():
        value = as_dict(options).get(name)
        if value is not None and not has_type(value):
            return _invalid(f'option "{name}" must be of another type')
    return None


def _tools(request: SimulatedRequest) -> ErrorSpec | None:
    tools: Any = as_dict(request.body).get("tools")
    if not isinstance(tools, (list, type(None))):
        return _wrong_type("tools")
    for tool in map(as_dict, as_list(tools)):
        function = as_dict(tool.get("function"))
        if not isinstance(function.get("name"), str):
            return _wrong_type("tools.function")
        if not isinstance(function.get("parameters", {}), dict):
            return _wrong_type("tools.function.parameters")
    return None


def _messages(request: SimulatedRequest) -> ErrorSpec | None:
    messages: Any = as_dict(request.body).get("messages")
    if not isinstance(messages, list) or not messages:
        return _wrong_type("messages")
    for message in map(as_dict, as_list(messages)):
        error = _message(message)
        if error is not None:
            return error
    return None


def _message(message: dict[str, Any]) -> ErrorSpec | None:
    role = as_text(message.get("role"))
    if role not in _ROLES:
        return _invalid(f"invalid role: {role}, must be one of {list(_ROLES)}")
    for name in ("content", "thinking", "tool_name", "tool_call_id"):
        if not isinstance(message.get(name, ""), (str, type(None))):
            return _wrong_type(f"messages.{name}")
    for image in as_list(message.get("images")):
        try:
            base64.b64decode(as_text(image), validate=True)
        except (binascii.Error, ValueError):
            return _invalid("illegal base64 data at input byte 0")
    for call in as_list(message.get("tool_calls")):
        if not isinstance(as_dict(as_dict(call).get("function")).get("arguments", {}), dict):
            return _invalid("Value looks like object, but can't find closing '}' symbol")
    return None


_CHECKS: tuple[Callable[[SimulatedRequest], ErrorSpec | None], ...] = (_members, _values, _messages, _tools)
