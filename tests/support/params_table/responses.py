"""Column of OpenAI's Responses API, written by hand after OpenAI's documentation.

https://platform.openai.com/docs/api-reference/responses/create
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from support.legacy_params_calls import NON_ASCII_TEXT
from support.params_calls import (
    ADD,
    ADD_CALL,
    ANTHROPIC_SEARCH,
    BE_BRIEF,
    BE_KIND,
    CITY_SCHEMA,
    NO_PARAMETERS,
    PNG_DATA_URL,
    SUM,
    THREE_TURNS,
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

FLAT_ADD = {"type": "function", **ADD, "strict": False}
FLAT_NOW = {"type": "function", "name": "now", "parameters": NO_PARAMETERS, "strict": False}
ONE_CALL = {"parallel_tool_calls": False}
"""The legacy form has a place for one call."""
CHOSEN_ADD = {"type": "function", "name": "add"}
FLAT_CITY = {"type": "json_schema", "name": "city", "strict": True, "schema": CITY_SCHEMA}
LOGPROBS, ENCRYPTED = "message.output_text.logprobs", "reasoning.encrypted_content"
INPUT_TEXT = {"type": "input_text", "text": "Hi."}


def body(model: str, stream: bool) -> dict[str, Any]:
    """The body for one question, which the server does not store."""
    made: dict[str, Any] = {"model": model, "input": [USER], "store": False}
    if model.startswith("gpt-5"):
        made["include"] = [ENCRYPTED]
    return made | {"stream": True} if stream else made


def effort(level: str, **fields: Any) -> dict[str, Any]:
    """Fields for a reasoning effort: reasoning is asked for in a form that can be sent back."""
    return {"reasoning": {"effort": level}, "include": [ENCRYPTED], **fields}


def input_image(url: str, **fields: str) -> dict[str, Any]:
    """A part with an image."""
    return {"type": "input_image", "image_url": url, **fields}


def parts(part: dict[str, Any]) -> dict[str, Any]:
    """A body's input with a text and another part."""
    return {"input": [{"role": "user", "content": [INPUT_TEXT, part]}]}


def called(call_id: str, *before: dict[str, Any], arguments: str = ADD_CALL["arguments"]) -> dict[str, Any]:
    """A body's input with a call and its result."""
    made = {"type": "function_call", "call_id": call_id, "name": "add", "arguments": arguments}
    return {"input": [SUM, *before, made, {"type": "function_call_output", "call_id": call_id, "output": "2"}]}


