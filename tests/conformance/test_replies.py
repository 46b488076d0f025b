"""Every recorded exchange, decoded by this package and by the provider's own SDK, with equal results."""

import json
import pickle
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from anycompletion import APIError, ChatCompletion, StreamInterruptedError
from anycompletion.testing import RandomCuts, Recording
from conformance import expected, openai_facts, traffic
from conformance.comparing import Facts, differences
from conformance.facts import of_our_error
from conformance.replay import Replay

pytestmark = [pytest.mark.traffic, pytest.mark.asyncio(loop_scope="session")]

CUTS = [
    pytest.param(None, id="whole"),
    pytest.param(RandomCuts(1, longest=1000), id="cut-coarsely"),
    pytest.param(RandomCuts(2), id="cut"),
    pytest.param(RandomCuts(3, longest=30), id="cut-finely"),
]

REPLIES = [*traffic.replies(*traffic.FORMATS), *traffic.streams(*traffic.FORMATS)]
ERRORS = traffic.errors(*traffic.FORMATS)


def unexplained(recording: Recording, found: dict[str, tuple[Any, Any]]) -> Facts:
    """Differences without a wire fact that explains them, and wire facts without a difference."""
    facts = expected.EXPLAINED.get(recording.id, {})
    assert all(fact.wire in recording.body for fact in facts.values()), "the wire fact is not on the wire"
    stale = dict.fromkeys(facts.keys() - found.keys(), "agrees now")
    return {path: values for path, values in found.items() if path not in facts} | stale


def disagreements(recording: Recording, ours: Facts, theirs: Facts) -> Facts:
    """Differences between two decoded replies that neither a rule nor a wire fact explains."""
    by_rule = traffic.ALL_FORMATS[traffic.format_of(recording)].by_rule
    return unexplained(recording, by_rule(differences(ours, theirs)))


async def failure(replay: Replay, recording: Recording) -> APIError:
    """The error that the client raises for a recording."""
    with pytest.raises(APIError) as caught:
        await replay.complete(recording)
    return caught.value


@pytest.mark.parametrize("cuts", CUTS)
@pytest.mark.parametrize("recording", traffic.each(REPLIES))
async def test_a_reply_equals_the_sdks(replay: Replay, recording: Recording, cuts: Any) -> None:
    """A reply would lose or change a value, or depend on where TCP cuts it."""
    theirs = await replay.oracle.facts(recording)
    replay.server.segmentation = cuts
    of_ours = traffic.ALL_FORMATS[traffic.format_of(recording)].of_ours
    ours = of_ours(await replay.complete(recording))
    assert disagreements(recording, ours, theirs) == {}


@pytest.mark.parametrize("cuts", CUTS)
@pytest.mark.parametrize("recording", traffic.each(ERRORS))
async def test_an_error_equals_the_sdks(replay: Replay, recording: Recording, cuts: Any) -> None:
    """An error's status, code, type, message or request id would be lost on the way to the caller."""
    theirs = await replay.oracle.facts(recording)
    replay.server.segmentation = cuts
    ours = of_our_error(await failure(replay, recording))
    found = {
        path: pair for path, pair in differences(ours, theirs).items() if not is_other_error_form(recording, path, pair)
    }
    assert unexplained(recording, found) == {}


def is_other_error_form(recording: Recording, path: str, pair: tuple[Any, Any]) -> bool:
    """Whether the SDK misses a value because the error does not have OpenAI's form."""
    ours, theirs = pair
    if path == "message":
        return theirs is None or (ours or "").startswith(f"{theirs} (")
    if path == "request_id":
        # Some providers repeat the id in the body, where the SDKs do not look.
        return theirs is None and ours is not None and ours.encode() in recording.body
    return theirs is None and ours is not None and path in ("code", "type", "param")


