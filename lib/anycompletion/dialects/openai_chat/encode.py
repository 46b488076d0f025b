"""A chat request as OpenAI's HTTP request: the caller's parameters, the target's quirks, the declared defaults.

https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast
from urllib.parse import quote, urlencode, urlsplit

from ...codecs.json import PlainMessage, as_plain_message, to_wire
from ...errors import InvalidRequestError
from ...http import HttpRequest
from ...records import (
    AssistantMessage,
    ChatRequest,
    FunctionDefinition,
    FunctionTool,
    JsonObject,
    Message,
    Tool,
    ToolMessage,
)
from ..base import EncodingReport, FetchedValues, Target
from .legacy_functions import add_tools, call_ids, to_tool_form
from .params import DEFAULTS, PATH
from .quirks import Quirks, quirks_of

_NEVER_SENT = ("thinking_blocks", "provider_specific_fields")
"""Members of an assistant message that only the provider that wrote them understands."""

_REPLY_MEMBERS = ("refusal", "annotations", "audio")

_RECORDS = frozenset(("tools", "functions"))
_LEGACY = frozenset(("functions", "function_call"))

_PLAIN_ROLES = frozenset(("system", "user", "assistant"))
"""Messages of these roles that have only a content are the same for all servers."""


def encode(request: ChatRequest, target: Target, fetched: FetchedValues) -> HttpRequest:
    """The HTTP request for a validated `request`, whose messages and tools are records.

    Raises:
        InvalidRequestError: a deployment's name cannot be part of a path, a function's name is too long, or a schema
            has no name.
    """
    report = EncodingReport(target.on_unsupported)
    quirks = target.quirks if isinstance(target.quirks, Quirks) else quirks_of(target)
    body: JsonObject = {"model": target.model, "messages": _messages(request, target, quirks, report)}
    _add_params(body, request, quirks)
    for quirk, value, transform in _TRANSFORMS:
        if bool(getattr(quirks, quirk)) is value:
            transform(body, request, target, report)
    if target.stream:
        body["stream"] = True
        if quirks.include_usage and quirks.stream_options and "stream_options" not in body:
            body.update(DEFAULTS)
    if request.extra_body:
        body.update(request.extra_body)
    return HttpRequest(_url(target, quirks), body, warnings=report.warnings)


def _add_params(body: JsonObject, request: ChatRequest, quirks: Quirks) -> None:
    for name, value in request.given().items():
        if name in _RECORDS:
            _check_names(value, name, quirks.longest_function_name)
        elif name == "response_format" and quirks.schema_name:
            _require_schema_name(value)
        if not (quirks.functions_as_tools and name in _LEGACY):
            body[name] = to_wire(value) if name in _RECORDS else value


def _check_names(tools: Sequence[Tool | FunctionDefinition], param: str, longest: int) -> None:
    for i, tool in enumerate(tools):
        function, place = tool, f"{param}[{i}].name"
        if isinstance(tool, FunctionTool):
            function, place = tool.function, f"{param}[{i}].function.name"
        if isinstance(function, FunctionDefinition) and len(function.name) > longest:
            raise InvalidRequestError(f"{place}: is longer than {longest} characters", param=place)


def _require_schema_name(response_format: Mapping[str, Any]) -> None:
    schema = response_format.get("json_schema")
    if isinstance(schema, Mapping) and "name" not in schema:
        place = "response_format.json_schema.name"
        raise InvalidRequestError(f"{place}: is missing", param=place)


# --- quirks -----------------------------------------------------------------------------------------------------------


def _rename(body: JsonObject, request: ChatRequest, target: Target, report: EncodingReport) -> None:
    for name, wire_name in quirks_of(target).renames.items():
        if name in body:
            body[wire_name] = body.pop(name)


def _drop_stream_options(body: JsonObject, request: ChatRequest, target: Target, report: EncodingReport) -> None:
    for name in body.pop("stream_options", ()):
        if name != "include_usage":
            report.unsupported(f"stream_options.{name}", f"{target.provider} has no stream_options")


def _use_max_tokens(body: JsonObject, request: ChatRequest, target: Target, report: EncodingReport) -> None:
    if "max_completion_tokens" in body:
        body["max_tokens"] = body.pop("max_completion_tokens")


_Transform: TypeAlias = Callable[[JsonObject, ChatRequest, Target, EncodingReport], None]

_TRANSFORMS: tuple[tuple[str, bool, _Transform], ...] = (
    ("functions_as_tools", True, add_tools),
    ("renames", True, _rename),
    ("stream_options", False, _drop_stream_options),
    ("only_max_tokens", True, _use_max_tokens),
)
"""Quirk, its truth value, and the change to the body that is made then, in this order."""


# --- the URL ----------------------------------------------------------------------------------------------------------


def url(target: Target) -> str:
    """The request's URL; Azure's contains the deployment and the API version.

    https://learn.microsoft.com/en-us/azure/ai-foundry/openai/reference
    """
    return _url(target, quirks_of(target))


def _url(target: Target, quirks: Quirks) -> str:
    base, version = target.base_url, target.api_version
    if not quirks.deployments:
        return base + (target.path or PATH)
    query = f"?{urlencode({'api-version': version})}" if version is not None and version != "v1" else ""
    path = urlsplit(base).path
    if "/openai/deployments/" in path or path.endswith("/models"):
        return f"{base}{PATH}{query}"
    if path.endswith("/openai/v1"):
        return base + PATH + ("" if version is None or version[:1].isdigit() else query)
    if version is None or version in ("v1", "latest", "preview"):
        return f"{base}/openai/v1{PATH}" + ("?api-version=preview" if version == "preview" else "")
    return f"{base}/openai/deployments/{_segment(target.model)}{PATH}{query}"


def _segment(name: str) -> str:
    if name in (".", ".."):
        raise InvalidRequestError("model: '.' and '..' are no deployment names", param="model")
    return quote(name, safe="")


# --- messages ---------------------------------------------------------------------------------------------------------


def _messages(
    request: ChatRequest, target: Target, quirks: Quirks, report: EncodingReport
) -> list[JsonObject | PlainMessage]:
    messages = cast("Sequence[Message]", request.messages)
    ids = call_ids(messages) if quirks.functions_as_tools else {}
    encoded: list[JsonObject | PlainMessage] = []
    for i, message in enumerate(messages):
        plain = as_plain_message(message)
        if plain is not None and plain.role in _PLAIN_ROLES:
            encoded.append(plain)
            continue
        wire = _adapted(to_wire(message), message, f"messages[{i}]", target, report)
        if i in ids:
            wire = to_tool_form(wire, ids[i])
        encoded.append(wire)
    return encoded


def _adapted(wire: JsonObject, message: Message, path: str, target: Target, report: EncodingReport) -> JsonObject:
    quirks = quirks_of(target)
    if isinstance(message, AssistantMessage):
        _adapt_assistant(wire, message, path, target, report)
    elif message.role == "developer" and quirks.developer_role is not True:
        if quirks.developer_role is None:
            report.warn(f"{path}.role: some of {target.provider}'s models overlook the role developer")
        else:
            wire["role"] = "system"
    elif isinstance(message, ToolMessage) and not message.tool_call_id:
        del wire["tool_call_id"]
    is_named = message.role not in ("tool", "function") and "name" in wire
    if is_named and not quirks.message_name:
        del wire["name"]
        report.unsupported(f"{path}.name", f"{target.provider}'s messages have no name")
    return wire


def _adapt_assistant(
    wire: JsonObject, message: AssistantMessage, path: str, target: Target, report: EncodingReport
) -> None:
    """Drops, with a warning, what only another provider understands: an earlier reply may come from any provider."""
    quirks = quirks_of(target)
    private = _NEVER_SENT if quirks.reasoning_details else (*_NEVER_SENT, "reasoning_details")
    for name in private:
        if wire.pop(name, None) is not None:
            report.warn(f"{path}.{name} left out: only the provider that wrote it understands it")
    if quirks.reasoning is None:
        if wire.pop("reasoning_content", None) is not None:
            report.warn(f"{path}.reasoning_content left out: {target.provider} takes none back")
    elif "reasoning_content" in wire and quirks.reasoning not in message.extra:
        wire[quirks.reasoning] = wire.pop("reasoning_content")
    for call in wire.get("tool_calls") or ():
        if not call["id"]:
            del call["id"]
    if not quirks.reply_members:
        for name in _REPLY_MEMBERS:
            if wire.pop(name, None):
                report.warn(f"{path}.{name} left out: {target.provider} does not know it")
    elif message.audio is not None and message.audio.id is not None:
        wire["audio"] = {"id": message.audio.id}  # the API takes only the id of its own audio, not the data
