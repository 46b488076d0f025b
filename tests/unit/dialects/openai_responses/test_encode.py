"""Encoding of requests for the Responses API: a chat request → the exact body."""

import json
from typing import Any

import attrs
import pytest

from anycompletion.dialects.openai_responses.dialect import DIALECT
from anycompletion.dialects.openai_responses.responses_quirks import OpenAIResponsesQuirks
from anycompletion.errors import InvalidRequestError, UnsupportedParameterError
from anycompletion.http import HttpRequest
from anycompletion.options import OnUnsupported
from support.openai_responses import CUSTOM_TOOL, TARGET, request

USER = {"role": "user", "content": "Hi"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "2"}
EMPTY = {"type": "object", "properties": {}}
TOOL = {"type": "function", "function": {"name": "add", "parameters": EMPTY}}
ENCRYPTED = ["reasoning.encrypted_content"]
ALWAYS = {"store": False, "include": ENCRYPTED}


def send(
    messages: Any = "Hi",
    *,
    policy: OnUnsupported = "raise",
    model: str = "gpt-5.2",
    stream: bool = False,
    extra_body: dict[str, Any] | None = None,
    quirks: dict[str, Any] | None = None,
    **params: Any,
) -> HttpRequest:
    asked = request(messages, **params)
    asked.extra_body = extra_body
    target = attrs.evolve(
        TARGET, model=model, on_unsupported=policy, stream=stream, quirks=OpenAIResponsesQuirks(**(quirks or {}))
    )
    return DIALECT.encode(asked, target, {})


def body(messages: Any = "Hi", **options: Any) -> dict[str, Any]:
    """The body without the model, and without the input if that is one text."""
    sent: dict[str, Any] = json.loads(json.dumps(send(messages, **options).body, default=lambda plain: plain.to_dict()))
    del sent["model"]
    if messages == "Hi":
        assert sent.pop("input") == [USER]
    return sent


def items(*messages: Any, **options: Any) -> Any:
    return body(list(messages), **options)["input"]


# --- the request ------------------------------------------------------------------------------------------------------


def test_a_complete_request() -> None:
    """A plain question would be sent to the wrong URL or with a wrong body."""
    sent = send([{"role": "system", "content": "Be brief."}, USER], max_tokens=50)
    assert (sent.method, sent.url) == ("POST", "https://api.openai.com/v1/responses")
    assert json.loads(json.dumps(sent.body, default=lambda plain: plain.to_dict())) == {
        "model": "gpt-5.2",
        "input": [{"role": "system", "content": "Be brief."}, USER],
        "max_output_tokens": 50,
        **ALWAYS,
    }


@pytest.mark.parametrize(
    ("params", "fields"),
    [
        ({"max_completion_tokens": 50}, {"max_output_tokens": 50}),
        ({"reasoning_effort": "low"}, {"reasoning": {"effort": "low"}}),
        ({"verbosity": "low"}, {"text": {"verbosity": "low"}}),
        ({"top_logprobs": 2, "logprobs": True}, {"top_logprobs": 2}),
        ({"parallel_tool_calls": False, "tools": [TOOL]}, {"parallel_tool_calls": False}),
        ({"functions": [{"name": "add"}]}, {"parallel_tool_calls": False}),
        ({"functions": [{"name": "add"}], "parallel_tool_calls": True}, {"parallel_tool_calls": True}),
        ({"tools": [TOOL]}, {"parallel_tool_calls": None}),
        ({"metadata": {"a": "b"}, "service_tier": "flex"}, {"metadata": {"a": "b"}, "service_tier": "flex"}),
        ({"response_format": {"type": "json_object"}}, {"text": {"format": {"type": "json_object"}}}),
        ({"response_format": {"type": "text"}}, {}),
    ],
)
def test_parameters(params: dict[str, Any], fields: dict[str, Any]) -> None:
    """A parameter would arrive under a name that the server does not know."""
    sent = body(**params)
    assert {name: sent.get(name) for name in fields} == fields


