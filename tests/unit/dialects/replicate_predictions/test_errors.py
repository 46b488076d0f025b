"""Errors: what Replicate answered on the left, the exception on the right."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anycompletion import errors
from anycompletion.dialects.replicate_predictions.dialect import DIALECT
from anycompletion.http import Headers, HttpResponse


def fault(status: int, body: Any, **headers: str) -> errors.APIError:
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
    """Callers would catch the wrong class, or a retry hammer a provider that will never say yes."""
    problem = {"type": "about:blank", "title": "Oh", "detail": "Oh, no.", "status": status, "instance": "/v1"}
    error = fault(status, problem, x_request_id="r1")
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
    ({"invalid_fields": [{"field": ["x"]}]}, 'invalid input (["x"])', '["x"]'),
    ({"detail": "x", "invalid_fields": "prompt"}, "x", None),
    ({"detail": [{"loc": ["body"], "msg": "bad"}]}, '[{"loc":["body"],"msg":"bad"}]', None),
    ({"detail": ""}, 'HTTP 422: {"detail": ""}', None),
    ([], "HTTP 422: []", None),
    (b"", "HTTP 422", None),
    (b"<html>", "HTTP 422: <html>", None),
    (b"\xff" + b"x" * 999, "HTTP 422: \ufffd" + "x" * 199, None),
]


@pytest.mark.parametrize(("body", "message", "param"), MESSAGES)
def test_messages(body: Any, message: str, param: str | None):
    """What was wrong with the input would stay unsaid, or the page of a proxy let a foreign exception escape."""
    error = fault(422, body)
    assert (error.message, error.param) == (message, param)


THROTTLED = "Request was throttled. Your rate limit resets in ~30s."
WAITS: list[tuple[Any, dict[str, str], float | None]] = [
    ({"detail": THROTTLED}, {}, 30.0),
    ({"detail": "Your rate limit resets in 2m."}, {}, 120.0),
    ({"detail": THROTTLED}, {"ratelimit_reset": "7"}, 7.0),
    ({"detail": THROTTLED, "retry_after": 5}, {"ratelimit_reset": "7"}, 5.0),
    ({"detail": THROTTLED, "retry_after": True}, {}, 30.0),
    ({"detail": THROTTLED, "retry_after": -1}, {}, 30.0),
    ({"detail": THROTTLED, "retry_after": 10**400}, {}, 30.0),
    ({"detail": THROTTLED, "retry_after": "5"}, {"ratelimit_reset": "soon"}, 30.0),
    ({"detail": THROTTLED}, {"ratelimit_reset": "1762217480"}, 30.0),
    ({"detail": "Slow down."}, {}, None),
    ({"detail": ["resets in ~3s"]}, {}, 3.0),
    (b"", {"ratelimit_reset": "1"}, 1.0),
    (b"", {}, None),
]


@pytest.mark.parametrize(("body", "headers", "wait"), WAITS)
def test_waits(body: Any, headers: dict[str, str], wait: float | None):
    """A retry would come too early and be throttled again."""
    error = fault(429, body, **headers)
    assert type(error) is errors.RateLimitError
    assert error.retry_after == wait


@pytest.mark.parametrize("status", [402, 404, 500])
def test_other_errors_have_no_wait(status: int):
    """Every answer says when the window ends; a failure would be mistaken for one that waiting cures."""
    assert fault(status, {"detail": THROTTLED, "retry_after": 3}, ratelimit_reset="1").retry_after is None


@given(
    st.integers(300, 599),
    st.dictionaries(
        st.sampled_from(["detail", "title", "type", "invalid_fields", "retry_after"]),
        st.none() | st.integers() | st.floats() | st.text() | st.lists(st.dictionaries(st.text(), st.integers())),
    ),
)
def test_nothing_foreign_escapes(status: int, body: dict[str, Any]):
    """Some strange error would crash the caller."""
    assert isinstance(fault(status, body), errors.APIError)
