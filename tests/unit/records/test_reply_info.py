"""ReplyInfo: the rate limits that a reply's headers report."""

from __future__ import annotations

import pytest

from anycompletion.http import Headers
from anycompletion.records import ReplyInfo
from anycompletion.records.rate_limit_state import RateLimitState

LIMITS: list[tuple[dict[str, str], RateLimitState | None]] = [
    ({}, None),
    ({"retry-after": "5", "x-ratelimit-limit-images": "5"}, None),
    (
        {
            "X-RateLimit-Limit-Requests": "5000",
            "x-ratelimit-remaining-requests": "4999",
            "x-ratelimit-reset-requests": "12ms",
            "x-ratelimit-limit-tokens": "160000",
            "x-ratelimit-remaining-tokens": "159976",
            "x-ratelimit-reset-tokens": "6m0s",
        },
        RateLimitState(5000, 4999, 0.012, 160000, 159976, 360.0),
    ),
    (
        {
            "anthropic-ratelimit-requests-limit": "50",
            "anthropic-ratelimit-requests-remaining": "49",
            "anthropic-ratelimit-requests-reset": "2026-01-01T00:00:00Z",
            "anthropic-ratelimit-tokens-limit": "40000",
            "anthropic-ratelimit-tokens-remaining": "0",
        },
        RateLimitState(50, 49, None, 40000, 0),
    ),
    ({"x-ratelimit-reset-tokens": "7", "x-ratelimit-remaining-tokens": "-1"}, RateLimitState(reset_tokens=7.0)),
    ({"x-ratelimit-limit-requests": "9" * 400}, None),
    ({"x-ratelimit-limit-requests": "many", "x-ratelimit-limit-tokens": "0"}, RateLimitState(limit_tokens=0)),
]


@pytest.mark.parametrize(("given_headers", "state"), LIMITS)
def test_rate_limits(given_headers: dict[str, str], state: RateLimitState | None):
    """An application could not see what remains, or an invalid header would make the reply fail."""
    assert ReplyInfo("p", "m", headers=Headers.of(given_headers)).rate_limit == state