@pytest.mark.parametrize(("strict", "sent"), [({}, False), ({"strict": None}, False), ({"strict": True}, True)])
def test_a_schema_is_never_rewritten(strict: dict[str, Any], sent: bool) -> None:
    """The server would make optional fields required, because it takes a schema without a word for a strict one."""
    schema = {"type": "json_schema", "json_schema": {"name": "city", "schema": EMPTY, **strict}}
    assert body(response_format=schema)["text"] == {
        "format": {"type": "json_schema", "name": "city", "schema": EMPTY, "strict": sent}
    }
    function = {"type": "function", "function": {"name": "add", "parameters": EMPTY, **strict}}
    (tool,) = body(tools=[function])["tools"]
    assert tool == {"type": "function", "name": "add", "parameters": EMPTY, "strict": sent}


def test_a_schema_without_a_name() -> None:
    """The server would refuse it, with a message about another place."""
    with pytest.raises(InvalidRequestError) as caught:
        body(response_format={"type": "json_schema", "json_schema": {"schema": EMPTY}})
    assert caught.value.param == "response_format.json_schema.name"


# --- what is stored ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "store"),
    [
        ({}, False),
        ({"store": True}, True),
        ({"extra_body": {"background": True}}, None),
        ({"extra_body": {"previous_response_id": "resp_0"}}, None),
        ({"extra_body": {"conversation": "conv_0"}}, None),
        ({"extra_body": {"store": True}}, True),
        ({"quirks": {"store": False}}, None),
    ],
)
def test_nothing_is_stored_unless_it_is_asked_for(options: dict[str, Any], store: bool | None) -> None:
    """Conversations would be kept at the provider, or background responses be refused."""
    assert body(**options).get("store") is store


@pytest.mark.parametrize(
    ("model", "options", "include"),
    [
        ("gpt-5.2", {}, ENCRYPTED),
        ("o3-2025-04-16", {}, ENCRYPTED),
        ("openai/gpt-5-mini", {}, ENCRYPTED),
        ("gpt-5-chat-latest", {}, None),
        ("gpt-4o", {}, None),
        ("gpt-4o-mini", {"reasoning_effort": "low"}, ENCRYPTED),
        ("gpt-5.2", {"reasoning_effort": "none"}, None),
        ("gpt-5.2", {"extra_body": {"background": True}}, None),
        ("gpt-5.2", {"quirks": {"encrypted_reasoning": False}}, None),
        ("grok-4", {"quirks": {"encrypted_reasoning": True}}, ENCRYPTED),
        ("gpt-4o", {"logprobs": True}, ["message.output_text.logprobs"]),
        (
            "gpt-5.2",
            {"extra_body": {"include": ["file_search_call.results"]}},
            [*ENCRYPTED, "file_search_call.results"],
        ),
    ],
)
def test_encrypted_reasoning_is_asked_for(model: str, options: dict[str, Any], include: Any) -> None:
    """The model would think again after each result of a call, or refuse the request."""
    assert body(model=model, **options).get("include") == include


def test_fields_of_reasoning_and_text_are_merged() -> None:
    """The caller's summary would replace the effort."""
    sent = body(
        reasoning_effort="high", verbosity="low", extra_body={"reasoning": {"summary": "auto"}, "text": {"x": 1}}
    )
    assert (sent["reasoning"], sent["text"]) == (
        {"effort": "high", "summary": "auto"},
        {"verbosity": "low", "x": 1},
    )


def test_streams() -> None:
    """The whole response would come at once, or an option that the server refuses be sent."""
    sent = body(stream=True, stream_options={"include_usage": True, "include_obfuscation": False})
    assert (sent["stream"], sent["stream_options"]) == (True, {"include_obfuscation": False})


# --- tools ------------------------------------------------------------------------------------------------------------


