"""Encoding of requests for Anthropic: a chat request → the exact body."""

import base64
import itertools
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anycompletion.dialects.anthropic_messages.anthropic_call_ids import tool_id
from anycompletion.dialects.anthropic_messages.anthropic_quirks import AnthropicQuirks
from anycompletion.dialects.anthropic_messages.dialect import DIALECT
from anycompletion.dialects.base import Dialect, Target
from anycompletion.errors import InvalidRequestError, UnsupportedParameterError
from anycompletion.http import HttpRequest
from anycompletion.options import OnUnsupported
from anycompletion.records import PARAM_NAMES, AssistantMessage, ChatRequest, CustomMessage
from anycompletion.validation.request_checks import build_request

MODEL = "claude-opus-4-6"
OLDER = "claude-sonnet-4-5-20250929"
USER = {"role": "user", "content": "Hi"}
CALL = {"id": "toolu_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}
USED = {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "2"}
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
SENT_TOOL = {"name": "add", "input_schema": {"type": "object", "properties": {}}}
FUNCTION = {"name": "add", "description": "Adds."}
PDF = base64.b64encode(b"%PDF-1.4").decode()
PLAIN = base64.b64encode("Grüße".encode()).decode()


def send(
    messages: Any,
    *,
    model: str = MODEL,
    policy: OnUnsupported = "raise",
    api_version: str | None = None,
    path: str | None = None,
    stream: bool = False,
    extra_body: dict[str, Any] | None = None,
    quirks: AnthropicQuirks | None = None,
    **params: Any,
) -> HttpRequest:
    request = build_request(model, messages, params)
    request.extra_body = extra_body
    target = Target(
        provider="anthropic",
        model=model,
        base_url="https://api.anthropic.com",
        on_unsupported=policy,
        api_version=api_version,
        path=path,
        stream=stream,
        quirks=AnthropicQuirks() if quirks is None else quirks,
    )
    return DIALECT.encode(request, target, {})


def body(messages: Any = "Hi", **options: Any) -> dict[str, Any]:
    """The body without the three members of every body."""
    sent = dict(send(messages, **options).body or {})
    assert sent.pop("model") == options.get("model", MODEL)
    if options.get("max_tokens") is None and sent.get("max_tokens") == 4096:
        del sent["max_tokens"]
    if messages == "Hi":
        assert sent.pop("messages") == [USER]
    return sent


def turns(*messages: Any, **options: Any) -> Any:
    return body(list(messages), **options)["messages"]


def parts(*content: Any, **options: Any) -> Any:
    return turns({"role": "user", "content": list(content)}, **options)[0]["content"]


# --- the request ------------------------------------------------------------------------------------------------------


def test_a_complete_request():
    """A plain question would be sent to the wrong URL, with a wrong body or without the version header."""
    request = send([{"role": "system", "content": "Be brief."}, USER], max_tokens=5)
    assert request.method == "POST"
    assert request.url == "https://api.anthropic.com/v1/messages"
    assert request.headers == {"anthropic-version": "2023-06-01"}
    assert request.body == {"model": MODEL, "max_tokens": 5, "system": "Be brief.", "messages": [USER]}
    assert request.warnings == []


def test_path_version_and_stream_of_the_target():
    """A row's path, the user's version or streaming would be ignored."""
    request = send("Hi", path="/anthropic/messages", api_version="2026-10-21", stream=True)
    assert request.url == "https://api.anthropic.com/anthropic/messages"
    assert request.headers == {"anthropic-version": "2026-10-21"}
    assert request.body is not None
    assert request.body["stream"] is True


HOSTED = AnthropicQuirks(body_version="vertex-2023-10-16", stream_path="/models/{model}:streamRawPredict")


def test_a_host_may_have_model_and_version_elsewhere():
    """Vertex AI would refuse every request: its URL has the model, and its body the version."""
    for stream, verb in ((False, "rawPredict"), (True, "streamRawPredict")):
        request = send("Hi", path="/models/{model}:rawPredict", quirks=HOSTED, stream=stream, model="claude-3-7@2025")
        assert request.url == f"https://api.anthropic.com/models/claude-3-7@2025:{verb}"
        assert request.headers == {}
        assert request.body == {
            "messages": [USER],
            "max_tokens": 4096,
            "anthropic_version": "vertex-2023-10-16",
            **({"stream": True} if stream else {}),
        }


def test_a_hosts_version_can_be_another():
    """A user could not choose a newer version, or would get sampling parameters refused by the server."""
    path, version = "/models/{model}:rawPredict", "2026-10-21"
    request = send("Hi", path=path, quirks=HOSTED, api_version=version, policy="drop", temperature=0.5)
    assert request.body is not None
    assert request.body["anthropic_version"] == version
    assert "temperature" not in request.body
    request = send("Hi", path=path, quirks=HOSTED, extra_body={"anthropic_version": "x"})
    assert request.body is not None
    assert request.body["anthropic_version"] == "x"


@pytest.mark.parametrize(("model", "segment"), [("a/b?c#d", "a%2Fb%3Fc%23d"), ("a b", "a%20b"), ("../x", "..%2Fx")])
def test_a_model_in_a_path_cannot_change_the_path(model: str, segment: str):
    """A customer who chooses the model could call another method of the API with the service's key."""
    request = send("Hi", path="/models/{model}:rawPredict", model=model)
    assert request.url == f"https://api.anthropic.com/models/{segment}:rawPredict"
    for dots in (".", ".."):
        with pytest.raises(InvalidRequestError) as caught:
            send("Hi", path="/models/{model}/invoke", model=dots)
        assert caught.value.param == "model"


def test_the_module_is_a_dialect():
    """A missing function would be found only in a call to Anthropic."""
    as_dialect: Dialect = DIALECT
    assert as_dialect.name == "anthropic_messages"


def test_every_parameter_has_support():
    """A parameter without an entry would be sent unchanged, and Anthropic refuses unknown members."""
    assert set(DIALECT.params) == set(PARAM_NAMES)


def test_unsupported_parameters_have_a_reason():
    """A refusal would not contain its reason."""
    assert all(cell.note for cell in DIALECT.params.values() if cell.support == "unsupported")


def test_a_hosted_version_is_read_by_its_date():
    """Hosts that prefix the date with their name would lose the temperature."""
    assert body(api_version="vertex-2023-10-16", temperature=0.5) == {"temperature": 0.5}


def test_a_text_as_messages():
    """A request record with a text for messages would raise an internal error."""
    target = Target(provider="anthropic", model=MODEL, base_url="https://x")
    request = DIALECT.encode(ChatRequest(MODEL, "Hi", max_tokens=1), target, {})
    assert request.body == {"model": MODEL, "max_tokens": 1, "messages": [USER]}


# --- parameters -------------------------------------------------------------------------------------------------------

NAMED = {"type": "function", "function": {"name": "add"}}
SCHEMA = {"type": "object", "properties": {}, "additionalProperties": False}
FORMAT = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": True}}

PARAMETERS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"max_tokens": 7}, {"max_tokens": 7}),
    ({"max_tokens": 0}, {"max_tokens": 0}),
    ({"max_completion_tokens": 8}, {"max_tokens": 8}),
    ({"max_completion_tokens": 8, "max_tokens": 9}, {"max_tokens": 8}),
    ({"temperature": 0.5, "top_p": 1}, {"temperature": 0.5, "top_p": 1}),
    ({"temperature": 0}, {"temperature": 0}),
    ({"stop": "END"}, {"stop_sequences": ["END"]}),
    ({"stop": ["a", "b", "c", "d", "e"]}, {"stop_sequences": ["a", "b", "c", "d", "e"]}),
    ({"user": "u1"}, {"metadata": {"user_id": "u1"}}),
    ({"service_tier": "auto"}, {"service_tier": "auto"}),
    ({"service_tier": "default"}, {"service_tier": "standard_only"}),
    ({"service_tier": "standard"}, {"service_tier": "standard_only"}),
    ({"service_tier": "standard_only"}, {"service_tier": "standard_only"}),
    ({"response_format": {"type": "text"}}, {}),
    ({"response_format": FORMAT}, {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}),
    (
        {"response_format": FORMAT, "reasoning_effort": "low"},
        {
            "thinking": {"type": "adaptive"},
            "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
        },
    ),
    ({"stream": True, "stream_options": {"include_usage": True}}, {"stream": True}),
    ({"tools": [TOOL]}, {"tools": [SENT_TOOL]}),
    ({"tools": [TOOL], "tool_choice": "none"}, {"tools": [SENT_TOOL], "tool_choice": {"type": "none"}}),
    ({"tools": [TOOL], "tool_choice": "auto"}, {"tools": [SENT_TOOL], "tool_choice": {"type": "auto"}}),
    ({"tools": [TOOL], "tool_choice": "required"}, {"tools": [SENT_TOOL], "tool_choice": {"type": "any"}}),
    ({"tools": [TOOL], "tool_choice": NAMED}, {"tools": [SENT_TOOL], "tool_choice": {"type": "tool", "name": "add"}}),
    (
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "add"}},
        {"tools": [SENT_TOOL], "tool_choice": {"type": "tool", "name": "add"}},
    ),
    ({"tool_choice": "auto"}, {}),
    ({"tool_choice": "none"}, {}),
    ({"tools": [], "parallel_tool_calls": False}, {}),
    (
        {"tools": [TOOL], "parallel_tool_calls": False},
        {"tools": [SENT_TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
    ),
    (
        {"tools": [TOOL], "parallel_tool_calls": False, "tool_choice": "required"},
        {"tools": [SENT_TOOL], "tool_choice": {"type": "any", "disable_parallel_tool_use": True}},
    ),
    (
        {"tools": [TOOL], "parallel_tool_calls": False, "tool_choice": "none"},
        {"tools": [SENT_TOOL], "tool_choice": {"type": "none"}},
    ),
    ({"tools": [TOOL], "parallel_tool_calls": True}, {"tools": [SENT_TOOL]}),
    (
        {"functions": [FUNCTION]},
        {
            "tools": [{"name": "add", "description": "Adds.", "input_schema": {"type": "object", "properties": {}}}],
            "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
        },
    ),
    (
        {"functions": [{"name": "add"}], "function_call": {"name": "add"}},
        {"tools": [SENT_TOOL], "tool_choice": {"type": "tool", "name": "add", "disable_parallel_tool_use": True}},
    ),
    (
        {"functions": [{"name": "add"}], "function_call": "none"},
        {"tools": [SENT_TOOL], "tool_choice": {"type": "none"}},
    ),
]


@pytest.mark.parametrize(("params", "expected"), PARAMETERS, ids=[json.dumps(case[0])[:60] for case in PARAMETERS])
def test_parameters(params: dict[str, Any], expected: dict[str, Any]):
    """A parameter would be lost or sent under a wrong name."""
    assert body(**params) == expected


def test_strict_and_unknown_members_of_tools_pass():
    """`strict` or a cache breakpoint on a tool would be dropped."""
    mark = {"type": "ephemeral"}
    tool = {
        "type": "function",
        "cache_control": mark,
        "function": {"name": "add", "strict": True, "parameters": {"properties": {"a": {}}}, "defer_loading": True},
    }
    assert body(tools=[tool])["tools"] == [
        {
            "name": "add",
            "input_schema": {"type": "object", "properties": {"a": {}}},
            "strict": True,
            "defer_loading": True,
            "cache_control": mark,
        }
    ]


def test_nulls_of_tools_are_not_sent():
    """Explicit nulls of OpenAI clients would make Anthropic refuse the tool."""
    function = {"name": "add", "description": None, "parameters": None, "strict": None}
    assert body(tools=[{"type": "function", "function": function}])["tools"] == [SENT_TOOL]


def test_native_tools_are_sent_unchanged():
    """Anthropic's server tools could not be used."""
    tools = [{"type": "web_search_20250305", "name": "web_search", "max_uses": 2}]
    assert body(tools=tools) == {"tools": tools}


def test_native_custom_tool_passes():
    """A client tool, whose type at Anthropic is custom, would be mistaken for OpenAI's custom tool."""
    tools = [{"type": "custom", "name": "add", "input_schema": {"type": "object"}}]
    assert body(tools=tools) == {"tools": tools}


def test_extra_body_wins():
    """A field that only Anthropic has would be lost, or a default would win over the user's value."""
    request = send("Hi", extra_body={"max_tokens": 9, "top_k": 3, "metadata": {"user_id": "b"}}, user="a")
    assert request.body == {
        "model": MODEL,
        "messages": [USER],
        "max_tokens": 9,
        "top_k": 3,
        "metadata": {"user_id": "b"},
    }
    assert request.warnings == []


def test_a_default_limit_is_reported():
    """A default limit would cut replies without a warning."""
    request = send("Hi")
    assert request.body is not None
    assert request.body["max_tokens"] == 4096
    assert request.warnings == ["max_tokens defaulted to 4096: Anthropic requires it"]


def test_two_limits_are_reported():
    """One of two limits would be dropped silently."""
    assert send("Hi", max_tokens=9, max_completion_tokens=8).warnings == [
        "max_tokens left out: max_completion_tokens was given too, and wins"
    ]


def test_tool_choice_wins_over_function_call():
    """One of two choices would be dropped silently."""
    request = send("Hi", max_tokens=1, functions=[FUNCTION], function_call="none", tool_choice="required")
    assert request.body is not None
    assert request.body["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}
    assert request.warnings == ["function_call left out: tool_choice was given too, and wins"]


# --- reasoning --------------------------------------------------------------------------------------------------------

ADAPTIVE = {"type": "adaptive"}
DISABLED = {"type": "disabled"}


def enabled(budget: int) -> dict[str, Any]:
    return {"type": "enabled", "budget_tokens": budget}


REASONING: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (MODEL, {"reasoning_effort": "high"}, {"thinking": ADAPTIVE, "output_config": {"effort": "high"}}),
    (MODEL, {"reasoning_effort": "minimal"}, {"thinking": ADAPTIVE, "output_config": {"effort": "low"}}),
    (MODEL, {"reasoning_effort": "none"}, {"thinking": DISABLED}),
    ("claude-fable-9", {"reasoning_effort": "max"}, {"thinking": ADAPTIVE, "output_config": {"effort": "max"}}),
    ("claude-opus-4-10", {"reasoning_effort": "low"}, {"thinking": ADAPTIVE, "output_config": {"effort": "low"}}),
    (OLDER, {"reasoning_effort": "none"}, {"thinking": DISABLED}),
    (OLDER, {"reasoning_effort": "minimal"}, {"thinking": enabled(1024), "max_tokens": 5120}),
    (OLDER, {"reasoning_effort": "low"}, {"thinking": enabled(1024), "max_tokens": 5120}),
    (OLDER, {"reasoning_effort": "medium"}, {"thinking": enabled(2048), "max_tokens": 6144}),
    (OLDER, {"reasoning_effort": "high"}, {"thinking": enabled(4096), "max_tokens": 8192}),
    (OLDER, {"reasoning_effort": "xhigh"}, {"thinking": enabled(8192), "max_tokens": 12288}),
    (OLDER, {"reasoning_effort": "max"}, {"thinking": enabled(16384), "max_tokens": 20480}),
    (OLDER, {"reasoning_effort": "low", "max_tokens": 1025}, {"thinking": enabled(1024), "max_tokens": 1025}),
    ("anthropic.claude-haiku-4.5", {"reasoning_effort": "low"}, {"thinking": enabled(1024), "max_tokens": 5120}),
    ("claude-sonnet-4-20250514", {"reasoning_effort": "low"}, {"thinking": enabled(1024), "max_tokens": 5120}),
    (OLDER, {"thinking": enabled(5000)}, {"thinking": enabled(5000), "max_tokens": 9096}),
    (OLDER, {"thinking": enabled(5000), "max_tokens": 100}, {"thinking": enabled(5000), "max_tokens": 100}),
    (OLDER, {"thinking": enabled(5000), "reasoning_effort": "low"}, {"thinking": enabled(5000), "max_tokens": 9096}),
    (
        MODEL,
        {"thinking": DISABLED, "reasoning_effort": "low"},
        {"thinking": DISABLED, "output_config": {"effort": "low"}},
    ),
    ("claude-3-5-haiku-latest", {"reasoning_effort": "none"}, {}),
]


@pytest.mark.parametrize(("model", "params", "expected"), REASONING)
def test_reasoning(model: str, params: dict[str, Any], expected: dict[str, Any]):
    """A model would get a kind of thinking that it refuses, or a limit below its budget."""
    assert body(model=model, **params) == expected


def test_extra_body_thinking_raises_the_default_limit():
    """A budget in extra_body would exceed the default limit."""
    sent = body(model=OLDER, extra_body={"thinking": enabled(6000)}, reasoning_effort="max")
    assert sent == {"thinking": enabled(6000), "max_tokens": 10096}


def test_limit_below_the_budget_of_an_effort():
    """The request would be sent and refused, with an error about a budget that the caller did not pass."""
    with pytest.raises(InvalidRequestError, match="raise max_tokens") as caught:
        send("Hi", model=OLDER, reasoning_effort="high", max_tokens=4096)
    assert caught.value.param == "reasoning_effort"


# --- refusals ---------------------------------------------------------------------------------------------------------

PNG = {"type": "image_url", "image_url": {"url": "https://x/a.png"}}
AUDIO = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
HI = {"type": "text", "text": "Hi"}


def user(*content: Any) -> list[Any]:
    return [{"role": "user", "content": list(content)}]


UNSUPPORTED: list[tuple[str, Any, dict[str, Any]]] = [
    ("messages[0].name", [{**USER, "name": "Ann"}], {}),
    ("messages[0].name", [{"role": "system", "content": "x", "name": "Ann"}, USER], {}),
    ("messages[1].name", [USER, {"role": "assistant", "content": "x", "name": "Ann"}], {}),
    ("messages[1].role", [USER, {"role": "system", "content": "x"}], {}),
    ("messages[1].role", [USER, {"role": "developer", "content": "x"}], {}),
    ("messages[0].content[1]", user(HI, AUDIO), {}),
    ("messages[0].content[1].image_url.url", user(HI, {**PNG, "image_url": {"url": "http://x/a.png"}}), {}),
    ("messages[0].content[0].image_url.detail", user({**PNG, "image_url": {"url": "https://x", "detail": "low"}}), {}),
    ("response_format", "Hi", {"response_format": {"type": "json_object"}}),
    ("response_format", "Hi", {"response_format": {"type": "grammar"}}),
    ("service_tier", "Hi", {"service_tier": "flex"}),
    ("stream_options.include_obfuscation", "Hi", {"stream": True, "stream_options": {"include_obfuscation": True}}),
    ("tools[0]", "Hi", {"tools": [{"type": "custom", "custom": {"name": "sh"}}]}),
    ("tool_choice", "Hi", {"tools": [TOOL], "tool_choice": {"type": "allowed_tools", "allowed_tools": {}}}),
    ("reasoning_effort", "Hi", {"model": "claude-3-haiku-20240307", "reasoning_effort": "low"}),
    ("reasoning_effort", "Hi", {"model": OLDER, "reasoning_effort": "colossal"}),
    ("temperature", "Hi", {"api_version": "2026-10-21", "temperature": 0.5}),
    ("top_p", "Hi", {"api_version": "2027-01-01", "top_p": 0.5}),
]


@pytest.mark.parametrize(("param", "messages", "params"), UNSUPPORTED)
def test_unsupported_is_refused(param: str, messages: Any, params: dict[str, Any]):
    """Something that the format cannot express would be lost silently, or refused without its place."""
    with pytest.raises(UnsupportedParameterError) as caught:
        send(messages, **params)
    assert caught.value.param == param


@pytest.mark.parametrize(("param", "messages", "params"), UNSUPPORTED)
def test_unsupported_is_dropped_with_a_warning(param: str, messages: Any, params: dict[str, Any]):
    """The policy "warn" would raise, or drop without a warning; "drop" would warn; or content would be dropped."""
    if param.endswith(".role"):
        for policy in ("warn", "drop"):
            moved = send(messages, policy=policy, max_tokens=1, **params)
            assert [text for text in moved.warnings if text.startswith(f"{param} moved to the front: ")]
            assert repr(moved.body).index(messages[1]["content"]) >= 0
        return
    if param.startswith(("messages[", "tools[")) and not param.endswith((".name", ".detail", ".strict")):
        for policy in ("warn", "drop"):
            with pytest.raises(UnsupportedParameterError) as caught:
                send(messages, policy=policy, max_tokens=1, **params)
            assert caught.value.param == param
        return
    warned = send(messages, policy="warn", max_tokens=1, **params)
    assert [text for text in warned.warnings if text.startswith(f"{param} dropped: ")]
    dropped = send(messages, policy="drop", max_tokens=1, **params)
    assert dropped.body == warned.body
    assert dropped.warnings == []


def calling(**function: Any) -> list[Any]:
    call = {"id": "a", "type": "function", "function": {"name": "add", **function}}
    return [USER, {"role": "assistant", "tool_calls": [call]}]


@pytest.mark.parametrize("text", ["{", "[1]", "7"])
def test_arguments_that_are_no_object_become_a_field_of_one(text: str) -> None:
    """A conversation with a call that a model made wrong could not go on, or the model would not see its mistake."""
    messages = [*calling(arguments=text), {"role": "tool", "tool_call_id": "a", "content": "wrong"}]
    request = send(messages, max_tokens=1)
    assert request.body is not None
    assert request.body["messages"][1]["content"][0]["input"] == {"invalid_json": text}
    assert request.warnings == [
        "messages[1].tool_calls[0].function.arguments: is no JSON object; sent as the field invalid_json of one"
    ]


INVALID: list[tuple[str, list[Any]]] = [
    ("messages", [{"role": "system", "content": "x"}]),
    ("messages[0].content", [{"role": "user", "content": ""}]),
    ("messages[0].content", user({"type": "text", "text": ""})),
    ("messages[0].content", [{"role": "user", "content": " \n"}]),
    ("messages[2].content", [USER, {"role": "assistant", "content": "x"}, {"role": "user", "content": ""}]),
    (
        "messages[1].tool_calls[1]",
        [
            USER,
            {
                "role": "assistant",
                "tool_calls": [CALL, {"id": "b", "type": "custom", "custom": {"name": "c", "input": ""}}],
            },
        ],
    ),
    ("messages[1].name", [USER, {"role": "function", "name": "add", "content": "2"}]),
    ("messages[0].content[0].file", user({"type": "file", "file": {"filename": "a.pdf"}})),
    ("messages[0].content[0].image_url.url", user({**PNG, "image_url": {"url": "data:image/png,xx"}})),
    (
        "messages[0].content[0].file.file_data",
        user({"type": "file", "file": {"file_data": "data:text/plain;base64,!!!"}}),
    ),
    (
        "messages[1].provider_specific_fields.anthropic_content",
        [USER, AssistantMessage("x", provider_specific_fields={"anthropic_content": "text"})],
    ),
]


@pytest.mark.parametrize(("param", "messages"), INVALID)
@pytest.mark.parametrize("policy", ["raise", "drop"])
def test_invalid_is_refused_whatever_the_policy(param: str, messages: list[Any], policy: OnUnsupported):
    """Invalid input would be sent in a changed form instead of being refused with its place."""
    with pytest.raises(InvalidRequestError) as caught:
        send(messages, policy=policy)
    assert caught.value.param == param
    assert not isinstance(caught.value, UnsupportedParameterError)


# --- system -----------------------------------------------------------------------------------------------------------

MARK = {"type": "ephemeral"}


def test_leading_system_messages_are_joined():
    """A second system or developer message would overwrite the first."""
    sent = body([{"role": "system", "content": "A"}, {"role": "developer", "content": "B\n"}, USER])
    assert sent["system"] == "A\n\nB\n"


def test_cached_system_messages_are_blocks():
    """A cache breakpoint on a system message would be lost, or the order would change."""
    sent = body(
        [
            {"role": "system", "content": "A"},
            {"role": "system", "content": [{"type": "text", "text": "B", "cache_control": MARK}, HI]},
            {"role": "system", "content": "C", "cache_control": MARK},
            USER,
        ]
    )
    assert sent["system"] == [
        {"type": "text", "text": "A"},
        {"type": "text", "text": "B", "cache_control": MARK},
        HI,
        {"type": "text", "text": "C", "cache_control": MARK},
    ]


def test_empty_system_messages_are_not_sent():
    """Anthropic would refuse an empty system text."""
    assert "system" not in body([{"role": "system", "content": ""}, USER])


# --- turns ------------------------------------------------------------------------------------------------------------


def test_turns_of_one_role_are_merged():
    """Consecutive turns of one role would be sent, which the API does not promise to accept."""
    assert turns(USER, {"role": "user", "content": [HI]}, {"role": "assistant", "content": " Yes\n"}, USER) == [
        {"role": "user", "content": [HI, HI]},
        {"role": "assistant", "content": " Yes\n"},
        USER,
    ]


def test_results_are_together_before_any_text():
    """Anthropic would refuse a conversation with results in several turns, or after a text."""
    second = {**CALL, "id": "toolu_2"}
    sent = turns(
        USER,
        {"role": "assistant", "content": "Let me see.", "tool_calls": [CALL, second]},
        {"role": "tool", "tool_call_id": "toolu_1", "content": "2"},
        {"role": "user", "content": "Well?"},
        {"role": "tool", "tool_call_id": "toolu_2", "content": [HI, PNG], "is_error": True, "cache_control": MARK},
    )
    image = {"type": "image", "source": {"type": "url", "url": "https://x/a.png"}}
    assert sent == [
        USER,
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "Let me see."}, USED, {**USED, "id": "toolu_2"}],
        },
        {
            "role": "user",
            "content": [
                RESULT,
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_2",
                    "content": [HI, image],
                    "is_error": True,
                    "cache_control": MARK,
                },
                {"type": "text", "text": "Well?"},
            ],
        },
    ]


