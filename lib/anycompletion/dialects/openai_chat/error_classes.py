"""Classes of the errors of OpenAI-compatible servers, as data: by code, type, and phrases where there is neither."""

from __future__ import annotations

from collections.abc import Mapping

from ...errors import (
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
)
from ..error_phrases import CONTEXT_LENGTH_STATUSES

BY_OPENROUTER_TYPE: Mapping[str, type[APIStatusError]] = {
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

BY_CODE_OR_TYPE: Mapping[str, type[APIStatusError]] = {
    "context_length_exceeded": ContextWindowExceededError,
    "exceed_context_size_error": ContextWindowExceededError,
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

WITHOUT_STATUS: Mapping[str, type[APIStatusError]] = {
    "invalid_api_key": AuthenticationError,
    "model_not_found": NotFoundError,
    "invalid_request_error": BadRequestError,
    "authentication_error": AuthenticationError,
    "permission_error": PermissionDeniedError,
    "not_found_error": NotFoundError,
    "rate_limit_error": RateLimitError,
}
"""`code` or `type` → class, for errors inside a 200 or a stream; a status is more precise than these."""

BY_MINIMAX_STATUS: Mapping[str, type[APIStatusError]] = {
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

PHRASE_STATUSES = frozenset((None, *CONTEXT_LENGTH_STATUSES, 500))
"""Statuses of errors whose message is searched for `CONTEXT_LENGTH_PHRASES`; None inside a stream or a good status."""
