"""Bedrock's column, for a Claude model, written by hand after AWS's documentation.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from support.legacy_params_calls import NON_ASCII_TEXT
from support.params_calls import (
    ADAPTIVE_THINKING,
    ADD_PARAMETERS,
    ADD_TOOL,
    CITY_FORMAT,
    CITY_SCHEMA,
    FUNCTION_CALL,
    FUNCTION_RESULT,
    NAMED_ADD,
    NO_PARAMETERS,
    PIXEL,
    SIX_STOPS,
    SUM,
    THINKING_BUDGET,
    TOOL_CALLS,
    TOOL_RESULT,
)
from support.params_notation import (
    REFUSED,
    UNSENT,
    Branches,
    Expectation,
    Invalid,
    ParamsCall,
    ProviderColumn,
    Unsupported,
    call,
)

NOVA = "us.amazon.nova-2-lite-v1:0"
TEXT = {"text": "Hi."}
ADD_SPEC: dict[str, Any] = {"name": "add", "description": "Adds.", "inputSchema": {"json": ADD_PARAMETERS}}
ADD_NATIVE = {"toolSpec": ADD_SPEC}
ADD_STRICT = {"toolSpec": {**ADD_SPEC, "strict": True}}
NOW_NATIVE = {"toolSpec": {"name": "now", "inputSchema": {"json": NO_PARAMETERS}}}
CACHE_POINT = {"cachePoint": {"type": "default"}}
ONE_AT_A_TIME = {"additionalModelRequestFields": {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}}
"""The legacy form holds one call. The type is left out where Bedrock's own `toolChoice` is sent."""
ONE_OF_A_CHOICE = {"additionalModelRequestFields": {"tool_choice": {"disable_parallel_tool_use": True}}}
CITY_TEXT = json.dumps(CITY_SCHEMA, separators=(",", ":"))
CITY_OUTPUT = {
    "outputConfig": {
        "textFormat": {
            "type": "json_schema",
            "structure": {"jsonSchema": {"schema": CITY_TEXT, "name": "city"}},
        }
    }
}


def inference(**fields: Any) -> dict[str, Any]:
    """A body's `inferenceConfig`."""
    return {"inferenceConfig": fields}


def tools(*native: dict[str, Any], choice: dict[str, Any] | None = None) -> dict[str, Any]:
    """A body's `toolConfig`."""
    return {"toolConfig": {"tools": [*native]} | ({} if choice is None else {"toolChoice": choice})}


def fields(**names: Any) -> dict[str, Any]:
    """A body's `additionalModelRequestFields`."""
    return {"additionalModelRequestFields": names}


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    """A body's messages with one message of the user."""
    return {"messages": [{"role": "user", "content": [*blocks]}]}


def sum_of(call_id: str, *before: dict[str, Any]) -> dict[str, Any]:
    """A body's messages with a call and its result."""
    use = {"toolUse": {"toolUseId": call_id, "name": "add", "input": {"a": 1}}}
    return {
        "messages": [
            {"role": "user", "content": [{"text": "1+1?"}]},
            {"role": "assistant", "content": [*before, use]},
            {"role": "user", "content": [{"toolResult": {"toolUseId": call_id, "content": [{"text": "2"}]}}]},
        ]
    }


def body(model: str, stream: bool) -> dict[str, Any]:
    """The body for one question; the model and the stream are in the URL."""
    return user(TEXT)


