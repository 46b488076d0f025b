"""The choice of a call's next target among those that may still answer it, as a pure decision."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from ..retry_policy import MAX_HINT
from .flat_route import FlatTarget
from .planned import PlannedTarget


class NextStep(NamedTuple):
    """What a call does next: a visit, perhaps after a wait, a wait for another call's probe, or nothing."""

    planned: PlannedTarget | None = None
    """The target to visit."""
    wait: float = 0.0
    """Seconds that the target asks to be left alone; the visit waits for them."""
    probe_of: PlannedTarget | None = None
    """The target whose probe, which another call makes, is waited for."""
    retry_after: float | None = None
    """Where there is neither: seconds until a target may answer."""


def choose(
    targets: Sequence[PlannedTarget],
    now: float,
    *,
    pick: Callable[[Collection[FlatTarget]], FlatTarget],
    tokens: Callable[[], int],
    counts: Mapping[FlatTarget, int],
    attempts_per_target: int,
) -> NextStep:
    """The next step of a call.

    Targets that are ready come first, those that the call has visited least before the others. If all others only pause
    after a refusal for their rate, the one that is free first is waited for. If all circuits are open, a call that has
    visited no target makes a probe, or waits for that of another call.

    Args:
        targets: those that are suitable for the call, in the order of the route.
        now: the time, on the loop's clock.
        pick: picks one of several, by the strategy of the route.
        tokens: the tokens of the call, for the client's own limits.
        counts: visits that this call has made, by target.
        attempts_per_target: visits to a target before the call moves on.
    """
    ready = [each for each in targets if is_ready(each, now, tokens)]
    if ready:
        if counts:
            ready = _least_visited(ready, counts, attempts_per_target)
        if len(ready) == 1:
            return NextStep(ready[0])
        chosen = pick({each.target for each in ready})
        return NextStep(next(each for each in ready if each.target is chosen))
    pausing = [(_pause(each, now, tokens), each) for each in targets if not _is_open(each, now)]
    wait, first = min(pausing, key=lambda each: each[0], default=(0.0, None))
    if first is not None and wait <= MAX_HINT:
        return NextStep(first, wait)
    opened = [each for each in targets if _is_open(each, now)]
    if opened and not counts:
        soonest = min(opened, key=lambda each: each.health.blocked_until)
        return NextStep(probe_of=soonest) if soonest.health.probing else NextStep(soonest)
    waits = [each.health.retry_in(now) for each in opened] + [wait for wait, _ in pausing]
    return NextStep(retry_after=min((each for each in waits if each is not None), default=None))


def is_ready(planned: PlannedTarget, now: float, tokens: Callable[[], int]) -> bool:
    """Whether a visit may begin now, and its request would be sent at once."""
    plan = planned.plan
    if planned.health.blocked_until and not planned.health.may_visit(now):
        return False
    if plan.cooldown.until and plan.cooldown.expected(now) > 0:
        return False
    return plan.limits is None or plan.limits.admits(tokens())


def _least_visited(
    ready: Sequence[PlannedTarget], counts: Mapping[FlatTarget, int], attempts_per_target: int
) -> list[PlannedTarget]:
    """Those with the fewest full rounds of visits; the one whose round has begun alone, if there is one."""
    rounds = [divmod(counts.get(each.target, 0), attempts_per_target) for each in ready]
    fewest = min(round_ for round_, _ in rounds)
    least = [(each, begun) for each, (round_, begun) in zip(ready, rounds, strict=True) if round_ == fewest]
    begun = [each for each, visits in least if visits]
    return begun[:1] or [each for each, _ in least]


def _is_open(planned: PlannedTarget, now: float) -> bool:
    """Whether the target's circuit is open, or the probe of it is under way."""
    health = planned.health
    return bool(health.open_until) and (now < health.open_until or health.probing)


def _pause(planned: PlannedTarget, now: float, tokens: Callable[[], int]) -> float:
    """Seconds that a target whose circuit is not open asks to be left alone."""
    pause = max(planned.health.cooling_until - now, planned.plan.cooldown.expected(now), 0.0)
    if pause or planned.plan.limits is None or planned.plan.limits.admits(tokens()):
        return pause
    return 0.0  # the visit waits in the queue of the client's own limits, for as long as its timeout allows
