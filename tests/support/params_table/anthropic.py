"""Anthropic's column, written by hand after https://docs.anthropic.com/en/api/messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from support.params_calls import (
    ADAPTIVE_THINKING,
    ADD_PARAMETERS,
    CITY_FORMAT,
    CITY_SCHEMA,
    NO_PARAMETERS,
    PIXEL,
    SIX_STOPS,
    SUM,
    TEXT_PART,
    TEXT_PART_ONLY,
    THINKING_BUDGET,
)
from support.params_notation import (
    GIVEN,
    REFUSED,
    UNSENT,
    USER,
    Branches,
    Expectation,
    Invalid,
    ParamsCall,
    ProviderColumn,
    Unsupported,
    call,
)

ADD_NATIVE = {"name": "add", "description": "Adds.", "input_schema": ADD_PARAMETERS}
NOW_NATIVE = {"name": "now", "input_schema": NO_PARAMETERS}
AUTO_ONE_AT_A_TIME = {"type": "auto", "disable_parallel_tool_use": True}
"""The legacy form holds one call."""
CITY_OUTPUT = {"format": {"type": "json_schema", "schema": CITY_SCHEMA}}


def image_block(source: dict[str, Any]) -> dict[str, Any]:
    """A body's messages with an image block."""
    return {"messages": [{"role": "user", "content": [TEXT_PART, {"type": "image", "source": source}]}]}


def tool_use(call_id: str) -> dict[str, Any]:
    """A body's messages with a call and its result as blocks."""
    return {
        "messages": [
            SUM,
            {"role": "assistant", "content": [{"type": "tool_use", "id": call_id, "name": "add", "input": {"a": 1}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call_id, "content": "2"}]},
        ]
    }


def body(model: str, stream: bool) -> dict[str, Any]:
    """The body for one question; Anthropic requires a limit."""
    made: dict[str, Any] = {"model": model, "messages": [USER], "max_tokens": 4096}
    return made | {"stream": True} if stream else made


