"""Encoding of requests for Cohere: a chat request → the exact body."""

import json
from typing import Any

import pytest

from anycompletion.dialects.base import Dialect, EncodingReport, Target
from anycompletion.dialects.cohere_chat.dialect import DIALECT
from anycompletion.errors import InvalidRequestError, UnsupportedParameterError
from anycompletion.http import HttpRequest
from anycompletion.options import OnUnsupported
from anycompletion.providers import apply_param_support
from anycompletion.records import PARAM_NAMES, AssistantMessage, ChatRequest, CustomMessage
from anycompletion.validation.request_checks import build_request

MODEL = "command-a-03-2025"
USER = {"role": "user", "content": "Hi"}
CALL = {"id": "add_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "add_1", "content": "2"}
EMPTY = {"type": "object", "properties": {}}
TOOL = {"type": "function", "function": {"name": "add", "parameters": EMPTY}}
OTHER = {"type": "function", "function": {"name": "sub", "parameters": EMPTY}}
STRICT = {"type": "function", "function": {"name": "add", "parameters": EMPTY, "strict": True}}
HI = {"type": "text", "text": "Hi"}
PNG = {"type": "image_url", "image_url": {"url": "https://x/a.png"}}
AUDIO = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
FILE = {"type": "file", "file": {"file_id": "file_1"}}


def send(
    messages: Any,
    *,
    policy: OnUnsupported = "raise",
    path: str | None = None,
    stream: bool = False,
    extra_body: dict[str, Any] | None = None,
    **params: Any,
) -> HttpRequest:
    request = build_request(MODEL, messages, params)
    request.extra_body = extra_body
    target = Target(
        provider="cohere",
        model=MODEL,
        base_url="https://api.cohere.com",
        on_unsupported=policy,
        path=path,
        stream=stream,
    )
    return DIALECT.encode(request, target, {})


def body(messages: Any = "Hi", **options: Any) -> dict[str, Any]:
    """The body without the model and messages."""
    sent = dict(send(messages, **options).body or {})
    assert sent.pop("model") == MODEL
    if messages == "Hi":
        assert sent.pop("messages") == [USER]
    return sent


def turns(*messages: Any, **options: Any) -> Any:
    return body(list(messages), **options)["messages"]


# --- the request ------------------------------------------------------------------------------------------------------


def test_a_complete_request() -> None:
    """A plain question would be sent to the wrong URL or with a wrong body."""
    request = send([{"role": "system", "content": "Be brief."}, USER], max_tokens=5)
    assert request.method == "POST"
    assert request.url == "https://api.cohere.com/v2/chat"
    assert request.headers == {}
    assert request.body == {
        "model": MODEL,
        "messages": [{"role": "system", "content": "Be brief."}, USER],
        "max_tokens": 5,
    }
    assert request.warnings == []


def test_path_and_stream_of_the_target() -> None:
    """A row's path or streaming would be ignored."""
    request = send("Hi", path="/cohere/v2/chat", stream=True)
    assert request.url == "https://api.cohere.com/cohere/v2/chat"
    assert request.body == {"model": MODEL, "messages": [USER], "stream": True}


def test_the_module_is_a_dialect() -> None:
    """A missing function would be found only in a call to Cohere."""
    as_dialect: Dialect = DIALECT
    assert as_dialect.name == "cohere_chat"


def test_every_parameter_has_support() -> None:
    """A parameter without an entry would be sent unchanged, under a name that Cohere may not have."""
    assert set(DIALECT.params) == set(PARAM_NAMES)


def test_unsupported_parameters_have_a_reason() -> None:
    """A refusal would not contain its reason."""
    assert all(cell.note for cell in DIALECT.params.values() if cell.support == "unsupported")


def test_a_text_as_messages() -> None:
    """A request record with a text for messages would raise an internal error."""
    target = Target(provider="cohere", model=MODEL, base_url="https://x")
    assert DIALECT.encode(ChatRequest(MODEL, "Hi"), target, {}).body == {"model": MODEL, "messages": [USER]}


# --- parameters -------------------------------------------------------------------------------------------------------

NAMED = {"type": "function", "function": {"name": "add"}}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": True}}

PARAMETERS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"max_tokens": 7}, {"max_tokens": 7}),
    ({"max_tokens": 0}, {"max_tokens": 0}),
    ({"max_completion_tokens": 8}, {"max_tokens": 8}),
    ({"max_completion_tokens": 8, "max_tokens": 9}, {"max_tokens": 8}),
    ({"temperature": 0}, {"temperature": 0}),
    ({"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5, "p": 0.9}),
    ({"stop": "END"}, {"stop_sequences": ["END"]}),
    ({"stop": ["a", "b"]}, {"stop_sequences": ["a", "b"]}),
    ({"frequency_penalty": 0.5, "presence_penalty": 0}, {"frequency_penalty": 0.5}),
    ({"frequency_penalty": 0, "presence_penalty": 1}, {"presence_penalty": 1}),
    ({"seed": 0}, {"seed": 0}),
    ({"logprobs": True}, {"logprobs": True}),
    ({"logprobs": False}, {}),
    ({"stream": True, "stream_options": {"include_usage": True}}, {"stream": True}),
    ({"stream": True, "stream_options": {"include_usage": False, "include_obfuscation": False}}, {"stream": True}),
    ({"response_format": {"type": "text"}}, {}),
    ({"response_format": {"type": "json_object"}}, {"response_format": {"type": "json_object"}}),
    (
        {"response_format": {"type": "json_object", "json_schema": SCHEMA}},
        {"response_format": {"type": "json_object", "json_schema": SCHEMA}},
    ),
    ({"response_format": FORMAT}, {"response_format": {"type": "json_object", "json_schema": SCHEMA}}),
    ({"response_format": {"type": "text"}, "tools": [TOOL]}, {"tools": [TOOL]}),
    ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
    ({"reasoning_effort": "low"}, {"thinking": {"type": "enabled"}}),
    ({"reasoning_effort": "max"}, {"thinking": {"type": "enabled"}}),
    ({"thinking": {"type": "disabled"}}, {"thinking": {"type": "disabled"}}),
    (
        {"thinking": {"type": "enabled", "budget_tokens": 500}},
        {"thinking": {"type": "enabled", "token_budget": 500}},
    ),
    (
        {"thinking": {"type": "enabled", "token_budget": 400, "budget_tokens": 500}},
        {"thinking": {"type": "enabled", "token_budget": 400}},
    ),
    ({"thinking": {"type": "enabled", "budget_tokens": None}}, {"thinking": {"type": "enabled"}}),
    ({"thinking": {"type": "disabled"}, "reasoning_effort": "high"}, {"thinking": {"type": "disabled"}}),
    ({"tools": []}, {}),
    ({"tools": [TOOL]}, {"tools": [TOOL]}),
    ({"tools": [TOOL], "tool_choice": "auto"}, {"tools": [TOOL]}),
    ({"tools": [TOOL], "tool_choice": "none"}, {"tools": [TOOL], "tool_choice": "NONE"}),
    ({"tools": [TOOL], "tool_choice": "required"}, {"tools": [TOOL], "tool_choice": "REQUIRED"}),
    ({"tools": [TOOL], "tool_choice": NAMED}, {"tools": [TOOL], "tool_choice": "REQUIRED"}),
    ({"tools": [OTHER, TOOL], "tool_choice": NAMED}, {"tools": [TOOL], "tool_choice": "REQUIRED"}),
    ({"tool_choice": "auto"}, {}),
    ({"tool_choice": "none"}, {}),
    ({"tools": [STRICT]}, {"tools": [TOOL], "strict_tools": True}),
    (
        {"tools": [STRICT, OTHER], "tool_choice": NAMED},
        {"tools": [TOOL], "strict_tools": True, "tool_choice": "REQUIRED"},
    ),
    ({"functions": [{"name": "add"}]}, {"tools": [TOOL]}),
    ({"functions": [{"name": "add", "strict": True}]}, {"tools": [TOOL], "strict_tools": True}),
    ({"functions": [{"name": "add"}], "function_call": "auto"}, {"tools": [TOOL]}),
    ({"functions": [{"name": "add"}], "function_call": "none"}, {"tools": [TOOL], "tool_choice": "NONE"}),
    (
        {"functions": [{"name": "sub"}, {"name": "add"}], "function_call": {"name": "add"}},
        {"tools": [TOOL], "tool_choice": "REQUIRED"},
    ),
]


@pytest.mark.parametrize(("params", "expected"), PARAMETERS, ids=[json.dumps(case[0])[:60] for case in PARAMETERS])
def test_parameters(params: dict[str, Any], expected: dict[str, Any]) -> None:
    """A parameter would be lost or sent under a wrong name."""
    assert body(**params) == expected


def test_unknown_members_of_tools_pass() -> None:
    """A description or an unknown member of a tool would be dropped, or OpenAI's nulls would be sent."""
    function: dict[str, Any] = {
        "name": "add",
        "description": "Adds.",
        "parameters": {"properties": {"a": {}}},
        "strict": None,
        "x": 1,
    }
    assert body(tools=[{"type": "function", "function": function, "y": 2, "z": None}])["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "add",
                "description": "Adds.",
                "parameters": {"type": "object", "properties": {"a": {}}},
                "x": 1,
            },
            "y": 2,
        }
    ]