@pytest.mark.parametrize("content", ["", " ", [], [{"type": "text", "text": ""}], [{"type": "text", "text": "\n"}]])
def test_empty_results_have_no_content(content: Any):
    """An empty result would be refused, or replaced with an invented text."""
    sent = turns(USER, CALLING, {"role": "tool", "tool_call_id": "toolu_1", "content": content})
    assert sent[2]["content"] == [{"type": "tool_result", "tool_use_id": "toolu_1"}]


@pytest.mark.parametrize("arguments", ["", " ", "{}"])
def test_calls_without_arguments(arguments: str):
    """A call of a function without parameters could not be sent back."""
    assert turns(*calling(arguments=arguments))[1]["content"][0]["input"] == {}


def answered(*messages: Any) -> list[tuple[list[str], list[str]]]:
    """The ids of the calls and of the results of each turn that calls tools."""
    sent = turns(USER, *messages)
    found: list[tuple[list[str], list[str]]] = []
    for asked, answer in itertools.pairwise(sent):
        ids = [block["id"] for block in asked["content"] if isinstance(block, dict) and block["type"] == "tool_use"]
        if ids:
            found.append((ids, [block["tool_use_id"] for block in answer["content"] if "tool_use_id" in block]))
    return found


def made(*ids: str) -> dict[str, Any]:
    return {**CALLING, "tool_calls": [{**CALL, "id": given} for given in ids]}


