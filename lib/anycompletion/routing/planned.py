"""What the client prepares for a route: its targets with the plans by which they are called."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Awaitable, Sequence
from random import random
from typing import NamedTuple, Protocol

import attrs

from ..calls import Call, CallPlan
from ..calls.chunk_source import ChunkSource
from ..dialects.base import Target
from ..errors import CompletionError
from ..records import ChatCompletion, ChatRequest
from .flat_route import FlatRoute, FlatTarget
from .target_health import TargetHealth


class PlannedTarget:
    """One target as calls of one client or view go there, with the same key and URL."""

    __slots__ = ("first_plan", "has_own_total", "health", "plan", "shown", "target", "visit_total")

    def __init__(
        self, target: FlatTarget, plan: CallPlan, health: TargetHealth, visit_total: float | None = None
    ) -> None:
        self.target = target
        self.plan = plan
        self.health = health
        self.visit_total = visit_total
        """Seconds that a visit may take, where the target has a limit of its own; the plan's total is the call's."""
        total = plan.timeout.total
        self.has_own_total = visit_total is not None and (total is None or visit_total < total)
        """Whether that limit is the shorter one of a visit that begins with the call."""
        self.first_plan = plan
        """The plan of such a visit."""
        if self.has_own_total:
            self.first_plan = plan.with_timeout(attrs.evolve(plan.timeout, total=visit_total))
        self.shown: tuple[object, Target] | None = None
        """The place as middleware last saw it, and the defaults of the client or view that it was made for."""


class PlannedRoute:
    """All targets of a route that can be called, and why the others cannot."""

    __slots__ = (
        "_bounds",
        "_can_be_quiet",
        "_has_weights",
        "_strategy",
        "_total_weight",
        "_watched",
        "by_target",
        "fresh_until",
        "max_repeats",
        "refused",
        "route",
        "targets",
    )

    def __init__(
        self,
        route: FlatRoute,
        targets: Sequence[PlannedTarget],
        refused: Sequence[tuple[FlatTarget, CompletionError]] = (),
        *,
        max_retries: int = 0,
    ) -> None:
        self.route = route
        self.targets = tuple(targets)
        self.refused = tuple(refused)
        self.fresh_until = 0.0
        """When it is planned again because of those, by `time.monotonic`."""
        self.by_target = {each.target: each for each in targets}
        self.max_repeats = max(0, max_requests(route, max_retries) - len(self.targets))
        """How often the first visit of a call with the client's `max_retries` may repeat its request by itself."""
        group = route.group
        self._strategy = group.route.strategy
        *bounds, self._total_weight = itertools.accumulate(group.weights)
        self._bounds = tuple(bounds)
        """Sums of the weights of the targets up to each of them but the last."""
        self._has_weights = len(set(group.weights)) > 1
        candidates = self.targets[:1] if self._strategy == "order" else self.targets
        needs_request = group.route.sticky is not None or self._strategy in ("cheapest", "fastest") or route.has_windows
        is_flat = all(isinstance(member, FlatTarget) for member in group.members)
        needs_request = needs_request or route.settings.hedge_after is not None
        self._can_be_quiet = is_flat and not needs_request and not refused and all(map(_is_simple, candidates))
        self._watched = [(each.health, each.plan.cooldown) for each in candidates]

    def quiet_target(self) -> PlannedTarget | None:
        """The target that the strategy picks, where it does so without knowing the request; else None.

        Only where nothing that decides has to be looked at closely: errors, pauses, limits.
        """
        if not self._can_be_quiet:
            return None
        targets = self.targets
        if self._strategy == "weighted":
            chance = random() * self._total_weight  # noqa: S311 (no secret)
            drawn = targets[bisect.bisect(self._bounds, chance)]
            # One that is out of order is drawn again, among the others, by the strategy.
            return None if drawn.health.blocked_until or drawn.plan.cooldown.until else drawn
        for health, cooldown in self._watched:
            if health.blocked_until or cooldown.until:
                return None
        match self._strategy:
            case "least_busy":
                loads: list[float] = [health.in_flight for health, _ in self._watched]
                if self._has_weights:
                    loads = [load / weight for load, weight in zip(loads, self.route.group.weights, strict=True)]
                return targets[loads.index(min(loads))]
            case _:
                return targets[0] if targets else None


def _is_simple(planned: PlannedTarget) -> bool:
    """Whether visits need no more than a plan that is the same for all of them."""
    return planned.plan.limits is None and not planned.target.params


def max_requests(route: FlatRoute, max_retries: int) -> int:
    """The requests of one call, of all targets together."""
    return max(max_retries + 1, len(route.targets) * route.settings.attempts_per_target)


class EncodedVisit(NamedTuple):
    """The calls of a visit, which are not sent yet."""

    calls: list[Call]
    """The branches."""
    has_own_total: bool
    """Whether the visit's total timeout is the target's and not the call's."""
    answer: Awaitable[ChatCompletion] | ChunkSource | None = None
    """Their whole reply, as an awaitable that sends, or their chunks, which are sent when they are opened."""


class RouteClient(Protocol):
    """The part of the client that makes the requests of one call over a route."""

    def encode(self, planned: PlannedTarget, request: ChatRequest, left: float | None, started: float) -> EncodedVisit:
        """The calls of a visit.

        Args:
            planned: where it goes.
            request: the request with the target's parameters.
            left: seconds that the call has left; None for no limit.
            started: when the call began, on the loop's clock; 0.0 before that.

        Raises:
            CompletionError: the request cannot be sent to this target.
        """
        ...
