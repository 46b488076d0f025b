"""What the client prepares for a route: its targets with the plans by which they are called."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import NamedTuple, Protocol

from ..calls import Call, CallPlan
from ..calls.chunk_source import ChunkSource
from ..errors import CompletionError
from ..records import ChatCompletion, ChatRequest
from .flat_route import FlatTarget
from .target_health import TargetHealth


class PlannedTarget:
    """One target as calls of one client or view go there, with the same key and URL."""

    __slots__ = ("health", "plan", "target", "visit_total")

    def __init__(
        self, target: FlatTarget, plan: CallPlan, health: TargetHealth, visit_total: float | None = None
    ) -> None:
        self.target = target
        self.plan = plan
        self.health = health
        self.visit_total = visit_total
        """Seconds that a visit may take, where the target has a limit of its own; the plan's total is the call's."""


class PlannedRoute:
    """All targets of a route that can be called, and why the others cannot."""

    __slots__ = ("by_target", "refused", "targets")

    def __init__(
        self, targets: Sequence[PlannedTarget], refused: Sequence[tuple[FlatTarget, CompletionError]] = ()
    ) -> None:
        self.targets = tuple(targets)
        self.refused = tuple(refused)
        self.by_target = {each.target: each for each in targets}


class EncodedVisit(NamedTuple):
    """The calls of a visit, which are not sent yet."""

    calls: list[Call]
    """The branches."""
    answer: Awaitable[ChatCompletion] | ChunkSource
    """Their whole reply, as an awaitable that sends, or their chunks, which are sent when they are opened."""
    has_own_total: bool
    """Whether the visit's total timeout is the target's and not the call's."""


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
