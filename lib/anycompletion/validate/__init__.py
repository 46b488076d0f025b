"""Caller input → records: refuses what nobody can mean, naming the parameter; knows no provider's ranges.

Strategy: a value of the right type costs one `type` test. Only when something does not fit is a path worked out, and
the path is the caller's: ``messages[3].content[0].image_url.url``. Unknown roles, part types and keys pass, because
tomorrow's providers will have them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from ..convert import dumps
from ..errors import InvalidRequestError
from ..options import CallOptions, Secret
from ..records import PARAM_NAMES, ChatRequest, FunctionDefinition, FunctionTool, Tool
from .messages import read_messages, require_ids
from .options import call_options, extra_body, timeout
from .params import PARAM_CHECKS
from .values import CONTROL, SURROGATE, kind_of, refuse

MAX_MODEL = 512

OPTION_NAMES = frozenset(CallOptions.__annotations__)


_LIKE_A_MODEL = re.compile(r"[A-Za-z0-9._:@]+[/-][A-Za-z0-9._:@/-]+", re.ASCII)


def split_keywords(keywords: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Keywords of `create` as (wire parameters, call options); values of None are left out.

    Raises:
        TypeError: an unknown keyword, naming the closest known one.
    """
    key = keywords.get("api_key")
    if isinstance(key, str) and isinstance(keywords, dict):
        # In place: the caller's frame holds this dict, and it is in the traceback of whatever goes wrong.
        keywords["api_key"] = Secret(key)
    params: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for name, value in keywords.items():
        if name in PARAM_CHECKS:
            if value is not None:
                params[name] = value
        elif name in OPTION_NAMES:
            if value is not None:
                options[name] = value
        else:
            raise TypeError(unknown_keyword(name))
    return params, options


def unknown_keyword(name: str) -> str:
    """What to say about a keyword nobody knows."""
    import difflib  # noqa: PLC0415 (only for an error; it costs an import 1 ms)

    if name == "stream":
        return "'stream' goes to create and send only: stream() always streams, attempt() never does"
    close = difflib.get_close_matches(name, [*PARAM_CHECKS, *OPTION_NAMES, "stream", "model", "messages"], 1)
    hint = f"did you mean {close[0]!r}?" if close else "a field only the provider has goes into extra_body={...}"
    return f"unknown keyword {name!r}; {hint}"


def chat_request(model: object, messages: object, params: Mapping[str, Any], *, stream: bool) -> ChatRequest:
    """A request whose messages and tools are records and whose parameters have sensible types.

    Raises:
        InvalidRequestError: `.param` names the parameter and the place in it.
        TypeError: model and messages are swapped.
    """
    if _are_swapped(model, messages):
        raise TypeError("model comes first: create(model, messages), here the two are swapped")
    checked = {name: PARAM_CHECKS[name](value, name) for name, value in params.items()}
    request = ChatRequest(_model(model), read_messages(messages), **checked)
    _check_together(request, stream)
    return request


def ready_request(request: object, *, stream: bool) -> ChatRequest:
    """A `ChatRequest` a caller made, checked the same way.

    Raises:
        InvalidRequestError: `.param` names the parameter and the place in it.
    """
    if not isinstance(request, ChatRequest):
        raise InvalidRequestError(f"request: expected a ChatRequest, found {kind_of(request)}", param="request")
    params = {name: value for name in PARAM_NAMES if (value := getattr(request, name)) is not None}
    checked = chat_request(request.model, request.messages, params, stream=stream)
    checked.custom_id = request.custom_id
    if request.extra_body is not None:
        checked.extra_body = extra_body(request.extra_body, "extra_body")
    return checked


def _are_swapped(model: object, messages: object) -> bool:
    """A list is no model; nor is a text with spaces, where the other one reads like a model."""
    if not isinstance(messages, str):
        return False
    return isinstance(model, (list, tuple)) or (
        isinstance(model, str) and " " in model.strip() and _LIKE_A_MODEL.fullmatch(messages) is not None
    )


def _model(value: object) -> str:
    if not isinstance(value, str):
        refuse("model", f"expected a string such as 'openai/gpt-4o', found {kind_of(value)}")
    if not value.strip():
        refuse("model", "is empty")
    if len(value) > MAX_MODEL:
        refuse("model", f"is longer than {MAX_MODEL} characters")
    if CONTROL.search(value):
        refuse("model", "holds a control character")
    if SURROGATE.search(value):
        refuse("model", "holds a lone surrogate, which UTF-8 cannot say")
    return value


def _check_together(request: ChatRequest, stream: bool) -> None:
    if request.stream_options is not None and not stream:
        refuse("stream_options", "is only for streams; pass stream=True or use client.stream(...)")
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


def explain_unsendable(request: ChatRequest) -> InvalidRequestError:
    """For a body that could not be made into bytes: the error that names the place."""
    body = request.to_dict()
    for name, value in body.items():
        place = _find_surrogate(value, name)
        if place is not None:
            return _refusal(place, "holds a lone surrogate, which UTF-8 cannot say")
    return _refusal(next(filter(lambda name: not _sayable(body[name]), body), "messages"), "cannot be said in JSON")


def _refusal(param: str, text: str) -> InvalidRequestError:
    try:
        refuse(param, text)
    except InvalidRequestError as error:
        return error


def _sayable(value: Any) -> bool:
    try:
        dumps(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _find_surrogate(value: Any, path: str) -> str | None:
    match value:
        case str():
            return path if SURROGATE.search(value) else None
        case Mapping():
            if any(isinstance(key, str) and SURROGATE.search(key) for key in cast("Mapping[Any, Any]", value)):
                return path
            steps = [(f"{path}.{key}", item) for key, item in cast("Mapping[str, Any]", value).items()]
        case list() | tuple():
            steps = [(f"{path}[{i}]", item) for i, item in enumerate(cast("Sequence[Any]", value))]
        case _:
            return None
    return next((found for place, item in steps if (found := _find_surrogate(item, place))), None)


__all__ = [
    "call_options",
    "chat_request",
    "explain_unsendable",
    "read_messages",
    "ready_request",
    "require_ids",
    "split_keywords",
    "timeout",
    "unknown_keyword",
]
