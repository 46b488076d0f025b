"""Retry policy: which errors are retried and the waits before it."""

from __future__ import annotations

import pytest

from anycompletion import errors
from anycompletion.errors import APIError
from anycompletion.http import Headers
from anycompletion.retry_policy import (
    MAX_HINT,
    Backoff,
    has_wait_hint,
    never_connected,
    next_delay,
    worth_retrying,
)

BACKOFF: list[tuple[int, float | None, float, float]] = [
    # tried, hint, random, seconds
    (1, None, 0.0, 0.5),
    (1, None, 1.0, 0.375),
    (2, None, 0.0, 1.0),
    (3, None, 0.5, 1.75),
    (5, None, 0.0, 8.0),
    (6, None, 0.0, 8.0),
    (900, None, 1.0, 6.0),
    (1, 7.0, 0.0, 7.0),
    (1, 7.0, 1.0, 7.7),
    (4, 0.001, 0.5, 0.00105),
]


@pytest.mark.parametrize(("tried", "hint", "rand", "expected"), BACKOFF)
def test_backoff(tried: int, hint: float | None, rand: float, expected: float):
    """Callers would all retry at once, or earlier than the provider asked."""
    assert Backoff().delay(tried, hint, lambda: rand) == pytest.approx(expected)


def with_headers(cls: type[APIError], **headers: str) -> APIError:
    return cls("x", headers=Headers.of({name.replace("_", "-"): value for name, value in headers.items()}))


WORTH: list[tuple[APIError, bool]] = [
    (errors.RateLimitError("x"), True),
    (errors.QuotaExceededError("x"), False),
    (errors.QuotaExceededError("x", retryable=True), False),
    (with_headers(errors.QuotaExceededError, x_should_retry="true"), False),
    (errors.InternalServerError("x"), True),
    (errors.OverloadedError("x"), True),
    (errors.ServiceUnavailableError("x"), True),
    (errors.ConflictError("x"), True),
    (errors.BadRequestError("x"), False),
    (errors.AuthenticationError("x"), False),
    (errors.UnprocessableEntityError("x"), False),
    (errors.APIConnectionError("x"), True),
    (errors.APIConnectionError("bad certificate", retryable=False), False),
    (errors.APITimeoutError("x"), True),
    (errors.StreamInterruptedError("x"), False),
    (errors.StreamInterruptedError("x", retryable=True), True),
    (errors.APIResponseError("x"), False),
    (with_headers(errors.BadRequestError, x_should_retry="true"), True),
    (with_headers(errors.InternalServerError, X_Should_Retry="false"), False),
    (with_headers(errors.InternalServerError, x_should_retry="maybe"), True),
    (with_headers(errors.RateLimitError), True),
    (with_headers(errors.APIResponseError, x_should_retry="true"), False),
]


@pytest.mark.parametrize(("error", "worth"), WORTH, ids=lambda value: repr(value)[:40])
def test_errors_worth_retrying(error: APIError, worth: bool):
    """A permanent failure would be retried, or a temporary one not."""
    assert worth_retrying(error) is worth


DECISIONS: list[tuple[APIError, int, int, float | None, float | None]] = [
    # error, tried, max_retries, time left, delay
    (errors.RateLimitError("x"), 1, 2, None, 0.5),
    (errors.RateLimitError("x"), 2, 2, None, 1.0),
    (errors.RateLimitError("x"), 3, 2, None, None),
    (errors.RateLimitError("x"), 1, 0, None, None),
    (errors.BadRequestError("x"), 1, 2, None, None),
    (errors.RateLimitError("x", retry_after=3), 1, 2, None, 3.0),
    (errors.RateLimitError("x", retry_after=MAX_HINT), 1, 2, None, 60.0),
    (errors.RateLimitError("x", retry_after=60.5), 1, 2, None, None),
    (errors.RateLimitError("x", retry_after=3), 1, 2, 3.5, 3.0),
    (errors.RateLimitError("x", retry_after=3), 1, 2, 3.0, None),
    (errors.RateLimitError("x", retry_after=3), 1, 2, 0.0, None),
    (errors.InternalServerError("x"), 1, 2, -1.0, None),
    (errors.InternalServerError("x"), 1, 2, 0.6, 0.5),
    (errors.APIConnectionError("x"), 1, 1, 600, 0.5),
    (errors.QuotaExceededError("x", retry_after=1), 1, 2, None, None),
]


@pytest.mark.parametrize(("error", "tried", "max_retries", "time_left", "delay"), DECISIONS)
def test_decisions(error: APIError, tried: int, max_retries: int, time_left: float | None, delay: float | None):
    """A call would wait past its deadline, less than the provider asked, or once too often."""
    found = next_delay(error, tried=tried, max_retries=max_retries, time_left=time_left, random=lambda: 0.0)
    assert found == (None if delay is None else pytest.approx(delay))


def test_jitter_never_shortens_a_hint():
    """All callers with the same hint would retry in the same instant, or too early."""
    error = errors.RateLimitError("x", retry_after=10)
    waits = [
        next_delay(error, tried=1, max_retries=2, time_left=None, random=lambda r=r: r) for r in (0.0, 0.25, 0.5, 0.999)
    ]
    assert waits == [10.0, 10.25, 10.5, pytest.approx(10.999)]
    backoff = Backoff(base=2, cap=3)
    assert next_delay(
        errors.ConflictError("x"), tried=2, max_retries=2, time_left=None, random=lambda: 0.0, backoff=backoff
    ) == pytest.approx(3)


FREE: list[tuple[APIError, bool, bool]] = [
    # error, has a wait hint, was never connected
    (errors.RateLimitError("x", retry_after=1), True, False),
    (errors.RateLimitError("x"), False, False),
    (errors.OverloadedError("x", retry_after=1), False, False),
    (errors.APIConnectionError("x", phase="connect"), False, True),
    (errors.APITimeoutError("x", phase="connect"), False, True),
    (errors.APIConnectionError("x", phase="headers"), False, False),
    (errors.APITimeoutError("x", phase="total"), False, False),
    (errors.APIConnectionError("x"), False, False),
]


@pytest.mark.parametrize(("error", "hinted", "unconnected"), FREE, ids=repr)
def test_retries_that_cost_no_budget(error: APIError, hinted: bool, unconnected: bool):
    """A retry that makes an outage worse would cost no budget, or one that does not would cost some."""
    assert (has_wait_hint(error), never_connected(error)) == (hinted, unconnected)
