"""Validation: invalid input is refused with its place, and all other input is sent as it was written."""

import json
import types
from collections.abc import Callable
from typing import Any, cast

import attrs
import pytest

from anycompletion import validation
from anycompletion.codecs.json import dumps, to_wire
from anycompletion.errors import InvalidRequestError
from anycompletion.options import CallOptions, Secret, Timeout
from anycompletion.records import (
    PARAM_NAMES,
    AssistantMessage,
    ChatRequest,
    CustomCall,
    CustomTool,
    FunctionCall,
    FunctionDefinition,
    FunctionMessage,
    FunctionTool,
    TextPart,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from anycompletion.validation import check_options, find_unserializable, validate_request
from anycompletion.validation.call_arguments import split_keywords, unknown_keyword
from anycompletion.validation.message_input import parse_messages
from anycompletion.validation.request_checks import build_request
from support.bad_input import (
    BAD,
    CALL,
    INF,
    SELF_PART,
    Broken,
    F,
    Number,
    Role,
    Text,
    assistant,
    nested,
    tool,
    user,
)


def request(**params: Any) -> ChatRequest:
    """The request that `create` makes of its arguments."""
    model, messages = params.pop("model", "openai/gpt-4o"), params.pop("messages", "Hi")
    stream = params.pop("stream", False)
    wire, options = split_keywords(params)
    check_options(options)
    return build_request(model, messages, wire, stream=stream)


KEYWORDS = sorted({row.name for row in BAD})


@pytest.mark.parametrize("name", KEYWORDS)
def test_invalid_input_is_refused_with_its_place(name: str) -> None:
    """Invalid input would be refused only after resources were prepared for it, or without its place."""
    for i, row in enumerate(row for row in BAD if row.name == name and not row.late):
        with pytest.raises(row.error) as caught:
            request(**{**row.others, name: row.value}, stream=row.streams_too)
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
            request(**{**row.others, name: row.value}, stream=row.streams_too)


@pytest.mark.parametrize("name", [*PARAM_NAMES, *CallOptions.__annotations__])
def test_none_equals_an_omitted_argument(name: str) -> None:
    """Code that passes None for unset parameters would be refused."""
    assert request(**{name: None}) == request()
    assert split_keywords({name: None}) == ({}, {})


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
            request(**params)
        assert str(caught.value).count("secret") <= 8
        assert len(str(caught.value)) < 250


# --- valid input ---

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


def body_of(made: ChatRequest) -> dict[str, Any]:
    """The request as the body in OpenAI's format."""
    wire = {name: to_wire(getattr(made, name)) for name in PARAM_NAMES if getattr(made, name) is not None}
    return {"model": made.model, "messages": [to_wire(message) for message in made.messages], **wire}


@pytest.mark.parametrize("params", VALID, ids=[f"{i}-{','.join(params)}" for i, params in enumerate(VALID)])
def test_valid_input_is_sent_as_written(params: dict[str, Any]) -> None:
    """A request that some provider accepts would be refused, or changed."""
    made = request(**params)
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


def test_the_simplest_messages_become_records() -> None:
    """The fast path for simple messages would return other records than the general one."""
    for role in ("user", "assistant", "system", "developer"):
        fast = parse_messages([{"role": role, "content": "x"}])
        assert fast == parse_messages([types.MappingProxyType({"role": role, "content": "x"})])
        assert fast[0].to_dict() == {"role": role, "content": "x"}
    message = UserMessage("x")
    assert parse_messages([message])[0] is message
    assert parse_messages("x") == [UserMessage("x")]


def test_a_validated_request_is_independent_of_its_input() -> None:
    """Changing a dict afterwards would change a request that is not sent yet."""
    metadata: dict[str, Any] = {"a": {"b": [1]}}
    message: dict[str, Any] = {"role": "user", "content": "x", "cache": {"c": [1]}}
    schema: dict[str, Any] = {"type": "object", "properties": {}}
    made = request(metadata=metadata, messages=[message], tools=tool(name="f", parameters=schema))
    before = made.to_dict()
    metadata["a"]["b"].append(2)
    message["cache"]["c"].append(2)
    schema["properties"]["x"] = {}
    assert made.to_dict() == before


def test_explicit_nulls_and_unknown_keys_are_sent() -> None:
    """A provider-specific member would silently be dropped."""
    written = [
        {"role": "user", "content": "x", "name": None, "cache_control": {"type": "ephemeral"}},
        {"role": "assistant", "content": None, "refusal": None, "x": [None]},
        {"role": "user", "content": [{"type": "text", "text": "x", "y": None}, {"type": "new", "z": {"a": None}}]},
        {"role": "of_tomorrow", "content": None},
    ]
    assert [to_wire(message) for message in parse_messages(written)] == written
    tools = [
        {"type": "function", "function": {"name": "f", "strict": None, "x": None}, "y": 1},
        {"type": "t", "z": None},
    ]
    assert to_wire(request(tools=tools).tools) == tools


# --- any Python object ---


def test_a_mapping_that_cannot_be_read() -> None:
    """An exception of a user type would propagate from a converter, without a place."""
    with pytest.raises(InvalidRequestError) as caught:
        request(messages=user([Broken(type="text")]))
    place = "messages[0].content[0]"
    assert (caught.value.param, str(caught.value)) == (place, f"{place}: cannot be read: LookupError")


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
def test_lone_surrogates_are_named(params: dict[str, Any], place: str) -> None:
    """A text that was cut inside a character would raise a UnicodeEncodeError without a place."""
    made = request(**params)
    with pytest.raises(UnicodeEncodeError):
        dumps(body_of(made))
    error = find_unserializable(made)
    assert error.param == place
    assert str(error) == f"{place}: contains a lone surrogate, which UTF-8 cannot encode"


def test_other_serialization_errors_are_named() -> None:
    """A value that cannot be serialized would be reported as an error of the messages."""
    made = request(seed=1)
    made.metadata = {"a": object()}  # type: ignore[dict-item]
    assert find_unserializable(made).param == "metadata"
    assert str(find_unserializable(made)) == "metadata: is not JSON-serializable"
    assert find_unserializable(request()).param == "messages"


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
def test_unknown_keywords(name: str, text: str) -> None:
    """A misspelt parameter would silently be dropped, or refused without a hint."""
    assert unknown_keyword(name) == text
    with pytest.raises(TypeError) as caught:
        request(**{name: 1})
    assert str(caught.value) == text


def test_keywords_are_split_into_parameters_and_options() -> None:
    """A parameter would be treated as an option, and not be sent."""
    params, options = split_keywords({"temperature": 0, "timeout": 5, "n": None, "provider": None, "store": False})
    assert params == {"temperature": 0, "store": False}
    assert options == {"timeout": 5}


def test_every_parameter_and_option_has_a_check() -> None:
    """A documented parameter would be an unknown keyword."""
    for name in PARAM_NAMES:
        assert split_keywords({name: 1}) == ({name: 1}, {})
    for name in CallOptions.__annotations__:
        assert split_keywords({name: 1}) == ({}, {name: 1})
    assert all(hasattr(validation, name) for name in validation.__all__)


def test_swapped_positionals() -> None:
    """A caller who passes the messages first would get an error about the model's type."""
    for messages in ([{"role": "user", "content": "x"}], [UserMessage("x")], ()):
        with pytest.raises(TypeError, match="model comes first"):
            request(model=messages, messages="gpt-4o")
    with pytest.raises(InvalidRequestError, match=r"^model: expected a string such as 'openai/gpt-4o', found null$"):
        request(model=None, messages="Hi")


# --- options ---


def test_the_three_names_of_the_timeout() -> None:
    """Code written for LiteLLM would have another timeout, or two at once."""
    for name in ("timeout", "forceTimeout", "force_timeout"):
        assert check_options({name: 5}) == {"timeout": Timeout(total=5)}
        assert check_options({name: 5})["timeout"].total_is_explicit
        assert check_options({name: INF}) == {"timeout": Timeout(total=None)}
    for one, other in (("timeout", "forceTimeout"), ("timeout", "force_timeout"), ("forceTimeout", "force_timeout")):
        with pytest.raises(InvalidRequestError, match=f"means the same as {one}") as caught:
            check_options({other: 5, one: 5})
        assert caught.value.param == other


def test_unlimited_timeouts() -> None:
    """A timeout that the event loop cannot schedule would raise from it."""
    unlimited = Timeout(total=10**400, connect=INF, first_chunk=1e300, idle=5)
    assert check_options({"timeout": unlimited})["timeout"] == Timeout(None, None, None, 5)
    assert check_options({"timeout": 10**400})["timeout"].total is None
    mine = Timeout(idle=5)
    assert check_options({"timeout": mine})["timeout"] is mine
    default = attrs.evolve(mine, connect=INF)
    assert not check_options({"timeout": default})["timeout"].total_is_explicit


def test_azure() -> None:
    """Code written for LiteLLM would call another provider."""
    assert check_options({"azure": True}) == {"provider": "azure"}
    assert check_options({"azure": False}) == {}
    assert check_options({"azure": True, "provider": "azure"}) == {"provider": "azure"}
    assert check_options({"azure": False, "provider": "openai"}) == {"provider": "openai"}
    with pytest.raises(InvalidRequestError, match="contradicts provider='openai'") as caught:
        check_options({"azure": True, "provider": "openai"})
    assert caught.value.param == "azure"


async def some_key() -> str:
    return "sk"


VALID_OPTIONS: list[tuple[str, Any, Any]] = [
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


@pytest.mark.parametrize(("name", "value", "checked"), VALID_OPTIONS)
def test_valid_options(name: str, value: Any, checked: Any) -> None:
    """A valid option would be refused, or changed."""
    assert check_options({name: value}) == {name: checked}


# --- ChatRequest ---


def test_a_chat_request_is_validated_like_arguments() -> None:
    """`send` and `batch` would accept input that `create` refuses."""
    made = ChatRequest(
        "m", user("x"), temperature=0.5, stop=("a",), extra_body={"top_k": (5,)}, custom_id="row-1", tools=tool(**F)
    )
    checked = validate_request(made, stream=False)
    assert checked is not made
    assert checked.messages == [UserMessage("x")]
    assert (checked.temperature, checked.stop, checked.custom_id) == (0.5, ["a"], "row-1")
    assert checked.extra_body == {"top_k": [5]}
    assert checked.tools == [FunctionTool(FunctionDefinition("f"))]
    assert validate_request(checked, stream=False) == checked
    assert validate_request(ChatRequest("m", "x"), stream=False).extra_body is None


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
def test_invalid_chat_requests(made: Any, param: str) -> None:
    """An invalid item of a batch would be sent."""
    with pytest.raises(InvalidRequestError) as caught:
        validate_request(made, stream=False)
    assert caught.value.param == param


def test_valid_records_pass_unchanged() -> None:
    """A valid record would be refused, or changed."""
    message = AssistantMessage(
        "x",
        tool_calls=[ToolCall("c", FunctionCall("f", "{}")), ToolCall("d", type="custom", custom=CustomCall("g", "x"))],
    )
    assert parse_messages([message, ToolMessage([TextPart("x")], "c"), FunctionMessage(None, "f")]) == [
        message,
        ToolMessage([TextPart("x")], "c"),
        FunctionMessage(None, "f"),
    ]


ENDLESS: list[Callable[[], object]] = [
    lambda: parse_messages(user([SELF_PART])),
    lambda: request(metadata={"a": SELF_PART}),
    lambda: request(extra_body={"a": nested(5000)}),
]


@pytest.mark.parametrize("validate", ENDLESS)
def test_endless_values(validate: Callable[[], object]) -> None:
    """A value that contains itself would raise a RecursionError."""
    with pytest.raises(InvalidRequestError, match="nested too deeply or contains itself"):
        validate()
