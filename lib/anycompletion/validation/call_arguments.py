"""Caller input → records: refuses what nobody can mean, naming the parameter; knows no provider's ranges.

Strategy: a value of the right type costs one `type` test. Only when something does not fit is a path worked out, and
the path is the caller's: ``messages[3].content[0].image_url.url``. Unknown roles, part types and keys pass, because
tomorrow's providers will have them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import attrs

from ..codecs.json import dumps, to_wire
from ..errors import InvalidRequestError, printable
from ..options import CallOptions, Key, ResolvedOptions, Secret
from ..records import PARAM_NAMES, ChatRequest, FunctionDefinition, FunctionTool, Record, Tool
from .frames import UsageError, without_frames
from .message_input import read_messages, require_ids
from .option_checks import call_options, check_key, timeout
from .param_checks import PARAM_CHECKS
from .values import SURROGATE, failure, is_instance_strict, refuse, to_builtin, type_name

MAX_MODEL = 512

_LONGEST_KEYWORD = 100

OPTION_NAMES = frozenset(CallOptions.__annotations__)


_PROVIDER = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)

_LIKE_A_MODEL = re.compile(r"[A-Za-z0-9._:@]+[/-][A-Za-z0-9._:@/-]+", re.ASCII)


def split_keywords(keywords: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Keywords of `create` as (wire parameters, call options); values of None are left out.

    Raises:
        TypeError: an unknown keyword, naming the closest known one.
    """
    params: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for name, value in keywords.items():
        if name in PARAM_CHECKS:
            if value is not None:
                params[name] = value
        elif name in OPTION_NAMES:
            if value is not None:
                options[name] = (
                    Secret(str.__str__(value)) if name == "api_key" and is_instance_strict(value, str) else value
                )
        else:
            raise UsageError(unknown_keyword(name))
    return params, options


@without_frames
def parse_call(
    model: object, messages: object, keywords: Mapping[str, Any], *, stream: bool
) -> tuple[ChatRequest, ResolvedOptions]:
    """What `create` was called with, as a checked request and call options that are yet to be checked.

    Raises:
        InvalidRequestError: `.param` names the parameter and the place in it.
        TypeError: an unknown keyword, or model and messages are swapped.
    """
    params, options = split_keywords(keywords)
    return chat_request(model, messages, params, stream=stream), ResolvedOptions(options)


@without_frames
def read_options(keywords: Mapping[str, Any]) -> ResolvedOptions:
    """Call options that are yet to be checked.

    Raises:
        TypeError: an unknown keyword, or one that belongs to the request.
    """
    params, options = split_keywords(keywords)
    if params:
        raise UsageError(f"{next(iter(params))!r} belongs to the request, not to how it is sent")
    return ResolvedOptions(options)


@without_frames
def read_keys(keys: Mapping[str, object], param: str) -> dict[str, Key]:
    """Provider name → key as it is kept: text as a `Secret`. One that is None was not given.

    Raises:
        InvalidRequestError: one is nothing that can be or give a key.
    """
    for name in keys:
        if not is_instance_strict(name, str) or _PROVIDER.fullmatch(name) is None:
            refuse(param, "has a name that is no provider's; is a key where the name should be?")
    given = {name: check_key(key, f"{param}[{name!r}]") for name, key in keys.items() if key is not None}
    return {name: Secret(key) if isinstance(key, str) else key for name, key in given.items()}


@without_frames
def checked_options(options: ResolvedOptions) -> ResolvedOptions:
    """Call options as `call_options` gives them.

    Raises:
        InvalidRequestError: a value nobody can mean, or two names for the same thing.
    """
    return ResolvedOptions(call_options(options.reveal()))


def unknown_keyword(name: str) -> str:
    """What to say about a keyword nobody knows."""
    import difflib  # noqa: PLC0415 (only for an error; it costs an import 1 ms)

    if len(name) > _LONGEST_KEYWORD:
        return f"unknown keyword of {len(name)} characters"
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
        raise UsageError("model comes first: create(model, messages), here the two are swapped")
    checked: dict[str, Any] = {}
    name = "model"
    try:
        model = _model(model)
        for name, value in params.items():
            checked[name] = PARAM_CHECKS[name](value, name)
        name = "messages"
        request = ChatRequest(model, read_messages(messages), **checked)
    except Exception as fault:  # noqa: BLE001 (the caller's own types may fail in any way)
        text = failure(fault)
    else:
        if checked:
            _check_together(request, stream)
        request.keep_given(checked)
        return request
    refuse(name, text)


@without_frames
def validate_request(request: object, *, stream: bool) -> ChatRequest:
    """A `ChatRequest` a caller made, checked the same way.

    Raises:
        InvalidRequestError: `.param` names the parameter and the place in it.
    """
    if not is_instance_strict(request, ChatRequest):
        refuse("request", f"expected a ChatRequest, found {type_name(request)}")
    params = {name: value for name in PARAM_NAMES if (value := getattr(request, name)) is not None}
    checked = chat_request(request.model, request.messages, params, stream=stream)
    return _completed(checked, request.custom_id, request.extra_body)


