"""Every recorded exchange, read by us and by the provider's own SDK: the two must have read the same."""

import json
import pickle
from typing import Any

import pytest

from anycompletion import APIError, ChatCompletion
from anycompletion.testing import RandomCuts, Recording
from conformance import traffic
from conformance.expected import (
    CLASSES_BY_TEXT,
    ERROR_CLASSES,
    EXPLAINED,
    IN_CHUNKS_ONLY_RAW,
    RECORDED,
)
from conformance.facts import Facts, differences, of_our_error, of_ours
from conformance.replay import Replay

pytestmark = [pytest.mark.traffic, pytest.mark.asyncio(loop_scope="session")]

CUTS = [
    pytest.param(None, id="whole"),
    pytest.param(RandomCuts(1, longest=1000), id="cut-coarsely"),
    pytest.param(RandomCuts(2), id="cut"),
    pytest.param(RandomCuts(3, longest=30), id="cut-finely"),
]

ANSWERS = [*traffic.replies(*traffic.APIS), *traffic.streams(*traffic.APIS)]


def unexplained(recording: Recording, ours: Facts, theirs: Facts) -> Facts:
    """Where the two disagree and no wire fact says why; or a fact that explains nothing any more."""
    found, facts = differences(ours, theirs), EXPLAINED.get(recording.id, {})
    assert all(fact.wire in recording.body for fact in facts.values()), "the wire fact is not on the wire"
    stale = dict.fromkeys(facts.keys() - found.keys(), "agrees now")
    return {path: values for path, values in found.items() if path not in facts} | stale


async def failure(replay: Replay, recording: Recording) -> APIError:
    """The error that our reading of a recording ends with."""
    with pytest.raises(APIError) as caught:
        await replay.complete(recording)
    return caught.value


@pytest.mark.parametrize("cuts", CUTS)
@pytest.mark.parametrize("recording", traffic.each(ANSWERS))
async def test_an_answer_says_what_the_sdk_reads(replay: Replay, recording: Recording, cuts: Any) -> None:
    """An answer would lose or change something of what the provider sent, or depend on how TCP cut it."""
    theirs = await replay.oracle.facts(recording)
    replay.server.segmentation = cuts
    ours = of_ours(await replay.complete(recording), recording.provider)
    assert unexplained(recording, ours, theirs) == {}


@pytest.mark.parametrize("cuts", CUTS)
@pytest.mark.parametrize("recording", traffic.each(traffic.errors(*traffic.APIS)))
async def test_an_error_says_what_the_sdk_reads(replay: Replay, recording: Recording, cuts: Any) -> None:
    """An error's status, code, type, message or request id would be lost on the way to the caller."""
    theirs = await replay.oracle.facts(recording)
    replay.server.segmentation = cuts
    ours = of_our_error(await failure(replay, recording))
    assert unexplained(recording, ours, theirs) == {}


@pytest.mark.parametrize("recording", traffic.each(traffic.errors(*traffic.APIS)))
async def test_an_error_has_its_class(replay: Replay, recording: Recording) -> None:
    """Callers who catch one kind of error would get another."""
    theirs = await replay.oracle.facts(recording)
    expected = ERROR_CLASSES[theirs["status_code"], theirs["code"]]
    if recording.id in CLASSES_BY_TEXT:
        words, expected = CLASSES_BY_TEXT[recording.id]
        assert words in recording.body
    assert type(await failure(replay, recording)).__name__ == expected


@pytest.mark.parametrize("recording", traffic.each(ANSWERS))
async def test_a_request_id_is_the_header_of_the_answer(replay: Replay, recording: Recording) -> None:
    """Nobody could name the request to the provider's support."""
    header = {"openai": "x-request-id", "anthropic": "request-id"}[recording.provider]
    reply = await replay.complete(recording)
    assert reply.info.request_id == recording.headers.get(header)


@pytest.mark.parametrize("recording", traffic.each(traffic.replies(*traffic.APIS)))
async def test_a_replys_raw_is_the_providers_json(replay: Replay, recording: Recording) -> None:
    """Members this package has no name for would be lost, at the latest in a pickle."""
    reply = await replay.complete(recording)
    copy: ChatCompletion = pickle.loads(pickle.dumps(reply))  # noqa: S301 (our own bytes)
    assert reply.raw == copy.raw == json.loads(recording.body)
    assert copy == reply


@pytest.mark.parametrize("recording", traffic.each(traffic.streams("openai")))
async def test_openai_chunks_are_the_sdks_chunks(replay: Replay, recording: Recording) -> None:
    """A chunk would say something else than OpenAI's own, though the reply made of all may be the same."""
    theirs = await replay.oracle.openai_chunks(recording)
    ours = await replay.chunks(recording)
    assert [chunk.raw for chunk in ours] == theirs
    shown = [{name: item for name, item in chunk.items() if name not in IN_CHUNKS_ONLY_RAW} for chunk in theirs]
    assert differences([chunk.to_dict() for chunk in ours], shown) == {}


@pytest.mark.parametrize("recording", traffic.each(traffic.streams(*traffic.APIS)))
async def test_the_text_of_a_stream_is_the_text_of_its_reply(replay: Replay, recording: Recording) -> None:
    """The pieces of text a caller prints would not add up to the answer."""
    stream = replay.stream(recording)
    pieces = [piece async for piece in stream.text]
    assert "".join(pieces) == (await stream.get_final_completion()).text


@pytest.mark.skipif(not traffic.FOLDER, reason=traffic.UNSET)
async def test_nothing_is_expected_in_vain(replay: Replay) -> None:
    """An expectation about traffic that is gone, or traffic that went missing, would never be noticed."""
    recordings = traffic.recorded(*traffic.APIS)
    errors = [await replay.oracle.facts(recording) for recording in traffic.errors(*traffic.APIS)]
    assert {(error["status_code"], error["code"]) for error in errors} == ERROR_CLASSES.keys()
    assert {recording.id for recording in recordings} >= {*EXPLAINED, *CLASSES_BY_TEXT}
    assert all(len(traffic.recorded(provider)) >= count for provider, count in RECORDED.items())
