"""Validates requests of Converse as Bedrock does, with Bedrock's error messages; never makes a reply."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..anthropic_messages.validate import signature  # Claude takes its thinking back at each of its hosts
from ..json_access import as_dict, as_list, as_text, is_integer, is_number
from ..schema_checks import CLAUDE_SCHEMA
from ..wire_format import UNKNOWN_MODEL, ErrorSpec, SimulatedRequest, first_error

_PATH = re.compile(r"/model/(.+)/(?:converse|converse-stream)")

_FIELDS = frozenset(
    {
        "messages",
        "system",
        "inferenceConfig",
        "toolConfig",
        "guardrailConfig",
        "additionalModelRequestFields",
        "additionalModelResponseFieldPaths",
        "outputConfig",
        "performanceConfig",
        "promptVariables",
        "requestMetadata",
        "serviceTier",
    }
)
_INFERENCE = frozenset({"maxTokens", "temperature", "topP", "stopSequences"})
_BLOCKS = frozenset(
    {
        *("text", "image", "document", "video", "audio", "toolUse", "toolResult", "guardContent", "cachePoint"),
        *("reasoningContent", "citationsContent", "searchResult"),
    }
)
_NO_POINT_BEHIND = frozenset({"document", "video", "reasoningContent"})
"""Kinds of blocks that no cache ends with."""
_TIERS = ("default", "flex", "priority", "reserved")
_IMAGES = ("png", "jpeg", "gif", "webp")
_SIGNATURE = (
    r"AWS4-HMAC-SHA256 Credential=[^/]+/\d{8}/[^/]+/bedrock/aws4_request, "
    r"SignedHeaders=(?=[^,]*host)[^,]+, Signature=[0-9a-f]{64}"
)
"""The header of a signed request."""
_CALL_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_DOCUMENT = re.compile(r"(?=.{1,200}\Z)[A-Za-z0-9_\-()\[\]]+( [A-Za-z0-9_\-()\[\]]+)*")
_METADATA = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.\-]{0,256}")


def model_of(request: SimulatedRequest) -> str:
    """The model that a request asks; "" for a path of another operation."""
    found = _PATH.fullmatch(request.path)
    return found[1] if found else ""


def validate(request: SimulatedRequest, api_key: str) -> ErrorSpec | None:
    """The error that rejects the request, or None if it is valid."""
    if not model_of(request):
        return ErrorSpec(404, "UnknownOperationException", "")
    if request.method != "POST":
        return ErrorSpec(405, "UnknownOperationException", f"{request.method} is not allowed")
    return _authentication(request, api_key) or first_error(request, _CHECKS)


def _authentication(request: SimulatedRequest, api_key: str) -> ErrorSpec | None:
    """The error of a request without the key and without a signature; any credentials may sign, as none are known."""
    authorization = request.headers.get("authorization")
    if authorization is None:
        return ErrorSpec(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
    if authorization.startswith("AWS4-HMAC-SHA256"):
        if re.fullmatch(_SIGNATURE, authorization) and "x-amz-date" in request.headers:
            return None
        return ErrorSpec(400, "IncompleteSignatureException", "The signature is incomplete.")
    if request.bearer != api_key:
        return ErrorSpec(403, "UnrecognizedClientException", "The security token included in the request is invalid.")
    return None


def _invalid(message: str) -> ErrorSpec:
    return ErrorSpec(400, "ValidationException", message)


def _malformed(message: str) -> ErrorSpec:
    return _invalid(f"The format of your request is invalid: {message}")


def _members(request: SimulatedRequest) -> ErrorSpec | None:
    body = as_dict(request.body)
    if not body:
        return ErrorSpec(400, "SerializationException", "the body is not a JSON object")
    if model_of(request) == UNKNOWN_MODEL:
        return ErrorSpec(404, "ResourceNotFoundException", "Could not resolve the foundation model.")
    unknown = as_dict(body.get("inferenceConfig")).keys() - _INFERENCE
    if unknown:
        return _malformed(f"inferenceConfig has no member {min(unknown)}")
    fields: tuple[tuple[str, type], ...] = (
        *((name, dict) for name in ("inferenceConfig", "toolConfig", "additionalModelRequestFields", "outputConfig")),
        *((name, list) for name in ("messages", "system")),
    )
    wrong = next((name for name, kind in fields if name in body and not isinstance(body[name], kind)), None)
    return None if wrong is None else _malformed(f"{wrong} has an invalid type")


def _values(request: SimulatedRequest) -> ErrorSpec | None:
    config = as_dict(request.body.get("inferenceConfig"))
    if "maxTokens" in config and not (is_integer(config["maxTokens"]) and config["maxTokens"] >= 1):
        return _invalid("Value at 'inferenceConfig.maxTokens' must be greater than or equal to 1")
    for name in ("temperature", "topP"):
        if name in config and not (is_number(config[name]) and 0 <= config[name] <= 1):
            return _invalid(f"Value at 'inferenceConfig.{name}' must be between 0 and 1")
    if not all(isinstance(stop, str) and stop for stop in as_list(config.get("stopSequences"))):
        return _invalid("Value at 'inferenceConfig.stopSequences' must have texts of at least 1 character")
    tier = as_dict(request.body.get("serviceTier"))
    if tier and tier.get("type") not in _TIERS:
        return _invalid(f"Value at 'serviceTier.type' must be one of {', '.join(_TIERS)}")
    metadata = as_dict(request.body.get("requestMetadata"))
    if len(metadata) > 16 or not all(
        isinstance(text, str) and _METADATA.fullmatch(text) for pair in metadata.items() for text in pair
    ):
        return _invalid("Value at 'requestMetadata' failed to satisfy a constraint")
    return None


def _tools(request: SimulatedRequest) -> ErrorSpec | None:
    config = as_dict(request.body.get("toolConfig"))
    tools = [as_dict(tool) for tool in as_list(config.get("tools"))]
    if "toolConfig" in request.body and not tools:
        return _malformed("toolConfig.tools has at least one tool")
    for index, tool in enumerate(tools):
        spec = as_dict(tool.get("toolSpec"))
        if len(tool) != 1 or (spec and not _NAME.fullmatch(as_text(spec.get("name")))):
            return _malformed(f"toolConfig.tools.{index} is invalid")
        if spec and as_dict(as_dict(spec.get("inputSchema")).get("json")).get("type") != "object":
            return _invalid(f"The value at toolConfig.tools.{index}.toolSpec.inputSchema.json.type must be object.")
        if spec.get("description") == "":
            return _malformed(f"toolConfig.tools.{index}.toolSpec.description has at least 1 character")
    choice = as_dict(config.get("toolChoice"))
    if "toolChoice" in config and (len(choice) != 1 or not choice.keys() <= {"auto", "any", "tool"}):
        return _malformed("toolConfig.toolChoice is invalid")
    fields = as_dict(request.body.get("additionalModelRequestFields"))
    if choice and "type" in as_dict(fields.get("tool_choice")):
        return _invalid("tool_choice is given twice")
    has_calls = any("toolUse" in block or "toolResult" in block for _, _, block in _all_blocks(request))
    if has_calls and not tools:
        return _invalid("The toolConfig field must be defined when using toolUse and toolResult content blocks.")
    return None


def _thinking(request: SimulatedRequest) -> ErrorSpec | None:
    fields = as_dict(request.body.get("additionalModelRequestFields"))
    thinking = as_dict(fields.get("thinking"))
    budget: Any = thinking.get("budget_tokens")
    limit: Any = as_dict(request.body.get("inferenceConfig")).get("maxTokens")
    if thinking.get("type") == "enabled" and not (is_integer(budget) and budget >= 1024):
        return _invalid("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
    if is_integer(budget) and is_integer(limit) and limit <= budget:
        return _invalid("`max_tokens` must be greater than `thinking.budget_tokens`")
    return None


def _output(request: SimulatedRequest) -> ErrorSpec | None:
    form = as_dict(as_dict(request.body.get("outputConfig")).get("textFormat"))
    if not form:
        return None
    schema = as_dict(as_dict(form.get("structure")).get("jsonSchema")).get("schema")
    try:
        parsed: Any = json.loads(schema) if isinstance(schema, str) else None
    except ValueError:
        parsed = None
    if form.get("type") != "json_schema" or not isinstance(parsed, dict):
        return _invalid("outputConfig.textFormat.structure.jsonSchema.schema must be the text of a JSON schema")
    problem = CLAUDE_SCHEMA.problem(parsed)
    if problem is not None:
        return _invalid(f"output_config.format.schema: {problem.text}")
    return None


# --- messages ---------------------------------------------------------------------------------------------------------


def _all_blocks(request: SimulatedRequest) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Place, role and block of all content."""
    for index, turn in enumerate(map(as_dict, as_list(request.body.get("messages")))):
        for at, block in enumerate(as_list(turn.get("content"))):
            yield f"messages.{index}.content.{at}", as_text(turn.get("role")), as_dict(block)


