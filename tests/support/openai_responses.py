"""Builds responses of OpenAI's Responses API and events of its streams, and reads them."""

import json
from collections.abc import Iterable
from typing import Any

import attrs

from anycompletion.codecs.sse import Event
from anycompletion.dialects.base import Continuation, Target
from anycompletion.dialects.openai_responses.dialect import DIALECT
from anycompletion.dialects.openai_responses.responses_quirks import OpenAIResponsesQuirks
from anycompletion.http import Headers, HttpResponse
from anycompletion.records import ChatCompletion, ChatCompletionMessage, ChatRequest, FunctionDefinition, UserMessage
from anycompletion.records.chunks import ChatCompletionChunk
from anycompletion.streaming.accumulator import accumulated
from anycompletion.validation.request_checks import build_request

MODEL = "gpt-5.2"
TARGET = Target(provider="openai", model=MODEL, base_url="https://api.openai.com/v1")
CHAT = ChatRequest(MODEL, [UserMessage("Hi")])
LEGACY = ChatRequest(MODEL, [UserMessage("Hi")], functions=[FunctionDefinition("add")])
CUSTOM_TOOL = {"type": "custom", "custom": {"name": "shell", "description": "Runs a command"}}

Item = dict[str, Any]

USAGE = {
    "input_tokens": 36,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 87,
    "output_tokens_details": {"reasoning_tokens": 64},
    "total_tokens": 123,
}


# --- items ------------------------------------------------------------------------------------------------------------


def part(text: str, **fields: Any) -> Item:
    """A part of a message with a text."""
    return {"type": "output_text", "text": text, "annotations": [], **fields}


def message(*parts: str | Item, **fields: Any) -> Item:
    """A message of the model."""
    content = [part(each) if isinstance(each, str) else each for each in parts]
    return {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": content, **fields}


def reasoning(*summary: str, encrypted: str | None = "gAAA=", **fields: Any) -> Item:
    """A reasoning item with sections of a summary."""
    sections = [{"type": "summary_text", "text": text} for text in summary]
    return {"type": "reasoning", "id": "rs_1", "summary": sections, "encrypted_content": encrypted, **fields}


def call(name: str = "add", arguments: str = "{}", call_id: str = "call_1", **fields: Any) -> Item:
    """A call of a function."""
    item = {"type": "function_call", "id": f"fc_{call_id}", "call_id": call_id, "name": name, "arguments": arguments}
    return {**item, "status": "completed", **fields}


def custom_call(name: str = "shell", text: str = "ls", call_id: str = "call_1", **fields: Any) -> Item:
    """A call of a custom tool."""
    return {"type": "custom_tool_call", "id": "ctc_1", "call_id": call_id, "name": name, "input": text, **fields}


SEARCH: Item = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}}
"""A call of the server's own tool."""


# --- whole responses --------------------------------------------------------------------------------------------------


def response(*items: Item, **fields: Any) -> Item:
    """A response with some items."""
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1741476777,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "model": "gpt-5.2-2025-12-11",
        "output": [*items],
        "store": False,
        "tools": [],
        "usage": USAGE,
        **fields,
    }


def request(messages: Any = "Hi", **params: Any) -> ChatRequest:
    """A validated request."""
    return build_request(MODEL, messages, params)


def decode(
    data: Any, *, asked: ChatRequest = CHAT, target: Target = TARGET, **headers: str
) -> ChatCompletion | Continuation:
    """What a body with a good status is."""
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return DIALECT.decode(HttpResponse(200, Headers.of(headers), body), asked, target)


def reply(*items: Item, asked: ChatRequest = CHAT, target: Target = TARGET, **fields: Any) -> ChatCompletion:
    """The completion of a response with some items."""
    found = decode(response(*items, **fields), asked=asked, target=target)
    assert isinstance(found, ChatCompletion)
    return found


def reply_message(*items: Item, asked: ChatRequest = CHAT, **fields: Any) -> ChatCompletionMessage:
    """The message of a response with some items."""
    return reply(*items, asked=asked, **fields).choices[0].message


# --- requests ---------------------------------------------------------------------------------------------------------


