"""Validates requests for chat completions as OpenAI does, with OpenAI's error messages; never makes a reply."""

from __future__ import annotations

from typing import Any

from ..json_access import as_dict, as_list, as_text, is_integer, is_number, text_of
from ..wire_format import UNKNOWN_MODEL, ErrorSpec, SimulatedRequest, first_error
from .check_schemas import format_error, mentions_json, tool_schema_error

PATH = "/v1/chat/completions"

_RANGES = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "n": (1, 128),
    "top_logprobs": (0, 20),
}

_INTEGERS = ("n", "top_logprobs", "max_tokens", "max_completion_tokens")
_MAX_STOPS = 4

_ROLES = ("developer", "system", "user", "assistant", "tool", "function")


def validate(request: SimulatedRequest, api_key: str) -> ErrorSpec | None:
    """The error that rejects the request, or None if it is valid."""
    return first_error(request, (_path, lambda request: validate_key(request.bearer, api_key), validate_body))


def validate_body(request: SimulatedRequest) -> ErrorSpec | None:
    """The error that rejects the body."""
    if not isinstance(request.body, dict):
        return _invalid("We could not parse the JSON body of your request.")
    checks = (validate_model, _messages, _ranges, _stop, _streaming, _tools, _response_format, _order)
    return first_error(request, checks)


def validate_key(given: str | None, api_key: str) -> ErrorSpec | None:
    """The error that rejects the key."""
    if given is None:
        return ErrorSpec(401, "invalid_request_error", "You didn't provide an API key.")
    if given != api_key:
        return ErrorSpec(401, "invalid_request_error", "Incorrect API key provided.", "invalid_api_key")
    return None


def _invalid(message: str, code: str | None = None, param: str | None = None, status: int = 400) -> ErrorSpec:
    return ErrorSpec(status, "invalid_request_error", message, code, param)


def _path(request: SimulatedRequest) -> ErrorSpec | None:
    if request.path != PATH:
        return _invalid(f"Invalid URL ({request.method} {request.path})", status=404)
    if request.method != "POST":
        return _invalid(f"Not allowed to {request.method} on {request.path}.", "method_not_supported", status=405)
    return None


def validate_model(request: SimulatedRequest) -> ErrorSpec | None:
    """The error that rejects the model."""
    model = request.body.get("model")
    if not isinstance(model, str) or not model:
        return _invalid("you must provide a model parameter")
    if model == UNKNOWN_MODEL:
        message = f"The model `{model}` does not exist or you do not have access to it."
        return _invalid(message, "model_not_found", status=404)
    return None


def _messages(request: SimulatedRequest) -> ErrorSpec | None:
    messages = request.body.get("messages")
    if messages is None:
        return _invalid("Missing required parameter: 'messages'.", "missing_required_parameter", "messages")
    if not isinstance(messages, list):
        return _invalid("Invalid type for 'messages': expected an array of objects.", "invalid_type", "messages")
    if not messages:
        return _invalid("Invalid 'messages': empty array.", "empty_array", "messages")
    for index, message in enumerate(as_list(messages)):
        error = _message(f"messages[{index}]", as_dict(message))
        if error is not None:
            return error
    return None


def _message(at: str, message: dict[str, Any]) -> ErrorSpec | None:
    role = message.get("role")
    if role not in _ROLES:
        return _invalid(f"Invalid value: {role!r}. Supported values are: {_ROLES}.", "invalid_value", f"{at}.role")
    calls = message.get("tool_calls") or message.get("function_call") or message.get("audio")
    if message.get("content") is None and not (role == "assistant" and (calls or message.get("refusal"))):
        return _invalid(f"Invalid value for 'content': expected a string, got null. ({at})", None, f"{at}.content")
    if role == "function" and not message.get("name"):
        return _invalid(f"Missing parameter 'name': {at} has the role 'function'.", None, f"{at}.name")
    if role == "tool" and not message.get("tool_call_id"):
        return _invalid(f"Missing parameter 'tool_call_id': {at} has the role 'tool'.", None, f"{at}.tool_call_id")
    kinds = [as_dict(part).get("type") for part in as_list(message.get("content"))]
    if role == "tool" and any(kind != "text" for kind in kinds):
        return _invalid(f"Invalid '{at}.content': a message with role 'tool' takes texts only.", None, f"{at}.content")
    return None