@pytest.mark.parametrize("recording", traffic.each(ERRORS))
async def test_an_errors_message_is_the_providers(replay: Replay, recording: Recording) -> None:
    """An error would not have the provider's message, or words that the provider did not send."""
    error = await failure(replay, recording)
    message = error.message.removeprefix(f"HTTP {recording.status}").removeprefix(": ")
    body = quoted(recording.body.decode("utf-8", "replace"))
    assert [part for part in parts_of(message, list(texts_of(recording))) if quoted(part) not in body] == []


def texts_of(recording: Recording) -> Iterator[str]:
    """The strings of a body, longest first."""
    texts = [text for value in traffic.json_objects(recording) for text in openai_facts.texts_in(value)]
    yield from sorted(texts, key=len, reverse=True)


def parts_of(message: str, texts: list[str]) -> list[str]:
    """The provider's texts in a message; the words of a gateway's upstream or of a filter are in brackets."""
    if message in texts:
        return []
    head, _, detail = message.partition(" (")
    filtered = detail.startswith("filtered: ")
    words = [] if filtered else re.split(r": |; |\)$", detail)
    # Errors of a request's validation are listed: `body.n: Field required; body.tools: Field required`.
    listed = re.split(r"; |: ", head) if detail == "" and head not in texts else [head]
    return [word for word in (*listed, *words) if word and not re.fullmatch(r"[\w.\[\]]+", word)]


def quoted(text: str) -> str:
    """A text without white space and escapes; JSON in a text has its quotes escaped, once or twice."""
    return "".join(text.replace("\\n", "").replace("\\", "").split())


@pytest.mark.parametrize("recording", traffic.each(ERRORS))
async def test_an_error_has_its_class(replay: Replay, recording: Recording) -> None:
    """A program that catches one class of errors would get another one."""
    theirs = await replay.oracle.facts(recording)
    assert type(await failure(replay, recording)).__name__ == class_of(recording, theirs)


def class_of(recording: Recording, theirs: Facts) -> str:
    """The class for an error by the tables: by prose where there is no code, by code, then by status."""
    for text, name in expected.CLASSES_BY_TEXT.get(recording.provider, {}).items():
        if text in recording.body:
            return name
    objects = [*traffic.json_objects(recording), traffic.error_in(recording) or {}]
    error = next((data["error"] for data in objects if isinstance(data.get("error"), dict)), {})
    metadata = error.get("metadata")
    canonical = metadata.get("error_type") if isinstance(metadata, dict) else None
    named = expected.CLASSES_BY_ERROR_TYPE.get(canonical)
    codes = (theirs.get("code"), theirs.get("type"))
    for code in codes:
        named = named or expected.CLASSES_BY_CODE.get(code)
    if named is not None:
        return named
    status = theirs["status_code"]
    if status in (400, 413, 422) and any(text in recording.body for text in expected.CONTEXT_WINDOW_TEXTS):
        return "ContextWindowExceededError"
    if status >= 400:
        other = "InternalServerError" if status >= 500 else "BadRequestError"
        return expected.CLASSES_BY_STATUS.get(status, other)
    return next((name for code in codes if (name := expected.CLASSES_WITHOUT_STATUS.get(code))), "InternalServerError")


@pytest.mark.parametrize("recording", traffic.each(traffic.cut_streams(*traffic.FORMATS)))
async def test_a_cut_recording_is_interrupted(replay: Replay, recording: Recording) -> None:
    """A partial reply would look complete."""
    assert type(await failure(replay, recording)) is StreamInterruptedError


@pytest.mark.parametrize("recording", traffic.each(REPLIES))
async def test_a_request_id_is_the_responses_header(replay: Replay, recording: Recording) -> None:
    """A reply would lack the request id that the provider's support asks for."""
    header = expected.REQUEST_ID_HEADERS.get(traffic.row_of(recording).name, "x-request-id")
    reply = await replay.complete(recording)
    assert reply.info.request_id == recording.headers.get(header)


