"""Every recorded exchange, read by us and by the provider's own SDK: the two must have read the same."""

import json
import pickle
from typing import Any

import pytest

from anycompletion import APIError, ChatCompletion, StreamInterruptedError
from anycompletion.testing import RandomCuts, Recording
from conformance import expected, openai_facts, traffic
from conformance.facts import Facts, differences, of_our_error, of_ours
from conformance.replay import Replay

pytestmark = [pytest.mark.traffic, pytest.mark.asyncio(loop_scope="session")]

CUTS = [
    pytest.param(None, id="whole"),
    pytest.param(RandomCuts(1, longest=1000), id="cut-coarsely"),
    pytest.param(RandomCuts(2), id="cut"),
    pytest.param(RandomCuts(3, longest=30), id="cut-finely"),
]

ANSWERS = [*traffic.replies(*traffic.FORMATS), *traffic.streams(*traffic.FORMATS)]
ERRORS = traffic.errors(*traffic.FORMATS)


def unexplained(recording: Recording, found: dict[str, tuple[Any, Any]]) -> Facts:
    """Where the two disagree and no wire fact says why; or a fact that explains nothing any more."""
    facts = expected.EXPLAINED.get(recording.id, {})
    assert all(fact.wire in recording.body for fact in facts.values()), "the wire fact is not on the wire"
    stale = dict.fromkeys(facts.keys() - found.keys(), "agrees now")
    return {path: values for path, values in found.items() if path not in facts} | stale


def disagreements(recording: Recording, ours: Facts, theirs: Facts) -> Facts:
    """Where two readings of an answer disagree, and neither a rule nor a wire fact says why."""
    found = differences(ours, theirs)
    if traffic.format_of(recording) == traffic.OPENAI:
        found = openai_facts.by_rule(found, from_chunks=traffic.is_stream(recording))
    return unexplained(recording, found)


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
    ours = of_ours(await replay.complete(recording), traffic.format_of(recording))
    assert disagreements(recording, ours, theirs) == {}


@pytest.mark.parametrize("cuts", CUTS)
@pytest.mark.parametrize("recording", traffic.each(ERRORS))
async def test_an_error_says_what_the_sdk_reads(replay: Replay, recording: Recording, cuts: Any) -> None:
    """An error's status, code, type, message or request id would be lost on the way to the caller."""
    theirs = await replay.oracle.facts(recording)
    replay.server.segmentation = cuts
    ours = of_our_error(await failure(replay, recording))
    found = {path: pair for path, pair in differences(ours, theirs).items() if not is_said_otherwise(path, pair)}
    assert unexplained(recording, found) == {}


def is_said_otherwise(path: str, pair: tuple[Any, Any]) -> bool:
    """The SDK knows OpenAI's form of an error only; what a server says in another one it does not see."""
    ours, theirs = pair
    if path == "message":
        return theirs is None or (ours or "").startswith(f"{theirs} (filtered: ")
    return theirs is None and ours is not None and path in ("code", "type")


@pytest.mark.parametrize("recording", traffic.each(ERRORS))
async def test_an_errors_message_is_the_providers(replay: Replay, recording: Recording) -> None:
    """Callers would read something else than what the provider wrote to them."""
    error = await failure(replay, recording)
    words = error.message.partition(" (filtered: ")[0].removeprefix(f"HTTP {recording.status}").removeprefix(": ")
    told = [text for value in traffic.said(recording) for text in openai_facts.texts_in(value)]
    assert words in told or quoted(words) in quoted(recording.body.decode("utf-8", "replace"))


def quoted(text: str) -> str:
    """Text without the white space of JSON: what is no text, and what is no JSON, is quoted as it came."""
    return "".join(text.split())


@pytest.mark.parametrize("recording", traffic.each(ERRORS))
async def test_an_error_has_its_class(replay: Replay, recording: Recording) -> None:
    """Callers who catch one kind of error would get another."""
    theirs = await replay.oracle.facts(recording)
    assert type(await failure(replay, recording)).__name__ == class_of(recording, theirs)


