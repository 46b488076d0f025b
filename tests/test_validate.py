"""Validation: what nobody can mean is refused by name, and everything else reaches the wire as it was written."""

import enum
import json
import math
import types
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anycompletion import validate
from anycompletion.convert import dumps, to_wire
from anycompletion.errors import InvalidRequestError
from anycompletion.options import CallOptions, Secret, Timeout
from anycompletion.records import (
    PARAM_NAMES,
    AssistantMessage,
    ChatRequest,
    CustomCall,
    CustomMessage,
    CustomTool,
    FunctionCall,
    FunctionDefinition,
    FunctionMessage,
    FunctionTool,
    ImagePart,
    ImageUrl,
    TextPart,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from anycompletion.validate import (
    call_options,
    chat_request,
    explain_unsendable,
    read_messages,
    ready_request,
    split_keywords,
    unknown_keyword,
)

NAN, INF = math.nan, math.inf


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


CYCLE: dict[str, Any] = {}
CYCLE["self"] = [CYCLE]
SELF_LIST: list[Any] = []
SELF_LIST.append(SELF_LIST)
SELF_PART = TextPart("x")
SELF_PART.extra["self"] = SELF_PART


def request(**params: Any) -> ChatRequest:
    """What `create` makes of its arguments before anything is sent."""
    model, messages = params.pop("model", "openai/gpt-4o"), params.pop("messages", "Hi")
    stream = params.pop("stream", False)
    wire, options = split_keywords(params)
    call_options(options)
    return chat_request(model, messages, wire, stream=stream)


def user(content: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content}]


def assistant(**members: Any) -> list[dict[str, Any]]:
    return [{"role": "assistant", **members}]


def tool(**function: Any) -> list[dict[str, Any]]:
    return [{"type": "function", "function": function}]


def generator() -> Iterator[dict[str, str]]:
    yield {"role": "user", "content": "x"}


F = {"name": "f"}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}

