"""Recorded traffic: the dialect reads and sends everything in the folder that ANYCOMPLETION_TRAFFIC names."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from anycompletion.codecs.sse import SSEParser
from anycompletion.dialects.base import Target
from anycompletion.dialects.openai_chat.dialect import DIALECT
from anycompletion.errors import APIStatusError
from anycompletion.http import Headers, HttpResponse
from anycompletion.records import ChatCompletion, ChatRequest, UserMessage
from anycompletion.streaming.accumulator import Accumulator

FOLDER = os.environ.get("ANYCOMPLETION_TRAFFIC")
RECORDINGS = sorted(Path(FOLDER).glob("*/*-chatcompletions-*.json")) if FOLDER else []
TARGET = Target(provider="openai", model="m", base_url="https://x", stream=True)

pytestmark = [pytest.mark.traffic, pytest.mark.skipif(not RECORDINGS, reason="no recorded traffic here")]


def read(recording: dict[str, Any]) -> ChatCompletion:
    response = recording["response"]
    body = response["body_text"].encode()
    headers = Headers.of({name: str(value) for name, value in (response.get("headers") or {}).items()})
    asked = (recording.get("request") or {}).get("body") or {}
    chat = ChatRequest("m", [UserMessage("Hi")], n=asked.get("n"))
    if response["status"] >= 400:
        raise DIALECT.error(HttpResponse(response["status"], headers, body))
    if recording["framing"] != "sse":
        return DIALECT.decode(HttpResponse(200, headers, body), chat, TARGET)
    accumulator, decoder = Accumulator(), DIALECT.decoder(chat, TARGET)
    for event in SSEParser().feed(body + b"\n\n"):
        for chunk in decoder.feed(event):
            accumulator.add(chunk)
        if decoder.done:
            break
    decoder.finish()
    return accumulator.completion()


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_recorded_traffic(path: Path):
    """A real server's reply would be unreadable, or its error would be taken for a reply."""
    recording = json.loads(path.read_text("utf-8"))
    if recording["response"]["status"] >= 400 or '"error":{' in recording["response"]["body_text"]:
        with pytest.raises(APIStatusError) as caught:
            read(recording)
        assert caught.value.message
        return
    reply = read(recording)
    assert reply.choices
    assert ChatCompletion.from_dict(reply.to_dict()).to_dict() == reply.to_dict()
