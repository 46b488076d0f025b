"""Bedrock's errors as exceptions of this package: by their names first, then by status. Raises nothing itself.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html

A response names its error in the header ``x-amzn-errortype``, an exception inside a stream in a header of its message.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...codecs.aws_eventstream import AwsEvent
from ...codecs.lenient import optional_int, optional_object, optional_str
from ...errors import (
    APIError,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ContextWindowExceededError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    ServiceUnavailableError,
    class_for_status,
)
from ...http import HttpResponse
from ..error_body import read_error
from ..error_phrases import CONTEXT_LENGTH_PHRASES, has_phrase
from ..shared import as_text, error_without_details, loads_or_none

REQUEST_ID = "x-amzn-requestid"
"""The header with the request's id."""
_ERROR_TYPE = "x-amzn-errortype"

_CLASSES: Mapping[str, tuple[int, type[APIStatusError]]] = {
    "validation": (400, BadRequestError),
    "servicequotaexceeded": (400, QuotaExceededError),
    "incompletesignature": (400, AuthenticationError),
    "expiredtoken": (403, AuthenticationError),
    "invalidclienttokenid": (403, AuthenticationError),
    "invalidsignature": (403, AuthenticationError),
    "missingauthenticationtoken": (403, AuthenticationError),
    "requestexpired": (400, AuthenticationError),
    "requesttimetooskewed": (403, AuthenticationError),
    "signaturedoesnotmatch": (403, AuthenticationError),
    "unrecognizedclient": (403, AuthenticationError),
    "accessdenied": (403, PermissionDeniedError),
    "resourcenotfound": (404, NotFoundError),
    "ftuformnotfilled": (404, NotFoundError),
    "modeltimeout": (408, InternalServerError),
    "modelerror": (424, InternalServerError),
    "modelstreamerror": (424, InternalServerError),
    "modelnotready": (429, ServiceUnavailableError),
    "throttling": (429, RateLimitError),
    "internalserver": (500, InternalServerError),
    "internalfailure": (500, InternalServerError),
    "serviceunavailable": (503, ServiceUnavailableError),
}
"""Name of an error in lower case, without "Exception" → its usual status (inside a stream there is none), its class."""

_OF_MODELS = ("modelerror", "modelstreamerror")
"""Errors of the model behind Bedrock, which may have refused the request."""

# Classifying by prose is the exception: Bedrock gives these cases the same name as others, and no code.
_TOO_LONG = (*CONTEXT_LENGTH_PHRASES, "input tokens exceeded", "input is too long")
_PER_DAY = "tokens per day"


def error(response: HttpResponse) -> APIError:
    """The exception for a bad status, with all details of the body."""
    data = optional_object(loads_or_none(response.body))
    name = response.headers.get(_ERROR_TYPE) or _name_in(data)
    if data is None or 300 <= response.status < 400 or not (name or _message_in(data)):
        return error_without_details(response, REQUEST_ID)
    return _exception(_bare(name), data, response.status, response.headers, as_text(response.body))


def error_in_event(event: AwsEvent) -> APIStatusError:
    """The exception for a message of a stream that is an exception or an error."""
    data = optional_object(loads_or_none(event.data)) or {}
    message = event.headers.get(":error-message")
    if message is not None:
        data = {"message": str(message)} | data
    return _exception(_bare(event.name), data, None, None, as_text(event.data))


def error_named(name: str, data: Mapping[str, Any], raw: bytes) -> APIStatusError | None:
    """The exception for an event of a stream whose type is the name of one, which some gateways send; else None."""
    return _exception(name, data, None, None, as_text(raw)) if name.endswith("Exception") else None


def failed_generation(reason: str) -> APIStatusError:
    """The exception for a stop reason with which a model reports that its generation failed."""
    return InternalServerError(
        f"the generation failed: {reason}", status_code=500, code=reason, type=reason, maybe_billed=True
    )


def error_in_reply(data: Mapping[str, Any], headers: Mapping[str, str], body: str) -> APIStatusError | None:
    """The exception, if a body with a good status is an error."""
    found = optional_object(data.get("Output")) or data  # what unknown operations are answered with
    name = _name_in(found)
    if "output" in data or not (name or _message_in(found)):
        return None
    return _exception(_bare(name), found, None, headers, body)


def _exception(
    name: str | None, data: Mapping[str, Any], status: int | None, headers: Mapping[str, str] | None, body: str
) -> APIStatusError:
    folded = (name or "").lower().removesuffix("exception").removesuffix("error")
    known = _CLASSES.get(folded) or _CLASSES.get(f"{folded}error")
    usual, class_of_name = known or (500, None)
    status = status or usual
    message = optional_str(data.get("originalMessage")) or _message_in(data) or name or f"HTTP {status}"
    cls = _error_class(class_of_name, status, message)
    original = optional_int(data.get("originalStatusCode"))
    if f"{folded}error" in _OF_MODELS and original is not None and 400 <= original < 500:
        cls = BadRequestError
    return cls(
        message,
        status_code=status,
        type=name,
        code=name,
        request_id=(headers or {}).get(REQUEST_ID),
        headers=headers,
        body=body,
        maybe_billed=status in (408, 424),
    )


def _error_class(class_of_name: type[APIStatusError] | None, status: int, message: str) -> type[APIStatusError]:
    cls = class_for_status(status) if class_of_name is None else class_of_name
    if cls is BadRequestError and has_phrase(message, _TOO_LONG):
        return ContextWindowExceededError
    return QuotaExceededError if cls is RateLimitError and _PER_DAY in message.lower() else cls


def _bare(name: str | None) -> str | None:
    """The name of an error without its namespaces: ``ns#ThrottlingException:http://...``."""
    return (name or "").partition(":")[0].rpartition("#")[2].strip() or None


def _name_in(data: Mapping[str, Any] | None) -> str | None:
    names = () if data is None else (optional_str(data.get(name)) for name in ("__type", "code"))
    return next(filter(None, names), None)


def _message_in(data: Mapping[str, Any]) -> str | None:
    found = optional_str(data.get("message")) or optional_str(data.get("Message"))
    return found or read_error(data).message  # gateways answer in forms of their own