def results(*ids: str) -> list[dict[str, Any]]:
    return [{"role": "tool", "tool_call_id": given, "content": "2"} for given in ids]


NATIVE_CALL = {"role": "assistant", "content": [{**USED, "id": "a:1"}]}
KEPT_CALL = {**made("a:1"), "provider_specific_fields": {"anthropic_content": [{**USED, "id": "a:1"}]}}
NATIVE_RESULT = {"role": "user", "content": [{**RESULT, "tool_use_id": "a:1"}]}


@pytest.mark.parametrize(
    "messages",
    [
        [made("a:1"), *results("a:1")],
        [made("call:1/ä", "b"), *results("call:1/ä", "b")],
        [made("", ""), *results("", "")],
        [made("0"), *results("0"), made("0"), *results("0")],
        [made("0", "0"), *results("0", "0"), made("0_2"), *results("0_2")],
        [NATIVE_CALL, *results("a:1")],
        [KEPT_CALL, *results("a:1")],
        [made("a:1"), NATIVE_RESULT],
        [NATIVE_CALL, NATIVE_RESULT],
    ],
)
def test_ids_are_rewritten_alike(messages: list[Any]):
    """Ids of other providers would be refused, or a call and its result would get different ids."""
    turns_with_calls = answered(*messages)
    assert all(asked == results for asked, results in turns_with_calls)
    ids = [call_id for asked, _ in turns_with_calls for call_id in asked]
    assert len(set(ids)) == len(ids)
    assert set("".join(ids)) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


