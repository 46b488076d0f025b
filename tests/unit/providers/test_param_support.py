"""Parameter support applied to requests: refusals, ranges, and values that change nothing."""

from __future__ import annotations

from typing import Any

import pytest

from anycompletion.dialects.base import EncodingReport
from anycompletion.errors import InvalidRequestError, UnsupportedParameterError
from anycompletion.params import NO_OP_VALUES, ParamSupport, ParamTable, unsupported
from anycompletion.providers import (
    PROVIDERS,
    apply_param_support,
)
from anycompletion.records import ChatRequest, FunctionDefinition, FunctionTool, UserMessage

TABLE: ParamTable = {
    "temperature": ParamSupport("native", minimum=0, maximum=1),
    "n": ParamSupport("native", minimum=1, maximum=4),
    "stop": ParamSupport("native", max_items=2),
    "reasoning_effort": ParamSupport("mapped", values=("low", "high"), note="thinking"),
    "max_tokens": ParamSupport("native", minimum=1),
    "seed": unsupported("there are no seeds"),
    "tools": ParamSupport("native", max_items=1),
    **{name: unsupported() for name in NO_OP_VALUES if name not in ("n", "tools")},
}

REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"temperature": 1.5}, "temperature", "the provider takes at most 1"),
    ({"temperature": -0.1}, "temperature", "the provider takes at least 0"),
    ({"temperature": 10**400}, "temperature", "the provider takes at most 1"),
    ({"n": 5}, "n", "the provider takes at most 4"),
    ({"stop": ["a", "b", "c"]}, "stop", "the provider takes at most 2 items"),
    ({"reasoning_effort": "medium"}, "reasoning_effort", "the provider takes one of low, high (thinking)"),
    ({"max_tokens": 0}, "max_tokens", "the provider takes at least 1"),
    ({"seed": 1}, "seed", "there are no seeds"),
    ({"seed": 0}, "seed", "there are no seeds"),
    ({"tools": [{}, {}]}, "tools", "the provider takes at most 1 items"),
    ({"logprobs": True}, "logprobs", "the provider has no such parameter"),
    ({"parallel_tool_calls": False}, "parallel_tool_calls", "the provider has no such parameter"),
    ({"presence_penalty": 0.1}, "presence_penalty", "the provider has no such parameter"),
    ({"logit_bias": {"5": 0}}, "logit_bias", "the provider has no such parameter"),
    ({"response_format": {"type": "json_object"}}, "response_format", "the provider has no such parameter"),
    ({"tool_choice": "none"}, "tool_choice", "the provider has no such parameter"),
]


def apply(
    params: dict[str, Any], policy: Any = "raise", *, table: ParamTable = TABLE, stream: bool = False
) -> tuple[ChatRequest, list[str]]:
    report = EncodingReport(policy)
    request = ChatRequest("m", [UserMessage("x")], **params)
    return apply_param_support(request, table, report, stream=stream), report.warnings


@pytest.mark.parametrize(("params", "param", "why"), REFUSED)
def test_unsupported_values_are_refused(params: dict[str, Any], param: str, why: str):
    """An unsupported parameter would be sent and ignored, or be dropped against the caller's policy."""
    with pytest.raises(UnsupportedParameterError) as caught:
        apply(params)
    assert caught.value.param == param
    assert str(caught.value) == f"{param}: {why}"
    if param == "tools":  # without them the model would be asked something else
        for policy in ("warn", "drop"):
            with pytest.raises(UnsupportedParameterError):
                apply(params, policy)
        return
    request, warnings = apply(params, "warn")
    assert getattr(request, param) is None
    assert warnings == [f"{param} dropped: {why}"]
    request, warnings = apply(params, "drop")
    assert getattr(request, param) is None
    assert warnings == []


@pytest.mark.parametrize(("model", "name"), [("anthropic", "Anthropic"), ("openai", "OpenAI"), ("azure", "azure")])
def test_refusals_name_the_provider_in_one_form(model: str, name: str):
    """Of one provider, a refused value and a refused parameter would name it in two ways."""
    with pytest.raises(UnsupportedParameterError) as caught:
        apply_param_support(
            ChatRequest("m", "x", temperature=9), PROVIDERS[model].table, EncodingReport("raise"), provider=model
        )
    assert str(caught.value).startswith(f"temperature: {name} takes at most ")


NO_OPS = [(name, value) for name, values in NO_OP_VALUES.items() for value in values if name not in ("n", "tools")]


@pytest.mark.parametrize(("name", "value"), [*NO_OPS, ("presence_penalty", 0.0), ("frequency_penalty", -0.0)])
@pytest.mark.parametrize("policy", ["raise", "warn", "drop"])
def test_values_that_change_nothing_are_accepted(name: str, value: Any, policy: str):
    """Code written for OpenAI with explicit defaults would be refused by other providers."""
    request, warnings = apply({name: value}, policy)
    assert getattr(request, name) is None
    assert warnings == []


