"""Every recorded request about a response that runs in the background, compared with what the client would send.

OpenAI's SDK is no oracle: it returns the response as it is, and its caller polls.
"""

import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from anycompletion import PROVIDERS, APIResponseError, ChatCompletion
from anycompletion.dialects.base import Continuation, Target
from anycompletion.dialects.openai_responses.dialect import DIALECT
from anycompletion.http import Headers, HttpResponse
from anycompletion.records import ChatRequest, UserMessage
from anycompletion.testing import Recording
from conformance import traffic

pytestmark = pytest.mark.traffic

BACKGROUND = traffic.recorded("openai_responses_background")
RUNNING = ("queued", "in_progress")


def response_in(recording: Recording) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(recording.body)
    return found


def decode(recording: Recording) -> ChatCompletion | Continuation:
    target = Target(provider="openai", model="any", base_url=PROVIDERS["openai"].base_url)
    response = HttpResponse(recording.status, Headers.of(recording.headers), recording.body)
    return DIALECT.decode(response, ChatRequest("any", [UserMessage("Hello")]), target)


def path_of(recording: Recording) -> str:
    """Path of the recorded request."""
    assert recording.request is not None
    return urlsplit(recording.request.url).path


def is_running(recording: Recording) -> bool:
    """Whether the recorded body is a response that has not ended."""
    return response_in(recording).get("status") in RUNNING


@pytest.mark.parametrize("recording", traffic.each(filter(is_running, BACKGROUND)))
def test_a_running_response_is_polled_and_cancelled_as_it_was_recorded(recording: Recording) -> None:
    """A poll would be answered with 404, and a cancelled call would go on."""
    found = decode(recording)
    assert isinstance(found, Continuation)
    state = f"/v1/responses/{response_in(recording)['id']}"
    assert (found.request.method, urlsplit(found.request.url).path) == ("GET", state)
    assert found.cancel is not None
    assert (found.cancel.method, urlsplit(found.cancel.url).path) == ("POST", f"{state}/cancel")
    assert 0.5 <= found.after <= 2
    for other in BACKGROUND:
        if other.api == "responses.cancel" and response_in(other)["id"] == response_in(recording)["id"]:
            assert path_of(other) == urlsplit(found.cancel.url).path
        if other is recording and other.api == "responses.get":
            assert path_of(other) == state


@pytest.mark.parametrize("recording", traffic.each(r for r in BACKGROUND if r.api == "responses.cancel"))
def test_a_cancelled_response_is_an_error(recording: Recording) -> None:
    """A response that ended without an answer would be an empty answer."""
    assert response_in(recording)["status"] == "cancelled"
    with pytest.raises(APIResponseError, match="the response was cancelled"):
        decode(recording)


@pytest.mark.parametrize("recording", traffic.each(r for r in BACKGROUND if r.api == "responses.delete"))
def test_a_deleted_response_is_no_reply(recording: Recording) -> None:
    """The body about a deleted response, which has its id, would be an empty answer."""
    assert response_in(recording)["deleted"] is True
    with pytest.raises(APIResponseError):
        decode(recording)


@pytest.mark.parametrize("recording", traffic.each(r for r in BACKGROUND if r.api.endswith(("get", "responses"))))
def test_a_response_that_ended_is_read(recording: Recording) -> None:
    """A response would be polled although it has ended."""
    assert isinstance(decode(recording), Continuation if is_running(recording) else ChatCompletion)
