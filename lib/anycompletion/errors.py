"""Exceptions of the package; depends on no other module at run time.

The class shows where the cause is: in the call (`InvalidRequestError`, `ConfigurationError`), in the network
(`APIConnectionError`) or at the provider (`APIStatusError`, `APIResponseError`). No error has a key or a prompt in its
text, and `str` and `repr` return one printable line, whatever a provider sent. `str` begins with the provider, the
model and the status: ``openai/gpt-4o: 401 Incorrect API key provided (request req_1)``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from .records.completion import ChatCompletion, Usage
    from .records.reply_info import ReplyInfo

BODY_LIMIT = 2048
"""Characters of a provider's error body that an error keeps."""

_TEXT_LIMIT = 500
"""Characters of a provider's message that `str(error)` shows; `.message` has all of it."""

_NAME_LIMIT = 100
"""Characters that `str(error)` shows of the provider's name, of the model's, and of the request's id."""

_UNPRINTABLE = "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
"""Control characters, line separators, marks of writing direction, and surrogates. Compiled at its first use, as all
patterns that few programs need, because each would add a part of a millisecond to the import."""


MAX_ID = 200
"""Characters of a request's id that are kept; servers' ids have less than a hundred."""


def printable_id(text: str) -> str:
    """An id from a server as one printable text that is not too long."""
    return printable(text[:MAX_ID])


def printable(text: str) -> str:
    """`text` as one line for terminals and logs: control characters and the like are escaped."""
    return text if text.isprintable() else re.sub(_UNPRINTABLE, lambda found: repr(found[0])[1:-1], text)


class CompletionError(Exception):
    """Base class of the package's errors.

    All arguments are optional, so that tests can write ``RateLimitError("slow down", retry_after=1)``. An attribute is
    `None` (or 0, or False) where it is unknown. Errors can be pickled and copied.
    """

    retryable: bool = False
    """True when the same call may succeed a little later."""

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
        """The text alone; `str(error)` adds the provider, the model, the status and the request's id."""
        self.param = param
        """The wrong parameter, with its path: ``messages[3].content[0].image_url.url``."""
        self.provider = provider
        """Name of the provider."""
        self.model = model
        """The provider's own name of the model."""
        self.status_code = status_code
        """HTTP status, also of an error inside a 200."""
        self.code = code
        """The provider's structured code (``context_length_exceeded``), as text."""
        self.type = type
        """The provider's error type (``invalid_request_error``)."""
        self.request_id = request_id
        """The provider's id of the request, for its support."""
        self.retry_after = retry_after
        """Seconds that the provider asks to wait."""
        self.headers = headers
        """Headers of the response, with secrets masked."""
        self.body = None if body is None else body[:BODY_LIMIT]
        """The first 2,048 characters of the response's body."""
        self.attempts = attempts
        """Requests made for this logical call."""
        self.elapsed = elapsed
        """Seconds from the call to the error."""
        self.maybe_billed = maybe_billed
        """True when the provider may have done the work although no reply arrived."""
        self.partial = partial
        """The part of the reply that had arrived when a stream or a fan-out failed, or that came with the error."""
        self.phase = phase
        """For connection errors: connect, send, headers, body, first_chunk, idle or total; closed for a stream that its
        reader closed."""
        if retryable is not None:
            self.retryable = retryable

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.message), self.__dict__)

    def _place(self) -> str:
        """The provider and the model; "" where neither is known, or where the text names the provider."""
        if not self.model and (self.provider or "") in self.message:
            return ""
        return "/".join(name[:_NAME_LIMIT] for name in (self.provider, self.model) if name)

    def __str__(self) -> str:
        place, status, text = self._place(), self.status_code, _cut(self.message)
        if status is not None and status >= 400 and not text.startswith(str(status)):
            text = f"{status} {text}".rstrip()
        if self.request_id is not None:
            text = f"{text} (request {self.request_id[:_NAME_LIMIT]})"
        return printable(f"{place}: {text}" if place else text)

    def __repr__(self) -> str:
        shown = [repr(_cut(self.message))]
        for name in ("param", "provider", "model", "status_code", "code", "phase", "request_id", "retry_after"):
            value = getattr(self, name)
            if value is not None:
                # Codes and ids come from the provider and can have any length.
                shown.append(f"{name}={value[:_TEXT_LIMIT] if isinstance(value, str) else value!r}")
        if self.attempts > 1:
            shown.append(f"attempts={self.attempts}")
        return f"{type(self).__name__}({', '.join(shown)})"


