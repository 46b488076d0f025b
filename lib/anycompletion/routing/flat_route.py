"""Flattening of routes: a route that names other routes as a tree of groups, whose leaves are its targets."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, cast

import attrs

from ..codecs.json import dumps
from ..errors import ConfigurationError, InvalidRequestError
from ..options import OptionValues
from ..redaction import is_credential
from .hedge_budget import HedgeBudget
from .route import CircuitBreaker, Route, RouteTarget, target_options

_ADDRESSES = frozenset(
    ("api_key", "base_url", "api_version", "organization", "project", "extra_headers", "extra_query")
)
"""Options that are for one provider, so that a whole route cannot have them."""


class FlatTarget:
    """One target of a flattened route, with what the routes around it add; compared by identity."""

    __slots__ = ("breaker", "context_window", "index", "is_own_model", "model", "name", "options", "params", "price")

    def __init__(self, target: RouteTarget, name: str, index: int, breaker: CircuitBreaker | None) -> None:
        self.model = target.model
        self.name = name
        self.index = index
        """Its place in the order of the route's targets."""
        self.breaker = breaker
        """That of the innermost route."""
        self.options: OptionValues = target_options(target)
        self.params: Mapping[str, Any] = cast("Mapping[str, Any]", target.params)
        self.context_window = target.context_window
        self.price = target.price
        self.is_own_model = False
        """Whether it is the model that a call with `fallbacks` names itself, to which the call's `provider` applies."""

    def __repr__(self) -> str:
        return f"<target {self.name}>"


class RouteGroup:
    """The targets of one route, or other groups in their place, among which its strategy picks."""

    __slots__ = ("members", "route", "targets", "weights")

    def __init__(self, route: Route, members: Sequence[GroupMember], weights: Sequence[float]) -> None:
        self.route = route
        self.members = tuple(members)
        self.weights = tuple(weights)
        self.targets: tuple[FlatTarget, ...] = tuple(target for each in members for target in targets_of(each))


GroupMember: TypeAlias = FlatTarget | RouteGroup
"""What a strategy chooses from."""


def targets_of(member: GroupMember) -> tuple[FlatTarget, ...]:
    """The targets of a group, or a target alone."""
    return (member,) if isinstance(member, FlatTarget) else member.targets


class FlatRoute:
    """A route with its groups and all targets in order; made once per route, or per tuple of fallbacks."""

    __slots__ = ("_digest", "group", "has_windows", "hedges", "name", "settings", "targets")

    def __init__(self, name: str | None, group: RouteGroup) -> None:
        self.name = name
        """The route's name; None for the fallbacks of a call."""
        self.group = group
        self.settings = group.route
        self.targets = group.targets
        self.has_windows = any(target.context_window for target in self.targets)
        self.hedges = HedgeBudget(self.settings.hedge_share)
        self._digest = ""

    @property
    def digest(self) -> str:
        """Digest of what decides which models answer, and how they are asked; credentials are no part of it."""
        if not self._digest:
            content = [[each.model, _shown(each.params), _shown(each.options.reveal())] for each in self.targets]
            self._digest = hashlib.sha256(dumps(content)).hexdigest()[:32]
        return self._digest


def _shown(values: object) -> Any:
    """Options and parameters as JSON, without credentials and without what is not JSON."""
    if isinstance(values, Mapping):
        items = cast("Mapping[str, object]", values).items()
        return {str(name): _shown(value) for name, value in sorted(items) if not _is_secret(str(name), value)}
    if isinstance(values, list | tuple):
        return [_shown(each) for each in cast("Sequence[object]", values)]
    return values if isinstance(values, str | int | float | bool | None) else repr(values)


def _is_secret(name: str, value: object) -> bool:
    return name == "api_key" or (isinstance(value, str) and is_credential(name))


def has_secret(values: object) -> bool:
    """Whether a target, or the JSON of its options and parameters, has something that digests leave out."""
    if isinstance(values, RouteTarget):
        return has_secret(values.options) or has_secret(values.params)
    if isinstance(values, Mapping):
        items = cast("Mapping[str, object]", values).items()
        return any(_is_secret(str(name), value) or has_secret(value) for name, value in items)
    return isinstance(values, list | tuple) and any(map(has_secret, cast("Sequence[object]", values)))


def flatten_routes(routes: Mapping[str, Route]) -> dict[str, FlatRoute]:
    """All routes of a client, flattened.

    Raises:
        ConfigurationError: a route contains itself, or gives another route what only a target can have.
    """
    return {name: FlatRoute(name, _Flattening(routes).group(name, ())) for name in routes}


def flatten_fallbacks(model: str, fallbacks: Sequence[RouteTarget], routes: Mapping[str, Route]) -> FlatRoute:
    """The route of a call with `fallbacks`: its own model, which may be a route, and then these.

    Raises:
        ConfigurationError: as `flatten_routes`.
    """
    settings = Route([model, *fallbacks])
    flat = _Flattening(routes).group_of(settings, ())
    first = flat.members[0]
    if isinstance(first, FlatTarget):
        first.is_own_model = True
    else:  # a route that is called keeps its settings, and the fallbacks come after its own targets
        flat.route = attrs.evolve(first.route, targets=settings.targets, strategy="order", sticky=None)
    return FlatRoute(model if model in routes else None, flat)


class _Flattening:
    """The flattening of one route."""

    def __init__(self, routes: Mapping[str, Route]) -> None:
        self._routes = routes
        self._names: dict[str, int] = {}
        self._count = 0

    def group(self, name: str, around: tuple[str, ...]) -> RouteGroup:
        if name in around:
            cycle = " → ".join((*around[around.index(name) :], name))
            raise ConfigurationError(f"routes[{name!r}]: the route contains itself: {cycle}")
        return self.group_of(self._routes[name], (*around, name))

    def group_of(self, route: Route, around: tuple[str, ...], outer: RouteTarget | None = None) -> RouteGroup:
        members: list[GroupMember] = []
        for target in route.targets:
            if target.model in self._routes:
                members.append(self._inner(target, around))
            else:
                members.append(self._leaf(target, route))
        return RouteGroup(route, members, [target.weight for target in route.targets])

    def _inner(self, target: RouteTarget, around: tuple[str, ...]) -> RouteGroup:
        """The group of a target that is another route; its parameters and options apply where that has none."""
        refused = next((name for name in target.options if name in _ADDRESSES), None)
        if refused is not None:
            place = f"routes[{around[-1]!r}]" if around else "fallbacks"
            raise ConfigurationError(f"{place}: {target.model!r} is a route, which cannot have {refused}")
        group = self.group(target.model, around)
        for leaf in group.targets:
            leaf.options = target_options(target) | leaf.options
            leaf.params = {**cast("Mapping[str, Any]", target.params), **leaf.params}
            leaf.context_window = leaf.context_window or target.context_window
            leaf.price = leaf.price or target.price
        return group

    def _leaf(self, target: RouteTarget, route: Route) -> FlatTarget:
        name = target.name or target.model
        self._names[name] = repeated = self._names.get(name, 0) + 1
        if repeated > 1:
            if target.name is not None:
                param = "name"
                raise InvalidRequestError(f"{param}: two targets of one route have the name {name!r}", param=param)
            name = f"{name} #{repeated}"
        leaf = FlatTarget(target, name, self._count, route.breaker)
        self._count += 1
        return leaf