EXPECTATIONS: Mapping[str, Expectation] = {
    # sampling
    "temperature=None": UNSENT,
    "temperature=0": GIVEN,
    "temperature=0.7": GIVEN,
    "temperature=1": GIVEN,
    "temperature=1.01": GIVEN,
    "temperature=2": GIVEN,
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
    "max_tokens=5": REFUSED,
    "max_tokens=1": REFUSED,
    "max_tokens=0": REFUSED,
    "max_completion_tokens=5": REFUSED,
    "max_completion_tokens=1": REFUSED,
    "max_completion_tokens=0": REFUSED,
    "max_tokens=9, max_completion_tokens=5": Unsupported("max_tokens"),
    "stop=None": UNSENT,
    "stop='END'": REFUSED,
    "stop=['a', 'b']": REFUSED,
    "stop=('a', 'b')": REFUSED,
    "stop=['a', 'b', 'c', 'd']": REFUSED,
    "stop=['a', 'b', 'c', 'd', 'e']": REFUSED,
    "stop=['a', 'b', 'c', 'd', 'e', 'f']": REFUSED,
    "stop='a,b'": REFUSED,
    "stop=['a', 'b,c']": REFUSED,
    "stop='\\n\\n'": REFUSED,
    "stop=['a', ' ']": REFUSED,
    # tools
    "functions=[]": UNSENT,
    "functions: add": {**ONE_CALL, "tools": [FLAT_ADD]},
    "functions: now": {**ONE_CALL, "tools": [FLAT_NOW]},
    "functions: add, function_call=auto": {**ONE_CALL, "tools": [FLAT_ADD], "tool_choice": "auto"},
    "functions: add, function_call=none": {**ONE_CALL, "tools": [FLAT_ADD], "tool_choice": "none"},
    "functions: add, function_call: add": {
        **ONE_CALL,
        "tools": [FLAT_ADD],
        "tool_choice": {"type": "function", "name": "add"},
    },
    "functions: add and now, function_call: now": {
        **ONE_CALL,
        "tools": [FLAT_ADD, FLAT_NOW],
        "tool_choice": {"type": "function", "name": "now"},
    },
    "functions: now, tools: add": {"tools": [FLAT_ADD, FLAT_NOW]},
    "function_call='auto'": UNSENT,
    "function_call='none'": {"tool_choice": "none"},
    "function_call='required'": REFUSED,
    "tools=[]": UNSENT,
    "tools: add": {"tools": [FLAT_ADD]},
    "tools: add and now": {"tools": [FLAT_ADD, FLAT_NOW]},
    "tools: strict": {"tools": [{**FLAT_ADD, "strict": True}]},
    "tools: not strict": {"tools": [FLAT_ADD]},
    "tools: one of two strict": {"tools": [FLAT_NOW, {**FLAT_ADD, "strict": True}]},
    "tools: custom and function": {"tools": [{"type": "custom", "name": "sql", "format": {"type": "text"}}, FLAT_ADD]},
    "tools: web search": {"tools": [ANTHROPIC_SEARCH]},
    "tools: add, tool_choice=auto": {"tools": [FLAT_ADD], "tool_choice": "auto"},
    "tools: add, tool_choice=none": {"tools": [FLAT_ADD], "tool_choice": "none"},
    "tools: add and now, tool_choice=required": {"tools": [FLAT_ADD, FLAT_NOW], "tool_choice": "required"},
    "tools: add and now, tool_choice: add": {"tools": [FLAT_ADD, FLAT_NOW], "tool_choice": CHOSEN_ADD},
    "tools: add, tool_choice: allowed_tools": {
        "tools": [FLAT_ADD],
        "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [CHOSEN_ADD]},
    },
    "tool_choice='auto'": UNSENT,
    "tool_choice='none'": GIVEN,
    "tool_choice='maybe'": REFUSED,
    "tool_choice='any'": REFUSED,
    "tools: add and now, tool_choice without type": {"tools": [FLAT_ADD, FLAT_NOW], "tool_choice": CHOSEN_ADD},
    "parallel_tool_calls=True": GIVEN,
    "parallel_tool_calls=False": GIVEN,
    "tools: add, parallel_tool_calls=True": {"tools": [FLAT_ADD], "parallel_tool_calls": True},
    "tools: add, parallel_tool_calls=False": {"tools": [FLAT_ADD], "parallel_tool_calls": False},
    "tools: add, tool_choice=required, parallel_tool_calls=False": {
        "tools": [FLAT_ADD],
        "tool_choice": "required",
        "parallel_tool_calls": False,
    },
    "tools: add, tool_choice=none, parallel_tool_calls=False": {
        "tools": [FLAT_ADD],
        "tool_choice": "none",
        "parallel_tool_calls": False,
    },
    # form of the reply
    "response_format={'type': 'text'}": UNSENT,
    "response_format={'type': 'json_object'}": {"text": {"format": {"type": "json_object"}}},
    "response_format: json_schema": {"text": {"format": FLAT_CITY}},
    "response_format: json_schema, tools: add": {"text": {"format": FLAT_CITY}, "tools": [FLAT_ADD]},
    "response_format: text, tools: add": {"tools": [FLAT_ADD]},
    "response_format: grammar": {"text": {"format": {"type": "grammar", "grammar": "root ::= 'a'"}}},
    "logprobs=False": UNSENT,
    "logprobs=True": {"include": [LOGPROBS]},
    "logprobs=5": REFUSED,
    "top_logprobs=0": UNSENT,
    "top_logprobs=20": {"top_logprobs": 20, "include": [LOGPROBS]},
    "top_logprobs=21": REFUSED,
    "logprobs=True, top_logprobs=5": {"top_logprobs": 5, "include": [LOGPROBS]},
    "modalities=['text']": UNSENT,
    "modalities=['text', 'audio']": REFUSED,
    "modalities=['text', 'audio'], audio={'voice': 'alloy', 'format': 'wav'}": Unsupported("modalities"),
    "audio={'voice': 'alloy', 'format': 'wav'}": REFUSED,
    "verbosity='low'": {"text": {"verbosity": "low"}},
    "prediction={'type': 'content', 'content': 'Hi.'}": REFUSED,
    # thinking
    "reasoning_effort=None": UNSENT,
    "reasoning_effort='none'": {"reasoning": {"effort": "none"}},
    "reasoning_effort='minimal'": effort("minimal"),
    "reasoning_effort='low'": effort("low"),
    "reasoning_effort='medium'": effort("medium"),
    "reasoning_effort='high'": effort("high"),
    "reasoning_effort='xhigh'": effort("xhigh"),
    "reasoning_effort='max'": effort("max"),
    "reasoning_effort='ultra'": effort("ultra"),
    "reasoning_effort='high', max_tokens=4097": effort("high", max_output_tokens=4097),
    "reasoning_effort='high', max_tokens=4096": effort("high", max_output_tokens=4096),
    "thinking={'type': 'enabled', 'budget_tokens': 2048}": REFUSED,
    "thinking={'type': 'disabled'}": REFUSED,
    "thinking={'type': 'adaptive'}": REFUSED,
    "thinking and reasoning_effort": Unsupported("thinking", effort("low")),
    # streams
    "stream": UNSENT,
    "stream_options={'include_usage': True}": UNSENT,
    "stream_options={'include_usage': True}, stream": UNSENT,
    "stream_options={'include_usage': False}, stream": UNSENT,
    "stream_options={'include_obfuscation': False}, stream": {"stream_options": {"include_obfuscation": False}},
    "stream_options={'include_obfuscation': True}, stream": {"stream_options": {"include_obfuscation": True}},
    "max_completion_tokens=5, stream": REFUSED,
    # accounts, caches and others
    "user='u-1'": GIVEN,
    "service_tier='auto'": GIVEN,
    "service_tier='default'": GIVEN,
    "service_tier='standard'": GIVEN,
    "service_tier='standard_only'": GIVEN,
    "service_tier='flex'": GIVEN,
    "store=False": UNSENT,
    "store=True": GIVEN,
    "metadata={}": GIVEN,
    "metadata={'job': '7'}": GIVEN,
    "prompt_cache_key='k'": GIVEN,
    "prompt_cache_retention='24h'": GIVEN,
    "prompt_cache_options={'mode': 'explicit', 'ttl': '30m'}": GIVEN,
    "safety_identifier='s-1'": GIVEN,
    "web_search_options={'search_context_size': 'low'}": {
        "tools": [{"type": "web_search", "search_context_size": "low"}]
    },
    "moderation={'model': 'omni-moderation-latest'}": GIVEN,
    "no-op values": {"parallel_tool_calls": True},
    "extra_body={'top_k': 5}": {"top_k": 5},
    # messages
    "messages: user": UNSENT,
    "messages: system, user": {"input": [BE_BRIEF, USER]},
    "messages: developer, user": {"input": [{"role": "developer", "content": "Be brief."}, USER]},
    "messages: two systems, user": {"input": [BE_BRIEF, BE_KIND, USER]},
    "messages: user, system": {"input": [USER, BE_BRIEF]},
    "messages: three turns": {"input": THREE_TURNS},
    "messages: user with a name": Unsupported("messages[0].name"),
    "messages: system with a name": Unsupported("messages[0].name", {"input": [BE_BRIEF, USER]}),
    "messages: user with a text part": {"input": [{"role": "user", "content": [INPUT_TEXT]}]},
    "image: https": parts(input_image("https://example.com/a.png")),
    "image: data URL": parts(input_image(PNG_DATA_URL)),
    "image: http": parts(input_image("http://example.com/a.png")),
    "image: detail auto": parts(input_image("https://example.com/a.png", detail="auto")),
    "image: detail high": parts(input_image("https://example.com/a.png", detail="high")),
    "image: bare URL": parts(input_image("https://example.com/a.png")),
    "audio part": Unsupported("messages[0].content[1]"),
    "file part: data": parts(
        {"type": "input_file", "file_data": "data:application/pdf;base64,JVBERg==", "filename": "a.pdf"}
    ),
    "file part: id": parts({"type": "input_file", "file_id": "file-1"}),
    "messages: tool result": called("c1"),
    "messages: function result": called("function_call_1"),
    "messages: function result without a call": Invalid("messages[1].name"),
    "messages: unknown member": {"input": [{"role": "user", "content": "Hi.", "cache_control": {"type": "ephemeral"}}]},
}