LONG_CONVERSATIONS: dict[str, Callable[[int], list[Any]]] = {
    "one id": lambda count: [made(*["0"] * count), *results(*["0"] * count)],
    "ids like the made ones": lambda count: [made(*[f"0_{n}" for n in range(2, count)], *["0"] * count)],
    "unanswered": lambda count: [made(*map(str, range(count))), *results(*[f"x{n}" for n in range(count)])],
    "answered backwards": lambda count: [made(*map(str, range(count))), *results(*map(str, reversed(range(count))))],
}


@pytest.mark.parametrize("kind", LONG_CONVERSATIONS)
def test_each_id_takes_the_same_time(kind: str):
    """A caller of a service could stop it for many seconds with one conversation."""
    messages = LONG_CONVERSATIONS[kind](5_000)
    started = time.perf_counter()
    turns({"role": "user", "content": "Hi"}, *messages)
    assert time.perf_counter() - started < 1.5


def test_ids_that_anthropic_takes_are_sent_unchanged():
    """The cache would not find a conversation again, or the ids in logs would differ from the caller's."""
    first, second = made("toolu_1", "call_2"), made("x-3")
    assert answered(first, *results("toolu_1", "call_2"), second, *results("x-3")) == [
        (["toolu_1", "call_2"], ["toolu_1", "call_2"]),
        (["x-3"], ["x-3"]),
    ]


