"""Gemini's responses and streams for tests, and their decoding."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from anycompletion import ChatCompletion, ChatCompletionChunk, ChatRequest, FunctionDefinition, UserMessage
from anycompletion.codecs.sse import Event
from anycompletion.dialects.base import Target
from anycompletion.dialects.gemini_generate.dialect import DIALECT
from anycompletion.dialects.gemini_generate.gemini_quirks import GeminiQuirks
from anycompletion.http import Headers, HttpRequest, HttpResponse
from anycompletion.options import OnUnsupported
from anycompletion.streaming.accumulator import accumulated
from anycompletion.validation.request_checks import build_request

MODEL = "gemini-3-flash-preview"
CHAT = ChatRequest(MODEL, [UserMessage("Hi")])
LEGACY = ChatRequest(MODEL, [UserMessage("Hi")], functions=[FunctionDefinition("add")])
COUNTS = {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}
HI = {"role": "user", "parts": [{"text": "Hi"}]}


def target(
    model: str = MODEL, *, vertex: bool = False, policy: OnUnsupported = "raise", stream: bool = False, **fields: Any
) -> Target:
    """The target of a call to Gemini."""
    return Target(
        provider="gemini",
        model=model,
        base_url=fields.pop("base_url", "https://generativelanguage.googleapis.com"),
        quirks=GeminiQuirks(vertex=vertex),
        on_unsupported=policy,
        stream=stream,
        **fields,
    )


# --- requests ---------------------------------------------------------------------------------------------------------


def send(messages: Any, *, model: str = MODEL, extra_body: dict[str, Any] | None = None, **options: Any) -> HttpRequest:
    """The HTTP request for messages; options are those of `target` and parameters."""
    names = ("vertex", "policy", "stream", "base_url", "path", "api_version")
    where = {name: options.pop(name) for name in names if name in options}
    request = build_request(model, messages, options)
    request.extra_body = extra_body
    encoded = DIALECT.encode(request, target(model, **where), {})
    assert isinstance(encoded, HttpRequest)
    return encoded


def body_of(messages: Any, **options: Any) -> dict[str, Any]:
    """The body for messages."""
    return dict(send(messages, **options).body or {})  # type: ignore[arg-type]  # no bytes


def contents(*messages: Any, **options: Any) -> list[dict[str, Any]]:
    """The contents for messages."""
    found: list[dict[str, Any]] = body_of(list(messages), **options)["contents"]
    return found


# --- replies ----------------------------------------------------------------------------------------------------------


def candidate(*parts: dict[str, Any], reason: str | None = "STOP", **fields: Any) -> dict[str, Any]:
    """A candidate with these parts."""
    end = {} if reason is None else {"finishReason": reason}
    return {"content": {"role": "model", "parts": list(parts)}, **end, **fields}


def response(*candidates: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A response with its usage."""
    frame = {"responseId": "r1", "modelVersion": MODEL, "usageMetadata": COUNTS}
    return {"candidates": list(candidates), **frame, **fields}


def decode(body: Any, request: ChatRequest = CHAT, *, vertex: bool = False) -> ChatCompletion:
    """The decoded response."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    completion = DIALECT.decode(HttpResponse(200, Headers(), data), request, target(vertex=vertex))
    assert isinstance(completion, ChatCompletion)
    return completion


def read(*parts: dict[str, Any], request: ChatRequest = CHAT, vertex: bool = False, **fields: Any) -> ChatCompletion:
    """The reply with these parts."""
    return decode(response(candidate(*parts, **fields)), request, vertex=vertex)


# --- streams ----------------------------------------------------------------------------------------------------------


def event(*parts: dict[str, Any], reason: str | None = None, **fields: Any) -> dict[str, Any]:
    """An event with parts of candidate 0."""
    return {"candidates": [candidate(*parts, reason=reason, **fields)], "responseId": "r1", "modelVersion": MODEL}


def chunks_of(
    *events: dict[str, Any] | bytes, request: ChatRequest = CHAT, vertex: bool = False
) -> list[ChatCompletionChunk]:
    """The chunks of a stream that ends with its body."""
    decoder = DIALECT.decoder(request, target(vertex=vertex, stream=True))
    chunks: list[ChatCompletionChunk] = []
    for each in events:
        chunks += decoder.feed(Event(each if isinstance(each, bytes) else json.dumps(each).encode()))
    end = decoder.finish()
    assert isinstance(end, Sequence)
    return [*chunks, *end]


def streamed(*events: dict[str, Any] | bytes, request: ChatRequest = CHAT, vertex: bool = False) -> ChatCompletion:
    """The reply that a stream adds up to."""
    return accumulated(chunks_of(*events, request=request, vertex=vertex))
