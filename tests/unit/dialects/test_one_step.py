"""Replies and events that are read in one step, against the same with a field more, which are read field by field."""

import json
from collections.abc import Mapping

import msgspec
import pytest
from benchmarks.formats_payloads import FORMATS

from anycompletion import ChatCompletion, ChatRequest, Headers
from anycompletion.codecs.sse import Event
from anycompletion.dialects.base import Dialect, Target
from anycompletion.http import HttpResponse
from anycompletion.providers import DIALECTS
from anycompletion.records.chunks import ChatCompletionChunk

DIALECT_NAMES: Mapping[str, str] = {
    "anthropic": "anthropic_messages",
    "gemini": "gemini_generate",
    "bedrock": "bedrock_converse",
    "ollama": "ollama_chat",
    "responses": "openai_responses",
}
REQUEST = ChatRequest("m", "Hello.")


def target(dialect: Dialect, *, stream: bool = False) -> Target:
    """A target of a dialect."""
    return Target(provider="acme", model="m", base_url="https://acme.ai", stream=stream, quirks=dialect.quirks_type())


def with_another_field(data: bytes) -> bytes:
    """An object with one more field, which is null; other JSON as it is."""
    value = json.loads(data) if data.startswith(b"{") else None
    return json.dumps({**value, "unlisted": None}).encode() if isinstance(value, dict) else data


def completion(dialect: Dialect, body: bytes) -> ChatCompletion:
    """The completion in a body."""
    found = dialect.decode(HttpResponse(200, Headers.of({}), body), REQUEST, target(dialect))
    assert isinstance(found, ChatCompletion)
    return found


def chunks(dialect: Dialect, events: list[Event]) -> list[ChatCompletionChunk]:
    """The chunks of a whole stream."""
    decoder = dialect.decoder(REQUEST, target(dialect, stream=True))
    found = [chunk for event in events for chunk in decoder.feed(event)]
    end = decoder.finish()
    assert isinstance(end, (list, tuple))
    return [*found, *end]


@pytest.mark.parametrize("name", DIALECT_NAMES)
def test_a_reply_is_read_alike_in_one_step(name: str) -> None:
    """A usual reply would lose a field that a reply with an unknown one keeps, or have another value in it."""
    dialect, body = DIALECTS[DIALECT_NAMES[name]], FORMATS[name].reply
    usual, other = completion(dialect, body), completion(dialect, with_another_field(body))
    assert usual == other
    assert usual.raw == json.loads(body)
    assert usual.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("name", DIALECT_NAMES)
def test_a_stream_is_read_alike_in_one_step(name: str) -> None:
    """A usual event would make another chunk than one with an unknown field."""
    dialect = DIALECTS[DIALECT_NAMES[name]]
    events = dialect.framing().feed(b"".join(FORMATS[name].events(5)))
    others = [msgspec.structs.replace(event, data=with_another_field(event.data)) for event in events]
    usual = chunks(dialect, events)
    assert usual == chunks(dialect, others)
    assert sum(len(choice.delta.content or "") for chunk in usual for choice in chunk.choices) == 35
    assert usual[-1].usage is not None