def test_rewritten_ids_are_reported():
    """An id in Anthropic's console could not be found in the caller's logs."""
    request = send([USER, made("call:1/ä"), *results("call:1/ä")], max_tokens=1)
    assert request.body is not None
    sent = request.body["messages"][1]["content"][0]["id"]
    assert sent.startswith("call_1___")
    assert request.warnings == [f"messages[1]: call id 'call:1/ä' sent as {sent}, because Anthropic refuses it"]


@given(st.text(), st.text())
def test_rewritten_ids_are_valid_and_distinct(one: str, other: str):
    """Two ids could become the same, or contain a character that Anthropic refuses."""
    assert tool_id(one) == tool_id(one)
    assert set(tool_id(one)) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
    assert (tool_id(one) == tool_id(other)) == (one == other)


def test_legacy_functions_have_one_id_per_pair():
    """A legacy call and its result would get different ids, which Anthropic refuses."""
    call = {"role": "assistant", "content": None, "function_call": {"name": "add", "arguments": '{"a": 1}'}}
    result = {"role": "function", "name": "add", "content": "2"}
    sent = turns(USER, call, result, call, {**result, "content": None})
    assert sent[1:] == [
        {"role": "assistant", "content": [{**USED, "id": "function_call_1"}]},
        {"role": "user", "content": [{**RESULT, "tool_use_id": "function_call_1"}]},
        {"role": "assistant", "content": [{**USED, "id": "function_call_3"}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "function_call_3"}]},
    ]


