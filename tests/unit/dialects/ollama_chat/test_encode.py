"""Chat requests as Ollama's; the parameter table has what each parameter becomes."""

from typing import Any

import pytest

from anycompletion import InvalidRequestError, UnsupportedParameterError
from anycompletion.dialects.base import Target
from anycompletion.dialects.ollama_chat.dialect import DIALECT
from anycompletion.http import HttpRequest
from anycompletion.validation.request_checks import build_request
from support.ollama_stream import called, end, piece, reply

PIXEL = "data:image/png;base64,iVBORw0KGgo="


def encoded(
    messages: Any = "Hi", *, policy: Any = "raise", stream: bool = False, extra_body: Any = None, **params: Any
) -> HttpRequest:
    """The HTTP request for a call."""
    base = "http://localhost:11434"
    target = Target(provider="ollama", model="qwen3:8b", base_url=base, stream=stream, on_unsupported=policy)
    request = build_request("qwen3:8b", messages, params)
    request.extra_body = extra_body
    found = DIALECT.encode(request, target, {})
    assert isinstance(found, HttpRequest)
    return found


def sent(messages: Any = "Hi", **options: Any) -> dict[str, Any]:
    """The body for a call, which nothing was left out of."""
    found = encoded(messages, **options)
    assert found.warnings == []
    assert isinstance(found.body, dict)
    return found.body


def test_a_request_states_whether_it_streams() -> None:
    """A call without a stream would get one, which is Ollama's default."""
    assert encoded().url == "http://localhost:11434/api/chat"
    assert (sent()["stream"], sent(stream=True)["stream"]) == (False, True)