EXPECTATIONS: Mapping[str, Expectation] = {
    # sampling
    "temperature=None": UNSENT,
    "temperature=0": inference(temperature=0),
    "temperature=0.7": inference(temperature=0.7),
    "temperature=1": inference(temperature=1),
    "temperature=1.01": REFUSED,
    "temperature=2": REFUSED,
    "temperature=2.5": REFUSED,
    "temperature=5.5": REFUSED,
    "temperature=-0.1": REFUSED,
    "top_p=None": UNSENT,
    "top_p=0.5": inference(topP=0.5),
    "top_p=0.01": inference(topP=0.01),
    "top_p=0.99": inference(topP=0.99),
    "top_p=0": inference(topP=0),
    "top_p=1": inference(topP=1),
    "top_p=1.01": REFUSED,
    "top_p=-0.01": REFUSED,
    "temperature=0.2, top_p=0.9": inference(temperature=0.2, topP=0.9),
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
    "max_tokens=5": inference(maxTokens=5),
    "max_tokens=1": inference(maxTokens=1),
    "max_tokens=0": REFUSED,
    "max_completion_tokens=5": inference(maxTokens=5),
    "max_completion_tokens=1": inference(maxTokens=1),
    "max_completion_tokens=0": REFUSED,
    "max_tokens=9, max_completion_tokens=5": inference(maxTokens=5),
    "stop=None": UNSENT,
    "stop='END'": inference(stopSequences=["END"]),
    "stop=['a', 'b']": inference(stopSequences=["a", "b"]),
    "stop=('a', 'b')": inference(stopSequences=["a", "b"]),
    "stop=['a', 'b', 'c', 'd']": inference(stopSequences=SIX_STOPS[:4]),
    "stop=['a', 'b', 'c', 'd', 'e']": inference(stopSequences=SIX_STOPS[:5]),
    "stop=['a', 'b', 'c', 'd', 'e', 'f']": inference(stopSequences=SIX_STOPS),
    "stop='a,b'": inference(stopSequences=["a,b"]),
    "stop=['a', 'b,c']": inference(stopSequences=["a", "b,c"]),
    "stop='\\n\\n'": inference(stopSequences=["\n\n"]),
    "stop=['a', ' ']": inference(stopSequences=["a", " "]),
    # tools
    "functions=[]": UNSENT,
    "functions: add": tools(ADD_NATIVE) | ONE_AT_A_TIME,
    "functions: now": tools(NOW_NATIVE) | ONE_AT_A_TIME,
    "functions: add, function_call=auto": tools(ADD_NATIVE, choice={"auto": {}}) | ONE_OF_A_CHOICE,
    # Bedrock has no such choice, and without tools nothing can be called.
    "functions: add, function_call=none": UNSENT,
    "functions: add, function_call: add": tools(ADD_NATIVE, choice={"tool": {"name": "add"}}) | ONE_OF_A_CHOICE,
    "functions: add and now, function_call: now": tools(ADD_NATIVE, NOW_NATIVE, choice={"tool": {"name": "now"}})
    | ONE_OF_A_CHOICE,
    "functions: now, tools: add": tools(ADD_NATIVE, NOW_NATIVE),
    "function_call='auto'": UNSENT,
    "function_call='none'": UNSENT,
    "function_call='required'": REFUSED,
    "tools=[]": UNSENT,
    "tools: add": tools(ADD_NATIVE),
    "tools: add and now": tools(ADD_NATIVE, NOW_NATIVE),
    "tools: strict": tools(ADD_STRICT),
    "tools: not strict": tools(ADD_NATIVE),
    "tools: one of two strict": tools(NOW_NATIVE, ADD_STRICT),
    "tools: custom and function": Unsupported("tools[0]", tools(ADD_NATIVE)),
    "tools: web search": Unsupported("tools[0]"),
    "tools: add, tool_choice=auto": tools(ADD_NATIVE, choice={"auto": {}}),
    "tools: add, tool_choice=none": UNSENT,
    "tools: add and now, tool_choice=required": tools(ADD_NATIVE, NOW_NATIVE, choice={"any": {}}),
    "tools: add and now, tool_choice: add": tools(ADD_NATIVE, NOW_NATIVE, choice={"tool": {"name": "add"}}),
    "tools: add, tool_choice: allowed_tools": Unsupported("tool_choice", tools(ADD_NATIVE)),
    "tool_choice='auto'": UNSENT,
    "tool_choice='none'": UNSENT,
    "tool_choice='maybe'": REFUSED,
    "tool_choice='any'": REFUSED,
    "tools: add and now, tool_choice without type": tools(ADD_NATIVE, NOW_NATIVE, choice={"tool": {"name": "add"}}),
    "parallel_tool_calls=True": UNSENT,
    "parallel_tool_calls=False": UNSENT,
    "tools: add, parallel_tool_calls=True": tools(ADD_NATIVE),
    "tools: add, parallel_tool_calls=False": tools(ADD_NATIVE) | ONE_AT_A_TIME,
    "tools: add, tool_choice=required, parallel_tool_calls=False": tools(ADD_NATIVE, choice={"any": {}})
    | ONE_OF_A_CHOICE,
    "tools: add, tool_choice=none, parallel_tool_calls=False": UNSENT,
    # form of the reply
    "response_format={'type': 'text'}": UNSENT,
    "response_format={'type': 'json_object'}": REFUSED,
    "response_format: json_schema": CITY_OUTPUT,
    "response_format: json_schema, tools: add": CITY_OUTPUT | tools(ADD_NATIVE),
    "response_format: text, tools: add": tools(ADD_NATIVE),
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
    "reasoning_effort='none'": fields(thinking={"type": "disabled"}),
    "reasoning_effort='minimal'": fields(thinking={"type": "enabled", "budget_tokens": 1024}),
    "reasoning_effort='low'": fields(thinking={"type": "enabled", "budget_tokens": 1024}),
    "reasoning_effort='medium'": fields(thinking=THINKING_BUDGET),
    "reasoning_effort='high'": fields(thinking={"type": "enabled", "budget_tokens": 4096}),
    "reasoning_effort='xhigh'": fields(thinking={"type": "enabled", "budget_tokens": 8192}),
    "reasoning_effort='max'": fields(thinking={"type": "enabled", "budget_tokens": 16384}),
    "reasoning_effort='ultra'": REFUSED,
    "reasoning_effort='high', max_tokens=4097": fields(thinking={"type": "enabled", "budget_tokens": 4096})
    | inference(maxTokens=4097),
    # The budget must be smaller than the limit.
    "reasoning_effort='high', max_tokens=4096": Invalid("reasoning_effort"),
    "thinking={'type': 'enabled', 'budget_tokens': 2048}": fields(thinking=THINKING_BUDGET),
    "thinking={'type': 'disabled'}": fields(thinking={"type": "disabled"}),
    "thinking={'type': 'adaptive'}": fields(thinking=ADAPTIVE_THINKING),
    "thinking and reasoning_effort": fields(thinking=THINKING_BUDGET),
    # streams
    "stream": UNSENT,
    "stream_options={'include_usage': True}": UNSENT,
    "stream_options={'include_usage': True}, stream": UNSENT,
    "stream_options={'include_usage': False}, stream": UNSENT,
    "stream_options={'include_obfuscation': False}, stream": UNSENT,
    "stream_options={'include_obfuscation': True}, stream": Unsupported("stream_options.include_obfuscation"),
    "max_completion_tokens=5, stream": inference(maxTokens=5),
    # accounts, caches and others
    "user='u-1'": REFUSED,
    "service_tier='auto'": UNSENT,
    "service_tier='default'": {"serviceTier": {"type": "default"}},
    "service_tier='standard'": REFUSED,
    "service_tier='standard_only'": REFUSED,
    "service_tier='flex'": {"serviceTier": {"type": "flex"}},
    "store=False": UNSENT,
    "store=True": REFUSED,
    "metadata={}": UNSENT,
    "metadata={'job': '7'}": {"requestMetadata": {"job": "7"}},
    "prompt_cache_key='k'": REFUSED,
    "prompt_cache_retention='24h'": REFUSED,
    "prompt_cache_options={'mode': 'explicit', 'ttl': '30m'}": REFUSED,
    "safety_identifier='s-1'": REFUSED,
    "web_search_options={'search_context_size': 'low'}": REFUSED,
    "moderation={'model': 'omni-moderation-latest'}": REFUSED,
    "no-op values": UNSENT,
    "extra_body={'top_k': 5}": {"top_k": 5},
    # messages
    "messages: user": UNSENT,
    "messages: system, user": {"system": [{"text": "Be brief."}]},
    "messages: developer, user": {"system": [{"text": "Be brief."}]},
    "messages: two systems, user": {"system": [{"text": "Be brief."}, {"text": "Be kind."}]},
    "messages: user, system": Unsupported("messages[1].role"),
    "messages: three turns": {
        "messages": [
            {"role": "user", "content": [TEXT]},
            {"role": "assistant", "content": [{"text": "Hello."}]},
            {"role": "user", "content": [{"text": "Bye."}]},
        ]
    },
    "messages: user with a name": Unsupported("messages[0].name"),
    "messages: system with a name": Unsupported("messages[0].name", {"system": [{"text": "Be brief."}]}),
    "messages: user with a text part": UNSENT,
    # Bedrock fetches nothing, and neither does the client.
    "image: https": Unsupported("messages[0].content[1].image_url.url"),
    "image: data URL": user(TEXT, {"image": {"format": "png", "source": {"bytes": PIXEL}}}),
    "image: http": Unsupported("messages[0].content[1].image_url.url"),
    "image: detail auto": Unsupported("messages[0].content[1].image_url.url"),
    "image: detail high": Unsupported("messages[0].content[1].image_url.url"),
    "image: bare URL": Unsupported("messages[0].content[1].image_url.url"),
    "audio part": user(TEXT, {"audio": {"format": "wav", "source": {"bytes": "AAAA"}}}),
    "file part: data": user(TEXT, {"document": {"format": "pdf", "name": "a", "source": {"bytes": "JVBERg=="}}}),
    "file part: id": Unsupported("messages[0].content[1].file.file_id"),
    # Bedrock refuses calls without the tools that they call.
    "messages: tool result": Invalid("tools"),
    "messages: function result": Invalid("tools"),
    "messages: function result without a call": Invalid("messages[1].name"),
    "messages: unknown member": user(TEXT, CACHE_POINT),
}