def _ranges(request: SimulatedRequest) -> ErrorSpec | None:
    for name in _INTEGERS:
        value = request.body.get(name)
        if value is not None and not is_integer(value):
            return _invalid(f"Invalid type for '{name}': expected an integer.", "invalid_type", name)
    for name, (lowest, highest) in _RANGES.items():
        value = request.body.get(name)
        if value is None:
            continue
        if not is_number(value):
            return _invalid(f"Invalid type for '{name}': expected a number.", "invalid_type", name)
        if not lowest <= value <= highest:
            message = f"Invalid '{name}': expected a value from {lowest} to {highest}, but got {value} instead."
            return _invalid(message, "decimal_out_of_range", name)
    return None


def _stop(request: SimulatedRequest) -> ErrorSpec | None:
    stop = request.body.get("stop")
    if stop is None or isinstance(stop, str):
        return None
    if not isinstance(stop, list) or not all(isinstance(each, str) for each in as_list(stop)):
        return _invalid("Invalid type for 'stop': expected a string or an array of strings.", "invalid_type", "stop")
    if len(as_list(stop)) > _MAX_STOPS:
        return _invalid(
            f"Invalid 'stop': array too long, expected at most {_MAX_STOPS}.", "array_above_max_length", "stop"
        )
    return None


def _streaming(request: SimulatedRequest) -> ErrorSpec | None:
    if request.body.get("stream_options") is not None and not request.body.get("stream"):
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        return _invalid(message, None, "stream_options")
    return None


def _tools(request: SimulatedRequest) -> ErrorSpec | None:
    body = as_dict(request.body)
    for choice, offers in (("tool_choice", "tools"), ("function_call", "functions")):
        if body.get(choice) is not None and not body.get(offers):
            return _invalid(f"'{choice}' is only allowed when '{offers}' are specified.", None, choice)
    for index, tool in enumerate(as_list(body.get("tools"))):
        kind = as_dict(tool).get("type")
        if kind not in ("function", "custom"):
            message = f"Invalid value: {kind!r}. Supported values are: 'function' and 'custom'."
            return _invalid(message, "invalid_value", f"tools[{index}].type")
        if not as_text(as_dict(as_dict(tool).get(kind)).get("name")):
            name = f"tools[{index}].{kind}.name"
            return _invalid(f"Missing required parameter: '{name}'.", "missing_required_parameter", name)
        error = tool_schema_error(as_dict(as_dict(tool).get("function")), f"tools[{index}].function.parameters")
        if error is not None:
            return error
    return None


def _response_format(request: SimulatedRequest) -> ErrorSpec | None:
    wanted = request.body.get("response_format")
    if as_dict(wanted).get("type") == "json_object":
        return mentions_json(" ".join(text_of(as_dict(each).get("content")) for each in request.body["messages"]))
    return format_error(wanted)


def _order(request: SimulatedRequest) -> ErrorSpec | None:
    """Checks that each tool call is followed by its result."""
    open_calls: set[str] = set()
    for index, message in enumerate(as_dict(each) for each in as_list(request.body["messages"])):
        if message["role"] == "tool":
            ident = as_text(message["tool_call_id"])
            if ident not in open_calls:
                text = "messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
                return _invalid(f"Invalid parameter: {text}", None, f"messages.[{index}].role")
            open_calls.discard(ident)
            continue
        if open_calls:
            break
        open_calls = {as_text(as_dict(each).get("id")) for each in as_list(message.get("tool_calls"))}
    if open_calls:
        return _invalid(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: "
            f"{', '.join(sorted(open_calls))}",
            None,
            "messages",
        )
    return None
