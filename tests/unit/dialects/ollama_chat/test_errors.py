"""Ollama's errors: a response → the exception."""

import json
from typing import Any

import pytest

from anycompletion import errors
from anycompletion.dialects.base import Target
from anycompletion.dialects.ollama_chat.dialect import DIALECT
from anycompletion.http import Headers, HttpResponse
from anycompletion.records import ChatRequest

TARGET = Target(provider="ollama", model="m", base_url="http://localhost:11434")

STATUSES: list[tuple[int, str, type[errors.APIError]]] = [
    (400, '"qwen" does not support tools', errors.BadRequestError),
    (400, "prompt too long; exceeded max context length by 4 tokens", errors.ContextWindowExceededError),
    (400, "the input length exceeds the context length", errors.ContextWindowExceededError),
    (401, "unauthorized", errors.AuthenticationError),
    (403, "cloud is disabled", errors.PermissionDeniedError),
    (404, "model 'xyz' not found", errors.NotFoundError),
    (429, "you have reached your hourly usage limit", errors.RateLimitError),
    (500, "model requires more system memory (20 GiB) than is available (8 GiB)", errors.InternalServerError),
    (502, "upstream error", errors.InternalServerError),
    (503, "server busy, please try again.  maximum pending requests exceeded", errors.ServiceUnavailableError),
]


@pytest.mark.parametrize(("status", "message", "cls"), STATUSES)
def test_statuses(status: int, message: str, cls: type[errors.APIError]) -> None:
    """A program would catch the wrong class, or retry a call that can never succeed."""
    body = json.dumps({"error": message}).encode()
    error = DIALECT.error(HttpResponse(status, Headers.of({"X-Request-Id": "abc"}), body))
    assert type(error) is cls
    assert (error.message, error.status_code, error.request_id) == (message, status, "abc")


OTHERS: list[tuple[int, bytes, str]] = [
    (404, b"404 page not found", "HTTP 404: 404 page not found"),
    (502, b"<html><title>Bad gateway</title></html>", "HTTP 502: Bad gateway"),
    (401, b'{"error":{"message":"no key","type":"invalid_request_error"}}', "no key"),
    (500, b"", "HTTP 500"),
]


@pytest.mark.parametrize(("status", "body", "message"), OTHERS)
def test_errors_of_proxies_are_read(status: int, body: bytes, message: str) -> None:
    """The reason that a server in between gives would be lost."""
    error = DIALECT.error(HttpResponse(status, Headers(), body))
    assert (error.message, error.status_code) == (message, status)


GOOD_STATUS: list[tuple[Any, type[errors.APIError], str]] = [
    ({"error": "the runner stopped"}, errors.InternalServerError, "the runner stopped"),
    ({"error": "prompt too long; exceeded max context length"}, errors.ContextWindowExceededError, "prompt too long"),
    ({"message": {"content": "Hi"}, "done": True, "error": "odd"}, errors.InternalServerError, "odd"),
    ({"message": "unauthorized"}, errors.InternalServerError, "unauthorized"),
    ("no capacity", errors.InternalServerError, "no capacity"),
    ({"a": 1}, errors.APIResponseError, "cannot be read"),
    ([], errors.APIResponseError, "cannot be read"),
]


@pytest.mark.parametrize(("body", "cls", "message"), GOOD_STATUS)
def test_an_error_with_a_good_status_is_raised(body: Any, cls: type[errors.APIError], message: str) -> None:
    """An error would be an empty reply."""
    response = HttpResponse(200, Headers(), json.dumps(body).encode())
    with pytest.raises(errors.APIError) as caught:
        DIALECT.decode(response, ChatRequest("m", "Hi"), TARGET)
    assert type(caught.value) is cls
    assert message in caught.value.message