def test_native_tools_are_sent_unchanged() -> None:
    """A type of tool that Cohere adds later could not be used."""
    tools = [{"type": "of_tomorrow", "size": 2}]
    assert body(tools=tools) == {"tools": tools}


def test_extra_body_wins() -> None:
    """A field that only Cohere has would be lost, or a parameter would win over the user's field."""
    extra = {
        "safety_mode": "STRICT",
        "documents": ["a"],
        "k": 3,
        "priority": 1,
        "temperature": 0.1,
        "strict_tools": True,
    }
    request = send("Hi", extra_body=extra, temperature=0.9, tools=[STRICT, OTHER])
    assert request.body == {"model": MODEL, "messages": [USER], "tools": [TOOL, OTHER], **extra}
    assert request.warnings == []


@pytest.mark.parametrize(
    ("params", "note"),
    [
        (
            {"max_tokens": 9, "max_completion_tokens": 8},
            "max_tokens left out: max_completion_tokens was given too, and wins",
        ),
        (
            {"functions": [{"name": "add"}], "function_call": "none", "tool_choice": "required"},
            "function_call left out: tool_choice was given too, and wins",
        ),
        (
            {"tools": [TOOL, OTHER], "tool_choice": NAMED},
            "tool_choice: only the tool it names was sent, as required; Cohere cannot choose by name",
        ),
        (
            {"reasoning_effort": "high"},
            "reasoning_effort 'high' sent as thinking enabled: Cohere has no levels of effort",
        ),
        (
            {"reasoning_effort": "none", "thinking": {"type": "enabled"}},
            "reasoning_effort left out: thinking was given, and wins",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {**FORMAT["json_schema"], "description": "d"}}},  # type: ignore[dict-item]
            "response_format.json_schema.description left out: Cohere takes the schema alone",
        ),
    ],
)
def test_changes_are_reported(params: dict[str, Any], note: str) -> None:
    """A parameter would be dropped or changed without a warning."""
    assert send("Hi", **params).warnings == [note]


