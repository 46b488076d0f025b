"""Retries: how long a provider asks to wait, what is worth another try, and when."""

import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anycompletion import errors
from anycompletion.errors import APIError
from anycompletion.http import Headers
from anycompletion.rate_limit_headers import wait_hint
from anycompletion.retry_policy import (
    MAX_HINT,
    Backoff,
    RetryBudget,
    is_throttled,
    next_delay,
    was_never_seen,
    worth_retrying,
)

NOON = "Sat, 21 Nov 2026 12:00:00 GMT"

HINTS: list[tuple[dict[str, str], float | None]] = [
    ({}, None),
    # milliseconds first
    ({"retry-after-ms": "250"}, 0.25),
    ({"Retry-After-Ms": "1500.5"}, 1.5005),
    ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
    ({"retry-after-ms": "soon", "retry-after": "9"}, 9),
    ({"retry-after-ms": "0", "retry-after": "9"}, 9),
    ({"retry-after-ms": "-1", "retry-after": "9"}, 9),
    ({"retry-after-ms": "", "retry-after": "9"}, 9),
    ({"retry-after-ms": "5s", "retry-after": "9"}, 9),
    ({"retry-after-ms": "nan"}, None),
    # numbers
    ({"retry-after": "1"}, 1),
    ({"Retry-After": " 7 "}, 7),
    ({"RETRY-AFTER": "0.5"}, 0.5),
    ({"retry-after": "1e1"}, 10),
    ({"retry-after": "86400"}, 86400),
    # nothing one could wait
    ({"retry-after": "0"}, None),
    ({"retry-after": "0.0"}, None),
    ({"retry-after": "-1"}, None),
    ({"retry-after": "-0"}, None),
    ({"retry-after": ""}, None),
    ({"retry-after": "   "}, None),
    ({"retry-after": "nan"}, None),
    ({"retry-after": "NaN"}, None),
    ({"retry-after": "inf"}, None),
    ({"retry-after": "Infinity"}, None),
    ({"retry-after": "1e400"}, None),
    ({"retry-after": "soon"}, None),
    ({"retry-after": "5s"}, None),
    ({"retry-after": "5 seconds"}, None),
    ({"retry-after": "5, 10"}, None),
    ({"retry-after": "٣"}, None),
    ({"retry-after": "５"}, None),
    ({"retry-after": "0x10"}, None),
    # dates, by the clock of the response
    ({"retry-after": "Sat, 21 Nov 2026 12:00:30 GMT", "date": NOON}, 30),
    ({"retry-after": "Sat, 21 Nov 2026 13:00:30 +0100", "date": NOON}, 30),
    ({"retry-after": "Saturday, 21-Nov-26 12:00:30 GMT", "date": NOON}, 30),
    ({"retry-after": "Sun, 22 Nov 2026 12:00:00 GMT", "Date": NOON}, 86400),
    ({"retry-after": NOON, "date": NOON}, None),
    ({"retry-after": "Sat, 21 Nov 2026 11:59:59 GMT", "date": NOON}, None),
    ({"retry-after": "Sat, 21 Nov 2026 12:00:30 GMT"}, None),
    ({"retry-after": "Sat, 21 Nov 2026 12:00:30 GMT", "date": "today"}, None),
    ({"retry-after": "Sat, 21 Nov 2026 12:00:30 GMT", "date": ""}, None),
    ({"retry-after": "Sat, 21 Nov 2026 12:00:30 -0000", "date": NOON}, None),
    ({"retry-after": "Sat, 99 Nov 2026 12:00:30 GMT", "date": NOON}, None),
    ({"retry-after": "Sat, 21 Nov 99999 12:00:30 GMT", "date": NOON}, None),
    ({"retry-after": f"Sat, 21 Nov 2026 12:00:{'9' * 5000} GMT", "date": NOON}, None),
    ({"retry-after": "2026-11-21T12:00:30Z", "date": NOON}, None),
    # the reset of a limit of which nothing remains
    ({"x-ratelimit-reset-requests": "5s"}, None),
    ({"x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": "5s"}, None),
    ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1s"}, 1),
    ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}, 360),
    ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "250ms"}, 0.25),
    ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "7.5"}, 7.5),
    ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "0"}, None),
    ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "-1"}, None),
    ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "soon"}, None),
    ({"x-ratelimit-remaining-tokens": "-1", "x-ratelimit-reset-tokens": "5s"}, None),
    ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1795262430", "date": NOON}, 30),
    ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1795262430000", "date": NOON}, 30),
    ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1795262430"}, None),
    ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1795262399", "date": NOON}, None),
    (
        {
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": "1s",
            "x-ratelimit-remaining-tokens": "0",
            "x-ratelimit-reset-tokens": "3s",
        },
        3,
    ),
    ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1s", "retry-after": "9"}, 9),
    ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1s", "retry-after": "-1"}, 1),
    (
        {
            "anthropic-ratelimit-input-tokens-remaining": "0",
            "anthropic-ratelimit-input-tokens-reset": "2026-11-21T12:00:30Z",
            "date": NOON,
        },
        30,
    ),
    (
        {
            "anthropic-ratelimit-requests-remaining": "3",
            "anthropic-ratelimit-requests-reset": "2026-11-21T12:00:30Z",
            "date": NOON,
        },
        None,
    ),
    (
        {"anthropic-ratelimit-requests-remaining": "0", "anthropic-ratelimit-requests-reset": "2026-11-21T12:00:30"},
        None,
    ),
]

