"""Errors for external callers: OpenAI's form, the proper status, and no internals of the service.

The texts of the package's errors are for the service: they contain the names of its environment variables, its
organization, its providers' addresses, and in a relay a prompt that the client never saw. So external callers get one
fixed sentence for each kind of error. A caller that wrote the request itself (`detail`) gets the original text of
errors that are about the request.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Mapping

import attrs

from .. import AllTargetsFailedError
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
    ReplyError,
    ReplyRefusedError,
    ServiceUnavailableError,
    StreamInterruptedError,
    UnprocessableEntityError,
    UnsupportedParameterError,
    message_line,
    printable,
)
from ..logs import log, log_event
from ..records import JsonObject
from ..records.call_params import Params


@attrs.frozen(kw_only=True)
class PublicError:
    """An error in OpenAI's form that external callers may see."""

    status: int
    """HTTP status, for a response whose head is not sent yet."""
    type: str
    """OpenAI's kind of error: ``invalid_request_error``, ``rate_limit_error`` or ``server_error``."""
    code: str | None = None
    """The code of the table in `public_error`."""
    message: str
    """The text for external callers."""
    param: str | None = None
    """The wrong parameter of the caller's request."""
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """``retry-after`` in seconds, ``retry-after-ms``, ``x-should-retry``, which OpenAI's SDKs follow."""

    def to_dict(self) -> JsonObject:
        """The body of a response, and the data of an event."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}

    def to_json(self) -> bytes:
        """`to_dict` as JSON in UTF-8."""
        return json.dumps(self.to_dict(), separators=(",", ":")).encode()


@attrs.frozen
class _ErrorKind:
    """How a class of errors is shown."""

    type: str
    status: int
    code: str | None
    message: str
    detail: bool = False
    """Whether the error is about the request, so that a caller who wrote the request may see its text."""
    permanent: bool = False
    """Whether the same request fails again until the service's configuration is changed."""


def _request_error(status: int, code: str | None, message: str) -> _ErrorKind:
    return _ErrorKind("invalid_request_error", status, code, message, detail=True)


def _server_error(status: int, code: str, message: str, *, permanent: bool = False) -> _ErrorKind:
    return _ErrorKind("server_error", status, code, message, permanent=permanent)


NO_SUCH_MODEL = _ErrorKind(
    "invalid_request_error", 404, "model_not_found", "the model does not exist here, or you may not use it"
)
_RATE_LIMIT = _ErrorKind("rate_limit_error", 429, "rate_limit_exceeded", "too many requests; try again later")
_REFUSED = _server_error(502, "upstream_refused", "the provider refused the service", permanent=True)
_REPLY_REFUSED = _ErrorKind("invalid_request_error", 400, "content_policy_violation", "the model refused the request")
_INTERNAL = _server_error(500, "internal_error", "the service failed", permanent=True)

_KINDS: tuple[tuple[type[CompletionError], _ErrorKind], ...] = (
    (UnsupportedParameterError, _request_error(400, "unsupported_parameter", "the model does not take this")),
    (InvalidRequestError, _request_error(400, None, "the request is invalid")),
    (ClientClosedError, _server_error(503, "unavailable", "the service is starting or stopping")),
    (
        ContextWindowExceededError,
        _request_error(400, "context_length_exceeded", "the conversation is too long for the model"),
    ),
    (
        ContentPolicyViolationError,
        _request_error(400, "content_policy_violation", "the provider's content policy refused this"),
    ),
    (BadRequestError, _request_error(400, None, "the provider refused the request")),
    (UnprocessableEntityError, _request_error(422, None, "the provider refused the request")),
    (NotFoundError, NO_SUCH_MODEL),
    # They are about the service's own key, permissions and budget, not the caller's.
    (AuthenticationError, _REFUSED),
    (PermissionDeniedError, _REFUSED),
    (QuotaExceededError, _REFUSED),
    (RateLimitError, _RATE_LIMIT),
    (OverloadedError, _server_error(503, "overloaded", "the model is overloaded; try again later")),
    (ServiceUnavailableError, _server_error(503, "overloaded", "the model is not available; try again later")),
    (APITimeoutError, _server_error(504, "upstream_timeout", "the model took too long to answer")),
    (StreamInterruptedError, _server_error(502, "stream_interrupted", "the answer was cut off before its end")),
    (ReplyRefusedError, _REPLY_REFUSED),
    (ReplyError, _server_error(502, "unusable_reply", "the model's answer is not of the form that is needed")),
    (APIError, _server_error(502, "upstream_error", "the model could not be reached, or failed to answer")),
    # Configuration errors and all others: a caller cannot act on them and should not see them.
    (CompletionError, _INTERNAL),
)
"""Class of error → how it is shown; the first class that matches counts."""