def class_of(recording: Recording, told: Facts) -> str:
    """The class for an error, from the tables: text where there is nothing else, code, then status."""
    for words, name in expected.CLASSES_BY_TEXT.get(recording.provider, {}).items():
        if words in recording.body:
            return name
    error = next((data["error"] for data in traffic.said(recording) if isinstance(data.get("error"), dict)), {})
    metadata = error.get("metadata")
    canonical = metadata.get("error_type") if isinstance(metadata, dict) else None
    named = expected.CLASSES_BY_ERROR_TYPE.get(canonical)
    words = (told.get("code"), told.get("type"))
    for word in words:
        named = named or expected.CLASSES_BY_CODE.get(word)
    if named is not None:
        return named
    status = told["status_code"]
    if status >= 400:
        other = "InternalServerError" if status >= 500 else "BadRequestError"
        return expected.CLASSES_BY_STATUS.get(status, other)
    return next((name for word in words if (name := expected.CLASSES_WITHOUT_STATUS.get(word))), "InternalServerError")


@pytest.mark.parametrize("recording", traffic.each(traffic.cut_streams(*traffic.FORMATS)))
async def test_a_recording_that_ends_too_early_is_interrupted(replay: Replay, recording: Recording) -> None:
    """Half an answer would be taken for a whole one."""
    assert type(await failure(replay, recording)) is StreamInterruptedError


@pytest.mark.parametrize("recording", traffic.each(ANSWERS))
async def test_a_request_id_is_the_header_of_the_answer(replay: Replay, recording: Recording) -> None:
    """Nobody could name the request to the provider's support."""
    header = expected.REQUEST_ID_HEADERS.get(recording.provider, "x-request-id")
    reply = await replay.complete(recording)
    assert reply.info.request_id == recording.headers.get(header)


@pytest.mark.parametrize("recording", traffic.each(traffic.replies(*traffic.FORMATS)))
async def test_a_replys_raw_is_the_providers_json(replay: Replay, recording: Recording) -> None:
    """Members this package has no name for would be lost, at the latest in a pickle."""
    reply = await replay.complete(recording)
    copy: ChatCompletion = pickle.loads(pickle.dumps(reply))  # noqa: S301 (our own bytes)
    assert reply.raw == copy.raw == json.loads(recording.body)
    assert copy == reply


@pytest.mark.parametrize("recording", traffic.each(traffic.streams(traffic.OPENAI)))
async def test_openai_chunks_are_the_sdks_chunks(replay: Replay, recording: Recording) -> None:
    """A chunk would say something else than the server's own, though the reply made of all may be the same."""
    theirs = openai_facts.chunks_said_by(await replay.oracle.openai_chunks(recording))
    ours = [chunk.to_dict() for chunk in await replay.chunks(recording)]
    if len(ours) < len(theirs):
        # Usage that nobody asked for, where it cannot be asked for, is no chunk of its own.
        theirs = [chunk for chunk in theirs if chunk["choices"] or chunk["usage"] is None]
    assert len(ours) == len(theirs)
    found = openai_facts.by_rule(differences(ours, theirs), from_chunks=True)
    assert unexplained(recording, found) == {}


@pytest.mark.parametrize(
    "recording", traffic.each(r for r in traffic.streams(traffic.OPENAI) if r.provider == "openai")
)
async def test_the_oracle_puts_chunks_together_as_the_sdk_does(replay: Replay, recording: Recording) -> None:
    """The streams of compatible servers, which the SDK cannot put together, would be held against a mistake."""
    ours = openai_facts.folded(await replay.oracle.openai_chunks(recording))
    theirs = await replay.oracle.openai_accumulated(recording)
    found = openai_facts.by_rule(differences(ours, theirs), from_chunks=True)
    assert [path for path in found if openai_facts.has_name(path)] == []


@pytest.mark.parametrize("recording", traffic.each(traffic.streams(*traffic.FORMATS)))
async def test_the_text_of_a_stream_is_the_text_of_its_reply(replay: Replay, recording: Recording) -> None:
    """The pieces of text a caller prints would not add up to the answer."""
    stream = replay.stream(recording)
    pieces = [piece async for piece in stream.text]
    assert "".join(pieces) == (await stream.get_final_completion()).text


@pytest.mark.skipif(not traffic.is_known(), reason="not the folder that the expectations were taken from")
async def test_nothing_is_expected_in_vain() -> None:
    """An expectation about traffic that is gone, or traffic that went missing, would never be noticed."""
    recordings = traffic.recorded(*traffic.RECORDINGS)
    assert {recording.id for recording in recordings} >= {*expected.EXPLAINED}
    counts = {name: sum(recording.provider == name for recording in recordings) for name in expected.RECORDED}
    assert counts == expected.RECORDED
