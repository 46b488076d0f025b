"""Recorded traffic: the dialect reads and sends everything in the folder that ANYCOMPLETION_TRAFFIC names."""

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from anycompletion.dialects.base import Continuation, Prerequisite, Target
from anycompletion.dialects.replicate_predictions.dialect import DIALECT
from anycompletion.errors import APIError, APIStatusError, AuthenticationError, RateLimitError
from anycompletion.http import Headers, HttpRequest, HttpResponse
from anycompletion.records import ChatCompletion, ChatRequest, UserMessage

FOLDER = os.environ.get("ANYCOMPLETION_TRAFFIC")
RECORDINGS = sorted(Path(FOLDER, "replicate").glob("*.json")) if FOLDER else []
CHAT = ChatRequest("replicate/any", [UserMessage("Hi")])
API = "https://api.replicate.com"

pytestmark = [pytest.mark.traffic, pytest.mark.skipif(not RECORDINGS, reason="no recorded traffic here")]
each = pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)


def target(model: str = "any/model", *, stream: bool = False) -> Target:
    return Target(provider="replicate", model=model, base_url=API, stream=stream)


def response_of(recording: dict[str, Any]) -> HttpResponse:
    found = recording["response"]
    headers = Headers.of({name: str(value) for name, value in (found["headers"] or {}).items()})
    return HttpResponse(found["status"], headers, found["body_text"].encode())


def read(recording: dict[str, Any], *, stream: bool = False) -> ChatCompletion | Continuation | APIError:
    response = response_of(recording)
    if response.status >= 400:
        return DIALECT.error(response)
    try:
        return DIALECT.decode(response, CHAT, target(stream=stream))
    except APIError as error:
        return error


@each
def test_recordings_are_decoded(path: Path):
    """A real prediction could not be decoded, or would be decoded into other values."""
    recording = json.loads(path.read_text())
    data = json.loads(recording["response"]["body_text"])
    found = read(recording)
    match data["status"]:
        case "starting" | "processing":
            assert isinstance(found, Continuation)
            assert (found.request.method, found.request.url) == ("GET", data["urls"]["get"])
            assert found.request.authenticated
            assert 0.5 <= found.after <= 2
            assert found.cancel is not None
            assert (found.cancel.method, found.cancel.url) == ("POST", data["urls"]["cancel"])
        case "succeeded":
            assert isinstance(found, ChatCompletion)
            assert (found.id, found.model) == (data["id"], data["model"])
            assert found.text == "".join(data["output"])
            assert found.created == int(datetime.fromisoformat(data["created_at"]).timestamp())
            counts = [data["metrics"].get(name) for name in ("input_token_count", "output_token_count")]
            usage = None if found.usage is None else [found.usage.prompt_tokens, found.usage.completion_tokens]
            assert usage == (None if counts == [None, None] else counts)
            assert found.choices[0].finish_reason == "stop"
            assert found.raw == data
        case "canceled":
            assert isinstance(found, APIStatusError)
            assert found.code == "canceled"
        case 401 | 429:
            assert type(found) is {401: AuthenticationError, 429: RateLimitError}[data["status"]]
            assert found.message == data["detail"]
            assert found.retry_after == data.get("retry_after")
        case other:
            pytest.fail(f"a recording with status {other}")


@each
def test_recordings_are_streamed(path: Path):
    """A real prediction would not be streamed, or the stream's host would receive the key."""
    recording = json.loads(path.read_text())
    data = json.loads(recording["response"]["body_text"])
    url = (data.get("urls") or {}).get("stream")
    found = read(recording, stream=True)
    if url is None or data["status"] not in ("starting", "processing") or recording["response"]["status"] == 200:
        assert not isinstance(found, Continuation) or found.request.url == data["urls"]["get"]
        return
    assert isinstance(found, Continuation)
    assert (found.request.url, found.after) == (url, 0)
    assert found.request.headers["Accept"] == "text/event-stream"
    assert not found.request.authenticated
    decoder = DIALECT.decoder(CHAT, target(stream=True))
    decoder.start(response_of(recording))


@each
def test_other_responses_are_not_descriptions(path: Path):
    """A real response that is not a model's description would raise while it is read as one."""
    data = json.loads(json.loads(path.read_text())["response"]["body_text"])
    for model in ("meta/llama", f"meta/llama:{'0' * 64}", "deployments/acme/chat"):
        found = DIALECT.encode(CHAT, target(model), {f"schema:{model}": data})
        assert isinstance(found, HttpRequest)
        assert found.body is not None
        assert found.body["input"] == {"prompt": "Hi"}
        assert found.warnings


@each
def test_recorded_requests_are_encoded_alike(path: Path):
    """A real model would be called at another URL or with another body than by Replicate's own SDK."""
    request = json.loads(path.read_text())["request"]
    if request is None or request["method"] != "POST" or not request["url"].endswith("/predictions"):
        pytest.skip("creates nothing")
    body = request["body"]
    place = request["url"].removeprefix(f"{API}/v1/").removesuffix("predictions").strip("/")
    model = body.get("version") or place.removeprefix("models/")
    prompt, *_ = [body["input"].get("prompt", "Hi")]
    chat = ChatRequest(model, [UserMessage(prompt)], extra_body={**body["input"], "prompt": prompt})
    where = target(model, stream=body.get("stream", False))
    fetched = DIALECT.encode(chat, where, {})
    known = {fetched.key: None} if isinstance(fetched, Prerequisite) else {}
    found = DIALECT.encode(chat, where, known)
    assert isinstance(found, HttpRequest)
    assert found.url == request["url"]
    assert found.body == {**body, "input": {"prompt": prompt, **body["input"]}}