GATED: list[tuple[str, Any, bool]] = [
    ("temperature", 0, True),
    ("temperature", 1.5, True),
    ("temperature", -0.1, False),
    ("top_p", 0.01, True),
    ("top_p", 0.99, True),
    ("top_p", 1, False),
    ("top_p", 0, False),
    ("presence_penalty", 1, True),
    ("presence_penalty", -0.5, False),
    ("frequency_penalty", 1.1, False),
    ("stop", ["a", "b", "c", "d", "e"], True),
    ("stop", ["a", "b", "c", "d", "e", "f"], False),
    ("reasoning_effort", "minimal", True),
    ("reasoning_effort", "colossal", False),
    ("parallel_tool_calls", True, True),
    ("parallel_tool_calls", False, False),
    ("top_logprobs", 0, True),
    ("top_logprobs", 2, False),
    ("logit_bias", {}, True),
    ("logit_bias", {"1": 2}, False),
    ("store", False, True),
    ("store", True, False),
    ("service_tier", "auto", True),
    ("service_tier", "flex", False),
    ("modalities", ["text"], True),
    ("modalities", ["audio"], False),
    ("user", "u", False),
    ("metadata", {"a": "b"}, False),
    ("audio", {"voice": "x"}, False),
    ("prediction", {"type": "content"}, False),
    ("n", 3, True),
]


