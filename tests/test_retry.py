"""Retries: how long a provider asks to wait, what is worth another try, and when."""

import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anycompletion import errors
from anycompletion.errors import APIError
from anycompletion.retry import MAX_HINT, Backoff, next_delay, wait_hint, worth_retrying
from anycompletion.wire import Headers

NOON = "Sat, 21 Nov 2026 12:00:00 GMT"

HINTS: list[tuple[dict[str, str], float | None]] = [
    ({}, None),
    ({"x-ratelimit-reset-requests": "5s"}, None),
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
]


@pytest.mark.parametrize(("headers", "expected"), HINTS)
def test_wait_hints(headers: dict[str, str], expected: float | None):
    """A provider's wish would be ignored, or nonsense be waited for."""
    assert wait_hint(Headers.of(headers)) == (None if expected is None else pytest.approx(expected))


@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["retry-after-ms", "retry-after", "date"]),
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