def test_legacy_result_of_a_native_call():
    """A legacy result would not be matched with a call in native blocks."""
    call = {"role": "assistant", "function_call": CALL["function"]}
    native = {**call, "provider_specific_fields": {"anthropic_content": [USED]}}
    sent = turns(USER, native, {"role": "function", "name": "add", "content": "2"})
    assert sent[1:] == [{"role": "assistant", "content": [USED]}, {"role": "user", "content": [RESULT]}]


def test_thinking_is_sent_back_first_and_unchanged():
    """Anthropic would refuse a turn with a changed or moved thinking block."""
    thinking = [
        {"type": "thinking", "thinking": "", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "eA=="},
    ]
    message = {**CALLING, "content": "So.", "thinking_blocks": thinking, "reasoning_content": "hm"}
    request = send([USER, message], max_tokens=1)
    assert request.body is not None
    assert request.body["messages"][1]["content"] == [*thinking, {"type": "text", "text": "So."}, USED]
    assert request.warnings == []


def test_native_content_is_sent_back_exactly():
    """Blocks that OpenAI's fields cannot express would be lost when they are sent back."""
    native = [
        {"type": "text", "text": "a", "citations": [{"type": "char_location"}]},
        {"type": "text", "text": ""},
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        USED,
    ]
    message = {**CALLING, "content": "a", "provider_specific_fields": {"anthropic_content": native}}
    assert turns(USER, message)[1]["content"] == [native[0], native[2], native[3]]


SPOKEN = {**CALLING, "content": "ab", "tool_calls": [CALL, {**CALL, "id": "toolu_2"}]}
SPOKEN_BLOCKS = [
    {"type": "thinking", "thinking": "", "signature": "c2ln"},
    {"type": "text", "text": "a"},
    {"type": "text", "text": "b", "citations": [{"type": "char_location"}]},
    USED,
    {**USED, "id": "toolu_2"},
]
EDITS: dict[str, dict[str, Any]] = {
    "text": {"content": "[redacted]"},
    "no text": {"content": None},
    "a call less": {"tool_calls": [CALL]},
    "no calls": {"tool_calls": None},
    "arguments": {"tool_calls": [CALL, {**CALL, "id": "toolu_2", "function": {"name": "add", "arguments": "{}"}}]},
}


def test_a_call_whose_id_was_replaced_keeps_its_thinking() -> None:
    """A loop over tools that gives each call an id of its own would lose the thinking of the turn."""
    renamed = [CALL, {**CALL, "id": "toolu_3"}]
    message = {**SPOKEN, "tool_calls": renamed, "provider_specific_fields": {"anthropic_content": SPOKEN_BLOCKS}}
    assert turns(USER, message)[1]["content"] == [*SPOKEN_BLOCKS[:-1], {**SPOKEN_BLOCKS[-1], "id": "toolu_3"}]


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_reply_is_sent_as_it_was_edited(name: str):
    """A text that the caller removed, or a call that it dropped, would be sent nevertheless."""
    message = {**SPOKEN, "provider_specific_fields": {"anthropic_content": SPOKEN_BLOCKS}}
    assert turns(USER, message)[1]["content"] == SPOKEN_BLOCKS
    request = send([USER, {**message, **EDITS[name]}], max_tokens=1)
    assert isinstance(request.body, dict)
    assert request.body["messages"][1:] == turns(USER, {**SPOKEN, **EDITS[name]})[1:]
    assert request.warnings == [
        "messages[1].provider_specific_fields.anthropic_content left out: the message was changed, and no longer "
        "agrees with it"
    ]


