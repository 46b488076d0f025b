"""Decoding of Replicate's streams: events → OpenAI's chunks."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anycompletion import errors
from anycompletion.codecs.sse import Event, SSEParser
from anycompletion.dialects.base import Continuation, Target
from anycompletion.dialects.replicate_predictions.dialect import DIALECT
from anycompletion.http import Headers, HttpResponse
from anycompletion.records import ChatRequest, UserMessage
from anycompletion.records.chunks import ChatCompletionChunk, ChunkChoice, Delta
from anycompletion.streaming.accumulator import Accumulator

CHAT = ChatRequest("replicate/meta/llama", [UserMessage("Hi")])
BASE = "https://api.replicate.com"
GET = f"{BASE}/v1/predictions/p1"
TARGET = Target(provider="replicate", model="meta/llama", base_url=BASE, stream=True)
CREATED = {
    "id": "p1",
    "model": "meta/llama-3",
    "status": "starting",
    "created_at": "2025-11-04T00:51:20.014Z",
    "urls": {"get": GET, "cancel": f"{GET}/cancel", "stream": "https://stream.replicate.net/s1"},
}
DONE = Event(b"{}", "done")


def answer(data: Any) -> HttpResponse:
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return HttpResponse(201, Headers(), body)


def output_events(*pieces: str) -> list[Event]:
    return [Event(piece.encode(), "output") for piece in pieces]


def run(*events: Event) -> list[ChatCompletionChunk]:
    decoder = DIALECT.decoder(CHAT, TARGET)
    decoder.start(answer(CREATED))
    return [chunk for event in events for chunk in decoder.feed(event)]


def written(text: str, end: str = "\n") -> bytes:
    """The bytes of an output event."""
    data = "".join(f"data: {line}{end}" for line in text.split("\n"))
    return f"event: output{end}id: 1:0{end}{data}{end}".encode()


def test_a_complete_stream():
    """A plain stream would not have OpenAI's shape."""
    chunks = run(*output_events("Hel", "lo"), DONE)
    assert chunks == [
        ChatCompletionChunk("p1", [ChunkChoice(0, Delta("assistant", "Hel"))], 1762217480, "meta/llama-3"),
        ChatCompletionChunk("p1", [ChunkChoice(0, Delta(None, "lo"))], 1762217480, "meta/llama-3"),
    ]
    assert [chunk.raw for chunk in chunks] == ["Hel", "lo"]


def test_the_end_requests_the_final_state():
    """Usage would be unknown, and a prediction that failed at its end would look complete."""
    decoder = DIALECT.decoder(CHAT, TARGET)
    decoder.start(answer(CREATED))
    assert not decoder.done
    assert decoder.feed(DONE) == ()
    assert decoder.done
    found = decoder.finish()
    assert isinstance(found, Continuation)
    assert (found.request.method, found.request.url, found.request.headers) == ("GET", GET, {})
    assert found.request.authenticated
    assert found.after == 0
    assert found.cancel is not None
    assert found.cancel.url == f"{GET}/cancel"


def test_the_end_of_a_stream_without_a_prediction():
    """A stream that is decoded without its prediction would have no finish reason."""
    decoder = DIALECT.decoder(CHAT, TARGET)
    accumulator = Accumulator()
    for event in (*output_events("Hi"), DONE):
        for chunk in decoder.feed(event):
            accumulator.add(chunk)
    last = decoder.finish()
    assert not isinstance(last, Continuation)
    for chunk in last:
        accumulator.add(chunk)
    choice = accumulator.completion().choices[0]
    assert (choice.message.content, choice.finish_reason, choice.native_finish_reason) == ("Hi", "stop", "succeeded")
    assert accumulator.completion().model == "meta/llama"


def test_a_prediction_at_another_host():
    """A request, or the key, would be sent to any host that the prediction names."""
    decoder = DIALECT.decoder(CHAT, TARGET)
    decoder.start(answer({**CREATED, "urls": {"get": "https://evil.example/p1"}}))
    decoder.feed(DONE)
    found = decoder.finish()
    assert isinstance(found, Continuation)
    assert found.request.url == GET


