"""Errors of OpenAI's format: a response → the exception."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anycompletion import errors
from anycompletion.dialects.openai_chat.dialect import DIALECT
from anycompletion.errors import APIStatusError, class_for_status
from anycompletion.http import Headers, HttpResponse


def error_of_response(status: int, body: Any = b"", **headers: str) -> APIStatusError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    error = DIALECT.error(HttpResponse(status, Headers.of(headers), raw))
    assert isinstance(error, APIStatusError)
    return error


def error_body(code: Any = None, kind: Any = None, message: Any = "Oh.", **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code, **more}}


TABLE: list[tuple[int, Any, type[APIStatusError]]] = [
    # structured codes before the status
    (400, error_body("context_length_exceeded"), errors.ContextWindowExceededError),
    (413, error_body("context_length_exceeded"), errors.ContextWindowExceededError),
    (400, error_body("content_policy_violation"), errors.ContentPolicyViolationError),
    (400, error_body("content_filter"), errors.ContentPolicyViolationError),
    (403, error_body("content_policy_violation"), errors.ContentPolicyViolationError),
    (429, error_body("insufficient_quota"), errors.QuotaExceededError),
    (429, error_body(None, "insufficient_quota"), errors.QuotaExceededError),
    (403, error_body("insufficient_quota"), errors.QuotaExceededError),
    (429, error_body("billing_hard_limit_reached"), errors.QuotaExceededError),
    (429, error_body("billing_not_active"), errors.QuotaExceededError),
    (429, error_body("credit_balance_exhausted"), errors.QuotaExceededError),
    (400, error_body("enforced_spend_limit_reached"), errors.QuotaExceededError),
    (429, error_body("quota_exceeded"), errors.QuotaExceededError),
    (429, error_body("rate_limit_exceeded", "tokens"), errors.RateLimitError),
    (413, error_body("rate_limit_exceeded", "tokens"), errors.RateLimitError),
    (503, error_body("overloaded"), errors.OverloadedError),
    (500, error_body(None, "overloaded_error"), errors.OverloadedError),
    (503, error_body("server_overloaded"), errors.OverloadedError),
    # codes and types that are less precise than the status
    (401, error_body("invalid_api_key", "invalid_request_error"), errors.AuthenticationError),
    (404, error_body("model_not_found", "invalid_request_error"), errors.NotFoundError),
    (400, error_body("unsupported_parameter", "invalid_request_error"), errors.BadRequestError),
    (403, error_body(None, "invalid_request_error"), errors.PermissionDeniedError),
    (500, error_body(None, "server_error"), errors.InternalServerError),
    (503, error_body(None, "server_error"), errors.ServiceUnavailableError),
    (529, error_body(None, "server_error"), errors.OverloadedError),
    (400, error_body(503), errors.BadRequestError),
    # OpenRouter
    (400, error_body(400, metadata={"error_type": "context_length_exceeded"}), errors.ContextWindowExceededError),
    (413, error_body(413, metadata={"error_type": "string_too_long"}), errors.ContextWindowExceededError),
    (400, error_body(400, metadata={"error_type": "token_limit_exceeded"}), errors.ContextWindowExceededError),
    (400, error_body(400, metadata={"error_type": "max_tokens_exceeded"}), errors.BadRequestError),
    (402, error_body(402, metadata={"error_type": "payment_required"}), errors.QuotaExceededError),
    (403, error_body(403, metadata={"error_type": "content_policy_violation"}), errors.ContentPolicyViolationError),
    (403, error_body(403, metadata={"reasons": ["x"], "flagged_input": "y"}), errors.ContentPolicyViolationError),
    (403, error_body(403, metadata={"provider_name": "x"}), errors.PermissionDeniedError),
    (502, error_body(502, metadata={"error_type": "provider_overloaded"}), errors.OverloadedError),
    (502, error_body(502, metadata={"error_type": "provider_unavailable"}), errors.ServiceUnavailableError),
    (400, error_body(400, metadata={"error_type": "of_tomorrow"}), errors.BadRequestError),
    (400, error_body(400, metadata={"error_type": ["x"]}), errors.BadRequestError),
    (400, error_body(400, metadata="x"), errors.BadRequestError),
    # by status alone
    *(
        (status, error_body(), class_for_status(status))
        for status in (400, 401, 402, 403, 404, 405, 408, 409, 413, 415, 422)
    ),
    *(
        (status, error_body(), class_for_status(status))
        for status in (425, 429, 498, 500, 501, 502, 503, 504, 520, 524, 529)
    ),
    # bodies that are not error objects
    *((status, b"<html>Oh.</html>", class_for_status(status)) for status in (403, 404, 429, 500, 502, 503, 524, 529)),
    (500, b"", errors.InternalServerError),
    (429, b"\xff\xfe", errors.RateLimitError),
    (500, [], errors.InternalServerError),
    (400, [{"error": {"code": 400, "message": "x"}}], errors.BadRequestError),
    (400, None, errors.BadRequestError),
    (400, 5, errors.BadRequestError),
    (400, {}, errors.BadRequestError),
    (401, {"error": None}, errors.AuthenticationError),
    (401, {"error": {}}, errors.AuthenticationError),
    (429, {"error": []}, errors.RateLimitError),
    (429, {"error": "insufficient_quota"}, errors.RateLimitError),
    (429, {"error": "Pay.", "code": "insufficient_quota"}, errors.QuotaExceededError),
    (400, {"object": "error", "message": "x", "type": "BadRequestError", "code": 400}, errors.BadRequestError),
    # never by prose
    (400, error_body(None, None, "rate limit reached, quota exceeded, context length"), errors.BadRequestError),
    (429, error_body(None, None, "You exceeded your current quota"), errors.RateLimitError),
]


@pytest.mark.parametrize(("status", "body", "cls"), TABLE)
def test_classes(status: int, body: Any, cls: type[APIStatusError]):
    """A program would catch the wrong class, or retry a call that can never succeed."""
    error = error_of_response(status, body)
    assert type(error) is cls
    assert error.status_code == status


def test_an_error_has_all_details():
    """An error would lack what a provider's support asks for."""
    body = error_body("unsupported_value", "invalid_request_error", "No.") | {"more": 1}
    body["error"]["param"] = "messages[0].role"
    error = error_of_response(400, body, **{"X-Request-Id": "req_1", "retry-after": "3"})
    assert (str(error), error.code, error.type, error.param) == (
        "No.",
        "unsupported_value",
        "invalid_request_error",
        "messages[0].role",
    )
    assert error.request_id == "req_1"
    assert error.body == json.dumps(body)
    assert error.headers is not None
    assert error.headers["Retry-After"] == "3"
    assert error.retry_after is None  # the call layer reads the hint


