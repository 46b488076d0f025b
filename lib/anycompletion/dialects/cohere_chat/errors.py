"""Cohere's errors as exceptions of this package: by structured type and status, by prose in two cases.

https://docs.cohere.com/reference/errors
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ...errors import (
    APIError,
    APIStatusError,
    ContextWindowExceededError,
    QuotaExceededError,
    class_for_status,
)
from ...http import HttpResponse
from ..shared import as_text, error_without_details, loads_or_none, non_empty_str

REQUEST_ID = "x-debug-trace-id"
"""The header with the request's id."""

FAILED = frozenset({"ERROR", "TIMEOUT"})
"""Finish reasons of a generation that failed."""

_STATUSES: Mapping[str, int] = {
    "INVALID_TOOL_GENERATION": 422,
    "HALLUCINATED_ALL_TOOL_CALLS": 422,
    "TIMEOUT": 504,
}
"""Error type or finish reason → its usual status, for errors inside a 200 or a stream."""

# Classifying by prose is the exception: most of Cohere's errors are a message and an id. Only the message shows whether
# a 400 is about the length of the prompt, and whether a 429 ends within minutes or with the month.
_TOO_LONG = "too many tokens"
_PER_MONTH = "month"
"""Of the limits of a 429, only a trial key's calls and an account's bill are counted by the month."""


def error(response: HttpResponse) -> APIError:
    """The exception for a bad status, with all details of the body."""
    found = loads_or_none(response.body)
    data = cast("dict[str, Any]", found if isinstance(found, dict) else {})
    if 300 <= response.status < 400 or non_empty_str(data.get("message")) is None:
        return error_without_details(response, REQUEST_ID)
    return error_from_body(data, response.status, response.headers, as_text(response.body))


def error_from_body(
    data: dict[str, Any], status: int | None = None, headers: Mapping[str, str] | None = None, body: str | None = None
) -> APIStatusError:
    """The exception for an error object, the delta of a stream's end, or a failed reply.

    Without a status (inside a good one or a stream), the error's type gives it.
    """
    reason, kind = non_empty_str(data.get("finish_reason")), non_empty_str(data.get("error_type"))
    code = kind or (reason if reason in FAILED else None)
    message = non_empty_str(data.get("error")) or non_empty_str(data.get("message")) or _default_message(reason)
    status = status or _usual_status(code, message)
    return _error_class(status, message)(
        message,
        status_code=status,
        type=code,
        code=code,
        request_id=(headers or {}).get(REQUEST_ID) or non_empty_str(data.get("id")),
        headers=headers,
        body=body,
    )


def _default_message(reason: str | None) -> str:
    return "the generation ran into a timeout" if reason == "TIMEOUT" else "the generation failed"


def _usual_status(code: str | None, message: str) -> int:
    return 400 if _TOO_LONG in message.lower() else _STATUSES.get(code or "", 500)


def _error_class(status: int, message: str) -> type[APIStatusError]:
    folded = message.lower()
    if status == 400 and _TOO_LONG in folded:
        return ContextWindowExceededError
    if status == 429 and _PER_MONTH in folded:
        return QuotaExceededError
    return class_for_status(status)