# (parameter, bad value, where the refusal points)
REFUSED: list[tuple[str, Any, str]] = [
    # messages
    ("messages", [], "messages"),
    ("messages", (), "messages"),
    ("messages", {"role": "user", "content": "x"}, "messages"),
    ("messages", UserMessage("x"), "messages"),
    ("messages", 5, "messages"),
    ("messages", None, "messages"),
    ("messages", b"x", "messages"),
    ("messages", {1, 2}, "messages"),
    ("messages", generator(), "messages"),
    ("messages", ["x"], "messages[0]"),
    ("messages", [None], "messages[0]"),
    ("messages", [UserMessage("x"), 5], "messages[1]"),
    ("messages", [[]], "messages[0]"),
    ("messages", SELF_LIST, "messages[0]"),
    ("messages", [TextPart("x")], "messages[0]"),
    ("messages", [{}], "messages[0].role"),
    ("messages", [{"content": "x"}], "messages[0].role"),
    ("messages", [{"role": None, "content": "x"}], "messages[0].role"),
    ("messages", [{"role": "", "content": "x"}], "messages[0].role"),
    ("messages", [{"role": 5, "content": "x"}], "messages[0].role"),
    ("messages", [{"role": ["user"], "content": "x"}], "messages[0].role"),
    ("messages", [{"role": {}, "content": "x", "y": 1}], "messages[0].role"),
    ("messages", [UserMessage("x", role=5)], "messages[0].role"),  # type: ignore[arg-type]
    ("messages", [{"role": "user"}], "messages[0].content"),
    ("messages", user(None), "messages[0].content"),
    ("messages", user(5), "messages[0].content"),
    ("messages", user({}), "messages[0].content"),
    ("messages", user(b"x"), "messages[0].content"),
    ("messages", user(generator()), "messages[0].content"),
    ("messages", user(["x"]), "messages[0].content[0]"),
    ("messages", user([None]), "messages[0].content[0]"),
    ("messages", user([UserMessage("x")]), "messages[0].content[0]"),
    ("messages", user(SELF_LIST), "messages[0].content[0]"),
    ("messages", user([{}]), "messages[0].content[0].type"),
    ("messages", user([{"text": "x"}]), "messages[0].content[0].type"),
    ("messages", user([{"type": 5}]), "messages[0].content[0].type"),
    ("messages", user([{"type": ""}]), "messages[0].content[0].type"),
    ("messages", user([{"type": "text"}]), "messages[0].content[0].text"),
    ("messages", user([{"type": "text", "text": None}]), "messages[0].content[0].text"),
    ("messages", user([{"type": "text", "text": "x"}, {"type": "text", "text": 5}]), "messages[0].content[1].text"),
    ("messages", user([{"type": "image_url"}]), "messages[0].content[0].image_url"),
    ("messages", user([{"type": "image_url", "image_url": ["u"]}]), "messages[0].content[0].image_url"),
    ("messages", user([ImagePart(ImageUrl(5, bare=True))]), "messages[0].content[0].image_url.url"),  # type: ignore[arg-type]
    ("messages", user([{"type": "image_url", "image_url": {}}]), "messages[0].content[0].image_url.url"),
    ("messages", user([{"type": "image_url", "image_url": {"url": 5}}]), "messages[0].content[0].image_url.url"),
    ("messages", user([ImagePart(ImageUrl("u", 5))]), "messages[0].content[0].image_url.detail"),  # type: ignore[arg-type]
    (
        "messages",
        user([{"type": "input_audio", "input_audio": {"data": "x"}}]),
        "messages[0].content[0].input_audio.format",
    ),
    ("messages", user([{"type": "file", "file": {"file_id": 5}}]), "messages[0].content[0].file.file_id"),
    ("messages", user([{"type": "text", "text": "x", "y": object()}]), "messages[0].content[0].y"),
    ("messages", user([{"type": "video", "y": {"z": [1, NAN]}}]), "messages[0].content[0].y.z[1]"),
    ("messages", user([{"type": "text", "text": "x", 5: 1}]), "messages[0].content[0]"),
    ("messages", user([SELF_PART]), "messages[0].content[0]"),
    ("messages", [{"role": "user", "content": "x", "name": 5}], "messages[0].name"),
    ("messages", [UserMessage("x", 5)], "messages[0].name"),  # type: ignore[arg-type]
    ("messages", [UserMessage("x", extra={"y": object()})], "messages[0].y"),
    ("messages", [UserMessage("x", extra={"y": NAN})], "messages[0].y"),
    ("messages", [UserMessage(5)], "messages[0].content"),  # type: ignore[arg-type]
    ("messages", [{"role": "user", "content": "x", "y": {1, 2}}], "messages[0].y"),
    ("messages", [{"role": "user", "content": "x", "y": b"z"}], "messages[0].y"),
    ("messages", [{"role": "user", "content": "x", "y": CYCLE}], "messages[0]"),
    ("messages", [{"role": "user", "content": "x", 5: 6}], "messages[0]"),
    ("messages", [{"role": "critic", "y": object()}], "messages[0].y"),
    ("messages", [CustomMessage("critic", extra={"y": 1j})], "messages[0].y"),
    ("messages", [{"role": "tool", "content": "x"}], "messages[0].tool_call_id"),
    ("messages", [{"role": "tool", "content": "x", "tool_call_id": None}], "messages[0].tool_call_id"),
    ("messages", [{"role": "tool", "content": "x", "tool_call_id": 5}], "messages[0].tool_call_id"),
    ("messages", [{"role": "tool", "tool_call_id": "c"}], "messages[0].content"),
    ("messages", [ToolMessage({"a": 1}, "c")], "messages[0].content"),  # type: ignore[arg-type]
    ("messages", [{"role": "function", "content": "x"}], "messages[0].name"),
    ("messages", [{"role": "function", "name": "f"}], "messages[0].content"),
    ("messages", [FunctionMessage([TextPart("x")], "f")], "messages[0].content"),  # type: ignore[arg-type]
    ("messages", assistant(content=5), "messages[0].content"),
    ("messages", assistant(refusal=5), "messages[0].refusal"),
    ("messages", assistant(tool_calls=5), "messages[0].tool_calls"),
    ("messages", assistant(tool_calls=""), "messages[0].tool_calls"),
    ("messages", assistant(tool_calls={}), "messages[0].tool_calls"),
    ("messages", assistant(tool_calls=iter([CALL])), "messages[0].tool_calls"),
    ("messages", assistant(tool_calls=[None]), "messages[0].tool_calls[0]"),
    ("messages", assistant(tool_calls=[CALL, "f"]), "messages[0].tool_calls[1]"),
    ("messages", assistant(tool_calls=[{"type": "function"}]), "messages[0].tool_calls[0].id"),
    ("messages", assistant(tool_calls=[CALL | {"id": 5}]), "messages[0].tool_calls[0].id"),
    ("messages", assistant(tool_calls=[CALL | {"function": "f"}]), "messages[0].tool_calls[0].function"),
    ("messages", assistant(tool_calls=[CALL | {"function": {}}]), "messages[0].tool_calls[0].function.name"),
    (
        "messages",
        assistant(tool_calls=[CALL | {"function": {"name": "f", "arguments": {"a": 1}}}]),
        "messages[0].tool_calls[0].function.arguments",
    ),
    ("messages", assistant(function_call={"arguments": "{}"}), "messages[0].function_call.name"),
    ("messages", assistant(audio="a"), "messages[0].audio"),
    ("messages", assistant(audio={"expires_at": "soon"}), "messages[0].audio.expires_at"),
    ("messages", assistant(audio={"expires_at": True}), "messages[0].audio.expires_at"),
    ("messages", assistant(annotations="x"), "messages[0].annotations"),
    ("messages", assistant(annotations=[{}]), "messages[0].annotations[0].type"),
    ("messages", assistant(thinking_blocks={}), "messages[0].thinking_blocks"),
    ("messages", assistant(thinking_blocks=["x"]), "messages[0].thinking_blocks[0]"),
    ("messages", assistant(thinking_blocks=[{}, {"a": object()}]), "messages[0].thinking_blocks[1].a"),
    ("messages", assistant(reasoning_details=[{"a": NAN}]), "messages[0].reasoning_details[0].a"),
    ("messages", assistant(reasoning_content=5), "messages[0].reasoning_content"),
    ("messages", assistant(provider_specific_fields=[]), "messages[0].provider_specific_fields"),
    ("messages", assistant(provider_specific_fields={"a": {5j}}), "messages[0].provider_specific_fields.a"),
    ("messages", [AssistantMessage(tool_calls=[ToolCall(5)])], "messages[0].tool_calls[0].id"),  # type: ignore[arg-type]
    # model
    ("model", None, "model"),
    ("model", 5, "model"),
    ("model", b"gpt-4o", "model"),
    ("model", "", "model"),
    ("model", " \t", "model"),
    ("model", "gpt\r\nX: y", "model"),
    ("model", "gpt\n", "model"),
    ("model", "gpt\0", "model"),
    ("model", "gpt\x7f", "model"),
    ("model", "gpt\ud800", "model"),
    ("model", "m" * 513, "model"),
    # numbers
    *((name, bad, name) for name in ("temperature", "top_p") for bad in (True, "1", NAN, INF, -INF, [], 1j, b"1")),
    *(
        (name, bad, name)
        for name in ("presence_penalty", "frequency_penalty")
        for bad in (False, "0", NAN, INF, {}, object())
    ),
    *((name, bad, name) for name in ("n",) for bad in (True, 0, -1, 1.5, 1.0, "1", 1025, 10**30, [])),
    *(
        (name, bad, name)
        for name in ("max_tokens", "max_completion_tokens")
        for bad in (True, -1, 1.5, 5.0, "5", NAN, 2**63, [5])
    ),
    *(("seed", bad, "seed") for bad in (True, 1.0, "1", 2**63, -(2**63) - 1, NAN)),
    *(("top_logprobs", bad, "top_logprobs") for bad in (True, -1, 1.5, "5", 1025)),
    # flags
    *(
        (name, bad, name)
        for name in ("parallel_tool_calls", "logprobs", "store")
        for bad in (0, 1, "true", "", [], 1.0)
    ),
    # texts
    *(
        (name, bad, name)
        for name in (
            "user",
            "reasoning_effort",
            "service_tier",
            "verbosity",
            "prompt_cache_key",
            "prompt_cache_retention",
            "safety_identifier",
        )
        for bad in (5, b"x", ["x"], True)
    ),
    # stop
    ("stop", "", "stop"),
    ("stop", [], "stop"),
    ("stop", [""], "stop"),
    ("stop", ["a", ""], "stop"),
    ("stop", ["a", 5], "stop[1]"),
    ("stop", [None], "stop[0]"),
    ("stop", 5, "stop"),
    ("stop", {"a"}, "stop"),
    ("stop", b"a", "stop"),
    ("stop", generator(), "stop"),
    # logit_bias
    ("logit_bias", [], "logit_bias"),
    ("logit_bias", "x", "logit_bias"),
    ("logit_bias", {"word": 1}, "logit_bias"),
    ("logit_bias", {"": 1}, "logit_bias"),
    ("logit_bias", {"1.5": 1}, "logit_bias"),
    ("logit_bias", {"١": 1}, "logit_bias"),
    ("logit_bias", {1.5: 1}, "logit_bias"),
    ("logit_bias", {True: 1}, "logit_bias"),
    ("logit_bias", {None: 1}, "logit_bias"),
    ("logit_bias", {5: 101}, "logit_bias.5"),
    ("logit_bias", {5: -100.5}, "logit_bias.5"),
    ("logit_bias", {"5": NAN}, "logit_bias.5"),
    ("logit_bias", {"5": True}, "logit_bias.5"),
    ("logit_bias", {"5": "1"}, "logit_bias.5"),
    ("logit_bias", {"5": 10**400}, "logit_bias.5"),
    # tools
    ("tools", {}, "tools"),
    ("tools", "f", "tools"),
    ("tools", generator(), "tools"),
    ("tools", [5], "tools[0]"),
    ("tools", [None], "tools[0]"),
    ("tools", ["f"], "tools[0]"),
    ("tools", [len], "tools[0]"),
    ("tools", [FunctionDefinition("f")], "tools[0]"),
    ("tools", [{}], "tools[0].function"),
    ("tools", [{"type": "function"}], "tools[0].function"),
    ("tools", [{"type": "function", "function": "f"}], "tools[0].function"),
    ("tools", [{"type": 5}], "tools[0].type"),
    ("tools", [{"type": "web", "x": object()}], "tools[0].x"),
    ("tools", tool(), "tools[0].function.name"),
    ("tools", tool(name=5), "tools[0].function.name"),
    ("tools", tool(name=""), "tools[0].function.name"),
    ("tools", tool(name="a b"), "tools[0].function.name"),
    ("tools", tool(name="a\n"), "tools[0].function.name"),
    ("tools", tool(name="é"), "tools[0].function.name"),
    ("tools", tool(name="f" * 65), "tools[0].function.name"),
    ("tools", tool(**F) + tool(**F), "tools[1].function.name"),
    ("tools", tool(**F, description=5), "tools[0].function.description"),
    ("tools", tool(**F, strict="yes"), "tools[0].function.strict"),
    ("tools", tool(**F, parameters=[]), "tools[0].function.parameters"),
    ("tools", tool(**F, parameters="{}"), "tools[0].function.parameters"),
    ("tools", tool(**F, parameters={"type": "array"}), "tools[0].function.parameters.type"),
    ("tools", tool(**F, parameters={"type": ["object"]}), "tools[0].function.parameters.type"),
    ("tools", tool(**F, parameters={"x": object()}), "tools[0].function.parameters.x"),
    ("tools", tool(**F, parameters={"x": {"enum": {1}}}), "tools[0].function.parameters.x.enum"),
    ("tools", tool(**F, parameters={"x": [b"y"]}), "tools[0].function.parameters.x[0]"),
    ("tools", tool(**F, parameters={"x": NAN}), "tools[0].function.parameters.x"),
    ("tools", tool(**F, parameters={"x": {1.5: 1}}), "tools[0].function.parameters.x"),
    ("tools", tool(**F, parameters=CYCLE), "tools[0].function.parameters"),
    ("tools", tool(**F, parameters={"x": nested(300)}), "tools[0].function.parameters"),
    ("tools", tool(**F, x=object()), "tools[0].function.x"),
    ("tools", [FunctionTool(FunctionDefinition("a b"))], "tools[0].function.name"),
    ("tools", [CustomTool("web", extra={"x": INF})], "tools[0].x"),
    # functions
    ("functions", {}, "functions"),
    ("functions", [5], "functions[0]"),
    ("functions", [{}], "functions[0].name"),
    ("functions", [{"name": "a b"}], "functions[0].name"),
    ("functions", [F, F], "functions[1].name"),
    ("functions", [{"name": "f", "parameters": {"type": "string"}}], "functions[0].parameters.type"),
    ("functions", [{"name": "f", "parameters": {"x": object()}}], "functions[0].parameters.x"),
    # choices of tools
    ("tool_choice", "any", "tool_choice"),
    ("tool_choice", "", "tool_choice"),
    ("tool_choice", 5, "tool_choice"),
    ("tool_choice", [], "tool_choice"),
    ("tool_choice", {}, "tool_choice.type"),
    ("tool_choice", {"type": 5}, "tool_choice.type"),
    ("tool_choice", {"type": ["function"]}, "tool_choice.type"),
    ("tool_choice", {"type": "function"}, "tool_choice"),
    ("tool_choice", {"type": "function", "function": "f"}, "tool_choice"),
    ("tool_choice", {"type": "function", "function": {"name": 5}}, "tool_choice"),
    ("tool_choice", {"type": "custom", "custom": {}}, "tool_choice"),
    ("tool_choice", {"type": "function", "function": {"name": "absent"}}, "tool_choice"),
    ("tool_choice", {"type": "custom", "custom": {"name": "absent"}}, "tool_choice"),
    ("tool_choice", {"type": "x", "y": object()}, "tool_choice.y"),
    ("function_call", "required", "function_call"),
    ("function_call", 5, "function_call"),
    ("function_call", {}, "function_call"),
    ("function_call", {"name": 5}, "function_call"),
    ("function_call", {"name": "absent"}, "function_call"),
    # formats
    ("response_format", "json", "response_format"),
    ("response_format", [], "response_format"),
    ("response_format", dict, "response_format"),
    ("response_format", {}, "response_format.type"),
    ("response_format", {"type": 5}, "response_format.type"),
    ("response_format", {"type": "json_schema"}, "response_format.json_schema"),
    ("response_format", {"type": "json_schema", "json_schema": "x"}, "response_format.json_schema"),
    ("response_format", {"type": "json_schema", "json_schema": {"schema": {}}}, "response_format.json_schema.name"),
    ("response_format", {"type": "json_schema", "json_schema": {"name": "x"}}, "response_format.json_schema.schema"),
    (
        "response_format",
        {"type": "json_schema", "json_schema": {"name": "x", "schema": True}},
        "response_format.json_schema.schema",
    ),
    ("response_format", {"type": "json_schema", "json_schema": CYCLE}, "response_format"),
    # objects
    *(
        (name, bad, name)
        for name in (
            "thinking",
            "audio",
            "prediction",
            "metadata",
            "prompt_cache_options",
            "web_search_options",
            "moderation",
            "extra_body",
        )
        for bad in (5, "x", [], [("a", 1)], CYCLE)
    ),
    ("metadata", {"a": object()}, "metadata.a"),
    ("metadata", {"a": {"b": (1, {2})}}, "metadata.a.b[1]"),
    ("metadata", {"a": NAN}, "metadata.a"),
    ("metadata", {1.5: "a"}, "metadata"),
    ("metadata", {True: "a"}, "metadata"),
    ("metadata", {b"a": "a"}, "metadata"),
    ("metadata", {"a": SELF_PART}, "metadata"),
    ("metadata", {"k" * 500: object()}, "metadata." + "k" * 110 + "…"),
    ("prediction", {"content": [TextPart("x", extra={"y": object()})]}, "prediction.content[0].y"),
    ("extra_body", {"model": "x"}, "extra_body.model"),
    ("extra_body", {"messages": []}, "extra_body.messages"),
    ("extra_body", {"stream": True}, "extra_body.stream"),
    ("extra_body", {"a": [INF]}, "extra_body.a[0]"),
    ("extra_body", {"\ud800": object()}, "extra_body.?"),
    ("stream_options", {"include_usage": True}, "stream_options"),
    ("stream_options", {}, "stream_options"),
    ("stream_options", True, "stream_options"),
    ("modalities", "text", "modalities"),
    ("modalities", ["text", 5], "modalities[1]"),
    ("modalities", {"text"}, "modalities"),
    # time and tries
    *(("timeout", bad, "timeout") for bad in (0, -1, NAN, -INF, True, "5", [5], 0.0)),
    *(
        ("timeout", Timeout(**{clock: bad}), f"timeout.{clock}")
        for clock in ("total", "connect", "first_chunk", "idle")
        for bad in (0, -1.5, NAN, True, "5")
    ),
    *(("force_timeout", bad, "force_timeout") for bad in (0, "5", NAN)),
    *(("forceTimeout", bad, "forceTimeout") for bad in (-1, True)),
    *(("max_retries", bad, "max_retries") for bad in (-1, 1.5, True, "2", 101, NAN, INF)),
    *(("on_unsupported", bad, "on_unsupported") for bad in ("ignore", "", 5, True, ["warn"])),
    # headers
    ("extra_headers", [("a", "b")], "extra_headers"),
    ("extra_headers", {"a": 5}, "extra_headers.a"),
    ("extra_headers", {"a": b"x"}, "extra_headers.a"),
    ("extra_headers", {"a": "x\r\ny: z"}, "extra_headers.a"),
    ("extra_headers", {"a": "x\n"}, "extra_headers.a"),
    ("extra_headers", {"a": "x\0"}, "extra_headers.a"),
    ("extra_headers", {"a": "\x1b[1m"}, "extra_headers.a"),
    ("extra_headers", {"a": "\x7f"}, "extra_headers.a"),
    ("extra_headers", {"a": "€"}, "extra_headers.a"),
    ("extra_headers", {"a": "\ud800"}, "extra_headers.a"),
    ("extra_headers", {"": "x"}, "extra_headers"),
    ("extra_headers", {"a b": "x"}, "extra_headers"),
    ("extra_headers", {"a:": "x"}, "extra_headers"),
    ("extra_headers", {"a\r\n": "x"}, "extra_headers"),
    ("extra_headers", {"é": "x"}, "extra_headers"),
    ("extra_headers", {5: "x"}, "extra_headers"),
    *(
        ("extra_headers", {name: "x"}, f"extra_headers.{name}")
        for name in ("Host", "content-length", "Transfer-Encoding", "CONNECTION")
    ),
    ("extra_query", [("a", "b")], "extra_query"),
    ("extra_query", {"a": 5}, "extra_query.a"),
    ("extra_query", {5: "a"}, "extra_query"),
    ("extra_query", {"a": None}, "extra_query.a"),
    ("extra_query", {"a": "\ud800"}, "extra_query.a"),
    ("extra_query", {"\udfff": "a"}, "extra_query"),
    # keys and places
    *(("api_key", bad, "api_key") for bad in (5, b"sk", ["sk"], True, 1.5)),
    *((name, bad, name) for name in ("organization", "project", "api_version") for bad in (5, "a\nb", "a\0", "€", [])),
    *((name, bad, name) for name in ("provider", "base_url") for bad in (5, b"x", [], True)),
    *(("azure", bad, "azure") for bad in (1, "true", [])),
    *(("verbose", bad, "verbose") for bad in (1, "debug")),
    *(("logger_fn", bad, "logger_fn") for bad in (5, "print", [])),
]


