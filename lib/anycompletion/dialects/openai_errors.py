"""Errors of OpenAI's APIs and of compatible servers as exceptions of this package: by structured code, then by status.

https://platform.openai.com/docs/guides/error-codes

The chat API and the Responses API report errors alike. Prose decides only whether the context window is exceeded, and
only where no code decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ..errors import (
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
from ..http import HttpResponse
from ..records import JsonObject
from .error_body import page_title, read_error
from .error_phrases import CONTEXT_LENGTH_STATUSES, has_phrase
from .shared import as_text, loads_or_none, message_of_text

_UPSTREAM_LIMIT = 300
"""Characters of an upstream's message that are shown after a gateway's own."""

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
"""OpenRouter's canonical `error_type`, in the metadata of the chat API's errors and beside the Responses API's → class.

https://openrouter.ai/docs/api-reference/errors
"""

_BY_CODE_OR_TYPE: Mapping[str, type[APIStatusError]] = {
    "context_length_exceeded": ContextWindowExceededError,
    "exceed_context_size_error": ContextWindowExceededError,
    "content_policy_violation": ContentPolicyViolationError,
    "content_filter": ContentPolicyViolationError,
    "bio_policy": ContentPolicyViolationError,
    "misalignment_policy_violation": ContentPolicyViolationError,
    "image_content_policy_violation": ContentPolicyViolationError,
    "insufficient_quota": QuotaExceededError,
    "usage_not_included": QuotaExceededError,
    "billing_hard_limit_reached": QuotaExceededError,
    "billing_not_active": QuotaExceededError,
    "credit_balance_exhausted": QuotaExceededError,
    "enforced_spend_limit_reached": QuotaExceededError,
    "quota_exceeded": QuotaExceededError,
    "rate_limit_exceeded": RateLimitError,
    "overloaded": OverloadedError,
    "overloaded_error": OverloadedError,
    "server_overloaded": OverloadedError,
    "server_is_overloaded": OverloadedError,
    "slow_down": OverloadedError,
}
"""`code` or `type` → class."""

_WITHOUT_STATUS: Mapping[str, type[APIStatusError]] = {
    "invalid_api_key": AuthenticationError,
    "model_not_found": NotFoundError,
    "invalid_request_error": BadRequestError,
    "invalid_prompt": BadRequestError,
    "invalid_encrypted_content": BadRequestError,
    "data_residency_mismatch": BadRequestError,
    "unsupported_file": BadRequestError,
    "failed_to_download_image": BadRequestError,
    "invalid_image": BadRequestError,
    "invalid_image_format": BadRequestError,
    "invalid_base64_image": BadRequestError,
    "invalid_image_url": BadRequestError,
    "invalid_image_mode": BadRequestError,
    "image_too_large": BadRequestError,
    "image_too_small": BadRequestError,
    "image_file_too_large": BadRequestError,
    "image_file_not_found": BadRequestError,
    "image_parse_error": BadRequestError,
    "unsupported_image_media_type": BadRequestError,
    "empty_image_file": BadRequestError,
    "authentication_error": AuthenticationError,
    "permission_error": PermissionDeniedError,
    "not_found_error": NotFoundError,
    "rate_limit_error": RateLimitError,
}
"""`code` or `type` → class, for errors inside a 200 or a stream; a status is more precise than these."""

_BY_MINIMAX_STATUS: Mapping[str, type[APIStatusError]] = {
    "1000": InternalServerError,
    "1001": InternalServerError,
    "1002": RateLimitError,
    "1004": AuthenticationError,
    "1008": QuotaExceededError,
    "1013": InternalServerError,
    "1024": InternalServerError,
    "1026": ContentPolicyViolationError,
    "1027": ContentPolicyViolationError,
    "1033": InternalServerError,
    "1039": RateLimitError,
    "1041": RateLimitError,
    "1042": BadRequestError,
    "2013": BadRequestError,
    "2045": RateLimitError,
    "2049": AuthenticationError,
    "2056": QuotaExceededError,
    "2061": PermissionDeniedError,
}
"""MiniMax's `base_resp.status_code` → class.

