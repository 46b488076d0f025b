"""Rate-limit headers: waits, durations, resets, and hostile values."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anycompletion.http import Headers
from anycompletion.rate_limit_headers import RemainingQuota, remaining_quotas, seconds, wait_hint

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
    # no usable wait
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
    """A provider's wait would be ignored, or an invalid one be used."""
    assert wait_hint(Headers.of(headers)) == (None if expected is None else pytest.approx(expected))


def test_without_a_date_points_in_time_count_from_the_clock() -> None:
    """A date in `retry-after` would be ignored, and the request be sent again at once."""
    headers = Headers.of({"retry-after": "Sat, 21 Nov 2026 12:00:30 GMT"})
    noon = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()
    assert wait_hint(headers, now=noon) == 30
    assert wait_hint(headers, now=noon + 60) is None
    assert wait_hint(Headers.of({**headers, "date": NOON}), now=noon + 60) == 30


@pytest.mark.parametrize(("body", "expected"), BODIES)
def test_wait_hints_in_bodies(body: bytes, expected: float | None):
    """Gemini's wait, which is in the body only, would be ignored."""
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
def test_any_header_gives_a_usable_wait_or_none(headers: dict[str, str]):
    """Some header would raise, or block the call for ever."""
    hint = wait_hint(Headers((name.encode(), value.encode("utf-8", "replace")) for name, value in headers.items()))
    assert hint is None or (hint > 0 and math.isfinite(hint))


@pytest.mark.parametrize("value", ["1" * 60_000 + "!", "9" * 60_000, "1m" * 30_000, "Sat, " * 12_000, "(" * 60_000])
def test_long_headers_take_no_time(value: str):
    """One hostile header would block the event loop for seconds."""
    start = time.process_time()
    assert wait_hint(Headers.of({"retry-after-ms": value, "retry-after": value, "date": value})) is None
    assert time.process_time() - start < 0.2


DURATIONS: list[tuple[str | None, float | None]] = [
    (None, None),
    ("", None),
    (" ", None),
    ("0", 0.0),
    ("1", 1.0),
    ("1.5", 1.5),
    (" 12 ", 12.0),
    ("12ms", 0.012),
    ("9.5ms", 0.0095),
    ("1s", 1.0),
    ("0s", 0.0),
    ("6m0s", 360.0),
    ("1h2m3.5s", 3723.5),
    ("1h", 3600.0),
    ("-1", None),
    ("-1s", None),
    ("nan", None),
    ("inf", None),
    ("-inf", None),
    ("1e400", None),
    ("1 s", None),
    ("s", None),
    ("1d", None),
    ("1s!", None),
    ("soon", None),
    ("1.s", None),
    ("１２", None),
    ("١s", None),
    ("9" * 400 + "s", None),
    ("9" * 60_000 + "!", None),
]


@pytest.mark.parametrize(("value", "expected"), DURATIONS)
def test_durations(value: str | None, expected: float | None):
    """A reset would be wrong, or a hostile header take seconds to parse."""
    assert seconds(value) == (None if expected is None else pytest.approx(expected))


QUOTAS: list[tuple[dict[str, str], list[tuple[str, bool, float, float]]]] = [
    ({}, []),
    ({"x-ratelimit-remaining-requests": "5"}, []),
    ({"x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": "soon"}, []),
    (
        {"x-ratelimit-remaining-tokens": "90", "x-ratelimit-reset-tokens": "6s"},
        [("x-ratelimit-remaining-tokens", True, 90.0, 6.0)],
    ),
    (
        {
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": "1m",
            "anthropic-ratelimit-requests-remaining": "7",
            "anthropic-ratelimit-requests-reset": "2026-11-21T12:00:30Z",
            "date": NOON,
        },
        [
            ("x-ratelimit-remaining-requests", False, 0.0, 60.0),
            ("anthropic-ratelimit-requests-remaining", False, 7.0, 30.0),
        ],
    ),
]


@pytest.mark.parametrize(("headers", "quotas"), QUOTAS)
def test_remaining_quotas(headers: dict[str, str], quotas: list[tuple[str, bool, float, float]]) -> None:
    """Requests would be spread by a limit that is not reported, or tokens counted as requests."""
    assert remaining_quotas(Headers.of(headers)) == [RemainingQuota(*quota) for quota in quotas]
