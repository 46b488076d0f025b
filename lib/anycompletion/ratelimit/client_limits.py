"""Which limits a call has: the provider's, the model's, and those that a limiter of the caller's shares with others."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import cast

from ..errors import CompletionError, ConfigurationError, InvalidRequestError
from ..logs import observer_failed
from ..options import RateLimit, RateLimiter
from .limiter import LimiterSnapshot, LocalRateLimiter, RemainingQuota


def checked_limits(limits: Mapping[str, RateLimit]) -> dict[str, RateLimit]:
    """The limits a client was given.

    Raises:
        InvalidRequestError: it is no mapping of texts to `RateLimit`s.
    """
    if not isinstance(limits, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may not check types
        raise InvalidRequestError(f"limits: expected a dict, found {type(limits).__name__}", param="limits")
    given = dict(cast("Mapping[object, object]", limits))
    for key, limit in given.items():
        if not isinstance(key, str):
            kind = type(key).__name__
            raise InvalidRequestError(f"limits: expected names of providers, found {kind}", param="limits")
        if not isinstance(limit, RateLimit):
            param = f"limits[{key!r}]"
            raise InvalidRequestError(f"{param}: expected a RateLimit, found {type(limit).__name__}", param=param)
    return dict(limits)


class ClientLimits:
    """All limits of one client.

    Args:
        limits: by provider, or by provider and model: ``"openai"``, ``"openai/gpt-4o"``. Both hold where both match.
        shared: a limiter that others use too; it is asked last, when nothing here holds the call back.
    """

    def __init__(self, limits: Mapping[str, RateLimit], shared: RateLimiter | None = None) -> None:
        self._turns = {key: LocalRateLimiter(limit) for key, limit in limits.items()}
        self._shared = None if shared is None else _Shared(shared)

    def for_model(self, provider: str, model: str) -> ModelLimits | None:
        """What holds calls to this model back; None where nothing does."""
        key = f"{provider}/{model}"
        # The narrow one first: who waits for it takes nothing of the other.
        turns = tuple(self._turns[each] for each in (key, provider) if each in self._turns)
        return ModelLimits(key, turns, self._shared) if turns or self._shared is not None else None

    def wake(self) -> None:
        """Lets everybody go, for good: the client is closed, and sending says so."""
        for turns in self._turns.values():
            turns.wake()
        if self._shared is not None:
            self._shared.wake()


class ModelLimits:
    """What holds calls of one kind back."""

    __slots__ = ("_shared", "_turns", "key")

    def __init__(self, key: str, turns: Sequence[LocalRateLimiter], shared: _Shared | None) -> None:
        self.key = key
        self._turns = turns
        self._shared = shared

    async def acquire(self, tokens: int) -> Permit:
        """Waits until a request of so many tokens may be sent. Cancelling takes nothing.

        Raises:
            CompletionError: what the shared limiter raised; a `ConfigurationError` for anything foreign.
        """
        marks: list[tuple[LocalRateLimiter, LimiterSnapshot]] = []
        try:
            for turns in self._turns:
                marks.append((turns, await turns.acquire(tokens)))
            if self._shared is not None:
                await self._shared.acquire(self.key, tokens)
        except BaseException:  # cancelled, or refused by the last: it is not sent, and takes nothing of the others
            for turns, _ in marks:
                turns.settle(tokens, None)
            raise
        return Permit(self.key, tokens, marks, self._shared)


class Permit:
    """One request that may be sent; `settle` says what became of it, and must be called."""

    __slots__ = ("_key", "_marks", "_shared", "_tokens")

    def __init__(
        self, key: str, tokens: int, marks: Sequence[tuple[LocalRateLimiter, LimiterSnapshot]], shared: _Shared | None
    ) -> None:
        self._key = key
        self._tokens = tokens
        self._marks = marks
        self._shared = shared

    def update_from_headers(self, lefts: Sequence[RemainingQuota]) -> None:
        """What the answer's headers say is left."""
        for turns, mark in self._marks:
            turns.update_from_headers(mark, lefts)

    def settle(self, actual: int | None) -> None:
        """The request is over, and took so many tokens; None where nobody knows, and the estimate stands."""
        actual = self._tokens if actual is None else actual
        for turns, _ in self._marks:
            turns.settle(self._tokens, actual)
        if self._shared is not None:
            self._shared.settle(self._key, self._tokens, actual)


class _Shared:
    """The caller's limiter: somebody else's code, which may wait for ever or fail in any way."""

    def __init__(self, limiter: RateLimiter) -> None:
        self._limiter = limiter
        self._waiting: set[asyncio.Task[object]] = set()
        self._over = False

    async def acquire(self, key: str, tokens: int) -> None:
        """Waits until it lets the request go, or `wake` is called."""
        if self._is_over():
            return
        task = asyncio.current_task()
        assert task is not None, "an event loop runs tasks"
        cancelling = task.cancelling()
        self._waiting.add(task)
        try:
            await self._limiter.acquire(key, requests=1, tokens=tokens)
        except asyncio.CancelledError:
            # Where it was `wake`, there is nothing to wait for any more, and sending says that the client is closed.
            if not self._is_over() or task.uncancel() > cancelling:
                raise
            return
        except CompletionError:
            raise
        except Exception as fault:  # noqa: BLE001 (somebody else's code may fail in any way)
            reason = type(fault).__name__
        else:
            return
        finally:
            self._waiting.discard(task)
        raise ConfigurationError(f"the rate_limiter failed with {reason}")

    def settle(self, key: str, estimated: int, actual: int) -> None:
        """Tells it what a request took; its own failure changes nothing any more."""
        try:
            self._limiter.settle(key, estimated=estimated, actual=actual)
        except Exception as fault:  # noqa: BLE001 (an observer by now: the answer is there, whatever it does)
            observer_failed("rate_limiter", fault)

    def _is_over(self) -> bool:
        return self._over

    def wake(self) -> None:
        """Lets everybody go, for good."""
        self._over = True
        for task in self._waiting:
            task.cancel()
