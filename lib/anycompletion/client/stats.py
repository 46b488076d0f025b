"""What `client.stats()` returns: how much is under way, what waits and for what, per provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from .._async import running_loop
from .._value import FrozenValue
from ..cache_control import CacheCounts

if TYPE_CHECKING:
    from ..calls import ProviderState
    from ..routing.target_health import TargetState
    from .route_planning import RoutePlanner
    from .state import ClientState


@attrs.frozen(eq=False, repr=False)
class ProviderStats(FrozenValue):
    """The state of one provider, as this client and its views use it."""

    in_flight: int
    """Requests that were sent and whose response has not ended; open streams count."""
    queued: Mapping[str, int]
    """What calls wait for ("limits", "rate_limiter", "cooldown", "connection") → how many do; without zeros."""
    cooldown: float | None
    """Seconds until the provider's cooldown ends; None where there is none. Of several models and keys, which have one
    each, the longest."""
    retry_budget: float
    """Retries that may be made at once; calls with keys of their own have budgets of their own."""
    retries: int
    """Attempts after the first, since the client was made."""
    adaptive_limit: int | None
    """Requests in flight that a running batch allows itself here; None where none adapts."""
    connections: int
    """Open connections, those in use and those kept for reuse."""


@attrs.frozen(eq=False, repr=False)
class CacheUse(FrozenValue):
    """How often the cache of replies among a client's middleware was of use."""

    hits: int
    """Calls that a stored reply answered, or that of an equal call at the same time."""
    misses: int
    """Calls that it did not answer, also by ``cache="refresh"``; calls that are not cached count as neither."""


@attrs.frozen(eq=False, repr=False)
class Stats(FrozenValue):
    """The state of a client: one entry for each provider that was called."""

    providers: dict[str, ProviderStats]
    """Provider name → its state."""
    routes: dict[str, list[TargetState]] = attrs.field(factory=dict[str, "list[TargetState]"])
    """Name of a route → the states of its targets, in their order."""
    cache: CacheUse | None = None
    """Hits and misses of the cache, for all clients that share it; of several caches, of all together. None for a
    client whose middleware has no cache, or has it inside another function."""

    def to_dict(self) -> dict[str, Any]:
        """The same as plain dicts, for a health page."""
        return attrs.asdict(self)

    def summary(self) -> str:
        """The same as one line for people; "" before the first call."""
        return "; ".join(f"{name}: {_summary(stats)}" for name, stats in self.providers.items())


def client_stats(client: ClientState, routes: RoutePlanner | None) -> Stats:
    """The present state of `client`, and of the targets of its routes."""
    loop = running_loop()
    now = 0.0 if loop is None else loop.time()
    targets = {} if routes is None else routes.states(now)
    providers = {name: _provider_stats(client, state, now) for name, state in client.provider_states.items()}
    middleware: tuple[object, ...] = client.config.middleware
    caches = [each for each in middleware if isinstance(each, CacheCounts)]
    use = CacheUse(sum(each.hits for each in caches), sum(each.misses for each in caches)) if caches else None
    return Stats(providers, targets, use)


def _provider_stats(client: ClientState, state: ProviderState, now: float) -> ProviderStats:
    cooldowns = [each for endpoint in (state.endpoint, *state.other_endpoints) for each in endpoint.cooldowns]
    pool, name = state.transport, state.provider.name
    limits = client.limits
    queued = {
        "limits": 0 if limits is None else limits.queued(name),
        "rate_limiter": 0 if limits is None else limits.queued_for_shared(name),
        "cooldown": sum(cooldown.queued for cooldown in cooldowns),
        "connection": pool.connection_limit.queued,
    }
    return ProviderStats(
        in_flight=pool.in_flight,
        queued={what: number for what, number in queued.items() if number},
        cooldown=max((left for each in cooldowns if (left := each.remaining(now)) is not None), default=None),
        retry_budget=state.endpoint.retry_budget.tokens,
        retries=state.retries,
        adaptive_limit=client.adaptive_limit(name),
        connections=pool.in_flight + pool.idle_connections,
    )


def _summary(stats: ProviderStats) -> str:
    connections = "1 connection" if stats.connections == 1 else f"{stats.connections} connections"
    parts = [f"{stats.in_flight} in flight", connections]
    parts += [f"{number} waiting for {what}" for what, number in stats.queued.items()]
    if stats.cooldown is not None:
        parts.append(f"cooling down for {stats.cooldown:.1f} s")
    return ", ".join(parts)
