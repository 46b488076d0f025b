"""Calls of the parameter table: those for which every column has an expectation, and those that are always invalid.

`params_notation` explains a call; a column of `params_table` refers to a call by its name.
"""

from __future__ import annotations

from typing import Any

from support.params_notation import USER, ParamsCall, call

NAN, INF = float("nan"), float("inf")

SIX_STOPS = ["a", "b", "c", "d", "e", "f"]

ADD_PARAMETERS = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
NO_PARAMETERS = {"type": "object", "properties": {}}
ADD = {"name": "add", "description": "Adds.", "parameters": ADD_PARAMETERS}
NOW = {"name": "now"}
ADD_TOOL = {"type": "function", "function": ADD}
NOW_TOOL = {"type": "function", "function": NOW}
NOW_TOOL_WITH_SCHEMA = {"type": "function", "function": {"name": "now", "parameters": NO_PARAMETERS}}
NAMED_ADD = {"type": "function", "function": {"name": "add"}}
CUSTOM_TOOL = {"type": "custom", "custom": {"name": "sql", "format": {"type": "text"}}}
ANTHROPIC_SEARCH = {"type": "web_search_20250305", "name": "web_search"}
ALLOWED_TOOLS = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [NAMED_ADD]}}

JSON_OBJECT = {"type": "json_object"}
CITY_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
CITY_FORMAT = {"type": "json_schema", "json_schema": {"name": "city", "strict": True, "schema": CITY_SCHEMA}}

ADAPTIVE_THINKING = {"type": "adaptive"}
THINKING_BUDGET = {"type": "enabled", "budget_tokens": 2048}

BE_BRIEF = {"role": "system", "content": "Be brief."}
BE_KIND = {"role": "system", "content": "Be kind."}
THREE_TURNS = [USER, {"role": "assistant", "content": "Hello."}, {"role": "user", "content": "Bye."}]
TEXT_PART = {"type": "text", "text": "Hi."}
TEXT_PART_ONLY = {"messages": [{"role": "user", "content": [TEXT_PART]}]}
PIXEL = "iVBORw0KGgo="
PNG_DATA_URL = f"data:image/png;base64,{PIXEL}"
AUDIO_PART = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
AUDIO_MESSAGE = {"role": "user", "content": [TEXT_PART, AUDIO_PART]}
SUM = {"role": "user", "content": "1+1?"}
ADD_CALL = {"name": "add", "arguments": '{"a":1}'}
TOOL_CALLS = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "c1", "type": "function", "function": ADD_CALL}],
}
TOOL_RESULT = {"role": "tool", "tool_call_id": "c1", "content": "2"}
FUNCTION_CALL = {"role": "assistant", "content": None, "function_call": ADD_CALL}
FUNCTION_RESULT = {"role": "function", "name": "add", "content": "2"}


def add_tool(*, strict: bool) -> dict[str, Any]:
    """The tool "add" with its member `strict`."""
    return {"type": "function", "function": {**ADD, "strict": strict}}


def image(image_url: Any) -> dict[str, Any]:
    """A user message with an image."""
    return {"role": "user", "content": [TEXT_PART, {"type": "image_url", "image_url": image_url}]}


def file(members: dict[str, Any]) -> dict[str, Any]:
    """A user message with a file."""
    return {"role": "user", "content": [TEXT_PART, {"type": "file", "file": members}]}


def tool_calls(call_id: str, **members: Any) -> dict[str, Any]:
    """A body's messages with a call and its result in the tools form."""
    tool_call = {"id": call_id, "type": "function", "function": ADD_CALL}
    return {
        "messages": [
            SUM,
            {"role": "assistant", **members, "tool_calls": [tool_call]},
            {"role": "tool", "tool_call_id": call_id, "content": "2"},
        ]
    }


