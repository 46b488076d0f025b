"""What all calls to one origin with one key share: cooldowns after 429s, one per model, and the budget of retries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from weakref import WeakSet

from .._async import running_loop
from ..ratelimit.cooldown import Cooldown

_MAX_MODELS = 1000
"""Cooldowns that an endpoint keeps: an input file may name a new model in every line."""


class RetryBudget:
    """A budget that bounds retries, so that they do not make an outage worse: calls add to it, retries take from it.

    A retry that succeeds costs nothing, however many calls need one. In a total outage about one request in ten is a
    retry, where a fixed number of retries would triple the load.
    """

    __slots__ = ("_counted", "_tokens", "calls", "cap", "per_call")

    def __init__(self, per_call: float = 0.1, cap: float = 100.0, tokens: float = 10.0) -> None:
        self.per_call = per_call
        """Tokens that each call adds; a retry takes one, and returns it if it succeeds."""
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

    def refund(self) -> None:
        """Returns the token of a retry that succeeded."""
        self._tokens = min(self._tokens + 1.0, self.cap)


class EndpointState:
    """The state of one origin with one key, as its calls have found it."""

    __slots__ = ("__weakref__", "_all_until", "_by_model", "cooldowns", "retry_budget")

    def __init__(self) -> None:
        self.retry_budget = RetryBudget()
        self._by_model: dict[str, Cooldown] = {}
        """At most `_MAX_MODELS`, least recently planned first."""
        self.cooldowns: WeakSet[Cooldown] = WeakSet()
        """The same without a limit, for as long as a plan uses them: closing wakes those that wait."""
        self._all_until = 0.0
        """End of the last cooldown of all models, on the loop's clock."""

    def cooldown_of(self, model: str) -> Cooldown:
        """The cooldown of a model; of all models together for "", which providers with one limit per key use."""
        cooldown = self._by_model.pop(model, None)
        if cooldown is None:
            cooldown, loop = Cooldown(), running_loop()
            self.cooldowns.add(cooldown)
            if loop is not None and loop.time() < self._all_until:
                cooldown.start(self._all_until - loop.time(), loop.time(), lambda: 0.0)
        self._by_model[model] = cooldown
        if len(self._by_model) > _MAX_MODELS:
            del self._by_model[next(iter(self._by_model))]
        return cooldown

    def start_for_all(self, hint: float, random: Callable[[], float]) -> None:
        """Starts the cooldowns of all models, because what was refused is the key: its quota is used up."""
        now = asyncio.get_running_loop().time()
        self._all_until = max(self._all_until, now + hint)
        for cooldown in tuple(self.cooldowns):
            cooldown.start(hint, now, random)

    def wake(self) -> None:
        """Ends all cooldowns, for good: the client is closed, and sending reports that."""
        for cooldown in tuple(self.cooldowns):
            cooldown.wake()
