"""What all calls to one origin with one key share: the budget their retries are paid from, and their rests."""

from __future__ import annotations

from ..ratelimit.cooldown import Cooldown
from ..retry_policy import RetryBudget


class EndpointState:
    """One origin with one key, as its calls have found it so far."""

    __slots__ = ("__weakref__", "cooldown", "retry_budget")

    def __init__(self) -> None:
        self.retry_budget = RetryBudget()
        self.cooldown = Cooldown()
