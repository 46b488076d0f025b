"""Anthropic's errors as exceptions of this package: by structured type first, then by status. Raises nothing itself.

https://docs.anthropic.com/en/api/errors
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ...errors import (
    APIError,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    ContentPolicyViolationError,
    ContextWindowExceededError,
    InternalServerError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    class_for_status,
)
from ...http import HttpResponse
from ..shared import as_text, error_without_details, loads_or_none, non_empty_str

REQUEST_ID = "request-id"
"""The header with the request's id."""

_TYPES: Mapping[str, tuple[int, type[APIStatusError]]] = {
    "invalid_request_error": (400, BadRequestError),
    "authentication_error": (401, AuthenticationError),
    "billing_error": (402, QuotaExceededError),
    "permission_error": (403, PermissionDeniedError),
    "not_found_error": (404, NotFoundError),
    "conflict_error": (409, ConflictError),
    "request_too_large": (413, BadRequestError),
    "rate_limit_error": (429, RateLimitError),
    "api_error": (500, InternalServerError),
    "timeout_error": (504, InternalServerError),
    "overloaded_error": (529, OverloadedError),
}
"""Error type → its usual status (for errors inside a 200 or a stream) and its class."""

# Classifying by prose is the exception: Anthropic gives these cases the type `invalid_request_error` and no code, so
# the message is the only signal. Their callers act differently (shorten the prompt, pay, rephrase), which is why a
# plain BadRequestError is not enough. A message that matches nothing is classified by its status.
_MESSAGE_PARTS: tuple[tuple[str, type[APIStatusError]], ...] = (
    ("prompt is too long", ContextWindowExceededError),
    ("exceed context limit", ContextWindowExceededError),
    ("credit balance", QuotaExceededError),
    ("usage limits", QuotaExceededError),
    ("content filtering policy", ContentPolicyViolationError),
)
"""Lower-case part of an `invalid_request_error`'s message → class."""


def error(response: HttpResponse) -> APIError:
    """The exception for a bad status, with all details of the body."""
    found = loads_or_none(response.body)
    data = cast("dict[str, Any]", found if isinstance(found, dict) else {})
    if 300 <= response.status < 400 or not isinstance(data.get("error"), dict):
        return error_without_details(response, REQUEST_ID)
    return error_from_body(data, response.status, response.headers, as_text(response.body))


def error_from_body(
    data: dict[str, Any], status: int | None = None, headers: Mapping[str, str] | None = None, body: str | None = None
) -> APIStatusError:
    """The exception for an error object; without a status (inside a good one or a stream), the type gives it."""
    found = data.get("error")
    details = cast("dict[str, Any]", found if isinstance(found, dict) else {})
    kind, message = non_empty_str(details.get("type")), non_empty_str(details.get("message"))
    usual_status, class_of_type = _TYPES.get(kind or "", (500, None))
    status = status or usual_status
    return _error_class(class_of_type, status, message or "")(
        message or kind or f"HTTP {status}",
        status_code=status,
        type=kind,
        code=kind,
        request_id=(headers or {}).get(REQUEST_ID) or non_empty_str(data.get("request_id")),
        headers=headers,
        body=body,
    )


def _error_class(class_of_type: type[APIStatusError] | None, status: int, message: str) -> type[APIStatusError]:
    class_of_status = class_for_status(status)
    if class_of_type is None:
        return class_of_status
    if class_of_type is BadRequestError:
        # `invalid_request_error` covers many cases; the message or the status is often more precise.
        folded = message.lower()
        return next((cls for part, cls in _MESSAGE_PARTS if part in folded), class_of_status)
    # For "api_error" with 503 or 529 the status has the more precise class, a subclass of the type's.
    return class_of_status if issubclass(class_of_status, class_of_type) else class_of_type
