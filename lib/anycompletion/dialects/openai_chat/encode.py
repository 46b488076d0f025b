"""Chat requests → OpenAI's body: what the caller wrote, the row's quirks, and the declared defaults."""

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
    Message,
    Tool,
    ToolMessage,
)
from ..base import EncodingReport, FetchedValues, Target
from .legacy_functions import add_tools, call_ids, to_tool_form
from .params import DEFAULTS, PATH

_OURS = ("thinking_blocks", "provider_specific_fields")
"""Members of an assistant message that only the provider that wrote them understands."""

_REPLY_MEMBERS = ("refusal", "annotations", "audio")

_RECORDS = frozenset(("tools", "functions"))
_LEGACY = frozenset(("functions", "function_call"))


def encode(request: ChatRequest, target: Target, known: FetchedValues) -> HttpRequest:
    """The request as OpenAI's body.

    Raises:
        InvalidRequestError: a deployment's name cannot stand in a path, a function's name is too long, or a schema has
            none.
    """
    report = EncodingReport(target.on_unsupported)
    quirks = target.quirks
    body: dict[str, Any] = {"model": target.model, "messages": _messages(request, target, report)}
    for name, value in request.given().items():
        if name in _RECORDS:
            _check_names(value, name, quirks.longest_function_name)
        if not (quirks.functions_as_tools and name in _LEGACY):
            body[name] = to_wire(value) if name in _RECORDS else value
    if quirks.functions_as_tools:
        add_tools(body, request)
    if quirks.schema_name:
        _require_schema_name(request)
    for name, wire_name in quirks.renames.items():
        if name in body:
            body[wire_name] = body.pop(name)
    if not quirks.stream_options:
        for name in body.pop("stream_options", ()):
            if name != "include_usage":
                report.unsupported(f"stream_options.{name}", f"{target.provider} has no stream_options")
    if quirks.only_max_tokens and "max_completion_tokens" in body:
        body["max_tokens"] = body.pop("max_completion_tokens")
    if target.stream:
        body["stream"] = True
        if quirks.include_usage and quirks.stream_options and "stream_options" not in body:
            body.update(DEFAULTS)
    if request.extra_body:
        body.update(request.extra_body)
    return HttpRequest(url(target), body, warnings=report.warnings)


def _check_names(tools: Sequence[Tool | FunctionDefinition], param: str, longest: int) -> None:
    for i, tool in enumerate(tools):
        function, place = tool, f"{param}[{i}].name"
        if isinstance(tool, FunctionTool):
            function, place = tool.function, f"{param}[{i}].function.name"
        if isinstance(function, FunctionDefinition) and len(function.name) > longest:
            raise InvalidRequestError(f"{place}: is longer than {longest} characters", param=place)


def _require_schema_name(request: ChatRequest) -> None:
    schema = (request.response_format or {}).get("json_schema")
    if isinstance(schema, Mapping) and "name" not in schema:
        place = "response_format.json_schema.name"
        raise InvalidRequestError(f"{place}: is missing", param=place)


def url(target: Target) -> str:
    """Where the request goes; Azure's address holds the deployment and its API version.

    https://learn.microsoft.com/en-us/azure/ai-foundry/openai/reference
    """
    base, version = target.base_url, target.api_version
    if not target.quirks.deployments:
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


def _messages(request: ChatRequest, target: Target, report: EncodingReport) -> list[dict[str, Any] | PlainMessage]:
    messages = cast("Sequence[Message]", request.messages)
    ids = call_ids(messages) if target.quirks.functions_as_tools else {}
    out: list[dict[str, Any] | PlainMessage] = []
    for i, message in enumerate(messages):
        brief = as_plain_message(message)
        if brief is not None and brief.role in _PLAIN_ROLES:
            out.append(brief)
            continue
        wire = _adapted(to_wire(message), message, f"messages[{i}]", target, report)
        if i in ids:
            wire = to_tool_form(wire, ids[i])
        out.append(wire)
    return out


_PLAIN_ROLES = frozenset(("system", "user", "assistant"))
"""Messages of these roles, and of nothing but a content, are said alike everywhere."""


def _adapted(
    wire: dict[str, Any], message: Message, place: str, target: Target, report: EncodingReport
) -> dict[str, Any]:
    if isinstance(message, AssistantMessage):
        _leave_out(wire, message, place, target, report)
    elif message.role == "developer" and target.quirks.developer_role is not True:
        if target.quirks.developer_role is None:
            report.warn(f"{place}.role: some of {target.provider}'s models overlook the role developer")
        else:
            wire["role"] = "system"
    elif isinstance(message, ToolMessage) and not message.tool_call_id:
        del wire["tool_call_id"]
    named = message.role not in ("tool", "function") and "name" in wire
    if named and not target.quirks.message_name:
        del wire["name"]
        report.unsupported(f"{place}.name", f"{target.provider}'s messages have no name")
    return wire


def _leave_out(
    wire: dict[str, Any], message: AssistantMessage, place: str, target: Target, report: EncodingReport
) -> None:
    """An earlier reply may come from another provider; what only that one understands stays here, and is said."""
    for name in _OURS:
        if wire.pop(name, None) is not None:
            report.warn(f"{place}.{name} left out: only the provider that wrote it understands it")
    if not target.quirks.reasoning_details and wire.pop("reasoning_details", None) is not None:
        report.warn(f"{place}.reasoning_details left out: only the provider that wrote it understands it")
    if target.quirks.reasoning is None:
        if wire.pop("reasoning_content", None) is not None:
            report.warn(f"{place}.reasoning_content left out: {target.provider} takes none back")
    elif "reasoning_content" in wire and target.quirks.reasoning not in message.extra:
        wire[target.quirks.reasoning] = wire.pop("reasoning_content")
    for call in wire.get("tool_calls") or ():
        if not call["id"]:
            del call["id"]
    if not target.quirks.reply_members:
        for name in _REPLY_MEMBERS:
            if wire.pop(name, None):
                report.warn(f"{place}.{name} left out: {target.provider} does not know it")
    elif message.audio is not None and message.audio.id is not None:
        wire["audio"] = {"id": message.audio.id}  # the API refers to its own sound, it does not take it back