def message_line(error: CompletionError) -> str:
    """The message of an error in one printable line, without the place, status and request id that `str` adds."""
    return printable(_cut(error.message))


def _cut(text: str) -> str:
    return text if len(text) <= _TEXT_LIMIT else text[:_TEXT_LIMIT] + "…"


def _rebuild(cls: type[CompletionError], message: str) -> CompletionError:
    return cls(message)


class InvalidRequestError(CompletionError, ValueError):
    """The request is invalid; `.param` names the parameter, and nothing was sent."""


class UnsupportedParameterError(InvalidRequestError):
    """The provider does not support the parameter, or its value; nothing was sent.

    Drop the parameter, choose another provider, or pass ``on_unsupported="warn"`` or ``"drop"``.
    """


class ConfigurationError(CompletionError):
    """A key, base URL or provider is missing or wrong; the text names where it is expected."""


class ClientClosedError(CompletionError, RuntimeError):
    """The client or stream was closed, or belongs to another event loop or process."""


class JournalError(CompletionError):
    """A batch journal cannot be read, written or locked."""


class CacheMissError(CompletionError):
    """A call with ``cache="only"`` has no stored reply; nothing was sent."""


# --- replies that are not the value that was asked for ---


class ReplyError(CompletionError):
    """The reply has arrived, and `parse` cannot make the value of it; it was paid for and is not retried.

    `.partial` is the reply. No part of it is in the text of the error.
    """

    def __init__(
        self,
        message: str = "",
        *,
        usage: Usage | None = None,
        choice: int = 0,
        text: str = "",
        **details: Any,
    ) -> None:
        super().__init__(message, **details)
        self.usage = usage
        """Tokens of this reply and, where there were re-asks, of the replies before it."""
        self.choice = choice
        """Index of the choice."""
        self.text = text[:BODY_LIMIT]
        """The first 2,048 characters of the choice's text."""

    @property
    def info(self) -> ReplyInfo:
        """Details of the call, with its re-asks.

        Raises:
            AttributeError: the error was made without a reply.
        """
        if self.partial is None:
            raise AttributeError("info: the error was made without a reply")
        return self.partial.info


class ReplyValidationError(ReplyError, ValueError):
    """The reply is no JSON, does not fit the type, or was refused by a constructor or by `validate`."""

    def __init__(
        self,
        message: str = "",
        *,
        path: str = "$",
        kind: Literal["json", "schema", "value"] = "schema",
        expected: str = "",
        **details: Any,
    ) -> None:
        super().__init__(message, **details)
        self.path = path
        """Path of the value that does not fit: ``$.steps[0].minutes``."""
        self.kind = kind
        """What is wrong: "json" (there is none), "schema" (another type, a missing field, a constraint) or "value" (a
        constructor or `validate` refused it)."""
        self.expected = expected
        """What was expected; for the kind "value" the text of the ValueError or TypeError, which `str` leaves out."""


