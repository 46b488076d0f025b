"""Results as values: a completion or an error, as one line of OpenAI's Batch API."""

from __future__ import annotations

import os

from attrs import define, field

from .._value import Value
from ..errors import CompletionError, ReplyError, ReplyRefusedError, ReplyTruncatedError, ReplyValidationError
from .base import JsonObject
from .completion import ChatCompletion
from .request import ChatRequest


@define(eq=False, repr=False)
class Result(Value):
    """Result of one call: exactly one of `completion` and `error` is set."""

    completion: ChatCompletion | None = None
    """The reply."""
    error: CompletionError | None = None
    """The error that `create` would raise."""
    custom_id: str | None = None
    """Id of the batch item."""
    request: ChatRequest | None = field(default=None, repr=False)
    """The request, where it is known."""

    @property
    def ok(self) -> bool:
        """True when there is a completion."""
        return self.completion is not None

    def to_dict(self) -> JsonObject:
        """An output line of OpenAI's Batch API.

        A response by HTTP, whatever its status, becomes `response`. A failure without one becomes `error`, with the
        provider's code or else the name of the error's class. A reply that is not the value it was asked for has both:
        it was paid for.
        """
        response: JsonObject | None = None
        failure: JsonObject | None = None
        if self.completion is not None:
            response = _reply(self.completion)
        else:
            error = self.error or CompletionError("an empty result")
            if isinstance(error, ReplyError):
                response = None if error.partial is None else _reply(error.partial)
                failure = {"code": _reply_code(error), "message": error.message}
            elif error.status_code is None or 200 <= error.status_code < 300:
                failure = {"code": error.code or type(error).__name__, "message": error.message}
            else:
                body = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
                response = _response(error.status_code, error.request_id, {"error": body})
        line_id = f"batch_req_{os.urandom(16).hex()}"
        return {"id": line_id, "custom_id": self.custom_id, "response": response, "error": failure}

    def unwrap(self) -> ChatCompletion:
        """The completion.

        Raises:
            CompletionError: the error, if there is no completion.
        """
        if self.completion is None:
            raise self.error or CompletionError("an empty result")
        return self.completion


_REPLY_CODES = {
    ReplyValidationError: "reply_validation",
    ReplyTruncatedError: "reply_truncated",
    ReplyRefusedError: "reply_refused",
}
"""Class → the code in a line, where the provider has reported no error."""


def _reply_code(error: ReplyError) -> str:
    return next((code for cls, code in _REPLY_CODES.items() if isinstance(error, cls)), "reply_error")


def _reply(completion: ChatCompletion) -> JsonObject:
    info = completion.info
    return _response(info.status_code or 200, info.request_id, completion.to_dict())


def _response(status: int, request_id: str | None, body: JsonObject) -> JsonObject:
    return {"status_code": status, "request_id": request_id or "", "body": body}
