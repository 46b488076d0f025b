"""Anthropic's errors as exceptions of this package: by structured type first, then by status. Raises nothing itself.

https://docs.anthropic.com/en/api/errors
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...codecs.lenient import optional_object, optional_str
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
    UnprocessableEntityError,
    class_for_status,
)
from ...http import HttpResponse
from ..error_body import ReportedError, holds_error, is_failed_reason, read_error
from ..error_phrases import CONTEXT_LENGTH_PHRASES
from ..shared import as_text, error_without_details, loads_or_none

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
    # Types and codes of OpenAI's format, which gateways pass on.
    "context_length_exceeded": (400, ContextWindowExceededError),
    "exceed_context_size_error": (400, ContextWindowExceededError),
    "content_policy_violation": (400, ContentPolicyViolationError),
    "invalid_api_key": (401, AuthenticationError),
    "model_not_found": (404, NotFoundError),
    "insufficient_quota": (429, QuotaExceededError),
    "exceeded_current_quota_error": (429, QuotaExceededError),
    "rate_limit_exceeded": (429, RateLimitError),
    # Types of vLLM's and SGLang's servers.
    "BadRequestError": (400, BadRequestError),
    "NotFoundError": (404, NotFoundError),
}
"""Error type or code → its usual status (for errors inside a 200 or a stream) and its class."""

# Classifying by prose is the exception: Anthropic and servers of its format give these cases a general type or none,
# and no code, so the message is the only signal. Their callers act differently (shorten the prompt, pay, rephrase),
# which is why a plain BadRequestError is not enough. A message that matches nothing is classified by its status.
_PHRASES: tuple[tuple[str, type[APIStatusError]], ...] = (
    *((phrase, ContextWindowExceededError) for phrase in CONTEXT_LENGTH_PHRASES),
    ("credit balance", QuotaExceededError),
    ("usage limits", QuotaExceededError),
    ("insufficient balance", QuotaExceededError),  # DeepSeek, MiniMax, Moonshot
    ("exceeded your current quota", QuotaExceededError),
    ("content filtering policy", ContentPolicyViolationError),
)
"""Lower-case part of a message → class, for errors of the classes `_IMPRECISE`."""

_IMPRECISE = (BadRequestError, UnprocessableEntityError, InternalServerError)
"""Classes of errors whose message is searched for `_PHRASES`; not their subclasses."""

_REPORTING_FIELDS = frozenset({"object", "error", "errors", "base_resp"})
"""Fields that make even a message with content, or an event with a type, an error."""


def error(response: HttpResponse) -> APIError:
    """The exception for a bad status, with all details of the body."""
    reported = read_error(loads_or_none(response.body))
    if 300 <= response.status < 400 or not (reported.message or reported.type or reported.code):
        return error_without_details(response, REQUEST_ID)
    return _exception(reported, response.status, response.headers, as_text(response.body))


def error_from_body(
    data: object, status: int | None = None, headers: Mapping[str, str] | None = None, body: str | None = None
) -> APIStatusError:
    """The exception for an error object; without a status (inside a good one or a stream), the type gives it."""
    return _exception(read_error(data), status, headers, body)


def error_in_value(value: object) -> object:
    """`value` if it is no object but reports an error, as a text or a list of several errors; else None."""
    return value if optional_object(value) is None and holds_error(value) else None


def error_in_reply(data: dict[str, Any]) -> object:
    """The object that describes the error, if a body with a good status is one; else None."""
    if _is_error(data, is_typed=data.get("content") is not None):
        return data
    return _failed_generation(data)


def error_in_event(kind: str, data: dict[str, Any]) -> object:
    """The object that describes the error, if an event is one; else None."""
    if kind == "error" or _is_error(data, is_typed=isinstance(data.get("type"), str)):
        return data
    if kind == "message_delta":
        delta = optional_object(data.get("delta")) or {}
        return delta if _is_error(delta, is_typed=True) else _failed_generation(delta)
    if kind == "message_start":
        message = optional_object(data.get("message")) or {}
        return message if _is_error(message, is_typed=True) else None
    return None


def _is_error(data: dict[str, Any], *, is_typed: bool) -> bool:
    """Whether a body or an event reports an error.

    Args:
        data: the body or the event.
        is_typed: it is a message with content, or an event with a type. Then a field `message` is not an error's.
    """
    if not is_typed or data.get("type") == "error":
        return holds_error(data)
    return not _REPORTING_FIELDS.isdisjoint(data) and holds_error(
        {name: value for name, value in data.items() if name in _REPORTING_FIELDS}
    )


def _failed_generation(source: dict[str, Any]) -> dict[str, Any] | None:
    """The error object for a stop reason that reports a failure; gateways make up such reasons."""
    reason = optional_str(source.get("stop_reason"))
    return {"message": f"the generation failed: {reason}", "code": reason} if is_failed_reason(reason) else None


def _exception(
    reported: ReportedError, status: int | None, headers: Mapping[str, str] | None, body: str | None
) -> APIStatusError:
    code = reported.code or reported.type
    usual_status, class_of_type = _TYPES.get(code or "") or _TYPES.get(reported.type or "") or (None, None)
    status = status or reported.status or usual_status or 500
    return _error_class(class_of_type, status, reported.message or "")(
        reported.message or code or f"HTTP {status}",
        param=reported.param,
        status_code=status,
        type=reported.type,
        code=code,
        request_id=(headers or {}).get(REQUEST_ID) or reported.request_id,
        headers=headers,
        body=body,
    )


def _error_class(class_of_type: type[APIStatusError] | None, status: int, message: str) -> type[APIStatusError]:
    class_of_status = class_for_status(status)
    if class_of_type is None or class_of_type is BadRequestError:
        cls = class_of_status  # `invalid_request_error` covers many cases; the status is often more precise
    else:
        # For "api_error" with 503 or 529 the status has the more precise class, a subclass of the type's.
        cls = class_of_status if issubclass(class_of_status, class_of_type) else class_of_type
    if cls not in _IMPRECISE:
        return cls
    folded = message.lower()
    return next((found for part, found in _PHRASES if part in folded), cls)
