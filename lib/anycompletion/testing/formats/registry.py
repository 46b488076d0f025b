"""All simulated formats by provider, and the encoders of scripted replies by dialect; sends nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import attrs

from ...errors import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    CompletionError,
    ConflictError,
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
from .anthropic_messages import encode as anthropic_encode
from .anthropic_messages import simulate as anthropic_simulate
from .azure import simulate as azure_simulate
from .cohere_chat import encode as cohere_encode
from .cohere_chat import simulate as cohere_simulate
from .openai_chat import encode as openai_encode
from .openai_chat import simulate as openai_simulate
from .openrouter import simulate as openrouter_simulate
from .replicate_predictions import encode as replicate_encode
from .replicate_predictions import scripted as replicate_scripted
from .replicate_predictions import simulate as replicate_simulate
from .reply_script import ReplyScript
from .wire_format import SimulatedError, SimulatedRequest, StreamedResponse, WholeResponse, WireFormat

FORMATS: Mapping[str, WireFormat] = {
    wire.provider: wire
    for wire in (
        openai_simulate.FORMAT,
        anthropic_simulate.FORMAT,
        azure_simulate.FORMAT,
        cohere_simulate.FORMAT,
        replicate_simulate.FORMAT,
        openrouter_simulate.FORMAT,
    )
}
"""Format by provider: every provider that the simulator imitates."""

ReplyEncoder: TypeAlias = Callable[[SimulatedRequest, ReplyScript], "WholeResponse | StreamedResponse"]


@attrs.frozen(kw_only=True)
class FakeFormat:
    """How scripted replies and errors are encoded for one dialect."""

    simulated: WireFormat
    """The simulator's format of this dialect, for its errors and steps."""
    encode: ReplyEncoder
    error_response: Callable[[SimulatedRequest, SimulatedError], WholeResponse]
    max_choices: int | None
    """Choices that one response can have; None is no limit."""
    error_codes: Mapping[type[CompletionError], str] = attrs.field(factory=dict[type[CompletionError], str])
    """Errors that clients recognize by a code, and not by their status alone."""

    def encodable(self, error: CompletionError) -> SimulatedError | None:
        """The error as the provider would report it; None where none of its responses means exactly this error."""
        if not isinstance(error, APIStatusError):
            return None
        kind = type(error)
        status, code = error.status_code or _STATUSES.get(kind), error.code
        if kind in self.error_codes:
            status, code = status or 400, code or self.error_codes[kind]
        elif status is None or status < 400 or class_for_status(status) is not kind:
            return None
        default = next((each.type for each in self.simulated.errors.values() if each.status == status), "")
        return SimulatedError(status, error.type or default, error.message, code, error.param)


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

FAKE_FORMATS: Mapping[str, FakeFormat] = {
    "openai_chat": FakeFormat(
        simulated=openai_simulate.FORMAT,
        encode=openai_encode.encode,
        error_response=openai_encode.error_response,
        max_choices=None,
        error_codes={
            ContextWindowExceededError: "context_length_exceeded",
            ContentPolicyViolationError: "content_policy_violation",
        },
    ),
    "anthropic_messages": FakeFormat(
        simulated=anthropic_simulate.FORMAT,
        encode=anthropic_encode.encode,
        error_response=anthropic_encode.error_response,
        max_choices=1,
    ),
    "cohere_chat": FakeFormat(
        simulated=cohere_simulate.FORMAT,
        encode=cohere_encode.encode,
        error_response=cohere_encode.error_response,
        max_choices=1,
    ),
    "replicate_predictions": FakeFormat(
        simulated=replicate_simulate.FORMAT,
        encode=replicate_scripted.create_prediction,
        error_response=replicate_encode.error_response,
        max_choices=1,
    ),
}
"""Encoders by name of the dialect."""
