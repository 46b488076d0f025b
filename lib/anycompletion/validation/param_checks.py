"""The checks of wire parameters, as data: types and values that are always invalid; ranges are in parameter tables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast, get_origin

from ..records import CustomTool, FunctionDefinition, FunctionTool, Tool, tool_definition
from .message_input import to_record
from .values import (
    MAX_SCHEMA_DEPTH,
    Check,
    check_flag,
    check_integer,
    check_list,
    check_number,
    check_object,
    check_string,
    check_strings,
    refuse,
    to_builtin,
    to_json_level,
    type_name,
)

_NAME = r"[A-Za-z0-9_-]{1,128}"
"""Function names that at least one provider accepts; the dialects of stricter formats check again."""

_INT_TEXT = r"-?[0-9]{1,20}"


def _stop(value: Any, param: str) -> str | list[str]:
    stop: str | list[str] = to_json_level(value)
    if type(stop) is list:
        stop = check_strings(stop, param)
    elif type(stop) is not str:
        refuse(param, f"expected a string or a list of strings, found {type_name(value)}")
    texts = [stop] if isinstance(stop, str) else stop
    if not texts or "" in texts:
        refuse(param, "is empty, or contains an empty string")
    return stop


def _logit_bias(value: Any, param: str) -> dict[str, float]:
    if not isinstance(value, Mapping):
        refuse(param, f"expected a dict of token id → bias, found {type_name(value)}")
    bias: dict[str, float] = {}
    for key, given in cast("Mapping[Any, Any]", value).items():
        token = _token(key, param)
        number = check_number(given, f"{param}.{token}")
        if not -100 <= number <= 100:
            refuse(f"{param}.{token}", "must lie between -100 and 100")
        if token in bias:
            refuse(f"{param}.{token}", "is given twice")
        bias[token] = number
    return bias


def _token(key: object, param: str) -> str:
    key = to_builtin(key)
    token = str(key) if type(key) is int else key
    if type(token) is not str or not re.fullmatch(_INT_TEXT, token):
        refuse(param, "has a key that is no token id")
    return token


def _function_call(value: Any, param: str) -> Any:
    """A keyword such as "auto", or a dict that names a function."""
    value = to_builtin(value)
    if type(value) is str:
        return value
    mapping = check_object(value, param)
    _require_name(mapping, param)
    return mapping


def _tool_choice(value: Any, param: str) -> Any:
    """A keyword such as "auto", or a dict that names a tool; some servers' dicts have no type, only a function."""
    value = to_builtin(value)
    if type(value) is str:
        return value
    mapping = check_object(value, param)
    kind = mapping.get("type", "function" if "function" in mapping else None)
    if not isinstance(kind, str):
        refuse(f"{param}.type", "is missing")
    if kind in ("function", "custom"):
        _require_name(mapping.get(kind), param)
    return mapping


def _require_name(value: Any, param: str) -> None:
    if not isinstance(value, Mapping) or not isinstance(cast("Mapping[str, Any]", value).get("name"), str):
        refuse(param, "has no name")


def _tools(value: Any, param: str) -> list[Tool]:
    tools: list[Tool] = []
    seen: set[str] = set()
    for i, item in enumerate(check_list(value, param)):
        place = f"{param}[{i}]"
        if callable(item):
            item = tool_definition(cast("Any", item), place)  # noqa: PLW2901
        if isinstance(item, FunctionTool) and item.function.portable:
            # Made of a function, so that there is nothing to check but its name.
            _check_function(item.function, f"{place}.function", seen)
            tools.append(item)
            continue
        kind = cast("Mapping[str, Any]", item).get("type", "function") if isinstance(item, Mapping) else ""
        if kind == "function" and "function" not in cast("Mapping[str, Any]", item):
            refuse(f"{place}.function", _other_tool_form(cast("Mapping[str, Any]", item)))
        if isinstance(item, FunctionTool) or kind == "function":
            tool: FunctionTool = to_record(cast("object", item), FunctionTool, place)
            _check_function(tool.function, f"{place}.function", seen)
            tools.append(tool)
        else:
            tools.append(to_record(cast("object", item), CustomTool, place))
    return tools


