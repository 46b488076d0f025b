"""Errors as comparable plain values, of this package and of the SDKs, which share no code."""

import re
from typing import Any

import anthropic
import openai

from anycompletion import APIError
from anycompletion.testing import Recording
from conformance import traffic
from conformance.comparing import Facts
from conformance.expected import REQUEST_ID_HEADERS


def of_our_error(error: APIError) -> Facts:
    """The values of this package's exception; Anthropic's `type` is its `code` as well."""
    return {
        "status_code": error.status_code,
        "code": error.code,
        "type": error.type,
        "param": error.param,
        "message": error.message,
        "request_id": error.request_id,
    }


def of_openai_error(error: openai.APIError, recording: Recording) -> Facts:
    """The values of an exception of OpenAI's SDK; one inside a good status has no status of its own."""
    if not isinstance(error, openai.APIStatusError):
        return of_error_object(error.body, recording)
    return of_error_object(error.body, recording) | {"status_code": error.status_code}


def of_error_object(body: Any, recording: Recording) -> Facts:
    """The values of an error object; a gateway's code can be the status of the server behind it."""
    error = _object(body)
    code = error.get("code")
    # Groq's errors inside a stream have the status as a field.
    named = [str(value) for value in (error.get("status_code"), code) if re.fullmatch("[45][0-9][0-9]", str(value))]
    status = int(named[0]) if named and recording.status < 400 else recording.status
    message = error.get("message")
    return {
        "status_code": status,
        "code": _text(code),
        "type": _text(error.get("type")),
        "param": _text(error.get("param")),
        "message": message if isinstance(message, str) else None,
        "request_id": _request_id(recording),
    }


def _text(value: Any) -> str | None:
    return None if value in (None, "") or isinstance(value, (dict, list)) else str(value)


def _request_id(recording: Recording) -> str | None:
    """OpenAI's header, else the provider's own."""
    own = REQUEST_ID_HEADERS.get(traffic.row_of(recording).name, "x-request-id")
    return recording.headers.get("x-request-id") or recording.headers.get(own)


ANTHROPIC_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""Anthropic's error type → its usual status, for errors inside a stream, whose status is 200."""


def of_anthropic_error(error: anthropic.APIStatusError) -> Facts:
    """The values of an exception of Anthropic's SDK; its errors have a type and no code."""
    body = _object(error.body)
    details = _object(body.get("error"))
    kind = details.get("type")
    return {
        "status_code": ANTHROPIC_STATUS.get(kind, 500) if error.status_code < 400 else error.status_code,
        "code": error.type,
        "type": kind,
        "message": details.get("message"),
        # The SDK reads the header only; the body contains the id as well.
        "request_id": error.request_id or body.get("request_id"),
    }


def _object(value: Any) -> Facts:
    return value if isinstance(value, dict) else {}