@pytest.mark.parametrize("recording", traffic.each(traffic.replies(*traffic.FORMATS)))
async def test_a_replys_raw_is_the_providers_json(replay: Replay, recording: Recording) -> None:
    """Unknown members would be lost, or would be lost in a pickle."""
    reply = await replay.complete(recording)
    copy: ChatCompletion = pickle.loads(pickle.dumps(reply))  # noqa: S301 (bytes of this process)
    assert reply.raw == copy.raw == json.loads(recording.body)
    assert copy == reply


@pytest.mark.parametrize("recording", traffic.each(traffic.streams(traffic.OPENAI)))
async def test_openai_chunks_equal_the_sdks(replay: Replay, recording: Recording) -> None:
    """A chunk would differ from the server's, even if the assembled reply is the same."""
    theirs = openai_facts.normalized_chunks(await replay.oracle.openai_chunks(recording))
    ours = [chunk.to_dict() for chunk in await replay.chunks(recording)]
    if len(ours) < len(theirs):
        # Usage that was not requested, because it cannot be, has no chunk of its own.
        theirs = [chunk for chunk in theirs if chunk["choices"] or chunk["usage"] is None]
    assert len(ours) == len(theirs)
    found = openai_facts.by_rule(differences(ours, theirs))
    assert unexplained(recording, found) == {}


@pytest.mark.parametrize(
    "recording", traffic.each(r for r in traffic.streams(traffic.OPENAI) if r.provider == "openai")
)
async def test_the_oracle_assembles_chunks_as_the_sdk_does(replay: Replay, recording: Recording) -> None:
    """The streams of compatible servers, which the SDK cannot assemble, would be compared with wrong replies."""
    ours = openai_facts.assembled(await replay.oracle.openai_chunks(recording))
    theirs = await replay.oracle.openai_accumulated(recording)
    found = openai_facts.by_rule(differences(ours, theirs))
    assert found == {}


@pytest.mark.parametrize("recording", traffic.each(traffic.streams(*traffic.FORMATS)))
async def test_the_text_of_a_stream_is_the_text_of_its_reply(replay: Replay, recording: Recording) -> None:
    """The pieces of text would not make the reply's text."""
    stream = replay.stream(recording)
    pieces = [piece async for piece in stream.text]
    assert "".join(pieces) == (await stream.get_final_completion()).text


@pytest.mark.skipif(not traffic.is_reference_folder(), reason="not the folder that the expectations come from")
async def test_all_expectations_have_recordings() -> None:
    """Expectations for missing recordings, or missing recordings, would not be noticed."""
    recordings = traffic.recorded(*traffic.RECORDINGS)
    assert {recording.id for recording in recordings} >= {*expected.EXPLAINED}
    found = {name: len(traffic.RECORDINGS[name]) for name in traffic.ALL_FORMATS}
    assert found == {name: format_.recorded for name, format_ in traffic.ALL_FORMATS.items()}


def has_own_row(recording: Recording) -> bool:
    """Whether the row of a recording is one of its provider, which may have several."""
    name = expected.ROW_NAMES.get(recording.provider, recording.provider)
    return f"{traffic.row_of(recording).name}-".startswith(f"{name}-")


@pytest.mark.skipif(not traffic.is_reference_folder(), reason="not the folder that the expectations come from")
async def test_recorded_providers_have_rows() -> None:
    """A recorded provider could not be used by its name."""
    others = {
        (recording.provider, traffic.format_of(recording))
        for recording in traffic.recorded(*traffic.RECORDINGS)
        if not has_own_row(recording)
    }
    assert others == expected.OTHER_FORMATS


async def test_every_recording_of_a_format_is_tested() -> None:
    """A recording that is neither a reply, a stream nor an error would be left out silently."""
    own_tests = traffic.recorded(*(traffic.ALL_FORMATS.keys() - set(traffic.FORMATS)))
    kinds = [*REPLIES, *ERRORS, *traffic.cut_streams(*traffic.FORMATS), *own_tests]
    tested = Counter(recording.id for recording in kinds)
    assert tested == Counter(recording.id for recording in traffic.recorded(*traffic.RECORDINGS))
