"""Recorded replies of Gemini as turns of the next request: to the same service with all their parts, to others without.

A model that signs its calls refuses a conversation in which a signature is missing or changed.
"""

import json
from typing import Any

import pytest

from anycompletion import PROVIDERS, AssistantMessage, ChatRequest, Provider, UserMessage
from anycompletion.dialects.base import Target
from anycompletion.http import Headers, HttpRequest, HttpResponse
from anycompletion.providers import DIALECTS
from anycompletion.testing import Recording
from conformance import traffic
from conformance.bodies import data_of, events_of, is_stream
from conformance.decoding import decode

pytestmark = [pytest.mark.traffic, pytest.mark.asyncio(loop_scope="session")]

GEMINI = "gemini_generate"
REPLIES = [*traffic.replies(GEMINI), *traffic.streams(GEMINI)]
OTHERS = ("openai", "anthropic", "cohere", "openrouter")


def sent_parts(recording: Recording) -> list[dict[str, Any]]:
    """The parts that the service sent; of a stream with neighbours of text alone joined, which are pieces of one."""
    whole = data_of(recording) if is_stream(recording) else json.loads(recording.body)
    in_pieces = is_stream(recording) or isinstance(whole, list)
    merged: list[dict[str, Any]] = []
    for response in whole if isinstance(whole, list) else [whole]:
        for candidate in response.get("candidates") or ():
            for part in (candidate.get("content") or {}).get("parts") or ():
                last = merged[-1] if merged else {}
                if in_pieces and part.keys() == last.keys() and part.keys() in ({"text"}, {"text", "thought"}):
                    merged[-1] = {**part, "text": last["text"] + part["text"]}
                else:
                    merged.append(part)
    return merged


def message_of(recording: Recording) -> AssistantMessage:
    """The recorded reply's message, as a program stores it."""
    row = traffic.row_of(recording)
    if is_stream(recording):
        reply: Any = decode(recording, events_of(recording)).completion()
    else:
        response = HttpResponse(200, Headers(), recording.body)
        reply = DIALECTS[GEMINI].decode(response, ChatRequest("any", "Hello"), target_of(row, "any"))
    return AssistantMessage.from_dict(json.loads(json.dumps(reply.message.to_dict())))


def target_of(row: Provider, model: str) -> Target:
    """A target of a row."""
    return Target(provider=row.name, model=model, base_url="http://127.0.0.1", path=row.path, quirks=row.quirks)


def body_for(row: Provider, model: str, message: AssistantMessage) -> dict[str, Any]:
    """The body of the next request."""
    messages = [UserMessage("Hello"), message]
    encoded = DIALECTS[row.dialect].encode(ChatRequest(model, messages), target_of(row, model), {})
    assert isinstance(encoded, HttpRequest)
    found: dict[str, Any] = json.loads(json.dumps(encoded.body, default=lambda value: value.to_dict()))
    return found


def with_arguments(part: dict[str, Any]) -> dict[str, Any]:
    """A part whose call has the arguments that are absent if there are none."""
    call = part.get("functionCall")
    return part if call is None else {**part, "functionCall": {"args": {}, **call}}


def is_partial(part: dict[str, Any]) -> bool:
    """Whether a part has a piece of a call, which is sent back as a whole."""
    call = part.get("functionCall") or {"name": ""}
    return "name" not in call or bool(call.get("willContinue"))


@pytest.mark.parametrize("recording", traffic.each(REPLIES))
async def test_the_same_service_gets_all_parts_back(recording: Recording) -> None:
    """A signature, a thought or executed code would be lost or changed, and the model refuse the conversation."""
    parts = [part for part in sent_parts(recording) if part not in ({"text": ""}, {})]
    message = message_of(recording)
    if not parts:
        return
    (content,) = [
        each
        for each in body_for(traffic.row_of(recording), "gemini-2.5-flash", message)["contents"]
        if each["role"] == "model"
    ]
    back = [with_arguments(part) for part in content["parts"] if part != {"text": ""}]
    if any(map(is_partial, parts)):
        names = [part["functionCall"]["name"] for part in parts if part.get("functionCall", {}).get("name")]
        assert [part["functionCall"]["name"] for part in back if "functionCall" in part] == names
        parts, back = ([part for part in each if "thoughtSignature" in part] for each in (parts, back))
    assert back == [with_arguments(part) for part in parts]


@pytest.mark.parametrize("recording", traffic.each(REPLIES))
async def test_other_providers_get_none_of_them(recording: Recording) -> None:
    """Another provider would get signatures that it refuses, or parts that it does not know."""
    message = message_of(recording)
    if not (message.content or message.tool_calls):
        return
    signatures = [part["thoughtSignature"] for part in sent_parts(recording) if "thoughtSignature" in part]
    row = traffic.row_of(recording)
    other_backend = PROVIDERS["vertex" if row.name == "gemini" else "gemini"]
    for other in (other_backend, *map(PROVIDERS.__getitem__, OTHERS)):
        text = json.dumps(body_for(other, "gemini-2.5-flash", message))
        assert not [signature for signature in signatures if signature in text], other.name
        assert "gemini_content" not in text, other.name
