"""Recorded traffic: the dialect reads and sends everything in the folder that ANYCOMPLETION_TRAFFIC names."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from anycompletion.codecs.sse import SSEParser
from anycompletion.dialects.anthropic_messages.dialect import DIALECT
from anycompletion.dialects.base import Target
from anycompletion.errors import APIStatusError
from anycompletion.http import Headers, HttpResponse
from anycompletion.records import ChatCompletion, ChatRequest, UserMessage
from anycompletion.streaming.accumulator import Accumulator

FOLDER = os.environ.get("ANYCOMPLETION_TRAFFIC")
RECORDINGS = sorted(Path(FOLDER, "anthropic").glob("anthropic-messages-*.json")) if FOLDER else []
TARGET = Target(provider="anthropic", model="claude", base_url="https://api.anthropic.com")
CHAT = ChatRequest("claude", [UserMessage("Hi")], max_tokens=9)

pytestmark = [pytest.mark.traffic, pytest.mark.skipif(not RECORDINGS, reason="no recorded traffic here")]


def read(recording: dict[str, Any]) -> ChatCompletion:
    response = recording["response"]
    body = response["body_text"].encode()
    headers = Headers.of({name: str(value) for name, value in (response.get("headers") or {}).items()})
    if response["status"] >= 400:
        raise DIALECT.error(HttpResponse(response["status"], headers, body))
    if recording["framing"] != "sse":
        return DIALECT.decode(HttpResponse(200, headers, body), CHAT, TARGET)
    accumulator, decoder = Accumulator(), DIALECT.decoder(CHAT, TARGET)
    for event in SSEParser().feed(body + b"\n\n"):
        for chunk in decoder.feed(event):
            accumulator.add(chunk)
    for chunk in decoder.finish():
        accumulator.add(chunk)
    return accumulator.completion()


def blocks(recording: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The content of a complete reply, or of a stream's block starts."""
    if recording["framing"] != "sse":
        content: list[dict[str, Any]] = json.loads(recording["response"]["body_text"])["content"]
        return content
    return None


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_recordings_are_decoded(path: Path):
    """A real reply could not be decoded."""
    recording = json.loads(path.read_text())
    if recording["response"]["status"] >= 400 or "event: error" in recording["response"]["body_text"]:
        with pytest.raises(APIStatusError):
            read(recording)
        return
    reply = read(recording)
    choice = reply.choices[0]
    assert reply.id
    assert reply.model
    assert choice.finish_reason in {"stop", "length", "tool_calls", "content_filter"}
    assert choice.native_finish_reason
    assert reply.usage is not None
    assert reply.usage.completion_tokens is not None


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_recordings_are_sent_back_unchanged(path: Path):
    """A real reply would be changed when it is sent back."""
    recording = json.loads(path.read_text())
    try:
        message = read(recording).choices[0].message
    except APIStatusError:
        return
    request = ChatRequest("claude", [UserMessage("Hi"), message, UserMessage("And?")], max_tokens=9)
    sent = DIALECT.encode(request, TARGET, {})
    expected = blocks(recording)
    if not expected or sent.body is None or len(sent.body["messages"]) < 3:
        return
    got = sent.body["messages"][1]["content"]
    if isinstance(got, str):
        assert got == "".join(block["text"] for block in expected)
        return
    assert [block["type"] for block in got] == [block["type"] for block in expected if block.get("text") != ""]