def _other_tool_form(tool: Mapping[str, Any]) -> str:
    """Why a tool without `function` is refused: many are in the form of another API."""
    schema = next((name for name in ("input_schema", "parameters", "inputSchema") if name in tool), None)
    if schema is None or "name" not in tool:
        return "is missing"
    return (
        "is missing: name, description and schema go inside it, "
        f"{{'type': 'function', 'function': {{'name': ..., 'parameters': <{schema}>}}}}"
    )


def _functions(value: Any, param: str) -> list[FunctionDefinition]:
    functions: list[FunctionDefinition] = []
    seen: set[str] = set()
    for i, item in enumerate(check_list(value, param)):
        function: FunctionDefinition = to_record(item, FunctionDefinition, f"{param}[{i}]")
        _check_function(function, f"{param}[{i}]", seen)
        functions.append(function)
    return functions


def _check_function(function: FunctionDefinition, place: str, seen: set[str]) -> None:
    if not re.fullmatch(_NAME, function.name):
        refuse(f"{place}.name", "must be letters, digits, underscores or hyphens, 128 of them at most")
    if function.name in seen:
        refuse(f"{place}.name", "is used twice")
    seen.add(function.name)
    schema = function.parameters
    if schema is not None and schema.get("type", "object") != "object":
        refuse(f"{place}.parameters.type", "must be 'object'")


def _response_format(value: Any, param: str) -> Any:
    if isinstance(value, type) or get_origin(value) is not None or hasattr(cast("Any", type(value)), "validate_json"):
        name = value.__name__ if isinstance(value, type) else "the type"
        refuse(param, f"a type is no format; await client.parse(model, messages, {name}), whose reply has .parsed")
    mapping = check_object(value, param, MAX_SCHEMA_DEPTH + 2)
    kind = mapping.get("type")
    if not isinstance(kind, str):
        refuse(f"{param}.type", "is missing")
    if kind == "json_schema":
        # Where the schema must be, and whether it needs a name, depends on the server: the parameter table decides.
        if "json_schema" not in mapping and "schema" not in mapping:
            refuse(f"{param}.json_schema", "is missing")
        given = mapping.get("json_schema", {})
        if not isinstance(given, Mapping):
            refuse(f"{param}.json_schema", f"expected an object, found {type_name(given)}")
        fields = cast("Mapping[str, Any]", given)
        if not isinstance(fields.get("name", ""), str):
            refuse(f"{param}.json_schema.name", f"expected a string, found {type_name(fields.get('name'))}")
        if not isinstance(fields.get("schema", {}), Mapping):
            refuse(f"{param}.json_schema.schema", f"expected an object, found {type_name(fields.get('schema'))}")
    return mapping


def _logprobs(value: Any, param: str) -> Any:
    """True, false, or the number of top tokens, which a few servers expect instead."""
    value = to_builtin(value)
    if type(value) is int and value >= 0:
        return value
    return check_flag(value, param)


_INT64 = 2**63

PARAM_CHECKS: Mapping[str, Check] = {
    "temperature": check_number,
    "top_p": check_number,
    "n": check_integer(1, 1024),
    "stop": _stop,
    "max_tokens": check_integer(0, _INT64 - 1),
    "max_completion_tokens": check_integer(0, _INT64 - 1),
    "presence_penalty": check_number,
    "frequency_penalty": check_number,
    "logit_bias": _logit_bias,
    "user": check_string,
    "functions": _functions,
    "function_call": _function_call,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "parallel_tool_calls": check_flag,
    "response_format": _response_format,
    "seed": check_integer(-_INT64, _INT64 - 1),
    "logprobs": _logprobs,
    "top_logprobs": check_integer(0, 1024),
    "stream_options": check_object,
    "reasoning_effort": check_string,
    "thinking": check_object,
    "modalities": check_strings,
    "audio": check_object,
    "prediction": check_object,
    "service_tier": check_string,
    "store": check_flag,
    "metadata": check_object,
    "verbosity": check_string,
    "prompt_cache_key": check_string,
    "prompt_cache_retention": check_string,
    "prompt_cache_options": check_object,
    "safety_identifier": check_string,
    "web_search_options": check_object,
    "moderation": check_object,
}
