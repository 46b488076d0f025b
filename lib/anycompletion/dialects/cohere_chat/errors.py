"""Cohere's errors as this package's exceptions: by structured type and status, by text where there is nothing else.

https://docs.cohere.com/reference/errors

Most of Cohere's errors are a message and an id. Whether a 400 is about length, and whether a 429 goes away in a minute
or next month, only the message tells: those two are read from its text.
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
    ContextWindowExceededError,
    QuotaExceededError,
    class_for_status,
)
from ...http import HttpResponse

FAILED = frozenset({"ERROR", "TIMEOUT"})
"""Finish reasons of a generation that failed."""

_STATUSES: Mapping[str, int] = {
    "INVALID_TOOL_GENERATION": 422,
    "HALLUCINATED_ALL_TOOL_CALLS": 422,
    "TIMEOUT": 504,
}
"""Error type or finish reason → the status it comes with when it does not come inside a 200."""

_TOO_LONG = "too many tokens"
_PER_MONTH = "month"
"""Of the limits of a 429 only a trial key's calls and an account's bill count by the month."""


def error(response: HttpResponse) -> APIError:
    """The exception for a bad status, with everything the body tells."""
    text = response.body.decode("utf-8", "replace")
    try:
        data = json.loads(response.body)
    except NotJSONError:
        data = None
    told = _text(cast("dict[str, Any]", data).get("message")) if isinstance(data, dict) else None
    if told is None or 300 <= response.status < 400:
        cls = APIResponseError if 300 <= response.status < 400 else class_for_status(response.status)
        return cls(
            f"HTTP {response.status}: {text[:200]}" if text else f"HTTP {response.status}",
            status_code=response.status,
            request_id=response.headers.get("x-debug-trace-id"),
            headers=response.headers,
            body=text,
        )
    return error_of(cast("dict[str, Any]", data), response.status, response.headers, text)


def error_of(
    data: dict[str, Any], status: int | None = None, headers: Mapping[str, str] | None = None, body: str | None = None
) -> APIStatusError:
    """The exception for an error object, which may be the delta of a stream's end or a reply that failed.

    Without a status (it came inside a good one) the error's type tells that too.
    """
    reason, kind = _text(data.get("finish_reason")), _text(data.get("error_type"))
    code = kind or (reason if reason in FAILED else None)
    message = _text(data.get("error")) or _text(data.get("message")) or _unsaid(reason)
    status = status or _usual_status(code, message)
    return _class(status, message)(
        message,
        status_code=status,
        type=code,
        code=code,
        request_id=(headers or {}).get("x-debug-trace-id") or _text(data.get("id")),
        headers=headers,
        body=body,
    )


def _unsaid(reason: str | None) -> str:
    return "the generation ran into a timeout" if reason == "TIMEOUT" else "the generation failed"


def _usual_status(code: str | None, message: str) -> int:
    return 400 if _TOO_LONG in message.lower() else _STATUSES.get(code or "", 500)


def _class(status: int, message: str) -> type[APIStatusError]:
    folded = message.lower()
    if status == 400 and _TOO_LONG in folded:
        return ContextWindowExceededError
    if status == 429 and _PER_MONTH in folded:
        return QuotaExceededError
    return class_for_status(status)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