class ReplyTruncatedError(ReplyError):
    """The reply ended at the token limit, before the value was complete."""

    def __init__(self, message: str = "", *, data: Any = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.data = data
        """JSON data as far as it came, neither checked nor converted; None where there is none."""


class ReplyRefusedError(ReplyError):
    """The model refused, or a content filter ended the reply."""

    def __init__(self, message: str = "", *, refusal: str = "", **details: Any) -> None:
        super().__init__(message, **details)
        self.refusal = refusal
        """The model's words; "" where there are none."""


class APIError(CompletionError):
    """The call failed after it was validated: in the network or at the provider.

    =============================  ===========================================  ===================================
    class                          when                                         tried again
    =============================  ===========================================  ===================================
    `APIConnectionError`           the network failed                           yes
    `APITimeoutError`              one of the limits of `Timeout` was exceeded  yes, except the total
    `StreamInterruptedError`       a stream ended before its end                before the first chunk
    `APIResponseError`             the answer is not what the protocol allows   no
    `BadRequestError`              400, 405, 413 and other refusals             no
    `ContextWindowExceededError`   the prompt is too long for the model         no
    `ContentPolicyViolationError`  a content policy or filter                   no
    `AuthenticationError`          401, 498                                     once, if a function gives a new key
    `PermissionDeniedError`        403                                          no
    `NotFoundError`                404                                          no
    `ConflictError`                409                                          yes
    `UnprocessableEntityError`     422                                          no
    `RateLimitError`               429                                          yes
    `QuotaExceededError`           402, and 429 about billing or quota          no
    `InternalServerError`          other 5xx, 408, 425                          yes, except 501 and 505
    `ServiceUnavailableError`      503                                          yes
    `OverloadedError`              529, and an overload's code                  yes
    `AllTargetsFailedError`        a route's targets failed, see `.errors`      at each target
    =============================  ===========================================  ===================================

    ``except APIError`` catches all of them.
    """


class APIConnectionError(APIError):
    """The network failed: name resolution, TCP, TLS, proxy, or a lost connection; `.phase` names the phase."""

    retryable = True


class APITimeoutError(APIConnectionError, TimeoutError):
    """One of the limits of `Timeout` was exceeded; `.phase` is connect, first_chunk, idle or total."""


class StreamInterruptedError(APIConnectionError):
    """A stream ended before its end marker or finish reason; `.partial` is the part that had arrived."""

    retryable = False


class APIResponseError(APIError):
    """The response violates the protocol (not JSON, wrong shape, a redirect, too large)."""


class APIStatusError(APIError):
    """The provider returned an error: as a status, inside a 200 or inside a stream."""


class BadRequestError(APIStatusError):
    """400 and other refusals of the request itself."""


class ContextWindowExceededError(BadRequestError):
    """The prompt, or prompt and reply together, exceed the model's context window."""


class ContentPolicyViolationError(BadRequestError):
    """The provider's content policy or filter refused the request."""


class AuthenticationError(APIStatusError):
    """401 or 498: the key is missing, wrong or expired."""


class PermissionDeniedError(APIStatusError):
    """403: the key has no permission for this."""


class NotFoundError(APIStatusError):
    """404: no such model, deployment or path."""


class ConflictError(APIStatusError):
    """409: a conflict with another request."""

    retryable = True


class UnprocessableEntityError(APIStatusError):
    """422: the provider cannot process the request."""


class RateLimitError(APIStatusError):
    """429: too many requests or tokens; `.retry_after` is the wait in seconds that the provider asks for, if any."""

    retryable = True


class QuotaExceededError(RateLimitError):
    """402, or a 429 about billing or quota; never retried, because waiting does not help."""

    retryable = False


class InternalServerError(APIStatusError):
    """5xx, 408 and 425: the provider failed."""

    retryable = True


class ServiceUnavailableError(InternalServerError):
    """503: the service is unavailable."""


class OverloadedError(InternalServerError):
    """529, or an overload's code with another status."""


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
    """The class for an HTTP status, for errors without a known structured code."""
    known = _BY_STATUS.get(status)
    if known is not None:
        return known
    if status >= 600:
        return APIStatusError  # not a status of HTTP, so it shows no cause
    return InternalServerError if status >= 500 else BadRequestError
