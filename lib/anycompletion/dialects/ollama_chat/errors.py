"""Ollama's errors as exceptions of this package: by status, by prose where the context window is exceeded.

https://docs.ollama.com/api/errors

An error is a text without a code: ``{"error": "model 'x' not found"}``. One in a running stream has no status either.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...codecs.lenient import optional_object
from ...errors import APIError, APIStatusError, ContextWindowExceededError, class_for_status
from ...http import HttpResponse
from ..error_body import ReportedError, holds_error, read_error
from ..error_phrases import CONTEXT_LENGTH_STATUSES, has_phrase
from ..shared import as_text, error_without_details, loads_or_none

REQUEST_ID = "x-request-id"
"""The header with the request's id; only servers of the cloud have ids."""


def error(response: HttpResponse) -> APIError:
    """The exception for a bad status, with all details of the body."""
    reported = read_error(loads_or_none(response.body))
    if response.status < 400 or reported.message is None:
        return error_without_details(response, REQUEST_ID)
    return _error(reported, response.status, response.headers, as_text(response.body))


def error_of_reply(body: object, data: bytes, headers: Mapping[str, str] | None = None) -> APIStatusError | None:
    """The exception if a reply, or a line of a stream, reports an error despite a good status.

    Args:
        body: the decoded JSON.
        data: the bytes of the reply or line.
        headers: the headers of the response.
    """
    source = optional_object(body)
    shown: object = body
    if source is not None:
        is_reply = "done" in source or isinstance(source.get("message"), dict)
        if is_reply and source.get("error") is None:
            return None
        shown = {"error": source["error"]} if is_reply else source
    return _error(read_error(shown), None, headers, as_text(data)) if holds_error(shown) else None


def _error(reported: ReportedError, status: int | None, headers: Mapping[str, str] | None, body: str) -> APIStatusError:
    message = reported.message or "the generation failed"
    too_long = has_phrase(message)
    status = status or reported.status or (400 if too_long else 500)
    cls = ContextWindowExceededError if too_long and status in CONTEXT_LENGTH_STATUSES else class_for_status(status)
    return cls(
        message,
        param=reported.param,
        status_code=status,
        type=reported.type,
        code=reported.code,
        request_id=(headers or {}).get(REQUEST_ID) or reported.request_id,
        headers=headers,
        body=body,
    )
