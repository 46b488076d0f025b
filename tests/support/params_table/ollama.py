"""Ollama's column, written by hand after https://docs.ollama.com/api/chat and its server's types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from support.params_calls import (
    ADD_PARAMETERS,
    ADD_TOOL,
    BE_BRIEF,
    CITY_SCHEMA,
    NOW_TOOL,
    NOW_TOOL_WITH_SCHEMA,
    PIXEL,
    PNG_DATA_URL,
    SIX_STOPS,
    SUM,
    image,
)
from support.params_notation import (
    GIVEN,
    REFUSED,
    UNSENT,
    USER,
    Branches,
    Expectation,
    ParamsCall,
    ProviderColumn,
    Unsupported,
    call,
)


def body(model: str, stream: bool) -> dict[str, Any]:
    """The body for one question; without `stream`, Ollama streams."""
    return {"model": model, "messages": [USER], "stream": stream}


def options(**values: Any) -> dict[str, Any]:
    """A body's options."""
    return {"options": values}


def called(call_id: str | None, **members: Any) -> dict[str, Any]:
    """A body's messages with a call and its result; legacy calls have no id."""
    function = {"name": "add", "arguments": {"a": 1}}
    own = {} if call_id is None else {"id": call_id}
    answered = {} if call_id is None else {"tool_call_id": call_id}
    return {
        "messages": [
            SUM,
            {"role": "assistant", "content": "", **members, "tool_calls": [{**own, "function": function}]},
            {"role": "tool", "content": "2", "tool_name": "add", **answered},
        ]
    }


NO_DETAIL = {"messages": [{"role": "user", "content": "Hi.", "images": [PIXEL]}]}
TEXT_ONLY = {"messages": [USER]}
URL_REFUSED = Unsupported("messages[0].content[1]", TEXT_ONLY)

