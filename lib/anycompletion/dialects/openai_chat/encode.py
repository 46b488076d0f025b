"""A chat request as OpenAI's HTTP request: the caller's parameters, the target's quirks, the declared defaults.

https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast
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
from .params import PATH, STREAM_DEFAULTS
from .quirks import Quirks

_OPENAI = Quirks()
"""The quirks of a target without any: it is OpenAI itself."""

_NEVER_SENT = ("thinking_blocks", "provider_specific_fields")
"""Fields of an assistant message that only the provider that wrote them understands."""

_REPLY_FIELDS = ("refusal", "annotations", "audio")
"""Fields of OpenAI's replies that other servers may refuse in an earlier message; see `Quirks.reply_members`."""

_RECORD_PARAMS = frozenset(("tools", "functions"))
_LEGACY_PARAMS = frozenset(("functions", "function_call"))

_PLAIN_ROLES = frozenset(("system", "user", "assistant"))
"""Messages of these roles that have only a content are the same for all servers."""


def encode(request: ChatRequest, target: Target, fetched: FetchedValues) -> HttpRequest:
    """The HTTP request for a validated `request`, whose messages and tools are records.

    Raises:
        InvalidRequestError: a deployment's name cannot be part of a path, a function's name is too long, or a schema
            has no name.
    """
    report = EncodingReport(target.on_unsupported)
    quirks = target.quirks if isinstance(target.quirks, Quirks) else _OPENAI
    body: JsonObject = {"model": target.model, "messages": _messages(request, target, quirks, report)}
    _add_params(body, request, quirks)
    if quirks.functions_as_tools:
        add_tools(body, request)
    if quirks.renames:
        _rename(body, quirks.renames)
    if not quirks.stream_options:
        _drop_stream_options(body, target.provider, report)
    if quirks.only_max_tokens and "max_completion_tokens" in body:
        body["max_tokens"] = body.pop("max_completion_tokens")
    if target.stream:
        body["stream"] = True
        if quirks.include_usage and quirks.stream_options and "stream_options" not in body:
            body.update(STREAM_DEFAULTS)
    if request.extra_body:
        body.update(request.extra_body)
    return HttpRequest(_url(target, quirks), body, warnings=report.warnings)


def _add_params(body: JsonObject, request: ChatRequest, quirks: Quirks) -> None:
    for name, value in request.given().items():
        if name in _RECORD_PARAMS:
            _check_names(value, name, quirks.longest_function_name)
        elif name == "response_format" and quirks.schema_name:
            _require_schema_name(value)
        if not (quirks.functions_as_tools and name in _LEGACY_PARAMS):
            body[name] = to_wire(value) if name in _RECORD_PARAMS else value


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


def _rename(body: JsonObject, renames: Mapping[str, str]) -> None:
    for name, wire_name in renames.items():
        if name in body:
            body[wire_name] = body.pop(name)


def _drop_stream_options(body: JsonObject, provider: str, report: EncodingReport) -> None:
    for name in body.pop("stream_options", ()):
        if name != "include_usage":
            report.unsupported(f"stream_options.{name}", f"{provider} has no stream_options")


# --- the URL ----------------------------------------------------------------------------------------------------------


def _url(target: Target, quirks: Quirks) -> str:
    """The request's URL; Azure's contains the API version, and for dated versions the deployment.

    https://learn.microsoft.com/en-us/azure/ai-foundry/openai/reference
    """
    base, version = target.base_url, target.api_version
    if not quirks.deployments:
        return base + (target.path or PATH)
    query = f"?{urlencode({'api-version': version})}" if version is not None and version != "v1" else ""
    path = urlsplit(base).path
    # The base URL names the deployment, or is Azure AI Foundry's endpoint for all models.
    if "/openai/deployments/" in path or path.endswith("/models"):
        return f"{base}{PATH}{query}"
    # The base URL is that of the v1 API, which has no dated versions.
    if path.endswith("/openai/v1"):
        return base + PATH + ("" if version is None or version[:1].isdigit() else query)
    # The base URL is the resource's: the v1 API, unless a dated version is asked for.
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
    legacy_ids = call_ids(messages) if quirks.functions_as_tools else {}
    encoded: list[JsonObject | PlainMessage] = []
    for i, message in enumerate(messages):
        plain = as_plain_message(message)
        if plain is not None and plain.role in _PLAIN_ROLES:
            encoded.append(plain)
            continue
        wire: JsonObject = to_wire(message)
        _adapt(wire, message, f"messages[{i}]", target, quirks, report)
        encoded.append(to_tool_form(wire, legacy_ids[i]) if i in legacy_ids else wire)
    return encoded


def _adapt(
    wire: JsonObject, message: Message, path: str, target: Target, quirks: Quirks, report: EncodingReport
) -> None:
    """Changes a message to one that the server accepts."""
    if isinstance(message, AssistantMessage):
        _adapt_assistant(wire, message, path, target, quirks, report)
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


def _adapt_assistant(
    wire: JsonObject, message: AssistantMessage, path: str, target: Target, quirks: Quirks, report: EncodingReport
) -> None:
    """Changes an earlier reply, which may come from any provider, to one that the server accepts."""
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
        for name in _REPLY_FIELDS:
            if wire.pop(name, None):
                report.warn(f"{path}.{name} left out: {target.provider} does not know it")
    elif message.audio is not None and message.audio.id is not None:
        wire["audio"] = {"id": message.audio.id}  # the API takes only the id of its own audio, not the data
