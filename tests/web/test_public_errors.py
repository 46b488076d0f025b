"""Errors for external callers: the proper status, and no internals of the service."""

import re
import subprocess
import sys
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
    CacheMissError,
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
    ReplyError,
    ReplyRefusedError,
    ReplyTruncatedError,
    ReplyValidationError,
    ServiceUnavailableError,
    StreamInterruptedError,
    ToolExecutionError,
    ToolRunError,
    UnprocessableEntityError,
    UnsupportedParameterError,
)
from anycompletion.web import PublicError, public_error
from anycompletion.web.public_errors import log_relayed_error
from support.pages import whole_text

TEXT = "set ACME_API_KEY, at https://llm.internal of org-123, for the prompt about Smith"

INTERNALS = ("ACME", "llm.", "org-123", "Smith", "messages[0]", "code-of-the-provider")
"""Parts of `TEXT` and of the error's attributes that external callers must not see."""

EXPECTED: dict[type[CompletionError], tuple[int, str | None]] = {
    APIConnectionError: (502, "upstream_error"),
    APIError: (502, "upstream_error"),
    APIResponseError: (502, "upstream_error"),
    APIStatusError: (502, "upstream_error"),
    APITimeoutError: (504, "upstream_timeout"),
    AuthenticationError: (502, "upstream_refused"),
    BadRequestError: (400, None),
    ClientClosedError: (503, "unavailable"),
    CacheMissError: (500, "internal_error"),
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
    ReplyError: (502, "unusable_reply"),
    ReplyRefusedError: (400, "content_policy_violation"),
    ReplyTruncatedError: (502, "unusable_reply"),
    ReplyValidationError: (502, "unusable_reply"),
    ToolExecutionError: (500, "internal_error"),
    ToolRunError: (500, "internal_error"),
    UnprocessableEntityError: (422, None),
    UnsupportedParameterError: (400, "unsupported_parameter"),
}
"""Every class of error → status and code."""

WITH_DETAIL = {
    kind for kind in EXPECTED if issubclass(kind, (BadRequestError, InvalidRequestError, UnprocessableEntityError))
}
"""Errors about the request, whose text a caller who wrote the request may see."""


def error_classes() -> Iterator[type[CompletionError]]:
    """Every class of error that the package exports."""
    for name in anycompletion.__all__:
        value: Any = getattr(anycompletion, name)
        if isinstance(value, type) and issubclass(value, CompletionError):
            yield value


def test_every_error_class_has_a_status() -> None:
    """A new class of errors would be shown to external callers without a decision how."""
    assert set(error_classes()) >= EXPECTED.keys()
    for kind in error_classes():
        shown = public_error(kind(TEXT))
        family = next(base for base in kind.__mro__ if base in EXPECTED)
        assert (shown.status, shown.code) == EXPECTED[family]
        assert kind is family or family is not CompletionError, "a new branch of the tree needs an entry of its own"


@pytest.mark.parametrize("kind", EXPECTED)
def test_an_error_has_its_status_and_code(kind: type[CompletionError]) -> None:
    """Callers would retry what cannot succeed, or take errors of the service for their own."""
    shown = public_error(kind(TEXT))
    assert (shown.status, shown.code) == EXPECTED[kind]
    assert shown.type in ("invalid_request_error", "rate_limit_error", "server_error")
    assert (shown.type == "server_error") is (shown.status >= 500)


def test_the_documented_table_matches_the_code() -> None:
    """The documentation would list other statuses than callers get."""
    rows = {tuple(line.split()) for line in (public_error.__doc__ or "").splitlines()}
    for status, code in EXPECTED.values():
        assert any(str(status) in row and (code is None or code in row) for row in rows), code


@pytest.mark.parametrize("detail", [False, True])
@pytest.mark.parametrize("kind", EXPECTED)
def test_external_callers_see_no_internals(kind: type[CompletionError], detail: bool) -> None:
    """Names of variables, addresses, organizations or prompts would be visible to external callers."""
    shown = public_error(kind(TEXT, param="messages[0]", code="code-of-the-provider", body=TEXT), detail=detail)
    if detail and kind in WITH_DETAIL:
        assert (shown.message, shown.param) == (TEXT, "messages[0]")
        assert shown.code in ("code-of-the-provider", EXPECTED[kind][1])
    else:
        assert not [word for word in INTERNALS if word in shown.to_json().decode()]
        assert shown.message


def test_an_unknown_provider_is_an_unknown_model() -> None:
    """External callers would see which providers a service knows."""
    error = InvalidRequestError("unknown provider 'x'; known are a, b", param="model")
    assert public_error(error, detail=True) == public_error(NotFoundError("x"), detail=True)


@pytest.mark.parametrize("param", ["base_urls['openai']", "timeout", "limits", "extra_headers"])
def test_an_error_about_the_service_is_internal(param: str) -> None:
    """Callers would get a 400 for a mistake in the service's configuration, with the names of its settings."""
    for detail in (False, True):
        shown = public_error(InvalidRequestError(TEXT, param=param), detail=detail)
        assert (shown.status, shown.code, shown.param) == (500, "internal_error", None)