EXPECTATIONS: Mapping[str, Expectation] = {
    # sampling
    "temperature=None": UNSENT,
    "temperature=0": options(temperature=0),
    "temperature=0.7": options(temperature=0.7),
    "temperature=1": options(temperature=1),
    "temperature=1.01": options(temperature=1.01),
    "temperature=2": options(temperature=2),
    "temperature=2.5": options(temperature=2.5),
    "temperature=5.5": options(temperature=5.5),
    "temperature=-0.1": REFUSED,
    "top_p=None": UNSENT,
    "top_p=0.5": options(top_p=0.5),
    "top_p=0.01": options(top_p=0.01),
    "top_p=0.99": options(top_p=0.99),
    "top_p=0": options(top_p=0),
    "top_p=1": options(top_p=1),
    "top_p=1.01": REFUSED,
    "top_p=-0.01": REFUSED,
    "temperature=0.2, top_p=0.9": options(temperature=0.2, top_p=0.9),
    "seed=0": options(seed=0),
    "seed=7": options(seed=7),
    "seed=-1": options(seed=-1),
    # penalties and biases
    # A model's own defaults may not be zero.
    "presence_penalty=0": options(presence_penalty=0),
    "presence_penalty=0.0": options(presence_penalty=0.0),
    "presence_penalty=0.5": options(presence_penalty=0.5),
    "presence_penalty=1": options(presence_penalty=1),
    "presence_penalty=1.5": options(presence_penalty=1.5),
    "presence_penalty=-0.5": options(presence_penalty=-0.5),
    "presence_penalty=2": options(presence_penalty=2),
    "presence_penalty=-2": options(presence_penalty=-2),
    "presence_penalty=2.1": options(presence_penalty=2.1),
    "presence_penalty=-2.1": options(presence_penalty=-2.1),
    "frequency_penalty=0": options(frequency_penalty=0),
    "frequency_penalty=0.0": options(frequency_penalty=0.0),
    "frequency_penalty=0.5": options(frequency_penalty=0.5),
    "frequency_penalty=1": options(frequency_penalty=1),
    "frequency_penalty=1.5": options(frequency_penalty=1.5),
    "frequency_penalty=-0.5": options(frequency_penalty=-0.5),
    "frequency_penalty=2": options(frequency_penalty=2),
    "frequency_penalty=-2": options(frequency_penalty=-2),
    "frequency_penalty=2.1": options(frequency_penalty=2.1),
    "frequency_penalty=-2.1": options(frequency_penalty=-2.1),
    "logit_bias={}": UNSENT,
    "logit_bias={'50256': -100}": REFUSED,
    "logit_bias={'50256': 0}": REFUSED,
    "logit_bias={50256: 100}": REFUSED,
    # length and stop sequences
    "n=None": UNSENT,
    "n=1": UNSENT,
    "n=3": Branches(3),
    "max_tokens=5": options(num_predict=5),
    "max_tokens=1": options(num_predict=1),
    # To Ollama, zero is no limit.
    "max_tokens=0": REFUSED,
    "max_completion_tokens=5": options(num_predict=5),
    "max_completion_tokens=1": options(num_predict=1),
    "max_completion_tokens=0": REFUSED,
    "max_tokens=9, max_completion_tokens=5": options(num_predict=5),
    "stop=None": UNSENT,
    "stop='END'": options(stop=["END"]),
    "stop=['a', 'b']": options(stop=["a", "b"]),
    "stop=('a', 'b')": options(stop=["a", "b"]),
    "stop=['a', 'b', 'c', 'd']": options(stop=SIX_STOPS[:4]),
    "stop=['a', 'b', 'c', 'd', 'e']": options(stop=SIX_STOPS[:5]),
    "stop=['a', 'b', 'c', 'd', 'e', 'f']": options(stop=SIX_STOPS),
    "stop='a,b'": options(stop=["a,b"]),
    "stop=['a', 'b,c']": options(stop=["a", "b,c"]),
    "stop='\\n\\n'": options(stop=["\n\n"]),
    "stop=['a', ' ']": options(stop=["a", " "]),
    # tools
    "functions=[]": UNSENT,
    "functions: add": {"tools": [ADD_TOOL]},
    "functions: now": {"tools": [NOW_TOOL]},
    "functions: add, function_call=auto": {"tools": [ADD_TOOL]},
    # There is no choice of tools: without tools, none can be called.
    "functions: add, function_call=none": UNSENT,
    "functions: add, function_call: add": Unsupported("function_call", {"tools": [ADD_TOOL]}),
    "functions: add and now, function_call: now": Unsupported("function_call", {"tools": [ADD_TOOL, NOW_TOOL]}),
    "functions: now, tools: add": {"tools": [ADD_TOOL, NOW_TOOL]},
    "function_call='auto'": UNSENT,
    "function_call='none'": UNSENT,
    "function_call='required'": REFUSED,
    "tools=[]": UNSENT,
    "tools: add": GIVEN,
    "tools: add and now": GIVEN,
    "tools: strict": Unsupported("tools[0].function.strict", {"tools": [ADD_TOOL]}),
    "tools: not strict": {"tools": [ADD_TOOL]},
    "tools: one of two strict": Unsupported("tools[1].function.strict", {"tools": [NOW_TOOL_WITH_SCHEMA, ADD_TOOL]}),
    "tools: custom and function": Unsupported("tools[0]", {"tools": [ADD_TOOL]}),
    "tools: web search": Unsupported("tools[0]"),
    "tools: add, tool_choice=auto": {"tools": [ADD_TOOL]},
    "tools: add, tool_choice=none": UNSENT,
    "tools: add and now, tool_choice=required": Unsupported("tool_choice", {"tools": [ADD_TOOL, NOW_TOOL_WITH_SCHEMA]}),
    "tools: add and now, tool_choice: add": Unsupported("tool_choice", {"tools": [ADD_TOOL, NOW_TOOL]}),
    "tools: add, tool_choice: allowed_tools": {"tools": [ADD_TOOL]},
    "tool_choice='auto'": UNSENT,
    "tool_choice='none'": UNSENT,
    "tool_choice='maybe'": REFUSED,
    "tool_choice='any'": REFUSED,
    "tools: add and now, tool_choice without type": Unsupported("tool_choice", {"tools": [ADD_TOOL, NOW_TOOL]}),
    "parallel_tool_calls=True": UNSENT,
    "parallel_tool_calls=False": REFUSED,
    "tools: add, parallel_tool_calls=True": {"tools": [ADD_TOOL]},
    "tools: add, parallel_tool_calls=False": Unsupported("parallel_tool_calls", {"tools": [ADD_TOOL]}),
    "tools: add, tool_choice=required, parallel_tool_calls=False": Unsupported("tool_choice", {"tools": [ADD_TOOL]}),
    "tools: add, tool_choice=none, parallel_tool_calls=False": Unsupported("parallel_tool_calls"),
    # form of the reply
    "response_format={'type': 'text'}": UNSENT,
    "response_format={'type': 'json_object'}": {"format": "json"},
    "response_format: json_schema": {"format": CITY_SCHEMA},
    "response_format: json_schema, tools: add": {"format": CITY_SCHEMA, "tools": [ADD_TOOL]},
    "response_format: text, tools: add": {"tools": [ADD_TOOL]},
    "response_format: grammar": REFUSED,
    "logprobs=False": UNSENT,
    "logprobs=True": GIVEN,
    "logprobs=5": REFUSED,
    "top_logprobs=0": GIVEN,
    "top_logprobs=20": GIVEN,
    "top_logprobs=21": REFUSED,
    "logprobs=True, top_logprobs=5": GIVEN,
    "modalities=['text']": UNSENT,
    "modalities=['text', 'audio']": REFUSED,
    "modalities=['text', 'audio'], audio={'voice': 'alloy', 'format': 'wav'}": Unsupported("modalities"),
    "audio={'voice': 'alloy', 'format': 'wav'}": REFUSED,
    "verbosity='low'": REFUSED,
    "prediction={'type': 'content', 'content': 'Hi.'}": REFUSED,
    # thinking
    "reasoning_effort=None": UNSENT,
    "reasoning_effort='none'": {"think": False},
    "reasoning_effort='minimal'": REFUSED,
    "reasoning_effort='low'": {"think": "low"},
    "reasoning_effort='medium'": {"think": "medium"},
    "reasoning_effort='high'": {"think": "high"},
    "reasoning_effort='xhigh'": REFUSED,
    "reasoning_effort='max'": {"think": "max"},
    "reasoning_effort='ultra'": REFUSED,
    "reasoning_effort='high', max_tokens=4097": {"think": "high", **options(num_predict=4097)},
    "reasoning_effort='high', max_tokens=4096": {"think": "high", **options(num_predict=4096)},
    "thinking={'type': 'enabled', 'budget_tokens': 2048}": Unsupported("thinking.budget_tokens", {"think": True}),
    "thinking={'type': 'disabled'}": {"think": False},
    "thinking={'type': 'adaptive'}": Unsupported("thinking.type"),
    "thinking and reasoning_effort": Unsupported("thinking.budget_tokens", {"think": True}),
    # streams
    "stream": UNSENT,
    "stream_options={'include_usage': True}": UNSENT,
    "stream_options={'include_usage': True}, stream": UNSENT,
    "stream_options={'include_usage': False}, stream": UNSENT,
    "stream_options={'include_obfuscation': False}, stream": UNSENT,
    "stream_options={'include_obfuscation': True}, stream": Unsupported("stream_options.include_obfuscation"),
    "max_completion_tokens=5, stream": options(num_predict=5),
    # accounts, caches and others
    "user='u-1'": REFUSED,
    "service_tier='auto'": UNSENT,
    "service_tier='default'": REFUSED,
    "service_tier='standard'": REFUSED,
    "service_tier='standard_only'": REFUSED,
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
    "no-op values": options(presence_penalty=0, frequency_penalty=0),
    "extra_body={'top_k': 5}": {"top_k": 5},
    # messages
    "messages: user": GIVEN,
    "messages: system, user": GIVEN,
    "messages: developer, user": {"messages": [BE_BRIEF, USER]},
    "messages: two systems, user": GIVEN,
    "messages: user, system": GIVEN,
    "messages: three turns": GIVEN,
    "messages: user with a name": Unsupported("messages[0].name"),
    "messages: system with a name": Unsupported("messages[0].name", {"messages": [BE_BRIEF, USER]}),
    "messages: user with a text part": TEXT_ONLY,
    "image: https": URL_REFUSED,
    "image: data URL": NO_DETAIL,
    "image: http": URL_REFUSED,
    "image: detail auto": URL_REFUSED,
    "image: detail high": URL_REFUSED,
    "image: bare URL": URL_REFUSED,
    "audio part": URL_REFUSED,
    "file part: data": URL_REFUSED,
    "file part: id": URL_REFUSED,
    "messages: tool result": called("c1"),
    "messages: function result": called(None),
    "messages: function result without a call": {
        "messages": [SUM, {"role": "tool", "content": "2", "tool_name": "add"}]
    },
    "messages: unknown member": GIVEN,
}

