"""Errors as strangers may see them: the right status, and nothing of what is behind the service."""

from collections.abc import Iterator
from typing import Any

import pytest

import anycompletion
from anycompletion import (
    APIConnectionError,
    APIError,
    APIResponseError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ClientClosedError,
    CompletionError,
    ConfigurationError,
    ConflictError,
    ContentPolicyViolationError,
    ContextWindowExceededError,
    InternalServerError,
    InvalidRequestError,
    JournalError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    ServiceUnavailableError,
    StreamInterruptedError,
    UnprocessableEntityError,
    UnsupportedParameterError,
)
from anycompletion.web import PublicError, public_error
from anycompletion.web.public_errors import log_relayed_error
from support.readme import README

SAID = "set ACME_API_KEY, at https://llm.internal of org-123, for the prompt about Smith"

WORDS = ("ACME", "llm.", "org-123", "Smith", "messages[0]", "code-of-the-provider")
"""What strangers must not see of it."""

DEMANDED: dict[type[CompletionError], tuple[int, str | None]] = {
    APIConnectionError: (502, "upstream_error"),
    APIError: (502, "upstream_error"),
    APIResponseError: (502, "upstream_error"),
    APIStatusError: (502, "upstream_error"),
    APITimeoutError: (504, "upstream_timeout"),
    AuthenticationError: (502, "upstream_refused"),
    BadRequestError: (400, None),
    ClientClosedError: (503, "unavailable"),
    CompletionError: (500, "internal_error"),
    ConfigurationError: (500, "internal_error"),
    ConflictError: (502, "upstream_error"),
    ContentPolicyViolationError: (400, "content_policy_violation"),
    ContextWindowExceededError: (400, "context_length_exceeded"),
    InternalServerError: (502, "upstream_error"),
    InvalidRequestError: (400, None),
    JournalError: (500, "internal_error"),
    NotFoundError: (404, "model_not_found"),
    OverloadedError: (503, "overloaded"),
    PermissionDeniedError: (502, "upstream_refused"),
    QuotaExceededError: (502, "upstream_refused"),
    RateLimitError: (429, "rate_limit_exceeded"),
    ServiceUnavailableError: (503, "overloaded"),
    StreamInterruptedError: (502, "stream_interrupted"),
    UnprocessableEntityError: (422, None),
    UnsupportedParameterError: (400, "unsupported_parameter"),
}
"""Every class of error → status and code."""

TOLD = {kind for kind in DEMANDED if issubclass(kind, (BadRequestError, InvalidRequestError, UnprocessableEntityError))}
"""What is wrong with the request, and so the business of who wrote it."""


def kinds() -> Iterator[type[CompletionError]]:
    """Every class of error that the package exports."""
    for name in anycompletion.__all__:
        value: Any = getattr(anycompletion, name)
        if isinstance(value, type) and issubclass(value, CompletionError):
            yield value


def test_every_error_has_its_row() -> None:
    """A new kind of error would be shown to strangers in a way that nobody thought of."""
    assert set(kinds()) >= DEMANDED.keys()
    for kind in kinds():
        shown = public_error(kind(SAID))
        family = next(base for base in kind.__mro__ if base in DEMANDED)
        assert (shown.status, shown.code) == DEMANDED[family]
        assert kind is family or family is not CompletionError, "a new branch of the tree needs a row of its own"


@pytest.mark.parametrize("kind", DEMANDED)
def test_an_error_has_its_status_and_code(kind: type[CompletionError]) -> None:
    """Peers would retry what cannot succeed, or take the service's trouble for their own."""
    shown = public_error(kind(SAID))
    assert (shown.status, shown.code) == DEMANDED[kind]
    assert shown.type in ("invalid_request_error", "rate_limit_error", "server_error")
    assert (shown.type == "server_error") is (shown.status >= 500)


def test_the_table_that_people_read_is_the_one_that_holds() -> None:
    """Who mounts an endpoint would be told other statuses than their callers get."""
    rows = {tuple(line.split()) for line in (public_error.__doc__ or "").splitlines()}
    for status, code in DEMANDED.values():
        assert any(str(status) in row and (code is None or code in row) for row in rows), code


