"""Anthropic's errors: a response → the exception."""

import json
from typing import Any

import pytest

from anycompletion import errors
from anycompletion.dialects.anthropic_messages.dialect import DIALECT
from anycompletion.http import Headers, HttpResponse


def error_of_response(status: int, body: Any, **headers: str) -> errors.APIError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return DIALECT.error(HttpResponse(status, Headers.of(headers), raw))


def error_body(kind: str | None, message: str = "Oh.") -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_body"}


TYPES: list[tuple[int, str, str, type[errors.APIError]]] = [
    (400, "invalid_request_error", "Bad.", errors.BadRequestError),
    (400, "invalid_request_error", "prompt is too long: 9 tokens > 8 maximum", errors.ContextWindowExceededError),
    (
        400,
        "invalid_request_error",
        "input length and `max_tokens` exceed context limit: 8 + 9 > 10",
        errors.ContextWindowExceededError,
    ),
    (400, "invalid_request_error", "Your credit balance is too low to use the API.", errors.QuotaExceededError),
    (400, "invalid_request_error", "You have reached your specified API usage limits.", errors.QuotaExceededError),
    (
        400,
        "invalid_request_error",
        "Output blocked by content filtering policy",
        errors.ContentPolicyViolationError,
    ),
    (401, "authentication_error", "invalid x-api-key", errors.AuthenticationError),
    (402, "billing_error", "Pay.", errors.QuotaExceededError),
    (403, "permission_error", "No.", errors.PermissionDeniedError),
    (404, "not_found_error", "model: x", errors.NotFoundError),
    (409, "conflict_error", "Twice.", errors.ConflictError),
    (413, "request_too_large", "Big.", errors.BadRequestError),
    (429, "rate_limit_error", "Slow down: prompt is too long", errors.RateLimitError),
    (500, "api_error", "Oops.", errors.InternalServerError),
    (503, "api_error", "Oops.", errors.ServiceUnavailableError),
    (504, "timeout_error", "Late.", errors.InternalServerError),
    (529, "overloaded_error", "Overloaded", errors.OverloadedError),
    (500, "overloaded_error", "Overloaded", errors.OverloadedError),
    (422, "of_tomorrow", "?", errors.UnprocessableEntityError),
    # Gateways and servers in Anthropic's format, which report in prose what callers act on.
    (400, "BadRequestError", "This model's maximum context length is 10 tokens.", errors.ContextWindowExceededError),
    (400, "of_tomorrow", "The input exceeds the context window of this model.", errors.ContextWindowExceededError),
    (500, "api_error", "the request exceeds the available context size", errors.ContextWindowExceededError),
    (413, "request_too_large", "prompt is too long", errors.ContextWindowExceededError),
    (400, "context_length_exceeded", "Long.", errors.ContextWindowExceededError),
    (400, "invalid_request_error", "Insufficient Balance", errors.QuotaExceededError),
    (429, "insufficient_quota", "Pay.", errors.QuotaExceededError),
    (529, "overloaded_error", "prompt is too long", errors.OverloadedError),
]


@pytest.mark.parametrize(("status", "kind", "message", "cls"), TYPES)
def test_types(status: int, kind: str, message: str, cls: type[errors.APIError]):
    """A program would catch the wrong class, or retry a call that can never succeed."""
    error = error_of_response(status, error_body(kind, message))
    assert type(error) is cls
    assert (error.message, error.type, error.status_code) == (message, kind, status)


def test_an_error_has_all_details():
    """An error would lack the request id that Anthropic's support asks for."""
    error = error_of_response(429, error_body("rate_limit_error"), **{"Request-Id": "req_head", "retry-after": "3"})
    assert error.request_id == "req_head"
    assert error.code == "rate_limit_error"
    assert error.body == json.dumps(error_body("rate_limit_error"))
    assert error.headers is not None
    assert error.headers["retry-after"] == "3"
    assert error.retry_after is None  # the call layer reads the hint
    assert error_of_response(429, error_body("rate_limit_error")).request_id == "req_body"


BARE: list[tuple[int, Any, type[errors.APIError], str]] = [
    (502, b"<html>Bad gateway</html>", errors.InternalServerError, "HTTP 502: Bad gateway"),
    (502, b"<html><title>502 Bad Gateway</title>...", errors.InternalServerError, "HTTP 502: 502 Bad Gateway"),
    (502, b"", errors.InternalServerError, "HTTP 502"),
    (503, b"x" * 999, errors.ServiceUnavailableError, "HTTP 503: " + "x" * 200),
    (401, {"detail": "no"}, errors.AuthenticationError, "no"),
    (429, {"error": "slow"}, errors.RateLimitError, "slow"),
    (429, [{"error": {"message": "slow"}}], errors.RateLimitError, "slow"),
    (429, json.dumps({"error": {"message": "slow"}}), errors.RateLimitError, "slow"),
    (429, {"errors": [{"message": "slow"}]}, errors.RateLimitError, "slow"),
    (429, {"type": "error", "error": '{"message": "slow"}'}, errors.RateLimitError, "slow"),
    (400, [], errors.BadRequestError, "HTTP 400: []"),
    (302, error_body("api_error"), errors.APIResponseError, "Oh."),
    (500, {"error": {}}, errors.InternalServerError, 'HTTP 500: {"error": {}}'),
    (404, {"error": {"type": "not_found_error", "message": 7}}, errors.NotFoundError, "7"),
    (529, b"\xff", errors.OverloadedError, "HTTP 529: \ufffd"),
]


@pytest.mark.parametrize(("status", "body", "cls", "message"), BARE)
def test_bodies_without_anthropics_error_format(status: int, body: Any, cls: type[errors.APIError], message: str):
    """A proxy's page would raise an undocumented exception."""
    error = error_of_response(status, body, **{"request-id": "req_1"})
    assert type(error) is cls
    assert (error.message, error.status_code, error.request_id) == (message, status, "req_1")


def test_an_error_in_openais_format():
    """The code and parameter of a gateway's error would be lost."""
    details = {"message": "No.", "type": "server_error", "code": "model_not_found", "param": "model"}
    error = error_of_response(400, {"error": details})
    assert type(error) is errors.NotFoundError
    assert (error.message, error.type, error.code, error.param) == ("No.", "server_error", "model_not_found", "model")