OWN_EXPECTATIONS: tuple[tuple[ParamsCall, Expectation], ...] = (
    (
        call(
            "ollama: options and others", temperature=0.5, extra_body={"options": {"num_ctx": 8192}, "keep_alive": "5m"}
        ),
        {"options": {"temperature": 0.5, "num_ctx": 8192}, "keep_alive": "5m"},
    ),
    (
        call("ollama: an option given twice", max_tokens=5, extra_body={"options": {"num_predict": -2}}),
        options(num_predict=-2),
    ),
    (call("ollama: truncate", extra_body={"truncate": False, "shift": False}), {"truncate": False, "shift": False}),
    (call("ollama: thinking on", thinking={"type": "enabled"}), {"think": True}),
    (
        call("ollama: image with high detail", messages=[image({"url": PNG_DATA_URL, "detail": "high"})]),
        Unsupported("messages[0].content[1].image_url.detail", NO_DETAIL),
    ),
    (
        call(
            "ollama: reasoning goes back",
            messages=[USER, {"role": "assistant", "content": "Yes.", "reasoning_content": "Hm."}, USER],
        ),
        {"messages": [USER, {"role": "assistant", "content": "Yes.", "thinking": "Hm."}, USER]},
    ),
    (
        call(
            "ollama: two texts",
            messages=[{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}],
        ),
        {"messages": [{"role": "user", "content": "a\nb"}]},
    ),
)