@pytest.mark.parametrize("data", [b"<html>", b"[]", {**CREATED, "urls": {"get": "file:///x"}}, {"status": 1}])
def test_a_start_that_cannot_be_read(data: Any):
    """An undocumented exception would be raised before the first event."""
    with pytest.raises(errors.APIResponseError, match="cannot be read"):
        DIALECT.decoder(CHAT, TARGET).start(answer(data))


@pytest.mark.parametrize("started", [True, False])
@pytest.mark.parametrize("events", [[], output_events("a"), [Event(b"x", "logs")], [Event(b"{}", "message")]])
def test_a_stream_without_its_end(events: list[Event], started: bool):
    """A partial reply would look complete."""
    decoder = DIALECT.decoder(CHAT, TARGET)
    if started:
        decoder.start(answer(CREATED))
    for event in events:
        decoder.feed(event)
    with pytest.raises(errors.StreamInterruptedError):
        decoder.finish()


def test_events_without_output():
    """Logs and unknown events would be added to the reply, or an empty piece would be the first chunk."""
    events = [
        Event(b"loading", "logs"),
        Event(b"x", ""),
        Event(b"x", "of_tomorrow"),
        Event(b"", "output"),
        *output_events("a"),
    ]
    assert [chunk.choices[0].delta for chunk in run(*events)] == [Delta("assistant", "a")]


def test_events_after_the_end_are_ignored():
    """Events after the end would be added to a complete reply."""
    assert run(DONE, *output_events("more"), Event(b"{}", "error"), Event(b'{"reason": "error"}', "done")) == []


@pytest.mark.parametrize("data", [b"{}", b"", b"null", b"[]", b"bye", b'{"reason": null}', b'{"id": "1"}'])
def test_ends(data: bytes):
    """An end with more or fewer members than usual would make a complete reply raise."""
    decoder = DIALECT.decoder(CHAT, TARGET)
    decoder.feed(Event(data, "done"))
    assert decoder.done


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("canceled", "the prediction was canceled while it ran"),
        ("error", "the prediction failed"),
        ("tired", "the prediction ended early: tired"),
        (7, "the prediction ended early: 7"),
    ],
)
def test_ends_with_a_reason(reason: Any, message: str):
    """A partial reply would look complete."""
    decoder = DIALECT.decoder(CHAT, TARGET)
    decoder.start(answer(CREATED))
    decoder.feed(output_events("half")[0])
    with pytest.raises(errors.InternalServerError) as caught:
        decoder.feed(Event(json.dumps({"reason": reason}).encode(), "done"))
    assert (caught.value.message, caught.value.code) == (message, str(reason))
    assert not caught.value.retryable
    assert not decoder.done


ERRORS: list[tuple[bytes, type[errors.APIStatusError], str]] = [
    (b'{"detail": "CUDA out of memory"}', errors.InternalServerError, "CUDA out of memory"),
    (b'{"detail": "maximum context length is 8"}', errors.ContextWindowExceededError, "maximum context length is 8"),
    (b'{"detail": "late (E6716)"}', errors.ServiceUnavailableError, "late (E6716)"),
    (b'{"detail": ["x"]}', errors.InternalServerError, "x"),
    (b'{"code": 1}', errors.InternalServerError, '{"code":1}'),
    (b'{"error": {"message": "Busy.", "code": 503}}', errors.ServiceUnavailableError, "Busy."),
    (b'["Oh.", "No."]', errors.InternalServerError, "Oh.; No."),
    (b'"Oh."', errors.InternalServerError, "Oh."),
    (b"Oh no.", errors.InternalServerError, "Oh no."),
    (b"", errors.InternalServerError, "the stream failed; Replicate does not say why"),
    (b"\xff", errors.InternalServerError, "\ufffd"),
]


