"""Validation of requests: invalid input is refused with its place, and all other input is sent as it was written."""

import json
import types
from collections.abc import Callable
from typing import Any, cast

import pytest
from pydantic import TypeAdapter

from anycompletion.codecs.json import dumps, to_wire
from anycompletion.errors import InvalidRequestError
from anycompletion.options import CallOptions
from anycompletion.records import (
    PARAM_NAMES,
    ChatRequest,
    CustomTool,
    FunctionDefinition,
    FunctionTool,
    TextPart,
    UserMessage,
)
from anycompletion.validation import validate_request
from anycompletion.validation.call_arguments import split_keywords
from anycompletion.validation.message_input import parse_messages
from support.bad_input import (
    BAD,
    CALL,
    SELF_PART,
    F,
    Number,
    Role,
    Text,
    assistant,
    nested,
    tool,
    user,
)
from support.validated import body_of, build

KEYWORDS = sorted({row.name for row in BAD})


@pytest.mark.parametrize("name", KEYWORDS)
def test_invalid_input_is_refused_with_its_place(name: str) -> None:
    """Invalid input would be refused only after resources were prepared for it, or without its place."""
    for i, row in enumerate(row for row in BAD if row.name == name and not row.late):
        with pytest.raises(row.error) as caught:
            build(**{**row.others, name: row.value})
        error: Any = caught.value
        assert error.param == row.param, i
        assert str(error).startswith(f"{row.param}: "), i
        assert error.__cause__ is None, i
        assert error.__context__ is None, i


@pytest.mark.parametrize("name", KEYWORDS)
def test_provider_specific_limits_are_not_checked(name: str) -> None:
    """Input that only some providers or formats refuse would be refused for all of them."""
    for row in BAD:
        if row.name == name and row.late:
            build(**{**row.others, name: row.value})


@pytest.mark.parametrize("name", [*PARAM_NAMES, *CallOptions.__annotations__])
def test_none_equals_an_omitted_argument(name: str) -> None:
    """Code that passes None for unset parameters would be refused."""
    assert build(**{name: None}) == build()
    assert split_keywords({name: None}) == ({}, {})


RANGES = [
    ({"n": 0}, "n: must lie between 1 and 1024"),
    ({"n": 2**70}, "n: must lie between 1 and 1024"),
    ({"max_tokens": -1}, "max_tokens: must be at least 0"),
    ({"max_tokens": 2**63}, "max_tokens: must be at most 9223372036854775807"),
    ({"seed": -(2**63) - 1}, "seed: must be at least -9223372036854775808"),
    ({"max_tokens": [None]}, "max_tokens: expected an integer, found list"),
    ({"messages": None}, "messages: expected a string or a list, found None"),
]


@pytest.mark.parametrize(("params", "text"), RANGES)
def test_refusals_are_in_the_words_of_the_caller(params: dict[str, Any], text: str) -> None:
    """A user would read the largest integer of a computer, or a word of another language for None."""
    with pytest.raises(InvalidRequestError) as caught:
        build(**params)
    assert str(caught.value) == text


def test_errors_do_not_contain_values() -> None:
    """A prompt or a key would be logged."""
    secret = "my secret value " * 20
    cases: list[dict[str, Any]] = [
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
        {"response_format": {"type": "json_schema", "json_schema": {"name": secret, "schema": secret}}},
        {"temperature": secret},
        {"logit_bias": {secret: 1}},
        {"on_unsupported": secret},
        {"model": secret + "\n"},
        {"user": [secret]},
    ]
    for params in cases:
        with pytest.raises(InvalidRequestError) as caught:
            build(**params)
        assert str(caught.value).count("secret") <= 8
        assert len(str(caught.value)) < 250


SCHEMA = {
    "type": "object",
    "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
    "properties": {"a": {"$ref": "#/$defs/node"}, "n": {"type": "number", "minimum": 0.5}},
    "x-unknown": [None, True, {"k": ()}],
}


