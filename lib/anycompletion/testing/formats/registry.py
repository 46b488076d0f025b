"""All simulated formats, by provider and by dialect, and the errors that they can report; sends nothing."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from ...errors import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    CompletionError,
    ConflictError,
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
from .anthropic_messages import simulate as anthropic_messages
from .azure import simulate as azure
from .bedrock_converse import simulate as bedrock_converse
from .cohere_chat import simulate as cohere_chat
from .gemini_generate import simulate as gemini_generate
from .ollama_chat import simulate as ollama_chat
from .openai_chat import simulate as openai_chat
from .openai_responses import simulate as openai_responses
from .openrouter import simulate as openrouter
from .replicate_predictions import simulate as replicate_predictions
from .vertex import simulate as vertex
from .vertex_anthropic import simulate as vertex_anthropic
from .wire_format import ErrorSpec, WireFormat

_MODULES = (
    anthropic_messages,
    azure,
    cohere_chat,
    replicate_predictions,
    openrouter,
    bedrock_converse,
    ollama_chat,
    gemini_generate,
    vertex,
    vertex_anthropic,
)

_OPENAI = attrs.evolve(openai_chat.FORMAT, variants={"responses": openai_responses.FORMAT})

FORMATS: Mapping[str, WireFormat] = {
    "openai": _OPENAI,
    **{module.FORMAT.provider: module.FORMAT for module in _MODULES},
}
"""Format by provider: every provider that the simulator imitates."""

FORMATS_BY_DIALECT: Mapping[str, WireFormat] = {
    "openai_chat": _OPENAI,
    "openai_responses": openai_responses.FORMAT,
    **{module.__name__.split(".")[-2]: module.FORMAT for module in _MODULES if module.FORMAT.encode is not None},
}
"""Format by dialect, which its folder is named for; variants of another format have none."""

_STATUSES: Mapping[type[CompletionError], int] = {
    BadRequestError: 400,
    AuthenticationError: 401,
    QuotaExceededError: 402,
    PermissionDeniedError: 403,
    NotFoundError: 404,
    ConflictError: 409,
    UnprocessableEntityError: 422,
    RateLimitError: 429,
    InternalServerError: 500,
    ServiceUnavailableError: 503,
    OverloadedError: 529,
}


def simulated_error(wire: WireFormat, error: CompletionError) -> ErrorSpec | None:
    """The error as the provider would report it; None where none of its responses means exactly this error."""
    if not isinstance(error, APIStatusError):
        return None
    kind = type(error)
    status, code = error.status_code or _STATUSES.get(kind), error.code
    if kind in wire.error_codes:
        status, code = status or 400, code or wire.error_codes[kind]
    elif status is None or status < 400 or class_for_status(status) is not kind:
        return None
    default = next((each.type for each in wire.errors.values() if each.status == status), "")
    return ErrorSpec(status, error.type or default, error.message, code, error.param)
