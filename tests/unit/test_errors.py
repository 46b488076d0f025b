"""Errors: the class tree, their attributes, and what their texts never show."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from anycompletion import errors
from anycompletion.errors import BODY_LIMIT, CompletionError, class_for_status
from anycompletion.http import Headers
from anycompletion.records import ChatCompletion, ChatCompletionMessage, Choice

CLASSES = sorted(
    (cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, CompletionError)),
    key=lambda cls: cls.__name__,
)

BASES: dict[str, tuple[type[BaseException], ...]] = {
    "APIConnectionError": (errors.APIError,),
    "APIError": (CompletionError,),
    "APIResponseError": (errors.APIError,),
    "APIStatusError": (errors.APIError,),
    "APITimeoutError": (errors.APIConnectionError, TimeoutError),
    "AuthenticationError": (errors.APIStatusError,),
    "BadRequestError": (errors.APIStatusError,),
    "CacheMissError": (CompletionError,),
    "ClientClosedError": (CompletionError, RuntimeError),
    "CompletionError": (Exception,),
    "ConfigurationError": (CompletionError,),
    "ConflictError": (errors.APIStatusError,),
    "ContentPolicyViolationError": (errors.BadRequestError,),
    "ContextWindowExceededError": (errors.BadRequestError,),
    "InternalServerError": (errors.APIStatusError,),
    "InvalidRequestError": (CompletionError, ValueError),
    "JournalError": (CompletionError,),
    "NotFoundError": (errors.APIStatusError,),
    "OverloadedError": (errors.InternalServerError,),
    "PermissionDeniedError": (errors.APIStatusError,),
    "QuotaExceededError": (errors.RateLimitError,),
    "RateLimitError": (errors.APIStatusError,),
    "ReplyError": (CompletionError,),
    "ReplyRefusedError": (errors.ReplyError,),
    "ReplyTruncatedError": (errors.ReplyError,),
    "ReplyValidationError": (errors.ReplyError, ValueError),
    "ServiceUnavailableError": (errors.InternalServerError,),
    "StreamInterruptedError": (errors.APIConnectionError,),
    "UnprocessableEntityError": (errors.APIStatusError,),
    "UnsupportedParameterError": (errors.InvalidRequestError,),
}

RETRYABLE = {
    "APIConnectionError",
    "APITimeoutError",
    "ConflictError",
    "InternalServerError",
    "OverloadedError",
    "RateLimitError",
    "ServiceUnavailableError",
}

STATUSES: dict[type[errors.APIStatusError], tuple[int, ...]] = {
    errors.BadRequestError: (400, 405, 406, 410, 411, 413, 414, 415, 418, 421, 423, 426, 428, 431, 444, 451, 499),
    errors.AuthenticationError: (401, 498),
    errors.PermissionDeniedError: (403,),
    errors.NotFoundError: (404,),
    errors.ConflictError: (409,),
    errors.UnprocessableEntityError: (422,),
    errors.RateLimitError: (429,),
    errors.QuotaExceededError: (402,),
    errors.InternalServerError: (408, 425, 500, 501, 502, 504, 505, 507, 520, 521, 522, 523, 524, 530, 599),
    errors.ServiceUnavailableError: (503,),
    errors.OverloadedError: (529,),
    errors.APIStatusError: (600, 999),
}

PARTIAL = ChatCompletion("c1", [Choice(0, ChatCompletionMessage("Hel"))], "m")
EVERYTHING: dict[str, Any] = {
    "param": "messages[3].content",
    "provider": "openai",
    "model": "gpt-4o",
    "status_code": 429,
    "code": "rate_limit_exceeded",
    "type": "tokens",
    "request_id": "req_1",
    "retry_after": 1.5,
    "headers": Headers.of({"Retry-After": "1.5"}),
    "body": '{"error": {}}',
    "attempts": 3,
    "elapsed": 2.25,
    "maybe_billed": True,
    "partial": PARTIAL,
    "phase": "idle",
    "retryable": True,
}


def test_the_table_of_bases_is_complete():
    """A new class would have no tests."""
    assert [cls.__name__ for cls in CLASSES] == sorted(BASES)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_bases(cls: type[CompletionError]):
    """A caller's `except` would catch too much or too little."""
    assert cls.__bases__ == BASES[cls.__name__]
    assert cls.__doc__


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_retryable_classes(cls: type[CompletionError]):
    """Permanent failures would be retried, or temporary ones not."""
    assert cls.retryable is (cls.__name__ in RETRYABLE)
    assert cls("x").retryable is cls.retryable
    assert cls("x", retryable=not cls.retryable).retryable is not cls.retryable


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_short_constructors(cls: type[CompletionError]):
    """Tests of applications could not make the errors that they handle."""
    error = cls("slow down", retry_after=1)
    assert str(error) == "slow down"
    assert error.message == "slow down"
    assert error.args == ("slow down",)
    assert error.retry_after == 1
    blank = cls()
    assert str(blank) == ""
    unknown = [name for name in EVERYTHING if name not in ("attempts", "maybe_billed", "retryable")]
    assert {name: getattr(blank, name) for name in unknown} == dict.fromkeys(unknown)
    assert (blank.attempts, blank.maybe_billed) == (0, False)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize(
    "again",
    [copy.copy, copy.deepcopy, *(lambda e, p=p: pickle.loads(pickle.dumps(e, p)) for p in range(2, 6))],  # noqa: S301
    ids=["copy", "deepcopy", "pickle2", "pickle3", "pickle4", "pickle5"],
)
def test_copies_and_pickles_keep_every_attribute(cls: type[CompletionError], again: Any):
    """An error from another process would lose attributes, or fail to unpickle."""
    error = cls("slow down", **EVERYTHING)
    error.add_note("in row 7")
    error.extra_of_the_app = 1  # type: ignore[attr-defined]
    copied = again(error)
    assert type(copied) is cls
    assert str(copied) == str(error)
    assert copied.args == error.args
    assert {name: getattr(copied, name) for name in EVERYTHING} == EVERYTHING
    assert copied.__notes__ == ["in row 7"]
    assert copied.extra_of_the_app == 1
    assert repr(copied) == repr(error)


