"""Validates requests for messages as Anthropic does, with Anthropic's error messages; never makes a reply."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from itertools import groupby
from typing import Any

from ..json_access import as_dict, as_list, as_text, is_integer, is_number
from ..schema_checks import CLAUDE_SCHEMA
from ..wire_format import UNKNOWN_MODEL, ErrorSpec, SimulatedRequest, first_error

PATH = "/v1/messages"

_SAMPLING = frozenset({"temperature", "top_p", "top_k"})
_FIELDS = frozenset(
    {
        "model",
        "messages",
        "max_tokens",
        "system",
        "stop_sequences",
        "stream",
        "tools",
        "tool_choice",
        "thinking",
        "output_config",
        "output_format",
        "metadata",
        "service_tier",
        "speed",
        "cache_control",
        "container",
        "context_management",
        "inference_geo",
        "mcp_servers",
        "diagnostics",
    }
)
_VERSIONS: Mapping[str, frozenset[str]] = {"2023-06-01": _FIELDS | _SAMPLING, "2026-10-21": _FIELDS}
"""Version → the members a request may have; any other is rejected."""

_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_TOOL_ID = re.compile(r"[a-zA-Z0-9_-]+")
_IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")


def validate(request: SimulatedRequest, api_key: str) -> ErrorSpec | None:
    """The error that rejects the request, or None if it is valid."""
    if request.path != PATH:
        return ErrorSpec(404, "not_found_error", "Not found")
    if request.method != "POST":
        return ErrorSpec(405, "invalid_request_error", "Method Not Allowed")
    return _key(request, api_key) or first_error(request, _CHECKS)


def signature(thinking: str) -> str:
    """The signature of a thinking block; a block that was changed is rejected when it comes back."""
    return base64.b64encode(hashlib.sha256(f"simulated {thinking}".encode("utf-8", "replace")).digest()).decode()


def joined_turns(messages: Any) -> list[tuple[str, list[dict[str, Any]]]]:
    """The conversation as the API reads it: role and blocks, adjacent messages of one role joined."""
    joined = groupby((as_dict(each) for each in as_list(messages)), lambda message: str(message.get("role")))
    return [
        (role, [block for each in group for block in content_blocks(each.get("content"))]) for role, group in joined
    ]


def content_blocks(content: Any) -> list[dict[str, Any]]:
    """The blocks of a content that may be a string."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [as_dict(each) for each in as_list(content)]


def _invalid(message: str) -> ErrorSpec:
    return ErrorSpec(400, "invalid_request_error", message)


def _key(request: SimulatedRequest, api_key: str) -> ErrorSpec | None:
    given = request.headers.get("x-api-key") or request.bearer
    if given is None:
        return ErrorSpec(401, "authentication_error", "x-api-key header is required")
    return None if given == api_key else ErrorSpec(401, "authentication_error", "invalid x-api-key")


def _version(request: SimulatedRequest) -> ErrorSpec | None:
    version = request.headers.get("anthropic-version")
    if version is None:
        return _invalid("anthropic-version: header is required")
    return None if version in _VERSIONS else _invalid(f'anthropic-version: "{version}" is not a valid version')


def _members(request: SimulatedRequest) -> ErrorSpec | None:
    body = as_dict(request.body)
    if not body:
        return _invalid("The request body is not valid JSON")
    for name in ("model", "messages", "max_tokens"):
        if body.get(name) is None:
            return _invalid(f"{name}: Field required")
    known = _VERSIONS[request.headers["anthropic-version"]]
    unknown = next((name for name in body if name not in known), None)
    return None if unknown is None else _invalid(f"{unknown}: Extra inputs are not permitted")


def _values(request: SimulatedRequest) -> ErrorSpec | None:
    body = as_dict(request.body)
    limit = body["max_tokens"]
    if not is_integer(limit):
        return _invalid("max_tokens: Input should be a valid integer")
    if limit < 0:
        return _invalid("max_tokens: must be greater than or equal to 0")
    for name in ("temperature", "top_p"):
        value = body.get(name)
        if value is not None and not (is_number(value) and 0 <= value <= 1):
            return _invalid(f"{name}: range: 0..1")
    if any(not as_text(each).strip() for each in as_list(body.get("stop_sequences"))):
        return _invalid("stop_sequences: each stop sequence must contain non-whitespace")
    return None