@pytest.mark.parametrize("detail", [False, True])
@pytest.mark.parametrize("kind", DEMANDED)
def test_strangers_see_only_what_is_their_business(kind: type[CompletionError], detail: bool) -> None:
    """Names of variables, addresses, organizations or prompts would go out to strangers."""
    shown = public_error(kind(SAID, param="messages[0]", code="code-of-the-provider", body=SAID), detail=detail)
    if detail and kind in TOLD:
        assert (shown.message, shown.param) == (SAID, "messages[0]")
        assert shown.code in ("code-of-the-provider", DEMANDED[kind][1])
    else:
        assert not [word for word in WORDS if word in shown.to_json().decode()]
        assert shown.message


def test_an_unknown_provider_is_an_unknown_model() -> None:
    """Strangers would be told which providers a service knows."""
    error = InvalidRequestError("unknown provider 'x'; known are a, b", param="model")
    assert public_error(error, detail=True) == public_error(NotFoundError("x"), detail=True)


@pytest.mark.parametrize("fault", [ZeroDivisionError(SAID), KeyError(SAID), KeyboardInterrupt(SAID)])
def test_a_fault_that_is_not_ours_says_nothing(fault: BaseException) -> None:
    """Internals would go out to strangers."""
    shown = public_error(fault, detail=True)
    assert (shown.status, shown.code) == (500, "internal_error")
    assert "ACME" not in shown.to_json().decode()


HINTS: dict[str, tuple[CompletionError, dict[str, str]]] = {
    "a while": (RateLimitError(retry_after=1.5), {"retry-after": "2", "retry-after-ms": "1500"}),
    "no time": (RateLimitError(retry_after=0), {"retry-after": "0", "retry-after-ms": "0"}),
    "unknown": (RateLimitError(), {}),
    "no number": (RateLimitError(retry_after=float("nan")), {}),
    "for ever": (RateLimitError(retry_after=float("inf")), {}),
    "overloaded": (OverloadedError(retry_after=3), {"retry-after": "3", "retry-after-ms": "3000"}),
    "the service's own quota": (QuotaExceededError(retry_after=9), {"x-should-retry": "false"}),
    "the service's own key": (AuthenticationError(), {"x-should-retry": "false"}),
    "no waiting helps": (BadRequestError(retry_after=9), {}),
}
"""What is known of the time after which to come back, and the headers that say it."""


@pytest.mark.parametrize("case", HINTS)
def test_a_peer_is_told_when_to_come_back(case: str) -> None:
    """Peers would come back too early, too late, or in vain."""
    error, headers = HINTS[case]
    assert public_error(error).headers == headers


def test_the_form_is_openais() -> None:
    """An OpenAI client could not read it."""
    error = PublicError(status=400, type="invalid_request_error", message="a «text»", param="n")
    assert error.to_dict() == {
        "error": {"message": "a «text»", "type": "invalid_request_error", "param": "n", "code": None}
    }
    assert b"\n" not in error.to_json()


def test_the_log_repeats_nothing_that_a_provider_said(caplog: pytest.LogCaptureFixture) -> None:
    """A provider that repeats the prompt would bring it into the service's log, or nobody would learn of an error."""
    log_relayed_error(
        BadRequestError("about Smith\nand more", provider="acme", status_code=400, code="a\nb", request_id="req-1")
    )
    log_relayed_error(ConfigurationError("no key: set ACME_API_KEY"))
    assert [record.getMessage().removeprefix("an error was relayed to a client: ") for record in caplog.records] == [
        "BadRequestError (provider=acme, status_code=400, code=a\\nb, request_id=req-1)",
        "ConfigurationError: no key: set ACME_API_KEY",
    ]
    assert {(record.name, record.levelname) for record in caplog.records} == {("anycompletion", "WARNING")}
    first: dict[str, Any] = caplog.records[0].__dict__
    assert [first[name] for name in ("event", "provider", "status", "request_id", "error")] == [
        *("relayed_error", "acme", 400, "req-1", "BadRequestError")
    ]
    assert "| `relayed_error` | WARNING |" in README.read_text("utf-8")