BODIES: list[tuple[bytes, float | None]] = [
    (b'{"error": {"details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}]}}', 7),
    (b'[{"error": {"details": [{"retryDelay":"36.5s"}]}}]', 36.5),
    (b'{"retryDelay": "0s"}', None),
    (b'{"retryDelay": "-3s"}', None),
    (b'{"retryDelay": 7}', None),
    (b'{"retryDelay": "7"}', None),
    (b'{"retryDelay": "%ss"}' % (b"9" * 60_000), None),
    (b'"retryDelay":' * 20_000, None),
    (b"", None),
]


@pytest.mark.parametrize(("headers", "expected"), HINTS)
def test_wait_hints(headers: dict[str, str], expected: float | None):
    """A provider's wish would be ignored, or nonsense be waited for."""
    assert wait_hint(Headers.of(headers)) == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(("body", "expected"), BODIES)
def test_wait_hints_in_bodies(body: bytes, expected: float | None):
    """Gemini's word on when to come back, which is in no header, would not be heard."""
    assert wait_hint({}, body) == expected
    assert wait_hint({"retry-after": "2"}, body) == 2


@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            [
                *("retry-after-ms", "retry-after", "date", "x-ratelimit-remaining", "x-ratelimit-reset"),
                *("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
            ]
        ),
        st.text(max_size=12)
        | st.binary(max_size=12).map(lambda data: data.decode("latin-1"))
        | st.from_regex(
            r"\A(Sat, )?[0-9]{1,3} (Nov|Jan) [0-9]{2,5} [0-9]{1,3}:[0-9]{1,2}(:[0-9]{1,2})?( GMT| [+-][0-9]{4})?\Z"
        ),
        max_size=3,
    )
)
def test_any_header_gives_a_sensible_wait_or_none(headers: dict[str, str]):
    """Some header would raise, or stop the call for ever."""
    hint = wait_hint(Headers((name.encode(), value.encode("utf-8", "replace")) for name, value in headers.items()))
    assert hint is None or (hint > 0 and math.isfinite(hint))


@pytest.mark.parametrize("value", ["1" * 60_000 + "!", "9" * 60_000, "1m" * 30_000, "Sat, " * 12_000, "(" * 60_000])
def test_long_headers_cost_no_time(value: str):
    """One hostile header would stop the event loop for seconds."""
    start = time.process_time()
    assert wait_hint(Headers.of({"retry-after-ms": value, "retry-after": value, "date": value})) is None
    assert time.process_time() - start < 0.2


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
    """Callers would all come back at once, or earlier than the provider asked."""
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
def test_what_is_worth_another_try(error: APIError, worth: bool):
    """A hopeless call would be repeated, or a hopeful one given up."""
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
    """A call would wait past its deadline, shorter than it was told to, or once too often."""
    said = next_delay(error, tried=tried, max_retries=max_retries, time_left=time_left, random=lambda: 0.0)
    assert said == (None if delay is None else pytest.approx(delay))


def test_jitter_never_shortens_a_hint():
    """All callers that were told to wait would come back in the same instant, or too early."""
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
    # error, asked to wait, never seen
    (errors.RateLimitError("x", retry_after=1), True, False),
    (errors.RateLimitError("x"), False, False),
    (errors.OverloadedError("x", retry_after=1), False, False),
    (errors.APIConnectionError("x", phase="connect"), False, True),
    (errors.APITimeoutError("x", phase="connect"), False, True),
    (errors.APIConnectionError("x", phase="headers"), False, False),
    (errors.APITimeoutError("x", phase="total"), False, False),
    (errors.APIConnectionError("x"), False, False),
]


@pytest.mark.parametrize(("error", "throttled", "unseen"), FREE, ids=repr)
def test_which_retries_are_free(error: APIError, throttled: bool, unseen: bool):
    """A retry that makes an outage worse would cost nothing, or one that does not would be forbidden by it."""
    assert (is_throttled(error), was_never_seen(error)) == (throttled, unseen)


def test_a_budget_lets_one_retry_pass_for_ten_calls():
    """An outage would be answered with a multiple of the load."""
    budget = RetryBudget()
    retries = 0
    for _ in range(10_000):
        budget.deposit()
        retries += budget.spend() + budget.spend()
    assert 1000 <= retries <= 1010


def test_a_budget_does_not_grow_for_ever():
    """Months of good weather would pay for a storm of retries."""
    budget = RetryBudget()
    for _ in range(100_000):
        budget.deposit()
    assert sum(budget.spend() for _ in range(1000)) == 100
