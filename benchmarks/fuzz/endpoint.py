"""Fuzzing of requests to the OpenAI-compatible endpoint: the application, a client and a provider in one process."""

from __future__ import annotations

import asyncio
import functools
import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal, NamedTuple

from starlette.requests import Request

from anycompletion import AsyncCompletion
from anycompletion.errors import BODY_LIMIT
from anycompletion.testing import FakeProvider
from anycompletion.web import chat_completions_app

from . import mutations
from .subject import Subject, expect

KEY = "sk-service-0123456789abcdef"
"""The service's key for every provider, which no response may contain."""

REQUEST_ID = "caller-1"

REFUSALS = frozenset((400, 404, 408, 413, 415, 422))
"""Statuses of requests that are not answered; any other is a fault of the service."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

VARIANTS: Sequence[tuple[Literal["drop", "raise"], Mapping[str, Any]]] = (
    ("raise", {}),
    ("drop", {"extra_fields": "ignore", "max_tokens": 100, "max_n": 2}),
    ("drop", {"extra_fields": ("top_k", "web_search", "priority"), "max_body": 2_000, "max_separators": 60}),
)
"""Services: the client's `on_unsupported` and the options of the endpoint."""

MODELS = (
    "openai/gpt-4o",
    "openai/o3",
    "azure/my-deployment",
    "anthropic/claude-haiku-4-5",
    "cohere/command-a-03-2025",
    "replicate/meta/meta-llama-3-8b-instruct",
    "openrouter/openai/gpt-4o",
    "mistral/mistral-small",
)

_TOOL = {
    "type": "function",
    "function": {
        "name": "look",
        "description": "Looks.",
        "strict": True,
        "parameters": {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]},
    },
}
_CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"q": "x"}'}}
_PARTS = [
    {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}},
    {"type": "image_url", "image_url": {"url": "https://a.example/b.png", "detail": "low"}},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
    {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
    {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0=", "filename": "a.pdf"}},
]
_TURNS = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "Look."}], "name": "ann"},
    {"role": "assistant", "content": None, "tool_calls": [_CALL, {**_CALL, "id": "call_2"}], "reasoning_content": "Hm"},
    {"role": "tool", "tool_call_id": "call_1", "content": "seen"},
    {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "seen"}]},
    {"role": "user", "content": "And é\U0001f600?"},
]
_FORMAT = {
    "type": "json_schema",
    "json_schema": {"name": "a", "schema": {"type": "object", "properties": {"a": {"type": "integer"}}}},
}
_HELLO = [{"role": "user", "content": "Hi."}]

BODIES: Sequence[Mapping[str, Any]] = (
    {"messages": _HELLO},
    {"messages": _HELLO, "stream": True, "stream_options": {"include_usage": True}, "n": 2},
    {"messages": _TURNS, "tools": [_TOOL], "tool_choice": "auto", "parallel_tool_calls": False, "max_tokens": 50},
    {"messages": [{"role": "user", "content": _PARTS}], "max_completion_tokens": 50, "user": "u", "stream": True},
    {
        "messages": _HELLO,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["a", "b"],
        "seed": 1,
        "presence_penalty": 0.1,
        "frequency_penalty": -0.1,
        "logit_bias": {"50256": -100},
        "logprobs": True,
        "top_logprobs": 2,
        "response_format": _FORMAT,
        "metadata": {"a": "b"},
        "service_tier": "auto",
    },
    {"messages": _HELLO, "functions": [_TOOL["function"]], "function_call": {"name": "look"}},
    {"messages": _HELLO, "thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 90, "top_k": 5},
    {"messages": _HELLO, "api_key": "sk-caller", "base_url": "http://169.254.169.254/", "timeout": 1},
    {"messages": _HELLO, "tools": [{"type": "web_search", "max_uses": 1}], "service_tier": "priority"},
)
"""Bodies without a model; most are valid, and together they have every part that is looked into."""

_ENCODERS: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": functools.partial(gzip.compress, compresslevel=1, mtime=0),
    "X-Gzip": functools.partial(gzip.compress, compresslevel=1, mtime=0),
    "deflate": functools.partial(zlib.compress, level=1),
}


class Posted(NamedTuple):
    """A request as the server of the application gets it."""

    body: bytes
    pieces: list[bytes]
    """The body as it arrives."""
    headers: list[tuple[bytes, bytes]]
    variant: int