@pytest.mark.parametrize("hint", ["pass extra_body={...}", "or on_unsupported='drop'", "see Provider(params=...)"])
def test_hints_for_the_service_are_not_shown(hint: str) -> None:
    """An error would refer callers to options that they do not have."""
    shown = public_error(UnsupportedParameterError(f"thinking: no; {hint}", param="thinking"), detail=True)
    assert (shown.message, shown.param) == ("thinking: the model does not take this", "thinking")


@pytest.mark.parametrize("error", [ZeroDivisionError(TEXT), KeyError(TEXT), KeyboardInterrupt(TEXT)])
def test_other_exceptions_show_no_internals(error: BaseException) -> None:
    """Internals would be visible to external callers."""
    shown = public_error(error, detail=True)
    assert (shown.status, shown.code) == (500, "internal_error")
    assert "ACME" not in shown.to_json().decode()


HINTS: dict[str, tuple[CompletionError, dict[str, str]]] = {
    "seconds": (RateLimitError(retry_after=1.5), {"retry-after": "2", "retry-after-ms": "1500"}),
    "zero": (RateLimitError(retry_after=0), {"retry-after": "0", "retry-after-ms": "0"}),
    "unknown": (RateLimitError(), {}),
    "NaN": (RateLimitError(retry_after=float("nan")), {}),
    "infinite": (RateLimitError(retry_after=float("inf")), {}),
    "overloaded": (OverloadedError(retry_after=3), {"retry-after": "3", "retry-after-ms": "3000"}),
    "the service's own quota": (QuotaExceededError(retry_after=9), {"x-should-retry": "false"}),
    "the service's own key": (AuthenticationError(), {"x-should-retry": "false"}),
    "waiting does not help": (BadRequestError(retry_after=9), {}),
}
"""`retry_after` of an error and the headers of the response."""


@pytest.mark.parametrize("case", HINTS)
def test_retry_headers(case: str) -> None:
    """Callers would retry too early, too late, or in vain."""
    error, headers = HINTS[case]
    assert public_error(error).headers == headers


def test_the_format_is_openais() -> None:
    """An OpenAI client could not parse errors."""
    error = PublicError(status=400, type="invalid_request_error", message="a «text»", param="n")
    assert error.to_dict() == {
        "error": {"message": "a «text»", "type": "invalid_request_error", "param": "n", "code": None}
    }
    assert b"\n" not in error.to_json()


def test_long_texts_of_a_provider_are_cut(caplog: pytest.LogCaptureFixture) -> None:
    """A server could fill the log of a service, and its answers, with one error."""
    long = "x" * 100_000
    error = BadRequestError(long, code=long, param=long, request_id=long, provider="openai", model="m")
    assert len(public_error(error, detail=True).to_json()) < 2_000
    log_relayed_error(error, "req_1")
    assert len(caplog.records[0].getMessage()) < 2_000


def test_the_log_contains_no_text_of_a_provider(caplog: pytest.LogCaptureFixture) -> None:
    """A provider that quotes the prompt would bring it into the service's log, or an error would not be logged."""
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
    assert [first[f"ac_{name}"] for name in ("event", "provider", "status", "request_id", "error")] == [
        *("relayed_error", "acme", 400, "req-1", "BadRequestError")
    ]
    assert "| `relayed_error` | WARNING |" in whole_text()


CONFIGURED: dict[str, tuple[str, bool]] = {
    "nothing": ("", True),
    "uvicorn's own": ("import logging.config, uvicorn; logging.config.dictConfig(uvicorn.config.LOGGING_CONFIG)", True),
    "a higher level": ("import logging; logging.getLogger('anycompletion').setLevel('ERROR')", False),
    "another handler": (
        "import logging; logging.getLogger('anycompletion').addHandler(logging.FileHandler('/dev/null'))",
        False,
    ),
}
"""Configuration of logging → whether a relayed error goes to standard error."""


@pytest.mark.parametrize("case", CONFIGURED)
def test_a_failing_relay_is_visible_without_configured_logging(case: str) -> None:
    """A service under a server's default logging would fail silently."""
    setup, visible = CONFIGURED[case]
    kinds = ("OverloadedError", "RateLimitError", "AuthenticationError", "APITimeoutError")
    script = (
        f"import anycompletion\nfrom anycompletion.web.public_errors import log_relayed_error\n{setup}\n"
        f"for kind in {kinds}: log_relayed_error(getattr(anycompletion, kind)('x', provider='acme'), 'req-1')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    lines = [line.removeprefix("an error was relayed to a client: ") for line in done.stderr.splitlines()]
    assert [re.sub(r"\W.*", "", line) for line in lines] == (list(kinds) if visible else [])
    assert all(line.endswith(" (provider=acme, relay_id=req-1)") for line in lines)


def test_mistakes_of_clients_are_not_written_to_standard_error() -> None:
    """Any caller could fill the service's log files."""
    script = (
        "from anycompletion import BadRequestError\nfrom anycompletion.web.public_errors import log_relayed_error\n"
        "log_relayed_error(BadRequestError('x'))"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stderr == b""