def test_the_matrix_is_long():
    """The table above could shrink unseen."""
    assert len(REFUSED) >= 300


@pytest.mark.parametrize(
    ("name", "bad", "param"), REFUSED, ids=[f"{i}-{name}" for i, (name, _, _) in enumerate(REFUSED)]
)
def test_what_nobody_can_mean(name: str, bad: Any, param: str):
    """A request nobody can mean would be sent and paid for, or refused without saying where it is wrong."""
    with pytest.raises(InvalidRequestError) as caught:
        request(**{name: bad})
    assert caught.value.param == param
    assert str(caught.value).startswith(f"{param}: ")
    assert caught.value.__cause__ is None
    str(caught.value).encode()


@pytest.mark.parametrize("name", [*PARAM_NAMES, *CallOptions.__annotations__])
def test_none_is_as_good_as_nothing(name: str):
    """Code that passes None for what it does not set would be refused."""
    assert request(**{name: None}) == request()
    assert split_keywords({name: None}) == ({}, {})


def test_refusals_never_show_a_value():
    """A prompt or a key would stand in a log."""
    secret = "my secret value " * 20
    tries: list[dict[str, Any]] = [
        {"messages": user([{"type": "text", "text": {secret: secret}}])},
        {"messages": [{"role": secret, "y": object(), "z": secret}]},
        {"messages": [UserMessage(secret, extra={"y": {1}})]},
        {"metadata": {secret: {"x": object()}}},
        {"extra_headers": {"a": secret + "\n"}},
        {"extra_headers": {secret: "x"}},
        {"extra_query": {"a": secret + "\ud800"}},
        {"api_key": [secret]},
        {"stop": [secret, 5]},
        {"tools": tool(name=secret)},
        {"tool_choice": secret},
        {"temperature": secret},
        {"logit_bias": {secret: 1}},
        {"on_unsupported": secret},
        {"model": secret + "\n"},
        {"user": [secret]},
    ]
    for params in tries:
        with pytest.raises(InvalidRequestError) as caught:
            request(**params)
        assert str(caught.value).count("secret") <= 8
        assert len(str(caught.value)) < 250