https://platform.minimax.io/docs/api-reference/errorcode
"""

_PHRASE_STATUSES = frozenset((None, *CONTEXT_LENGTH_STATUSES, 500))
"""Statuses of errors whose message is searched for `CONTEXT_LENGTH_PHRASES`; None inside a stream or a good status."""


def error(response: HttpResponse) -> APIError:
    """The exception for a response with a bad status."""
    data = loads_or_none(response.body)
    if not data or _is_of_unknown_shape(data):
        is_page = page_title(response.body) is not None
        data = {"message": message_of_text(response) if is_page else as_text(response.body[:200]).strip()}
    return error_from_body(data, response)


def _is_of_unknown_shape(data: object) -> bool:
    """Whether a body has no message in any known place, so that only its text can show what is wrong."""
    return isinstance(data, dict) and "error" not in data and read_error(data).message is None


def error_from_body(body: Any, response: HttpResponse | None, *, body_text: str | None = None) -> APIStatusError:
    """The exception for an error body in any shape, or for a reply or chunk with a failed choice.

    Args:
        body: decoded JSON, or a text.
        response: None for an event of a stream.
        body_text: what the exception keeps as its body; by default that of `response`.
    """
    reported = read_error(body)
    fields, code, kind = reported.fields, reported.code, reported.type
    status = response.status if response is not None and response.status >= 400 else reported.status
    headers = response.headers if response is not None else None
    message = _with_details(reported.message or "", fields)
    around = cast("JsonObject", body) if isinstance(body, dict) else {}
    canonical = _object(fields, "metadata").get("error_type") or around.get("error_type")
    return _error_class(fields, str(canonical), code or "", kind or "", status, message)(
        message or (f"HTTP {status}" if status else "the provider reported an error"),
        param=reported.param,
        status_code=status or (response.status if response is not None else None),
        code=code,
        type=kind,
        request_id=(None if headers is None else headers.get("x-request-id")) or reported.request_id,
        headers=headers,
        body=body_text if body_text is not None or response is None else as_text(response.body),
        maybe_billed="failed_choice" in fields,
    )


def _error_class(
    fields: JsonObject, canonical: str, code: str, kind: str, status: int | None, message: str
) -> type[APIStatusError]:
    """The class by OpenRouter's error type, else by code, type, prose about the context window, or status."""
    metadata = _object(fields, "metadata")
    by_code = _first(
        (_BY_OPENROUTER_TYPE, canonical),
        (_BY_CODE_OR_TYPE, code),
        (_BY_CODE_OR_TYPE, kind),
    )
    if by_code is not None:
        return by_code
    if status in _PHRASE_STATUSES and has_phrase(message):
        return ContextWindowExceededError
    if "base_resp" in fields:
        return _BY_MINIMAX_STATUS.get(code, InternalServerError)
    if status is None:
        return _first((_WITHOUT_STATUS, code), (_WITHOUT_STATUS, kind)) or InternalServerError
    # OpenRouter's 403 for a moderated prompt contains what was flagged.
    return ContentPolicyViolationError if status == 403 and "flagged_input" in metadata else class_for_status(status)


def _first(*lookups: tuple[Mapping[str, type[APIStatusError]], str]) -> type[APIStatusError] | None:
    """The first class that a table has for its key."""
    return next((table[key] for table, key in lookups if key in table), None)


def _object(fields: JsonObject, name: str) -> JsonObject:
    """A field that is an object; an empty one for all else."""
    found: object = fields.get(name)
    return cast("JsonObject", found) if isinstance(found, dict) else {}


# --- details that belong to the message -------------------------------------------------------------------------------


def _with_details(message: str, fields: JsonObject) -> str:
    """The message with the categories that a filter found, and with what the upstream of a gateway reported."""
    details = [_upstream_message(_object(fields, "metadata"), message)]
    if categories := _filtered(fields):
        details.append(f"filtered: {', '.join(categories)}")
    found = "; ".join(filter(None, details))
    return f"{message} ({found})" if message and found else message or found


def _upstream_message(metadata: JsonObject, message: str) -> str:
    """What OpenRouter's `metadata.raw` contains of the upstream's message; "" for none.

    Only its error text is shown: anything else in it may repeat the prompt.
    """
    raw: object = metadata.get("raw")
    text = raw.strip() if isinstance(raw, str) else ""
    title = page_title(text.encode("utf-8", "replace"))
    if title is not None:
        found = title
    else:
        found = read_error(raw).message or ""
        if found == text and (text.startswith(("{", "[", '"')) or "\n" in text):
            return ""  # it cannot be parsed, and any part of it may be the prompt
    if not found or found in message:
        return ""
    provider = metadata.get("provider_name")
    shown = found if len(found) <= _UPSTREAM_LIMIT else found[:_UPSTREAM_LIMIT] + "…"
    return f"{provider}: {shown}" if isinstance(provider, str) and provider else shown


def _filtered(fields: JsonObject) -> list[str]:
    """The categories that Azure's content filter found."""
    results = _object(_object(fields, "innererror") or _object(fields, "inner_error"), "content_filter_result")
    return [
        name
        for name, result in results.items()
        if isinstance(result, dict) and cast("JsonObject", result).get("filtered")
    ]
