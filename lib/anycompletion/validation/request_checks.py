"""Builds a validated `ChatRequest`: every parameter by its own check, then the checks across parameters.

A value of the right type costs one `type` test. The path of a value in the caller's arguments, such as
``messages[3].content[0].image_url.url``, is put together only for an error (but for each tool). Unknown roles, part
types and keys are accepted, because future providers will have them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from .._boundary import UsageError
from ..errors import printable
from ..records import PARAM_NAMES, ChatRequest, FunctionDefinition, FunctionTool, Tool
from .message_input import parse_messages
from .option_checks import check_options
from .param_checks import PARAM_CHECKS
from .values import (
    SURROGATE_ERROR,
    describe_or_reraise,
    has_surrogate,
    is_instance_strict,
    refuse,
    to_builtin,
    type_name,
)

MAX_MODEL = 512
"""Characters of a model's name."""

_MODEL_LIKE = r"[A-Za-z0-9._:@]+[/-][A-Za-z0-9._:@/-]+"


def build_request(model: object, messages: object, params: Mapping[str, Any]) -> ChatRequest:
    """A request whose messages and tools are records and whose parameters have valid types.

    Raises:
        InvalidRequestError: `.param` names the parameter and the place in it.
        TypeError: model and messages are swapped.
    """
    if _are_swapped(model, messages):
        raise UsageError("model comes first: create(model, messages), here the two are swapped")
    checked: dict[str, Any] = {}
    checking = "model"  # the parameter that is being checked, for the error
    try:
        model = _check_model(model)
        for checking, value in params.items():
            checked[checking] = PARAM_CHECKS[checking](value, checking)
        checking = "messages"
        request = ChatRequest(model, parse_messages(messages), **checked)
    except Exception as error:  # noqa: BLE001 (the caller's own types may fail in any way)
        text = describe_or_reraise(error)
    else:
        if checked:
            _check_consistency(request)
        request.cache_given(checked)
        return request
    refuse(checking, text)


def validate_request(request: object) -> ChatRequest:
    """A validated copy of a `ChatRequest` that a caller made.

    Raises:
        InvalidRequestError: `.param` names the parameter and the place in it.
    """
    if not is_instance_strict(request, ChatRequest):
        refuse("request", f"expected a ChatRequest, found {type_name(request)}")
    params = {name: value for name in PARAM_NAMES if (value := getattr(request, name)) is not None}
    checked = build_request(request.model, request.messages, params)
    checked.reply_schema, checked.preferred_target = request.reply_schema, request.preferred_target
    return _with_id_and_extra_body(checked, request.custom_id, request.extra_body)


def request_from_arguments(arguments: Mapping[str, Any]) -> ChatRequest:
    """A validated request from `model`, `messages`, parameters, `custom_id` and `extra_body` by name.

    Raises:
        InvalidRequestError: `.param` names the parameter and the place in it.
        TypeError: model and messages are swapped.
    """
    params = {name: value for name, value in arguments.items() if value is not None and name in PARAM_CHECKS}
    checked = build_request(arguments["model"], arguments["messages"], params)
    return _with_id_and_extra_body(checked, arguments.get("custom_id"), arguments.get("extra_body"))


def _with_id_and_extra_body(request: ChatRequest, custom_id: str | None, extra_body: object) -> ChatRequest:
    request.custom_id = custom_id
    if extra_body is not None:
        request.extra_body = check_options({"extra_body": extra_body})["extra_body"]
    return request


def _are_swapped(model: object, messages: object) -> bool:
    """Whether `model` is a list, or a text with spaces where `messages` reads like the name of a model."""
    if type(messages) is not str and not is_instance_strict(messages, str):
        return False
    if type(model) is str:
        return " " in model.strip() and re.fullmatch(_MODEL_LIKE, messages) is not None
    return issubclass(type(model), (list, tuple))


def _check_model(value: object) -> str:
    if type(value) is not str:
        value = to_builtin(value)
    if type(value) is not str:
        refuse("model", f"expected a string such as 'openai/gpt-4o', found {type_name(value)}")
    if not value.strip():
        refuse("model", "is empty")
    if len(value) > MAX_MODEL:
        refuse("model", f"is longer than {MAX_MODEL} characters")
    if not value.isprintable():
        if has_surrogate(value):
            refuse("model", SURROGATE_ERROR)
        if printable(value) != value:
            refuse("model", "contains a control character")
    return value


def _check_consistency(request: ChatRequest) -> None:
    named = _named_tool(request.tool_choice)
    tools = cast("Sequence[Tool]", request.tools or ())
    if named is not None and named not in {_tool_name(tool) for tool in tools}:
        refuse("tool_choice", "names a tool that is not in tools")
    named = _named_function(request.function_call)
    functions = cast("Sequence[FunctionDefinition]", request.functions or ())
    if named is not None and named not in {function.name for function in functions}:
        refuse("function_call", "names a function that is not in functions")


def _named_tool(choice: object) -> str | None:
    if isinstance(choice, Mapping):
        mapping = cast("Mapping[str, Any]", choice)
        kind = mapping.get("type", "function")
        if kind in ("function", "custom"):
            name: str = mapping[kind]["name"]
            return name
    return None


def _named_function(choice: object) -> str | None:
    return cast("Mapping[str, Any]", choice)["name"] if isinstance(choice, Mapping) else None


def _tool_name(tool: Tool) -> str | None:
    if isinstance(tool, FunctionTool):
        return tool.function.name
    custom: Any = tool.extra.get("custom")
    return custom.get("name") if isinstance(custom, Mapping) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