def _messages(request: SimulatedRequest) -> ErrorSpec | None:
    turns = [as_dict(turn) for turn in as_list(request.body.get("messages"))]
    if not turns:
        return _invalid("A conversation must start with a user message. Try again with a conversation that does.")
    for index, turn in enumerate(turns):
        if turn.get("role") not in ("user", "assistant") or turn.keys() - {"role", "content"}:
            return _malformed(f"messages.{index} is invalid")
        if not as_list(turn.get("content")):
            return _invalid(f"The content field in the Message object at messages.{index} is empty.")
    return next((error for found in _all_blocks(request) if (error := _block(*found)) is not None), None)


def _block(at: str, role: str, block: dict[str, Any]) -> ErrorSpec | None:
    if len(block) != 1 or not block.keys() <= _BLOCKS:
        return _malformed(f"{at} is not one of the known content blocks")
    ((kind, value),) = block.items()
    fields = as_dict(value)
    if kind == "text" and not as_text(value).strip():
        return _invalid(f"The text field in the ContentBlock object at {at} is blank. Add text to the text field.")
    if kind == "image" and (role != "user" or fields.get("format") not in _IMAGES or not fields.get("source")):
        return _malformed(f"{at}.image is invalid")
    if kind == "document" and not _DOCUMENT.fullmatch(as_text(fields.get("name"))):
        return _invalid("The document file name can only contain alphanumeric characters, whitespace and ()[]-")
    if kind in ("toolUse", "toolResult") and not _CALL_ID.fullmatch(as_text(fields.get("toolUseId"))):
        return _malformed(f"{at}.{kind}.toolUseId failed to satisfy a constraint")
    if kind == "toolUse" and not isinstance(fields.get("input"), dict):
        return _invalid(f"The format of the value at {at}.toolUse.input is invalid. Provide a json object.")
    if kind == "toolResult" and not isinstance(fields.get("content"), list):
        return _malformed(f"{at}.toolResult.content is missing")
    return _reasoning(at, fields) if kind == "reasoningContent" else None


