"""Strategies: which of several targets a call goes to, as pure functions over the groups of a route."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from .flat_route import FlatTarget, GroupMember, RouteGroup, targets_of

_DEFAULT_REPLY_TOKENS = 500
"""Tokens of a reply without a limit, for the strategy "cheapest"."""

_EXPLORED = 0.02
"""Share of the calls of the strategy "fastest" that go to a target whatever its latency is."""

_BUSY_FACTOR = 1.5
_BUSY_MARGIN = 8
"""A sticky target with more calls in flight than `_BUSY_FACTOR` × the mean + `_BUSY_MARGIN` is passed over."""


class Loads(Protocol):
    """What strategies ask about the targets and the call."""

    def in_flight(self, target: FlatTarget) -> int:
        """Calls under way at a target."""
        ...

    def latency(self, target: FlatTarget) -> float | None:
        """Mean latency of such calls at a target; None if there were none."""
        ...

    def prompt_tokens(self) -> int:
        """Estimated tokens of the call's prompt."""
        ...

    def reply_tokens(self) -> int | None:
        """The limit of the call's reply, in tokens; None if it has none."""
        ...

    def sticky_key(self, group: RouteGroup) -> str | None:
        """The key by which the call sticks to a target of the group; None if it does not."""
        ...


def pick(
    group: RouteGroup, candidates: Collection[FlatTarget], loads: Loads, random: Callable[[], float]
) -> FlatTarget:
    """The target that the group's strategy picks among `candidates`, which are some of its targets, and at least one.

    Args:
        group: a route; groups in it are picked first, and then their own strategy picks.
        candidates: the targets that are available.
        loads: what the strategies need to know.
        random: gives numbers from 0 to 1, without 1.
    """
    while True:
        open_members = [
            (member, weight)
            for member, weight in zip(group.members, group.weights, strict=True)
            if _has_candidate(member, candidates)
        ]
        chosen = _choose(group, open_members, candidates, loads, random)
        if isinstance(chosen, FlatTarget):
            return chosen
        group = chosen


def _has_candidate(member: GroupMember, candidates: Collection[FlatTarget]) -> bool:
    if isinstance(member, FlatTarget):
        return member in candidates
    return any(target in candidates for target in member.targets)


def _choose(
    group: RouteGroup,
    members: Sequence[tuple[GroupMember, float]],
    candidates: Collection[FlatTarget],
    loads: Loads,
    random: Callable[[], float],
) -> GroupMember:
    if len(members) == 1:
        return members[0][0]
    if group.route.sticky is not None:
        key = loads.sticky_key(group)
        if key is not None:
            return _sticky(key, members, loads)
    match group.route.strategy:
        case "order":
            return members[0][0]
        case "weighted":
            return _weighted(members, random)
        case "least_busy":
            return min(members, key=lambda each: _in_flight(each[0], loads) / each[1])[0]
        case "fastest":
            return _fastest(members, loads, random)
        case "cheapest":
            return min(members, key=lambda each: _price(each[0], candidates, loads))[0]


def _weighted(members: Sequence[tuple[GroupMember, float]], random: Callable[[], float]) -> GroupMember:
    left = random() * sum(weight for _, weight in members)
    for member, weight in members:
        left -= weight
        if left < 0:
            return member
    return members[-1][0]  # the sum of fractions may be a little too large


def _fastest(members: Sequence[tuple[GroupMember, float]], loads: Loads, random: Callable[[], float]) -> GroupMember:
    """The faster for its load of two that are drawn at random, so that not all calls go to one; rarely any other.

    One without a sample goes first.
    """
    untried = [member for member, _ in members if _latency(member, loads) is None]
    if untried:
        return min(untried, key=lambda member: _in_flight(member, loads))
    first = int(random() * len(members))
    second = (first + 1 + int(random() * (len(members) - 1))) % len(members)
    if random() < _EXPLORED:
        return members[first][0]  # so that one that was slow once is measured again
    return min(members[first][0], members[second][0], key=lambda member: _expected(member, loads))


def _latency(member: GroupMember, loads: Loads) -> float | None:
    known = [latency for target in targets_of(member) if (latency := loads.latency(target)) is not None]
    return min(known, default=None)


def _expected(member: GroupMember, loads: Loads) -> float:
    return (_latency(member, loads) or 0.0) * (_in_flight(member, loads) + 1)


def _in_flight(member: GroupMember, loads: Loads) -> int:
    return sum(map(loads.in_flight, targets_of(member)))


def _price(member: GroupMember, candidates: Collection[FlatTarget], loads: Loads) -> float:
    """The expected price of the call in US dollars; infinite where it is unknown."""
    prices = [target.price for target in targets_of(member) if target in candidates and target.price is not None]
    if not prices:
        return math.inf
    prompt, reply = loads.prompt_tokens(), loads.reply_tokens() or _DEFAULT_REPLY_TOKENS
    return min(prompt * into + reply * out for into, out in prices) / 1_000_000


# --- sticky ---


def _sticky(key: str, members: Sequence[tuple[GroupMember, float]], loads: Loads) -> GroupMember:
    """The member to which `key` sticks, by weighted rendezvous hashing: one that goes takes only its own keys along.

    One that is much busier than the others is passed over.
    """
    ranked = sorted(members, key=lambda each: rendezvous_score(key, _name(each[0]), each[1]), reverse=True)
    mean = sum(_in_flight(member, loads) for member, _ in members) / len(members)
    for member, _ in ranked:
        if _in_flight(member, loads) <= _BUSY_FACTOR * mean + _BUSY_MARGIN:
            return member
    return ranked[0][0]


def rendezvous_score(key: str, name: str, weight: float) -> float:
    """The score of a target for a key; the highest wins, and each target wins a share of the keys by its weight."""
    digest = hashlib.blake2b(f"{key}\x00{name}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    share = (int.from_bytes(digest) + 0.5) / 2**64
    return -weight / math.log(share) if share < 1 else math.inf


def _name(member: GroupMember) -> str:
    return targets_of(member)[0].name