@pytest.mark.parametrize(("data", "cls", "message"), ERRORS)
def test_errors_inside_a_stream(data: bytes, cls: type[errors.APIStatusError], message: str):
    """An error after a good status would be ignored, or raised as the wrong class."""
    decoder = DIALECT.decoder(CHAT, TARGET)
    with pytest.raises(errors.APIStatusError) as caught:
        decoder.feed(Event(data, "error"))
    assert type(caught.value) is cls
    assert caught.value.message == message


@pytest.mark.parametrize("name", ["", "message", "done"])
def test_errors_in_other_events(name: str):
    """The words of a proxy's error would be lost, or a stream that failed would look complete."""
    decoder = DIALECT.decoder(CHAT, TARGET)
    decoder.feed(output_events("half")[0])
    with pytest.raises(errors.InternalServerError, match="Oh"):
        decoder.feed(Event(b'{"error": {"message": "Oh."}}', name))


@pytest.mark.parametrize(("started", "pieces", "ends"), [(True, [], True), (False, ["a"], True), (False, [], False)])
def test_other_servers_end_marker(started: bool, pieces: list[str], ends: bool):
    """A stream that ends with another server's marker would raise, or an empty one would look complete."""
    decoder = DIALECT.decoder(CHAT, TARGET)
    if started:
        decoder.start(answer(CREATED))
    for event in (*output_events(*pieces), Event(b"[DONE]")):
        decoder.feed(event)
    assert decoder.done is ends
    if started:
        assert isinstance(decoder.finish(), Continuation)
    elif not ends:
        with pytest.raises(errors.StreamInterruptedError):
            decoder.finish()


# --- bytes ------------------------------------------------------------------------------------------------------------

SIGNIFICANT = [
    "\n\n",
    "Here is",
    " a ha",
    "iku",
    "  two spaces",
    "\n",
    " ",
    ":",
    ": x",
    "a\n\n b \n",
    "é\u2028ü",
    "data: x",
]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_spaces_and_newlines_one_byte_at_a_time(end: str):
    """Spaces, paragraphs or characters would be lost where the network cuts the bytes."""
    body = b"".join(written(piece, end) for piece in SIGNIFICANT) + f"event: done{end}data: {{}}{end}{end}".encode()
    framing, decoder = SSEParser(), DIALECT.decoder(CHAT, TARGET)
    chunks = [
        chunk for i in range(len(body)) for event in framing.feed(body[i : i + 1]) for chunk in decoder.feed(event)
    ]
    assert decoder.done
    assert [chunk.choices[0].delta.content for chunk in chunks] == SIGNIFICANT
    assert [chunk.raw for chunk in chunks] == SIGNIFICANT


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), min_size=1, max_size=8)


@given(st.lists(TEXTS, max_size=6), st.integers(1, 9))
def test_a_stream_is_the_reply_in_pieces(pieces: list[str], step: int):
    """The same reply would have other values when it is streamed."""
    body = b": hi\n\n" + b"".join(map(written, pieces)) + b"event: done\ndata: {}\n\n"
    framing, decoder = SSEParser(), DIALECT.decoder(CHAT, TARGET)
    parts = [body[i : i + step] for i in range(0, len(body), step)]
    events = [event for part in parts for event in framing.feed(part)]
    found = "".join(chunk.choices[0].delta.content or "" for event in events for chunk in decoder.feed(event))
    assert decoder.done
    assert found == "".join(pieces)
    whole = DIALECT.decode(answer({**CREATED, "status": "succeeded", "output": pieces}), CHAT, TARGET)
    assert not isinstance(whole, Continuation)
    assert whole.text == found


@given(st.sampled_from(["output", "done", "error", "logs", ""]), st.binary(max_size=12))
def test_only_documented_exceptions_are_raised(name: str, data: bytes):
    """Some event would raise an undocumented exception."""
    decoder = DIALECT.decoder(CHAT, TARGET)
    try:
        decoder.feed(Event(data, name))
    except errors.APIStatusError:
        assert name in ("error", "done")
