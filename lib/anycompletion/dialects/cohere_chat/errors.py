"""Cohere's errors as exceptions of this package: by structured type and status, by prose in two cases.

https://docs.cohere.com/reference/errors
"""

from __future__ import annotations

from collections.abc import Mapping

from ...codecs.lenient import optional_object, optional_str
from ...errors import (
    APIError,
    APIStatusError,
    ContextWindowExceededError,
    QuotaExceededError,
    class_for_status,
)
from ...http import HttpResponse
from ...records import JsonObject
from ..error_body import ReportedError, holds_error, read_error
from ..error_phrases import CONTEXT_LENGTH_PHRASES, CONTEXT_LENGTH_STATUSES, has_phrase
from ..shared import as_text, error_without_details, loads_or_none

REQUEST_ID = "x-debug-trace-id"
"""The header with the request's id."""

_REPLIES_DESPITE_ERROR = frozenset({"ERROR_LIMIT", "ERROR_TOXIC"})
"""Finish reasons of replies that were cut off by the context window or the content filter."""

_ERROR_FIELDS = ("error", "errors", "object", "type")
"""Fields of a reply that show that it is an error."""

_STATUSES: Mapping[str, int] = {
    "INVALID_TOOL_GENERATION": 422,
    "HALLUCINATED_ALL_TOOL_CALLS": 422,
    "TIMEOUT": 504,
}
"""Error type or finish reason → its usual status, for errors inside a 200 or a stream."""

# Classifying by prose is the exception: most of Cohere's errors are a message and an id. Only the message shows whether
# a 400 is about the length of the prompt, and whether a 429 ends within minutes or with the month.
_TOO_LONG = ("too many tokens", *CONTEXT_LENGTH_PHRASES)
_PER_MONTH = "month"
"""Of the limits of a 429, only a trial key's calls and an account's bill are counted by the month."""


def error(response: HttpResponse) -> APIError:
    """The exception for a bad status, with all details of the body."""
    body = loads_or_none(response.body)
    source: JsonObject = optional_object(body) or {}
    reported = read_error(body)
    if response.status < 400 or reported.message is None:
        return error_without_details(response, REQUEST_ID)
    return _error(reported, source, response.status, response.headers, as_text(response.body))


def error_of_reply(body: object, data: bytes, headers: Mapping[str, str] | None = None) -> APIStatusError | None:
    """The exception if a reply, or an event of a stream, reports an error despite a good status.

    Args:
        body: the decoded JSON; of a stream's end, its `delta`.
        data: the bytes of the reply or event.
        headers: the headers of the response.
    """
    source = optional_object(body)
    if source is None:
        return _error(read_error(body), {}, None, headers, as_text(data)) if holds_error(body) else None
    reason, message = source.get("finish_reason"), optional_object(source.get("message"))
    # A reply may have any other field.
    shown = source if reason is None and message is None else {name: source.get(name) for name in _ERROR_FIELDS}
    if not (holds_error(shown) or _is_failure(optional_str(reason))):
        return None
    if message is not None:  # the reply's
        source = {name: value for name, value in source.items() if name != "message"}
    return _error(read_error(source), source, None, headers, as_text(data))


def _is_failure(reason: str | None) -> bool:
    folded = (reason or "").upper()
    return folded == "TIMEOUT" or (folded.startswith("ERROR") and folded not in _REPLIES_DESPITE_ERROR)


def _error(
    reported: ReportedError, source: JsonObject, status: int | None, headers: Mapping[str, str] | None, body: str | None
) -> APIStatusError:
    """The exception; without a status (inside a good one or a stream), the error's code or type gives it."""
    reason = optional_str(source.get("finish_reason"))
    kind = optional_str(source.get("error_type")) or reported.type
    code = reported.code or kind or (reason if _is_failure(reason) else None)
    message = reported.message or _default_message(reason)
    status = status or reported.status or _usual_status(code, message)
    return _error_class(status, message)(
        message,
        param=reported.param,
        status_code=status,
        type=kind or code,
        code=code,
        request_id=(headers or {}).get(REQUEST_ID) or reported.request_id,
        headers=headers,
        body=body,
    )


def _default_message(reason: str | None) -> str:
    return "the generation ran into a timeout" if reason == "TIMEOUT" else "the generation failed"


def _usual_status(code: str | None, message: str) -> int:
    return 400 if has_phrase(message, _TOO_LONG) else _STATUSES.get(code or "", 500)


def _error_class(status: int, message: str) -> type[APIStatusError]:
    if status in CONTEXT_LENGTH_STATUSES and has_phrase(message, _TOO_LONG):
        return ContextWindowExceededError
    if status == 429 and _PER_MONTH in message.lower():
        return QuotaExceededError
    return class_for_status(status)
