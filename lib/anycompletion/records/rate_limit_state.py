"""The rate limits that the headers of a response report."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import define

from ..rate_limit_headers import rate_limit_fields
from .base import Record


@define(repr=False, eq=False)
class RateLimitState(Record):
    """The rate limits that the provider's headers report; resets are seconds from the reply."""

    limit_requests: int | None = None
    """Requests allowed in a period of the provider's."""
    remaining_requests: int | None = None
    """Requests left."""
    reset_requests: float | None = None
    """Seconds until all requests are available again."""
    limit_tokens: int | None = None
    """Tokens allowed in a period of the provider's."""
    remaining_tokens: int | None = None
    """Tokens left."""
    reset_tokens: float | None = None
    """Seconds until all tokens are available again."""


def rate_limit_state(headers: Mapping[str, str]) -> RateLimitState | None:
    """The rate limits in a response's headers; None where they have none."""
    fields = rate_limit_fields(headers)
    return RateLimitState(**fields) if fields else None