def test_the_cache_control_of_a_reply_is_on_its_last_native_block():
    """A breakpoint on a reply with native blocks would be lost without a word."""
    caching = {"cache_control": {"type": "ephemeral"}}
    message = {**SPOKEN, "provider_specific_fields": {"anthropic_content": SPOKEN_BLOCKS}, **caching}
    assert turns(USER, message)[1]["content"] == [*SPOKEN_BLOCKS[:-1], SPOKEN_BLOCKS[-1] | caching]
    thinking = {"role": "assistant", "provider_specific_fields": {"anthropic_content": SPOKEN_BLOCKS[:1]}, **caching}
    sent = send([USER, thinking, USER], max_tokens=1)
    assert isinstance(sent.body, dict)
    assert sent.body["messages"][1]["content"] == SPOKEN_BLOCKS[:1]
    assert sent.warnings == ["messages[1].cache_control left out: Anthropic takes none on thinking"]


def test_fields_of_another_provider_are_left_out_with_a_warning():
    """The caller would not know that a provider's own content is missing after a fallback to another one."""
    message = {"role": "assistant", "content": "So.", "provider_specific_fields": {"bedrock_content": []}}
    assert send([USER, message, USER], max_tokens=1).warnings == [
        "messages[1].provider_specific_fields left out: only the provider that wrote it understands it"
    ]


def test_a_refusal_is_sent_back_as_text():
    """An earlier refusal would be dropped, and the conversation would lack a turn."""
    assert turns(USER, {"role": "assistant", "content": None, "refusal": "No."})[1] == {
        "role": "assistant",
        "content": [{"type": "text", "text": "No."}],
    }
    part = {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}
    assert turns(USER, part)[1]["content"] == [{"type": "text", "text": "No."}]


@pytest.mark.parametrize(
    ("members", "note"),
    [
        ({"content": "x", "refusal": "No."}, "messages[1].refusal left out: the message has content"),
        (
            {"content": "x", "reasoning_content": "hm"},
            "messages[1].reasoning_content left out: Anthropic takes only thinking blocks that it signed",
        ),
        ({"content": "x", "audio": {"id": "a"}}, "messages[1].audio left out: Anthropic takes no audio"),
        ({"content": ""}, "messages[1] left out: it is empty, which Anthropic refuses"),
        (
            {"content": "x", "tool_plan": "y"},
            "messages[1].tool_plan left out: Anthropic refuses members it does not know",
        ),
        (
            {"content": None, "tool_calls": [CALL], "function_call": {"name": "add", "arguments": ""}},
            "messages[1].function_call left out: the message has tool_calls",
        ),
    ],
)
def test_losses_of_other_providers_replies_are_reported(members: dict[str, Any], note: str):
    """A reply of another provider would lose members silently, or would be refused by Anthropic."""
    assert send([USER, {"role": "assistant", **members}], max_tokens=1).warnings == [note]


def test_replies_of_other_providers_need_no_warning():
    """Members that only describe a reply would be refused or cause warnings."""
    members = {"annotations": [], "refusal": None, "tool_calls": None}
    call = {**CALL, "index": 0, "cache_control": MARK}
    request = send(
        [USER, {"role": "assistant", "content": "x", **members}, USER, {**CALLING, "tool_calls": [call]}], max_tokens=1
    )
    assert request.warnings == []
    assert request.body is not None
    assert request.body["messages"][1] == {"role": "assistant", "content": "x"}
    assert request.body["messages"][3]["content"] == [{**USED, "cache_control": MARK}]


def test_members_of_messages_are_put_onto_the_last_block():
    """A cache breakpoint on a whole message would be lost."""
    sent = turns({**USER, "cache_control": MARK}, {"role": "assistant", "content": [HI, HI], "cache_control": MARK})
    assert sent == [
        {"role": "user", "content": [{**HI, "cache_control": MARK}]},
        {"role": "assistant", "content": [HI, {**HI, "cache_control": MARK}]},
    ]


def test_native_messages_are_sent_unchanged():
    """An unknown role could not be sent."""
    custom = CustomMessage("system_note", extra={"content": "x"})
    assert turns(USER, custom, USER) == [USER, {"role": "system_note", "content": "x"}, USER]


# --- parts ------------------------------------------------------------------------------------------------------------


def file(**members: Any) -> dict[str, Any]:
    return {"type": "file", "file": members}


def base64_source(media_type: str, data: str) -> dict[str, Any]:
    return {"type": "base64", "media_type": media_type, "data": data}


PARTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {**HI, "cache_control": MARK, "citations": []},
        {"type": "text", "text": "Hi", "cache_control": MARK, "citations": []},
    ),
    (
        {**PNG, "cache_control": MARK},
        {
            "type": "image",
            "source": {"type": "url", "url": "https://x/a.png"},
            "cache_control": MARK,
        },
    ),
    (
        {"type": "image_url", "image_url": {"url": "data:image/PNG;base64,AAAA", "detail": "auto"}},
        {"type": "image", "source": base64_source("image/png", "AAAA")},
    ),
    (
        file(file_data=f"data:application/pdf;base64,{PDF}", filename="a.pdf"),
        {"type": "document", "source": base64_source("application/pdf", PDF), "title": "a.pdf"},
    ),
    (file(file_data=PDF), {"type": "document", "source": base64_source("application/pdf", PDF)}),
    (
        {**file(file_id="file_1"), "title": "T", "context": "C", "citations": {"enabled": True}},
        {
            "type": "document",
            "source": {"type": "file", "file_id": "file_1"},
            "title": "T",
            "context": "C",
            "citations": {"enabled": True},
        },
    ),
    (
        file(file_data=f"data:text/plain;charset=utf-8;base64,{PLAIN}"),
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Grüße"}},
    ),
    (
        file(file_data=PLAIN, filename="a.txt"),
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Grüße"}, "title": "a.txt"},
    ),
    (file(file_data="data:image/gif;base64,AAAA"), {"type": "image", "source": base64_source("image/gif", "AAAA")}),
    (file(file_data="https://x/a.pdf"), {"type": "document", "source": {"type": "url", "url": "https://x/a.pdf"}}),
    (
        {"type": "search_result", "source": "s", "title": "t", "content": []},
        {"type": "search_result", "source": "s", "title": "t", "content": []},
    ),
]


