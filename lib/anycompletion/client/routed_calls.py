"""Calls over routes, as the client makes them: loaded by the first call that takes a route or has fallbacks."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Protocol

import attrs

from ..calls import Call, CallPlan
from ..calls.chunk_source import ChunkSource
from ..dialects.base import Target, TargetExtras
from ..options import NO_OPTIONS, OptionValues, Timeout
from ..providers import Provider
from ..records import ChatCompletion, ChatRequest
from ..routing.flat_route import FlatRoute
from ..routing.planned import EncodedVisit, PlannedTarget
from ..routing.routed_call import RoutedCall
from ..routing.routed_chunks import RoutedChunks
from ..routing.routed_reply import routed_reply
from ..validation import check_option_values
from .route_planning import RoutePlanner
from .state import ClientState


class RouteLoader(Protocol):
    """The part of `CallDispatcher` that knows its routes."""

    def load_routes(self) -> RoutePlanner:
        """The planner of routes."""
        ...


class VisitDispatcher(RouteLoader, Protocol):
    """The part of `CallDispatcher` that makes a visit's calls."""

    state: ClientState
    defaults: OptionValues

    def calls(
        self, request: ChatRequest, options: OptionValues, *, stream: bool, started: float, plan: CallPlan | None
    ) -> list[Call]:
        """The branches of a call."""
        ...

    def reply_of(self, calls: list[Call]) -> Awaitable[ChatCompletion]:
        """Their whole reply."""
        ...

    def chunks_of(self, calls: list[Call]) -> ChunkSource:
        """Their chunks."""
        ...


class RouteCalls:
    """`routing.planned.RouteClient` of one call."""

    __slots__ = ("_dispatcher", "_options", "_planner", "_route", "_stream")

    def __init__(
        self,
        dispatcher: VisitDispatcher,
        planner: RoutePlanner,
        route: FlatRoute,
        options: OptionValues,
        *,
        stream: bool,
    ) -> None:
        self._dispatcher = dispatcher
        self._planner = planner
        self._route = route
        self._options = options
        self._stream = stream

    def encode(self, planned: PlannedTarget, request: ChatRequest, left: float | None, started: float) -> EncodedVisit:
        """The calls of a visit."""
        plan, dispatcher = planned.plan, self._dispatcher
        if request.reply_schema is not None:
            from ..structured.route_requests import request_for_target  # noqa: PLC0415 (for typed calls only)

            request = request_for_target(request, *self._planner.provider_of(planned.target, self._options))
        if self._options is not NO_OPTIONS:
            plan, _ = self._planner.plan(self._route, planned.target, self._options, stream=self._stream)
        limit = planned.visit_total
        has_own_total = limit is not None and (left is None or limit < left)
        if has_own_total:
            plan = plan.with_timeout(attrs.evolve(plan.timeout, total=limit))
        calls = dispatcher.calls(request, self._options, stream=self._stream, started=started, plan=plan)
        answer = dispatcher.chunks_of(calls) if self._stream else dispatcher.reply_of(calls)
        return EncodedVisit(calls, answer, has_own_total)


def routed_call(
    dispatcher: VisitDispatcher,
    request: ChatRequest,
    options: OptionValues,
    stream: bool,
    started: float,
    on_load_refusal: Callable[[], None] | None = None,
) -> RoutedCall | None:
    """The call over the route that `request` names or `fallbacks` make; None if there is neither.

    Raises:
        InvalidRequestError: an option is invalid.
    """
    planner = dispatcher.load_routes()
    checked = options if options is NO_OPTIONS else check_option_values(options)
    route = planner.route_of(request.model, checked)
    if route is None:
        return None
    if not started:
        dispatcher.state.check_alive(needs_loop=not stream)
    timeout: Timeout = checked.get("timeout") or dispatcher.defaults["timeout"]
    retries: int | None = checked.get("max_retries")
    return RoutedCall(
        route,
        planner.planned(route, checked, stream=stream),
        request,
        RouteCalls(dispatcher, planner, route, checked, stream=stream),
        max_retries=dispatcher.defaults["max_retries"] if retries is None else retries,
        timeout=timeout,
        started=started,
        on_load_refusal=on_load_refusal,
    )


def first_provider(dispatcher: RouteLoader, model: str, options: OptionValues) -> tuple[Provider, str] | None:
    """The provider of the first target of a route, and the target's model without its name; None for no route.

    Raises:
        InvalidRequestError: an option is invalid.
    """
    planner = dispatcher.load_routes()
    checked = options if options is NO_OPTIONS else check_option_values(options)
    route = planner.route_of(model, checked)
    return None if route is None else planner.provider_of(route.targets[0], checked)


def routed_target(
    dispatcher: VisitDispatcher, request: ChatRequest, options: OptionValues, stream: bool
) -> Target | None:
    """Where a call would go now; None if it takes no route.

    Raises:
        CompletionError: no target can be called.
    """
    call = routed_call(dispatcher, request, options, stream, 0.0)
    if call is None:
        return None
    target = call.next_target().plan.target
    return attrs.evolve(
        target,
        route=call.route.name,
        route_digest=_digest(call.route, dispatcher.state),
        # Not those of this target: the call may go to another one. The digest has the options of all.
        own_key=any(given.get("api_key") is not None for given in (options, dispatcher.defaults)),
        extras=TargetExtras(dispatcher.defaults),
    )


def _digest(route: FlatRoute, state: ClientState) -> str:
    """The digest of a route, with the base URLs of this client if it has any."""
    urls = sorted(state.config.base_urls.items())
    return hashlib.sha256(f"{route.digest}{urls}".encode()).hexdigest()[:32] if urls else route.digest


__all__ = ["RoutedChunks", "first_provider", "routed_call", "routed_reply", "routed_target"]