# --- what passes ---

SCHEMA = {
    "type": "object",
    "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
    "properties": {"a": {"$ref": "#/$defs/node"}, "n": {"type": "number", "minimum": 0.5}},
    "x-unknown": [None, True, {"k": ()}],
}


class Role(enum.StrEnum):
    USER = "user"
    CRITIC = "critic"


class Text(str):
    __slots__ = ()


class Number(float):
    pass


PASSES: list[dict[str, Any]] = [
    *(
        {"model": model}
        for model in ("gpt-4o", "ft:gpt-4o:org::id", "@cf/meta/llama", "accounts/x/models/y", "m" * 512)
    ),
    *({"model": model} for model in ("models/x", "a/b:free", "meta/llama:1f2e", "模型", "a b")),
    *({"temperature": value} for value in (0, 2, 0.5, -0.0, 10**400, Number(0.5))),
    *({"top_p": value} for value in (0, 1, 1e-9)),
    *({"n": value} for value in (1, 2, 128, 1024)),
    *({"max_tokens": value} for value in (0, 1, 2**63 - 1)),
    *({"max_completion_tokens": value} for value in (1, 10**6)),
    *({"stop": value} for value in ("x", ["a"], ("a", "b"), ["a"] * 9, "\n", " ")),
    *({"seed": value} for value in (0, -1, 2**63 - 1, -(2**63))),
    *({"logit_bias": value} for value in ({}, {5: 1, "7": -100}, {"-1": 0.5}, types.MappingProxyType({1: 100}))),
    {"presence_penalty": -2, "frequency_penalty": 2.0},
    {"user": "", "safety_identifier": "\x00", "verbosity": "of tomorrow", "reasoning_effort": "absurd"},
    {"tools": []},
    {"tools": tool(name="f" * 64, description="d", parameters=SCHEMA, strict=True, unknown=None)},
    {"tools": tool(name="a-b_C9", parameters={}) + tool(name="g", parameters={"type": "object"})},
    {"tools": [{"function": {"name": "f"}}]},
    {"tools": [FunctionTool(FunctionDefinition("f", parameters=types.MappingProxyType(SCHEMA)))]},
    {"tools": [{"type": "web_search", "max": 3}, {"google_search": {}, "type": None}, CustomTool("x", extra={"y": 1})]},
    {"tools": [{"type": "custom", "custom": {"name": "grep", "format": {"type": "grammar"}}}]},
    {"tools": tool(**F), "tool_choice": {"type": "function", "function": {"name": "f"}}},
    {
        "tools": [{"type": "custom", "custom": {"name": "g"}}, {"type": "web"}],
        "tool_choice": {"type": "custom", "custom": {"name": "g"}},
    },
    *({"tool_choice": value} for value in ("none", "auto", "required", {"type": "allowed_tools", "tools": []})),
    {"functions": [F, FunctionDefinition("g", "d", SCHEMA)], "function_call": {"name": "g"}},
    *({"function_call": value} for value in ("none", "auto")),
    *({"response_format": {"type": value, "x": 1}} for value in ("text", "json_object", "of_tomorrow")),
    {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": None}}},
    {"stream": True, "stream_options": {"include_usage": True, "unknown": 1}},
    {"metadata": {}, "thinking": {"type": "enabled", "budget_tokens": 1024}, "modalities": ("text", "audio")},
    {"metadata": {"a": {"b": [1, (2, 3)]}, 5: None, "e": Role.USER, "f": Number(1.5), "s": Text("x"), "i": 10**30}},
    {"prediction": {"type": "content", "content": [TextPart("x", extra={"y": None})]}},
    {"extra_body": {f"made_up_{i}": {"value": i} for i in range(100)}},
    {"extra_body": {"top_k": 5, "temperature": 9}},
    *({"messages": value} for value in ("", "x", "\0", "😀 שלום \u2028 \ufeff", Text("x"))),
    {"messages": ({"role": "user", "content": "x"},)},
    {"messages": [types.MappingProxyType({"role": "user", "content": "x"})]},
    {"messages": [{"role": "critic", "content": {"any": ["thing"]}}, {"role": "ipython"}]},
    {"messages": [{"role": Role.USER, "content": "x"}, {"role": Role.CRITIC, "x": 1}]},
    {"messages": user([])},
    {"messages": user(({"type": "text", "text": ""}, {"type": "video", "video": {"url": "u"}}))},
    {"messages": user([{"type": "image_url", "image_url": {"url": "file:///etc/passwd", "detail": None, "x": 1}}])},
    {"messages": user([{"type": "image_url", "image_url": {"url": "data:image/png;base64,!!!"}, "cache": {}}])},
    {"messages": user([{"type": "input_audio", "input_audio": {"data": "x", "format": "flac"}}])},
    {"messages": user([{"type": "image_url", "image_url": "https://x"}])},
    {"messages": user([{"type": "file", "file": {}}, {"type": "refusal", "refusal": "no"}])},
    {"messages": [{"role": "user", "content": "x", "name": None, "unknown": None, "more": {"a": (1, 2)}}]},
    {
        "messages": [
            {"role": "developer", "content": "x", "name": "Zoë"},
            {"role": "system", "content": [{"type": "z"}]},
        ]
    },
    {"messages": assistant()},
    {"messages": assistant(content=None, refusal=None, tool_calls=None, function_call=None, audio=None)},
    {"messages": assistant(content=None, tool_calls=[CALL, {"id": "d", "type": "custom", "custom": {"name": "g"}}])},
    {"messages": assistant(content="", tool_calls=[])},
    {"messages": assistant(function_call={"name": "f", "arguments": "no json"}, audio={"id": "a"}, name="bot")},
    {"messages": assistant(thinking_blocks=[{"type": "thinking", "x": None}], reasoning_content="r", unknown=1)},
    {
        "messages": assistant(
            annotations=[{"type": "url_citation", "url_citation": {"url": "u"}}, {"type": "x", "y": 1}]
        )
    },
    {"messages": [{"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "x"}], "name": "f"}]},
    {"messages": [{"role": "function", "name": "f", "content": None}]},
    {"messages": [{"role": "user", "content": "x"}] * 10_000},
    {"messages": "x" * 10_000_000},
]


def normal(value: Any) -> Any:
    """What JSON makes of a value of Python's."""
    return json.loads(json.dumps(value, default=lambda v: v.to_dict() if hasattr(v, "to_dict") else dict(v)))


def body_of(made: ChatRequest) -> dict[str, Any]:
    """The request as OpenAI's dialect writes it."""
    wire = {name: to_wire(getattr(made, name)) for name in PARAM_NAMES if getattr(made, name) is not None}
    return {"model": made.model, "messages": [to_wire(message) for message in made.messages], **wire}


@pytest.mark.parametrize("params", PASSES, ids=[f"{i}-{','.join(params)}" for i, params in enumerate(PASSES)])
def test_what_passes(params: dict[str, Any]):
    """A request would be refused that some provider understands, or reach it changed."""
    made = request(**params)
    body = json.loads(dumps(body_of(made)))
    wanted = {name: value for name, value in params.items() if name not in ("stream", "extra_body")}
    if isinstance(wanted.get("messages", ""), str):
        wanted["messages"] = [{"role": "user", "content": wanted.get("messages", "Hi")}]
    wanted.setdefault("model", "openai/gpt-4o")
    for item in wanted.get("tools", []):
        if isinstance(item, dict) and "function" in item:
            wanted["tools"] = [entry | {"type": entry.get("type", "function")} for entry in wanted["tools"]]
            break
    for message in wanted["messages"]:
        for made_up in message.get("tool_calls") or () if isinstance(message, dict) else ():
            made_up.get("custom", {}).setdefault("input", "")
        for note in message.get("annotations") or () if isinstance(message, dict) else ():
            note.get("url_citation", {}).setdefault("title", "")
    assert body == normal(wanted)


@pytest.mark.parametrize("params", [p for p in PASSES if "messages" in p and not isinstance(p["messages"], str)])
def test_reading_twice_changes_nothing(params: dict[str, Any]):
    """A request sent again, or through `send`, would be another one."""
    once = read_messages(params["messages"])
    assert read_messages(once) == once
    assert [to_wire(message) for message in read_messages(once)] == [to_wire(message) for message in once]


def test_the_simplest_messages_become_records():
    """The fast way of reading a message would give something else than the general one."""
    for role in ("user", "assistant", "system", "developer"):
        fast = read_messages([{"role": role, "content": "x"}])
        assert fast == read_messages([types.MappingProxyType({"role": role, "content": "x"})])
        assert fast[0].to_dict() == {"role": role, "content": "x"}
    message = UserMessage("x")
    assert read_messages([message])[0] is message
    assert read_messages("x") == [UserMessage("x")]


def test_what_is_checked_is_what_is_sent():
    """A caller who reuses a dict would change a request that was made but not yet sent."""
    metadata: dict[str, Any] = {"a": {"b": [1]}}
    message: dict[str, Any] = {"role": "user", "content": "x", "cache": {"c": [1]}}
    schema: dict[str, Any] = {"type": "object", "properties": {}}
    made = request(metadata=metadata, messages=[message], tools=tool(name="f", parameters=schema))
    before = made.to_dict()
    metadata["a"]["b"].append(2)
    message["cache"]["c"].append(2)
    schema["properties"]["x"] = {}
    assert made.to_dict() == before


def test_explicit_nulls_and_unknown_keys_reach_the_wire():
    """A member a caller wrote for their provider would silently not be sent."""
    written = [
        {"role": "user", "content": "x", "name": None, "cache_control": {"type": "ephemeral"}},
        {"role": "assistant", "content": None, "refusal": None, "x": [None]},
        {"role": "user", "content": [{"type": "text", "text": "x", "y": None}, {"type": "new", "z": {"a": None}}]},
        {"role": "of_tomorrow", "content": None},
    ]
    assert [to_wire(message) for message in read_messages(written)] == written
    tools = [
        {"type": "function", "function": {"name": "f", "strict": None, "x": None}, "y": 1},
        {"type": "t", "z": None},
    ]
    assert to_wire(request(tools=tools).tools) == tools


# --- any Python object ---


class Broken(dict[str, Any]):
    """A mapping that cannot be read."""

    def get(self, *_: Any) -> Any:
        raise LookupError


def test_a_mapping_that_cannot_be_read():
    """A caller's own broken type would raise from within a converter, without a place."""
    with pytest.raises(InvalidRequestError) as caught:
        request(messages=user([Broken()]))
    assert (caught.value.param, str(caught.value)) == ("messages[0].content", "messages[0].content: does not fit")


class Odd:
    """A value nobody foresaw."""


ODD: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([Odd(), Odd, object(), len, NAN, INF, -INF, 1j, b"x", bytearray(b"x"), range(3), ...]),
    st.sampled_from([{1}, frozenset(), CYCLE, SELF_LIST, SELF_PART, nested(250), 10**400, -(10**400), 2**64, 2**63]),
    st.sampled_from([UserMessage("x"), TextPart("x"), Timeout(), Secret("sk"), Role.USER, Text("x"), Number(0.5)]),
    st.sampled_from([{}, [], (), "", "auto", "none", "\ud800", ["a"], {"type": "text"}, {"\ud800": 1}, {5: {6: 7}}]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["role", "content", "type", "name", "text", "a"]) | st.text(max_size=3), inner
            )
        ),
        max_leaves=6,
    ),
)


