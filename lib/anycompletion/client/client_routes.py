"""The routes of a client, with the health of their targets, which all its views share."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from weakref import WeakKeyDictionary

from ..calls import CallPlan, EndpointState
from ..errors import ConfigurationError, InvalidRequestError
from ..providers import Provider, resolve_model
from ..routing.flat_route import FlatRoute, flatten_routes
from ..routing.route import Route
from ..routing.shared_health import SharedHealth, SharedTargetHealth, target_digest
from ..routing.target_health import TargetHealth
from .list_prices import add_list_prices

_MAX_MODELS = 1000
"""Models of one endpoint whose health is kept: an input file may name a new model in every line."""


class ClientRoutes:
    """The routes of a client, which its views share: flattened, with the health of their targets.

    Raises:
        ConfigurationError: a route contains itself, or a target's provider is unknown.
    """

    __slots__ = ("_healths", "_shared", "by_name", "routes")

    def __init__(
        self, routes: Mapping[str, Route], providers: MutableMapping[str, Provider], shared: SharedHealth | None = None
    ) -> None:
        self.routes = routes
        """As they were given."""
        self.by_name = flatten_routes(routes)
        self._shared = shared
        self._healths: WeakKeyDictionary[EndpointState, dict[str, TargetHealth]] = WeakKeyDictionary()
        """Endpoint (origin and key) → provider and model → health, least recently planned first."""
        for name, route in self.by_name.items():
            unknown = unknown_provider_of(route, providers)
            if unknown is not None:
                raise ConfigurationError(f"routes[{name!r}]: {unknown}")
            add_list_prices(route.group, providers)

    def health(self, plan: CallPlan) -> TargetHealth:
        """The health of the target (provider, origin, key, model) that calls by this plan go to."""
        by_model = self._healths.setdefault(plan.endpoint, {})
        model = f"{plan.target.provider}/{plan.target.model}"
        health = by_model.pop(model, None) or self._new_health(plan)
        by_model[model] = health
        if len(by_model) > _MAX_MODELS:
            del by_model[next(iter(by_model))]
        return health

    def _new_health(self, plan: CallPlan) -> TargetHealth:
        name = None if self._shared is None else target_digest(plan)
        return TargetHealth() if self._shared is None or name is None else SharedTargetHealth(self._shared, name)


def unknown_provider_of(route: FlatRoute, providers: MutableMapping[str, Provider]) -> str | None:
    """The error text for the first target whose provider is unknown; None where all are known."""
    for target in route.targets:
        if not target.is_own_model:
            try:
                resolve_model(target.model, None, providers)
            except InvalidRequestError as error:
                return error.message.removeprefix("model: ")
    return None