@pytest.mark.parametrize(("name", "value", "passes"), GATED)
def test_ranges(name: str, value: Any, passes: bool) -> None:
    """A value that Cohere refuses would be sent, or a value that it accepts would be refused."""
    request = ChatRequest(MODEL, "Hi", **{name: value})
    if passes:
        apply_param_support(request, DIALECT.params, EncodingReport("raise"))
        return
    with pytest.raises(UnsupportedParameterError) as caught:
        apply_param_support(request, DIALECT.params, EncodingReport("raise"))
    assert caught.value.param == name


# --- refusals ---------------------------------------------------------------------------------------------------------


def user(*content: Any) -> list[Any]:
    return [{"role": "user", "content": list(content)}]


UNSUPPORTED: list[tuple[str, Any, dict[str, Any]]] = [
    ("messages[0].name", [{**USER, "name": "Ann"}], {}),
    ("messages[0].name", [{"role": "system", "content": "x", "name": "Ann"}, USER], {}),
    ("messages[1].name", [USER, {"role": "assistant", "content": "x", "name": "Ann"}], {}),
    ("messages[1].role", [USER, {"role": "system", "content": "x"}], {}),
    ("messages[1].role", [USER, {"role": "developer", "content": "x"}], {}),
    ("messages[0].content[1]", user(HI, AUDIO), {}),
    ("messages[0].content[1]", user(HI, FILE), {}),
    ("messages[0].content[1]", [{"role": "system", "content": [HI, PNG]}, USER], {}),
    ("messages[2].content[1]", [USER, CALLING, {**RESULT, "content": [HI, FILE]}], {}),
    (
        "messages[0].content[0].image_url.detail",
        user({**PNG, "image_url": {"url": "https://x", "detail": "original"}}),
        {},
    ),
    ("response_format", "Hi", {"response_format": {"type": "grammar"}}),
    ("response_format", "Hi", {"response_format": FORMAT, "tools": [TOOL]}),
    ("response_format", "Hi", {"response_format": FORMAT, "extra_body": {"documents": ["a"]}}),
    ("stream_options.include_obfuscation", "Hi", {"stream": True, "stream_options": {"include_obfuscation": True}}),
    ("tools[0]", "Hi", {"tools": [{"type": "custom", "custom": {"name": "sh"}}]}),
    ("tools[0].function.strict", "Hi", {"tools": [STRICT, OTHER]}),
    ("functions[1].strict", "Hi", {"functions": [{"name": "a"}, {"name": "b", "strict": True}]}),
    ("tool_choice", "Hi", {"tools": [TOOL], "tool_choice": {"type": "allowed_tools", "allowed_tools": {}}}),
    ("thinking.type", "Hi", {"thinking": {"type": "adaptive"}}),
]


@pytest.mark.parametrize(("param", "messages", "params"), UNSUPPORTED)
def test_unsupported_is_refused(param: str, messages: Any, params: dict[str, Any]) -> None:
    """Something that the format cannot express would be lost silently, or refused without its place."""
    with pytest.raises(UnsupportedParameterError) as caught:
        send(messages, **params)
    assert caught.value.param == param


