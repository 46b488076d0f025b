"""Tests of the table of errors: which of them move a call on, and what they mean for the target."""

from __future__ import annotations

from collections.abc import Iterator

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
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    ReplyRefusedError,
    ReplyTruncatedError,
    ReplyValidationError,
    ServiceUnavailableError,
    StreamInterruptedError,
    UnprocessableEntityError,
    UnsupportedParameterError,
)
from anycompletion.routing import Route
from anycompletion.routing.move_rules import MOVE_RULES, move_rule

ROUTE = Route(["openai/gpt-4o"])

EXPECTED: dict[type[CompletionError], tuple[str, str]] = {
    **dict.fromkeys((APIConnectionError, APITimeoutError, APIResponseError, StreamInterruptedError), ("on", "failure")),
    **dict.fromkeys((InternalServerError, ServiceUnavailableError, OverloadedError), ("on", "failure")),
    **dict.fromkeys((ConflictError, APIStatusError), ("on", "failure")),
    RateLimitError: ("on", "rate_limit"),
    **dict.fromkeys((QuotaExceededError, AuthenticationError, PermissionDeniedError), ("on", "rejected")),
    NotFoundError: ("on", "rejected"),
    ContextWindowExceededError: ("to_larger_window", "none"),
    ContentPolicyViolationError: ("no", "none"),
    **dict.fromkeys((UnsupportedParameterError, ConfigurationError), ("past", "none")),
    **dict.fromkeys((BadRequestError, UnprocessableEntityError, InvalidRequestError), ("no", "none")),
    **dict.fromkeys((ReplyValidationError, ReplyTruncatedError, ReplyRefusedError), ("no", "none")),
    ClientClosedError: ("no", "none"),
}


@pytest.mark.parametrize("error", EXPECTED, ids=lambda error: error.__name__)
def test_each_error_has_its_row(error: type[CompletionError]) -> None:
    """A call would go on after an error that every target gives, or give up after one that is a single target's."""
    rule = move_rule(error("text"), ROUTE)
    assert (rule.move, rule.health) == EXPECTED[error]


def classes(cls: type[CompletionError] = CompletionError) -> Iterator[type[CompletionError]]:
    yield cls
    for each in cls.__subclasses__():
        yield from classes(each)


def test_all_errors_of_the_network_and_of_providers_are_listed() -> None:
    """A new class of errors would be forgotten here."""
    public = {each for each in vars(anycompletion).values() if isinstance(each, type) and issubclass(each, APIError)}
    assert public - EXPECTED.keys() == {APIError, anycompletion.AllTargetsFailedError}


def test_no_row_is_hidden_by_a_row_before_it() -> None:
    """A row would never be used, because one of a base class comes before it."""
    for index, rule in enumerate(MOVE_RULES):
        assert not [before for before in MOVE_RULES[:index] if issubclass(rule.error, before.error)]


def test_settings_of_the_route_change_two_rows() -> None:
    """`on_context_window` or `on_content_policy` would have no effect."""
    route = Route(["openai/gpt-4o"], on_context_window="raise", on_content_policy="move")
    assert move_rule(ContextWindowExceededError("long"), route).move == "no"
    assert move_rule(ContentPolicyViolationError("no"), route).move == "on"


def test_move_on_decides_where_it_returns_a_bool() -> None:
    """An app could not decide about an error of its own interest, or would change all others, too."""

    def decide(error: CompletionError) -> bool | None:
        if isinstance(error, BadRequestError):
            return True
        return False if isinstance(error, InternalServerError) else None

    route = Route(["openai/gpt-4o"], move_on=decide)
    assert move_rule(BadRequestError("no"), route).move == "on"
    assert move_rule(InternalServerError("no"), route).move == "no"
    assert move_rule(RateLimitError("no"), route).move == "on"
    assert move_rule(ClientClosedError("no"), Route(["openai/gpt-4o"], move_on=lambda error: True)).move == "no"
