"""What the tests expect beside the oracle's word, as literal data: error classes, and who is right where we differ."""

from typing import NamedTuple

RECORDED = {"openai": 87, "anthropic": 90}
"""Provider → how many exchanges there are at least."""

ERROR_CLASSES = {
    (400, "invalid_function_parameters"): "BadRequestError",
    (400, "invalid_image_format"): "BadRequestError",
    (400, "invalid_image_url"): "BadRequestError",
    (400, "invalid_parameter_combination"): "BadRequestError",
    (400, "unsupported_value"): "BadRequestError",
    (401, "invalid_api_key"): "AuthenticationError",
    (403, None): "PermissionDeniedError",
    (404, None): "NotFoundError",
    (404, "model_not_found"): "NotFoundError",
    (429, "rate_limit_exceeded"): "RateLimitError",
    (200, "overloaded_error"): "OverloadedError",
    (400, "invalid_request_error"): "BadRequestError",
    (401, "authentication_error"): "AuthenticationError",
    (404, "not_found_error"): "NotFoundError",
    (429, "rate_limit_error"): "RateLimitError",
    (500, "api_error"): "InternalServerError",
    (529, "overloaded_error"): "OverloadedError",
}
"""Status on the wire and structured code (Anthropic's `type`) → the class of the exception."""

CLASSES_BY_TEXT = {
    "anthropic-messages-chat-real-error-scenarios-anthropic-claude-haiku-72f5425a": (
        b'"prompt is too long: ',
        "ContextWindowExceededError",
    ),
}
"""Recording → the words on the wire that are Anthropic's only sign of the case, and the class for it."""


class WireFact(NamedTuple):
    """Why we are right where the oracle says something else."""

    wire: bytes
    """Bytes of the recorded body that show it."""
    why: str


EXPLAINED = {
    "anthropic-messages-issues-193-9607d72e": {
        "status_code": WireFact(
            b'event: error\ndata: {"type":"error","error":{"details":null,"type":"overloaded_error"',
            "the error came inside a 200, which is no status of an error; 529 is the one Anthropic gives this type",
        ),
    },
    "anthropic-messages-issues-35792-986be705": {
        "request_id": WireFact(
            b'"request_id":"req_011CZAau32QzxDkriovTaFCB"',
            "no header was recorded; the body names the request, the SDK looks at the header only",
        ),
    },
    "anthropic-messages-issues-73655-864a9a98": {
        "request_id": WireFact(
            b'"request_id":"req_011CceCrL4UA7rQQ5GT2hAT3"',
            "no header was recorded; the body names the request, the SDK looks at the header only",
        ),
    },
}
"""Recording → path → wire fact. An entry that no longer disagrees fails its test."""

IN_CHUNKS_ONLY_RAW = frozenset({"obfuscation"})
"""Members of OpenAI's chunks that are no part of the reply, and are kept in `.raw` only: random padding."""