def _model(request: SimulatedRequest) -> ErrorSpec | None:
    model = request.body["model"]
    if not isinstance(model, str):
        return _invalid("model: Input should be a valid string")
    return ErrorSpec(404, "not_found_error", f"model: {model}") if model == UNKNOWN_MODEL else None


def _thinking(request: SimulatedRequest) -> ErrorSpec | None:
    body = as_dict(request.body)
    thinking = as_dict(body.get("thinking"))
    if thinking.get("type") not in ("enabled", "adaptive"):
        return None
    if thinking["type"] == "enabled":
        budget = thinking.get("budget_tokens", 0)
        if not is_integer(budget) or budget < 1024:
            return _invalid("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
        if budget >= body["max_tokens"]:
            return _invalid("`max_tokens` must be greater than `thinking.budget_tokens`.")
    if as_dict(body.get("tool_choice")).get("type") in ("any", "tool"):
        return _invalid("Thinking may not be enabled when tool_choice forces tool use.")
    if body.get("temperature") not in (None, 1):
        return _invalid("`temperature` may only be set to 1 when thinking is enabled.")
    return None


def _tools(request: SimulatedRequest) -> ErrorSpec | None:
    names: set[str] = set()
    for index, tool in enumerate(as_dict(each) for each in as_list(request.body.get("tools"))):
        if tool.get("type") not in (None, "custom"):
            continue  # a tool of the provider's own, whose schema the provider knows
        at, name = f"tools.{index}.custom", as_text(tool.get("name"))
        if not _TOOL_NAME.fullmatch(name):
            return _invalid(f"{at}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
        if name in names:
            return _invalid("tools: Tool names must be unique.")
        names.add(name)
        if as_dict(tool.get("input_schema")).get("type") != "object":
            return _invalid(f"{at}.input_schema.type: Input should be 'object'")
        if unknown := tool.keys() - _TOOL_FIELDS:
            return _invalid(f"{at}.{min(unknown)}: Extra inputs are not permitted")
    if request.body.get("tool_choice") is not None and not request.body.get("tools"):
        return _invalid("tool_choice may only be specified while providing tools.")
    return None


def _output(request: SimulatedRequest) -> ErrorSpec | None:
    """Checks the schema of the reply, and those of strict tools."""
    body = as_dict(request.body)
    for place, config in (("output_config.format", as_dict(body.get("output_config"))), ("output_format", body)):
        form = as_dict(config.get(place.rpartition(".")[2]))
        if not form:
            continue
        if form.get("type") != "json_schema":
            return _invalid(f"{place}.type: Input should be 'json_schema'")
        if form.get("schema") is None:
            return _invalid(f"{place}.schema: Field required")
        problem = CLAUDE_SCHEMA.problem(form["schema"])
        if problem is not None:
            return _invalid(f"{place}.schema: {problem.text}")
    for index, tool in enumerate(as_dict(each) for each in as_list(body.get("tools"))):
        problem = CLAUDE_SCHEMA.problem(tool.get("input_schema")) if tool.get("strict") is True else None
        if problem is not None:
            return _invalid(f"tools.{index}.custom.input_schema: {problem.text}")
    return None


_TOOL_FIELDS = frozenset(
    {
        "type",
        "name",
        "description",
        "input_schema",
        "strict",
        "cache_control",
        "allowed_callers",
        "defer_loading",
        "eager_input_streaming",
        "input_examples",
    }
)


def _messages(request: SimulatedRequest) -> ErrorSpec | None:
    if not isinstance(request.body["messages"], list):
        return _invalid("messages: Input should be a valid list")
    messages = [as_dict(each) for each in as_list(request.body["messages"])]
    if not messages:
        return _invalid("messages: at least one message is required")
    for index, message in enumerate(messages):
        if message.get("role") not in ("user", "assistant", "system"):
            return _invalid(f"messages.{index}.role: Input should be 'user' or 'assistant'")
        if unknown := message.keys() - {"role", "content"}:
            return _invalid(f"messages.{index}.{min(unknown)}: Extra inputs are not permitted")
        if not message.get("content") and (message["role"] == "user" or index < len(messages) - 1):
            return _invalid(f"messages.{index}: {message['role']} messages must have non-empty content")
        for at, block in enumerate(content_blocks(message.get("content"))):
            error = _block(f"messages.{index}.content.{at}", block)
            if error is not None:
                return error
    return None


def _block(at: str, block: dict[str, Any]) -> ErrorSpec | None:
    match block.get("type"):
        case None:
            return _invalid(f"{at}.type: Field required")
        case "text" if not as_text(block.get("text")):
            return _invalid("messages: text content blocks must be non-empty")
        case "text" if not as_text(block["text"]).strip():
            return _invalid("messages: text content blocks must contain non-whitespace text")
        case "image" if _media_type(block) not in _IMAGE_TYPES:
            wanted = ", ".join(map(repr, _IMAGE_TYPES[:-1]))
            return _invalid(f"{at}.image.source.base64.media_type: Input should be {wanted} or {_IMAGE_TYPES[-1]!r}")
        case "tool_use" if not isinstance(block.get("input"), dict):
            return _invalid(f"{at}.tool_use.input: Input should be a valid dictionary")
        case "tool_use" if not _TOOL_ID.fullmatch(as_text(block.get("id"))):
            return _invalid(f"{at}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
        case "thinking" if block.get("signature") != signature(as_text(block.get("thinking"))):
            return _invalid(f"{at}: Invalid `signature` in `thinking` block")
        case _:
            return None


def _media_type(block: dict[str, Any]) -> str:
    """The media type of an image; a known one for an image that is not in the request itself."""
    source = as_dict(block.get("source"))
    return as_text(source.get("media_type")) if source.get("type") == "base64" else _IMAGE_TYPES[0]


def _unique_ids(request: SimulatedRequest) -> ErrorSpec | None:
    """Checks that no two calls of the conversation have one id."""
    seen: set[str] = set()
    for index, (_, content) in enumerate(joined_turns(request.body["messages"])):
        for at, block in enumerate(content):
            if block.get("type") == "tool_use" and block["id"] in seen:
                return _invalid(f"messages.{index}.content.{at}: `tool_use` ids must be unique")
            if block.get("type") == "tool_use":
                seen.add(block["id"])
    return None


def _order(request: SimulatedRequest) -> ErrorSpec | None:
    """Checks that the first turn is the user's, and that tool results follow their calls, before other content."""
    conversation = [turn for turn in joined_turns(request.body["messages"]) if turn[0] != "system"]
    if not conversation or conversation[0][0] != "user":
        return _invalid('messages: first message must use the "user" role')
    open_calls: set[str] = set()
    for index, (_, content) in enumerate(conversation):
        given = [as_text(each.get("tool_use_id")) for each in content if each.get("type") == "tool_result"]
        stray = next((each for each in given if each not in open_calls), None)
        if stray is not None:
            return _invalid(f"messages.{index}: unexpected `tool_use_id` found in `tool_result` blocks: {stray}")
        missing = open_calls - set(given)
        if missing or any(each.get("type") != "tool_result" for each in content[: len(given)]):
            ids = ", ".join(sorted(missing or open_calls))
            text = "`tool_use` ids were found without `tool_result` blocks immediately after"
            return _invalid(f"messages.{index}: {text}: {ids}")
        open_calls = {as_text(each.get("id")) for each in content if each.get("type") == "tool_use"}
    role, content = conversation[-1]
    if open_calls:
        ids = ", ".join(sorted(open_calls))
        return _invalid(f"messages: `tool_use` ids were found without `tool_result` blocks immediately after: {ids}")
    prefill = as_text(content[-1].get("text")) if role == "assistant" and content else ""
    if prefill != prefill.rstrip():
        return _invalid("messages: final assistant content cannot end with trailing whitespace")
    return None


_CHECKS = (_version, _members, _values, _model, _messages, _unique_ids, _tools, _output, _thinking, _order)
