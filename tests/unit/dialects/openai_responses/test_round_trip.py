"""Assistant's messages that go back to the provider that wrote them: their items, in order and unchanged."""

import json
from typing import Any

import pytest

from anycompletion.dialects.openai_responses.responses_quirks import OpenAIResponsesQuirks
from anycompletion.errors import InvalidRequestError
from anycompletion.records import ChatCompletionMessage
from support.openai_responses import (
    CUSTOM_TOOL,
    LEGACY,
    SEARCH,
    call,
    custom_call,
    events_of,
    message,
    part,
    reasoning,
    reply_message,
    request,
    sent_again,
    streamed,
)

CITED = part("Text", annotations=[{"type": "url_citation", "url": "https://a", "title": "A"}])


def without(item: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name not in names and value is not None}


def test_items_go_back_in_order() -> None:
    """The model would think again, or the server would refuse a call without the reasoning before it."""
    output = reasoning("Sum"), message("Note", phase="commentary"), call(), reasoning(id="rs_2"), call(call_id="c2")
    sent, warnings = sent_again(reply_message(*output))
    assert sent == [
        without(output[0], "id"),
        {"role": "assistant", "content": "Note", "phase": "commentary"},
        without(output[2], "id", "status"),
        without(output[3], "id"),
        without(output[4], "id", "status"),
    ]
    assert not warnings


def test_items_go_back_after_json() -> None:
    """A conversation that was written to a file would lose its reasoning."""
    kept = json.loads(json.dumps(reply_message(reasoning(), call()).to_dict()))
    assert sent_again(kept) == sent_again(reply_message(reasoning(), call()))
    assert sent_again(kept)[0][0]["encrypted_content"] == "gAAA="


def test_a_stream_goes_back_as_its_whole_response_does() -> None:
    """Streams would lose their reasoning."""
    output = reasoning("Sum"), message(CITED), call()
    assert sent_again(streamed(*events_of(*output)).choices[0].message) == sent_again(reply_message(*output))


@pytest.mark.parametrize("output", [[message("Hi")], [message("Hi"), call()], [call()]])
def test_a_message_that_expresses_everything_has_no_items(output: list[dict[str, Any]]) -> None:
    """Every message would be kept twice."""
    assert reply_message(*output).provider_specific_fields is None


def test_other_providers_do_not_get_the_items() -> None:
    """Another provider would refuse reasoning that it cannot decrypt."""
    sent, warnings = sent_again(reply_message(reasoning("Sum"), message("Hi")), provider="xai")
    assert sent == [{"role": "assistant", "content": "Hi"}]
    assert any("only openai understands it" in each for each in warnings)


def test_a_message_that_was_edited_is_sent_as_it_is() -> None:
    """The caller's words would be replaced by what the model wrote."""
    found = reply_message(reasoning(), message("Hi")).to_dict() | {"content": "Edited"}
    sent, warnings = sent_again(found)
    assert sent == [{"role": "assistant", "content": "Edited"}]
    assert any("the message was changed" in each for each in warnings)


def test_a_call_that_was_edited_is_sent_as_it_is() -> None:
    """The caller's arguments would be replaced by what the model wrote."""
    found = reply_message(reasoning(), call()).to_dict()
    found["tool_calls"][0]["function"]["arguments"] = '{"a":2}'
    assert [item.get("arguments") for item in sent_again(found)[0]] == ['{"a":2}']


def test_legacy_calls_go_back_with_their_reasoning() -> None:
    """Callers with functions would lose the reasoning."""
    found = reply_message(reasoning(), call(), asked=LEGACY)
    assert [item["type"] for item in sent_again(found)[0]] == ["reasoning", "function_call"]


def test_calls_of_custom_tools_go_back() -> None:
    """The call would be taken for one of the server's own, and be left out."""
    found = reply_message(reasoning(), custom_call(), asked=request(tools=[CUSTOM_TOOL]))
    sent, warnings = sent_again(found)
    assert [item["type"] for item in sent] == ["reasoning", "custom_tool_call"]
    assert not warnings