CALLS: tuple[ParamsCall, ...] = (
    # sampling
    call(temperature=None),
    call(temperature=0),
    call(temperature=0.7),
    call(temperature=1),
    call(temperature=1.01),
    call(temperature=2),
    call(temperature=2.5),
    call(temperature=5.5),
    call(temperature=-0.1),
    call(top_p=None),
    call(top_p=0.5),
    call(top_p=0.01),
    call(top_p=0.99),
    call(top_p=0),
    call(top_p=1),
    call(top_p=1.01),
    call(top_p=-0.01),
    call(temperature=0.2, top_p=0.9),
    call(seed=0),
    call(seed=7),
    call(seed=-1),
    # penalties and biases
    call(presence_penalty=0),
    call(presence_penalty=0.0),
    call(presence_penalty=0.5),
    call(presence_penalty=1),
    call(presence_penalty=1.5),
    call(presence_penalty=-0.5),
    call(presence_penalty=2),
    call(presence_penalty=-2),
    call(presence_penalty=2.1),
    call(presence_penalty=-2.1),
    call(frequency_penalty=0),
    call(frequency_penalty=0.0),
    call(frequency_penalty=0.5),
    call(frequency_penalty=1),
    call(frequency_penalty=1.5),
    call(frequency_penalty=-0.5),
    call(frequency_penalty=2),
    call(frequency_penalty=-2),
    call(frequency_penalty=2.1),
    call(frequency_penalty=-2.1),
    call(logit_bias={}),
    call(logit_bias={"50256": -100}),
    call(logit_bias={"50256": 0}),
    call(logit_bias={50256: 100}),
    # length and stop sequences
    call(n=None),
    call(n=1),
    call(n=3),
    call(max_tokens=5),
    call(max_tokens=1),
    call(max_tokens=0),
    call(max_completion_tokens=5),
    call(max_completion_tokens=1),
    call(max_completion_tokens=0),
    call(max_tokens=9, max_completion_tokens=5),
    call(stop=None),
    call(stop="END"),
    call(stop=["a", "b"]),
    call(stop=("a", "b")),
    call(stop=SIX_STOPS[:4]),
    call(stop=SIX_STOPS[:5]),
    call(stop=SIX_STOPS),
    call(stop="a,b"),
    call(stop=["a", "b,c"]),
    call(stop="\n\n"),
    call(stop=["a", " "]),
    # tools
    call(functions=[]),
    call("functions: add", functions=[ADD]),
    call("functions: now", functions=[NOW]),
    call("functions: add, function_call=auto", functions=[ADD], function_call="auto"),
    call("functions: add, function_call=none", functions=[ADD], function_call="none"),
    call("functions: add, function_call: add", functions=[ADD], function_call={"name": "add"}),
    call("functions: add and now, function_call: now", functions=[ADD, NOW], function_call=NOW),
    call("functions: now, tools: add", functions=[NOW], tools=[ADD_TOOL]),
    call(function_call="auto"),
    call(function_call="none"),
    call(function_call="required"),
    call(tools=[]),
    call("tools: add", tools=[ADD_TOOL]),
    call("tools: add and now", tools=[ADD_TOOL, NOW_TOOL]),
    call("tools: strict", tools=[add_tool(strict=True)]),
    call("tools: not strict", tools=[add_tool(strict=False)]),
    call("tools: one of two strict", tools=[NOW_TOOL_WITH_SCHEMA, add_tool(strict=True)]),
    call("tools: custom and function", tools=[CUSTOM_TOOL, ADD_TOOL]),
    call("tools: web search", tools=[ANTHROPIC_SEARCH]),
    call("tools: add, tool_choice=auto", tools=[ADD_TOOL], tool_choice="auto"),
    call("tools: add, tool_choice=none", tools=[ADD_TOOL], tool_choice="none"),
    call("tools: add and now, tool_choice=required", tools=[ADD_TOOL, NOW_TOOL_WITH_SCHEMA], tool_choice="required"),
    call("tools: add and now, tool_choice: add", tools=[ADD_TOOL, NOW_TOOL], tool_choice=NAMED_ADD),
    call("tools: add, tool_choice: allowed_tools", tools=[ADD_TOOL], tool_choice=ALLOWED_TOOLS),
    call(tool_choice="auto"),
    call(tool_choice="none"),
    call(tool_choice="maybe"),
    call(tool_choice="any"),
    call(
        "tools: add and now, tool_choice without type",
        tools=[ADD_TOOL, NOW_TOOL],
        tool_choice={"function": {"name": "add"}},
    ),
    call(parallel_tool_calls=True),
    call(parallel_tool_calls=False),
    call("tools: add, parallel_tool_calls=True", tools=[ADD_TOOL], parallel_tool_calls=True),
    call("tools: add, parallel_tool_calls=False", tools=[ADD_TOOL], parallel_tool_calls=False),
    call(
        "tools: add, tool_choice=required, parallel_tool_calls=False",
        tools=[ADD_TOOL],
        tool_choice="required",
        parallel_tool_calls=False,
    ),
    call(
        "tools: add, tool_choice=none, parallel_tool_calls=False",
        tools=[ADD_TOOL],
        tool_choice="none",
        parallel_tool_calls=False,
    ),
    # form of the reply
    call(response_format={"type": "text"}),
    call(response_format=JSON_OBJECT),
    call("response_format: json_schema", response_format=CITY_FORMAT),
    call("response_format: json_schema, tools: add", response_format=CITY_FORMAT, tools=[ADD_TOOL]),
    call("response_format: text, tools: add", response_format={"type": "text"}, tools=[ADD_TOOL]),
    call("response_format: grammar", response_format={"type": "grammar", "grammar": "root ::= 'a'"}),
    call(logprobs=False),
    call(logprobs=True),
    call(logprobs=5),
    call(top_logprobs=0),
    call(top_logprobs=20),
    call(top_logprobs=21),
    call(logprobs=True, top_logprobs=5),
    call(modalities=["text"]),
    call(modalities=["text", "audio"]),
    call(modalities=["text", "audio"], audio={"voice": "alloy", "format": "wav"}),
    call(audio={"voice": "alloy", "format": "wav"}),
    call(verbosity="low"),
    call(prediction={"type": "content", "content": "Hi."}),
    # thinking
    call(reasoning_effort=None),
    call(reasoning_effort="none"),
    call(reasoning_effort="minimal"),
    call(reasoning_effort="low"),
    call(reasoning_effort="medium"),
    call(reasoning_effort="high"),
    call(reasoning_effort="xhigh"),
    call(reasoning_effort="max"),
    call(reasoning_effort="ultra"),
    call(reasoning_effort="high", max_tokens=4097),
    call(reasoning_effort="high", max_tokens=4096),
    call(thinking=THINKING_BUDGET),
    call(thinking={"type": "disabled"}),
    call(thinking=ADAPTIVE_THINKING),
    call("thinking and reasoning_effort", thinking=THINKING_BUDGET, reasoning_effort="low"),
    # streams
    call("stream", stream=True),
    call(stream_options={"include_usage": True}),
    call(stream=True, stream_options={"include_usage": True}),
    call(stream=True, stream_options={"include_usage": False}),
    call(stream=True, stream_options={"include_obfuscation": False}),
    call(stream=True, stream_options={"include_obfuscation": True}),
    call(stream=True, max_completion_tokens=5),
    # accounts, caches and others
    call(user="u-1"),
    call(service_tier="auto"),
    call(service_tier="default"),
    call(service_tier="standard"),
    call(service_tier="standard_only"),
    call(service_tier="flex"),
    call(store=False),
    call(store=True),
    call(metadata={}),
    call(metadata={"job": "7"}),
    call(prompt_cache_key="k"),
    call(prompt_cache_retention="24h"),
    call(prompt_cache_options={"mode": "explicit", "ttl": "30m"}),
    call(safety_identifier="s-1"),
    call(web_search_options={"search_context_size": "low"}),
    call(moderation={"model": "omni-moderation-latest"}),
    call(
        "no-op values",
        n=1,
        presence_penalty=0,
        frequency_penalty=0,
        logit_bias={},
        logprobs=False,
        store=False,
        response_format={"type": "text"},
        parallel_tool_calls=True,
    ),
    call(extra_body={"top_k": 5}),
    # messages
    call("messages: user", messages=[USER]),
    call("messages: system, user", messages=[BE_BRIEF, USER]),
    call("messages: developer, user", messages=[{"role": "developer", "content": "Be brief."}, USER]),
    call("messages: two systems, user", messages=[BE_BRIEF, BE_KIND, USER]),
    call("messages: user, system", messages=[USER, BE_BRIEF]),
    call("messages: three turns", messages=THREE_TURNS),
    call("messages: user with a name", messages=[{"role": "user", "content": "Hi.", "name": "ann"}]),
    call("messages: system with a name", messages=[{"role": "system", "content": "Be brief.", "name": "rules"}, USER]),
    call("messages: user with a text part", messages=[{"role": "user", "content": [TEXT_PART]}]),
    call("image: https", messages=[image({"url": "https://example.com/a.png"})]),
    call("image: data URL", messages=[image({"url": PNG_DATA_URL})]),
    call("image: http", messages=[image({"url": "http://example.com/a.png"})]),
    call("image: detail auto", messages=[image({"url": "https://example.com/a.png", "detail": "auto"})]),
    call("image: detail high", messages=[image({"url": "https://example.com/a.png", "detail": "high"})]),
    call("image: bare URL", messages=[image("https://example.com/a.png")]),
    call("audio part", messages=[AUDIO_MESSAGE]),
    call(
        "file part: data", messages=[file({"file_data": "data:application/pdf;base64,JVBERg==", "filename": "a.pdf"})]
    ),
    call("file part: id", messages=[file({"file_id": "file-1"})]),
    call("messages: tool result", messages=[SUM, TOOL_CALLS, TOOL_RESULT]),
    call("messages: function result", messages=[SUM, FUNCTION_CALL, FUNCTION_RESULT]),
    call("messages: function result without a call", messages=[SUM, FUNCTION_RESULT]),
    call(
        "messages: unknown member",
        messages=[{"role": "user", "content": "Hi.", "cache_control": {"type": "ephemeral"}}],
    ),
)
"""Every column has an expectation for each of these."""

