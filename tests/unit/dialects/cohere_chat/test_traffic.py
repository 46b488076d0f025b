"""Recorded traffic: the dialect reads and sends everything in the folder that ANYCOMPLETION_TRAFFIC names.

The expected values are read from the recordings' JSON, member by member, without this package.
"""

import csv
import json
import os
from pathlib import Path
from typing import Any

import pytest

from anycompletion.codecs.sse import SSEParser
from anycompletion.dialects.base import Target
from anycompletion.dialects.cohere_chat.dialect import DIALECT
from anycompletion.errors import APIStatusError, AuthenticationError, BadRequestError, UnprocessableEntityError
from anycompletion.http import Headers, HttpResponse
from anycompletion.records import ChatCompletion, ChatRequest, UserMessage
from anycompletion.streaming.accumulator import Accumulator
from anycompletion.validation.request_checks import build_request


def recordings() -> list[Path]:
    """The recordings of Cohere's v2 chat API."""
    folder = os.environ.get("ANYCOMPLETION_TRAFFIC")
    if not folder:
        return []
    with Path(folder, "INDEX.csv").open(newline="") as index:
        rows = [row for row in csv.DictReader(index) if (row["provider"], row["api"]) == ("cohere", "v2/chat")]
    return [Path(folder, "cohere", f"{row['id']}.json") for row in rows]


RECORDINGS = recordings()
TARGET = Target(provider="cohere", model="command", base_url="https://api.cohere.com")
CHAT = ChatRequest("command", [UserMessage("Hi")])
FINISH = {"COMPLETE": "stop", "STOP_SEQUENCE": "stop", "MAX_TOKENS": "length", "TOOL_CALL": "tool_calls"}
ERRORS = {400: BadRequestError, 401: AuthenticationError, 422: UnprocessableEntityError}
"""Status of a recorded error → the class."""

pytestmark = [pytest.mark.traffic, pytest.mark.skipif(not RECORDINGS, reason="no recorded traffic here")]


def read(recording: dict[str, Any], step: int) -> ChatCompletion:
    """The decoded recording; a stream arrives in pieces of `step` bytes."""
    response = recording["response"]
    body = response["body_text"].encode()
    headers = Headers.of({name: str(value) for name, value in (response.get("headers") or {}).items()})
    if response["status"] >= 400:
        raise DIALECT.error(HttpResponse(response["status"], headers, body))
    if recording["framing"] != "sse":
        return DIALECT.decode(HttpResponse(200, headers, body), CHAT, TARGET)
    framing, accumulator, decoder = SSEParser(), Accumulator(), DIALECT.decoder(CHAT, TARGET)
    for start in range(0, len(body), step):
        for event in framing.feed(body[start : start + step]):
            for chunk in decoder.feed(event):
                accumulator.add(chunk)
    for chunk in decoder.finish():
        accumulator.add(chunk)
    assert decoder.done
    return accumulator.completion()


def expected_reply(recording: dict[str, Any]) -> dict[str, Any]:
    """The recording's complete reply or error; a stream's is assembled from its events."""
    text = recording["response"]["body_text"]
    if recording["framing"] != "sse" or recording["response"]["status"] >= 400:
        whole: dict[str, Any] = json.loads(text)
        return whole
    reply: dict[str, Any] = {}
    message: dict[str, Any] = {"content": [], "tool_calls": [], "tool_plan": "", "citations": []}
    for line in text.splitlines():
        if not line.startswith("data: {"):
            continue
        event = json.loads(line.removeprefix("data: "))
        delta = event.get("delta", {})
        match event["type"]:
            case "message-start":
                reply["id"] = event["id"]
            case "content-start":
                message["content"].append(delta["message"]["content"])
            case "content-delta":
                for name, piece in delta["message"]["content"].items():
                    message["content"][event["index"]][name] += piece
            case "tool-plan-delta":
                message["tool_plan"] += delta["message"]["tool_plan"]
            case "tool-call-start":
                message["tool_calls"].append(delta["message"]["tool_calls"])
            case "tool-call-delta":
                piece = delta["message"]["tool_calls"]["function"]["arguments"]
                message["tool_calls"][event["index"]]["function"]["arguments"] += piece
            case "citation-start":
                message["citations"].append(delta["message"]["citations"])
            case "message-end":
                reply |= delta
    return {**reply, "message": message}