@settings(max_examples=600, derandomize=True, deadline=None)
@given(st.sampled_from(["model", "messages", *PARAM_NAMES, "extra_body"]), ODD)
def test_any_object_for_any_parameter(name: str, value: Any):
    """Some value would raise a foreign exception, or be sent as something that cannot be read back."""
    stream = name == "stream_options"
    try:
        made = request(**{name: value}, stream=stream)
    except InvalidRequestError as error:
        assert (error.param or "").split(".")[0].split("[")[0] == name  # noqa: PT017 (one of two good ends)
        return
    except TypeError:
        assert name == "model"
        assert isinstance(value, (list, tuple))
        return
    body = body_of(made)
    try:
        data = dumps(body)
    except (TypeError, ValueError, RecursionError):
        error = explain_unsendable(made)
        assert error.param is not None
        assert error.param.split(".")[0].split("[")[0] == name
        return
    assert json.loads(data) == normal(body)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.sampled_from(sorted(CallOptions.__annotations__)), ODD)
def test_any_object_for_any_option(name: str, value: Any):
    """Some value would raise a foreign exception far from where it was given."""
    try:
        checked = call_options({name: value})
    except InvalidRequestError as error:
        assert (error.param or "").split(".")[0].split("[")[0] == name  # noqa: PT017 (one of two good ends)
    else:
        assert len(checked) <= 1


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.lists(ODD, min_size=1, max_size=2), st.sampled_from(["user", "assistant", "tool", "critic", None]))
def test_any_object_in_messages(items: list[Any], role: str | None):
    """Some message would raise a foreign exception."""
    messages = items if role is None else [{"role": role, "content": item, "tool_call_id": "c"} for item in items]
    try:
        made = request(messages=messages)
    except InvalidRequestError as error:
        assert (error.param or "").startswith("messages[")  # noqa: PT017 (one of two good ends)
    else:
        assert len(made.messages) == len(items)


