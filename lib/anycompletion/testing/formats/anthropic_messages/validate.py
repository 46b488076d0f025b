"""What Anthropic's messages API refuses, in Anthropic's words; never answers anything."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from itertools import groupby
from typing import Any

from ..json_access import as_dict, as_list, as_text, is_integer, is_number
from ..wire_format import UNKNOWN_MODEL, Call, Failure, first_failure

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
"""Version → the members a request may have; any other is refused."""

_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_TOOL_ID = re.compile(r"[a-zA-Z0-9_-]+")


def check(call: Call, api_key: str) -> Failure | None:
    """Why the request is refused, or None if it is in order."""
    if call.path != PATH:
        return Failure(404, "not_found_error", "Not found")
    if call.method != "POST":
        return Failure(405, "invalid_request_error", "Method Not Allowed")
    return _key(call, api_key) or first_failure(call, _CHECKS)


def signature(thinking: str) -> str:
    """What a thinking block is signed with; a block that was changed is refused when it comes back."""
    return base64.b64encode(hashlib.sha256(f"simulated {thinking}".encode("utf-8", "replace")).digest()).decode()


def turns(messages: Any) -> list[tuple[str, list[dict[str, Any]]]]:
    """The conversation as the API reads it: role and blocks, neighbours of one role joined."""
    joined = groupby((as_dict(each) for each in as_list(messages)), lambda message: str(message.get("role")))
    return [(role, [block for each in group for block in blocks(each.get("content"))]) for role, group in joined]


def blocks(content: Any) -> list[dict[str, Any]]:
    """The blocks of a content that may be a string."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [as_dict(each) for each in as_list(content)]


def _invalid(message: str) -> Failure:
    return Failure(400, "invalid_request_error", message)


def _key(call: Call, api_key: str) -> Failure | None:
    given = call.headers.get("x-api-key") or call.bearer
    if given is None:
        return Failure(401, "authentication_error", "x-api-key header is required")
    return None if given == api_key else Failure(401, "authentication_error", "invalid x-api-key")


def _version(call: Call) -> Failure | None:
    version = call.headers.get("anthropic-version")
    if version is None:
        return _invalid("anthropic-version: header is required")
    return None if version in _VERSIONS else _invalid(f'anthropic-version: "{version}" is not a valid version')


def _members(call: Call) -> Failure | None:
    body = as_dict(call.body)
    if not body:
        return _invalid("The request body is not valid JSON")
    for name in ("model", "messages", "max_tokens"):
        if body.get(name) is None:
            return _invalid(f"{name}: Field required")
    known = _VERSIONS[call.headers["anthropic-version"]]
    unknown = next((name for name in body if name not in known), None)
    return None if unknown is None else _invalid(f"{unknown}: Extra inputs are not permitted")


def _values(call: Call) -> Failure | None:
    body = as_dict(call.body)
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


def _model(call: Call) -> Failure | None:
    model = call.body["model"]
    if not isinstance(model, str):
        return _invalid("model: Input should be a valid string")
    return Failure(404, "not_found_error", f"model: {model}") if model == UNKNOWN_MODEL else None


def _thinking(call: Call) -> Failure | None:
    body = as_dict(call.body)
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


def _tools(call: Call) -> Failure | None:
    names: set[str] = set()
    for index, tool in enumerate(as_dict(each) for each in as_list(call.body.get("tools"))):
        if tool.get("type") not in (None, "custom"):
            continue  # One of the provider's own, which brings its schema along.
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
    if call.body.get("tool_choice") is not None and not call.body.get("tools"):
        return _invalid("tool_choice may only be specified while providing tools.")
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


def _messages(call: Call) -> Failure | None:
    if not isinstance(call.body["messages"], list):
        return _invalid("messages: Input should be a valid list")
    messages = [as_dict(each) for each in as_list(call.body["messages"])]
    if not messages:
        return _invalid("messages: at least one message is required")
    for index, message in enumerate(messages):
        if message.get("role") not in ("user", "assistant", "system"):
            return _invalid(f"messages.{index}.role: Input should be 'user' or 'assistant'")
        if unknown := message.keys() - {"role", "content"}:
            return _invalid(f"messages.{index}.{min(unknown)}: Extra inputs are not permitted")
        if not message.get("content") and (message["role"] == "user" or index < len(messages) - 1):
            return _invalid(f"messages.{index}: {message['role']} messages must have non-empty content")
        for at, block in enumerate(blocks(message.get("content"))):
            failure = _block(f"messages.{index}.content.{at}", block)
            if failure is not None:
                return failure
    return None


def _block(at: str, block: dict[str, Any]) -> Failure | None:
    match block.get("type"):
        case None:
            return _invalid(f"{at}.type: Field required")
        case "text" if not as_text(block.get("text")):
            return _invalid("messages: text content blocks must be non-empty")
        case "tool_use" if not isinstance(block.get("input"), dict):
            return _invalid(f"{at}.tool_use.input: Input should be a valid dictionary")
        case "tool_use" if not _TOOL_ID.fullmatch(as_text(block.get("id"))):
            return _invalid(f"{at}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
        case "thinking" if block.get("signature") != signature(as_text(block.get("thinking"))):
            return _invalid(f"{at}: Invalid `signature` in `thinking` block")
        case _:
            return None


def _order(call: Call) -> Failure | None:
    """The first turn is the user's, and tool results answer the turn before, ahead of everything else."""
    conversation = [turn for turn in turns(call.body["messages"]) if turn[0] != "system"]
    if not conversation or conversation[0][0] != "user":
        return _invalid('messages: first message must use the "user" role')
    asked: set[str] = set()
    for index, (_, content) in enumerate(conversation):
        given = [as_text(each.get("tool_use_id")) for each in content if each.get("type") == "tool_result"]
        stray = next((each for each in given if each not in asked), None)
        if stray is not None:
            return _invalid(f"messages.{index}: unexpected `tool_use_id` found in `tool_result` blocks: {stray}")
        missing = asked - set(given)
        if missing or any(each.get("type") != "tool_result" for each in content[: len(given)]):
            ids = ", ".join(sorted(missing or asked))
            text = "`tool_use` ids were found without `tool_result` blocks immediately after"
            return _invalid(f"messages.{index}: {text}: {ids}")
        asked = {as_text(each.get("id")) for each in content if each.get("type") == "tool_use"}
    role, content = conversation[-1]
    if asked:
        ids = ", ".join(sorted(asked))
        return _invalid(f"messages: `tool_use` ids were found without `tool_result` blocks immediately after: {ids}")
    prefill = as_text(content[-1].get("text")) if role == "assistant" and content else ""
    if prefill != prefill.rstrip():
        return _invalid("messages: final assistant content cannot end with trailing whitespace")
    return None


_CHECKS = (_version, _members, _values, _model, _messages, _tools, _thinking, _order)
