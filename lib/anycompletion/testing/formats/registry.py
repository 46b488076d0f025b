"""How each dialect says a reply or an error that a test wrote; knows no request and sends nothing."""

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
from ..fake.replies import Script
from .anthropic_messages import encode as say_anthropic
from .anthropic_messages import simulate as sim_anthropic
from .cohere_chat import encode as say_cohere
from .cohere_chat import simulate as sim_cohere
from .openai_chat import encode as say_openai
from .openai_chat import simulate as sim_openai
from .replicate_predictions import encode as say_replicate
from .replicate_predictions import simulate as sim_replicate
from .wire_format import Call, Failure, Format, Plain, Stream

Say: TypeAlias = Callable[[Call, Script], "Plain | Stream"]


@attrs.frozen(kw_only=True)
class Language:
    """How a dialect's answers are written."""

    simulated: Format
    """The simulator's, for its errors and steps."""
    say: Say
    refuse: Callable[[Call, Failure], Plain]
    most_choices: int | None
    """Choices that one answer holds; None is no limit."""
    codes: Mapping[type[CompletionError], str] = attrs.field(factory=dict[type[CompletionError], str])
    """Errors that are told by a code, and not by their status alone."""

    def failure(self, error: CompletionError) -> Failure | None:
        """The error as the provider tells it; None where it has no words that mean just this."""
        if not isinstance(error, APIStatusError):
            return None
        kind = type(error)
        status, code = error.status_code or _STATUSES.get(kind), error.code
        if kind in self.codes:
            status, code = status or 400, code or self.codes[kind]
        elif status is None or status < 400 or class_for_status(status) is not kind:
            return None
        usual = next((each.type for each in self.simulated.failures.values() if each.status == status), "")
        return Failure(status, error.type or usual, error.message, code, error.param)


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
_CODES: Mapping[type[CompletionError], str] = {
    ContextWindowExceededError: "context_length_exceeded",
    ContentPolicyViolationError: "content_policy_violation",
}

LANGUAGES: Mapping[str, Language] = {
    "openai_chat": Language(
        simulated=sim_openai.FORMAT,
        say=say_openai.say,
        refuse=say_openai.refuse,
        most_choices=None,
        codes=_CODES,
    ),
    "anthropic_messages": Language(
        simulated=sim_anthropic.FORMAT, say=say_anthropic.say, refuse=say_anthropic.refuse, most_choices=1
    ),
    "cohere_chat": Language(simulated=sim_cohere.FORMAT, say=say_cohere.say, refuse=say_cohere.refuse, most_choices=1),
    "replicate_predictions": Language(
        simulated=sim_replicate.FORMAT, say=say_replicate.say, refuse=say_replicate.refuse, most_choices=1
    ),
}
"""Language by name of a dialect."""
