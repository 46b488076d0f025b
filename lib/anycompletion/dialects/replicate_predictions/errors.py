"""Replicate's errors as this package's exceptions; raises nothing itself.

https://replicate.com/docs/reference/http#errors
https://replicate.com/docs/reference/error-codes

A bad status is read by its number. A prediction that failed is a good status with a text in it: there the documented
codes (E6716) count first, and for everything else that text is the only signal there is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from ...codecs import json
from ...codecs.lenient import NotJSONError
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

_CODE = re.compile(r"\bE\d{3,4}\b")
_CODES: Mapping[str, type[APIStatusError]] = {
    "E1000": InternalServerError,
    "E1001": InternalServerError,
    "E4875": BadRequestError,
    "E6716": ServiceUnavailableError,
}
_TRY_AGAIN = frozenset({"E1000", "E6716"})
"""Codes for which Replicate itself advises to try again."""
_TEXTS: tuple[tuple[str, type[APIStatusError]], ...] = (
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
_STATUSES: Mapping[type[APIStatusError], int] = {
    BadRequestError: 400,
    ContextWindowExceededError: 400,
    ContentPolicyViolationError: 400,
    ServiceUnavailableError: 503,
}
_ENDED = {
    "canceled": "the prediction was canceled while it ran",
    "aborted": "the prediction was aborted before it ran",
    "error": "the prediction failed",
}
_KEPT = ("id", "status", "error", "model", "version", "created_at", "completed_at")
"""What of a prediction goes into an error: not the input, which holds the prompt, nor the logs, which may."""
_RESET = re.compile(r"resets in ~?(\d+(?:\.\d+)?(?:ms|s|m|h))", re.ASCII)
_LONGEST_RESET = 86_400.0
"""Seconds; a larger number is a point in time."""
_NO_WAIT = 1e300
"""Seconds that nobody means; a larger integer would not even be a float."""


def error(response: HttpResponse) -> APIError:
    """The exception for a bad status, with everything the body tells.

    `retry_after` of a 429 comes from the body's own number, else from `ratelimit-reset`, else from its sentence
    ("resets in ~30s"), the only place where some servers say it.
    """
    body = response.body.decode("utf-8", "replace")
    try:
        found = json.loads(response.body)
    except NotJSONError:
        found = None
    data = cast("JsonObject", found) if isinstance(found, dict) else {}
    detail, title = _words(data.get("detail")), _words(data.get("title"))
    message = detail or title
    param, invalid = _invalid_fields(data.get("invalid_fields"))
    if invalid:
        message = f"{message or 'invalid input'} ({invalid})"
    if message is None:
        message = f"HTTP {response.status}: {body[:200]}" if body else f"HTTP {response.status}"
    cls = class_for_status(response.status) if response.status >= 400 else APIResponseError
    return cls(
        message,
        param=param,
        status_code=response.status,
        code=title,
        type=_words(data.get("type")),
        request_id=response.headers.get("x-request-id"),
        retry_after=_retry_after(data, response.headers) if cls is RateLimitError else None,
        headers=response.headers,
        body=body,
    )


def _words(value: object) -> str | None:
    """A text; what should be one and is not, as JSON."""
    if value is None or isinstance(value, str):
        return value or None
    return json.dumps(value).decode()


def _invalid_fields(value: object) -> tuple[str | None, str]:
    """The first field at fault, and a sentence of all."""
    fields: list[tuple[str, str]] = []
    for item in cast("list[object]", value) if isinstance(value, list) else []:
        if isinstance(item, dict):
            told = cast("JsonObject", item)
            fields.append((_words(told.get("field")) or "", _words(told.get("description")) or ""))
    sentence = "; ".join(": ".join(part for part in field if part) for field in fields)
    return next((name for name, _ in fields if name), None), sentence


def _retry_after(data: JsonObject, headers: Mapping[str, str]) -> float | None:
    told = data.get("retry_after")
    if isinstance(told, (int, float)) and not isinstance(told, bool) and 0 <= told < _NO_WAIT:
        return float(told)
    header = seconds(headers.get("ratelimit-reset"))
    if header is not None and header <= _LONGEST_RESET:
        return header
    sentence = _RESET.search(_words(data.get("detail")) or "")
    return None if sentence is None else seconds(sentence[1])


# --- errors inside a good status --------------------------------------------------------------------------------------


def failure(prediction: JsonObject, headers: Mapping[str, str]) -> APIStatusError:
    """The exception for a prediction that failed, or was canceled or aborted."""
    status = _words(prediction.get("status")) or ""
    message = _words(prediction.get("error"))
    if status in _ENDED:
        message = _ENDED[status] + (f": {message}" if message else "")
        fault = _failed(message, InternalServerError, status)
    else:
        fault = failure_of_text(message or "the prediction failed; Replicate does not say why")
    fault.type = status
    fault.headers, fault.request_id = headers, headers.get("x-request-id")
    fault.body = json.dumps({name: prediction[name] for name in _KEPT if name in prediction}).decode()[:2048]
    return fault


def failure_of_text(message: str) -> APIStatusError:
    """The exception for the text of a failure.

    Such an error is retried only where Replicate advises it: the model has run, and runs are paid for.
    """
    found = _CODE.search(message)
    code = found[0] if found else None
    folded = message.lower()
    by_text = next((cls for part, cls in _TEXTS if part in folded), InternalServerError)
    return _failed(message, _CODES.get(code or "", by_text), code)


def ended_early(reason: str) -> APIStatusError:
    """The exception for a stream that is done for another reason than its own end."""
    return _failed(_ENDED.get(reason, f"the prediction ended early: {reason}"), InternalServerError, reason)


def _failed(message: str, cls: type[APIStatusError], code: str | None) -> APIStatusError:
    return cls(
        message,
        status_code=_STATUSES.get(cls, 500),
        code=code,
        maybe_billed=code not in _TRY_AGAIN,
        retryable=code in _TRY_AGAIN,
    )


def unreadable(problem: str, response: HttpResponse) -> APIResponseError:
    """The exception for a good status whose body is no prediction; JSON is not shown, it may hold the prompt."""
    start = response.body[:200].decode("utf-8", "replace")
    return APIResponseError(
        f"Replicate's prediction cannot be read: {problem}",
        status_code=response.status,
        request_id=response.headers.get("x-request-id"),
        headers=response.headers,
        body=None if start.lstrip().startswith(("{", "[")) else start,
    )


def error_event(data: Any, raw: str) -> APIStatusError:
    """The exception for an `error` event: its detail, or where it is no JSON object, itself."""
    found = cast("JsonObject", data).get("detail") if isinstance(data, dict) else data
    return failure_of_text(_words(found) or raw or "the stream failed; Replicate does not say why")