# --- lone surrogates ---

SURROGATES: list[tuple[dict[str, Any], str]] = [
    ({"messages": "\ud800"}, "messages[0].content"),
    ({"messages": [UserMessage("x"), UserMessage("a\udfffb")]}, "messages[1].content"),
    ({"messages": user([{"type": "text", "text": "\ud800"}])}, "messages[0].content[0].text"),
    ({"messages": [{"role": "\ud800"}]}, "messages[0].role"),
    ({"messages": [{"role": "user", "content": "x", "y": {"z": ["", "\ud800"]}}]}, "messages[0].y.z[1]"),
    ({"messages": [{"role": "user", "content": "x", "\ud800": 1}]}, "messages[0]"),
    ({"metadata": {"a": "\ud800"}}, "metadata.a"),
    ({"metadata": {"a": {"\ud800": 1}}}, "metadata.a"),
    ({"stop": ["a", "\ud800"]}, "stop[1]"),
    ({"user": "\ud800"}, "user"),
    ({"tools": tool(name="f", description="\ud800")}, "tools[0].function.description"),
]


@pytest.mark.parametrize(("params", "place"), SURROGATES)
def test_lone_surrogates_are_named(params: dict[str, Any], place: str):
    """Half a character from a broken text would end in a UnicodeEncodeError that names nothing."""
    made = request(**params)
    with pytest.raises(UnicodeEncodeError):
        dumps(body_of(made))
    error = explain_unsendable(made)
    assert error.param == place
    assert str(error) == f"{place}: holds a lone surrogate, which UTF-8 cannot say"