def test_items_of_the_servers_own_tools_go_back_if_they_are_stored() -> None:
    """The server could not find the search, or the reasoning before it."""
    output = reasoning(encrypted=None), SEARCH, message(CITED)
    sent, warnings = sent_again(reply_message(*output, store=True))
    assert [item["id"] for item in sent] == ["rs_1", "ws_1", "msg_1"]
    assert sent[1] == SEARCH
    assert not warnings


def test_items_of_the_servers_own_tools_are_left_out_if_they_are_not_stored() -> None:
    """The server would refuse ids that it does not know."""
    sent, warnings = sent_again(reply_message(reasoning(), SEARCH, message(CITED)))
    assert [item.get("type") for item in sent] == ["reasoning", "message"]
    assert not any("id" in item for item in sent)
    assert any("the response was not stored" in each for each in warnings)


def test_ids_are_left_out_where_nothing_needs_the_store() -> None:
    """A message would be refused once its response is deleted."""
    sent, _ = sent_again(reply_message(reasoning(), call(), store=True))
    assert not any("id" in item for item in sent)


def test_reasoning_without_its_text_is_left_out() -> None:
    """The server would refuse an item that it does not know and cannot read."""
    assert sent_again(reply_message(reasoning(encrypted=None), message("Hi")))[0] == [
        {"role": "assistant", "content": "Hi"}
    ]


@pytest.mark.parametrize("items", [1, "x", [1], None, {"a": 1}])
def test_items_of_another_form_are_refused(items: Any) -> None:
    """The server's message would be about a place that the caller does not know."""
    native = {"provider": "openai", "model": "m", "items": items}
    turn = {"role": "assistant", "content": "Hi", "provider_specific_fields": {"openai_responses": native}}
    with pytest.raises(InvalidRequestError) as caught:
        sent_again(turn)
    assert caught.value.param == "messages[1].provider_specific_fields.openai_responses.items"


def test_a_message_object_goes_back_as_its_dict_does() -> None:
    """Appending the reply's message to the conversation would lose its items."""
    found = reply_message(reasoning("Sum"), message("Hi", phase="final_answer"))
    assert isinstance(found, ChatCompletionMessage)
    assert sent_again(found) == sent_again(found.to_dict())


@pytest.mark.parametrize("stream", [False, True])
def test_a_legacy_message_has_its_one_call(stream: bool) -> None:
    """The server would refuse the next turn: the second call would have no result, and nothing could give it one."""
    output = reasoning(), call(), call("sub", "{}", "call_2")
    asked = LEGACY
    turn = (
        streamed(*events_of(*output), asked=asked).choices[0].message if stream else reply_message(*output, asked=asked)
    )
    assert turn.function_call is not None
    sent, _ = sent_again(turn)
    assert [item.get("call_id") for item in sent if item["type"] == "function_call"] == ["call_1"]
    assert [item["type"] for item in sent] == ["reasoning", "function_call"]


@pytest.mark.parametrize(
    ("model", "params", "kept"),
    [
        ("gpt-4o", {}, False),
        ("gpt-5-chat-latest", {}, False),
        ("gpt-5.4", {}, True),
        ("gpt-5.4", {"reasoning_effort": "none"}, True),
        ("gpt-5.2", {}, True),
        ("our-model", {"reasoning_effort": "low"}, True),
        ("our-deployment", {"quirks": OpenAIResponsesQuirks(azure_urls=True)}, True),
        ("gpt-oss-20b", {"quirks": OpenAIResponsesQuirks(encrypted_reasoning=False)}, True),
    ],
)
def test_reasoning_is_left_out_for_models_that_do_not_reason(model: str, params: dict[str, Any], kept: bool) -> None:
    """The server would refuse the conversation, because the model that answers next takes no reasoning."""
    sent, warnings = sent_again(reply_message(reasoning(), SEARCH, call(), store=True), model=model, **params)
    assert [item["type"] for item in sent][-1] == "function_call"
    assert any(item["type"] == "reasoning" for item in sent) is kept
    assert any("reasoning left out" in each for each in warnings) is not kept
    assert kept or not any("id" in item for item in sent)
