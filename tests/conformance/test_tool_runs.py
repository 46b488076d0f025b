"""Recorded replies with calls as turns of tool runs: each call runs, and goes back as the provider accepted it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from anycompletion import ChatCompletion, ChatRequest, Message, ToolMessage, UserMessage
from anycompletion.dialects.base import Target
from anycompletion.http import Headers, HttpRequest, HttpResponse
from anycompletion.providers import DIALECTS
from anycompletion.testing import Recording
from anycompletion.tools import RunFinished, RunnableTool, RunOutcome
from conformance import traffic
from conformance.bodies import events_of
from conformance.decoding import decode
from conformance.replay import Replay

pytestmark = [pytest.mark.traffic, pytest.mark.asyncio(loop_scope="session")]

FORMATS = tuple(name for name in traffic.FORMATS if name != traffic.REPLICATE)
CALLING = [
    recording
    for recording in (*traffic.replies(*FORMATS), *traffic.streams(*FORMATS))
    if "tool_call" in recording.features
]
PAIRED = ("openai_chat", "cohere_chat", "openai_responses")
"""Formats of which recordings have both a reply with calls and the request that answers them."""

SIGNED = ("signature", "thoughtSignature", "encrypted_content")


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """All objects in a JSON value."""
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects(item)


def strings(value: Any, *names: str) -> set[str]:
    """The texts under these names in a JSON value."""
    return {each[name] for each in objects(value) for name in names if each.get(name) and isinstance(each[name], str)}


def is_object(arguments: str) -> bool:
    """Whether arguments are those of a call that can run; a few recorded models made others."""
    try:
        return isinstance(json.loads(arguments or "{}"), dict)
    except ValueError:
        return False


async def run_of(replay: Replay, recording: Recording, tools: list[RunnableTool]) -> RunOutcome[Any]:
    """The outcome of a run of two turns, in which the model replies as it was recorded."""
    options = {name: value for name, value in replay.options(recording).items() if name != "n"}
    run = replay.client.run_tools(traffic.model_of(recording), "Hello", tools, max_turns=2, **options)
    if not traffic.is_stream(recording):
        return await run
    events = [event async for event in run.events()]
    assert isinstance(events[-1], RunFinished)
    return events[-1].outcome


@pytest.mark.parametrize("recording", traffic.each(CALLING))
async def test_a_recorded_call_runs_and_its_turn_is_sent_back(replay: Replay, recording: Recording) -> None:
    """A real reply would end a run, or its reasoning would be missing in the next request."""
    reply = await replay.complete(recording)
    calls = [call for call in reply.message.tool_calls or () if call.custom is None]
    if len(calls) != len(reply.message.tool_calls or ()) or not calls:
        return  # those of the provider's own tools, and of grammars
    ran: list[str] = []

    def tool_of(name: str) -> RunnableTool:
        async def note(arguments: dict[str, Any]) -> str:
            ran.append(name)
            return json.dumps(arguments)

        return RunnableTool.from_schema(name, {"type": "object"}, note)

    outcome = await run_of(replay, recording, [tool_of(name) for name in dict.fromkeys(c.function.name for c in calls)])
    assert outcome.status == "max_turns"
    results = [message for message in outcome.messages if isinstance(message, ToolMessage)][: len(calls)]
    assert [result.tool_call_id for result in results] == [call.id for call in outcome.turns[0].calls]
    if reply.choices[0].finish_reason != "length":
        assert sorted(ran) == sorted(call.function.name for call in calls if is_object(call.function.arguments))
    message = outcome.turns[0].reply.message
    kept = strings([message.thinking_blocks, message.provider_specific_fields], *SIGNED)
    assert kept <= strings(replay.server.requests[-1].body, *SIGNED)


# --- pairs of a reply and the request that answers it -----------------------------------------------------------------


def reply_of(recording: Recording) -> ChatCompletion | None:
    """The recorded reply; None for one that is an error."""
    row = traffic.row_of(recording)
    if traffic.is_stream(recording):
        decoded = decode(recording, events_of(recording))
        return None if decoded.error is not None else decoded.completion()
    target = Target(provider=row.name, model="any", base_url="http://x", path=row.path, quirks=row.quirks)
    found = DIALECTS[row.dialect].decode(HttpResponse(200, Headers(), recording.body), ChatRequest("any", "?"), target)
    return found if isinstance(found, ChatCompletion) else None


def calls_in(body: Any, ids: set[str]) -> list[tuple[str, str, Any]]:
    """Id, name and arguments of the calls with these ids in a request's body, in order."""
    found: list[tuple[str, str, Any]] = []
    for each in objects(body):
        call_id, function = each.get("call_id") or each.get("id"), each.get("function") or each
        if call_id in ids and "name" in function and "arguments" in function:
            text = function["arguments"]
            found.append((call_id, function["name"], json.loads(text or "{}") if isinstance(text, str) else text))
    return found


def next_body(recording: Recording, model: str, messages: list[Message]) -> Any:
    """The body of the next request to the provider of a recording."""
    row = traffic.row_of(recording)
    target = Target(provider=row.name, model=model, base_url="http://x", path=row.path, quirks=row.quirks)
    encoded = DIALECTS[row.dialect].encode(ChatRequest(model, messages), target, {})
    assert isinstance(encoded, HttpRequest)
    return json.loads(json.dumps(encoded.body, default=lambda value: value.to_dict()))


@pytest.mark.parametrize("name", PAIRED)
@pytest.mark.skipif(traffic.FOLDER is None, reason=traffic.UNSET)
async def test_calls_go_back_as_in_the_recorded_next_request(name: str) -> None:
    """A turn would be sent in another form than the one that the provider is known to accept."""
    answered = [
        recording
        for recording in traffic.recorded(name)
        if recording.status == 200 and recording.request is not None and isinstance(recording.request.body, dict)
    ]
    pairs = 0
    for recording in CALLING:
        if traffic.format_of(recording) != name or (reply := reply_of(recording)) is None:
            continue
        ids = {call.id for call in reply.message.tool_calls or ()}
        if not ids or any("REDACTED" in each for each in ids):
            continue  # ids that were overwritten are those of several replies
        for later in answered:
            body: Any = later.request and later.request.body
            accepted = calls_in(body, ids)
            is_next = later.provider == recording.provider and {each[0] for each in accepted} == ids
            if not is_next or later.id == recording.id:
                continue
            results = [ToolMessage("ok", call.id) for call in reply.message.tool_calls or ()]
            ours = next_body(later, body.get("model", "any"), [UserMessage("?"), reply.message, *results])
            assert calls_in(ours, ids) == accepted, (recording.id, later.id)
            sealed = strings(body, "encrypted_content") & strings(reply.message.to_dict(), "encrypted_content")
            assert sealed <= strings(ours, "encrypted_content"), (recording.id, later.id)
            pairs += 1
    assert pairs or not traffic.is_reference_folder()
