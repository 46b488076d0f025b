"""Replicate's errors: a response → the exception."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anycompletion import errors
from anycompletion.dialects.replicate_predictions.dialect import DIALECT
from anycompletion.http import Headers, HttpResponse


def error_of_response(status: int, body: Any, **headers: str) -> errors.APIError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return DIALECT.error(HttpResponse(status, Headers.of({k.replace("_", "-"): v for k, v in headers.items()}), raw))


STATUSES: list[tuple[int, type[errors.APIError]]] = [
    (400, errors.BadRequestError),
    (401, errors.AuthenticationError),
    (402, errors.QuotaExceededError),
    (403, errors.PermissionDeniedError),
    (404, errors.NotFoundError),
    (409, errors.ConflictError),
    (413, errors.BadRequestError),
    (422, errors.UnprocessableEntityError),
    (429, errors.RateLimitError),
    (500, errors.InternalServerError),
    (502, errors.InternalServerError),
    (503, errors.ServiceUnavailableError),
    (504, errors.InternalServerError),
    (302, errors.APIResponseError),
]


@pytest.mark.parametrize(("status", "cls"), STATUSES)
def test_statuses(status: int, cls: type[errors.APIError]):
    """A program would catch the wrong class, or retry a call that can never succeed."""
    problem = {"type": "about:blank", "title": "Oh", "detail": "Oh, no.", "status": status, "instance": "/v1"}
    error = error_of_response(status, problem, x_request_id="r1")
    assert type(error) is cls
    assert (error.message, error.code, error.type) == ("Oh, no.", "Oh", "about:blank")
    assert (error.status_code, error.request_id) == (status, "r1")
    assert error.body == json.dumps(problem)
    assert error.headers == {"x-request-id": "r1"}


INVALID = [
    {"type": "required", "field": "input.prompt", "description": "prompt is required"},
    {"type": "number_lte", "field": "input.top_p", "description": "must be at most 1"},
]
MESSAGES: list[tuple[Any, str, str | None]] = [
    ({"detail": "No such model."}, "No such model.", None),
    ({"title": "Unauthenticated"}, "Unauthenticated", None),
    (
        {"title": "Input validation failed", "detail": "- input: prompt is required", "invalid_fields": INVALID},
        "- input: prompt is required (input.prompt: prompt is required; input.top_p: must be at most 1)",
        "input.prompt",
    ),
    ({"invalid_fields": [{"description": "bad"}, 7]}, "invalid input (bad)", None),
    ({"invalid_fields": [{"field": ["x"]}]}, "invalid input (x)", "x"),
    ({"invalid_fields": {"field": 7}}, "invalid input (7)", "7"),
    ({"error": {"message": "No.", "param": "prompt"}}, "No.", "prompt"),
    ({"errors": ["No.", "Never."]}, "No.; Never.", None),
    ({"message": '{"detail": "No."}'}, "No.", None),
    (["No."], "No.", None),
    ({"detail": "x", "invalid_fields": "prompt"}, "x", None),
    ({"detail": [{"loc": ["body"], "msg": "bad"}]}, "body: bad", None),
    ({"detail": ""}, 'HTTP 422: {"detail": ""}', None),
    ([], "HTTP 422: []", None),
    (b"", "HTTP 422", None),
    (b"<html>", "HTTP 422: a web page", None),
    (b"<html><title>Gateway</title>...", "HTTP 422: Gateway", None),
    (b"\xff" + b"x" * 999, "HTTP 422: \ufffd" + "x" * 199, None),
]


@pytest.mark.parametrize(("body", "message", "param"), MESSAGES)
def test_messages(body: Any, message: str, param: str | None):
    """An error would not contain the invalid field, or a proxy's page would raise an undocumented exception."""
    error = error_of_response(422, body)
    assert (error.message, error.param) == (message, param)


@pytest.mark.parametrize("status", [400, 413, 422, 500])
def test_a_prompt_that_is_too_long(status: int):
    """A program could not shorten its prompt, because only the message has the cause."""
    error = error_of_response(status, {"detail": "- input.prompt: longer than the maximum context length"})
    assert (type(error) is errors.ContextWindowExceededError) == (status != 500)


THROTTLED = "Request was throttled. Your rate limit resets in ~30s."
WAITS: list[tuple[Any, dict[str, str], float | None]] = [
    ({"detail": THROTTLED}, {}, 30.0),
    ({"detail": "Your rate limit resets in 2m."}, {}, 120.0),
    ({"detail": THROTTLED}, {"ratelimit_reset": "7"}, 7.0),
    ({"detail": THROTTLED, "retry_after": 5}, {"ratelimit_reset": "7"}, 5.0),
    ({"detail": THROTTLED, "retry_after": True}, {}, 30.0),
    ({"detail": THROTTLED, "retry_after": -1}, {}, 30.0),
    ({"detail": THROTTLED, "retry_after": 10**400}, {}, 30.0),
    ({"detail": THROTTLED, "retry_after": "5"}, {"ratelimit_reset": "soon"}, 5.0),
    ({"detail": THROTTLED, "retry_after": "x"}, {"ratelimit_reset": "soon"}, 30.0),
    ({"detail": THROTTLED}, {"ratelimit_reset": "1762217480"}, 30.0),
    ({"detail": "Slow down."}, {}, None),
    ({"detail": ["resets in ~3s"]}, {}, 3.0),
    (b"", {"ratelimit_reset": "1"}, 1.0),
    (b"", {}, None),
]


@pytest.mark.parametrize(("body", "headers", "wait"), WAITS)
def test_waits(body: Any, headers: dict[str, str], wait: float | None):
    """A retry would be sent too early and limited again."""
    error = error_of_response(429, body, **headers)
    assert type(error) is errors.RateLimitError
    assert error.retry_after == wait


@pytest.mark.parametrize("status", [402, 404, 500])
def test_other_errors_have_no_wait(status: int):
    """Every response contains the end of the rate-limit window; other errors would get a wait from it."""
    assert error_of_response(status, {"detail": THROTTLED, "retry_after": 3}, ratelimit_reset="1").retry_after is None


@given(
    st.integers(300, 599),
    st.dictionaries(
        st.sampled_from(["detail", "title", "type", "invalid_fields", "retry_after"]),
        st.none() | st.integers() | st.floats() | st.text() | st.lists(st.dictionaries(st.text(), st.integers())),
    ),
)
def test_only_documented_exceptions_are_raised(status: int, body: dict[str, Any]):
    """Some error body would raise an undocumented exception."""
    assert isinstance(error_of_response(status, body), errors.APIError)