EXPECTATIONS: Mapping[str, Expectation] = {
    # sampling
    "temperature=None": UNSENT,
    "temperature=0": GIVEN,
    "temperature=0.7": GIVEN,
    "temperature=1": GIVEN,
    "temperature=1.01": REFUSED,
    "temperature=2": REFUSED,
    "temperature=2.5": REFUSED,
    "temperature=5.5": REFUSED,
    "temperature=-0.1": REFUSED,
    "top_p=None": UNSENT,
    "top_p=0.5": GIVEN,
    "top_p=0.01": GIVEN,
    "top_p=0.99": GIVEN,
    "top_p=0": GIVEN,
    "top_p=1": GIVEN,
    "top_p=1.01": REFUSED,
    "top_p=-0.01": REFUSED,
    "temperature=0.2, top_p=0.9": GIVEN,
    "seed=0": REFUSED,
    "seed=7": REFUSED,
    "seed=-1": REFUSED,
    # penalties and biases
    "presence_penalty=0": UNSENT,
    "presence_penalty=0.0": UNSENT,
    "presence_penalty=0.5": REFUSED,
    "presence_penalty=1": REFUSED,
    "presence_penalty=1.5": REFUSED,
    "presence_penalty=-0.5": REFUSED,
    "presence_penalty=2": REFUSED,
    "presence_penalty=-2": REFUSED,
    "presence_penalty=2.1": REFUSED,
    "presence_penalty=-2.1": REFUSED,
    "frequency_penalty=0": UNSENT,
    "frequency_penalty=0.0": UNSENT,
    "frequency_penalty=0.5": REFUSED,
    "frequency_penalty=1": REFUSED,
    "frequency_penalty=1.5": REFUSED,
    "frequency_penalty=-0.5": REFUSED,
    "frequency_penalty=2": REFUSED,
    "frequency_penalty=-2": REFUSED,
    "frequency_penalty=2.1": REFUSED,
    "frequency_penalty=-2.1": REFUSED,
    "logit_bias={}": UNSENT,
    "logit_bias={'50256': -100}": REFUSED,
    "logit_bias={'50256': 0}": REFUSED,
    "logit_bias={50256: 100}": REFUSED,
    # length and stop sequences
    "n=None": UNSENT,
    "n=1": UNSENT,
    "n=3": Branches(3),
    "max_tokens=5": GIVEN,
    "max_tokens=1": GIVEN,
    # With 0 Anthropic only reads the prompt into its cache.
    "max_tokens=0": GIVEN,
    "max_completion_tokens=5": {"max_tokens": 5},
    "max_completion_tokens=1": {"max_tokens": 1},
    "max_completion_tokens=0": {"max_tokens": 0},
    "max_tokens=9, max_completion_tokens=5": {"max_tokens": 5},
    "stop=None": UNSENT,
    "stop='END'": {"stop_sequences": ["END"]},
    "stop=['a', 'b']": {"stop_sequences": ["a", "b"]},
    "stop=('a', 'b')": {"stop_sequences": ["a", "b"]},
    "stop=['a', 'b', 'c', 'd']": {"stop_sequences": SIX_STOPS[:4]},
    "stop=['a', 'b', 'c', 'd', 'e']": {"stop_sequences": SIX_STOPS[:5]},
    "stop=['a', 'b', 'c', 'd', 'e', 'f']": {"stop_sequences": SIX_STOPS},
    "stop='a,b'": {"stop_sequences": ["a,b"]},
    "stop=['a', 'b,c']": {"stop_sequences": ["a", "b,c"]},
    # Anthropic refuses stop sequences of white space only.
    "stop='\\n\\n'": REFUSED,
    "stop=['a', ' ']": REFUSED,
    # tools
    "functions=[]": UNSENT,
    "functions: add": {"tools": [ADD_NATIVE], "tool_choice": AUTO_ONE_AT_A_TIME},
    "functions: now": {"tools": [NOW_NATIVE], "tool_choice": AUTO_ONE_AT_A_TIME},
    "functions: add, function_call=auto": {"tools": [ADD_NATIVE], "tool_choice": AUTO_ONE_AT_A_TIME},
    "functions: add, function_call=none": {"tools": [ADD_NATIVE], "tool_choice": {"type": "none"}},
    "functions: add, function_call: add": {
        "tools": [ADD_NATIVE],
        "tool_choice": {"type": "tool", "name": "add", "disable_parallel_tool_use": True},
    },
    "functions: add and now, function_call: now": {
        "tools": [ADD_NATIVE, NOW_NATIVE],
        "tool_choice": {"type": "tool", "name": "now", "disable_parallel_tool_use": True},
    },
    "functions: now, tools: add": {"tools": [ADD_NATIVE, NOW_NATIVE]},
    "function_call='auto'": UNSENT,
    "function_call='none'": UNSENT,
    "function_call='required'": REFUSED,
    "tools=[]": UNSENT,
    "tools: add": {"tools": [ADD_NATIVE]},
    "tools: add and now": {"tools": [ADD_NATIVE, NOW_NATIVE]},
    "tools: strict": {
        "tools": [{"name": "add", "description": "Adds.", "input_schema": ADD_PARAMETERS, "strict": True}]
    },
    "tools: not strict": {"tools": [ADD_NATIVE]},
    "tools: one of two strict": {
        "tools": [NOW_NATIVE, {"name": "add", "description": "Adds.", "input_schema": ADD_PARAMETERS, "strict": True}]
    },
    "tools: custom and function": Unsupported("tools[0]", {"tools": [ADD_NATIVE]}),
    "tools: web search": GIVEN,
    "tools: add, tool_choice=auto": {"tools": [ADD_NATIVE], "tool_choice": {"type": "auto"}},
    "tools: add, tool_choice=none": {"tools": [ADD_NATIVE], "tool_choice": {"type": "none"}},
    "tools: add and now, tool_choice=required": {"tools": [ADD_NATIVE, NOW_NATIVE], "tool_choice": {"type": "any"}},
    "tools: add and now, tool_choice: add": {
        "tools": [ADD_NATIVE, NOW_NATIVE],
        "tool_choice": {"type": "tool", "name": "add"},
    },
    "tools: add, tool_choice: allowed_tools": Unsupported("tool_choice", {"tools": [ADD_NATIVE]}),
    "tool_choice='auto'": UNSENT,
    "tool_choice='none'": UNSENT,
    "tool_choice='maybe'": REFUSED,
    "tool_choice='any'": REFUSED,
    "tools: add and now, tool_choice without type": {
        "tools": [ADD_NATIVE, NOW_NATIVE],
        "tool_choice": {"type": "tool", "name": "add"},
    },
    "parallel_tool_calls=True": UNSENT,
    "parallel_tool_calls=False": UNSENT,
    "tools: add, parallel_tool_calls=True": {"tools": [ADD_NATIVE]},
    "tools: add, parallel_tool_calls=False": {"tools": [ADD_NATIVE], "tool_choice": AUTO_ONE_AT_A_TIME},
    "tools: add, tool_choice=required, parallel_tool_calls=False": {
        "tools": [ADD_NATIVE],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
    },
    "tools: add, tool_choice=none, parallel_tool_calls=False": {"tools": [ADD_NATIVE], "tool_choice": {"type": "none"}},
    # form of the reply
    "response_format={'type': 'text'}": UNSENT,
    "response_format={'type': 'json_object'}": REFUSED,
    "response_format: json_schema": {"output_config": CITY_OUTPUT},
    "response_format: json_schema, tools: add": {"output_config": CITY_OUTPUT, "tools": [ADD_NATIVE]},
    "response_format: text, tools: add": {"tools": [ADD_NATIVE]},
    "response_format: grammar": REFUSED,
    "logprobs=False": UNSENT,
    "logprobs=True": REFUSED,
    "logprobs=5": REFUSED,
    "top_logprobs=0": UNSENT,
    "top_logprobs=20": REFUSED,
    "top_logprobs=21": REFUSED,
    "logprobs=True, top_logprobs=5": Unsupported("logprobs"),
    "modalities=['text']": UNSENT,
    "modalities=['text', 'audio']": REFUSED,
    "modalities=['text', 'audio'], audio={'voice': 'alloy', 'format': 'wav'}": Unsupported("modalities"),
    "audio={'voice': 'alloy', 'format': 'wav'}": REFUSED,
    "verbosity='low'": REFUSED,
    "prediction={'type': 'content', 'content': 'Hi.'}": REFUSED,
    # thinking
    "reasoning_effort=None": UNSENT,
    "reasoning_effort='none'": {"thinking": {"type": "disabled"}},
    # The default limit of 4096 tokens is added to the budget.
    "reasoning_effort='minimal'": {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 5120},
    "reasoning_effort='low'": {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 5120},
    "reasoning_effort='medium'": {"thinking": THINKING_BUDGET, "max_tokens": 6144},
    "reasoning_effort='high'": {"thinking": {"type": "enabled", "budget_tokens": 4096}, "max_tokens": 8192},
    "reasoning_effort='xhigh'": {"thinking": {"type": "enabled", "budget_tokens": 8192}, "max_tokens": 12288},
    "reasoning_effort='max'": {"thinking": {"type": "enabled", "budget_tokens": 16384}, "max_tokens": 20480},
    "reasoning_effort='ultra'": REFUSED,
    "reasoning_effort='high', max_tokens=4097": {
        "thinking": {"type": "enabled", "budget_tokens": 4096},
        "max_tokens": 4097,
    },
    # The budget must be smaller than the limit.
    "reasoning_effort='high', max_tokens=4096": Invalid("reasoning_effort"),
    "thinking={'type': 'enabled', 'budget_tokens': 2048}": {"thinking": THINKING_BUDGET, "max_tokens": 6144},
    "thinking={'type': 'disabled'}": GIVEN,
    "thinking={'type': 'adaptive'}": GIVEN,
    "thinking and reasoning_effort": {"thinking": THINKING_BUDGET, "max_tokens": 6144},
    # streams
    "stream": UNSENT,
    "stream_options={'include_usage': True}": UNSENT,
    "stream_options={'include_usage': True}, stream": UNSENT,
    "stream_options={'include_usage': False}, stream": UNSENT,
    "stream_options={'include_obfuscation': False}, stream": UNSENT,
    "stream_options={'include_obfuscation': True}, stream": Unsupported("stream_options.include_obfuscation"),
    "max_completion_tokens=5, stream": {"max_tokens": 5},
    # accounts, caches and others
    "user='u-1'": {"metadata": {"user_id": "u-1"}},
    "service_tier='auto'": GIVEN,
    "service_tier='default'": {"service_tier": "standard_only"},
    "service_tier='standard'": {"service_tier": "standard_only"},
    "service_tier='standard_only'": GIVEN,
    "service_tier='flex'": REFUSED,
    "store=False": UNSENT,
    "store=True": REFUSED,
    "metadata={}": UNSENT,
    "metadata={'job': '7'}": REFUSED,
    "prompt_cache_key='k'": REFUSED,
    "prompt_cache_retention='24h'": REFUSED,
    "prompt_cache_options={'mode': 'explicit', 'ttl': '30m'}": REFUSED,
    "safety_identifier='s-1'": REFUSED,
    "web_search_options={'search_context_size': 'low'}": REFUSED,
    "moderation={'model': 'omni-moderation-latest'}": REFUSED,
    "no-op values": UNSENT,
    "extra_body={'top_k': 5}": {"top_k": 5},
    # messages
    "messages: user": GIVEN,
    "messages: system, user": {"system": "Be brief.", "messages": [USER]},
    "messages: developer, user": {"system": "Be brief."},
    "messages: two systems, user": {"system": "Be brief.\n\nBe kind."},
    "messages: user, system": Unsupported("messages[1].role"),
    "messages: three turns": GIVEN,
    "messages: user with a name": Unsupported("messages[0].name"),
    "messages: system with a name": Unsupported("messages[0].name", {"system": "Be brief."}),
    "messages: user with a text part": GIVEN,
    "image: https": image_block({"type": "url", "url": "https://example.com/a.png"}),
    "image: data URL": image_block({"type": "base64", "media_type": "image/png", "data": PIXEL}),
    # The client fetches nothing, and Anthropic fetches https only.
    "image: http": Unsupported("messages[0].content[1].image_url.url", TEXT_PART_ONLY),
    "image: detail auto": image_block({"type": "url", "url": "https://example.com/a.png"}),
    "image: detail high": Unsupported(
        "messages[0].content[1].image_url.detail", image_block({"type": "url", "url": "https://example.com/a.png"})
    ),
    "image: bare URL": image_block({"type": "url", "url": "https://example.com/a.png"}),
    "audio part": Unsupported("messages[0].content[1]", TEXT_PART_ONLY),
    "file part: data": {
        "messages": [
            {
                "role": "user",
                "content": [
                    TEXT_PART,
                    {
                        "type": "document",
                        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
                        "title": "a.pdf",
                    },
                ],
            }
        ]
    },
    "file part: id": {
        "messages": [
            {
                "role": "user",
                "content": [TEXT_PART, {"type": "document", "source": {"type": "file", "file_id": "file-1"}}],
            }
        ]
    },
    "messages: tool result": tool_use("c1"),
    # The legacy form has no ids; a call and its result get the same new id.
    "messages: function result": tool_use("function_call_1"),
    "messages: function result without a call": Invalid("messages[1].name"),
    # Anthropic's cache_control is a member of blocks.
    "messages: unknown member": {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Hi.", "cache_control": {"type": "ephemeral"}}]}
        ]
    },
}

