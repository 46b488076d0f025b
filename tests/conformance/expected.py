"""Expectations that the oracle does not give, as data: error classes, and explained differences.

Entries with a recording's id belong to one folder, the one with `KNOWN_INDEX`; in other folders these ids do not
exist, and all other entries apply.
"""

from collections.abc import Mapping
from typing import NamedTuple

KNOWN_INDEX = "38472868a2de7aee84ae4dbd653e4caa861bab651f7849411e3d9d164f6c3ade"
"""SHA-256 of the INDEX.csv of the folder that the numbers and ids below come from."""

ROW_NAMES = {"gateway": "vercel"}
"""Recorded provider → the name of its row, where that differs."""

OTHER_FORMATS = {("anthropic", "openai_chat"), ("azure", "anthropic_messages")}
"""(recorded provider, format) of recordings whose provider has no row of that format."""

# --- errors: the first table with an entry decides --------------------------------------------------------------------

CLASSES_BY_TEXT = {
    "anthropic": {
        b"prompt is too long: ": "ContextWindowExceededError",
        b"reached your specified API usage limits": "QuotaExceededError",
    },
    "bedrock": {b"Input Tokens Exceeded": "ContextWindowExceededError"},
    "cohere": {b"too many tokens": "ContextWindowExceededError"},
    "openrouter": {b'"flagged_input"': "ContentPolicyViolationError"},
}
"""Provider → part of the message that is its only signal of a case → class."""

CONTEXT_WINDOW_TEXTS = (b"maximum context length is ", b"exceeded max context length")
"""Part of the message of compatible servers that is their only signal of a context window that is exceeded."""

CLASSES_BY_ERROR_TYPE = {
    "context_length_exceeded": "ContextWindowExceededError",
    "token_limit_exceeded": "ContextWindowExceededError",
    "string_too_long": "ContextWindowExceededError",
    "max_tokens_exceeded": "BadRequestError",
    "authentication": "AuthenticationError",
    "permission_denied": "PermissionDeniedError",
    "payment_required": "QuotaExceededError",
    "rate_limit_exceeded": "RateLimitError",
    "provider_overloaded": "OverloadedError",
    "provider_unavailable": "ServiceUnavailableError",
    "not_found": "NotFoundError",
    "unprocessable": "UnprocessableEntityError",
    "content_policy_violation": "ContentPolicyViolationError",
    "refusal": "ContentPolicyViolationError",
    "server": "InternalServerError",
    "timeout": "InternalServerError",
}
"""OpenRouter's `metadata.error_type` → class."""

CLASSES_BY_CODE = {
    "UnrecognizedClientException": "AuthenticationError",
    "context_length_exceeded": "ContextWindowExceededError",
    "content_policy_violation": "ContentPolicyViolationError",
    "content_filter": "ContentPolicyViolationError",
    "insufficient_quota": "QuotaExceededError",
    "billing_hard_limit_reached": "QuotaExceededError",
    "billing_not_active": "QuotaExceededError",
    "billing_error": "QuotaExceededError",
    "quota_exceeded": "QuotaExceededError",
    "rate_limit_exceeded": "RateLimitError",
    "overloaded": "OverloadedError",
    "overloaded_error": "OverloadedError",
    "API_KEY_INVALID": "AuthenticationError",
}
"""Structured `code`, or `type` → class."""

CLASSES_BY_STATUS = {
    401: "AuthenticationError",
    402: "QuotaExceededError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    408: "InternalServerError",
    409: "ConflictError",
    422: "UnprocessableEntityError",
    425: "InternalServerError",
    429: "RateLimitError",
    498: "AuthenticationError",
    503: "ServiceUnavailableError",
    529: "OverloadedError",
    **dict.fromkeys((500, 502, 504, 520, 521, 522, 523, 524), "InternalServerError"),
}
"""Status of the response, or in a gateway's code → class; other 4xx are a `BadRequestError`, other 5xx a
`InternalServerError`."""

CLASSES_WITHOUT_STATUS = {
    "invalid_request_error": "BadRequestError",
    "authentication_error": "AuthenticationError",
    "permission_error": "PermissionDeniedError",
    "not_found_error": "NotFoundError",
    "rate_limit_error": "RateLimitError",
    "api_error": "InternalServerError",
    "INVALID_TOOL_GENERATION": "UnprocessableEntityError",
    "HALLUCINATED_ALL_TOOL_CALLS": "UnprocessableEntityError",
}
"""Structured `code`, or `type` → class, of an error inside a good status; any other is an `InternalServerError`."""

# --- permitted differences --------------------------------------------------------------------------------------------

REQUEST_ID_HEADERS = {
    "anthropic": "request-id",
    "vertex-anthropic": "request-id",
    "azure": "apim-request-id",
    "bedrock": "x-amzn-requestid",
    "cohere": "x-debug-trace-id",
    "deepseek": "x-ds-trace-id",
    "mistral": "mistral-correlation-id",
    "openrouter": "x-generation-id",
    "pollinations": "cf-ray",
    "cloudflare": "cf-ray",
    "ovhcloud": "x-kong-request-id",
}
"""Provider → the header with the request's id; x-request-id for all others."""

