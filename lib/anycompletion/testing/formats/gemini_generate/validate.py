"""Validates requests for content as Gemini does, with Google's error messages; never makes a reply."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..json_access import as_dict, as_list, as_text, is_integer, is_number
from ..schema_checks import GEMINI_SCHEMA
from ..wire_format import UNKNOWN_MODEL, ErrorSpec, SimulatedRequest, first_error

_PATH = re.compile(r"/v1(?:beta|alpha)?/models/([^/:]+):(generateContent|streamGenerateContent)")

_FIELDS = frozenset(
    (
        *("contents", "systemInstruction", "tools", "toolConfig", "safetySettings", "cachedContent"),
        *("generationConfig", "serviceTier", "continuationToken", "store"),
    )
)
_CONFIG = frozenset(
    (
        *("temperature", "topP", "topK", "candidateCount", "maxOutputTokens", "stopSequences", "seed"),
        *("presencePenalty", "frequencyPenalty", "responseLogprobs", "logprobs", "responseMimeType", "responseSchema"),
        *("responseJsonSchema", "responseFormat", "responseModalities", "mediaResolution", "speechConfig"),
        *("imageConfig", "thinkingConfig"),
    )
)
_TURN = frozenset(("role", "parts"))
_PART = frozenset(
    (
        *("text", "inlineData", "fileData", "functionCall", "functionResponse", "executableCode"),
        *("codeExecutionResult", "toolCall", "toolResponse"),
    )
)
"""Fields of a part with its content, one of which it has."""
_PART_DETAILS = frozenset(("thought", "thoughtSignature", "videoMetadata", "mediaResolution"))
_FUNCTION = frozenset(("name", "description", "parameters", "parametersJsonSchema", "response", "behavior"))
_MODES = ("MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED")
_TIERS = ("standard", "flex", "priority")

_RANGES: Mapping[str, tuple[float, float]] = {
    "temperature": (0, 2),
    "topP": (0, 1),
    "candidateCount": (1, 8),
    "maxOutputTokens": (1, 65_537),
    "seed": (-(2**31), 2**31 - 1),
    "presencePenalty": (-2, 2),
    "frequencyPenalty": (-2, 2),
    "logprobs": (0, 20),
}
_INTEGERS = ("candidateCount", "maxOutputTokens", "seed", "logprobs")
_MAX_STOPS = 5
_TOOL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")


def validate(request: SimulatedRequest, api_key: str) -> ErrorSpec | None:
    """The error that rejects the request, or None if it is valid."""
    if _PATH.fullmatch(request.path) is None or request.method != "POST":
        return ErrorSpec(404, "NOT_FOUND", f"The requested URL {request.path} was not found on this server.")
    return _key(request, api_key) or first_error(request, _CHECKS)


def model_of(path: str) -> str:
    """The model in a path; "" for a path without one."""
    found = _PATH.fullmatch(path)
    return "" if found is None else found[1]


def parts_of(content: Any) -> list[dict[str, Any]]:
    """The parts of a content."""
    return [as_dict(part) for part in as_list(as_dict(content).get("parts"))]


def _invalid(message: str) -> ErrorSpec:
    return ErrorSpec(400, "INVALID_ARGUMENT", message)


def _unknown(name: str, at: str) -> ErrorSpec:
    where = f" at '{at}'" if at else ""
    return _invalid(f'Invalid JSON payload received. Unknown name "{name}"{where}: Cannot find field.')


def _key(request: SimulatedRequest, api_key: str) -> ErrorSpec | None:
    key = request.headers.get("x-goog-api-key")
    if key is None:
        text = "Method doesn't allow unregistered callers (callers without established identity). (simulated)"
        return ErrorSpec(403, "PERMISSION_DENIED", text)
    if key == api_key:
        return None
    text = "API key not valid. Please pass a valid API key."
    return ErrorSpec(400, "INVALID_ARGUMENT", text, "API_KEY_INVALID")


def _members(request: SimulatedRequest) -> ErrorSpec | None:
    body = as_dict(request.body)
    if not body:
        return _invalid("Invalid JSON payload received. (simulated)")
    model = model_of(request.path)
    if model == UNKNOWN_MODEL:
        text = f"models/{model} is not found for API version v1beta, or is not supported for generateContent."
        return ErrorSpec(404, "NOT_FOUND", f"{text} Call ListModels to see the list of available models.")
    unknown = next((name for name in body if name not in _FIELDS), None)
    if unknown is not None:
        return _unknown(unknown, "")
    if body.get("serviceTier", "standard") not in _TIERS:
        return _invalid("Invalid value at 'service_tier'")
    return None


def _values(request: SimulatedRequest) -> ErrorSpec | None:
    config = as_dict(request.body.get("generationConfig"))
    unknown = next((name for name in config if name not in _CONFIG), None)
    if unknown is not None:
        return _unknown(unknown, "generation_config")
    for name, (lowest, highest) in _RANGES.items():
        value = config.get(name, highest)
        if not (is_integer(value) if name in _INTEGERS else is_number(value)):
            return _invalid(f"Invalid value at 'generation_config.{name}'")
        if not lowest <= value <= highest:
            return _invalid(f"Unable to submit request because {name} must be between {lowest} and {highest}.")
    stops = config.get("stopSequences", [])
    if not isinstance(stops, list) or len(as_list(stops)) > _MAX_STOPS:
        return _invalid(f"Unable to submit request because the number of stop sequences must be at most {_MAX_STOPS}.")
    if config.get("logprobs") and not config.get("responseLogprobs"):
        return _invalid("Logprobs can only be set if response_logprobs is set.")
    if ("responseJsonSchema" in config or "responseSchema" in config) and "responseMimeType" not in config:
        return _invalid("A response schema needs the response mime type application/json. (simulated)")
    problem = GEMINI_SCHEMA.problem(config["responseJsonSchema"]) if "responseJsonSchema" in config else None
    if problem is not None:
        place = ".".join(("generation_config.response_json_schema", *problem.path))
        return _invalid(f"* GenerateContentRequest.{place}: {problem.text}\n")
    thinking = as_dict(config.get("thinkingConfig"))
    if "thinkingBudget" in thinking and "thinkingLevel" in thinking:
        return _invalid("You can only set only one of thinking budget and thinking level.")
    return None


# --- contents ---------------------------------------------------------------------------------------------------------


def _contents(request: SimulatedRequest) -> ErrorSpec | None:
    contents = request.body.get("contents")
    if not isinstance(contents, list) or not contents:
        return _invalid("* GenerateContentRequest.contents: contents is not specified\n")
    for at, content in enumerate(as_dict(each) for each in as_list(request.body["contents"])):
        where = f"contents[{at}]"
        unknown = next((name for name in content if name not in _TURN), None)
        if unknown is not None:
            return _unknown(unknown, where)
        if content.get("role", "user") not in ("user", "model"):
            return _invalid("Please use a valid role: user, model.")
        if not parts_of(content):
            return _invalid(f"* GenerateContentRequest.{where}.parts: contents.parts must not be empty.\n")
        error = next(
            filter(None, (_part(part, f"{where}.parts[{i}]") for i, part in enumerate(parts_of(content)))), None
        )
        if error is not None:
            return error
    return None


def _part(part: dict[str, Any], at: str) -> ErrorSpec | None:
    unknown = next((name for name in part if name not in _PART | _PART_DETAILS), None)
    if unknown is not None:
        return _unknown(unknown, at)
    kinds = _PART & part.keys()
    if len(kinds) != 1:
        return _invalid(
            f"* GenerateContentRequest.{at}.data: required oneof field 'data' must have one initialized field\n"
        )
    if "text" in part and not isinstance(part["text"], str):
        return _invalid(f"Invalid value at '{at}.text'")
    data = as_dict(part.get("inlineData"))
    if "inlineData" in part and not (as_text(data.get("mimeType")) and _is_base64(data.get("data"))):
        return _invalid(f"Invalid value at '{at}.inline_data'")
    if "fileData" in part and not as_text(as_dict(part["fileData"]).get("fileUri")):
        return _invalid(f"* GenerateContentRequest.{at}.file_data.file_uri: must not be empty\n")
    call = as_dict(part.get("functionCall") or part.get("functionResponse"))
    if call and not as_text(call.get("name")):
        return _invalid(f"* GenerateContentRequest.{at}.function_call.name: Name cannot be empty.\n")
    if "functionResponse" in part and not isinstance(call.get("response"), dict):
        return _invalid(f"Invalid value at '{at}.function_response.response'")
    return None


def _is_base64(data: Any) -> bool:
    try:
        return bool(base64.b64decode(as_text(data), altchars=b"-_", validate=False))
    except binascii.Error:
        return False


def _order(request: SimulatedRequest) -> ErrorSpec | None:
    """Checks that the calls of each turn are answered together, and signed where the model signs its calls."""
    signs = re.match(r"gemini-[3-9]", model_of(request.path)) is not None
    open_calls = 0
    for content in as_list(request.body["contents"]):
        parts = parts_of(content)
        results = sum("functionResponse" in part for part in parts)
        calls = [part for part in parts if "functionCall" in part]
        if results != open_calls and (results or calls):
            text = "Please ensure that the number of function response parts is equal to the number of function call "
            return _invalid(f"{text}parts of the function call turn.")
        if signs and calls and "thoughtSignature" not in calls[0]:
            return _invalid("Function call is missing a thought_signature in functionCall parts. (simulated)")
        open_calls = len(calls)
    return None


# --- tools ------------------------------------------------------------------------------------------------------------


def declarations(body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The functions that a request declares."""
    for tool in as_list(body.get("tools")):
        yield from (as_dict(each) for each in as_list(as_dict(tool).get("functionDeclarations")))