OWN_EXPECTATIONS: tuple[tuple[ParamsCall, Expectation], ...] = (
    (
        call("tools: add, messages: tool result", messages=[SUM, TOOL_CALLS, TOOL_RESULT], tools=[ADD_TOOL]),
        sum_of("c1") | tools(ADD_NATIVE),
    ),
    (
        call(
            "tools: add, tool_choice=none, messages: tool result",
            messages=[SUM, TOOL_CALLS, TOOL_RESULT],
            tools=[ADD_TOOL],
            tool_choice="none",
        ),
        Unsupported("tool_choice", sum_of("c1") | tools(ADD_NATIVE)),
    ),
    (
        # The legacy form has no ids; a call and its result get the same new id.
        call(
            "functions: add, messages: function result",
            messages=[SUM, FUNCTION_CALL, FUNCTION_RESULT],
            functions=[{"name": "add", "description": "Adds.", "parameters": ADD_PARAMETERS}],
        ),
        sum_of("function_call_1") | tools(ADD_NATIVE) | ONE_AT_A_TIME,
    ),
    (
        call(
            "us.anthropic.claude-opus-4-7: reasoning_effort='high'",
            model="us.anthropic.claude-opus-4-7",
            reasoning_effort="high",
        ),
        fields(thinking=ADAPTIVE_THINKING, output_config={"effort": "high"}),
    ),
    (
        call(
            "us.anthropic.claude-opus-4-7: strict",
            model="us.anthropic.claude-opus-4-7",
            tools=[{"type": "function", "function": {**ADD_TOOL["function"], "strict": True}}],
        ),
        Unsupported("tools[0].function.strict", tools(ADD_NATIVE)),
    ),
    (
        call("thinking, tool_choice=required", thinking=THINKING_BUDGET, tools=[ADD_TOOL], tool_choice="required"),
        Unsupported("tool_choice", fields(thinking=THINKING_BUDGET) | tools(ADD_NATIVE)),
    ),
    (
        call("nova-2: reasoning_effort='low'", model=NOVA, reasoning_effort="low"),
        fields(reasoningConfig={"type": "enabled", "maxReasoningEffort": "low"}),
    ),
    (call("nova-2: reasoning_effort='none'", model=NOVA, reasoning_effort="none"), UNSENT),
    (call("nova-2: reasoning_effort='max'", model=NOVA, reasoning_effort="max"), REFUSED),
    (call("nova-2: thinking", model=NOVA, thinking=THINKING_BUDGET), REFUSED),
    (
        call("nova-2: parallel_tool_calls=False", model=NOVA, tools=[ADD_TOOL], parallel_tool_calls=False),
        Unsupported("parallel_tool_calls", tools(ADD_NATIVE)),
    ),
    (call("nova: reasoning_effort='low'", model="amazon.nova-lite-v1:0", reasoning_effort="low"), REFUSED),
    (
        call("gpt-oss: reasoning_effort='high'", model="openai.gpt-oss-120b-1:0", reasoning_effort="high"),
        fields(reasoning_effort="high"),
    ),
    (call("gpt-oss: reasoning_effort='none'", model="openai.gpt-oss-120b-1:0", reasoning_effort="none"), REFUSED),
    (
        call("gpt-5: reasoning_effort='high'", model="openai.gpt-5.4", reasoning_effort="high"),
        fields(reasoning={"effort": "high"}),
    ),
    (
        call("deepseek.v3: reasoning_effort='high'", model="deepseek.v3-v1:0", reasoning_effort="high"),
        fields(reasoning_effort="high"),
    ),
    (call("deepseek.r1: reasoning_effort='high'", model="us.deepseek.r1-v1:0", reasoning_effort="high"), REFUSED),
    (
        call("qwen3: reasoning_effort='high'", model="qwen.qwen3-32b-v1:0", reasoning_effort="high"),
        fields(reasoning_config="high"),
    ),
    (
        call("llama: tool_choice: add", model="us.meta.llama4-x-v1:0", tools=[ADD_TOOL], tool_choice=NAMED_ADD),
        Unsupported("tool_choice", tools(ADD_NATIVE)),
    ),
    (
        call(
            "response_format with a description",
            response_format={"type": "json_schema", "json_schema": {"schema": CITY_SCHEMA, "description": "A city."}},
        ),
        {
            "outputConfig": {
                "textFormat": {
                    "type": "json_schema",
                    "structure": {"jsonSchema": {"schema": CITY_TEXT, "description": "A city."}},
                }
            }
        },
    ),
    (
        call("additional fields", extra_body=fields(top_k=5), thinking={"type": "disabled"}),
        fields(thinking={"type": "disabled"}, top_k=5),
    ),
    (
        call("inference fields", extra_body=inference(topP=0.5), temperature=0.5),
        inference(temperature=0.5, topP=0.5),
    ),
    (
        call(
            "tool fields",
            extra_body={"toolConfig": {"tools": [{"systemTool": {"name": "nova_grounding"}}]}},
            tools=[ADD_TOOL],
            tool_choice="auto",
        ),
        tools(ADD_NATIVE, {"systemTool": {"name": "nova_grounding"}}, choice={"auto": {}}),
    ),
    (
        call("a tool of its own", tools=[{"type": "systemTool", "systemTool": {"name": "nova_grounding"}}]),
        tools({"systemTool": {"name": "nova_grounding"}}),
    ),
    (
        call("a cached tool", tools=[{**ADD_TOOL, "cache_control": {"type": "ephemeral", "ttl": "1h"}}]),
        tools(ADD_NATIVE, {"cachePoint": {"type": "default", "ttl": "1h"}}),
    ),
    (
        call("a guardrail", extra_body={"guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"}}),
        {"guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"}},
    ),
    (call(metadata={"note": "naïve"}), REFUSED),
    (call(service_tier="priority"), {"serviceTier": {"type": "priority"}}),
    (call(service_tier="reserved"), {"serviceTier": {"type": "reserved"}}),
    (
        call("response_format: json_schema, stream", response_format=CITY_FORMAT, stream=True),
        CITY_OUTPUT,
    ),
)

