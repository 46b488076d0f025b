"""What all calls to one origin with one key share: their cooldown after a 429, and the budget their retries spend."""

from __future__ import annotations

from ..ratelimit.cooldown import Cooldown


class RetryBudget:
    """A budget that bounds retries, so that they do not make an outage worse: calls add to it, retries take from it.

    In a total outage about one request in ten is a retry, where a fixed number of retries would triple the load.
    """

    __slots__ = ("_counted", "_tokens", "calls", "cap", "per_call")

    def __init__(self, per_call: float = 0.1, cap: float = 100.0, tokens: float = 10.0) -> None:
        self.per_call = per_call
        """Tokens that each call adds; a retry takes one."""
        self.cap = cap
        """Tokens at most."""
        self.calls = 0
        """Calls so far; each call adds itself here when it begins."""
        self._counted = 0
        """Of these, how many are in the tokens already."""
        self._tokens = tokens

    @property
    def tokens(self) -> float:
        """Retries that may be made now."""
        self._tokens = min(self._tokens + self.per_call * (self.calls - self._counted), self.cap)
        self._counted = self.calls
        return self._tokens

    def spend(self) -> bool:
        """Takes the token for one retry; False where there is none."""
        if self.tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


class EndpointState:
    """The state of one origin with one key, as its calls have found it."""

    __slots__ = ("__weakref__", "cooldown", "retry_budget")

    def __init__(self) -> None:
        self.retry_budget = RetryBudget()
        self.cooldown = Cooldown()