def test_a_body_is_truncated():
    """A log or a queue would contain megabytes of a proxy's error page."""
    assert errors.BadRequestError("x", body="b" * 5000).body == "b" * BODY_LIMIT
    assert BODY_LIMIT == 2048
    assert errors.BadRequestError("x", body="short").body == "short"
    assert errors.BadRequestError("x", body="").body == ""


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (errors.RateLimitError("slow down", **EVERYTHING), "openai/gpt-4o: 429 slow down (request req_1)"),
        (errors.RateLimitError("slow down", status_code=429), "429 slow down"),
        (errors.RateLimitError(status_code=429, provider="acme"), "acme: 429"),
        (errors.NotFoundError("no page", provider="acme", model="x/y", status_code=404), "acme/x/y: 404 no page"),
        (
            errors.InternalServerError("502 Bad Gateway", provider="a", model="m", status_code=502),
            "a/m: 502 Bad Gateway",
        ),
        (errors.StreamInterruptedError("cut", provider="a", model="m", status_code=200), "a/m: cut"),
        (
            errors.APIResponseError("status 301 points away", provider="a", model="m", status_code=301),
            "a/m: status 301 points away",
        ),
        (errors.ConfigurationError("no API key for acme", provider="acme"), "no API key for acme"),
        (errors.ConfigurationError("no key", provider="acme"), "acme: no key"),
        (errors.InvalidRequestError("n: is too large", param="n"), "n: is too large"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_text_begins_with_place_and_status(error: CompletionError, shown: str):
    """A log line of a program with several providers would not tell which one failed, and how."""
    message = error.message
    assert str(error) == shown
    assert error.message == message
    assert errors.message_line(error) == message


def test_text_is_one_bounded_line_whatever_its_parts_are():
    """A provider's id or a caller's model could fill the log, or write lines into it."""
    long = "x\n" * 5000
    error = errors.RateLimitError(long, provider=long, model=long, request_id=long, status_code=429)
    assert str(error).isprintable()
    assert len(str(error)) < 1500


def test_long_texts_are_truncated():
    """One failed call could fill a log with a text from the provider."""
    error = errors.BadRequestError("p" * 100_000, body="b" * 5000)
    assert str(error) == "p" * 500 + "…"
    assert len(repr(error)) < 600
    assert error.message == "p" * 100_000
    assert str(errors.BadRequestError("p" * 500)) == "p" * 500


def test_repr():
    """Headers, bodies and partial replies, which can contain prompts, would be in every traceback."""
    shown = repr(errors.RateLimitError("slow down", **EVERYTHING))
    assert shown == (
        "RateLimitError('slow down', param='messages[3].content', provider='openai', model='gpt-4o', status_code=429, "
        "code='rate_limit_exceeded', phase='idle', request_id='req_1', retry_after=1.5, attempts=3)"
    )
    assert repr(errors.JournalError("x")) == "JournalError('x')"


@pytest.mark.parametrize(
    ("status", "cls"), [(status, cls) for cls, statuses in STATUSES.items() for status in statuses]
)
def test_statuses(status: int, cls: type[errors.APIStatusError]):
    """A status would be raised as another class than documented."""
    assert class_for_status(status) is cls


def test_builtin_bases():
    """Code that catches builtin exceptions would miss the package's."""
    assert isinstance(errors.APITimeoutError("late"), TimeoutError)
    assert isinstance(errors.UnsupportedParameterError("no"), ValueError)
    assert isinstance(errors.ClientClosedError("closed"), RuntimeError)
    assert not isinstance(errors.APIResponseError("odd"), ValueError)