def sent_again(
    message: Any,
    *,
    provider: str = "openai",
    model: str = MODEL,
    quirks: OpenAIResponsesQuirks | None = None,
    **params: Any,
) -> tuple[list[Any], tuple[str, ...]]:
    """The input items of an assistant's message, and the warnings."""
    asked = request([{"role": "user", "content": "Hi"}, message, {"role": "user", "content": "And?"}], **params)
    target = attrs.evolve(TARGET, provider=provider, model=model, quirks=quirks or OpenAIResponsesQuirks())
    encoded = DIALECT.encode(asked, target, {})
    body: Any = json.loads(json.dumps(encoded.body, default=lambda plain: plain.to_dict()))
    return body["input"][1:-1], tuple(encoded.warnings)


# --- streams ----------------------------------------------------------------------------------------------------------


def event(data: Any) -> Event:
    """The event of an object, with its type as the name."""
    kind = data.get("type")
    return Event(json.dumps(data).encode(), kind if isinstance(kind, str) else "")


def events_of(*items: Item, size: int = 3, **fields: Any) -> list[Item]:
    """The events of a stream with some items, whose texts come in pieces of a few characters."""
    start = response(**{**fields, "status": "in_progress", "usage": None, "incomplete_details": None})
    found: list[Item] = [{"type": "response.created", "response": start}]
    for index, item in enumerate(items):
        found.append({"type": "response.output_item.added", "output_index": index, "item": _begun(item)})
        found += _pieces(item, index, size)
        found.append({"type": "response.output_item.done", "output_index": index, "item": item})
    end = response(*items, **fields)
    found.append({"type": f"response.{end['status']}", "response": end})
    return [each | {"sequence_number": number} for number, each in enumerate(found)]


def _begun(item: Item) -> Item:
    blank: Item = {"content": [], "summary": [], "arguments": "", "input": ""}
    return {name: blank.get(name, value) for name, value in item.items()} | {"status": "in_progress"}


def _pieces(item: Item, index: int, size: int) -> Iterable[Item]:
    place = {"output_index": index, "item_id": item["id"]}
    match item["type"]:
        case "message":
            for number, each in enumerate(item["content"]):
                where = {**place, "content_index": number}
                kind = "refusal" if each["type"] == "refusal" else "text"
                name = "response.refusal" if kind == "refusal" else "response.output_text"
                for piece in _cut(each[kind], size):
                    yield {"type": f"{name}.delta", **where, "delta": piece}
                for found in each.get("annotations") or ():
                    yield {"type": "response.output_text.annotation.added", **where, "annotation": found}
                yield {"type": f"{name}.done", **where, kind: each[kind]}
        case "reasoning":
            for name, short in (("summary", "summary"), ("content", "content")):
                kind = "response.reasoning_summary_text" if name == "summary" else "response.reasoning_text"
                for number, each in enumerate(item.get(name) or ()):
                    for piece in _cut(each["text"], size):
                        yield {"type": f"{kind}.delta", **place, f"{short}_index": number, "delta": piece}
        case "function_call":
            for piece in _cut(item["arguments"], size):
                yield {"type": "response.function_call_arguments.delta", **place, "delta": piece}
            yield {"type": "response.function_call_arguments.done", **place, "arguments": item["arguments"]}
        case "custom_tool_call":
            for piece in _cut(item["input"], size):
                yield {"type": "response.custom_tool_call_input.delta", **place, "delta": piece}
            yield {"type": "response.custom_tool_call_input.done", **place, "input": item["input"]}
        case _:
            yield {"type": "response.web_search_call.searching", **place}


def _cut(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def run(*events: Item, asked: ChatRequest = CHAT, target: Target = TARGET) -> list[ChatCompletionChunk]:
    """The chunks of events."""
    decoder = DIALECT.decoder(asked, target)
    chunks = [chunk for data in events for chunk in decoder.feed(event(data))]
    chunks += decoder.finish()
    return chunks


def streamed(*events: Item, asked: ChatRequest = CHAT, target: Target = TARGET) -> ChatCompletion:
    """The reply that the chunks of events accumulate to."""
    return accumulated(run(*events, asked=asked, target=target))