VALID: list[dict[str, Any]] = [
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
    *({"tool_choice": value} for value in ("none", "auto", "required")),
    {"tool_choice": {"type": "allowed_tools", "tools": []}},
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
    {"messages": user([{"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk"}, "cache": {}}])},
    {"messages": user([{"type": "input_audio", "input_audio": {"data": "x", "format": "flac"}}])},
    {"messages": user([{"type": "image_url", "image_url": "https://x"}])},
    {"messages": user([{"type": "file", "file": {}}, {"type": "refusal", "refusal": "no"}])},
    {"messages": [{"role": "user", "content": "x", "name": None, "unknown": None, "more": {"a": (1, 2)}}]},
    {
        "messages": [
            {"role": "developer", "content": "x", "name": "Zoe"},
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


def through_json(value: Any) -> Any:
    """A Python value after a round trip through JSON."""
    return json.loads(json.dumps(value, default=lambda v: v.to_dict() if hasattr(v, "to_dict") else dict(v)))


@pytest.mark.parametrize("params", VALID, ids=[f"{i}-{','.join(params)}" for i, params in enumerate(VALID)])
def test_valid_input_is_sent_as_written(params: dict[str, Any]) -> None:
    """A request that some provider accepts would be refused, or changed."""
    made = build(**params)
    body = json.loads(dumps(body_of(made)))
    expected: dict[str, Any] = {name: value for name, value in params.items() if name not in ("stream", "extra_body")}
    if isinstance(expected.get("messages", ""), str):
        expected["messages"] = [{"role": "user", "content": expected.get("messages", "Hi")}]
    expected.setdefault("model", "openai/gpt-4o")
    for item in expected.get("tools", []):
        if isinstance(item, dict) and "function" in item:
            expected["tools"] = [entry | {"type": entry.get("type", "function")} for entry in expected["tools"]]
            break
    for message in cast("list[Any]", expected["messages"]):
        for call in message.get("tool_calls") or ():
            call.get("custom", {}).setdefault("input", "")
        for note in message.get("annotations") or ():
            note.get("url_citation", {}).setdefault("title", "")
    assert body == through_json(expected)


@pytest.mark.parametrize("params", [p for p in VALID if "messages" in p and not isinstance(p["messages"], str)])
def test_parsing_is_idempotent(params: dict[str, Any]) -> None:
    """A request that is sent again, or with `send`, would be changed."""
    once = parse_messages(params["messages"])
    assert parse_messages(once) == once
    assert [to_wire(message) for message in parse_messages(once)] == [to_wire(message) for message in once]


def test_a_validated_request_is_independent_of_its_input() -> None:
    """Changing a dict afterwards would change a request that is not sent yet."""
    metadata: dict[str, Any] = {"a": {"b": [1]}}
    message: dict[str, Any] = {"role": "user", "content": "x", "cache": {"c": [1]}}
    schema: dict[str, Any] = {"type": "object", "properties": {}}
    made = build(metadata=metadata, messages=[message], tools=tool(name="f", parameters=schema))
    before = made.to_dict()
    metadata["a"]["b"].append(2)
    message["cache"]["c"].append(2)
    schema["properties"]["x"] = {}
    assert made.to_dict() == before


def test_a_chat_request_is_validated_like_arguments() -> None:
    """`send` and `batch` would accept input that `create` refuses."""
    made = ChatRequest(
        "m", user("x"), temperature=0.5, stop=("a",), extra_body={"top_k": (5,)}, custom_id="row-1", tools=tool(**F)
    )
    checked = validate_request(made)
    assert checked is not made
    assert checked.messages == [UserMessage("x")]
    assert (checked.temperature, checked.stop, checked.custom_id) == (0.5, ["a"], "row-1")
    assert checked.extra_body == {"top_k": [5]}
    assert checked.tools == [FunctionTool(FunctionDefinition("f"))]
    assert validate_request(checked) == checked
    assert validate_request(ChatRequest("m", "x")).extra_body is None


BAD_REQUESTS: list[tuple[Any, str]] = [
    ({"model": "m", "messages": "x"}, "request"),
    (None, "request"),
    (ChatRequest("m", "x", temperature="hot"), "temperature"),  # type: ignore[arg-type]
    (ChatRequest("", "x"), "model"),
    (ChatRequest("m", []), "messages"),
    (ChatRequest("m", "x", extra_body={"stream": True}), "extra_body.stream"),
    (ChatRequest("m", "x", extra_body=[]), "extra_body"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("made", "param"), BAD_REQUESTS)
def test_invalid_chat_requests(made: Any, param: str) -> None:
    """An invalid item of a batch would be sent."""
    with pytest.raises(InvalidRequestError) as caught:
        validate_request(made)
    assert caught.value.param == param


ENDLESS: list[Callable[[], object]] = [
    lambda: parse_messages(user([SELF_PART])),
    lambda: build(metadata={"a": SELF_PART}),
    lambda: build(extra_body={"a": nested(5000)}),
]


@pytest.mark.parametrize("validate", ENDLESS)
def test_endless_values(validate: Callable[[], object]) -> None:
    """A value that contains itself would raise a RecursionError."""
    with pytest.raises(InvalidRequestError, match="nested too deeply or contains itself"):
        validate()


class City:
    """A class as callers pass it."""


@pytest.mark.parametrize(
    ("into", "name"),
    [(City, "City"), (list[City], "the type"), (City | None, "the type"), (TypeAdapter(int), "the type")],
)
def test_a_type_as_response_format_is_answered_with_what_to_write(into: object, name: str) -> None:
    """Code of LiteLLM, which takes classes, would get an error that names an internal type."""
    with pytest.raises(InvalidRequestError, match=rf"await client\.parse\(model, messages, {name}\)") as caught:
        build(response_format=into)
    assert caught.value.param == "response_format"