SUPPORTED: list[dict[str, Any]] = [
    {"temperature": 0},
    {"temperature": 1},
    {"n": 1},
    {"n": 4},
    {"stop": "a"},
    {"stop": "a long text is one item"},
    {"stop": ["a", "b"]},
    {"reasoning_effort": "low"},
    {"max_tokens": 1},
    {"user": "not in the table, so it passes"},
    {"metadata": None},
    {},
]


@pytest.mark.parametrize("params", SUPPORTED)
def test_supported_values_pass(params: dict[str, Any]):
    """A supported value would be dropped."""
    request = ChatRequest("m", [UserMessage("x")], **params)
    assert apply_param_support(request, TABLE, EncodingReport("raise")) is request


def test_the_callers_request_is_not_changed():
    """A request for two providers would lose its parameters at the first."""
    request = ChatRequest("m", [UserMessage("x")], seed=1, temperature=0.5, extra_body={"a": 1}, custom_id="1")
    out = apply_param_support(request, TABLE, EncodingReport("drop"))
    assert (request.seed, out.seed) == (1, None)
    assert (out.temperature, out.extra_body, out.custom_id, out.messages) == (0.5, {"a": 1}, "1", request.messages)


OPENAI_RANGES: list[tuple[str, list[Any], list[Any]]] = [
    ("temperature", [0, 1, 2, 0.5], [-0.1, 2.1]),
    ("top_p", [0, 1], [-0.1, 1.1]),
    ("n", [1, 128], [0, 129]),
    ("stop", ["x", ["a"] * 4], [["a"] * 5]),
    ("presence_penalty", [-2, 0, 2], [-2.1, 2.1]),
    ("frequency_penalty", [-2, 0, 2], [-2.1, 2.1]),
    ("max_tokens", [1, 10**9], [0]),
    ("max_completion_tokens", [1], [0]),
    ("top_logprobs", [0, 20], [21]),
    ("thinking", [], [{"type": "enabled"}]),
]


@pytest.mark.parametrize(("name", "good", "bad"), OPENAI_RANGES)
def test_openais_ranges(name: str, good: list[Any], bad: list[Any]):
    """A value that OpenAI refuses would be sent, or one that it accepts be refused."""
    table = PROVIDERS["openai"].table
    for value in good:
        request = ChatRequest("m", "x", **{name: value})
        assert apply_param_support(request, table, EncodingReport("raise")) is request
    for value in bad:
        with pytest.raises(UnsupportedParameterError) as caught:
            apply_param_support(ChatRequest("m", "x", **{name: value}), table, EncodingReport("raise"))
        assert caught.value.param == name


# --- forms that only some providers accept ---

OWN_FORMS: ParamTable = {name: ParamSupport("native", own_forms=True) for name in ("response_format", "logprobs")}

FORMS: list[tuple[dict[str, Any], str]] = [
    ({"response_format": {"type": "json_schema", "schema": {"type": "object"}}}, "response_format.json_schema"),
    ({"response_format": {"type": "json_schema", "json_schema": {}}}, "response_format.json_schema.schema"),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"type": "object"}}},
        "response_format.json_schema.schema",
    ),
    ({"logprobs": 5}, "logprobs"),
]


@pytest.mark.parametrize(("params", "param"), FORMS)
def test_a_providers_own_form_is_refused_elsewhere(params: dict[str, Any], param: str):
    """A provider would receive another provider's form of a parameter and refuse it, or ignore it."""
    assert apply(params, table=OWN_FORMS)[0].given() == params
    with pytest.raises(InvalidRequestError) as caught:
        apply(params, table={})
    assert caught.value.param == param


# --- parameters without effect ---

TOOLS = [FunctionTool(FunctionDefinition("f"))]

UNSENT: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"tools": []}, {}),
    ({"functions": []}, {}),
    ({"tools": [], "tool_choice": "auto", "parallel_tool_calls": True}, {}),
    ({"tools": [], "tool_choice": "none", "parallel_tool_calls": False}, {}),
    ({"functions": [], "function_call": "none"}, {}),
    ({"tool_choice": "auto"}, {}),
    ({"tools": [], "tool_choice": "required"}, {"tool_choice": "required"}),
    ({"parallel_tool_calls": False}, {"parallel_tool_calls": False}),
    ({"tools": TOOLS, "tool_choice": "none"}, {"tools": TOOLS, "tool_choice": "none"}),
]
"""Parameters → the ones that are sent."""


@pytest.mark.parametrize(("params", "sent"), UNSENT)
def test_an_empty_list_of_tools_is_not_sent(params: dict[str, Any], sent: dict[str, Any]):
    """A provider would refuse the request for a list that asks for nothing, or a choice among no tools be lost."""
    assert apply(params, table={}) == (ChatRequest("m", [UserMessage("x")], **sent), [])


def test_stream_options_are_for_streams():
    """A provider would refuse a request that is no stream for the options of streams."""
    params = {"stream_options": {"include_usage": True}}
    assert apply(params, table={}, stream=True) == (ChatRequest("m", [UserMessage("x")], **params), [])
    assert apply(params, table={}) == (
        ChatRequest("m", [UserMessage("x")]),
        ["stream_options left out: the call is not a stream"],
    )
