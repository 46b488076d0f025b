"""Cohere's errors: a response → the exception."""

import json
from typing import Any

import pytest

from anycompletion import errors
from anycompletion.dialects.cohere_chat.dialect import DIALECT
from anycompletion.http import Headers, HttpResponse


def error_of_response(status: int, body: Any, **headers: str) -> errors.APIError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return DIALECT.error(HttpResponse(status, Headers.of(named), raw))


TRIAL = (
    "You are using a Trial key, which is limited to {} API calls / {}. You can continue to use the Trial key for free"
)

STATUSES: list[tuple[int, str, type[errors.APIError]]] = [
    (400, "invalid request: temperature must be between 0 and 1.0 inclusive.", errors.BadRequestError),
    (
        400,
        "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4292.",
        errors.ContextWindowExceededError,
    ),
    (401, "invalid api token", errors.AuthenticationError),
    (402, "Please add or update your payment method", errors.QuotaExceededError),
    (403, "no", errors.PermissionDeniedError),
    (404, "model 'xyz' not found", errors.NotFoundError),
    (422, "invalid tool generation", errors.UnprocessableEntityError),
    (429, "You are past the per minute request limit, please wait and try again later.", errors.RateLimitError),
    (429, "trial token rate limit exceeded, limit is 100000 tokens per minute", errors.RateLimitError),
    (429, "too many tokens", errors.RateLimitError),
    (429, TRIAL.format(40, "minute"), errors.RateLimitError),
    (429, TRIAL.format(1000, "month"), errors.QuotaExceededError),
    (498, "invalid token", errors.AuthenticationError),
    (499, "request cancelled", errors.BadRequestError),
    (500, "oops", errors.InternalServerError),
    (501, "not implemented", errors.InternalServerError),
    (503, "busy", errors.ServiceUnavailableError),
    (504, "late", errors.InternalServerError),
]


@pytest.mark.parametrize(("status", "message", "cls"), STATUSES)
def test_statuses(status: int, message: str, cls: type[errors.APIError]) -> None:
    """A program would catch the wrong class, or retry a call that can never succeed."""
    error = error_of_response(status, {"id": "abc", "message": message})
    assert type(error) is cls
    assert (error.message, error.status_code, error.request_id, error.code) == (message, status, "abc", None)


def test_an_error_has_all_details() -> None:
    """An error would lack the id that Cohere's support asks for, or the type that distinguishes two 422s."""
    body = {"id": "abc", "message": "invalid tool generation", "error_type": "INVALID_TOOL_GENERATION"}
    error = error_of_response(422, body, X_Debug_Trace_Id="trace", retry_after="3")
    assert (error.code, error.type) == ("INVALID_TOOL_GENERATION", "INVALID_TOOL_GENERATION")
    assert error.request_id == "trace"
    assert error.body == json.dumps(body)
    assert error.headers is not None
    assert error.headers["retry-after"] == "3"
    assert error.retry_after is None  # the call layer reads the hint


BARE: list[tuple[int, Any, type[errors.APIError], str]] = [
    (502, b"<html>Bad gateway</html>", errors.InternalServerError, "HTTP 502: Bad gateway"),
    (502, b"<html><title>502 Bad Gateway</title>...", errors.InternalServerError, "HTTP 502: 502 Bad Gateway"),
    (502, b"", errors.InternalServerError, "HTTP 502"),
    (503, b"x" * 999, errors.ServiceUnavailableError, "HTTP 503: " + "x" * 200),
    (401, {"data": "no"}, errors.AuthenticationError, 'HTTP 401: {"data": "no"}'),
    (429, {"message": 7}, errors.RateLimitError, "7"),
    (400, [], errors.BadRequestError, "HTTP 400: []"),
    (302, {"message": "x"}, errors.APIResponseError, "x"),
    (500, {"message": ""}, errors.InternalServerError, 'HTTP 500: {"message": ""}'),
    (529, b"\xff", errors.OverloadedError, "HTTP 529: \ufffd"),
]


@pytest.mark.parametrize(("status", "body", "cls", "message"), BARE)
def test_bodies_without_coheres_error_format(status: int, body: Any, cls: type[errors.APIError], message: str) -> None:
    """A proxy's page would raise an undocumented exception."""
    error = error_of_response(status, body, x_debug_trace_id="trace")
    assert type(error) is cls
    assert (error.message, error.status_code, error.request_id) == (message, status, "trace")
