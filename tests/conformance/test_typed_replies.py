"""Recorded replies through `parse`: structured output as values, refusals, cut replies, calls of other tools."""

import json
import re
from collections.abc import Container
from typing import Any

import pytest

from anycompletion import (
    ChatCompletion,
    ReplyError,
    ReplyRefusedError,
    ReplyTruncatedError,
    ReplyValidationError,
)
from anycompletion.testing import Recording
from conformance import traffic
from conformance.replay import Replay, stream_options
from conformance.typed_replies import CALLS, REFUSALS, SCHEMA_IGNORED, VALUES, Fruit, asks_for_data, asks_with_schema

pytestmark = [pytest.mark.traffic, pytest.mark.asyncio(loop_scope="session")]

RECORDINGS = traffic.recorded(*traffic.FORMATS)
COMPLETE = [*traffic.replies(*traffic.FORMATS), *traffic.streams(*traffic.FORMATS)]

LENGTH = {"finish:length", "finish:max_tokens", "finish:MAX_TOKENS", "incomplete:max_output_tokens"}
FILTERS = {"finish:content_filter", "finish:refusal", "finish:SAFETY", "finish:guardrail_intervened"}
"""Features of replies that ended at the token limit, or that a filter or the model refused."""


def chosen(names: Container[str]) -> list[Any]:
    """The test cases of these ids."""
    return traffic.each(recording for recording in RECORDINGS if recording.id in names)


def ended_by(marks: set[str]) -> list[Any]:
    """The test cases of complete replies with one of these features."""
    return traffic.each(recording for recording in COMPLETE if marks.intersection(recording.features))


def has_schema(recording: Recording) -> bool:
    """Whether the recorded request has a schema, which the server kept to."""
    return asks_with_schema(traffic.request_of(recording)) and recording.id not in SCHEMA_IGNORED


def own_model(recording: Recording) -> str:
    """The recorded model, because the mode may depend on it; that of `traffic.model_of` where none was recorded."""
    call, known = recording.request, traffic.model_of(recording)
    if call is None:
        return known
    found = re.search(r"/models?/([^/:?]+)", call.url)
    name = traffic.request_of(recording).get("model") or (found[1] if found else None)
    return known if name is None else f"{known.removesuffix('any')}{name}"


async def parsed(replay: Replay, recording: Recording, into: Any) -> Any:
    """The value of a recording."""
    options, model = replay.options(recording), own_model(recording)
    if traffic.is_stream(recording):
        stream = replay.client.parse_stream(model, "Hello", into, **stream_options(recording), **options)
        return (await stream.get_final_completion()).parsed
    return (await replay.client.parse(model, "Hello", into, **options)).parsed


async def misfit(replay: Replay, recording: Recording, into: Any) -> ReplyError:
    """The error of a recording that is not the value that was asked for; its text must not have the reply's."""
    with pytest.raises(ReplyError) as caught:
        await parsed(replay, recording, into)
    error = caught.value
    assert isinstance(error.partial, ChatCompletion)
    assert not any(text and text in f"{error} {error!r}" for text in error.partial.texts)
    return error


@pytest.mark.parametrize("recording", chosen(VALUES))
async def test_a_recorded_reply_is_the_value_that_was_asked_for(replay: Replay, recording: Recording) -> None:
    """A reply that a provider sent would not be accepted, or its value would change."""
    into, value, _ = VALUES[recording.id]
    assert await parsed(replay, recording, into) == value


@pytest.mark.parametrize("recording", traffic.each(r for r in traffic.streams(*traffic.FORMATS) if r.id in VALUES))
async def test_the_last_partial_value_of_a_recorded_stream_is_its_json(replay: Replay, recording: Recording) -> None:
    """What a page shows while the reply arrives would differ from the reply."""
    into, value, _ = VALUES[recording.id]
    options = stream_options(recording) | replay.options(recording)
    async with replay.client.parse_stream(own_model(recording), "Hello", into, **options) as stream:
        partials = [partial async for partial in stream.partials(every=0)]
        final = await stream.get_final_completion()
    assert [partial.finished for partial in partials] == [False] * (len(partials) - 1) + [True]
    whole = json.loads(final.text[final.text.index("{") :])
    assert partials[-1].data == (whole if into is not int else whole["value"])
    assert final.parsed == value


@pytest.mark.parametrize("recording", chosen(REFUSALS))
async def test_a_recorded_refusal_is_no_value(replay: Replay, recording: Recording) -> None:
    """A refusal would look like a reply that does not fit, and would be asked again."""
    error = await misfit(replay, recording, REFUSALS[recording.id])
    assert isinstance(error, ReplyRefusedError)
    assert error.refusal
    assert error.refusal not in f"{error} {error!r}"


@pytest.mark.parametrize("recording", chosen(CALLS))
async def test_a_recorded_call_of_another_tool_is_no_value(replay: Replay, recording: Recording) -> None:
    """The arguments of another tool would be taken for the value."""
    error = await misfit(replay, recording, CALLS[recording.id])
    assert isinstance(error, ReplyValidationError)
    assert error.kind == "json"


@pytest.mark.parametrize("recording", ended_by(LENGTH))
async def test_a_recorded_reply_that_was_cut_is_no_value(replay: Replay, recording: Recording) -> None:
    """A reply that ended at the token limit would be asked again, with the same end."""
    assert isinstance(await misfit(replay, recording, Fruit), ReplyTruncatedError)


@pytest.mark.parametrize("recording", ended_by(FILTERS))
async def test_a_recorded_reply_that_was_filtered_is_no_value(replay: Replay, recording: Recording) -> None:
    """A reply that the provider's filter ended would look like one that does not fit."""
    assert isinstance(await misfit(replay, recording, Fruit), ReplyRefusedError)


@pytest.mark.parametrize("recording", traffic.each(r for r in COMPLETE if r.id in VALUES and has_schema(r)))
async def test_a_schema_is_sent_where_one_was_recorded(replay: Replay, recording: Recording) -> None:
    """A provider that takes schemas would get the schema as a prompt, or as a tool."""
    await parsed(replay, recording, VALUES[recording.id].into)
    sent = next(request for request in reversed(replay.server.requests) if recording.id in request.path)
    assert asks_with_schema(sent.body)


@pytest.mark.skipif(not traffic.is_reference_folder(), reason="not the folder that the types were written for")
async def test_every_recording_with_structured_output_is_tested() -> None:
    """A recorded reply would be left out silently."""
    asked = {recording.id for recording in RECORDINGS if asks_for_data(recording) and not traffic.is_error(recording)}
    assert asked == {*VALUES, *REFUSALS, *CALLS}