OWN_EXPECTATIONS: tuple[tuple[ParamsCall, Expectation], ...] = (
    (call(temperature=0.5, api_version="2026-10-21"), Unsupported("temperature")),
    (call(top_p=0.5, api_version="2026-10-21"), Unsupported("top_p")),
    (call(temperature=0.5, api_version="2023-06-01"), {"temperature": 0.5}),
    (
        call("claude-opus-4-7: reasoning_effort='high'", model="claude-opus-4-7", reasoning_effort="high"),
        {"thinking": ADAPTIVE_THINKING, "output_config": {"effort": "high"}},
    ),
    (
        call("claude-opus-4-7: reasoning_effort='minimal'", model="claude-opus-4-7", reasoning_effort="minimal"),
        {"thinking": ADAPTIVE_THINKING, "output_config": {"effort": "low"}},
    ),
    (
        call("claude-opus-4-7: reasoning_effort='none'", model="claude-opus-4-7", reasoning_effort="none"),
        {"thinking": {"type": "disabled"}},
    ),
    (
        call("claude-next-9: reasoning_effort='max'", model="claude-next-9", reasoning_effort="max"),
        {"thinking": ADAPTIVE_THINKING, "output_config": {"effort": "max"}},
    ),
    (
        call(
            "claude-opus-4-7: reasoning_effort=low with a schema",
            model="claude-opus-4-7",
            reasoning_effort="low",
            response_format=CITY_FORMAT,
        ),
        {"thinking": ADAPTIVE_THINKING, "output_config": {"effort": "low", **CITY_OUTPUT}},
    ),
    (
        call(
            "claude-3-5-haiku-20241022: reasoning_effort='high'",
            model="claude-3-5-haiku-20241022",
            reasoning_effort="high",
        ),
        REFUSED,
    ),
    (
        call(
            "claude-3-5-haiku-20241022: reasoning_effort='none'",
            model="claude-3-5-haiku-20241022",
            reasoning_effort="none",
        ),
        UNSENT,
    ),
)

