"""Tools and the choice of one as Gemini's `tools` and `toolConfig`. Drops nothing silently.

https://ai.google.dev/gemini-api/docs/function-calling, https://ai.google.dev/api/caching#Tool
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

from ...records import ChatRequest, FunctionDefinition, FunctionTool, JsonObject, Tool
from ..base import EncodingReport
from ..shared import without_nulls
from .model_families import GeminiFamily

_MODES: Mapping[str, str] = {"none": "NONE", "auto": "AUTO", "required": "ANY"}
"""OpenAI's tool choice → Gemini's mode."""

_NATIVE_TOOLS = (
    *("googleSearch", "urlContext", "codeExecution", "fileSearch", "googleMaps", "enterpriseWebSearch"),
    *("computerUse", "googleSearchRetrieval"),
)
"""Types of tools that Google runs; others go through `extra_body`, whose tools are appended."""


_DECLARATIONS = frozenset(("functionDeclarations", "function_declarations"))
"""Field of a tool that has functions, in both spellings."""


class _ToolChoice(NamedTuple):
    """The choice of a tool in Gemini's terms."""

    mode: str = "AUTO"
    names: tuple[str, ...] = ()
    """The only functions that the model may call; with the mode AUTO, only these are sent."""


_TOOL_PARAMS = frozenset(("tools", "functions", "tool_choice", "function_call", "web_search_options"))


def encode_tools(
    request: ChatRequest, extra_tools: Sequence[Any], family: GeminiFamily, vertex: bool, report: EncodingReport
) -> JsonObject:
    """The fields `tools` and `toolConfig`, without those that are not needed.

    Args:
        request: the request.
        extra_tools: the tools of the caller's `extra_body`, which are appended.
        family: the model's family.
        vertex: whether the server is Vertex AI.
        report: reports what Gemini cannot express.
    """
    if not extra_tools and _TOOL_PARAMS.isdisjoint(request.given()):
        return {}
    declared, native = _declarations(request, family, report)
    native += list(extra_tools)
    choice = _requested_choice(request, report)
    if choice.mode == "AUTO" and choice.names:
        declared = [function for function in declared if function["name"] in choice.names]
        choice = _ToolChoice()
    tools: list[JsonObject] = [{"functionDeclarations": declared}] if declared else []
    if request.web_search_options is not None:
        native.insert(0, {"googleSearch": {}})
        for name, value in request.web_search_options.items():
            if value is not None:
                report.unsupported(f"web_search_options.{name}", "Gemini's search has no settings")
    tools += native
    fields: JsonObject = {"tools": tools} if tools else {}
    kinds = {name for tool in cast("list[object]", native) for name in _members(tool)}
    has_functions = bool(declared) or not _DECLARATIONS.isdisjoint(kinds)
    config = _config(choice, _is_strict(request, family, report)) if has_functions else {}
    if has_functions and kinds - _DECLARATIONS and family.has_signed_calls and not vertex:
        config["includeServerSideToolInvocations"] = True
    return {**fields, "toolConfig": config} if config else fields


def _members(tool: object) -> Iterable[str]:
    """The names of a native tool's members; none of what is no object."""
    return cast("Mapping[str, Any]", tool) if isinstance(tool, Mapping) else ()


def _config(choice: _ToolChoice, strict: bool) -> JsonObject:
    mode = "VALIDATED" if strict and choice.mode == "AUTO" else choice.mode
    if mode == "AUTO":
        return {}
    calling: JsonObject = {"mode": mode}
    if choice.names:
        calling["allowedFunctionNames"] = list(choice.names)
    return {"functionCallingConfig": calling}


# --- tools ------------------------------------------------------------------------------------------------------------


def _declarations(
    request: ChatRequest, family: GeminiFamily, report: EncodingReport
) -> tuple[list[JsonObject], list[JsonObject]]:
    """The functions, and the tools of Gemini's own."""
    declared: list[JsonObject] = []
    native: list[JsonObject] = []
    for i, tool in enumerate(cast("Sequence[Tool]", request.tools or ())):
        if isinstance(tool, FunctionTool):
            declared.append(_function(tool.function) | without_nulls(tool.extra))
        elif tool.type in _NATIVE_TOOLS:
            settings = without_nulls(tool.extra)
            native.append({tool.type: settings.get(tool.type, settings)})
        else:
            report.unsupported(f"tools[{i}]", f"Gemini knows functions, {', '.join(_NATIVE_TOOLS)}")
    declared += map(_function, cast("Sequence[FunctionDefinition]", request.functions or ()))
    return declared, native


def _function(function: FunctionDefinition) -> JsonObject:
    declared: JsonObject = {"name": function.name}
    if function.description is not None:
        declared["description"] = function.description
    # Each function has one schema, in one of two forms; the caller may have written the other one itself.
    if function.parameters and "parameters" not in function.extra:
        declared["parametersJsonSchema"] = function.parameters
    return declared | without_nulls(function.extra)


def _is_strict(request: ChatRequest, family: GeminiFamily, report: EncodingReport) -> bool:
    """Whether calls must follow their schema, which holds for all functions of a request or for none."""
    places = [
        f"tools[{i}].function.strict"
        for i, tool in enumerate(cast("Sequence[Tool]", request.tools or ()))
        if isinstance(tool, FunctionTool) and tool.function.strict
    ]
    places += [
        f"functions[{i}].strict"
        for i, function in enumerate(cast("Sequence[FunctionDefinition]", request.functions or ()))
        if function.strict
    ]
    if places and family.generation < (2, 5):
        report.unsupported(places[0], "models before Gemini 2.5 do not validate calls")
        return False
    return bool(places)


# --- the choice -------------------------------------------------------------------------------------------------------


def _requested_choice(request: ChatRequest, report: EncodingReport) -> _ToolChoice:
    if request.tool_choice is not None:
        if request.function_call is not None:
            report.warn("function_call left out: tool_choice was given too, and wins")
        return _choice("tool_choice", request.tool_choice, report)
    legacy = request.function_call
    if isinstance(legacy, Mapping):
        return _ToolChoice("ANY", (str(legacy.get("name")),))
    return _ToolChoice() if legacy is None else _choice("function_call", legacy, report)


def _choice(param: str, choice: str | Mapping[str, Any], report: EncodingReport) -> _ToolChoice:
    if isinstance(choice, str):
        return _ToolChoice(_MODES.get(choice, choice.upper()))
    kind = choice.get("type", "function")
    if kind == "function":
        return _ToolChoice("ANY", (str(choice["function"]["name"]),))
    if kind == "allowed_tools":
        allowed = cast("Mapping[str, Any]", choice.get("allowed_tools") or choice)
        names = _names(allowed.get("tools"))
        return _ToolChoice("ANY" if allowed.get("mode") == "required" else "AUTO", names)
    report.unsupported(param, f"Gemini cannot choose {kind}")
    return _ToolChoice()


def _names(tools: object) -> tuple[str, ...]:
    items = cast("Sequence[object]", tools if isinstance(tools, (list, tuple)) else ())
    found = [cast("Mapping[str, Any]", item) for item in items if isinstance(item, Mapping)]
    names = [cast("Mapping[str, Any]", item.get("function") or item).get("name") for item in found]
    return tuple(name for name in names if isinstance(name, str))