def test_tools_have_no_inner_object() -> None:
    """All tools would be refused."""
    grammar = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: A"}}
    custom = {"type": "custom", "custom": {"name": "sql", "format": grammar}}
    native = {"type": "web_search", "search_context_size": "low"}
    described = {"type": "function", "function": {"name": "f", "description": "d", "parameters": None}}
    assert body(tools=[described, CUSTOM_TOOL, custom, native])["tools"] == [
        {"type": "function", "name": "f", "description": "d", "parameters": EMPTY, "strict": False},
        {"type": "custom", "name": "shell", "description": "Runs a command"},
        {"type": "custom", "name": "sql", "format": {"type": "grammar", "syntax": "lark", "definition": "start: A"}},
        native,
    ]


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", "auto"),
        ("required", "required"),
        ({"type": "function", "function": {"name": "add"}}, {"type": "function", "name": "add"}),
        ({"type": "custom", "custom": {"name": "add"}}, {"type": "custom", "name": "add"}),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [TOOL]}},
            {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "add", "parameters": EMPTY}],
            },
        ),
    ],
)
def test_tool_choices(choice: Any, sent: Any) -> None:
    """A choice would be refused."""
    assert body(tools=[TOOL], tool_choice=choice)["tool_choice"] == sent


def test_legacy_functions() -> None:
    """Callers with functions would have none."""
    sent = body(functions=[{"name": "add", "parameters": EMPTY}], function_call={"name": "add"})
    assert sent["tools"] == [{"type": "function", "name": "add", "parameters": EMPTY, "strict": False}]
    assert sent["tool_choice"] == {"type": "function", "name": "add"}


def test_web_search() -> None:
    """The search's options would be refused."""
    place = {"type": "approximate", "approximate": {"city": "Ulm"}}
    (tool,) = body(web_search_options={"search_context_size": "low", "user_location": place})["tools"]
    assert tool == {
        "type": "web_search",
        "search_context_size": "low",
        "user_location": {"type": "approximate", "city": "Ulm"},
    }
    with pytest.raises(UnsupportedParameterError):
        body(web_search_options={"search_context_size": "low"}, quirks={"search_context_size": False})


# --- messages ---------------------------------------------------------------------------------------------------------


def test_parts() -> None:
    """An image or a file would be refused or lost."""
    sent = items(
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Hi"},
                {"type": "image_url", "image_url": {"url": "https://x/a.png", "detail": "low"}},
                {"type": "file", "file": {"file_id": "file_1"}},
                {"type": "file", "file": {"file_id": "file_1", "file_data": ""}},
                {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"}},
                {"type": "file", "file": {"file_data": "https://x/a.pdf"}},
                {"type": "input_new", "x": 1},
            ],
        }
    )
    assert sent[0]["content"] == [
        {"type": "input_text", "text": "Hi"},
        {"type": "input_image", "image_url": "https://x/a.png", "detail": "low"},
        {"type": "input_file", "file_id": "file_1"},
        {"type": "input_file", "file_id": "file_1"},
        {"type": "input_file", "file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"},
        {"type": "input_file", "file_url": "https://x/a.pdf"},
        {"type": "input_new", "x": 1},
    ]


def test_audio_is_refused() -> None:
    """The question would be sent without its sound."""
    audio = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    with pytest.raises(UnsupportedParameterError) as caught:
        items({"role": "user", "content": [audio]})
    assert caught.value.param == "messages[0].content[0]"


def test_a_file_without_content_is_refused() -> None:
    """The server's message would name a place that the caller does not know."""
    with pytest.raises(InvalidRequestError) as caught:
        items({"role": "user", "content": [{"type": "file", "file": {"filename": "a.pdf"}}]})
    assert caught.value.param == "messages[0].content[0].file"


@pytest.mark.parametrize(("supported", "role"), [(True, "developer"), (False, "system")])
def test_the_developers_role(supported: bool, role: str) -> None:
    """Servers without the role would refuse every request of an agent."""
    sent = items({"role": "developer", "content": "Be brief."}, USER, quirks={"developer_role": supported})
    assert sent[0] == {"role": role, "content": "Be brief."}


def test_names_of_messages_are_not_lost_silently() -> None:
    """The model would not learn who speaks, and the caller would not learn that."""
    named = {"role": "user", "content": "Hi", "name": "Ada"}
    with pytest.raises(UnsupportedParameterError) as caught:
        items(named)
    assert caught.value.param == "messages[0].name"
    assert send([named], policy="warn").warnings


