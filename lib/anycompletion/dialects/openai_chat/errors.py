"""Errors of OpenAI-compatible servers → ours: by structured code first, then by status, never by prose."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from ...codecs.json import dumps, loads
from ...codecs.lenient import NotJSONError
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

_BY_CODE: Mapping[str, type[APIStatusError]] = {
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
"""By `code`, then by `type`, before the status counts."""

_WITHOUT_STATUS: Mapping[str, type[APIStatusError]] = {
    "invalid_api_key": AuthenticationError,
    "model_not_found": NotFoundError,
    "invalid_request_error": BadRequestError,
    "authentication_error": AuthenticationError,
    "permission_error": PermissionDeniedError,
    "not_found_error": NotFoundError,
    "rate_limit_error": RateLimitError,
}
"""By `code`, then by `type`, for errors inside a 200 or a stream; beside a status they say less than it does."""

_BY_ERROR_TYPE: Mapping[str, type[APIStatusError]] = {
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
"""OpenRouter's canonical `metadata.error_type`, which comes before everything else where it is given.

https://openrouter.ai/docs/api-reference/errors
"""


def error(response: HttpResponse) -> APIError:
    """The exception for a bad status: by structured code, then by status."""
    try:
        data = loads(response.body)
    except NotJSONError:
        data = None
    if not data or not isinstance(data, dict):
        data = {"message": as_text(response.body[:200]).strip()}
    return error_of(cast("dict[str, Any]", data), response)


def holds_error(data: Mapping[str, Any]) -> bool:
    """Whether a body of a good status, or an event, is an error all the same."""
    return bool(data.get("error"))


def error_of(body: Any, response: HttpResponse | None, *, body_text: str | None = None) -> APIStatusError:
    """One of ours for an error body: ``{"error": {...}}``, or the flatter forms some servers use."""
    members = _members(body)
    code, kind, param = (_scalar(members.get(name)) for name in ("code", "type", "param"))
    status = response.status if response is not None and response.status >= 400 else _status(code)
    metadata = members.get("metadata")
    canonical = cast("dict[str, Any]", metadata).get("error_type") if isinstance(metadata, dict) else None
    cls = (
        _BY_ERROR_TYPE.get(str(canonical))
        or _BY_CODE.get(code or "")
        or _BY_CODE.get(kind or "")
        or (ContentPolicyViolationError if status == 403 and _is_moderation(metadata) else None)
        or (class_for_status(status) if status is not None else None)
        or _WITHOUT_STATUS.get(code or "")
        or _WITHOUT_STATUS.get(kind or "")
        or InternalServerError
    )
    headers = response.headers if response is not None else None
    return cls(
        _message(members) or (f"HTTP {status}" if status else "the provider reported an error"),
        param=param,
        status_code=status or (response.status if response is not None else None),
        code=code,
        type=kind,
        request_id=headers.get("x-request-id") if headers is not None else None,
        headers=headers,
        body=body_text if body_text is not None or response is None else as_text(response.body),
    )


def _members(body: Any) -> dict[str, Any]:
    """The error object itself; where `error` is only text, its neighbours are the other members."""
    if not isinstance(body, dict):
        return {"message": body}
    outer = cast("dict[str, Any]", body)
    inner = outer.get("error")
    if isinstance(inner, dict):
        return cast("dict[str, Any]", inner)
    return outer if inner is None else outer | {"message": inner}


def _message(members: dict[str, Any]) -> str:
    message = members.get("message")
    if message is None:
        message = members.get("detail")
    if message is None:
        return ""
    said = message if isinstance(message, str) else dumps(message).decode()
    categories = _filtered(members)
    return f"{said} (filtered: {', '.join(categories)})" if categories else said


def _filtered(members: dict[str, Any]) -> list[str]:
    """The categories Azure's content filter objects to."""
    inner: Any = members.get("innererror") or members.get("inner_error")
    results: Any = cast("dict[str, Any]", inner).get("content_filter_result") if isinstance(inner, dict) else None
    if not isinstance(results, dict):
        return []
    found = cast("dict[str, Any]", results).items()
    return [
        name for name, result in found if isinstance(result, dict) and cast("dict[str, Any]", result).get("filtered")
    ]


def _is_moderation(metadata: Any) -> bool:
    """OpenRouter's 403 of a moderated prompt says what was flagged."""
    return isinstance(metadata, dict) and "flagged_input" in metadata


def _scalar(value: Any) -> str | None:
    return None if value is None or isinstance(value, (dict, list)) else str(value)


def _status(code: str | None) -> int | None:
    """Gateways put the status of a failed stream into its code."""
    return int(code) if code is not None and _STATUS.fullmatch(code) else None


_STATUS = re.compile(r"[45][0-9][0-9]")


def as_text(body: bytes) -> str:
    """Bytes for people to read."""
    return body.decode("utf-8", "replace")
