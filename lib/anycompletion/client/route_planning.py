"""Planning of routes: which route a call takes, and how each of its targets is called by one client or view."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from ..calls import CallPlan
from ..errors import CompletionError, ConfigurationError, InvalidRequestError
from ..options import NO_OPTIONS, OptionValues
from ..providers import Provider, resolve_model
from ..routing.flat_route import FlatRoute, FlatTarget, flatten_fallbacks
from ..routing.planned import PlannedRoute, PlannedTarget
from ..routing.route import RouteTarget, checked_targets
from ..routing.target_health import TargetHealth, TargetState
from .client_routes import ClientRoutes, unknown_provider_of
from .key_binding import BOUND_OPTIONS, Homes
from .list_prices import add_list_prices
from .planning import plan_call
from .route_options import Address, TargetSettings, target_settings

if TYPE_CHECKING:
    from .state import ClientState

_REFUSED_FOR = 1.0
"""Seconds for which a target without a key is left out: its variable may be set later."""

_MAX_ROUTES = 256
"""Routes made of calls' own models and fallbacks that are kept."""


class RoutePlanner:
    """Plans the calls of one client or view that take a route."""

    __slots__ = (
        "_by_fallbacks",
        "_defaults",
        "_fallbacks",
        "_homes",
        "_planned",
        "_state",
        "client_routes",
        "known_replies",
    )

    def __init__(self, state: ClientState, defaults: OptionValues, homes: Homes) -> None:
        self._state = state
        self._defaults = defaults
        self._homes = homes
        self.client_routes: ClientRoutes = state.client_routes()
        self._fallbacks = cast("Sequence[object]", defaults.get("fallbacks") or ())
        checked_targets(self._fallbacks, "fallbacks")
        self._by_fallbacks: dict[tuple[object, ...], tuple[FlatRoute, Sequence[object]]] = {}
        """Model and fallbacks → their route, and the fallbacks themselves, so that their ids stay theirs."""
        self._planned: dict[tuple[FlatRoute, bool], PlannedRoute] = {}
        self.known_replies: dict[str, PlannedRoute] = {}
        """Model of calls without options → the route of their whole replies, once it was planned."""

    def route_of(self, model: str, options: OptionValues) -> FlatRoute | None:
        """The route that a call to `model` with checked options takes; None if it takes none.

        Raises:
            InvalidRequestError: a fallback names no provider.
        """
        given: Sequence[object] = self._fallbacks
        if options is not NO_OPTIONS and "fallbacks" in options:
            given = options["fallbacks"]
        is_named = options is NO_OPTIONS or "provider" not in options
        if not given:
            return self.client_routes.by_name.get(model) if is_named else None
        key = (model, is_named, *(each if type(each) is str else id(each) for each in given))
        known = self._by_fallbacks.get(key)
        if known is None:
            known = (self._with_fallbacks(model, checked_targets(given, "fallbacks"), is_named=is_named), given)
            if len(self._by_fallbacks) >= _MAX_ROUTES:
                self._by_fallbacks.clear()
                self._planned.clear()
                self.known_replies.clear()
            self._by_fallbacks[key] = known
        return known[0]

    def _with_fallbacks(self, model: str, given: Sequence[RouteTarget], *, is_named: bool) -> FlatRoute:
        routes = self.client_routes.routes
        if not is_named:
            routes = {name: route for name, route in routes.items() if name != model}
        route = flatten_fallbacks(model, given, routes)
        unknown = unknown_provider_of(route, self._state.providers)
        if unknown is not None:
            raise InvalidRequestError(f"fallbacks: {unknown}", param="fallbacks")
        add_list_prices(route.group, self._state.providers)
        return route

    def planned(self, route: FlatRoute, options: OptionValues, *, stream: bool, model: str = "") -> PlannedRoute:
        """The targets of a route, as calls with these options go there.

        Plans that the call's options do not move to another address are those of calls without options; `plan` has
        these options.
        """
        if options is not NO_OPTIONS and any(name in options for name in (*BOUND_OPTIONS, "provider")):
            return self._plan_all(route, options, stream=stream)
        key = (route, stream)
        planned = self._planned.get(key)
        if planned is None or (planned.refused and time.monotonic() >= planned.fresh_until):
            planned = self._planned[key] = self._plan_all(route, NO_OPTIONS, stream=stream)
            if planned.refused:
                planned.fresh_until = time.monotonic() + _REFUSED_FOR
        if model and not stream and options is NO_OPTIONS and not planned.refused:
            self.known_replies[model] = planned
        return planned

    def _plan_all(self, route: FlatRoute, options: OptionValues, *, stream: bool) -> PlannedRoute:
        targets: list[PlannedTarget] = []
        refused: list[tuple[FlatTarget, CompletionError]] = []
        for target in route.targets:
            try:
                plan, settings = self.plan(route, target, options, stream=stream)
            except ConfigurationError as error:
                refused.append((target, error))
            else:
                health = self.client_routes.health(plan)
                targets.append(PlannedTarget(target, plan, health, settings.visit_total))
        return PlannedRoute(route, targets, refused, max_retries=self._defaults["max_retries"])

    def plan(
        self, route: FlatRoute, target: FlatTarget, options: OptionValues, *, stream: bool
    ) -> tuple[CallPlan, TargetSettings]:
        """How calls to a target with these options are made.

        Raises:
            CompletionError: there is no key, or an option is invalid.
        """
        provider = self.provider_of(target, options)[0]
        home = self._address(route.targets[0], options, self.provider_of(route.targets[0], options)[0], is_home=True)
        address = self._address(target, options, provider)
        first = route.targets[0].name
        settings = target_settings(target, route.settings, self._defaults, options, address, home, first)
        state, model = self._state, target.model
        plan = plan_call(state, model, settings.options, self._defaults, self._homes, stream=stream)
        plan.checked_key()
        plan.warnings = (*plan.warnings, *settings.warnings)
        return plan, settings

    def provider_of(self, target: FlatTarget, options: OptionValues) -> tuple[Provider, str]:
        """The provider of a target, and the target's model as it is written after the provider's name."""
        given = (options.get("provider") or self._defaults.get("provider")) if target.is_own_model else None
        return resolve_model(target.model, given, self._state.providers)

    def _address(
        self, target: FlatTarget, options: OptionValues, provider: Provider, *, is_home: bool = False
    ) -> Address:
        """Where a target is by its own options; with `is_home`, where those of the call and of the view are for."""
        url = options.get("base_url") if is_home else None
        url = url or target.options.get("base_url") or (self._defaults.get("base_url") if is_home else None)
        return Address(provider, url or self._state.provider_state(provider).base_url)

    def states(self, now: float) -> dict[str, list[TargetState]]:
        """The states of the targets of all named routes."""
        return {name: self._states_of(route, now) for name, route in self.client_routes.by_name.items()}

    def _states_of(self, route: FlatRoute, now: float) -> list[TargetState]:
        try:
            planned = self.planned(route, NO_OPTIONS, stream=False)
        except CompletionError:  # nothing was called yet
            planned = PlannedRoute(route, ())
        states: list[TargetState] = []
        for target in route.targets:
            known = planned.by_target.get(target)
            health = TargetHealth() if known is None else known.health
            waits = [health.retry_in(now), None if known is None else known.plan.cooldown.remaining(now)]
            states.append(
                TargetState(
                    target.name,
                    health.state(now),
                    max((each for each in waits if each is not None), default=None),
                    health.in_flight,
                    health.per_token if health.first_content is None else health.first_content,
                )
            )
        return states