def public_error(error: BaseException, *, detail: bool = False) -> PublicError:
    """`error` as external callers may see it.

    ========================================  ======  =========================  ==========================
    what happened                             status  code                       text with ``detail``
    ========================================  ======  =========================  ==========================
    `InvalidRequestError`                     400     none                       the error's own
    the same about an option of the service   500     internal_error             fixed; not to be retried
    `UnsupportedParameterError`               400     unsupported_parameter      the error's own
    the model's provider is unknown           404     model_not_found            fixed
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
    `ReplyRefusedError`                       400     content_policy_violation   fixed
    other `ReplyError`                        502     unusable_reply             fixed
    other errors of provider or network       502     upstream_error             fixed; ``retry-after``
    `ClientClosedError`                       503     unavailable                fixed
    `ConfigurationError`, anything else       500     internal_error             fixed; not to be retried
    ========================================  ======  =========================  ==========================

    Args:
        error: anything that was raised.
        detail: whether the caller wrote the request and may see the text of errors that are about it. Default: False,
            all texts are fixed.
    """
    kind = _kind_of(error)
    message, code, param = kind.message, kind.code, None
    if detail and kind.detail and isinstance(error, CompletionError):
        param = error.param and error.param[:_MAX_NAME]
        if isinstance(error, InvalidRequestError) and (param is None or re.search(_FOR_SERVICE, error.message)):
            message = f"{param}: {message}" if param else message
        else:
            message = message_line(error) or message
        code = code or (error.code[:_MAX_NAME] if error.code else None)
    return PublicError(
        status=kind.status, type=kind.type, code=code, message=message, param=param, headers=_headers(kind, error)
    )


_MAX_NAME = 200
"""Characters of a code, a parameter or an id that a provider sent."""

_FIELDS = frozenset(Params.__annotations__) | {"messages", "stream", "extra_body"}
"""Fields of a request, which external callers may have written."""

_FOR_SERVICE = r"extra_(body|headers|query)|on_unsupported|base_url|api_key|api_version|with_options|Provider\("
"""Words of hints that only the service can follow."""


def _kind_of(error: BaseException) -> _ErrorKind:
    if isinstance(error, InvalidRequestError) and error.param is not None:
        if error.param in ("model", "provider"):
            # Its own text would list the providers that the service knows.
            return NO_SUCH_MODEL
        if re.split(r"\W", error.param, maxsplit=1)[0] not in _FIELDS:
            return _INTERNAL  # about an option of the call or the client, which the service chooses
    if isinstance(error, AllTargetsFailedError):  # as the errors of the targets, where they are of one kind
        kinds = [_kind_of(each) for each in error.errors]
        if kinds and all(kind is kinds[0] for kind in kinds):
            return kinds[0]
    return next((kind for cls, kind in _KINDS if isinstance(error, cls)), _INTERNAL)


def _headers(kind: _ErrorKind, error: BaseException) -> dict[str, str]:
    if kind.permanent:
        return {"x-should-retry": "false"}
    wait = error.retry_after if isinstance(error, CompletionError) else None
    if wait is None or not 0 <= wait < _MAX_WAIT or kind.status < 429:
        return {}
    return {"retry-after": str(math.ceil(wait)), "retry-after-ms": str(math.ceil(wait * 1000))}


_MAX_WAIT = 1e9
"""Seconds; a larger hint, infinity included, is not passed on."""


def log_relayed_error(error: CompletionError, relay_id: str | None = None) -> None:
    """Logs at WARNING an error whose text the client does not get.

    The text of a provider's error is left out of the log as well: it may quote the prompt. Failures that are not the
    client's go to standard error where no handler gets the package's records, as under uvicorn's own logging.

    Args:
        error: the error.
        relay_id: the id that the client got in ``x-request-id``.
    """
    kind = type(error).__name__
    names = ("provider", "model", "status_code", "code", "request_id")
    facts = {name: printable(str(value)[:_MAX_NAME]) for name in names if (value := getattr(error, name)) is not None}
    extra: dict[str, object] = {name: facts.get(name) for name in ("provider", "model", "request_id")}
    extra |= {"status": error.status_code, "error": kind, "relay_id": relay_id}
    if relay_id is not None:
        facts["relay_id"] = relay_id
    text = kind if isinstance(error, APIStatusError) else f"{kind}: {message_line(error)}"
    details = ", ".join(f"{name}={value}" for name, value in facts.items())
    shown = f"{text} ({details})" if details else text
    log_event(logging.WARNING, "relayed_error", _RELAYED, shown, stacklevel=1, **extra)
    sent = _kind_of(error)
    for_operator = sent.status >= 500 or sent is _RATE_LIMIT
    if for_operator and log.isEnabledFor(logging.WARNING) and logging.lastResort is not None and not _has_handler(log):
        logging.lastResort.handle(logging.LogRecord(log.name, logging.WARNING, "", 0, _RELAYED, (shown,), None))


_RELAYED = "an error was relayed to a client: %s"


def _has_handler(logger: logging.Logger | None) -> bool:
    """Whether a handler other than `logging.NullHandler` gets the logger's records."""
    while logger is not None:
        if any(not isinstance(handler, logging.NullHandler) for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False
