"""Errors of Google's APIs: status, code, details → the exception."""

import json
from typing import Any

import pytest

from anycompletion import errors
from anycompletion.dialects.gemini_generate.dialect import DIALECT
from anycompletion.http import Headers, HttpResponse
from anycompletion.testing.formats.gemini_generate.simulate import ERRORS


def body(status: str, message: str = "m", code: int = 400, **fields: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "status": status, **fields}}


def reason(text: str) -> dict[str, Any]:
    return {"details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": text, "domain": "d"}]}


def quota(name: str, delay: Any = None) -> dict[str, Any]:
    details: list[dict[str, Any]] = [{"@type": "…QuotaFailure", "violations": [{"quotaId": name}, 7]}]
    return {"details": [*details, *([] if delay is None else [{"@type": "…RetryInfo", "retryDelay": delay}])]}


def error_of(status: int, data: Any) -> errors.APIError:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return DIALECT.error(HttpResponse(status, Headers(), raw))


CASES: list[tuple[int, Any, type[errors.APIError], str | None]] = [
    (400, body("INVALID_ARGUMENT"), errors.BadRequestError, "INVALID_ARGUMENT"),
    (400, body("INVALID_ARGUMENT", **reason("API_KEY_INVALID")), errors.AuthenticationError, "API_KEY_INVALID"),
    (
        400,
        body("INVALID_ARGUMENT", "The input token count (9) exceeds the maximum number of tokens allowed (8)."),
        errors.ContextWindowExceededError,
        "INVALID_ARGUMENT",
    ),
    (
        400,
        body("FAILED_PRECONDITION", "Location not supported."),
        errors.BadRequestError,
        "FAILED_PRECONDITION",
    ),
    (400, body("FAILED_PRECONDITION", "Please enable billing."), errors.QuotaExceededError, "FAILED_PRECONDITION"),
    (400, body("INVALID_ARGUMENT", "get_billing_info has no result."), errors.BadRequestError, "INVALID_ARGUMENT"),
    (401, body("UNAUTHENTICATED"), errors.AuthenticationError, "UNAUTHENTICATED"),
    (403, body("PERMISSION_DENIED", **reason("SERVICE_DISABLED")), errors.PermissionDeniedError, "SERVICE_DISABLED"),
    (403, body("PERMISSION_DENIED", **reason("BILLING_DISABLED")), errors.QuotaExceededError, "BILLING_DISABLED"),
    (404, body("NOT_FOUND"), errors.NotFoundError, "NOT_FOUND"),
    (404, [body("NOT_FOUND")], errors.NotFoundError, "NOT_FOUND"),
    (429, body("RESOURCE_EXHAUSTED"), errors.RateLimitError, "RESOURCE_EXHAUSTED"),
    (429, body("RESOURCE_EXHAUSTED", **quota("RequestsPerMinute")), errors.RateLimitError, "RESOURCE_EXHAUSTED"),
    (
        429,
        body("RESOURCE_EXHAUSTED", **quota("PerDayPerModel")),
        errors.QuotaExceededError,
        "RESOURCE_EXHAUSTED",
    ),
    (499, body("CANCELLED"), errors.BadRequestError, "CANCELLED"),
    (500, body("INTERNAL"), errors.InternalServerError, "INTERNAL"),
    (503, body("UNAVAILABLE", "The model is overloaded."), errors.ServiceUnavailableError, "UNAVAILABLE"),
    (504, body("DEADLINE_EXCEEDED"), errors.InternalServerError, "DEADLINE_EXCEEDED"),
    (502, b"<html><title>Bad gateway</title></html>", errors.InternalServerError, None),
    (429, {"detail": "slow"}, errors.RateLimitError, None),
    (400, b"", errors.BadRequestError, None),
    (302, body("NOT_FOUND"), errors.APIResponseError, None),
    (400, {"error": {"details": 7, "status": 7}}, errors.BadRequestError, None),
]


@pytest.mark.parametrize(("status", "data", "cls", "code"), CASES)
def test_classes(status: int, data: Any, cls: type[errors.APIError], code: str | None) -> None:
    """A program that catches one class of errors would get another one."""
    error = error_of(status, data)
    assert type(error) is cls
    assert error.status_code == status
    assert error.code == code or code is None


@pytest.mark.parametrize(
    ("delay", "wait"), [("14s", 14.0), ("34.4s", 34.4), ("0s", None), ("x", None), (7, None), ("1e999s", None)]
)
def test_the_wait_is_in_the_details(delay: Any, wait: float | None) -> None:
    """A call would be repeated before the server takes it."""
    assert error_of(429, body("RESOURCE_EXHAUSTED", **quota("PerMinute", delay))).retry_after == wait


def test_a_message_without_words_names_the_status() -> None:
    """An error would have no text."""
    assert error_of(503, body("UNAVAILABLE", "")).message == "UNAVAILABLE"


@pytest.mark.parametrize("name", ERRORS)
def test_simulated_errors_have_the_type_of_their_status(name: str) -> None:
    """The simulator would send errors that Google does not."""
    spec = ERRORS[name]
    error = error_of(spec.status, body(spec.type, spec.message, spec.status))
    assert (error.type, error.message) == (spec.type, spec.message)
