"""Tests of the strategies of routes, as pure functions."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import pytest

from anycompletion.routing import Route, RouteTarget
from anycompletion.routing.flat_route import FlatRoute, FlatTarget, RouteGroup, flatten_routes
from anycompletion.routing.strategies import pick, rendezvous_score


class Loads:
    """What strategies ask, as numbers."""

    def __init__(self, busy: dict[str, int] | None = None, key: str | None = None, prompt: int = 1000) -> None:
        self.busy = busy or {}
        self.key = key
        self.prompt = prompt
        self.reply: int | None = None
        self.latencies: dict[str, float] = {}

    def latency(self, target: FlatTarget) -> float | None:
        return self.latencies.get(target.name)

    def in_flight(self, target: FlatTarget) -> int:
        return self.busy.get(target.name, 0)

    def prompt_tokens(self) -> int:
        return self.prompt

    def reply_tokens(self) -> int | None:
        return self.reply

    def sticky_key(self, group: RouteGroup) -> str | None:
        return self.key if group.route.sticky is not None else None


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 (no secret)


def flat(route: Route, **others: Route) -> FlatRoute:
    return flatten_routes({"route": route, **others})["route"]


def order_of(route: FlatRoute, loads: Loads, seed: int = 1) -> list[str]:
    """The targets in the order in which a call would visit them."""
    left, chance, names = set(route.targets), seeded(seed), list[str]()
    while left:
        chosen = pick(route.group, left, loads, chance.random)
        left.remove(chosen)
        names.append(chosen.name)
    return names


def targets(weights: Sequence[float]) -> list[RouteTarget]:
    return [RouteTarget(f"openai/m{index}", name=str(index), weight=weight) for index, weight in enumerate(weights)]


def test_order_visits_the_targets_as_they_are_listed() -> None:
    """A fallback would be asked before the model that is preferred."""
    assert order_of(flat(Route(["openai/a", "openai/b", "openai/c"])), Loads()) == ["openai/a", "openai/b", "openai/c"]


def test_weighted_picks_by_weight() -> None:
    """A region would get another share of the calls than its weight is."""
    route, chance = flat(Route(targets([1, 2, 3, 4]), "weighted")), seeded(7)
    picked = Counter(pick(route.group, route.targets, Loads(), chance.random).name for _ in range(10_000))
    for index, weight in enumerate([1, 2, 3, 4]):
        assert abs(picked[str(index)] / 10_000 - weight / 10) < 0.02


def test_weighted_picks_among_those_that_are_available() -> None:
    """The share of a target that is away would be lost."""
    route, chance = flat(Route(targets([8, 1, 1]), "weighted")), seeded(7)
    picked = Counter(pick(route.group, route.targets[1:], Loads(), chance.random).name for _ in range(2_000))
    assert set(picked) == {"1", "2"}
    assert abs(picked["1"] / 2_000 - 0.5) < 0.05


def test_weighted_survives_the_rounding_of_fractions() -> None:
    """A random number next to 1 would find no target."""
    route = flat(Route(targets([0.1] * 10), "weighted"))
    assert pick(route.group, route.targets, Loads(), lambda: 1 - 2**-53).name == "9"


def test_least_busy_compares_calls_in_flight_by_weight() -> None:
    """A large deployment would get no more calls than a small one."""
    route = flat(Route(targets([1, 4, 1]), "least_busy"))
    assert order_of(route, Loads({"0": 2, "1": 4, "2": 3})) == ["1", "0", "2"]
    assert order_of(route, Loads()) == ["0", "1", "2"]


def test_cheapest_expects_the_price_of_the_call() -> None:
    """Calls with a long prompt would go to a model that is cheap for replies only."""
    dear_prompts = RouteTarget("openai/a", price=(10.0, 1.0))
    dear_replies = RouteTarget("openai/b", price=(1.0, 10.0))
    route = flat(Route(["openai/unknown", dear_prompts, dear_replies], "cheapest"))
    loads = Loads(prompt=100_000)
    assert order_of(route, loads) == ["openai/b", "openai/a", "openai/unknown"]
    loads = Loads(prompt=100)
    assert order_of(route, loads) == ["openai/a", "openai/b", "openai/unknown"]
    loads.reply = 1
    assert order_of(route, loads)[0] == "openai/b"


def test_fastest_prefers_a_low_latency_for_the_load() -> None:
    """Calls would go to a slow target, or all of them to the fast one until it is overloaded."""
    route, chance, loads = flat(Route(targets([1, 1, 1]), "fastest")), seeded(3), Loads()
    assert pick(route.group, route.targets, loads, chance.random).name == "0"  # none has a sample
    loads.latencies = {"0": 0.1, "2": 1.0}
    assert pick(route.group, route.targets, loads, chance.random).name == "1"
    loads.latencies["1"] = 0.5
    picked = Counter(pick(route.group, route.targets, loads, chance.random).name for _ in range(3_000))
    assert picked["0"] > picked["1"] > picked["2"] > 0
    assert picked["2"] < 100
    loads.busy = {"0": 50}
    picked = Counter(pick(route.group, route.targets, loads, chance.random).name for _ in range(1_000))
    assert picked["1"] > picked["0"]


def test_a_route_in_a_route_keeps_its_strategy() -> None:
    """Regions of one model would lose their weights in a route that adds fallbacks to them."""
    regions = Route(targets([1, 3]), "weighted")
    route = flat(Route(["regions", "groq/fallback"]), regions=regions)
    first = Counter(order_of(route, Loads(), seed)[0] for seed in range(400))
    assert set(first) == {"0", "1"}
    assert 0.65 < first["1"] / 400 < 0.85
    assert all(order_of(route, Loads(), seed)[2] == "groq/fallback" for seed in range(20))


def sticky(names: Sequence[str], weights: Sequence[float] | None = None) -> FlatRoute:
    weights = weights or [1.0] * len(names)
    listed = [RouteTarget("openai/m", name=name, weight=weight) for name, weight in zip(names, weights, strict=True)]
    return flat(Route(listed, sticky="prompt_cache"))


def test_removing_a_target_moves_only_its_own_keys() -> None:
    """One region that goes away would empty the prompt caches of all others."""
    names = [f"region {index}" for index in range(8)]
    route = sticky(names)
    keys = [f"key {index}" for index in range(800)]
    before = {key: pick(route.group, route.targets, Loads(key=key), random.random).name for key in keys}
    left = [target for target in route.targets if target.name != "region 3"]
    after = {key: pick(route.group, left, Loads(key=key), random.random).name for key in keys}
    assert {key for key in keys if before[key] != after[key]} == {key for key in keys if before[key] == "region 3"}
    assert set(before.values()) == set(names)


def test_sticky_keys_are_spread_by_weight() -> None:
    """A small region would get as many keys as a large one."""
    route = sticky(["small", "large"], [1, 3])
    picked = Counter(
        pick(route.group, route.targets, Loads(key=str(index)), random.random).name for index in range(4_000)
    )
    assert abs(picked["large"] / 4_000 - 0.75) < 0.03


def test_a_sticky_target_that_is_much_busier_is_passed_over() -> None:
    """One popular prompt would overload its target while others idle."""
    route = sticky(["a", "b"])
    home = pick(route.group, route.targets, Loads(key="k"), random.random).name
    other = "b" if home == "a" else "a"
    assert pick(route.group, route.targets, Loads({home: 15}, "k"), random.random).name == home
    assert pick(route.group, route.targets, Loads({home: 60}, "k"), random.random).name == other


def test_a_call_without_a_key_does_not_stick() -> None:
    """Calls that share no prompt would all go to one target."""
    route = flat(Route(["openai/a", "openai/b"], sticky=lambda request: None))
    assert pick(route.group, route.targets, Loads(), random.random).name == "openai/a"


@pytest.mark.parametrize("weight", [0.001, 1.0, 1000.0])
def test_rendezvous_scores_are_positive_and_stable(weight: float) -> None:
    """The target of a key would depend on the process."""
    score = rendezvous_score("key", "target", weight)
    assert score > 0
    assert score == rendezvous_score("key", "target", weight)
