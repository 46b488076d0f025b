"""Replicate's errors as exceptions of this package. Raises nothing itself.

https://replicate.com/docs/reference/http#errors
https://replicate.com/docs/reference/error-codes

A bad status is classified by its number, and a prompt that is too long by the message. A failed prediction has a good
status and an error text: it is classified by the documented code in the text (E6716), otherwise by prose.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ...codecs import json
from ...codecs.lenient import as_str, optional_float, optional_object, optional_objects, optional_str
from ...errors import (
    APIError,
    APIResponseError,
    APIStatusError,
    BadRequestError,
    ContentPolicyViolationError,
    ContextWindowExceededError,
    InternalServerError,
    RateLimitError,
    ServiceUnavailableError,
    class_for_status,
)
from ...http import HttpResponse
from ...rate_limit_headers import seconds
from ...records import JsonObject
from ..error_body import ReportedError, holds_error, read_error
from ..error_phrases import CONTEXT_LENGTH_PHRASES, CONTEXT_LENGTH_STATUSES, has_phrase
from ..shared import as_text, loads_or_none, message_of_text

_CODE = re.compile(r"\bE\d{3,4}\b")
_CODES: Mapping[str, type[APIStatusError]] = {
    "E1000": InternalServerError,
    "E1001": InternalServerError,
    "E4875": BadRequestError,
    "E6716": ServiceUnavailableError,
}
"""Documented code → class."""
_RETRYABLE = frozenset({"E1000", "E6716"})
"""Codes for which Replicate advises a retry."""

# Classifying by prose is the exception: models are other people's programs, and without a documented code the text that
# the program raised is the only signal of a prediction's failure.
_TOO_LONG = (
    *CONTEXT_LENGTH_PHRASES,
    "context length",
    "context window",
    "context_length_exceeded",
    "prompt too long",
    "input is too long",
)
"""Lower-case parts of messages about a prompt that is too long."""
_MESSAGE_PARTS: tuple[tuple[str, type[APIStatusError]], ...] = (
    *((part, ContextWindowExceededError) for part in _TOO_LONG),
    ("flagged as sensitive", ContentPolicyViolationError),
    ("content policy", ContentPolicyViolationError),
    ("nsfw content", ContentPolicyViolationError),
    ("invalid input", BadRequestError),
    ("failed validation", BadRequestError),
    ("invalid_request_error", BadRequestError),
)
"""Lower-case part of a failed prediction's error text → class."""
_STATUSES: Mapping[type[APIStatusError], int] = {
    BadRequestError: 400,
    ContextWindowExceededError: 400,
    ContentPolicyViolationError: 400,
    ServiceUnavailableError: 503,
}
"""Class → the status of errors inside a good status; for all others, the status they report, or 500."""
_ENDED = {
    "canceled": "the prediction was canceled while it ran",
    "aborted": "the prediction was aborted before it ran",
    "error": "the prediction failed",
}
"""Reason of an end without a reply → message."""
_KEPT = ("id", "status", "error", "model", "version", "created_at", "completed_at")
"""Fields of a prediction that an error contains: not the input, which contains the prompt, nor the logs, which may."""
_RESET = re.compile(r"resets in ~?(\d+(?:\.\d+)?(?:ms|s|m|h))", re.ASCII)
_LONGEST_RESET = 86_400.0
"""Seconds; a larger number is a Unix time."""
_MAX_RETRY_AFTER = 1e300
"""Seconds; a larger number is an error of the server, and a larger integer would not fit a float."""


def error(response: HttpResponse) -> APIError:
    """The exception for a bad status, with all details of the body.

    `retry_after` of a 429 is the body's number, else the header `ratelimit-reset`, else the time in the body's text
    ("resets in ~30s"), which is the only source with some servers.
    """
    return _error_of_body(loads_or_none(response.body), response, response.status)


def error_in_good_status(body: object, response: HttpResponse) -> APIError | None:
    """The exception for a response with a good status whose body is an error; None for any other body."""
    if not holds_error(body):
        return None
    reported, prediction = read_error(body), optional_object(body) or {}
    if "input" in prediction:  # contains the prompt
        return failure(prediction | {"error": reported.message}, response.headers)
    return _error_of_body(body, response, reported.status or 500)


