"""Every exception of the package: whose fault it was and what came back; never imports anything of ours.

The tree says *who* has to act: the caller (`InvalidRequestError`, `ConfigurationError`), the road
(`APIConnectionError`) or the provider (`APIStatusError`, `APIResponseError`). No error holds a key or a prompt in its
text, and what `str` and `repr` give is one printable line, whatever a provider sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .records.completion import ChatCompletion

BODY_LIMIT = 2048
"""Characters of a provider's error body that an error keeps."""

_TEXT_LIMIT = 500
"""Characters of a provider's message shown by `str(error)`; the whole of it is in `.message`."""

_UNPRINTABLE = "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
"""Control characters, other ends of lines, marks that turn the direction of writing, and halves of characters. Compiled
when it is needed, as all patterns that few programs need: each would cost an import a part of a millisecond."""


def printable(text: str) -> str:
    """`text` as one line that a terminal or log shows as it is: what would steer either is escaped."""
    return text if text.isprintable() else re.sub(_UNPRINTABLE, lambda found: repr(found[0])[1:-1], text)


class CompletionError(Exception):
    """Base of every error this package raises on its own account.

    Constructors are short on purpose, so that tests write ``RateLimitError("slow down", retry_after=1)``. Every
    attribute below is `None` (or 0, or False) where it is unknown. Errors pickle and copy.
    """

    retryable: bool = False
    """True when the same call may well succeed a little later."""

    def __init__(
        self,
        message: str = "",
        *,
        param: str | None = None,
        provider: str | None = None,
        model: str | None = None,
        status_code: int | None = None,
        code: str | None = None,
        type: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
        body: str | None = None,
        attempts: int = 0,
        elapsed: float | None = None,
        maybe_billed: bool = False,
        partial: ChatCompletion | None = None,
        phase: str | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        """The parameter at fault, with its path: ``messages[3].content[0].image_url.url``."""
        self.provider = provider
        self.model = model
        self.status_code = status_code
        """HTTP status, also for an error that came inside a 200."""
        self.code = code
        """The provider's structured code (``context_length_exceeded``), as text."""
        self.type = type
        """The provider's error type (``invalid_request_error``)."""
        self.request_id = request_id
        self.retry_after = retry_after
        """Seconds the provider asked to wait."""
        self.headers = headers
        self.body = None if body is None else body[:BODY_LIMIT]
        """What the provider sent, at most 2,048 characters of it."""
        self.attempts = attempts
        """Requests made for this logical call."""
        self.elapsed = elapsed
        """Seconds from the call to the error."""
        self.maybe_billed = maybe_billed
        """True when the provider may have done the work although no answer arrived."""
        self.partial = partial
        """What had arrived when a stream or a fan-out failed."""
        self.phase = phase
        """For connection errors: connect, send, headers, body, first_chunk, idle or total; closed, of a stream that its
        reader left."""
        if retryable is not None:
            self.retryable = retryable

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.message), self.__dict__)

    def _shown(self) -> str:
        text = self.message
        return text if len(text) <= _TEXT_LIMIT else text[:_TEXT_LIMIT] + "…"

    def __str__(self) -> str:
        return printable(self._shown())

    def __repr__(self) -> str:
        shown = [repr(self._shown())]
        for name in ("param", "provider", "model", "status_code", "code", "phase", "request_id", "retry_after"):
            value = getattr(self, name)
            if value is not None:
                # A provider chooses how long its codes and ids are.
                shown.append(f"{name}={value[:_TEXT_LIMIT] if isinstance(value, str) else value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


def _rebuild(cls: type[CompletionError], message: str) -> CompletionError:
    return cls(message)


class InvalidRequestError(CompletionError, ValueError):
    """The request cannot be meant; `.param` names the culprit and nothing was sent."""


class UnsupportedParameterError(InvalidRequestError):
    """The provider has no such parameter, or not this value of it; nothing was sent.

    Drop the parameter, choose another provider, or pass ``on_unsupported="warn"`` or ``"drop"``.
    """


class ConfigurationError(CompletionError):
    """A key, base URL or provider is missing or wrong; the text names what was looked for."""


class ClientClosedError(CompletionError, RuntimeError):
    """The client or stream was closed, or belongs to another event loop or process."""


class JournalError(CompletionError):
    """A batch journal cannot be read, written or locked."""


class APIError(CompletionError):
    """Something went wrong between here and the provider's answer."""


class APIConnectionError(APIError):
    """The road failed: name look-up, TCP, TLS, proxy, or a connection lost. `.phase` says where."""

    retryable = True


class APITimeoutError(APIConnectionError, TimeoutError):
    """One of the clocks of `Timeout` ran out; `.phase` is connect, first_chunk, idle or total."""


class StreamInterruptedError(APIConnectionError):
    """A stream ended before the provider said why it stopped; `.partial` is what had arrived."""

    retryable = False


class APIResponseError(APIError):
    """The answer is not what the protocol allows (not JSON, wrong shape, a redirect, too large)."""


class APIStatusError(APIError):
    """The provider answered with an error, as a status, inside a 200 or inside a stream."""


class BadRequestError(APIStatusError):
    """400 and other refusals of the request as it stands."""


class ContextWindowExceededError(BadRequestError):
    """The prompt, or prompt and answer together, are longer than the model's window."""


class ContentPolicyViolationError(BadRequestError):
    """The provider's content policy or filter refused the request."""


class AuthenticationError(APIStatusError):
    """401 or 498: the key is missing, wrong or expired."""


class PermissionDeniedError(APIStatusError):
    """403: the key may not do this."""


class NotFoundError(APIStatusError):
    """404: no such model, deployment or path."""


class ConflictError(APIStatusError):
    """409."""

    retryable = True


class UnprocessableEntityError(APIStatusError):
    """422."""


class RateLimitError(APIStatusError):
    """429: too many requests or tokens; `.retry_after` holds the hint in seconds, if one came."""

    retryable = True


class QuotaExceededError(RateLimitError):
    """402, or a 429 about billing or quota; waiting does not help, so it is never retried."""

    retryable = False


class InternalServerError(APIStatusError):
    """5xx, 408 and 425: the provider failed."""

    retryable = True


class ServiceUnavailableError(InternalServerError):
    """503."""


class OverloadedError(InternalServerError):
    """529, or an overloaded code under another status."""


_BY_STATUS: Mapping[int, type[APIStatusError]] = {
    401: AuthenticationError,
    402: QuotaExceededError,
    403: PermissionDeniedError,
    404: NotFoundError,
    408: InternalServerError,
    409: ConflictError,
    422: UnprocessableEntityError,
    425: InternalServerError,
    429: RateLimitError,
    498: AuthenticationError,
    503: ServiceUnavailableError,
    529: OverloadedError,
}


def class_for_status(status: int) -> type[APIStatusError]:
    """The class for an HTTP status when no structured code says more."""
    known = _BY_STATUS.get(status)
    if known is not None:
        return known
    if status >= 600:
        return APIStatusError  # no status that HTTP knows: whose fault it is, it does not say
    return InternalServerError if status >= 500 else BadRequestError