def parts_of(native: dict[str, Any], kind: str) -> str | None:
    found = [part[kind] for part in native["message"].get("content") or () if part["type"] == kind]
    return "".join(found) or None


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_recordings_are_decoded(path: Path) -> None:
    """A real reply could not be decoded, or would lose members."""
    recording = json.loads(path.read_text())
    native = expected_reply(recording)
    status = recording["response"]["status"]
    if status >= 400:
        with pytest.raises(APIStatusError) as refused:
            read(recording, 1)
        error, headers = refused.value, recording["response"]["headers"]
        assert type(error) is ERRORS[status]
        assert (error.message, error.status_code) == (native["message"], status)
        assert error.request_id == headers.get("x-debug-trace-id", native["id"])
        return
    if native["finish_reason"] == "ERROR":
        with pytest.raises(UnprocessableEntityError) as failed:
            read(recording, 1)
        assert (failed.value.message, failed.value.code) == (native["error"], native["error_type"])
        return
    reply = read(recording, 1)
    (choice,) = reply.choices
    message, expected, usage = choice.message, native["message"], native["usage"]
    assert reply.id == native["id"]
    assert message.content == parts_of(native, "text")
    assert message.reasoning_content == parts_of(native, "thinking")
    assert [item.to_dict() for item in message.tool_calls or ()] == [
        {**item, "function": {**item["function"], "arguments": item["function"]["arguments"] or "{}"}}
        for item in expected.get("tool_calls") or ()
    ]
    assert [item.extra["citation"] for item in message.annotations or ()] == (expected.get("citations") or [])
    kept = (message.provider_specific_fields or {}).get("cohere", {})
    assert kept.get("tool_plan", "") == (expected.get("tool_plan") or "")
    assert (choice.finish_reason, choice.native_finish_reason) == (
        FINISH[native["finish_reason"]],
        native["finish_reason"],
    )
    assert reply.usage is not None
    assert reply.usage.prompt_tokens == usage["tokens"]["input_tokens"]
    assert reply.usage.completion_tokens == usage["tokens"]["output_tokens"]
    assert reply.usage.extra == {"billed_units": usage["billed_units"]}
    cached = reply.usage.prompt_tokens_details and reply.usage.prompt_tokens_details.cached_tokens
    assert cached == usage.get("cached_tokens")


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_citations_point_to_their_text(path: Path) -> None:
    """A citation would point to another place in the reply than Cohere's."""
    try:
        message = read(json.loads(path.read_text()), 4096).choices[0].message
    except APIStatusError:
        return
    for item in message.annotations or ():
        assert isinstance(message.content, str)
        place = slice(item.extra["content_start_index"], item.extra["content_end_index"])
        assert message.content[place] == item.extra["citation"]["text"]


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_recordings_are_sent_back_unchanged(path: Path) -> None:
    """A real reply would be changed when it is sent back."""
    recording = json.loads(path.read_text())
    try:
        message = read(recording, 4096).choices[0].message
    except APIStatusError:
        return
    sent = DIALECT.encode(ChatRequest("command", [UserMessage("Hi"), message]), TARGET, {})
    assert sent.body is not None
    assert sent.warnings == []
    got = {"role": "assistant", "content": [], **sent.body["messages"][1]}
    if isinstance(got["content"], str):
        got["content"] = [{"type": "text", "text": got["content"]}]
    native = expected_reply(recording)["message"]
    expected = {name: value for name, value in native.items() if value or name == "content"}
    for item in expected.get("tool_calls", ()):
        item["function"]["arguments"] = item["function"]["arguments"] or "{}"
    assert got == {"role": "assistant", "content": [], **expected}


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_recorded_messages_are_sent_unchanged(path: Path) -> None:
    """Turns that Cohere accepted from other clients would be changed by this package."""
    recorded = (json.loads(path.read_text())["request"] or {}).get("body")
    if recorded is None:
        return
    request = build_request("command", recorded["messages"], {"tools": recorded.get("tools", [])})
    sent = DIALECT.encode(request, TARGET, {})
    assert sent.body is not None
    assert sent.warnings == []
    turns = [{name: value for name, value in turn.items() if value is not None} for turn in recorded["messages"]]
    assert sent.body["messages"] == turns
    tools = [_without_null(tool) for tool in recorded.get("tools") or ()]
    assert sent.body.get("tools", []) == tools


def _without_null(tool: dict[str, Any]) -> dict[str, Any]:
    function = {name: value for name, value in tool["function"].items() if value is not None}
    return {**tool, "function": function}