def test_other_reasons_are_named_too():
    """A value that only fails while it is written would be blamed on the messages."""
    made = request(seed=1)
    made.metadata = {"a": object()}  # type: ignore[dict-item]
    assert explain_unsendable(made).param == "metadata"
    assert str(explain_unsendable(made)) == "metadata: cannot be said in JSON"
    assert explain_unsendable(request()).param == "messages"


# --- keywords ---

UNKNOWN: list[tuple[str, str]] = [
    ("temprature", "unknown keyword 'temprature'; did you mean 'temperature'?"),
    ("max_token", "unknown keyword 'max_token'; did you mean 'max_tokens'?"),
    ("apikey", "unknown keyword 'apikey'; did you mean 'api_key'?"),
    ("streaming", "unknown keyword 'streaming'; did you mean 'stream'?"),
    ("message", "unknown keyword 'message'; did you mean 'messages'?"),
    ("tool", "unknown keyword 'tool'; did you mean 'tools'?"),
    ("qqqq", "unknown keyword 'qqqq'; a field only the provider has goes into extra_body={...}"),
]


@pytest.mark.parametrize(("name", "text"), UNKNOWN)
def test_unknown_keywords(name: str, text: str):
    """A misspelt parameter would be dropped in silence, or refused without a hint."""
    assert unknown_keyword(name) == text
    with pytest.raises(TypeError) as caught:
        request(**{name: 1})
    assert str(caught.value) == text


def test_keywords_are_sorted_into_two():
    """A parameter would be taken for an option, and never be sent."""
    params, options = split_keywords({"temperature": 0, "timeout": 5, "n": None, "provider": None, "store": False})
    assert params == {"temperature": 0, "store": False}
    assert options == {"timeout": 5}


def test_every_parameter_and_option_has_its_check():
    """A parameter of the contract would be an unknown keyword."""
    for name in PARAM_NAMES:
        assert split_keywords({name: 1}) == ({name: 1}, {})
    for name in CallOptions.__annotations__:
        assert split_keywords({name: 1}) == ({}, {name: 1})
    assert all(hasattr(validate, name) for name in validate.__all__)


def test_swapped_positionals():
    """A caller who writes messages first would be told about the model's type."""
    for messages in ([{"role": "user", "content": "x"}], [UserMessage("x")], ()):
        with pytest.raises(TypeError, match="model comes first"):
            request(model=messages, messages="gpt-4o")
    with pytest.raises(InvalidRequestError, match=r"^model: expected a string such as 'openai/gpt-4o', found null$"):
        request(model=None, messages="Hi")


