"""Validates requests for chats as Cohere does, with Cohere's error messages; never makes a reply."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ..json_access import as_dict, as_list, as_text, is_integer, is_number
from ..schema_checks import COHERE_SCHEMA
from ..wire_format import UNKNOWN_MODEL, ErrorSpec, SimulatedRequest, first_error

PATH = "/v2/chat"

_FIELDS = frozenset(
    {
        "model",
        "messages",
        "stream",
        "tools",
        "strict_tools",
        "tool_choice",
        "documents",
        "citation_options",
        "response_format",
        "safety_mode",
        "max_tokens",
        "stop_sequences",
        "temperature",
        "seed",
        "frequency_penalty",
        "presence_penalty",
        "k",
        "p",
        "logprobs",
        "thinking",
        "priority",
    }
)

_MEMBERS: Mapping[str, frozenset[str]] = {
    "system": frozenset({"role", "content"}),
    "user": frozenset({"role", "content"}),
    "assistant": frozenset({"role", "content", "tool_calls", "tool_plan", "citations"}),
    "tool": frozenset({"role", "content", "tool_call_id"}),
}
"""Role → the members of its messages."""

_PARTS: Mapping[str, Mapping[str, type]] = {
    "system": {"text": str},
    "user": {"text": str, "image_url": dict},
    "assistant": {"text": str, "thinking": str},
    "tool": {"text": str, "document": dict},
}
"""Role → type of a part → type of the member with the same name."""

_IMAGES = tuple(f"data:image/{name};" for name in ("jpeg", "png", "webp", "gif"))
"""Beginnings of the data URLs of images."""

_RANGES: Mapping[str, tuple[float, float]] = {
    "temperature": (0, 2),
    "frequency_penalty": (0, 1),
    "presence_penalty": (0, 1),
    "k": (0, 500),
    "p": (0.01, 0.99),
    "max_tokens": (1, 1_000_000),
    "seed": (0, 2**64 - 1),
    "priority": (0, 999),
}
_INTEGERS = ("k", "max_tokens", "seed", "priority")
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "tool_choice": ("REQUIRED", "NONE"),
    "safety_mode": ("CONTEXTUAL", "STRICT", "OFF"),
}
_SWITCHES = ("stream", "strict_tools", "logprobs")
_MAX_STOPS = 5
_TOOL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]*")


def validate(request: SimulatedRequest, api_key: str) -> ErrorSpec | None:
    """The error that rejects the request, or None if it is valid."""
    if request.path != PATH:
        return ErrorSpec(404, "", f"no route found for {request.method} {request.path}")
    if request.method != "POST":
        return ErrorSpec(405, "", f"method {request.method} is not allowed")
    return _key(request, api_key) or first_error(request, _CHECKS)


def _invalid(message: str) -> ErrorSpec:
    return ErrorSpec(400, "", f"invalid request: {message}")


def _unprocessable(message: str) -> ErrorSpec:
    return ErrorSpec(422, "", message)


def _key(request: SimulatedRequest, api_key: str) -> ErrorSpec | None:
    if request.bearer is None:
        return ErrorSpec(401, "", "no api key supplied")
    return None if request.bearer == api_key else ErrorSpec(401, "", "invalid api token")


def _members(request: SimulatedRequest) -> ErrorSpec | None:
    body = as_dict(request.body)
    if not body:
        return _invalid("the body is not valid JSON")
    unknown = next((name for name in body if name not in _FIELDS), None)
    if unknown is not None:
        return _unprocessable(f"unknown field: parameter '{unknown}' is not a valid field")
    model = body.get("model")
    if not isinstance(model, str) or not model:
        return _invalid("model is required")
    if model == UNKNOWN_MODEL:
        return ErrorSpec(404, "", f"model '{model}' not found, make sure the correct model ID was used")
    return None


def _values(request: SimulatedRequest) -> ErrorSpec | None:
    body: dict[str, Any] = {name: value for name, value in as_dict(request.body).items() if value is not None}
    for name, (lowest, highest) in _RANGES.items():
        value = body.get(name, lowest)
        if not (is_integer(value) if name in _INTEGERS else is_number(value)):
            return _unprocessable(f"parameter '{name}' has an invalid type")
        if not lowest <= value <= highest:
            return _invalid(f"{name} must be between {lowest} and {highest} inclusive")
    for name, values in _CHOICES.items():
        if name in body and body[name] not in values:
            return _invalid(f"{name} must be one of {', '.join(values)}")
    for name in _SWITCHES:
        if not isinstance(body.get(name, False), bool):
            return _unprocessable(f"parameter '{name}' has an invalid type")
    stops: Any = body.get("stop_sequences", [])
    if not isinstance(stops, list) or not all(isinstance(each, str) for each in as_list(stops)):
        return _unprocessable("parameter 'stop_sequences' has an invalid type")
    if len(as_list(stops)) > _MAX_STOPS:
        return _invalid(f"stop_sequences takes at most {_MAX_STOPS} sequences")
    return None


def _thinking(request: SimulatedRequest) -> ErrorSpec | None:
    thinking = request.body.get("thinking")
    if thinking is None:
        return None
    if as_dict(thinking).get("type") not in ("enabled", "disabled"):
        return _invalid("thinking.type must be one of enabled, disabled")
    if unknown := as_dict(thinking).keys() - {"type", "token_budget"}:
        return _unprocessable(f"unknown field: parameter 'thinking.{min(unknown)}' is not a valid field")
    budget = as_dict(thinking).get("token_budget")
    if budget is not None and not (is_integer(budget) and budget >= 1):
        return _invalid("thinking.token_budget must be a positive integer")
    return None


def _tools(request: SimulatedRequest) -> ErrorSpec | None:
    body = as_dict(request.body)
    for index, tool in enumerate(as_dict(each) for each in as_list(body.get("tools"))):
        at, function = f"tools[{index}]", as_dict(tool.get("function"))
        if tool.get("type") != "function":
            return _invalid(f"{at}.type must be function")
        if not _TOOL_NAME.fullmatch(as_text(function.get("name"))):
            return _invalid(f"{at}.function.name must begin with a letter and hold letters, digits and underscores")
        if not isinstance(function.get("parameters"), dict):
            return _invalid(f"{at}.function.parameters is required")
        if unknown := function.keys() - {"name", "description", "parameters"}:
            return _unprocessable(f"unknown field: parameter '{at}.function.{min(unknown)}' is not a valid field")
    if body.get("tool_choice") is not None and not body.get("tools"):
        return _invalid("tool_choice may only be given with tools")
    return None


def _response_format(request: SimulatedRequest) -> ErrorSpec | None:
    body = as_dict(request.body)
    wanted = body.get("response_format")
    if wanted is None:
        return None
    kind = as_dict(wanted).get("type")
    if kind not in ("text", "json_object"):
        return _invalid("response_format.type must be one of text, json_object")
    if unknown := as_dict(wanted).keys() - {"type", "json_schema", "schema"}:
        return _unprocessable(f"unknown field: parameter 'response_format.{min(unknown)}' is not a valid field")
    if kind == "json_object" and (body.get("tools") or body.get("documents")):
        return _invalid("response_format of type json_object is not supported with tools or documents")
    schema = as_dict(wanted).get("json_schema")
    if schema is not None and as_dict(schema).get("type") != "object":
        return _invalid("response_format.json_schema must have the type object at its top")
    problem = None if schema is None else COHERE_SCHEMA.problem(schema)
    if problem is not None:
        return _invalid(f"invalid json schema in response_format: {problem.text}")
    return None


def _messages(request: SimulatedRequest) -> ErrorSpec | None:
    messages = request.body.get("messages")
    if not isinstance(messages, list) or not messages:
        return _invalid("messages must be a non-empty list")
    for index, message in enumerate(as_list(request.body["messages"])):
        error = _message(f"messages[{index}]", as_dict(message))
        if error is not None:
            return error
    return None


def _message(at: str, message: dict[str, Any]) -> ErrorSpec | None:
    role, content = as_text(message.get("role")), message.get("content")
    if role not in _MEMBERS:
        return _invalid(f"{at}.role must be one of {', '.join(_MEMBERS)}")
    if unknown := message.keys() - _MEMBERS[role]:
        return _unprocessable(f"unknown field: parameter '{at}.{min(unknown)}' is not a valid field")
    if not content and not (role == "assistant" and message.get("tool_calls")):
        return _invalid(f"{at}.content must not be empty")
    if content and not isinstance(content, (str, list)):
        return _unprocessable(f"parameter '{at}.content' has an invalid type")
    if role == "tool" and not message.get("tool_call_id"):
        return _invalid(f"{at}.tool_call_id is required")
    for part in as_list(content):
        error = _part(at, role, as_dict(part))
        if error is not None:
            return error
    for tool_call in as_list(message.get("tool_calls")):
        function = as_dict(as_dict(tool_call).get("function"))
        if not (as_text(as_dict(tool_call).get("id")) and isinstance(function.get("arguments"), str)):
            return _invalid(f"{at}.tool_calls: each needs an id and a function with its arguments as a string")
    return None


def _part(at: str, role: str, part: dict[str, Any]) -> ErrorSpec | None:
    kind = as_text(part.get("type"))
    if kind not in _PARTS[role]:
        return _invalid(f"{at}.content: a {role} message has no parts of type {kind!r}")
    if not isinstance(part.get(kind), _PARTS[role][kind]):
        return _unprocessable(f"parameter '{at}.content.{kind}' has an invalid type")
    url = as_text(as_dict(part.get("image_url")).get("url"))
    if url.startswith("data:image/") and not url.startswith(_IMAGES):
        return _invalid(f"{at}.content: images must be JPEG, PNG, WebP or GIF")
    return None


def _order(request: SimulatedRequest) -> ErrorSpec | None:
    """Checks that each tool result belongs to a call of an earlier turn."""
    call_ids: set[str] = set()
    for index, message in enumerate(as_dict(each) for each in as_list(request.body["messages"])):
        call_ids |= {as_text(as_dict(each).get("id")) for each in as_list(message.get("tool_calls"))}
        if message["role"] == "tool" and message["tool_call_id"] not in call_ids:
            return _invalid(
                f"messages[{index}]: tool call id {message['tool_call_id']} not found in previous tool calls"
            )
    return None


_CHECKS: tuple[Callable[[SimulatedRequest], ErrorSpec | None], ...] = (
    _members,
    _values,
    _messages,
    _order,
    _thinking,
    _tools,
    _response_format,
)