def make_request(rng: Random) -> Posted:
    """A request, in most cases with a changed body and the right headers."""
    seed = {"model": rng.choice(MODELS), **rng.choice(BODIES)}
    body = mutations.body(rng, [seed])
    headers = {"content-type": "application/json", "x-request-id": REQUEST_ID}
    if rng.random() < 0.1:
        headers["content-encoding"] = encoding = rng.choice((*_ENCODERS, "br", "identity"))
        body = _ENCODERS.get(encoding, bytes)(body)
        body = mutations.damaged(rng, body) if rng.random() < 0.3 else body
    if rng.random() < 0.2:
        headers["content-length"] = str(len(body))
    fields = [(name.encode(), value.encode()) for name, value in headers.items()]
    if rng.random() < 0.1:
        at = rng.randrange(len(fields))
        name, value = fields[at]
        fields[at] = (name, mutations.header(rng, value.decode()))
    return Posted(body, mutations.cuts(rng, body), fields, rng.randrange(len(VARIANTS)))


@dataclass
class EndpointResponse:
    """What the application sent."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytearray = field(default_factory=bytearray)
    ended: bool = False

    @classmethod
    def of(cls, messages: Iterable[Mapping[str, Any]]) -> EndpointResponse:
        """The response that consists of these messages."""
        response = cls()
        for message in messages:
            response.add(message)
        return response

    def add(self, message: Mapping[str, Any]) -> None:
        """Adds a message, and checks that it comes in its order."""
        expect(not self.ended, "a message after the end of the response")
        if message["type"] == "http.response.start":
            expect(not self.status, "a second response")
            self.status = message["status"]
            self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in message["headers"]}
            return
        expect(message["type"] == "http.response.body" and self.status > 0, "no response before its body")
        self.body += message.get("body", b"")
        self.ended = not message.get("more_body", False)


def check_request(given: Posted) -> None:
    """Checks that a request is answered or refused with what its caller may see, and never fails."""
    wanted = dict(given.headers).get(b"x-request-id")
    check_response(asyncio.run(response_to(given)), REQUEST_ID if wanted == REQUEST_ID.encode() else None)


def check_response(response: EndpointResponse, request_id: str | None) -> None:
    """Checks a response; `request_id` is what it must have, or None for any."""
    expect(response.ended, "the response has no end")
    expect(KEY.encode() not in response.body, "the service's key is in the response")
    sent = response.headers.get("x-request-id", "")
    expect(bool(sent) and sent == (request_id or sent), f"the request id is {sent!r}")
    if response.status == 200:
        _check_reply(response)
        return
    expect(response.status in REFUSALS, f"status {response.status}: {bytes(response.body)!r}")
    _check_error(json.loads(response.body))


def _check_reply(response: EndpointResponse) -> None:
    if response.headers["content-type"].partition(";")[0] == "application/json":
        expect(bool(json.loads(response.body)["choices"]), "a reply without choices")
        return
    events = response.body.decode().split("\n\n")
    expect(events.pop() == "" and events.pop() == "data: [DONE]", "a stream without its end")
    for event in events:
        expect("error" not in json.loads(event.removeprefix("data: ")), f"an error in the stream: {event}")


def _check_error(body: Any) -> None:
    error = body["error"]
    expect(body.keys() == {"error"}, "more than an error")
    expect(error.keys() == {"message", "type", "param", "code"}, "not an error of OpenAI's form")
    expect(isinstance(error["message"], str) and 0 < len(error["message"]) < BODY_LIMIT, "the length of the message")
    expect(not _CONTROL.search(error["message"]), f"control characters in {error['message']!r}")
    for name in ("type", "param", "code"):
        expect(error[name] is None or isinstance(error[name], str), f"{name} is not a text")


async def response_to(given: Posted) -> EndpointResponse:
    """What the application sends to a request."""
    response = EndpointResponse()
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in given.pieces]
    messages.append({"type": "http.request", "body": b"", "more_body": False})
    messages.reverse()

    async def receive() -> Any:
        if not messages:
            await asyncio.Event().wait()  # the caller stays connected
        return messages.pop()

    async def send(message: Any) -> None:
        response.add(message)

    on_unsupported, options = VARIANTS[given.variant]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/v1/chat/completions",
        "raw_path": b"/v1/chat/completions",
        "root_path": "",
        "query_string": b"",
        "headers": given.headers,
    }
    provider = FakeProvider(lambda request: "Hello there.", name="*")
    keys = {name.partition("/")[0]: KEY for name in MODELS}
    async with AsyncCompletion(
        providers=[provider], api_keys=keys, max_retries=0, on_unsupported=on_unsupported
    ) as client:
        await chat_completions_app(client, authorize=_anyone, **options)(scope, receive, send)
    return response


def _anyone(request: Request) -> bool:
    return True


ENDPOINT = Subject(make_request, check_request)