LEGACY_EXPECTATIONS: Mapping[str, Expectation] = {
    "messages: role system": {"system": [{"text": "Be brief."}]},
    "messages: role user": UNSENT,
    "messages: role assistant": {
        "messages": [
            {"role": "user", "content": [TEXT]},
            {"role": "assistant", "content": [{"text": "Hello."}]},
            {"role": "user", "content": [{"text": "Bye."}]},
        ]
    },
    "messages: role function": Invalid("tools"),
    "messages: role tool": Invalid("tools"),
    "messages: content": user({"text": NON_ASCII_TEXT}),
    "messages: name": Unsupported("messages[0].name"),
    "messages: function_call": Invalid("tools"),
    "functions: name": tools(NOW_NATIVE) | ONE_AT_A_TIME,
    "functions: description": tools(
        {"toolSpec": {"name": "now", "description": "The time.", "inputSchema": {"json": NO_PARAMETERS}}}
    )
    | ONE_AT_A_TIME,
    "functions: parameters": tools({"toolSpec": {"name": "add", "inputSchema": {"json": ADD_PARAMETERS}}})
    | ONE_AT_A_TIME,
    "function_call": tools(ADD_NATIVE, choice={"tool": {"name": "add"}}) | ONE_OF_A_CHOICE,
    "temperature": inference(temperature=0.5),
    "top_p": inference(topP=0.5),
    "n": Branches(2),
    "stream": UNSENT,
    "stop": inference(stopSequences=["END"]),
    "max_tokens": inference(maxTokens=9),
    "presence_penalty": REFUSED,
    "frequency_penalty": REFUSED,
    "logit_bias": REFUSED,
    "user": REFUSED,
    "forceTimeout": UNSENT,
    "force_timeout": UNSENT,
    "azure=False": UNSENT,
    "logger_fn": UNSENT,
    "verbose": UNSENT,
    "organization": REFUSED,
}

COLUMN = ProviderColumn(
    model="us.anthropic.claude-haiku-4-5-20251001-v1:0",
    path="/bedrock/model/us.anthropic.claude-haiku-4-5-20251001-v1:0/converse",
    stream_path="/bedrock/model/us.anthropic.claude-haiku-4-5-20251001-v1:0/converse-stream",
    stream_type="application/vnd.amazon.eventstream",
    key_header=("authorization", "Bearer the-key"),
    key_variables=("AWS_BEARER_TOKEN_BEDROCK",),
    url_variables=("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "AWS_ENDPOINT_URL"),
    body=body,
    expectations=EXPECTATIONS,
    legacy_expectations=LEGACY_EXPECTATIONS,
    own_expectations=OWN_EXPECTATIONS,
)