def _reasoning(at: str, content: Mapping[str, Any]) -> ErrorSpec | None:
    text = as_dict(content.get("reasoningText"))
    if text.get("signature") is not None and text["signature"] != signature(as_text(text.get("text"))):
        return _invalid(f"{at}: Invalid `signature` in `thinking` block")
    return None


def _cache_points(request: SimulatedRequest) -> ErrorSpec | None:
    """Checks that each cache point stands behind a block that may end a cache."""
    for index, turn in enumerate(map(as_dict, request.body["messages"])):
        before: dict[str, Any] = {}
        for at, block in enumerate(map(as_dict, turn["content"])):
            if "cachePoint" in block and (not before or not _NO_POINT_BEHIND.isdisjoint(before)):
                return _invalid(f"The cachePoint at messages.{index}.content.{at} must follow other content.")
            before = block
    return None


def _names(request: SimulatedRequest) -> ErrorSpec | None:
    """Checks that no two documents have one name."""
    names = [as_dict(block["document"]).get("name") for _, _, block in _all_blocks(request) if "document" in block]
    return None if len(names) == len(set(names)) else _invalid("The names of documents must be unique")


def _order(request: SimulatedRequest) -> ErrorSpec | None:
    """Checks that the user begins, that roles alternate, and that results follow their calls."""
    open_calls: set[str] = set()
    before = "assistant"
    for index, turn in enumerate(map(as_dict, request.body["messages"])):
        if turn["role"] == before:
            start = "A conversation must start with a user message." if index == 0 else "Roles must alternate."
            return _invalid(f"{start} (messages.{index})")
        before = turn["role"]
        blocks = [as_dict(block) for block in turn["content"]]
        given = {as_text(as_dict(block["toolResult"]).get("toolUseId")) for block in blocks if "toolResult" in block}
        if turn["role"] == "user" and given != open_calls:
            return _invalid(
                f"Expected toolResult blocks at messages.{index}.content for the following Ids: "
                f"{', '.join(sorted(open_calls))}"
            )
        if turn["role"] == "user":
            open_calls = set()
            continue
        uses = [as_dict(block["toolUse"]) for block in blocks if "toolUse" in block]
        open_calls = {as_text(use.get("toolUseId")) for use in uses if use.get("type") != "server_tool_use"}
    return _invalid("The conversation ends with calls that have no results") if open_calls else None


_CHECKS: tuple[Callable[[SimulatedRequest], ErrorSpec | None], ...] = (
    _members,
    _values,
    _messages,
    _cache_points,
    _names,
    _tools,
    _order,
    _thinking,
    _output,
)
