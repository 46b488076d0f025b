"""Anthropic's errors as this package's exceptions: by structured type first, then by status; raises nothing itself.

https://docs.anthropic.com/en/api/errors
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ...codecs import json
from ...codecs.lenient import NotJSONError
from ...errors import (
    APIError,
    APIResponseError,
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
"""Error type → the status it comes with (for errors inside a 200 or a stream), and our class."""

_TEXTS: tuple[tuple[str, type[APIStatusError]], ...] = (
    ("prompt is too long", ContextWindowExceededError),
    ("exceed context limit", ContextWindowExceededError),
    ("credit balance", QuotaExceededError),
    ("usage limits", QuotaExceededError),
    ("content filtering policy", ContentPolicyViolationError),
)
"""Parts of an `invalid_request_error`'s message: Anthropic gives these cases no code, the text is the only signal."""


def error(response: HttpResponse) -> APIError:
    """The exception for a bad status, with everything the body tells."""
    text = response.body.decode("utf-8", "replace")
    if 300 <= response.status < 400:
        return _bare(response, text, APIResponseError)
    try:
        data = json.loads(response.body)
    except NotJSONError:
        data = None
    if not isinstance(data, dict) or not isinstance(cast("dict[str, Any]", data).get("error"), dict):
        return _bare(response, text, class_for_status(response.status))
    return error_of(cast("dict[str, Any]", data), response.status, response.headers, text)


def _bare(response: HttpResponse, text: str, cls: type[APIError]) -> APIError:
    return cls(
        f"HTTP {response.status}: {text[:200]}" if text else f"HTTP {response.status}",
        status_code=response.status,
        request_id=response.headers.get("request-id"),
        headers=response.headers,
        body=text,
    )


def error_of(
    data: dict[str, Any], status: int | None = None, headers: Mapping[str, str] | None = None, body: str | None = None
) -> APIStatusError:
    """The exception for an error object; without a status (it came inside a good one) the type tells that too."""
    found = data.get("error")
    details = cast("dict[str, Any]", found if isinstance(found, dict) else {})
    kind, message = _text(details.get("type")), _text(details.get("message"))
    usual, by_type = _TYPES.get(kind or "", (500, None))
    status = status or usual
    return _class(by_type, status, message or "")(
        message or kind or f"HTTP {status}",
        status_code=status,
        type=kind,
        code=kind,
        request_id=(headers or {}).get("request-id") or _text(data.get("request_id")),
        headers=headers,
        body=body,
    )


def _class(by_type: type[APIStatusError] | None, status: int, message: str) -> type[APIStatusError]:
    by_status = class_for_status(status)
    if by_type is None:
        return by_status
    if by_type is BadRequestError:
        folded = message.lower()
        # This type is all that Anthropic says of many a refusal; the status may be closer.
        return next((cls for part, cls in _TEXTS if part in folded), by_status)
    # "api_error" under a 503 or 529 is what the status says: a kind of the same, but closer.
    return by_status if issubclass(by_status, by_type) else by_type


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