def _error_of_body(body: object, response: HttpResponse, status: int) -> APIError:
    reported, source = read_error(body), optional_object(body) or {}
    title = optional_str(source.get("title")) or None
    message = reported.message
    param, invalid = _invalid_fields(source.get("invalid_fields"))
    if invalid:
        message = f"{message or 'invalid input'} ({invalid})"
    cls: type[APIError] = class_for_status(status) if status >= 400 else APIResponseError
    if status in CONTEXT_LENGTH_STATUSES and has_phrase(message or "", _TOO_LONG):
        cls = ContextWindowExceededError
    return cls(
        message or message_of_text(response),
        param=param or reported.param,
        status_code=status,
        code=reported.code or title,
        type=reported.type,
        request_id=response.headers.get("x-request-id"),
        retry_after=_retry_after(source, reported, response.headers) if cls is RateLimitError else None,
        headers=response.headers,
        body=as_text(response.body),
    )


def _invalid_fields(value: object) -> tuple[str | None, str]:
    """The first invalid field, and a text about all of them."""
    names = ("field", "description")
    fields = [[as_str(item.get(name)) for name in names] for item in optional_objects(value) or ()]
    text = "; ".join(": ".join(filter(None, parts)) for parts in fields)
    return next((name for name, _ in fields if name), None), text


def _retry_after(source: JsonObject, reported: ReportedError, headers: Mapping[str, str]) -> float | None:
    number = optional_float(source.get("retry_after"))
    if number is not None and 0 <= number < _MAX_RETRY_AFTER:
        return number
    header = seconds(headers.get("ratelimit-reset"))
    if header is not None and header <= _LONGEST_RESET:
        return header
    in_text = _RESET.search(reported.message or "")
    return None if in_text is None else seconds(in_text[1])


# --- errors inside a good status --------------------------------------------------------------------------------------


def reports_error(data: JsonObject) -> bool:
    """Whether the field `error` of a prediction or event is one."""
    return holds_error({"error": data.get("error")})


def failure(prediction: JsonObject, headers: Mapping[str, str]) -> APIStatusError:
    """The exception for a prediction that failed, or was canceled or aborted."""
    status = optional_str(prediction.get("status")) or ""
    reported = prediction.get("error")
    if status in _ENDED:
        words = read_error(reported).message
        exc = _failed(_ENDED[status] + (f": {words}" if words else ""), InternalServerError, status)
    else:
        exc = reported_failure(reported or "the prediction failed; Replicate does not say why")
    exc.type = exc.type or status
    exc.headers, exc.request_id = headers, headers.get("x-request-id")
    exc.body = json.dumps({name: prediction[name] for name in _KEPT if name in prediction}).decode()[:2048]
    return exc


def reported_failure(value: object) -> APIStatusError:
    """The exception for what a failed prediction or an `error` event reports: a text, or an object.

    It is retryable only where Replicate advises a retry: the model has run, and runs are billed.
    """
    reported = read_error(value)
    message = reported.message or as_str(value)
    found = _CODE.search(message)
    code = found[0] if found else reported.code
    folded = message.lower()
    by_status = InternalServerError if reported.status is None else class_for_status(reported.status)
    by_text = next((cls for part, cls in _MESSAGE_PARTS if part in folded), by_status)
    exc = _failed(message, _CODES.get(code or "", by_text), code, reported.status or 500)
    exc.type = reported.type
    return exc


def ended_early(reason: str) -> APIStatusError:
    """The exception for a stream whose `done` event has a reason."""
    return _failed(_ENDED.get(reason, f"the prediction ended early: {reason}"), InternalServerError, reason)


def _failed(message: str, cls: type[APIStatusError], code: str | None, status: int = 500) -> APIStatusError:
    return cls(
        message,
        status_code=_STATUSES.get(cls, status),
        code=code,
        maybe_billed=code not in _RETRYABLE,
        retryable=code in _RETRYABLE,
    )


def unreadable_prediction(problem: str, response: HttpResponse) -> APIResponseError:
    """The exception for a good status whose body is not a prediction; JSON is left out, it may contain the prompt."""
    start = as_text(response.body[:200])
    return APIResponseError(
        f"Replicate's prediction cannot be read: {problem}",
        status_code=response.status,
        request_id=response.headers.get("x-request-id"),
        headers=response.headers,
        body=None if start.lstrip().startswith(("{", "[")) else start,
        maybe_billed=True,
    )