@pytest.mark.parametrize(("param", "messages", "params"), UNSUPPORTED)
def test_unsupported_is_dropped_with_a_warning(param: str, messages: Any, params: dict[str, Any]) -> None:
    """The policy "warn" would raise, or drop without a warning; "drop" would warn; or content would be dropped."""
    if param.endswith(".role"):
        for policy in ("warn", "drop"):
            moved = send(messages, policy=policy, **params)
            assert [text for text in moved.warnings if text.startswith(f"{param} moved to the front: ")]
            assert repr(moved.body).index(messages[1]["content"]) >= 0
        return
    if param.startswith(("messages[", "tools[")) and not param.endswith((".name", ".detail", ".strict")):
        for policy in ("warn", "drop"):
            with pytest.raises(UnsupportedParameterError) as caught:
                send(messages, policy=policy, **params)
            assert caught.value.param == param
        return
    warned = send(messages, policy="warn", **params)
    assert [text for text in warned.warnings if text.startswith(f"{param} dropped: ")]
    dropped = send(messages, policy="drop", **params)
    assert dropped.body == warned.body
    assert dropped.warnings == []


def test_a_drop_keeps_the_rest() -> None:
    """Dropping one attribute would drop others as well, or a part or a message."""
    assert turns(*user(HI, {**PNG, "image_url": {"url": "u", "detail": "original"}}), policy="drop") == user(
        HI, {"type": "image_url", "image_url": {"url": "u"}}
    )
    assert body(tools=[STRICT, OTHER], policy="drop") == {"tools": [TOOL, OTHER]}
    late = {"role": "system", "content": "x"}
    assert turns(USER, late, policy="drop") == [late, USER]


INVALID: list[tuple[str, Any]] = [
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
    (
        "messages[1].provider_specific_fields.cohere",
        [USER, AssistantMessage("x", provider_specific_fields={"cohere": "text"})],
    ),
    (
        "messages[1].provider_specific_fields.cohere.content",
        [USER, AssistantMessage("x", provider_specific_fields={"cohere": {"content": "text"}})],
    ),
    (
        "messages[1].provider_specific_fields.cohere.citations",
        [USER, AssistantMessage("x", provider_specific_fields={"cohere": {"citations": [1]}})],
    ),
]


@pytest.mark.parametrize(("param", "messages"), INVALID)
@pytest.mark.parametrize("policy", ["raise", "drop"])
def test_invalid_is_refused_whatever_the_policy(param: str, messages: list[Any], policy: OnUnsupported) -> None:
    """Invalid input would be sent in a changed form instead of being refused with its place."""
    with pytest.raises(InvalidRequestError) as caught:
        send(messages, policy=policy)
    assert caught.value.param == param
    assert not isinstance(caught.value, UnsupportedParameterError)


@pytest.mark.parametrize(
    ("param", "params"),
    [
        ("response_format.json_schema.schema", {"response_format": {"type": "json_schema", "json_schema": {}}}),
        ("tool_choice", {"tool_choice": NAMED}),
        ("function_call", {"function_call": {"name": "add"}}),
    ],
)
def test_unvalidated_records_are_refused(param: str, params: dict[str, Any]) -> None:
    """An unvalidated request record would raise a KeyError, or would not require the tool."""
    target = Target(provider="cohere", model=MODEL, base_url="https://x")
    with pytest.raises(InvalidRequestError) as caught:
        DIALECT.encode(ChatRequest(MODEL, "Hi", **params), target, {})
    assert caught.value.param == param


# --- system -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("instructions", "expected"),
    [
        (["A"], "A"),
        (["A", "B\n"], "A\n\nB\n"),
        (["A", "", "B"], "A\n\nB"),
        ([[HI, HI]], [HI, HI]),
        ([[HI, HI], "B"], "HiHi\n\nB"),
        (["A", [{**HI, "x": 1}]], [{"type": "text", "text": "A"}, {**HI, "x": 1}]),
    ],
)
def test_leading_system_messages_are_one_turn(instructions: list[Any], expected: Any) -> None:
    """A second system message would be refused by Cohere, or overwrite the first."""
    roles = ["system", "developer"]
    messages = [{"role": roles[i % 2], "content": content} for i, content in enumerate(instructions)]
    assert turns(*messages, USER) == [{"role": "system", "content": expected}, USER]