INVALID_CALLS: tuple[tuple[ParamsCall, str], ...] = (
    # sampling
    (call(temperature="1"), "temperature"),
    (call(temperature=True), "temperature"),
    (call(temperature=NAN), "temperature"),
    (call(temperature=INF), "temperature"),
    (call(temperature=[1]), "temperature"),
    (call(top_p="0.5"), "top_p"),
    (call(top_p=False), "top_p"),
    (call(top_p=NAN), "top_p"),
    (call(seed=1.5), "seed"),
    (call(seed="7"), "seed"),
    (call(seed=True), "seed"),
    (call(seed=2**63), "seed"),
    # penalties and biases
    (call(presence_penalty="high"), "presence_penalty"),
    (call(presence_penalty=True), "presence_penalty"),
    (call(presence_penalty=NAN), "presence_penalty"),
    (call(frequency_penalty="high"), "frequency_penalty"),
    (call(frequency_penalty=True), "frequency_penalty"),
    (call(frequency_penalty=NAN), "frequency_penalty"),
    (call(logit_bias={"5": 101}), "logit_bias.5"),
    (call(logit_bias=[]), "logit_bias"),
    (call(logit_bias="x"), "logit_bias"),
    (call(logit_bias={"word": 1}), "logit_bias"),
    # length and stop sequences
    (call(n=0), "n"),
    (call(n=-1), "n"),
    (call(n=2.0), "n"),
    (call(n="2"), "n"),
    (call(n=True), "n"),
    (call(n=1025), "n"),
    (call(max_tokens=-1), "max_tokens"),
    (call(max_tokens=1.5), "max_tokens"),
    (call(max_tokens="5"), "max_tokens"),
    (call(max_tokens=True), "max_tokens"),
    (call(max_tokens=2**63), "max_tokens"),
    (call(max_completion_tokens=-1), "max_completion_tokens"),
    (call(max_completion_tokens=1.5), "max_completion_tokens"),
    (call(max_completion_tokens="5"), "max_completion_tokens"),
    (call(stop=""), "stop"),
    (call(stop=[]), "stop"),
    (call(stop=["a", ""]), "stop"),
    (call(stop=5), "stop"),
    (call(stop={"a": 1}), "stop"),
    (call(stop=["a", 1]), "stop[1]"),
    # tools
    (call(function_call=5), "function_call"),
    (call(function_call={"name": "add"}), "function_call"),
    (call(function_call={}), "function_call"),
    (call(functions="add"), "functions"),
    (call(functions={"name": "add"}), "functions"),
    (call(functions=[5]), "functions[0]"),
    (call(functions=[{"name": "two words"}]), "functions[0].name"),
    (call(functions=[NOW, NOW]), "functions[1].name"),
    (call(functions=[{"name": "f", "parameters": {"type": "array"}}]), "functions[0].parameters.type"),
    (call(tools="add"), "tools"),
    (call(tools=ADD_TOOL), "tools"),
    (call(tools=[5]), "tools[0]"),
    (call(tools=[{"type": "function"}]), "tools[0].function"),
    (call(tools=[NOW_TOOL, NOW_TOOL]), "tools[1].function.name"),
    (call(tool_choice=5), "tool_choice"),
    (call(tool_choice=NAMED_ADD), "tool_choice"),
    (call(tool_choice={}), "tool_choice.type"),
    (call(tool_choice={"type": "function"}), "tool_choice"),
    (call(parallel_tool_calls="no"), "parallel_tool_calls"),
    (call(parallel_tool_calls=0), "parallel_tool_calls"),
    # form of the reply
    (call(response_format="json"), "response_format"),
    (call(response_format=[]), "response_format"),
    (call(response_format={}), "response_format.type"),
    (call(response_format={"type": "json_schema"}), "response_format.json_schema"),
    (call(logprobs=-1), "logprobs"),
    (call(logprobs=1.0), "logprobs"),
    (call(logprobs="yes"), "logprobs"),
    (call(top_logprobs=-1), "top_logprobs"),
    (call(top_logprobs=1.0), "top_logprobs"),
    (call(top_logprobs=True), "top_logprobs"),
    (call(modalities="text"), "modalities"),
    (call(modalities={}), "modalities"),
    (call(modalities=[1]), "modalities[0]"),
    (call(audio="alloy"), "audio"),
    (call(verbosity=1), "verbosity"),
    (call(prediction="Hi."), "prediction"),
    # thinking
    (call(reasoning_effort=5), "reasoning_effort"),
    (call(reasoning_effort=["low"]), "reasoning_effort"),
    (call(thinking=True), "thinking"),
    (call(thinking="on"), "thinking"),
    # streams
    (call(stream=True, stream_options=True), "stream_options"),
    # accounts, caches and others
    (call(user=5), "user"),
    (call(service_tier=1), "service_tier"),
    (call(store="yes"), "store"),
    (call(store=1), "store"),
    (call(metadata="job"), "metadata"),
    (call(metadata=["job"]), "metadata"),
    (call(prompt_cache_key=5), "prompt_cache_key"),
    (call(prompt_cache_retention=24), "prompt_cache_retention"),
    (call(prompt_cache_options="explicit"), "prompt_cache_options"),
    (call(safety_identifier=5), "safety_identifier"),
    (call(web_search_options=True), "web_search_options"),
    (call(moderation=True), "moderation"),
    (call(extra_body={"model": "another"}), "extra_body.model"),
    # messages
    (call(messages=[{"role": "user"}]), "messages[0].content"),
    (call(messages=[{"content": "Hi."}]), "messages[0].role"),
    (call(messages=[{"role": "user", "content": 5}]), "messages[0].content"),
    (call(messages=[{"role": "user", "content": [{"text": "Hi."}]}]), "messages[0].content[0].type"),
    (call(messages=[image({})]), "messages[0].content[1].image_url.url"),
    (call(messages=[USER, 5]), "messages[1]"),
    (call(messages=[]), "messages"),
)
"""Call → the parameter that `InvalidRequestError` names, whatever the provider and the policy."""