@without_frames
def request_from_arguments(arguments: Mapping[str, Any]) -> ChatRequest:
    """A validated request, not streamed, from `model`, `messages`, parameters, `custom_id` and `extra_body` by name.

    Raises:
        InvalidRequestError: `.param` names the parameter and the place in it.
        TypeError: model and messages are swapped.
    """
    params = {name: value for name, value in arguments.items() if value is not None and name in PARAM_CHECKS}
    checked = chat_request(arguments["model"], arguments["messages"], params, stream=False)
    return _completed(checked, arguments.get("custom_id"), arguments.get("extra_body"))


def _completed(request: ChatRequest, custom_id: str | None, extra_body: object) -> ChatRequest:
    request.custom_id = custom_id
    if extra_body is not None:
        request.extra_body = call_options({"extra_body": extra_body})["extra_body"]
    return request


def _are_swapped(model: object, messages: object) -> bool:
    """A list is no model; nor is a text with spaces, where the other one reads like a model."""
    if not is_instance_strict(messages, str):
        return False
    if type(model) is str:
        return " " in model.strip() and _LIKE_A_MODEL.fullmatch(messages) is not None
    return issubclass(type(model), (list, tuple))


def _model(value: object) -> str:
    value = to_builtin(value)
    if type(value) is not str:
        refuse("model", f"expected a string such as 'openai/gpt-4o', found {type_name(value)}")
    if not value.strip():
        refuse("model", "is empty")
    if len(value) > MAX_MODEL:
        refuse("model", f"is longer than {MAX_MODEL} characters")
    if SURROGATE.search(value):
        refuse("model", "holds a lone surrogate, which UTF-8 cannot say")
    if printable(value) != value:
        refuse("model", "holds a control character")
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


# --- what could not be made into bytes --------------------------------------------------------------------------------


def require_sendable(request: ChatRequest) -> None:
    """Everything in `request` can be made into bytes; costs what making them costs.

    Raises:
        InvalidRequestError: something cannot; `.param` is its place.
    """
    if not all(_sayable(value, name) for name, value in _given(request).items()):
        raise find_unserializable(request)


def find_unserializable(request: ChatRequest) -> InvalidRequestError:
    """For a body that could not be made into bytes: the error that names the place."""
    given = _given(request)
    for name, value in given.items():
        for place, item in _walk(name, value):
            problem = _unsayable(item)
            if problem is not None:
                return _refusal(place, problem)
    # Nothing is wrong in itself: the caller is so deep in a recursion that there is no room left to walk through it.
    bad = next((name for name, value in given.items() if not _sayable(value, name)), "messages")
    return _refusal(bad, "cannot be said in JSON")


def _given(request: ChatRequest) -> dict[str, Any]:
    said = {name: getattr(request, name) for name in ("messages", *PARAM_NAMES, "extra_body")}
    return {name: value for name, value in said.items() if value is not None}


def _walk(name: str, root: object) -> Iterator[tuple[str, Any]]:
    """Everything in a parameter with its place, in order; as deep as it may be."""
    left = [(name, root)]
    while left:
        place, value = left.pop()
        yield place, value
        left.extend(reversed(list(_below(place, value))))


def _below(place: str, value: object) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Record):
        for field in attrs.fields(type(value)):
            if field.name == "extra":
                yield from _below(place, getattr(value, "extra", {}))
            else:
                yield f"{place}.{field.name}", getattr(value, field.name)
    elif isinstance(value, Mapping):
        for key, item in cast("Mapping[str, Any]", value).items():
            yield f"{place}.{key}", item
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(cast("Sequence[Any]", value)):
            yield f"{place}[{i}]", item


def _unsayable(value: object) -> str | None:
    """Why this one value, whatever it holds, cannot be sent."""
    if any(map(SURROGATE.search, _texts(value))):
        return "holds a lone surrogate, which UTF-8 cannot say"
    if isinstance(value, int) and not _sayable(value):
        return "has more digits than Python writes"
    return None


def _texts(value: object) -> list[str]:
    """A text, or an object's keys."""
    if isinstance(value, Record):
        value = getattr(value, "extra", {})
    if isinstance(value, Mapping):
        return [key for key in cast("Mapping[Any, Any]", value) if isinstance(key, str)]
    return [value] if isinstance(value, str) else []


def _refusal(param: str, text: str) -> InvalidRequestError:
    try:
        refuse(param, text)
    except InvalidRequestError as error:
        return error


_OF_RECORDS = frozenset({"messages", "tools", "functions"})


def _sayable(value: Any, name: str = "") -> bool:
    try:
        dumps(to_wire(value) if name in _OF_RECORDS else value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


__all__ = [
    "call_options",
    "chat_request",
    "checked_options",
    "find_unserializable",
    "parse_call",
    "read_keys",
    "read_messages",
    "read_options",
    "request_from_arguments",
    "require_ids",
    "require_sendable",
    "split_keywords",
    "timeout",
    "unknown_keyword",
    "validate_request",
    "without_frames",
]
