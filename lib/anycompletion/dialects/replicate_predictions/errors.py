"""Replicate's errors as exceptions of this package. Raises nothing itself.

https://replicate.com/docs/reference/http#errors
https://replicate.com/docs/reference/error-codes

A bad status is classified by its number. A failed prediction has a good status and an error text: it is classified by
the documented code in the text (E6716), otherwise by prose.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from ...codecs import json
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
_MESSAGE_PARTS: tuple[tuple[str, type[APIStatusError]], ...] = (
    ("context length", ContextWindowExceededError),
    ("context window", ContextWindowExceededError),
    ("context_length_exceeded", ContextWindowExceededError),
    ("exceed context limit", ContextWindowExceededError),
    ("prompt is too long", ContextWindowExceededError),
    ("prompt too long", ContextWindowExceededError),
    ("input is too long", ContextWindowExceededError),
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
"""Class → the status of errors inside a good status; 500 for all others."""
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
    body = as_text(response.body)
    found = loads_or_none(response.body)
    data = cast("JsonObject", found) if isinstance(found, dict) else {}
    detail, title = _as_message(data.get("detail")), _as_message(data.get("title"))
    message = detail or title
    param, invalid = _invalid_fields(data.get("invalid_fields"))
    if invalid:
        message = f"{message or 'invalid input'} ({invalid})"
    if message is None:
        message = message_of_text(response)
    cls = class_for_status(response.status) if response.status >= 400 else APIResponseError
    return cls(
        message,
        param=param,
        status_code=response.status,
        code=title,
        type=_as_message(data.get("type")),
        request_id=response.headers.get("x-request-id"),
        retry_after=_retry_after(data, response.headers) if cls is RateLimitError else None,
        headers=response.headers,
        body=body,
    )


def _as_message(value: object) -> str | None:
    """A string unchanged, another value as JSON, an empty one as None."""
    if value is None or isinstance(value, str):
        return value or None
    return json.dumps(value).decode()


def _invalid_fields(value: object) -> tuple[str | None, str]:
    """The first invalid field, and a text about all of them."""
    fields: list[tuple[str, str]] = []
    for item in cast("list[object]", value) if isinstance(value, list) else []:
        if isinstance(item, dict):
            field = cast("JsonObject", item)
            fields.append((_as_message(field.get("field")) or "", _as_message(field.get("description")) or ""))
    text = "; ".join(": ".join(part for part in parts if part) for parts in fields)
    return next((name for name, _ in fields if name), None), text


def _retry_after(data: JsonObject, headers: Mapping[str, str]) -> float | None:
    number = data.get("retry_after")
    if isinstance(number, (int, float)) and not isinstance(number, bool) and 0 <= number < _MAX_RETRY_AFTER:
        return float(number)
    header = seconds(headers.get("ratelimit-reset"))
    if header is not None and header <= _LONGEST_RESET:
        return header
    in_text = _RESET.search(_as_message(data.get("detail")) or "")
    return None if in_text is None else seconds(in_text[1])


# --- errors inside a good status --------------------------------------------------------------------------------------


def failure(prediction: JsonObject, headers: Mapping[str, str]) -> APIStatusError:
    """The exception for a prediction that failed, or was canceled or aborted."""
    status = _as_message(prediction.get("status")) or ""
    message = _as_message(prediction.get("error"))
    if status in _ENDED:
        message = _ENDED[status] + (f": {message}" if message else "")
        exc = _failed(message, InternalServerError, status)
    else:
        exc = failure_of_text(message or "the prediction failed; Replicate does not say why")
    exc.type = status
    exc.headers, exc.request_id = headers, headers.get("x-request-id")
    exc.body = json.dumps({name: prediction[name] for name in _KEPT if name in prediction}).decode()[:2048]
    return exc


def failure_of_text(message: str) -> APIStatusError:
    """The exception for a failure's error text.

    It is retryable only where Replicate advises a retry: the model has run, and runs are billed.
    """
    found = _CODE.search(message)
    code = found[0] if found else None
    folded = message.lower()
    by_text = next((cls for part, cls in _MESSAGE_PARTS if part in folded), InternalServerError)
    return _failed(message, _CODES.get(code or "", by_text), code)


def ended_early(reason: str) -> APIStatusError:
    """The exception for a stream whose `done` event has a reason."""
    return _failed(_ENDED.get(reason, f"the prediction ended early: {reason}"), InternalServerError, reason)


def _failed(message: str, cls: type[APIStatusError], code: str | None) -> APIStatusError:
    return cls(
        message,
        status_code=_STATUSES.get(cls, 500),
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
    )


def error_event(data: Any, raw: str) -> APIStatusError:
    """The exception for an `error` event, with its detail, or with the event itself if that is not a JSON object."""
    found = cast("JsonObject", data).get("detail") if isinstance(data, dict) else data
    return failure_of_text(_as_message(found) or raw or "the stream failed; Replicate does not say why")