def test_images_are_beside_the_text() -> None:
    """A picture would be lost, or sent in a form that Ollama does not read."""
    parts = [{"type": "text", "text": "What is"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    (message,) = sent([{"role": "user", "content": [*parts, {"type": "text", "text": "this?"}]}])["messages"]
    assert message == {"role": "user", "content": "What is\nthis?", "images": ["iVBORw0KGgo="]}


def test_the_result_of_a_tool_may_have_images() -> None:
    """A tool's picture would be refused although the model can see it."""
    calls = [{"id": "call_1", "type": "function", "function": {"name": "draw", "arguments": "{}"}}]
    parts = [{"type": "image_url", "image_url": {"url": PIXEL}}]
    messages = [
        {"role": "assistant", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call_1", "content": parts},
    ]
    assert sent(messages)["messages"][1] == {
        "role": "tool",
        "content": "",
        "images": ["iVBORw0KGgo="],
        "tool_name": "draw",
        "tool_call_id": "call_1",
    }


@pytest.mark.parametrize("data", ["iVBORw0KGg==", "iVBO\nRw0K Gg==", "iVBORw0KGg%3D%3D", "iVBORw0KGg"])
def test_base64_is_sent_as_ollama_takes_it(data: str) -> None:
    """Ollama would refuse a picture for white space, percent-encoding or missing padding, which data URLs may have."""
    url = f"data:image/png;base64,{data}"
    (message,) = sent([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}])["messages"]
    assert message["images"] == ["iVBORw0KGg=="]


@pytest.mark.parametrize("url", ["https://example.com/a.png", "data:image/png,%89PNG", "data:,x"])
@pytest.mark.parametrize("policy", ["raise", "warn", "drop"])
def test_other_images_are_refused(url: str, policy: str) -> None:
    """The model would answer without the picture."""
    with pytest.raises(UnsupportedParameterError) as caught:
        encoded([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}], policy=policy)
    assert caught.value.param == "messages[0].content[0]"


ARGUMENTS: dict[str, Any] = {
    "": {},
    " ": {},
    "{}": {},
    '{"b":1,"a":1.0}': {"b": 1, "a": 1.0},
    '{"a":1e30}': {"a": 1e30},
}


@pytest.mark.parametrize("text", ARGUMENTS)
def test_arguments_become_an_object(text: str) -> None:
    """Ollama would refuse the conversation."""
    calls = [{"id": "call_1", "type": "function", "function": {"name": "look", "arguments": text}}]
    (message,) = sent([{"role": "assistant", "tool_calls": calls}])["messages"]
    assert message["tool_calls"] == [{"id": "call_1", "function": {"name": "look", "arguments": ARGUMENTS[text]}}]
    assert [*message["tool_calls"][0]["function"]["arguments"]] == [*ARGUMENTS[text]]


@pytest.mark.parametrize("text", ["{", "[]", "1", '"{}"', "null"])
def test_arguments_that_are_no_object_become_a_field_of_one(text: str) -> None:
    """A conversation with a call that a model made wrong could not go on, or the model would not see its mistake."""
    calls = [{"id": "call_1", "type": "function", "function": {"name": "look", "arguments": text}}]
    found = encoded([{"role": "assistant", "tool_calls": calls}])
    assert found.body is not None
    assert found.body["messages"][0]["tool_calls"][0]["function"]["arguments"] == {"invalid_json": text}
    assert len(found.warnings) == 1


def test_a_reply_goes_back_as_it_came() -> None:
    """Thinking, ids or arguments would change from turn to turn."""
    calls = [called("look", {"z": 1, "a": "é"}, "call_1"), called("find", {}, "call_2")]
    found = reply(piece(thinking="Hm."), piece(content="I look."), piece(tool_calls=calls), end())
    (message,) = sent([found.message.to_dict()])["messages"]
    assert message == {
        "role": "assistant",
        "content": "I look.",
        "thinking": "Hm.",
        "tool_calls": [
            {"id": call["id"], "function": {name: call["function"][name] for name in ("name", "arguments")}}
            for call in calls
        ],
    }


def test_other_providers_fields_stay_here() -> None:
    """Ollama would get another provider's signatures."""
    foreign = {
        "role": "assistant",
        "content": "Hi",
        "thinking_blocks": [{"type": "thinking", "thinking": "Hm", "signature": "abc"}],
        "provider_specific_fields": {"gemini_content": [{"thoughtSignature": "abc"}]},
        "reasoning_details": [{"type": "reasoning.encrypted", "data": "abc"}],
    }
    found = encoded([foreign])
    assert isinstance(found.body, dict)
    assert found.body["messages"] == [{"role": "assistant", "content": "Hi"}]
    left_out = [warning.partition(" left out")[0] for warning in found.warnings]
    assert left_out == ["messages[0].thinking_blocks", "messages[0].reasoning_details"]


def test_only_the_allowed_tools_are_sent() -> None:
    """A model could call a tool that the caller forbade for this turn, or the choice be refused."""
    tools = [{"type": "function", "function": {"name": name}} for name in ("look", "write")]
    allowed = {"mode": "auto", "tools": [{"type": "function", "function": {"name": "look"}}]}
    choice = {"type": "allowed_tools", "allowed_tools": allowed}
    assert sent(tools=tools, tool_choice=choice)["tools"] == tools[:1]
    with pytest.raises(UnsupportedParameterError):
        encoded(tools=tools, tool_choice={**choice, "allowed_tools": {**allowed, "mode": "required"}})


def test_options_of_the_caller_win() -> None:
    """A caller could not use an option of Ollama's, or would lose one of OpenAI's."""
    body = sent(temperature=0.5, seed=3, extra_body={"options": {"seed": 4, "num_ctx": 8192}, "keep_alive": -1})
    assert body["options"] == {"temperature": 0.5, "seed": 4, "num_ctx": 8192}
    assert body["keep_alive"] == -1
    with pytest.raises(InvalidRequestError) as caught:
        encoded(extra_body={"options": ["num_ctx"]})
    assert caught.value.param == "extra_body.options"


def test_what_is_left_out_is_reported() -> None:
    """A part of a message would be dropped silently."""
    message = {"role": "user", "content": [{"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}]}
    found = encoded([message])
    assert found.warnings == ["messages[0].content[0].cache_control left out: Ollama's messages have no parts"]
