"""Metadata of a reply: provider, headers, rate limits, attempts and warnings; contains no part of its content."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from attrs import define, field

from .._value import Value
from ..errors import CompletionError
from ..http import NO_HEADERS, Headers

if TYPE_CHECKING:
    from .rate_limit_state import RateLimitState


class Tried(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """One visit of a call to a target of its route."""

    target: str
    """Name of the target."""
    provider: str
    """Name of the provider."""
    model: str
    """The provider's own name of the model."""
    error: CompletionError | None
    """The error with which the visit ended; None for the target that answered."""
    elapsed: float
    """Seconds from the begin of the visit to its end; of a stream, to its first content."""
    attempts: int
    """Requests that were made."""
    hedged: bool = False
    """Whether the visit began while another one was under way."""
    maybe_billed: bool = False
    """Whether the provider may have done the work although its reply was not used."""


def _no_texts() -> list[str]:
    return []


@define(eq=False, repr=False)
class ReplyInfo(Value):
    """Metadata of a reply. A stream fills it while it runs."""

    provider: str
    """Name of the provider."""
    model: str
    """The provider's own name of the model."""
    status_code: int | None = None
    """HTTP status of the last response; None before there is any."""
    headers: Headers = field(default=NO_HEADERS, repr=False)
    """Of the last response; case-insensitive."""
    request_id: str | None = None
    """The provider's id of the last request, for its support."""
    attempts: int = 0
    """Requests made, retries included; summed over branches."""
    elapsed: float = 0.0
    """Seconds from the call to the end of the reply."""
    warnings: list[str] = field(factory=_no_texts)
    """Everything in the request that was dropped, changed or defaulted."""
    branches: tuple[ReplyInfo, ...] = ()
    """For `n` choices made of concurrent requests, the info of each, in choice order."""
    reasks: int = 0
    """For typed replies, how often the model was asked again because its reply did not fit."""
    cached: bool = field(default=False, kw_only=True)
    """Whether the reply is a stored one, so that nothing was sent."""
    cache_age: float | None = field(default=None, kw_only=True)
    """Seconds since a stored reply was received."""
    cache_key: str | None = field(default=None, kw_only=True)
    """Key of the reply in the store of the cache, if it may be there."""
    route: str | None = field(default=None, kw_only=True)
    """Name of the route; None for calls without one, and for those with `fallbacks` only."""
    target: str | None = field(default=None, kw_only=True)
    """Name of the route's target, or the model among the call's own and its `fallbacks`, that answered."""
    tried: tuple[Tried, ...] = field(default=(), kw_only=True)
    """The visits to targets of the route, in their order; the one that answered is the last."""

    @property
    def rate_limit(self) -> RateLimitState | None:
        """The provider's rate-limit headers, or None if it sent none."""
        from .rate_limit_state import rate_limit_state  # noqa: PLC0415 (few programs ask for it)

        return rate_limit_state(self.headers)