# --- options ---


def test_the_three_names_of_the_timeout():
    """Code written for LiteLLM would have another limit, or two limits at once."""
    for name in ("timeout", "forceTimeout", "force_timeout"):
        assert call_options({name: 5}) == {"timeout": Timeout(total=5)}
        assert call_options({name: 5})["timeout"].total_is_explicit
        assert call_options({name: INF}) == {"timeout": Timeout(total=None)}
    for one, other in (("timeout", "forceTimeout"), ("timeout", "force_timeout"), ("forceTimeout", "force_timeout")):
        with pytest.raises(InvalidRequestError, match=f"means the same as {one}") as caught:
            call_options({other: 5, one: 5})
        assert caught.value.param == other


def test_clocks_without_end():
    """A timeout no clock can count to would raise from the event loop."""
    clocks = Timeout(total=10**400, connect=INF, first_chunk=1e300, idle=5)  # type: ignore[arg-type]
    assert call_options({"timeout": clocks})["timeout"] == Timeout(None, None, None, 5)
    assert call_options({"timeout": 10**400})["timeout"].total is None
    mine = Timeout(idle=5)
    assert call_options({"timeout": mine})["timeout"] is mine
    default = attrs.evolve(mine, connect=INF)
    assert not call_options({"timeout": default})["timeout"].total_is_explicit


def test_azure():
    """Code written for LiteLLM would call another provider."""
    assert call_options({"azure": True}) == {"provider": "azure"}
    assert call_options({"azure": False}) == {}
    assert call_options({"azure": True, "provider": "azure"}) == {"provider": "azure"}
    assert call_options({"azure": False, "provider": "openai"}) == {"provider": "openai"}
    with pytest.raises(InvalidRequestError, match="contradicts provider='openai'") as caught:
        call_options({"azure": True, "provider": "openai"})
    assert caught.value.param == "azure"


async def some_key() -> str:
    return "sk"


GOOD_OPTIONS: list[tuple[str, Any, Any]] = [
    ("provider", "openai", "openai"),
    ("max_retries", 0, 0),
    ("max_retries", 100, 100),
    ("on_unsupported", "warn", "warn"),
    ("extra_body", {"top_k": (1, 2)}, {"top_k": [1, 2]}),
    ("extra_headers", {"X-A": " é\t1 ", "!#$%&'*+.^_`|~09az": ""}, {"X-A": "é\t1", "!#$%&'*+.^_`|~09az": ""}),
    ("extra_headers", {"Authorization": "Bearer x"}, {"Authorization": "Bearer x"}),
    ("extra_query", {"a b": "c&d=ü"}, {"a b": "c&d=ü"}),
    ("extra_query", types.MappingProxyType({"a": ""}), {"a": ""}),
    ("api_key", "sk", "sk"),
    ("api_key", Secret("sk"), Secret("sk")),
    ("api_key", some_key, some_key),
    ("base_url", "https://x", "https://x"),
    ("api_version", "2024-10-21 ", "2024-10-21"),
    ("organization", "org-1", "org-1"),
    ("project", "proj-1", "proj-1"),
    ("logger_fn", print, print),
    ("verbose", True, True),
]


@pytest.mark.parametrize(("name", "value", "checked"), GOOD_OPTIONS)
def test_good_options(name: str, value: Any, checked: Any):
    """An option would be refused, or arrive as another."""
    assert call_options({name: value}) == {name: checked}


# --- ready requests ---


def test_a_ready_request_is_checked_the_same_way():
    """`send` and `batch` would let through what `create` refuses."""
    made = ChatRequest(
        "m", user("x"), temperature=0.5, stop=("a",), extra_body={"top_k": (5,)}, custom_id="row-1", tools=tool(**F)
    )
    checked = ready_request(made, stream=False)
    assert checked is not made
    assert checked.messages == [UserMessage("x")]
    assert (checked.temperature, checked.stop, checked.custom_id) == (0.5, ["a"], "row-1")
    assert checked.extra_body == {"top_k": [5]}
    assert checked.tools == [FunctionTool(FunctionDefinition("f"))]
    assert ready_request(checked, stream=False) == checked
    assert ready_request(ChatRequest("m", "x"), stream=False).extra_body is None


BAD_REQUESTS: list[tuple[Any, str]] = [
    ({"model": "m", "messages": "x"}, "request"),
    (None, "request"),
    (ChatRequest("m", "x", temperature="hot"), "temperature"),  # type: ignore[arg-type]
    (ChatRequest("", "x"), "model"),
    (ChatRequest("m", []), "messages"),
    (ChatRequest("m", "x", extra_body={"stream": True}), "extra_body.stream"),
    (ChatRequest("m", "x", extra_body=[]), "extra_body"),  # type: ignore[arg-type]
    (ChatRequest("m", "x", stream_options={}), "stream_options"),
]


@pytest.mark.parametrize(("made", "param"), BAD_REQUESTS)
def test_bad_ready_requests(made: Any, param: str):
    """A row of a batch would be sent although nobody can mean it."""
    with pytest.raises(InvalidRequestError) as caught:
        ready_request(made, stream=False)
    assert caught.value.param == param


def test_records_are_checked_like_dicts():
    """A record filled with the wrong things would pass where a dict is refused."""
    message = AssistantMessage(
        "x",
        tool_calls=[ToolCall("c", FunctionCall("f", "{}")), ToolCall("d", type="custom", custom=CustomCall("g", "x"))],
    )
    assert read_messages([message, ToolMessage([TextPart("x")], "c"), FunctionMessage(None, "f")]) == [
        message,
        ToolMessage([TextPart("x")], "c"),
        FunctionMessage(None, "f"),
    ]


CALLS: list[Callable[[], object]] = [
    lambda: read_messages(user([SELF_PART])),
    lambda: request(metadata={"a": SELF_PART}),
    lambda: request(extra_body={"a": nested(5000)}),
]


@pytest.mark.parametrize("act", CALLS)
def test_endless_values(act: Callable[[], object]):
    """A value that holds itself would end in a RecursionError."""
    with pytest.raises(InvalidRequestError, match="nested too deeply or holds itself"):
        act()