LEGACY_EXPECTATIONS: Mapping[str, Expectation] = {
    "messages: role system": GIVEN,
    "messages: role user": GIVEN,
    "messages: role assistant": GIVEN,
    "messages: role function": called(None),
    "messages: role tool": called("c1"),
    "messages: content": GIVEN,
    "messages: name": Unsupported("messages[0].name"),
    "messages: function_call": {
        "messages": [
            SUM,
            {
                "role": "assistant",
                "content": "Let me add.",
                "tool_calls": [{"function": {"name": "add", "arguments": {}}}],
            },
            {"role": "tool", "content": "2", "tool_name": "add"},
        ]
    },
    "functions: name": {"tools": [{"type": "function", "function": {"name": "now"}}]},
    "functions: description": {
        "tools": [{"type": "function", "function": {"name": "now", "description": "The time."}}]
    },
    "functions: parameters": {
        "tools": [{"type": "function", "function": {"name": "add", "parameters": ADD_PARAMETERS}}]
    },
    "function_call": Unsupported("function_call", {"tools": [ADD_TOOL]}),
    "temperature": options(temperature=0.5),
    "top_p": options(top_p=0.5),
    "n": Branches(2),
    "stream": UNSENT,
    "stop": options(stop=["END"]),
    "max_tokens": options(num_predict=9),
    "presence_penalty": options(presence_penalty=0.5),
    "frequency_penalty": options(frequency_penalty=0.5),
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
    model="qwen3:8b",
    path="/ollama/api/chat",
    stream_type="application/x-ndjson",
    long_tool_names=True,
    unknown_parts=False,
    key_header=("authorization", "Bearer the-key"),
    key_variables=("OLLAMA_API_KEY",),
    url_variables=("OLLAMA_API_BASE",),
    body=body,
    expectations=EXPECTATIONS,
    own_expectations=OWN_EXPECTATIONS,
    legacy_expectations=LEGACY_EXPECTATIONS,
)