CONTEXT = {"type": "approximate", "approximate": {"city": "Oslo", "country": "NO"}}
SUMMARY = {"reasoning": {"summary": "auto"}}
GRAMMAR = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: A"}}

OWN_EXPECTATIONS: tuple[tuple[ParamsCall, Expectation], ...] = (
    (call(max_tokens=16), {"max_output_tokens": 16}),
    (call(max_tokens=15), REFUSED),
    (call(max_completion_tokens=16), {"max_output_tokens": 16}),
    (call(max_completion_tokens=15), REFUSED),
    (call("a reasoning model", model="gpt-5-mini"), UNSENT),
    (call("a model for ChatGPT", model="gpt-4o-chat-latest"), UNSENT),
    (
        call("effort and a summary", reasoning_effort="low", extra_body=SUMMARY),
        effort("low") | {"reasoning": {"effort": "low", "summary": "auto"}},
    ),
    (
        call("verbosity and a format of one's own", verbosity="low", extra_body={"text": {"format": {"type": "text"}}}),
        {"text": {"verbosity": "low", "format": {"type": "text"}}},
    ),
    (
        call(
            "logprobs and an include of one's own", logprobs=True, extra_body={"include": ["file_search_call.results"]}
        ),
        {"include": [LOGPROBS, "file_search_call.results"]},
    ),
    (
        call("a search near a place", web_search_options={"user_location": CONTEXT}),
        {"tools": [{"type": "web_search", "user_location": {"type": "approximate", "city": "Oslo", "country": "NO"}}]},
    ),
    (
        call("a grammar", tools=[{"type": "custom", "custom": {"name": "sql", "format": GRAMMAR}}]),
        {
            "tools": [
                {
                    "type": "custom",
                    "name": "sql",
                    "format": {"type": "grammar", "syntax": "lark", "definition": "start: A"},
                }
            ]
        },
    ),
)