def test_calls_and_results() -> None:
    """The conversation would break after the first call."""
    assert items(USER, CALLING, RESULT) == [
        USER,
        {"type": "function_call", "call_id": "call_1", "name": "add", "arguments": '{"a":1}'},
        {"type": "function_call_output", "call_id": "call_1", "output": "2"},
    ]


def test_results_with_images() -> None:
    """A picture that a tool made would be lost."""
    picture = {"type": "image_url", "image_url": {"url": "https://x/a.png"}}
    sent = items(USER, CALLING, {**RESULT, "content": [{"type": "text", "text": "See"}, picture]})
    assert sent[-1]["output"] == [
        {"type": "input_text", "text": "See"},
        {"type": "input_image", "image_url": "https://x/a.png"},
    ]


def test_calls_of_custom_tools_and_their_results() -> None:
    """The server would refuse the result, whose type must be that of its call."""
    custom = {"id": "call_1", "type": "custom", "custom": {"name": "shell", "input": "ls"}}
    assert items(USER, {**CALLING, "tool_calls": [custom]}, RESULT)[1:] == [
        {"type": "custom_tool_call", "call_id": "call_1", "name": "shell", "input": "ls"},
        {"type": "custom_tool_call_output", "call_id": "call_1", "output": "2"},
    ]


def test_legacy_calls_and_results() -> None:
    """A legacy result, which has no id, would not find its call."""
    calling = {"role": "assistant", "content": None, "function_call": {"name": "add", "arguments": "{}"}}
    result = {"role": "function", "name": "add", "content": "2"}
    sent = items(USER, calling, result, calling, result)[1:]
    assert [item["type"] for item in sent] == ["function_call", "function_call_output"] * 2
    assert sent[0]["call_id"] == sent[1]["call_id"] != sent[2]["call_id"] == sent[3]["call_id"]


def test_a_legacy_result_without_a_call() -> None:
    """The server's message would be about an id that the caller never wrote."""
    with pytest.raises(InvalidRequestError) as caught:
        items(USER, {"role": "function", "name": "add", "content": "2"})
    assert caught.value.param == "messages[1].name"


def test_calls_may_be_sent_after_all_other_items() -> None:
    """A server that joins items to turns would see two turns, and a call without its result."""
    first = {"role": "assistant", "content": "Text", "tool_calls": [CALL]}
    sent = items(USER, first, RESULT, quirks={"calls_last": True})
    assert [item.get("type", "message") for item in sent] == [
        "message",
        "message",
        "function_call",
        "function_call_output",
    ]


def test_an_empty_turn_is_left_out_with_a_warning() -> None:
    """The server would refuse a message without content."""
    sent = send([USER, {"role": "assistant", "content": ""}, USER])
    assert sent.warnings == ["messages[1] left out: it has no text and no calls"]


def test_what_other_providers_wrote_is_left_out_with_a_warning() -> None:
    """Thoughts of another provider's model would be lost without a word."""
    turn = {"role": "assistant", "content": "Hi", "reasoning_content": "Hm", "provider_specific_fields": {"other": {}}}
    warnings = send([USER, turn, USER]).warnings
    assert [each.partition(" left out")[0] for each in warnings] == [
        "messages[1].reasoning_content",
        "messages[1].provider_specific_fields",
    ]


def test_refusals_go_back_as_refusals() -> None:
    """The model would take its refusal for an answer."""
    assert items(USER, {"role": "assistant", "content": None, "refusal": "No."}, USER)[1] == {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "refusal", "refusal": "No."}],
    }


def test_own_items_are_sent_as_they_are() -> None:
    """Items that no chat message expresses could not be sent."""
    item = {"role": "assistant", "type": "mcp_approval_response", "approve": True}
    assert items(USER, {"role": "tool_new", **{k: v for k, v in item.items() if k != "role"}})[1] == {
        "role": "tool_new",
        "type": "mcp_approval_response",
        "approve": True,
    }
