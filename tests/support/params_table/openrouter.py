"""OpenRouter's column: OpenAI's format without functions, one choice per request, fewer checks in the client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from support.legacy_params_calls import NOW_DESCRIBED
from support.params_calls import (
    ADD_PARAMETERS,
    ADD_TOOL,
    NAMED_ADD,
    NOW_TOOL,
    SUM,
    tool_calls,
)
from support.params_notation import (
    GIVEN,
    REFUSED,
    UNSENT,
    USER,
    Branches,
    Expectation,
    ProviderColumn,
    Unsupported,
)
from support.params_table import openai


def body(model: str, stream: bool) -> dict[str, Any]:
    """The body for one question."""
    made: dict[str, Any] = {"model": model, "messages": [USER]}
    return made | {"stream": True} if stream else made


EXPECTATIONS: Mapping[str, Expectation] = {
    **openai.EXPECTATIONS,
    # sampling
    "temperature=2.5": GIVEN,
    "temperature=5.5": GIVEN,
    # length and stop sequences
    "n=3": Branches(3),
    # tools
    "functions=[]": UNSENT,
    "functions: add": {"tools": [ADD_TOOL]},
    "functions: now": {"tools": [NOW_TOOL]},
    "functions: add, function_call=auto": {"tools": [ADD_TOOL], "tool_choice": "auto"},
    "functions: add, function_call=none": {"tools": [ADD_TOOL], "tool_choice": "none"},
    "functions: add, function_call: add": {"tools": [ADD_TOOL], "tool_choice": NAMED_ADD},
    "functions: add and now, function_call: now": {
        "tools": [ADD_TOOL, NOW_TOOL],
        "tool_choice": {"type": "function", "function": {"name": "now"}},
    },
    "functions: now, tools: add": {"tools": [ADD_TOOL, NOW_TOOL]},
    "function_call='none'": {"tool_choice": "none"},
    # form of the reply
    "top_logprobs=21": GIVEN,
    "modalities=['text', 'audio'], audio={'voice': 'alloy', 'format': 'wav'}": Unsupported(
        "audio", {"modalities": ["text", "audio"]}
    ),
    "audio={'voice': 'alloy', 'format': 'wav'}": REFUSED,
    # accounts, caches and others
    "store=False": UNSENT,
    "store=True": REFUSED,
    "no-op values": {
        "n": 1,
        "presence_penalty": 0,
        "frequency_penalty": 0,
        "logit_bias": {},
        "logprobs": False,
        "response_format": {"type": "text"},
        "parallel_tool_calls": True,
    },
    # messages
    "messages: function result": tool_calls("call_1_add", content=None),
    "messages: function result without a call": {
        "messages": [SUM, {"role": "tool", "tool_call_id": "call_1_add", "content": "2"}]
    },
}

LEGACY_EXPECTATIONS: Mapping[str, Expectation] = {
    **openai.LEGACY_EXPECTATIONS,
    "messages: role function": tool_calls("call_1_add", content=None),
    "messages: function_call": {
        "messages": [
            SUM,
            {
                "role": "assistant",
                "content": "Let me add.",
                "tool_calls": [{"id": "call_1_add", "type": "function", "function": {"name": "add", "arguments": ""}}],
            },
            {"role": "tool", "tool_call_id": "call_1_add", "content": "2"},
        ]
    },
    "functions: name": {"tools": [NOW_TOOL]},
    "functions: description": {"tools": [{"type": "function", "function": NOW_DESCRIBED}]},
    "functions: parameters": {
        "tools": [{"type": "function", "function": {"name": "add", "parameters": ADD_PARAMETERS}}]
    },
    "function_call": {"tools": [ADD_TOOL], "tool_choice": NAMED_ADD},
    "n": Branches(2),
    "organization": REFUSED,
}

COLUMN = ProviderColumn(
    model="openai/gpt-4o-mini",
    path="/openrouter/api/v1/chat/completions",
    key_header=("authorization", "Bearer the-key"),
    key_variables=("OPENROUTER_API_KEY", "OR_API_KEY"),
    url_variables=("OPENROUTER_API_BASE",),
    body=body,
    expectations=EXPECTATIONS,
    legacy_expectations=LEGACY_EXPECTATIONS,
    denied=frozenset(
        (
            "temperature=2.5",
            "temperature=5.5",
            "function_call='none'",
            "response_format={'type': 'json_object'}",
            "response_format: grammar",
            "tools: one of two strict",
            "tools: strict",
            "tools: web search",
            "tool_choice='none'",
            "top_logprobs=21",
            "reasoning_effort='ultra'",
            "messages: function result without a call",
        )
    ),
)