LEGACY_EXPECTATIONS: Mapping[str, Expectation] = {
    "messages: role system": {"system": "Be brief."},
    "messages: role user": GIVEN,
    "messages: role assistant": GIVEN,
    "messages: role function": tool_use("function_call_1"),
    "messages: role tool": tool_use("c1"),
    "messages: content": GIVEN,
    "messages: name": Unsupported("messages[0].name"),
    "messages: function_call": {
        "messages": [
            SUM,
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "Let me add."},
                    {"type": "tool_use", "id": "function_call_1", "name": "add", "input": {}},
                ],
            },
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "function_call_1", "content": "2"}]},
        ]
    },
    "functions: name": {"tools": [NOW_NATIVE], "tool_choice": AUTO_ONE_AT_A_TIME},
    "functions: description": {
        "tools": [{"name": "now", "description": "The time.", "input_schema": NO_PARAMETERS}],
        "tool_choice": AUTO_ONE_AT_A_TIME,
    },
    "functions: parameters": {
        "tools": [{"name": "add", "input_schema": ADD_PARAMETERS}],
        "tool_choice": AUTO_ONE_AT_A_TIME,
    },
    "function_call": {
        "tools": [ADD_NATIVE],
        "tool_choice": {"type": "tool", "name": "add", "disable_parallel_tool_use": True},
    },
    "temperature": GIVEN,
    "top_p": GIVEN,
    "n": Branches(2),
    "stream": UNSENT,
    "stop": {"stop_sequences": ["END"]},
    "max_tokens": GIVEN,
    "presence_penalty": REFUSED,
    "frequency_penalty": REFUSED,
    "logit_bias": REFUSED,
    "user": {"metadata": {"user_id": "u-1"}},
    "forceTimeout": UNSENT,
    "force_timeout": UNSENT,
    "azure=False": UNSENT,
    "logger_fn": UNSENT,
    "verbose": UNSENT,
    "organization": REFUSED,
}

COLUMN = ProviderColumn(
    model="claude-haiku-4-5",
    path="/anthropic/v1/messages",
    bare_models=("claude-instant-1", "claude-2"),
    long_tool_names=True,
    key_header=("x-api-key", "the-key"),
    key_variables=("ANTHROPIC_API_KEY",),
    url_variables=("ANTHROPIC_BASE_URL", "ANTHROPIC_API_BASE"),
    body=body,
    expectations=EXPECTATIONS,
    legacy_expectations=LEGACY_EXPECTATIONS,
    own_expectations=OWN_EXPECTATIONS,
    denied=frozenset(("tools: one of two strict", "tools: strict")),
)
