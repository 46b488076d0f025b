"""Validates requests for responses as OpenAI does, with OpenAI's error messages; never makes a reply."""

from __future__ import annotations

from typing import Any

from ..json_access import as_dict, as_list, as_text, dump, is_integer, is_number
from ..openai_chat.check_schemas import reply_schema_error, tool_schema_error
from ..openai_chat.validate import validate_key, validate_model
from ..wire_format import ErrorSpec, SimulatedRequest, first_error
from .encode import seal

_FIELDS = frozenset(
    (
        *("background", "context_management", "conversation", "include", "input", "instructions", "logprobs"),
        *("max_output_tokens", "max_tool_calls", "metadata", "model", "moderation", "parallel_tool_calls"),
        *("previous_response_id", "prompt", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"),
        *("reasoning", "safety_identifier", "service_tier", "store", "stream", "stream_options", "temperature"),
        *("text", "tool_choice", "tools", "top_logprobs", "top_p", "truncation", "user"),
    )
)
_RANGES = {"temperature": (0, 2), "top_p": (0, 1), "top_logprobs": (0, 20)}
_MIN_TOKENS = 16
_ROLES = ("developer", "system", "user", "assistant")
_OWN_TOOLS = frozenset(
    (
        *("apply_patch", "code_interpreter", "computer", "computer_use_preview", "file_search", "image_generation"),
        *("local_shell", "mcp", "namespace", "shell", "tool_search", "web_search", "web_search_preview"),
    )
)
"""Types of tools that the server has itself."""

_INPUT_PARTS = frozenset(("input_text", "input_image", "input_file"))
_OUTPUT_PARTS = frozenset(("output_text", "refusal"))
_CALLS = {"function_call": "function_call_output", "custom_tool_call": "custom_tool_call_output"}


def validate(request: SimulatedRequest, api_key: str) -> ErrorSpec | None:
    """The error that rejects the request, or None if it is valid."""
    return first_error(request, (_path, lambda request: validate_key(request.bearer, api_key), _body))


def input_items(value: Any) -> list[dict[str, Any]]:
    """The items of an input; a text is one message of the user."""
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    return [as_dict(item) for item in as_list(value)]


def _invalid(message: str, code: str | None = None, param: str | None = None, status: int = 400) -> ErrorSpec:
    return ErrorSpec(status, "invalid_request_error", message, code, param)


def _path(request: SimulatedRequest) -> ErrorSpec | None:
    _, found, rest = request.path.partition("/responses")
    names = rest.split("/")[1:]
    methods = {0: ("POST",), 1: ("GET", "DELETE")}.get(len(names), ("POST",) if names[1:] == ["cancel"] else ())
    if not found or not methods:
        return _invalid(f"Invalid URL ({request.method} {request.path})", status=404)
    if request.method not in methods:
        return _invalid(f"Not allowed to {request.method} on {request.path}.", "method_not_supported", status=405)
    return None


def _body(request: SimulatedRequest) -> ErrorSpec | None:
    """The error that rejects the body of a request for a response."""
    if not request.path.endswith("/responses"):
        return None
    if not isinstance(request.body, dict):
        return _invalid("We could not parse the JSON body of your request.")
    return first_error(request, (validate_model, _known, _numbers, _tools, _input, _order, _text, _stateful))


def _known(request: SimulatedRequest) -> ErrorSpec | None:
    unknown = next((name for name in request.body if name not in _FIELDS), None)
    return None if unknown is None else _invalid(f"Unknown parameter: '{unknown}'.", "unknown_parameter", unknown)


def _numbers(request: SimulatedRequest) -> ErrorSpec | None:
    limit = request.body.get("max_output_tokens")
    if limit is not None and not is_integer(limit):
        return _invalid("Invalid type for 'max_output_tokens'.", "invalid_type", "max_output_tokens")
    if limit is not None and limit < _MIN_TOKENS:
        text = f"integer below minimum value. Expected a value >= {_MIN_TOKENS}, but got {limit} instead."
        return _invalid(f"Invalid 'max_output_tokens': {text}", "integer_below_min_value", "max_output_tokens")
    for name, (lowest, highest) in _RANGES.items():
        value = request.body.get(name)
        if value is not None and not (is_number(value) and lowest <= value <= highest):
            text = f"Invalid '{name}': expected a value from {lowest} to {highest}."
            return _invalid(text, "decimal_out_of_range", name)
    if request.body.get("stream_options") is not None and not request.body.get("stream"):
        return _invalid("The 'stream_options' parameter is only allowed when 'stream' is enabled.")
    return None


def _tools(request: SimulatedRequest) -> ErrorSpec | None:
    for index, tool in enumerate(as_dict(each) for each in as_list(request.body.get("tools"))):
        kind = tool.get("type")
        if kind not in ("function", "custom") and kind not in _OWN_TOOLS:
            return _invalid(f"Invalid value: {kind!r}.", "invalid_value", f"tools[{index}].type")
        if kind in ("function", "custom") and not as_text(tool.get("name")):
            name = f"tools[{index}].name"
            return _invalid(f"Missing required parameter: '{name}'.", "missing_required_parameter", name)
        error = tool_schema_error(tool, f"tools[{index}].parameters")
        if error is not None:
            return error
    choice = request.body.get("tool_choice")
    if choice not in (None, "auto", "none") and not request.body.get("tools"):
        return _invalid("Tool choice must be used with tools.", None, "tool_choice")
    return None


def _input(request: SimulatedRequest) -> ErrorSpec | None:
    given = request.body.get("input")
    if not isinstance(given, (str, list)) or not given:
        return _invalid("Missing required parameter: 'input'.", "missing_required_parameter", "input")
    for index, item in enumerate(input_items(given)):
        error = _item(f"input[{index}]", item)
        if error is not None:
            return error
    return None


def _item(at: str, item: dict[str, Any]) -> ErrorSpec | None:
    kind = item.get("type", "message")
    match kind:
        case "message":
            return _message(at, item)
        case "reasoning":
            return _reasoning(at, item)
        case "function_call" | "custom_tool_call":
            member = "arguments" if kind == "function_call" else "input"
            if not as_text(item.get("call_id")) or not isinstance(item.get(member), str):
                return _invalid(f"Missing required parameter: '{at}.{member}'.", "missing_required_parameter", at)
            return None
        case _:
            return None


def _message(at: str, item: dict[str, Any]) -> ErrorSpec | None:
    role, content = item.get("role"), item.get("content")
    if role not in _ROLES:
        return _invalid(f"Invalid value: {role!r}.", "invalid_value", f"{at}.role")
    if not isinstance(content, (str, list)):
        return _invalid(f"Missing required parameter: '{at}.content'.", "missing_required_parameter", f"{at}.content")
    allowed = _OUTPUT_PARTS if role == "assistant" else _INPUT_PARTS
    for index, part in enumerate(as_list(content)):
        kind = as_dict(part).get("type")
        if kind not in allowed:
            text = f"Invalid value: {kind!r}. Supported values are: {', '.join(map(repr, sorted(allowed)))}."
            return _invalid(text, "invalid_value", f"{at}.content[{index}].type")
    return None


def _reasoning(at: str, item: dict[str, Any]) -> ErrorSpec | None:
    if not isinstance(item.get("summary"), list):
        return _invalid(f"Missing required parameter: '{at}.summary'.", "missing_required_parameter", f"{at}.summary")
    sealed = item.get("encrypted_content")
    text = "".join(as_text(as_dict(part).get("text")) for part in as_list(item["summary"]))
    if sealed is not None and sealed != seal(text):
        return _invalid("The encrypted content could not be verified.", "invalid_encrypted_content")
    return None


def _order(request: SimulatedRequest) -> ErrorSpec | None:
    """Checks that each call is followed by its result."""
    open_calls: dict[str, str] = {}
    is_whole = not any(map(request.body.get, ("previous_response_id", "conversation")))
    for item in input_items(request.body["input"]):
        kind, ident = as_text(item.get("type")), as_text(item.get("call_id"))
        if kind in _CALLS:
            open_calls[ident] = _CALLS[kind]
        elif kind in _CALLS.values() and open_calls.pop(ident, None) != kind and is_whole:
            return _invalid(f"No tool call found for function call output with call_id {ident}.", None, "input")
    if open_calls:
        return _invalid(f"No tool output found for function call {next(iter(open_calls))}.", None, "input")
    return None


def _text(request: SimulatedRequest) -> ErrorSpec | None:
    """Checks the form of the output."""
    form = as_dict(as_dict(request.body.get("text")).get("format"))
    if form.get("type") not in (None, "text", "json_object", "json_schema"):
        return _invalid(f"Invalid value: {form['type']!r}.", "invalid_value", "text.format.type")
    if form.get("type") == "json_object" and "json" not in dump(request.body.get("input")).decode().lower():
        text = "Response input messages must contain the word 'json' in some form to use 'text.format' of type "
        return _invalid(f"{text}'json_object'.", None, "input")
    if form.get("type") != "json_schema":
        return None
    if not isinstance(form.get("schema"), dict):
        name = "text.format.schema"
        return _invalid(f"Missing required parameter: '{name}'.", "missing_required_parameter", name)
    strict = form.get("strict") is not False  # strict unless it is false
    return reply_schema_error({**form, "strict": strict}, "text.format", code="invalid_json_schema")


def _stateful(request: SimulatedRequest) -> ErrorSpec | None:
    body = as_dict(request.body)
    if body.get("background") and body.get("store") is False:
        return _invalid("Background mode requires store=true.", None, "store")
    return None
