"""OpenAI-compatible errors as exceptions of this package: by structured code first, then by status, never by prose.

https://platform.openai.com/docs/guides/error-codes
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from ...codecs.json import dumps
from ...errors import (
    APIError,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ContentPolicyViolationError,
    ContextWindowExceededError,
    InternalServerError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    ServiceUnavailableError,
    UnprocessableEntityError,
    class_for_status,
)
from ...http import HttpResponse
from ...records import JsonObject
from ..shared import as_text, loads_or_none

_BY_OPENROUTER_TYPE: Mapping[str, type[APIStatusError]] = {
    "context_length_exceeded": ContextWindowExceededError,
    "max_tokens_exceeded": BadRequestError,
    "token_limit_exceeded": ContextWindowExceededError,
    "string_too_long": ContextWindowExceededError,
    "authentication": AuthenticationError,
    "permission_denied": PermissionDeniedError,
    "payment_required": QuotaExceededError,
    "rate_limit_exceeded": RateLimitError,
    "provider_overloaded": OverloadedError,
    "provider_unavailable": ServiceUnavailableError,
    "not_found": NotFoundError,
    "unprocessable": UnprocessableEntityError,
    "content_policy_violation": ContentPolicyViolationError,
    "refusal": ContentPolicyViolationError,
    "server": InternalServerError,
    "timeout": InternalServerError,
}
"""OpenRouter's canonical `metadata.error_type` → class.

https://openrouter.ai/docs/api-reference/errors
"""

_BY_CODE_OR_TYPE: Mapping[str, type[APIStatusError]] = {
    "context_length_exceeded": ContextWindowExceededError,
    "content_policy_violation": ContentPolicyViolationError,
    "content_filter": ContentPolicyViolationError,
    "insufficient_quota": QuotaExceededError,
    "billing_hard_limit_reached": QuotaExceededError,
    "billing_not_active": QuotaExceededError,
    "credit_balance_exhausted": QuotaExceededError,
    "enforced_spend_limit_reached": QuotaExceededError,
    "quota_exceeded": QuotaExceededError,
    "rate_limit_exceeded": RateLimitError,
    "overloaded": OverloadedError,
    "overloaded_error": OverloadedError,
    "server_overloaded": OverloadedError,
}
"""`code` or `type` → class."""

_WITHOUT_STATUS: Mapping[str, type[APIStatusError]] = {
    "invalid_api_key": AuthenticationError,
    "model_not_found": NotFoundError,
    "invalid_request_error": BadRequestError,
    "authentication_error": AuthenticationError,
    "permission_error": PermissionDeniedError,
    "not_found_error": NotFoundError,
    "rate_limit_error": RateLimitError,
}
"""`code` or `type` → class, for errors inside a 200 or a stream; a status is more precise than these."""


def error(response: HttpResponse) -> APIError:
    """The exception for a response with a bad status."""
    data = loads_or_none(response.body)
    if not data or not isinstance(data, dict):
        data = {"message": as_text(response.body[:200]).strip()}
    return error_from_body(cast("dict[str, Any]", data), response)


def holds_error(data: Mapping[str, Any]) -> bool:
    """Whether the body of a good status, or an event, is an error."""
    return bool(data.get("error"))


def error_from_body(body: Any, response: HttpResponse | None, *, body_text: str | None = None) -> APIStatusError:
    """The exception for an error body: ``{"error": {...}}``, or the flatter forms of some servers."""
    fields = _error_object(body)
    code, kind, param = (_scalar(fields.get(name)) for name in ("code", "type", "param"))
    status = response.status if response is not None and response.status >= 400 else _status(code)
    headers = response.headers if response is not None else None
    return _error_class(fields, code or "", kind or "", status)(
        _message(fields) or (f"HTTP {status}" if status else "the provider reported an error"),
        param=param,
        status_code=status or (response.status if response is not None else None),
        code=code,
        type=kind,
        request_id=headers.get("x-request-id") if headers is not None else None,
        headers=headers,
        body=body_text if body_text is not None or response is None else as_text(response.body),
    )


def _error_class(fields: JsonObject, code: str, kind: str, status: int | None) -> type[APIStatusError]:
    """The class by OpenRouter's error type, else by code, else by type, else by status."""
    found: object = fields.get("metadata")
    metadata = cast("JsonObject", found if isinstance(found, dict) else {})
    by_code = _first(
        (_BY_OPENROUTER_TYPE, str(metadata.get("error_type"))),
        (_BY_CODE_OR_TYPE, code),
        (_BY_CODE_OR_TYPE, kind),
    )
    if by_code is not None:
        return by_code
    if status is None:
        return _first((_WITHOUT_STATUS, code), (_WITHOUT_STATUS, kind)) or InternalServerError
    # OpenRouter's 403 for a moderated prompt contains what was flagged.
    return ContentPolicyViolationError if status == 403 and "flagged_input" in metadata else class_for_status(status)


def _first(*lookups: tuple[Mapping[str, type[APIStatusError]], str]) -> type[APIStatusError] | None:
    """The first class that a table has for its key."""
    return next((table[key] for table, key in lookups if key in table), None)


def _error_object(body: Any) -> dict[str, Any]:
    """The error object; where `error` is a text instead, the object around it with that text as its message."""
    if not isinstance(body, dict):
        return {"message": body}
    outer = cast("dict[str, Any]", body)
    inner = outer.get("error")
    if isinstance(inner, dict):
        return cast("dict[str, Any]", inner)
    return outer if inner is None else outer | {"message": inner}


def _message(fields: dict[str, Any]) -> str:
    message = fields.get("message")
    if message is None:
        message = fields.get("detail")
    if message is None:
        return ""
    text = message if isinstance(message, str) else dumps(message).decode()
    categories = _filtered(fields)
    return f"{text} (filtered: {', '.join(categories)})" if categories else text


def _filtered(fields: dict[str, Any]) -> list[str]:
    """The categories that Azure's content filter found."""
    inner: Any = fields.get("innererror") or fields.get("inner_error")
    results: Any = cast("dict[str, Any]", inner).get("content_filter_result") if isinstance(inner, dict) else None
    if not isinstance(results, dict):
        return []
    found = cast("dict[str, Any]", results).items()
    return [
        name for name, result in found if isinstance(result, dict) and cast("dict[str, Any]", result).get("filtered")
    ]


def _scalar(value: Any) -> str | None:
    return None if value is None or isinstance(value, (dict, list)) else str(value)


def _status(code: str | None) -> int | None:
    """The status in an error's code, where gateways put it for a failed stream."""
    return int(code) if code is not None and re.fullmatch(_STATUS, code) else None


_STATUS = "[45][0-9][0-9]"
