"""Google's errors as exceptions of this package: by structured details first, then by status. Raises nothing itself.

https://ai.google.dev/gemini-api/docs/troubleshooting, https://cloud.google.com/apis/design/errors
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ...codecs.lenient import optional_float, optional_object, optional_objects, optional_str
from ...errors import (
    APIError,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ContextWindowExceededError,
    InternalServerError,
    QuotaExceededError,
    RateLimitError,
    class_for_status,
)
from ...http import HttpResponse
from ...records import JsonObject
from ..error_body import ReportedError, holds_error, read_error
from ..error_phrases import CONTEXT_LENGTH_STATUSES, has_phrase
from ..shared import as_text, error_without_details, loads_or_none
from .gemini_finish import FAILED_REASONS, NO_SIGNATURE, native_reason

REQUEST_ID = "x-request-id"
"""The header with the request's id, where a gateway sends one; Google itself sends none."""

_STATUSES: Mapping[str, int] = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "DATA_LOSS": 500,
    "INTERNAL": 500,
    "UNKNOWN": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
"""Google's name of a status → the HTTP status, for errors inside a good one."""

_BY_REASON: Mapping[str, type[APIStatusError]] = {
    "API_KEY_INVALID": AuthenticationError,
    "API_KEY_EXPIRED": AuthenticationError,
    "ACCESS_TOKEN_EXPIRED": AuthenticationError,
    "BILLING_DISABLED": QuotaExceededError,
}
"""Reason in the details → class, where the status is less precise."""

_PER_DAY = "PerDay"
"""Part of the id of a quota that is full again at midnight only."""

_BILLING = ("billing",)
"""Lower-case part of the message of a `FAILED_PRECONDITION` that only a payment ends; it has other causes as well."""


def error(response: HttpResponse) -> APIError:
    """The exception for a bad status, with all details of the body."""
    found = loads_or_none(response.body)
    reported = read_error(found)
    if 300 <= response.status < 400 or not (reported.message or reported.type or reported.code):
        return error_without_details(response, REQUEST_ID)
    return _exception(reported, response.status, response.headers, as_text(response.body))


def error_in(value: object) -> object:
    """What describes the error, if the body of a good status or an event is one; else None."""
    data = optional_object(value)
    if data is None:
        return value if holds_error(value) else None
    if "error" not in data and ("candidates" in data or "usageMetadata" in data or "promptFeedback" in data):
        return None
    return data if holds_error(data) else None


def error_from_body(data: object, headers: Mapping[str, str] | None = None, body: str | None = None) -> APIStatusError:
    """The exception for an error inside a good status or a stream; the error's own code gives its status."""
    return _exception(read_error(data), None, headers, body)


def failed_generation(candidate: JsonObject, headers: Mapping[str, str] | None = None) -> APIStatusError | None:
    """The exception for a candidate whose finish reason is that of a failure; None for any other."""
    reason = native_reason(candidate)
    if reason is None or (reason not in FAILED_REASONS and reason != NO_SIGNATURE):
        return None
    detail = optional_str(candidate.get("finishMessage"))
    status, cls = (400, BadRequestError) if reason == NO_SIGNATURE else (500, InternalServerError)
    return cls(
        detail or reason,
        status_code=status,
        code=reason,
        type=reason,
        request_id=(headers or {}).get(REQUEST_ID),
        headers=headers,
        maybe_billed=True,
    )


def _exception(
    reported: ReportedError, status: int | None, headers: Mapping[str, str] | None, body: str | None
) -> APIStatusError:
    details = optional_objects(reported.fields.get("details")) or []
    name = reported.type
    reason = next((text for detail in details if (text := optional_str(detail.get("reason")))), None)
    status = status or reported.status or _STATUSES.get(name or "", 500)
    message = reported.message or name or f"HTTP {status}"
    code = reason or name or reported.code
    return _error_class(status, message, name, reason, details)(
        message,
        param=reported.param,
        status_code=status,
        type=name,
        code=code,
        request_id=(headers or {}).get(REQUEST_ID) or reported.request_id,
        retry_after=_retry_delay(details),
        headers=headers,
        body=body,
    )


def _error_class(
    status: int, message: str, name: str | None, reason: str | None, details: list[JsonObject]
) -> type[APIStatusError]:
    by_reason = _BY_REASON.get(reason or "")
    if by_reason is not None:
        return by_reason
    cls = class_for_status(status)
    if cls is RateLimitError and any(_PER_DAY in quota for quota in _quotas(details)):
        return QuotaExceededError
    if name == "FAILED_PRECONDITION" and has_phrase(message, _BILLING):
        return QuotaExceededError
    if status in CONTEXT_LENGTH_STATUSES and has_phrase(message):
        return ContextWindowExceededError
    return cls


def _quotas(details: list[JsonObject]) -> list[str]:
    """The ids of the quotas that were exceeded."""
    violations: list[dict[str, Any]] = []
    for detail in details:
        violations += optional_objects(detail.get("violations")) or ()
    return [text for each in violations if (text := optional_str(each.get("quotaId")))]


def _retry_delay(details: list[JsonObject]) -> float | None:
    """The wait in seconds of a `RetryInfo`, a protobuf duration such as "14s"."""
    for detail in details:
        delay = detail.get("retryDelay")
        seconds = optional_float(delay.removesuffix("s")) if isinstance(delay, str) else None
        if seconds is not None and seconds > 0 and math.isfinite(seconds):
            return seconds
    return None