def test_empty_system_messages_are_not_sent() -> None:
    """Cohere would refuse an empty turn."""
    assert turns({"role": "system", "content": ""}, USER) == [USER]


# --- turns ------------------------------------------------------------------------------------------------------------


def test_content_keeps_its_form() -> None:
    """A text or an image would be lost or changed."""
    low = {**PNG, "image_url": {"url": "data:image/png;base64,AA", "detail": "low"}}
    plain = {**PNG, "image_url": {"url": "http://x/a.png", "detail": "auto"}}
    assert turns({"role": "user", "content": [HI, PNG, low, plain]}) == user(HI, PNG, low, plain)
    assert turns({"role": "user", "content": "a", "x": 1, "y": None}) == [{"role": "user", "content": "a", "x": 1}]


def test_a_round_with_tools() -> None:
    """The call or its result would not be sent, or would have different ids."""
    assert turns(USER, CALLING, RESULT, USER) == [USER, {"role": "assistant", "tool_calls": [CALL]}, RESULT, USER]


def test_the_name_of_a_tool_message_is_left_out() -> None:
    """Clients that repeat the tool's name in its result would be refused."""
    request = send([USER, CALLING, {**RESULT, "name": "add"}])
    assert request.body is not None
    assert request.body["messages"][2] == RESULT
    assert request.warnings == []


def test_documents_as_results() -> None:
    """Results that can be cited would be lost or refused."""
    document = {"type": "document", "document": {"id": "1", "data": {"text": "x"}}}
    assert turns(USER, CALLING, {**RESULT, "content": [HI, document]})[2] == {**RESULT, "content": [HI, document]}


@pytest.mark.parametrize("arguments", ["", "{}"])
def test_calls_without_arguments(arguments: str) -> None:
    """A call of a function without parameters could not be sent back."""
    call = {**CALL, "function": {"name": "add", "arguments": arguments}, "index": 0, "x": None}
    sent = turns(USER, {"role": "assistant", "content": "", "tool_calls": [call]})[1]
    assert sent == {
        "role": "assistant",
        "tool_calls": [{"id": "add_1", "type": "function", "function": {"name": "add", "arguments": "{}"}}],
    }


def test_legacy_functions_have_one_id_per_pair() -> None:
    """A legacy call and its result would have different ids, or two calls the same, which Cohere refuses."""
    call = {"role": "assistant", "content": None, "function_call": {"name": "add", "arguments": '{"a": 1}'}}
    result = {"role": "function", "name": "add", "content": "2"}

    def calling(call_id: str) -> dict[str, Any]:
        return {"role": "assistant", "tool_calls": [{**CALL, "id": call_id}]}

    assert turns(USER, call, result, call, {**result, "content": None}) == [
        USER,
        calling("function_call_1"),
        {"role": "tool", "tool_call_id": "function_call_1", "content": "2"},
        calling("function_call_3"),
        {"role": "tool", "tool_call_id": "function_call_3", "content": '""'},
    ]


def test_a_legacy_result_of_a_call_with_an_id() -> None:
    """A conversation that mixes both forms could not be continued."""
    result = {"role": "function", "name": "add", "content": "2"}
    assert turns(USER, CALLING, result)[2] == RESULT
    calls = [{**CALL, "id": "a", "function": {"name": "sub", "arguments": "{}"}}, {**CALL, "id": "b"}, CALL]
    sent = turns(USER, {"role": "assistant", "tool_calls": calls}, result, result, {**result, "name": "sub"})
    assert [turn["tool_call_id"] for turn in sent[2:]] == ["b", "add_1", "a"]


