"""What all calls to one origin with one key share: cooldowns after 429s, one per model, and the budget of retries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from weakref import WeakSet, WeakValueDictionary

from .._async import running_loop
from ..ratelimit.cooldown import Cooldown

_MAX_MODELS = 1000
"""Cooldowns that an endpoint keeps: an input file may name a new model in every line."""

_MAX_CACHED = 100
"""Descriptions of models that are kept for one base URL and key."""

_MAX_CACHES = 16
"""Base URLs of one origin for which they are kept."""


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


class DialectCache:
    """What was fetched for a dialect from one base URL with one key; nothing is fetched twice at the same time.

    Calls with other keys do not use it: it may describe a private model, and the host of a base URL decides what it
    contains.
    """

    __slots__ = ("_locks", "values")

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        """`_MAX_CACHED` at most, oldest first."""
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def lock(self, key: str) -> asyncio.Lock:
        """The lock of those who fetch `key`; it exists as long as one of them holds it."""
        lock = self._locks.get(key)
        if lock is None:
            lock = self._locks[key] = asyncio.Lock()
        return lock

    def keep(self, key: str, value: object) -> None:
        """Adds a value."""
        self.values[key] = value
        if len(self.values) > _MAX_CACHED:
            del self.values[next(iter(self.values))]


class EndpointState:
    """The state of one origin with one key, as its calls have found it."""

    __slots__ = ("__weakref__", "_all_until", "_by_model", "_caches", "clock_offset", "cooldowns", "retry_budget")

    def __init__(self) -> None:
        self.retry_budget = RetryBudget()
        self.clock_offset = 0.0
        """Seconds by which the server's clock is ahead of this machine's, where it refused a signature for that."""
        self._by_model: dict[str, Cooldown] = {}
        """At most `_MAX_MODELS`, least recently planned first."""
        self.cooldowns: WeakSet[Cooldown] = WeakSet()
        """The same without a limit, for as long as a plan uses them: closing wakes those that wait."""
        self._caches: dict[str, DialectCache] = {}
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

    def cache(self, base_url: str) -> DialectCache:
        """What was fetched from this base URL."""
        cache = self._caches.get(base_url)
        if cache is None:
            if len(self._caches) >= _MAX_CACHES:
                self._caches.clear()
            cache = self._caches[base_url] = DialectCache()
        return cache