@pytest.mark.parametrize(("part", "block"), PARTS)
def test_parts(part: dict[str, Any], block: dict[str, Any]):
    """A part would be lost, changed or sent in a form that Anthropic refuses."""
    assert parts(part) == [block]


@pytest.mark.parametrize("text", ["", " ", "\n\t\u2003"])
def test_blank_texts_are_left_out(text: str):
    """Anthropic would refuse a request with one text of white space only."""
    blank = {"type": "text", "text": text}
    own = [blank, HI, blank]
    native = {"role": "assistant", "content": own, "provider_specific_fields": {"anthropic_content": own}}
    assert parts(blank, HI) == [HI]
    assert turns(USER, {"role": "assistant", "content": [blank, HI]}, USER)[1]["content"] == [HI]
    assert turns(USER, {"role": "assistant", "content": text, "tool_calls": [CALL]})[1]["content"] == [USED]
    assert turns(USER, native, USER)[1]["content"] == [HI]
    assert body([{"role": "system", "content": [blank, HI]}, USER])["system"] == [HI]


BLANK = "messages[1].content left out: Anthropic refuses a text of white space only"
EMPTY = "messages[1] left out: it is empty, which Anthropic refuses"


@pytest.mark.parametrize(
    ("message", "warning"),
    [
        ({"role": "assistant", "content": "\n"}, BLANK),
        ({"role": "assistant", "content": ""}, EMPTY),
        ({"role": "user", "content": " "}, EMPTY),
        ({"role": "user", "content": ""}, EMPTY),
    ],
)
def test_blank_messages_are_left_out_with_a_warning(message: dict[str, Any], warning: str):
    """Anthropic would refuse a conversation with one blank message, or the message would be missing silently."""
    request = send([USER, message, USER], max_tokens=1)
    assert request.body is not None
    assert request.body["messages"] == [{"role": "user", "content": [HI, HI]}]
    assert request.warnings == [warning]


@pytest.mark.parametrize(
    ("content", "sent"),
    [
        ("A: \n", "A:"),
        ([{"type": "text", "text": "A: "}], [{"type": "text", "text": "A:"}]),
        ([HI, {"type": "text", "text": "A: "}], [HI, {"type": "text", "text": "A:"}]),
        ([HI, {"type": "text", "text": " "}], [HI]),
    ],
)
def test_white_space_at_the_end_of_a_prefill(content: Any, sent: Any):
    """Anthropic would refuse a conversation whose last message ends in white space."""
    request = send([USER, {"role": "assistant", "content": content}], max_tokens=1)
    assert request.body is not None
    assert request.body["messages"][1]["content"] == sent
    assert len(request.warnings) == 1
    assert turns(USER, {"role": "assistant", "content": "A: "}, USER)[1]["content"] == "A: "


@pytest.mark.parametrize(
    ("alias", "registered"),
    [
        ("image/jpg", "image/jpeg"),
        ("image/JPG", "image/jpeg"),
        ("image/pjpeg", "image/jpeg"),
        ("image/x-png", "image/png"),
    ],
)
def test_aliases_of_media_types(alias: str, registered: str):
    """Anthropic would refuse an image, because its list of media types is closed."""
    image = {"type": "image", "source": base64_source(registered, "AAAA")}
    url = f"data:{alias};base64,AAAA"
    assert parts({"type": "image_url", "image_url": {"url": url}}, file(file_data=url)) == [image, image]
    result = {"role": "tool", "tool_call_id": "toolu_1", "content": [{"type": "image_url", "image_url": {"url": url}}]}
    assert turns(USER, CALLING, result)[2]["content"][0]["content"] == [image]


def test_nulls_of_native_blocks_are_not_sent():
    """Blocks as Anthropic's SDK dumps them would be refused for their nulls."""
    use = {"role": "assistant", "content": [{**USED, "caller": None, "cache_control": None}]}
    thinking = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
    thought = {**CALLING, "thinking_blocks": [{**thinking, "cache_control": None}]}
    assert turns(USER, use, {"role": "user", "content": [{**RESULT, "is_error": None}]})[1:] == [
        {"role": "assistant", "content": [USED]},
        {"role": "user", "content": [RESULT]},
    ]
    assert turns(USER, thought)[1]["content"] == [thinking, USED]


def test_texts_of_other_types_are_plain_text():
    """A document in Markdown would be sent as a PDF."""
    source = {"type": "text", "media_type": "text/plain", "data": "Grüße"}
    assert parts(file(file_data=PLAIN, filename="a.md"))[0]["source"] == source


def test_encoding_does_not_change_the_callers_records():
    """A second encoding of the same records would give another body."""
    native = [{"type": "text", "text": "b"}, RESULT]
    messages = [
        {"role": "user", "content": native},
        {"role": "user", "content": "x"},
        AssistantMessage("y", thinking_blocks=[{"type": "thinking", "thinking": "t", "signature": "s"}]),
    ]
    request = build_request(MODEL, messages, {"tools": [TOOL]})
    target = Target(provider="anthropic", model=MODEL, base_url="https://x")
    first = json.dumps(DIALECT.encode(request, target, {}).body)
    assert json.dumps(DIALECT.encode(request, target, {}).body) == first
    assert native[0]["type"] == "text"