def _tools(request: SimulatedRequest) -> ErrorSpec | None:
    body = as_dict(request.body)
    functions = list(declarations(body))
    for at, function in enumerate(functions):
        where = f"tools[0].function_declarations[{at}]"
        unknown = next((name for name in function if name not in _FUNCTION), None)
        if unknown is not None:
            return _unknown(unknown, where)
        if not _TOOL_NAME.fullmatch(as_text(function.get("name"))):
            return _invalid(f"* GenerateContentRequest.{where}.name: [FIELD_INVALID] Invalid function name.\n")
        if "parameters" in function and "parametersJsonSchema" in function:
            return _invalid(f"{where}: parameters and parameters_json_schema are mutually exclusive. (simulated)")
    config = as_dict(as_dict(body.get("toolConfig")).get("functionCallingConfig"))
    if not config:
        return None
    if not functions:
        return _invalid("Function calling config is set without function_declarations.")
    if config.get("mode", "AUTO") not in _MODES:
        return _invalid("Invalid value at 'tool_config.function_calling_config.mode'")
    allowed = set(map(as_text, as_list(config.get("allowedFunctionNames"))))
    if allowed - {function["name"] for function in functions} or (allowed and config.get("mode") != "ANY"):
        return _invalid("allowed_function_names must be names of declared functions, with the mode ANY. (simulated)")
    return None


_CHECKS: tuple[Callable[[SimulatedRequest], ErrorSpec | None], ...] = (_members, _values, _contents, _order, _tools)
