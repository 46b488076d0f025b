"""Headers and bodies with retry hints and rate limits, as seeds of fuzzing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

HINTS: Mapping[str, Sequence[str]] = {
    "retry-after-ms": ("1500", "0", "1e3", "1.5"),
    "retry-after": ("2", "2.5", "1s", "-1", "0", "Tue, 21 Nov 2023 07:28:30 GMT", "Tuesday, 21-Nov-23 07:28:30 GMT"),
    "date": ("Tue, 21 Nov 2023 07:28:00 GMT", "Tue, 21 Nov 2023 07:28:00 -0000", "Tue, 21 Nov 23 07:28:00 +2500"),
    "x-ratelimit-reset": ("12", "1700000000", "1700000000000"),
    "x-ratelimit-reset-requests": ("1s", "6m0s", "250ms", "8.64s", "1h2m3s", "1700000000", "1700000000000"),
    "x-ratelimit-reset-tokens": ("6m0s", "0s", "1d", "-1s"),
    "x-ratelimit-remaining-requests": ("0", "5", "-1"),
    "x-ratelimit-remaining-tokens": ("0", "100", "0.0"),
    "anthropic-ratelimit-requests-reset": ("2023-11-21T07:28:30Z", "2023-11-21T07:28:30.5+02:00", "2023-11-21"),
    "anthropic-ratelimit-requests-remaining": ("0", "49"),
    "anthropic-ratelimit-tokens-reset": ("2023-11-21T07:29:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59"),
    "anthropic-ratelimit-tokens-remaining": ("0", "1000"),
    "anthropic-ratelimit-input-tokens-reset": ("2023-11-21T07:29:00Z",),
    "anthropic-ratelimit-input-tokens-remaining": ("0",),
    "ratelimit-reset": ("12", "1700000000"),
    "ratelimit-remaining": ("0", "1"),
    "x-should-retry": ("true", "false"),
}
"""Headers with retry hints and rate limits, or similar values."""

HINT_BODIES: Sequence[Any] = (
    {
        "error": {
            "code": 429,
            "status": "RESOURCE_EXHAUSTED",
            "message": "Please retry in 7s.",
            "details": [
                {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": "PerDay"}]},
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7.5s"},
            ],
        }
    },
    [{"error": {"details": [{"retryDelay": "34.074824224s"}]}}],
    {"error": {"details": {"retryDelay": 7}}, "retry_after": 3},
)
"""Bodies with retry hints."""
