"""Calls over routes, as the client makes them: loaded by the first call that takes a route or has fallbacks."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol

import attrs

from ..calls import Call, CallPlan
from ..calls.chunk_source import ChunkSource
from ..calls.provider_state import ProviderState
from ..dialects.base import Target, TargetExtras
from ..errors import CompletionError
from ..options import NO_OPTIONS, OptionValues, Timeout
from ..providers import Provider
from ..records import ChatCompletion, ChatRequest
from ..redaction import is_credential
from ..routing.flat_route import FlatRoute, has_secret
from ..routing.planned import EncodedVisit, PlannedRoute, PlannedTarget
from ..routing.route import RouteTarget
from ..routing.routed_call import RoutedCall
from ..routing.routed_chunks import RoutedChunks
from ..routing.routed_reply import record_first_reply, reply_after, routed_reply
from ..validation import check_option_values
from .key_binding import Homes
from .logged_chunks import visit_chunks
from .route_planning import RoutePlanner
from .state import ClientState

_PLACES = ("provider", "base_url", "api_version")
"""Options of a call, besides its headers, that decide where its first target is."""


class VisitDispatcher(Protocol):
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
        answer = visit_chunks(calls, dispatcher.chunks_of(calls)) if self._stream else dispatcher.reply_of(calls)
        return EncodedVisit(calls, has_own_total, answer)


class Router:
    """Makes the calls of one client or view that take a route."""

    __slots__ = ("planner",)

    def __init__(self, state: ClientState, defaults: OptionValues, homes: Homes) -> None:
        self.planner = RoutePlanner(state, defaults, homes)

    def complete(
        self,
        dispatcher: VisitDispatcher,
        request: ChatRequest,
        options: OptionValues,
        started: float,
        on_load_refusal: Callable[[], None] | None,
    ) -> Awaitable[ChatCompletion] | None:
        """One whole reply, as an awaitable that sends; None if the call takes no route.

        Raises:
            InvalidRequestError: an option is invalid.
        """
        is_plain = request.reply_schema is None and request.preferred_target is None
        if options is NO_OPTIONS and started and on_load_refusal is None and is_plain:
            known = self.planner.known_replies.get(request.model)
            if known is not None:
                planned = known.quiet_target()
                if planned is not None:
                    return self._first_reply(dispatcher, known, planned, request, started)
        call = self._call(dispatcher, request, options, False, started, on_load_refusal)
        return None if call is None else routed_reply(call)

    async def _first_reply(
        self,
        dispatcher: VisitDispatcher,
        known: PlannedRoute,
        planned: PlannedTarget,
        request: ChatRequest,
        started: float,
    ) -> ChatCompletion:
        """The reply of a call whose first target is quiet, as nearly all are; if it fails, the call goes on."""
        try:
            calls = dispatcher.calls(request, NO_OPTIONS, stream=False, started=started, plan=planned.first_plan)
        except CompletionError:  # raised again where no other target takes the request
            return await routed_reply(self._known_call(dispatcher, request, started))
        for each in calls:
            each.max_repeats, each.may_wait_for_cooldown = known.max_repeats, False
        health = planned.health
        health.in_flight += 1
        try:
            reply = await (calls[0].complete() if calls[0].request.n is None else dispatcher.reply_of(calls))
        except CompletionError as error:
            failed = error
        else:
            record_first_reply(known, planned, reply)
            return reply
        finally:
            health.in_flight -= 1
        return await reply_after(self._known_call(dispatcher, request, started), planned, calls, failed)

    def _known_call(self, dispatcher: VisitDispatcher, request: ChatRequest, started: float) -> RoutedCall:
        """The call of a request that is known to take a route."""
        call = self._call(dispatcher, request, NO_OPTIONS, False, started, None)
        assert call is not None, "it takes a route"
        return call

    def chunks(
        self, dispatcher: VisitDispatcher, request: ChatRequest, options: OptionValues, started: float
    ) -> ChunkSource | None:
        """The chunks of one streamed reply, which is sent when it is opened; None if the call takes no route.

        Raises:
            CompletionError: the request cannot be sent.
        """
        call = self._call(dispatcher, request, options, True, started, None)
        return None if call is None else RoutedChunks(call)

    def target(
        self, dispatcher: VisitDispatcher, request: ChatRequest, options: OptionValues, stream: bool
    ) -> Target | None:
        """Where a call would go now; None if it takes no route.

        Raises:
            CompletionError: no target can be called.
        """
        planner, defaults = self.planner, dispatcher.defaults
        checked = options if options is NO_OPTIONS else check_option_values(options)
        route = planner.route_of(request.model, checked)
        if route is None:
            return None
        dispatcher.state.check_alive(needs_loop=False)
        is_free = request.preferred_target is None
        chosen = planner.planned(route, checked, stream=stream).quiet_target() if is_free else None
        if chosen is None:
            call = self._call(dispatcher, request, options, stream, 0.0, None, sends=False)
            assert call is not None, "it takes a route"
            chosen = call.next_target()
        # Targets with other places than those of calls without options are planned for one call.
        if chosen.shown is None or chosen.shown[0] is not defaults:
            chosen.shown = (defaults, self._shown(chosen.plan.target, route, dispatcher, checked))
        shown, timeout = chosen.shown[1], checked.get("timeout")
        # The plan of a target is that of calls without options.
        return shown if timeout is None else attrs.evolve(shown, time_limit=timeout.total)

    def _shown(self, target: Target, route: FlatRoute, dispatcher: VisitDispatcher, options: OptionValues) -> Target:
        """The target of a call, with what is the same for the whole route."""
        given, state = dispatcher.defaults | options, dispatcher.state
        providers = dict.fromkeys(self.planner.provider_of(each, options)[0].name for each in route.targets)
        servers = [state.provider_state(state.providers[name]) for name in providers]
        fallbacks: Sequence[str | RouteTarget] = given.get("fallbacks") or ()
        return attrs.evolve(
            target,
            route=route.name,
            route_digest=_digest(route, servers, given),
            # Not those of this target: the call may go to another one. The digest has the options of all.
            own_key=given.get("api_key") is not None or any(map(has_secret, fallbacks)),
            extras=TargetExtras(dispatcher.defaults),
        )

    def may_restart(self, model: str, options: OptionValues) -> bool:
        """Whether streams of a call may begin anew at another target, as its route has it."""
        try:
            checked = options if options is NO_OPTIONS else check_option_values(options)
            route = self.planner.route_of(model, checked)
        except CompletionError:  # raised again by the call
            return False
        return route is not None and route.settings.restart_streams

    def first_provider(self, model: str, options: OptionValues) -> tuple[Provider, str] | None:
        """The provider of the first target of a route, and the target's model without its name; None for no route.

        Raises:
            InvalidRequestError: an option is invalid.
        """
        checked = options if options is NO_OPTIONS else check_option_values(options)
        route = self.planner.route_of(model, checked)
        return None if route is None else self.planner.provider_of(route.targets[0], checked)

    def _call(
        self,
        dispatcher: VisitDispatcher,
        request: ChatRequest,
        options: OptionValues,
        stream: bool,
        started: float,
        on_load_refusal: Callable[[], None] | None,
        *,
        sends: bool = True,
    ) -> RoutedCall | None:
        """The call over the route that `request` names or `fallbacks` make; None if there is neither."""
        planner = self.planner
        checked = options if options is NO_OPTIONS else check_option_values(options)
        route = planner.route_of(request.model, checked)
        if route is None:
            return None
        if not started:
            dispatcher.state.check_alive(needs_loop=sends and not stream)
        timeout: Timeout = checked.get("timeout") or dispatcher.defaults["timeout"]
        retries: int | None = checked.get("max_retries")
        return RoutedCall(
            route,
            planner.planned(route, checked, stream=stream, model=request.model),
            request,
            RouteCalls(dispatcher, planner, route, checked, stream=stream),
            max_retries=dispatcher.defaults["max_retries"] if retries is None else retries,
            timeout=timeout,
            started=started,
            on_load_refusal=on_load_refusal,
        )


def _digest(route: FlatRoute, servers: Iterable[ProviderState], options: OptionValues) -> str:
    """The digest of a route, of the servers of its targets, and of the options of call and view that decide the place.

    Without credentials, as the key of a stored reply.
    """
    places: list[tuple[str, Any]] = [(name, options.get(name)) for name in _PLACES if options.get(name) is not None]
    for server in servers:
        headers = sorted((name, str(value)) for name, value in server.headers.items() if not is_credential(name))
        places.append((server.base_url, (server.api_version, headers)))
    return hashlib.sha256(f"{route.digest}{places}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