FINISH_REASONS = {"eos": "stop"}
"""A compatible server's recorded finish reason → OpenAI's."""

DEFAULT_VALUES = {
    "object": ("chat.completion", "chat.completion.chunk"),
    "role": ("assistant",),
    "type": ("function",),
    "index": (0,),
    **dict.fromkeys(("id", "model", "name", "arguments"), ("",)),
}
"""Member → its value in OpenAI's format if a server leaves it out: the only possible value, or an empty one."""

LABELS = frozenset({"type", "id", "name", "format", "object", "status", "channel", "phase", "recipient"})
"""Fields of a delta whose texts replace each other; all other texts are pieces."""

OLDER_LOGPROBS = {
    "tokens": "token",
    "token_logprobs": "logprob",
    "top_logprobs": "top_logprobs",
    "token_ids": "token_id",
    "text_offset": "text_offset",
}
"""List of the legacy form of log probabilities → field of each token."""


class WireFact(NamedTuple):
    """Evidence that this package is right where it differs from the oracle."""

    wire: bytes
    """Bytes of the recorded body that show it."""
    why: str


_UNKNOWN = "botocore leaves out content of kinds that it does not know"

EXPLAINED: Mapping[str, Mapping[str, WireFact]] = {
    "bedrock-converse-bedrock-runtime-model-anthropic-claude-3-haiku-20240-dd5d6355": {
        "sent_back[0].toolResult.content[0].weird": WireFact(b'"weird":', _UNKNOWN),
        "sent_back[0].toolResult.content[0].SDK_UNKNOWN_MEMBER.name": WireFact(b'"weird":', _UNKNOWN),
    },
    "copilot-responses-reasoning-roundtrip-streaming-1-5625f7f1": {
        "id": WireFact(b'"id":"resp_REDACTED_5"', "the first event has another id than the last one, and counts")
    },
    "openai-responses-gpt-5-6-sol-thinking-genstream-maxtokens-3f58266d": {
        "reasoning": WireFact(b'"delta":" seems"', "the pieces of the summary are another text than its end")
    },
}
"""Recording → path → wire fact. An entry that no longer disagrees fails its test."""

_NO_FINGERPRINT = "the reply has no system_fingerprint, which the SDK's models require"
_ERROR_NOT_READ = "the SDK reads an error beside choices as a reply"
_LOGPROB_NUMBER = "logprobs is a number, and the SDK's models require an object or null"

PROVIDER_SDKS: Mapping[str, Mapping[str, WireFact]] = {
    "openrouter-chatcompletions-agent-image-input-961bb012": {
        "error": WireFact(b'"choices":[{"logprobs":null,"finish_reason":"stop"', _NO_FINGERPRINT)
    },
    "openrouter-chatcompletions-agent-response-json-schema-inline-57ba17d3": {
        "error": WireFact(b'"choices":[{"logprobs":null,"finish_reason":"stop"', _NO_FINGERPRINT)
    },
    "openrouter-chatcompletions-agent-web-search-44c0ec51": {
        "error": WireFact(b'"choices":[{"logprobs":null,"finish_reason":"stop"', _NO_FINGERPRINT)
    },
    "openrouter-chatcompletions-openrouter-stream-error-052ec1e1": {
        "error": WireFact(b'"error":{"code":400,"message":"Token limit reached"}', _ERROR_NOT_READ)
    },
    "openrouter-chatcompletions-qwen-qwen3-next-80b-a3b-th-reasoning-streaming-a8eeefe3": {
        "error": WireFact(b'"logprobs":-', _LOGPROB_NUMBER)
    },
    "openrouter-chatcompletions-qwen-qwen3-next-80b-a3b-thinking-usage-06026660": {
        "error": WireFact(b'"logprobs":-1.7881393e-06', _LOGPROB_NUMBER)
    },
    "openrouter-chatcompletions-qwen3-5-122b-a10b-thinking-genstream-jsonschema-d7233915": {
        "error": WireFact(b'"error":{"code":400,"message":"Provider returned error"', _ERROR_NOT_READ)
    },
    "openrouter-chatcompletions-qwen3-5-397b-a17b-thinking-gensync-stop-014fee71": {
        "error": WireFact(b'"finish_reason":null,"native_finish_reason":null,"error":{"code":502', _ERROR_NOT_READ)
    },
}
"""Recording → path → wire fact, where the provider's own SDK reads a recording differently."""

# --- requests ---------------------------------------------------------------------------------------------------------

REFUSED: Mapping[str, str] = {
    "llamacpp-chatcompletions-multimodal-matrix-malformed-data-uri-a875aa82": "messages[0].content[1].image_url.url",
    "mistral-chatcompletions-logprobs-rejection-matrix-blocking-ministral-3b-696758c7": "logprobs",
    "pollinations-chatcompletions-openai-gensyncmultimodal-audio-mp3-url-87a5b700": (
        "messages[0].content[1].input_audio.data"
    ),
}
"""Recording of a request that the provider refused → the parameter for which it is refused before sending."""

OTHER_URLS = {"anthropic", "azure", "bedrock", "cloudflare", "databricks", "gpustack", "mistralrs", "snowflake"}
"""Providers recorded only at other URLs than the row's: customers' own, or those of single servers."""