LEGACY_EXPECTATIONS: Mapping[str, Expectation] = {
    "messages: role system": {"input": [BE_BRIEF, USER]},
    "messages: role user": UNSENT,
    "messages: role assistant": {"input": THREE_TURNS},
    "messages: role function": called("function_call_1"),
    "messages: role tool": called("c1"),
    "messages: content": {"input": [{"role": "user", "content": NON_ASCII_TEXT}]},
    "messages: name": Unsupported("messages[0].name"),
    "messages: function_call": called("function_call_1", {"role": "assistant", "content": "Let me add."}, arguments=""),
    "functions: name": {**ONE_CALL, "tools": [FLAT_NOW]},
    "functions: description": {**ONE_CALL, "tools": [{**FLAT_NOW, "description": "The time."}]},
    "functions: parameters": {
        **ONE_CALL,
        "tools": [{"type": "function", "name": "add", "parameters": ADD["parameters"], "strict": False}],
    },
    "function_call": {**ONE_CALL, "tools": [FLAT_ADD], "tool_choice": CHOSEN_ADD},
    "temperature": GIVEN,
    "top_p": GIVEN,
    "n": Branches(2),
    "stream": UNSENT,
    "stop": REFUSED,
    "max_tokens": REFUSED,
    "presence_penalty": REFUSED,
    "frequency_penalty": REFUSED,
    "logit_bias": REFUSED,
    "user": GIVEN,
    "forceTimeout": UNSENT,
    "force_timeout": UNSENT,
    "azure=False": UNSENT,
    "logger_fn": UNSENT,
    "verbose": UNSENT,
    "organization": UNSENT,
}

COLUMN = ProviderColumn(
    model="gpt-4o-mini",
    asked_as="openai/responses",
    path="/openai/v1/responses",
    key_header=("authorization", "Bearer the-key"),
    key_variables=(),
    url_variables=(),
    body=body,
    expectations=EXPECTATIONS,
    legacy_expectations=LEGACY_EXPECTATIONS,
    own_expectations=OWN_EXPECTATIONS,
    denied=frozenset(
        (
            "response_format={'type': 'json_object'}",
            "response_format: grammar",
            "tools: one of two strict",
            "tools: strict",
            "tools: web search",
            "extra_body={'top_k': 5}",
        )
    ),
)