MESSAGES: list[tuple[int, Any, str]] = [
    (400, error_body(message="No."), "No."),
    (400, error_body(message=None), "HTTP 400"),
    (400, error_body(message=""), "HTTP 400"),
    (400, error_body(message=["a", {"b": 1}]), '["a",{"b":1}]'),
    (400, error_body(message={"detail": "x"}), '{"detail":"x"}'),
    (422, {"detail": "x"}, "x"),
    (422, {"detail": [{"loc": ["body"], "msg": "m"}]}, '[{"loc":["body"],"msg":"m"}]'),
    (400, {"error": "No."}, "No."),
    (400, {"error": ["No."]}, '["No."]'),
    (502, b" <html>Bad gateway</html>\n", "<html>Bad gateway</html>"),
    (502, b"x" * 999, "x" * 200),
    (502, b"", "HTTP 502"),
    (502, {}, "{}"),
    (
        400,
        error_body(
            "content_filter",
            innererror={"content_filter_result": {"hate": {"filtered": True}, "sex": {"filtered": False}, "x": 1}},
        ),
        "Oh. (filtered: hate)",
    ),
    (
        400,
        error_body("content_filter", inner_error={"content_filter_result": {"a": {"filtered": True}}}),
        "Oh. (filtered: a)",
    ),
    (400, error_body("content_filter", innererror={"content_filter_result": []}), "Oh."),
    (400, error_body("content_filter", innererror="x"), "Oh."),
]


@pytest.mark.parametrize(("status", "body", "message"), MESSAGES)
def test_messages(status: int, body: Any, message: str):
    """An error would lack the server's message."""
    assert error_of_response(status, body).message == message


SCALARS: list[tuple[Any, str | None]] = [
    (None, None),
    ("x", "x"),
    (429, "429"),
    (True, "True"),
    (1.5, "1.5"),
    ([], None),
    ({}, None),
    ("4" * 5000, "4" * 5000),
    (int("4" * 4000), "4" * 4000),
    ("٤٢٩", "٤٢٩"),
]


@pytest.mark.parametrize(("code", "text"), SCALARS)
def test_codes_of_any_type(code: Any, text: str | None):
    """A code that is a number, or a missing one, would raise an undocumented exception."""
    error = error_of_response(400, error_body(code))
    assert error.code == text
    assert type(error) is errors.BadRequestError


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "code", "type", "param", "detail", "metadata", "innererror"]), inner
        )
    ),
    max_leaves=8,
)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(JSON | st.binary(max_size=20), st.sampled_from([400, 401, 429, 500, 503]))
def test_any_body(body: Any, status: int):
    """Some error body would raise an undocumented exception."""
    error = error_of_response(status, body)
    assert error.status_code == status
    assert error.message
