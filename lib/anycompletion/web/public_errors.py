"""An error as strangers may see it: OpenAI's form, the right status, and nothing of what is behind the service.

What our own errors say is for the service: the names of its environment variables, its organization, its providers'
addresses, and in a relay a prompt that the peer never saw. So callers get one fixed sentence for each kind of error.
Where the caller wrote the request (`detail`), what is wrong *with the request* is told in the words of who found it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import attrs

from ..errors import (
    APIError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ClientClosedError,
    CompletionError,
    ContentPolicyViolationError,
    ContextWindowExceededError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    ServiceUnavailableError,
    StreamInterruptedError,
    UnprocessableEntityError,
    UnsupportedParameterError,
    printable,
)
from ..logs import log
from ..records import JsonObject


@attrs.frozen(kw_only=True)
class PublicError:
    """An error in OpenAI's form, fit for strangers."""

    status: int
    """HTTP status, where nothing was sent yet."""
    type: str
    """OpenAI's kind of error: ``invalid_request_error``, ``rate_limit_error`` or ``server_error``."""
    code: str | None = None
    message: str
    param: str | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """``retry-after`` in seconds, ``retry-after-ms``, ``x-should-retry``, which OpenAI's SDKs heed."""

    def to_dict(self) -> JsonObject:
        """The body of an answer, and the data of an event."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}

    def to_json(self) -> bytes:
        """The same as bytes."""
        return json.dumps(self.to_dict(), separators=(",", ":")).encode()


@attrs.frozen
class _Row:
    status: int
    type: str
    code: str | None
    message: str
    told: bool = False
    """What was wrong is the caller's business, who can mend it."""
    hopeless: bool = False
    """The same request will fail again, until somebody mends the service."""


_BAD = "invalid_request_error"
_OURS = "server_error"

NO_SUCH_MODEL = _Row(404, _BAD, "model_not_found", "the model does not exist here, or you may not use it")
REFUSED = _Row(502, _OURS, "upstream_refused", "the provider refused the service", hopeless=True)
BROKEN = _Row(500, _OURS, "internal_error", "the service failed", hopeless=True)

_TABLE: tuple[tuple[type[CompletionError], _Row], ...] = (
    (UnsupportedParameterError, _Row(400, _BAD, "unsupported_parameter", "the model does not take this", told=True)),
    (InvalidRequestError, _Row(400, _BAD, None, "the request cannot be meant", told=True)),
    (ClientClosedError, _Row(503, _OURS, "unavailable", "the service is starting or stopping")),
    (
        ContextWindowExceededError,
        _Row(400, _BAD, "context_length_exceeded", "the conversation is too long for the model", told=True),
    ),
    (
        ContentPolicyViolationError,
        _Row(400, _BAD, "content_policy_violation", "the provider's content policy refused this", told=True),
    ),
    (BadRequestError, _Row(400, _BAD, None, "the provider refused the request", told=True)),
    (UnprocessableEntityError, _Row(422, _BAD, None, "the provider refused the request", told=True)),
    (NotFoundError, NO_SUCH_MODEL),
    # The service's own key, rights and purse: not the caller's.
    (AuthenticationError, REFUSED),
    (PermissionDeniedError, REFUSED),
    (QuotaExceededError, REFUSED),
    (RateLimitError, _Row(429, "rate_limit_error", "rate_limit_exceeded", "too many requests; try again later")),
    (OverloadedError, _Row(503, _OURS, "overloaded", "the model is overloaded; try again later")),
    (ServiceUnavailableError, _Row(503, _OURS, "overloaded", "the model is not available; try again later")),
    (APITimeoutError, _Row(504, _OURS, "upstream_timeout", "the model took too long to answer")),
    (StreamInterruptedError, _Row(502, _OURS, "stream_interrupted", "the answer was cut off before its end")),
    (APIError, _Row(502, _OURS, "upstream_error", "the model could not be reached, or failed to answer")),
    # Configuration and all else: nothing that a caller could do anything about, or should know of.
    (CompletionError, BROKEN),
)
"""The first row that fits holds."""


def public_error(error: BaseException, *, detail: bool = False) -> PublicError:
    """`error` as strangers may see it.

    ========================================  ======  =========================  ==========================
    what happened                             status  code                       text with ``detail``
    ========================================  ======  =========================  ==========================
    `InvalidRequestError`                     400     none                       the error's own
    `UnsupportedParameterError`               400     unsupported_parameter      the error's own
    nobody knows the model's provider         404     model_not_found            fixed
    `NotFoundError`                           404     model_not_found            fixed
    `BadRequestError`                         400     the provider's             the provider's
    `ContextWindowExceededError`              400     context_length_exceeded    the provider's
    `ContentPolicyViolationError`             400     content_policy_violation   the provider's
    `UnprocessableEntityError`                422     the provider's             the provider's
    401, 403, quota and billing upstream      502     upstream_refused           fixed; not to be retried
    `RateLimitError`                          429     rate_limit_exceeded        fixed; ``retry-after``
    `OverloadedError`, 503 upstream           503     overloaded                 fixed; ``retry-after``
    `APITimeoutError`                         504     upstream_timeout           fixed
    `StreamInterruptedError`                  502     stream_interrupted         fixed
    other errors of provider or road          502     upstream_error             fixed; ``retry-after``
    `ClientClosedError`                       503     unavailable                fixed
    `ConfigurationError`, anything else       500     internal_error             fixed; not to be retried
    ========================================  ======  =========================  ==========================

    Args:
        error: anything that was raised.
        detail: the peer wrote the request, so what is wrong with it may be told in the words of who found it. Default:
            False, the text is a fixed one.
    """
    row = _row(error)
    message, code, param = row.message, row.code, None
    if detail and row.told and isinstance(error, CompletionError):
        message, param = str(error) or message, error.param
        code = code or (error.code[:_LONGEST_CODE] if error.code else None)
    return PublicError(
        status=row.status, type=row.type, code=code, message=message, param=param, headers=_headers(row, error)
    )


_LONGEST_CODE = 100


def _row(error: BaseException) -> _Row:
    if isinstance(error, InvalidRequestError) and error.param in ("model", "provider"):
        # Its own text would list the providers there are.
        return NO_SUCH_MODEL
    return next((row for kind, row in _TABLE if isinstance(error, kind)), BROKEN)


def _headers(row: _Row, error: BaseException) -> dict[str, str]:
    if row.hopeless:
        return {"x-should-retry": "false"}
    wait = error.retry_after if isinstance(error, CompletionError) else None
    if wait is None or not 0 <= wait < _FOREVER or row.status < 429:
        return {}
    return {"retry-after": str(math.ceil(wait)), "retry-after-ms": str(math.ceil(wait * 1000))}


_FOREVER = 1e9


def relayed_error(error: CompletionError) -> None:
    """Says at WARNING, in the service's log, what its peer is told of in a fixed sentence.

    In our own words, but never in a provider's: what it says of a request may repeat the prompt.
    """
    kind = type(error).__name__
    names = ("provider", "model", "status_code", "code", "request_id")
    facts = {name: printable(str(value)) for name in names if (value := getattr(error, name)) is not None}
    extra: dict[str, object] = {name: facts.get(name) for name in ("provider", "model", "request_id")}
    extra |= {"event": "relayed_error", "status": error.status_code, "error": kind}
    text = kind if isinstance(error, APIStatusError) else f"{kind}: {error}"
    said = ", ".join(f"{name}={value}" for name, value in facts.items())
    log.warning("a peer was told of an error: %s", f"{text} ({said})" if said else text, extra=extra)