def test_native_fields_are_sent_back() -> None:
    """The plan of a multi-step tool use, its thinking or its citations would be lost between the steps."""
    native = {
        "tool_plan": "I will add.",
        "citations": [{"start": 0, "end": 2, "text": "So"}],
        "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "So."}],
    }
    message = {**CALLING, "content": "So.", "reasoning_content": "hm", "provider_specific_fields": {"cohere": native}}
    request = send([USER, message])
    assert request.body is not None
    assert request.body["messages"][1] == {"role": "assistant", "tool_calls": [CALL], **native}
    assert request.warnings == []


def test_cohere_turns_are_sent_unchanged() -> None:
    """Cohere's own form of a turn, thinking parts and plan as plain members, could not be used."""
    thinking = {"type": "thinking", "thinking": "hm"}
    turn = {"role": "assistant", "content": [thinking, HI], "tool_plan": "p", "tool_calls": [CALL]}
    assert turns(USER, turn) == [USER, turn]


def test_fields_of_other_providers_are_not_sent() -> None:
    """Another provider's own fields would be sent to Cohere, which refuses them."""
    message = AssistantMessage("x", provider_specific_fields={"anthropic_content": [{"type": "text"}]})
    assert turns(USER, message) == [USER, {"role": "assistant", "content": "x"}]


def test_a_refusal_is_sent_back_as_text() -> None:
    """An earlier refusal would be dropped, and the conversation would lack a turn."""
    expected = {"role": "assistant", "content": "No."}
    assert turns(USER, {"role": "assistant", "content": None, "refusal": "No."})[1] == expected
    part = {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}
    assert turns(USER, part)[1] == {"role": "assistant", "content": [{"type": "text", "text": "No."}]}


FUNCTION_CALL = {"name": "add", "arguments": ""}


@pytest.mark.parametrize(
    ("members", "note"),
    [
        ({"content": "x", "refusal": "No."}, "messages[1].refusal left out: the message has content"),
        (
            {"content": "x", "reasoning_content": "hm"},
            "messages[1].reasoning_content left out: it is not the thinking of a Cohere model",
        ),
        (
            {"content": "x", "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}]},
            "messages[1].reasoning_content left out: it is not the thinking of a Cohere model",
        ),
        ({"content": "x", "audio": {"id": "a"}}, "messages[1].audio left out: Cohere takes no audio"),
        ({"content": ""}, "messages[1] left out: it is empty, which Cohere refuses"),
        (
            {"content": None, "tool_calls": [CALL], "function_call": FUNCTION_CALL},
            "messages[1].function_call left out: the message has tool_calls",
        ),
        (
            {
                "content": None,
                "function_call": FUNCTION_CALL,
                "provider_specific_fields": {"cohere": {"tool_calls": [CALL, CALL]}},
            },
            "messages[1]: only the call in function_call sent: the legacy form has no results for others",
        ),
    ],
)
def test_losses_are_reported(members: dict[str, Any], note: str) -> None:
    """An earlier turn would lose members silently, or would be refused by Cohere."""
    assert send([USER, {"role": "assistant", **members}]).warnings == [note]


def test_replies_of_other_providers_need_no_warning() -> None:
    """Members that only describe a reply would be sent or cause warnings."""
    members: dict[str, Any] = {
        "annotations": [],
        "refusal": None,
        "tool_calls": None,
        "function_call": None,
        "audio": None,
    }
    request = send([USER, {"role": "assistant", "content": "x", **members}])
    assert request.warnings == []
    assert request.body is not None
    assert request.body["messages"][1] == {"role": "assistant", "content": "x"}


def test_native_messages_are_sent_unchanged() -> None:
    """An unknown role could not be sent."""
    assert turns(USER, CustomMessage("note", extra={"content": "x"}), USER) == [
        USER,
        {"role": "note", "content": "x"},
        USER,
    ]


def test_encoding_does_not_change_the_callers_records() -> None:
    """A second encoding of the same records would give another body."""
    fields = {"cohere": {"content": [{"type": "thinking", "thinking": "t"}, HI], "tool_plan": "p"}}
    messages = [
        {"role": "system", "content": "a"},
        {"role": "system", "content": [HI]},
        USER,
        AssistantMessage("y", provider_specific_fields=fields),
    ]
    request = build_request(MODEL, messages, {"tools": [STRICT]})
    request.extra_body = {"k": 1}
    target = Target(provider="cohere", model=MODEL, base_url="https://x")
    first = json.dumps(DIALECT.encode(request, target, {}).body)
    assert json.dumps(DIALECT.encode(request, target, {}).body) == first
    assert request.extra_body == {"k": 1}


# --- requests are cleaned ---------------------------------------------------------------------------------------------

FOREIGN: dict[str, Any] = {
    "provider_specific_fields": {"other": 1},
    "reasoning_content": None,
    "annotations": None,
    "function_call": None,
    "refusal": None,
    "new": None,
}


def test_nulls_are_not_sent() -> None:
    """Cohere would refuse nulls that other servers put into every reply."""
    call = {**CALL, "new": None, "function": {**CALL["function"], "new": None}}  # type: ignore[dict-item]
    native = {"content": [{"type": "thinking", "thinking": "hm", "x": None}], "citations": [{"start": 0, "type": None}]}
    reply = {**FOREIGN, "role": "assistant", "content": None, "tool_calls": [call]}
    got = turns(
        {**USER, "name": None, "new": None},
        {**reply, "provider_specific_fields": {"cohere": native}},
        {**RESULT, "new": None},
        user({"type": "document", "document": {"data": "x"}, "new": None})[0],
    )
    assert got == [
        USER,
        {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "hm"}],
            "tool_calls": [CALL],
            "citations": [{"start": 0}],
        },
        RESULT,
        *user({"type": "document", "document": {"data": "x"}}),
    ]


