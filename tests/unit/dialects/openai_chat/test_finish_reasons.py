"""Finish reasons of compatible servers become OpenAI's, in whole replies as in streams."""

from __future__ import annotations

import json

import pytest

from anycompletion.codecs.sse import Event
from anycompletion.dialects.base import Target
from anycompletion.dialects.openai_chat.dialect import DIALECT
from anycompletion.dialects.openai_chat.finish_reasons import FINISH_REASONS, OPENAI_REASONS
from anycompletion.dialects.openai_chat.quirks import Quirks
from anycompletion.errors import APIResponseError, InternalServerError, StreamInterruptedError
from anycompletion.http import Headers, HttpResponse
from anycompletion.records import ChatCompletion, ChatRequest, UserMessage

REQUEST = ChatRequest("m", [UserMessage("Hi")])


def reasons(
    reason: str | None, native: str | None = None, quirks: Quirks | None = None
) -> list[tuple[str | None, str | None]]:
    """Finish reason and native one of a whole reply, and of a chunk."""
    target = Target(provider="acme", model="m", base_url="https://x", quirks=quirks or Quirks())
    choice = {"index": 0, "finish_reason": reason, **({} if native is None else {"native_finish_reason": native})}
    whole = {"id": "c", "choices": [choice | {"message": {"role": "assistant", "content": "x"}}]}
    decoded = DIALECT.decode(HttpResponse(200, Headers(), json.dumps(whole).encode()), REQUEST, target)
    assert isinstance(decoded, ChatCompletion)
    event = Event(json.dumps({"id": "c", "choices": [choice | {"delta": {"content": "x"}}]}).encode())
    (chunk,) = DIALECT.decoder(REQUEST, target).feed(event)
    return [(each.finish_reason, each.native_finish_reason) for each in (decoded.choices[0], chunk.choices[0])]


REASONS: list[tuple[str | None, tuple[str | None, str | None]]] = [
    *[(reason, (reason, None)) for reason in sorted(OPENAI_REASONS)],
    *[(native, (reason, native)) for native, reason in FINISH_REASONS.items()],
    ("", (None, None)),
    ("null", (None, None)),
    ("None", (None, None)),
    (None, (None, None)),
    ("content_filter: PROHIBITED_CONTENT", ("content_filter", "content_filter: PROHIBITED_CONTENT")),
    ("of_tomorrow", ("of_tomorrow", None)),
]


@pytest.mark.parametrize(("reason", "expected"), REASONS)
def test_reasons_are_openais(reason: str | None, expected: tuple[str | None, str | None]):
    """A program that knows OpenAI's reasons would not recognize the end of another server's reply."""
    assert reasons(reason) == [expected, expected]


def test_a_native_reason_of_the_server_is_kept():
    """The upstream's reason that a gateway passes on would be replaced."""
    assert reasons("eos", "</s>") == [("stop", "</s>")] * 2


def test_a_row_may_have_reasons_of_its_own():
    """A server with another word could not be described by a row."""
    assert reasons("done", quirks=Quirks(finish_reasons={"done": "stop"})) == [("stop", "done")] * 2


@pytest.mark.parametrize("word", ["", "null", "none", "None"])
def test_a_word_for_no_reason_is_no_end(word: str):
    """A stream that is cut would look complete where the server sends such a word with every chunk."""
    decoder = DIALECT.decoder(REQUEST, Target(provider="acme", model="m", base_url="https://x", stream=True))
    choice = {"index": 0, "delta": {"content": "x"}, "finish_reason": word}
    decoder.feed(Event(json.dumps({"id": "c", "choices": [choice]}).encode()))
    with pytest.raises(StreamInterruptedError):
        decoder.finish()
    with pytest.raises(APIResponseError):  # the same chunk in place of a whole reply
        DIALECT.decode(
            HttpResponse(200, Headers(), json.dumps({"id": "c", "choices": [choice]}).encode()),
            REQUEST,
            Target(provider="acme", model="m", base_url="https://x"),
        )


@pytest.mark.parametrize("reason", ["function_call_filter: MALFORMED_FUNCTION_CALL", "insufficient_system_resource"])
def test_failed_generations_are_errors(reason: str):
    """A generation that failed at the provider would be taken for a reply."""
    with pytest.raises(InternalServerError):
        reasons(reason)
