"""Tools and the choice between them as Bedrock's `toolConfig`.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolConfiguration.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, assert_never, cast

from ...codecs import json
from ...records import ChatRequest, FunctionDefinition, FunctionTool, JsonObject, Tool
from ..base import EncodingReport
from ..shared import uses_legacy_functions, without_nulls
from .bedrock_models import AMAZON, CLAUDE, BedrockModelFamily
from .converse_parts import cache_point

_NATIVE_TOOLS = ("systemTool", "toolSpec", "cachePoint")
"""Bedrock's own kinds of tools; one of them is passed as ``{"type": "systemTool", "systemTool": {...}}``."""

_TOOL_PARAMS = frozenset(("tools", "functions", "tool_choice", "function_call"))

_CHOOSES_BY_NAME = (CLAUDE, AMAZON, "zai", "moonshot", "moonshotai", "")
"""Vendors whose models can be required to call a certain tool; "" is a model that the id does not show."""

_WITHOUT_STRICT = ("claude-opus-4-7", "claude-opus-4-8", "claude-opus-5", "claude-sonnet-5", "claude-fable-5")
"""Beginnings of the names of models that refuse strict tools."""


def tool_config(
    request: ChatRequest, family: BedrockModelFamily, report: EncodingReport, *, in_history: bool, thinking: bool
) -> JsonObject | None:
    """The `toolConfig` of a request; None for none.

    Args:
        request: the request.
        family: the model's family.
        report: gets what Bedrock cannot express.
        in_history: whether earlier messages have calls, for which Bedrock requires the tools.
        thinking: whether Claude's thinking is switched on, with which no call can be demanded.
    """
    if _TOOL_PARAMS.isdisjoint(request.given()):
        return None
    tools: list[JsonObject] = []
    for index, tool in enumerate(cast("Sequence[Tool]", request.tools or ())):
        tools += _tool(tool, f"tools[{index}]", family, report)
    for index, function in enumerate(cast("Sequence[FunctionDefinition]", request.functions or ())):
        tools += _function(function, {}, f"functions[{index}]", family, report)
    name, choice = _choice(request, report)
    if choice == "none":
        if not in_history:
            return None
        report.unsupported(name, "Bedrock cannot forbid calls, and needs the tools of the earlier ones")
        choice = None
    if not tools and choice in (None, {"auto": {}}):
        return None
    if choice is not None and not _is_possible(choice, family, thinking, name, report):
        choice = None
    return {"tools": tools} if choice is None else {"tools": tools, "toolChoice": choice}


def one_call_fields(
    request: ChatRequest, family: BedrockModelFamily, config: JsonObject | None, report: EncodingReport
) -> JsonObject:
    """The fields of `additionalModelRequestFields` with which Claude makes at most one call."""
    if config is None or not (request.parallel_tool_calls is False or uses_legacy_functions(request)):
        return {}
    if family.vendor == CLAUDE:
        kind = {} if "toolChoice" in config else {"type": "auto"}
        return {"tool_choice": kind | {"disable_parallel_tool_use": True}}
    if request.parallel_tool_calls is False:
        report.unsupported("parallel_tool_calls", "only Claude models on Bedrock can be limited to one call")
    return {}  # the legacy form has the first call; all are in the native blocks


def _tool(tool: Tool, path: str, family: BedrockModelFamily, report: EncodingReport) -> list[JsonObject]:
    if isinstance(tool, FunctionTool):
        return _function(tool.function, tool.extra, path, family, report)
    kind = tool.type or ""
    native = tool.extra.get(kind)
    if kind in _NATIVE_TOOLS and isinstance(native, Mapping):
        return [{kind: json.to_wire(tool)[kind]}]
    report.unsupported(path, f"Bedrock has functions and its own {' and '.join(_NATIVE_TOOLS[:2])} only")
    return []


def _function(
    function: FunctionDefinition, extra: JsonObject, path: str, family: BedrockModelFamily, report: EncodingReport
) -> list[JsonObject]:
    schema = {"type": "object"} | dict(function.parameters or {"properties": {}})
    spec: JsonObject = {"name": function.name}
    if function.description:
        spec["description"] = function.description
    spec["inputSchema"] = {"json": schema}
    if function.strict:
        if family.vendor == CLAUDE and family.name.startswith(_WITHOUT_STRICT):
            place = f"{path}.function.strict" if path.startswith("tools") else f"{path}.strict"
            report.unsupported(place, "this model refuses strict tools on Bedrock")
        else:
            spec["strict"] = True
    others = without_nulls(function.extra) | without_nulls(extra)
    caching = others.pop("cache_control", None)
    tool: JsonObject = {"toolSpec": spec | others}
    return [tool] if caching is None else [tool, cache_point(caching, f"{path}.cache_control")]


# --- the choice -------------------------------------------------------------------------------------------------------

_CHOICES: Mapping[str, JsonObject] = {"auto": {"auto": {}}, "required": {"any": {}}}
"""OpenAI's tool choice → Bedrock's; "none" has none."""


def _choice(request: ChatRequest, report: EncodingReport) -> tuple[str, JsonObject | str | None]:
    """The parameter that chooses, and Bedrock's choice; "none" where no tool may be called."""
    legacy = request.function_call
    if request.tool_choice is not None:
        if legacy is not None:
            report.warn("function_call left out: tool_choice was given too, and wins")
        return "tool_choice", _chosen(request.tool_choice, report)
    match legacy:
        case None:
            return "function_call", None
        case str():
            return "function_call", "none" if legacy == "none" else dict(_CHOICES[legacy])
        case Mapping():
            return "function_call", {"tool": {"name": legacy.get("name")}}
        case _:
            assert_never(legacy)


def _chosen(choice: str | Mapping[str, Any], report: EncodingReport) -> JsonObject | str | None:
    if isinstance(choice, str):
        return "none" if choice == "none" else dict(_CHOICES[choice])
    kind = choice.get("type", "function")
    if kind == "function":
        return {"tool": {"name": choice["function"]["name"]}}
    report.unsupported("tool_choice", f"Bedrock cannot choose {kind}")
    return None


def _is_possible(
    choice: JsonObject | str, family: BedrockModelFamily, thinking: bool, name: str, report: EncodingReport
) -> bool:
    """Whether the model accepts this choice; one that it refuses is reported."""
    if choice == {"auto": {}}:
        return True
    if thinking:
        report.unsupported(name, "a model that thinks cannot be required to call a tool")
        return False
    if "tool" in choice and family.vendor not in _CHOOSES_BY_NAME:
        report.unsupported(name, "this model cannot be required to call a certain tool; pass it alone, and 'required'")
        return False
    return True
