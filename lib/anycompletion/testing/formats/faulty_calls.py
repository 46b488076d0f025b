"""Calls of tools as a fault asks for: several at once, or such as no correct model makes. Knows no format."""

from __future__ import annotations

from typing import assert_never, cast

from ...records import JsonObject
from ..simulator.faults import CallOutcome, Fault
from .json_access import as_dict, as_list, as_text

_UNKNOWN = "no_such_tool"
"""The name of a tool that no request offers."""
_BROKEN = '{"broken'
_UNEXPECTED = '{"unexpected": true}'
"""Arguments that fit no tool, where the format has only objects."""


def with_call_fault(choice: JsonObject, fault: Fault | None, *, objects: bool = False) -> JsonObject:
    """The choice of a reply with calls as `fault` asks for; one without calls is returned unchanged.

    Args:
        choice: in OpenAI's format.
        fault: the fault of the request, of any kind.
        objects: whether the format has the arguments of a call as an object, which cannot be cut.
    """
    message = as_dict(choice.get("message"))
    calls, legacy = as_list(message.get("tool_calls")), as_dict(message.get("function_call"))
    if fault is None or fault.kind != "calls" or not (calls or legacy):
        return choice
    outcome = cast("CallOutcome", fault.outcome)
    end = {"finish_reason": "length"} if outcome == "cut" else {}
    if legacy:
        return {**choice, "message": {**message, "function_call": _function(legacy, outcome, objects=objects)}, **end}
    made = [_call(as_dict(calls[0]), number, outcome, objects=objects) for number in range(fault.calls)]
    return {**choice, "message": {**message, "tool_calls": made}, **end}


def _call(call: JsonObject, number: int, outcome: CallOutcome, *, objects: bool) -> JsonObject:
    """The call number `number` of several that are alike."""
    function = _function(as_dict(call.get("function")), outcome, objects=objects)
    changed, ident = {**call, "function": function}, as_text(call.get("id"))
    if outcome == "no-ids":
        changed.pop("id", None)
    elif outcome == "same-ids":
        # White space, without which a client may take it for the first call, sent again.
        changed["function"] = {**function, "arguments": as_text(function.get("arguments")) + " " * number}
    elif ident:
        changed["id"] = f"{ident[:-2]}{number:02d}"
    return changed


def _function(function: JsonObject, outcome: CallOutcome, *, objects: bool) -> JsonObject:
    match outcome:
        case "unknown-tool":
            return {**function, "name": _UNKNOWN}
        case "broken-arguments":
            return {**function, "arguments": _UNEXPECTED if objects else _BROKEN}
        case "cut":
            return {**function, "arguments": "{}" if objects else _BROKEN}
        case "" | "no-ids" | "same-ids":
            return function
        case _:
            assert_never(outcome)
