"""A chat request as OpenAI's HTTP request: the caller's parameters, the target's quirks, the declared defaults.

https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ...codecs.json import PlainMessage, as_plain_message, to_wire
from ...errors import InvalidRequestError
from ...http import HttpRequest
from ...records import (
    ChatRequest,
    FunctionDefinition,
    FunctionTool,
    JsonObject,
    Message,
    Part,
    Tool,
    ToolMessage,
    UserMessage,
)
from ..azure_urls import azure_models_url, azure_url
from ..base import EncodingReport, FetchedValues, Target
from ..result_media import split_media
from .legacy_functions import add_tools, call_ids, to_tool_form
from .message_form import answer_results, encode_message, fit_call_ids, join_instructions, without_blank_text
from .params import PATH, STREAM_DEFAULTS
from .quirks import Quirks

_OPENAI = Quirks()
"""The quirks of a target without any: it is OpenAI itself."""

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
    if quirks.logprobs_number and body.get("logprobs") is True:
        body["logprobs"] = body.pop("top_logprobs", None) or 1
    if target.stream:
        # What reads the reply, loaded now, because an import may fail later.
        from . import stream  # noqa: F401, PLC0415  # pyright: ignore[reportUnusedImport]

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
    """The request's URL."""
    if quirks.deployments:
        return azure_url(target, PATH, of_deployment=True)
    return target.base_url + (target.path or PATH)


def models_url(target: Target) -> str:
    """The URL of the server's list of models."""
    if isinstance(target.quirks, Quirks) and target.quirks.deployments:
        return azure_models_url(target)
    return f"{target.base_url}/models"


# --- messages ---------------------------------------------------------------------------------------------------------


def _messages(
    request: ChatRequest, target: Target, quirks: Quirks, report: EncodingReport
) -> list[JsonObject | PlainMessage]:
    messages = cast("Sequence[Message]", request.messages)
    legacy_ids = call_ids(messages) if quirks.functions_as_tools else {}
    encoded: list[JsonObject | PlainMessage] = []
    media: list[Part] = []
    for i, message in enumerate(messages):
        if media and not isinstance(message, ToolMessage):
            _add_media(encoded, media, f"messages[{i - 1}]", target, report)
            media = []
        plain = as_plain_message(message)
        if plain is not None and plain.role in _PLAIN_ROLES:
            if quirks.blank_text or without_blank_text(plain.to_dict(), f"messages[{i}]", report) is not None:
                encoded.append(plain)
            continue
        sent = message
        if isinstance(message, ToolMessage) and not quirks.result_media:
            sent, moved = split_media(message, f"messages[{i}]", target.provider, report)
            media += moved
        wire = encode_message(sent, f"messages[{i}]", target, quirks, report)
        if wire is None:
            continue
        if i in legacy_ids:
            wire = to_tool_form(wire, legacy_ids[i])
        if quirks.call_ids is not None:
            fit_call_ids(wire, f"messages[{i}]", quirks.call_ids, target.provider, report)
        encoded.append(wire)
    if media:
        _add_media(encoded, media, f"messages[{len(messages) - 1}]", target, report)
    if quirks.assistant_after_results:
        encoded = answer_results(encoded, target.provider, report)
    return join_instructions(encoded, target, report) if quirks.one_system_message else encoded


def _add_media(
    encoded: list[JsonObject | PlainMessage], media: list[Part], path: str, target: Target, report: EncodingReport
) -> None:
    """Adds the message of the user with the media of the results that end at `path`."""
    quirks = target.quirks if isinstance(target.quirks, Quirks) else _OPENAI
    wire = encode_message(UserMessage(media), path, target, quirks, report)
    if wire is not None:
        encoded.append(wire)