def test_fields_that_other_providers_understand_are_not_sent() -> None:
    """Cohere would refuse the reply of another provider."""
    google = {"google": {"thought_signature": "c2ln"}}
    function = {**CALL["function"], "provider_specific_fields": {"x": 1}}  # type: ignore[dict-item]
    call = {**CALL, "index": 0, "extra_content": google, "function": function}
    reply = {"role": "assistant", "content": "Hi", "reasoning": "hm", "images": [{"url": "x"}], "tool_calls": [call]}
    sent = send([USER, reply])
    assert sent.body is not None
    assert sent.body["messages"][1] == {"role": "assistant", "content": "Hi", "tool_calls": [CALL]}
    left_out = [warning.partition(" left out")[0] for warning in sent.warnings]
    assert left_out == [
        "messages[1].tool_calls[0].function.provider_specific_fields",
        "messages[1].tool_calls[0].extra_content",
        "messages[1].images",
        "messages[1].reasoning",
    ]


def test_nothing_empty_is_sent() -> None:
    """An empty list of tools, or a reply of white space only, would be refused."""
    assert body(tools=[]) == {}
    sent = send([USER, {"role": "assistant", "content": " \n"}, USER])
    assert sent.body is not None
    assert sent.body["messages"] == [USER, USER]
    assert sent.warnings == ["messages[1] left out: it is empty, which Cohere refuses"]
    assert turns(USER, {**CALLING, "content": "\n"}, RESULT)[1] == {"role": "assistant", "tool_calls": [CALL]}


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("data:image/jpg;base64,AAAA", "data:image/jpeg;base64,AAAA"),
        ("DATA:IMAGE/JPG;base64,AAAA", "data:image/jpeg;base64,AAAA"),
        ("data:image/pjpeg,AAAA", "data:image/jpeg,AAAA"),
        ("data:image/png;base64,jpgA", "data:image/png;base64,jpgA"),
        ("data:,", "data:,"),
        ("https://x/image/jpg", "https://x/image/jpg"),
    ],
)
def test_media_types_have_their_registered_names(url: str, sent: str) -> None:
    """An image would be refused for another name of its type."""
    image = {"type": "image_url", "image_url": {"url": url}}
    assert turns(*user(image)) == user({"type": "image_url", "image_url": {"url": sent}})
