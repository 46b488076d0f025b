"""The rate limits of a client: for providers, for models, and those of a limiter that other processes share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .._async import Interruptible
from ..errors import CompletionError, ConfigurationError
from ..logs import observer_failed
from ..options import RateLimit, RateLimiter
from ..rate_limit_headers import RemainingQuota
from .limiter import LimiterSnapshot, LocalRateLimiter


class ClientLimits:
    """All rate limits of one client.

    Args:
        limits: by provider, or by provider and model: ``"openai"``, ``"openai/gpt-4o"``. Both apply where both match.
        shared: a limiter that other clients use too; acquired last, when no local limit delays the request any more.
    """

    def __init__(self, limits: Mapping[str, RateLimit], shared: RateLimiter | None = None) -> None:
        self.local = {key: LocalRateLimiter(limit) for key, limit in limits.items()}
        self.shared = None if shared is None else SharedRateLimiter(shared)

    def for_model(self, provider: str, model: str) -> ModelLimits | None:
        """The limits for requests to this model; None where there are none."""
        key = f"{provider}/{model}"
        # The model's limit is first: a request that waits for it uses nothing of the provider's.
        local = tuple(self.local[each] for each in (key, provider) if each in self.local)
        return ModelLimits(key, local, self.shared) if local or self.shared is not None else None

    def queued(self, provider: str) -> int:
        """Number of requests to a provider that wait for this client's own limits."""
        return sum(limiter.queued for key, limiter in self.local.items() if key.partition("/")[0] == provider)

    def queued_for_shared(self, provider: str) -> int:
        """Number of requests to a provider that wait for the shared limiter."""
        return 0 if self.shared is None else self.shared.queued(provider)

    def wake(self) -> None:
        """Lets all requests through, for good: the client is closed, and sending reports that."""
        for limiter in self.local.values():
            limiter.wake()
        if self.shared is not None:
            self.shared.wake()


class ModelLimits:
    """All limits for requests to one model."""

    __slots__ = ("_local", "_shared", "key")

    def __init__(self, key: str, local: Sequence[LocalRateLimiter], shared: SharedRateLimiter | None) -> None:
        self.key = key
        self._local = local
        self._shared = shared

    def admits(self, tokens: int) -> bool:
        """Whether the client's own limits would let such a request through at once; the shared limiter is not asked."""
        return all(limiter.admits(tokens) for limiter in self._local)

    async def acquire(self, tokens: int) -> Permit:
        """Waits until a request of so many tokens may be sent. A cancelled wait uses no quota.

        Raises:
            CompletionError: what the shared limiter raised; a `ConfigurationError` if that was another exception.
        """
        acquired: list[tuple[LocalRateLimiter, LimiterSnapshot]] = []
        try:
            for limiter in self._local:
                acquired.append((limiter, await limiter.acquire(tokens)))
            if self._shared is not None:
                await self._shared.acquire(self.key, tokens)
        except BaseException:  # cancelled, or refused by the shared limiter: the request is not sent
            for limiter, _ in acquired:
                limiter.settle(tokens, None)
            raise
        return Permit(self.key, tokens, acquired, self._shared)


class Permit:
    """Permission to send one request; `settle` must be called when the request has ended."""

    __slots__ = ("_acquired", "_key", "_shared", "_tokens")

    def __init__(
        self,
        key: str,
        tokens: int,
        acquired: Sequence[tuple[LocalRateLimiter, LimiterSnapshot]],
        shared: SharedRateLimiter | None,
    ) -> None:
        self._key = key
        self._tokens = tokens
        self._acquired = acquired
        self._shared = shared

    def update_from_headers(self, quotas: Sequence[RemainingQuota]) -> None:
        """Takes what remains of the provider's limits from the headers of the response."""
        for limiter, snapshot in self._acquired:
            limiter.update_from_headers(snapshot, quotas)

    def settle(self, actual: int | None) -> None:
        """Ends the request, which used `actual` tokens; None where that is unknown and the estimate is kept."""
        actual = self._tokens if actual is None else actual
        for limiter, _ in self._acquired:
            limiter.settle(self._tokens, actual)
        if self._shared is not None:
            self._shared.settle(self._key, self._tokens, actual)


class SharedRateLimiter:
    """The client's `rate_limiter`: user code, which may wait without end or raise anything."""

    def __init__(self, limiter: RateLimiter) -> None:
        self._limiter = limiter
        self._waits: dict[Interruptible, str] = {}
        """Waits, and for which key."""
        self._closed = False

    def queued(self, provider: str) -> int:
        """Number of requests to a provider that wait."""
        return sum(key.partition("/")[0] == provider for key in self._waits.values())

    async def acquire(self, key: str, tokens: int) -> None:
        """Waits until the limiter lets the request through, or `wake` is called."""
        if self._closed:
            return
        reason = ""
        with Interruptible() as wait:
            self._waits[wait] = key
            try:
                await self._limiter.acquire(key, requests=1, tokens=tokens)
            except CompletionError:
                raise
            except Exception as error:  # noqa: BLE001 (user code may raise anything)
                reason = type(error).__name__
            finally:
                self._waits.pop(wait, None)
        if reason:
            raise ConfigurationError(f"the rate_limiter failed with {reason}")

    def settle(self, key: str, estimated: int, actual: int) -> None:
        """Reports what a request used; a failure of the limiter is only logged, because the reply is there."""
        try:
            self._limiter.settle(key, estimated=estimated, actual=actual)
        except Exception as error:  # noqa: BLE001 (user code may raise anything)
            observer_failed("rate_limiter", error)

    def wake(self) -> None:
        """Lets all requests through, for good."""
        self._closed = True
        for wait in tuple(self._waits):
            wait.interrupt()
