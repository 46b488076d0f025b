"""Dispatching: from a validated request to its calls, through the middleware if there is any."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

import attrs

from ..calls import Call, CallPlan
from ..dialects.base import EncodingReport, Target
from ..errors import CompletionError
from ..options import NO_OPTIONS, OptionValues
from ..providers import Provider, apply_param_support, resolve_model
from ..records import ChatCompletion, ChatRequest, Message, ReplyInfo, any_portable
from ..validation import check_option_values, with_call_ids
from .branches import branches_of, log_end, logged
from .key_binding import BOUND_OPTIONS, Destination, Homes, ReceivedOptions, homes_of_view
from .planning import PlanCache, no_cache, plan_call
from .state import ClientState
from .typed_dispatch import OnLoadRefusal, TypedCallMethods

if TYPE_CHECKING:
    from ..calls.chunk_source import ChunkSource
    from ..middleware import Middleware, Terminal
    from ..streaming.stream import CompletionStream
    from .routed_calls import Router

# What only streams, several choices, middleware or routes need is imported where it is used, which shortens the first
# call of a process by a tenth of the time that the package takes of it.


class CallDispatcher(TypedCallMethods):
    """Makes the calls of one client, or of one view of it: its state, its default options and its middleware."""

    __slots__ = (
        "_default_chain",
        "_has_bound_defaults",
        "_has_cache_option",
        "_logger",
        "_providers",
        "defaults",
        "homes",
        "middleware",
        "plans",
        "routes",
        "state",
        "warnings",
    )

    def __init__(
        self,
        state: ClientState,
        defaults: OptionValues,
        middleware: tuple[Middleware, ...],
        homes: Homes | None = None,
        warnings: tuple[str, ...] = (),
    ) -> None:
        self.state = state
        self.defaults = defaults
        self.middleware = middleware
        self.homes: Homes = homes or {}
        """What the credentials among the defaults were given for."""
        self.warnings = warnings
        """What was dropped from the options on the way here."""
        self.plans = PlanCache()
        self._providers: dict[str, tuple[Provider, str, bool]] = {}
        self.routes: Router | None = None
        """Makes the calls that take a route; None where the client has no routes and no call had fallbacks."""
        if state.config.routes or "fallbacks" in defaults:
            self.load_routes()
        self._has_cache_option = "cache" in defaults
        """Whether calls have the option `cache`, which middleware takes away; so without it none of them is made."""
        self._has_bound_defaults = not defaults.reveal().keys().isdisjoint(BOUND_OPTIONS)
        """Whether some of the defaults are for one provider only, so that middleware may not take them to another."""
        self._logger = defaults.get("logger_fn")
        self._default_chain = self._chain(NO_OPTIONS)

    def with_defaults(self, options: OptionValues) -> CallDispatcher:
        """The dispatcher of a view with these options over the present defaults."""
        given = check_option_values(options)
        merged = self.defaults | given
        homes = homes_of_view(given, merged, self.homes, self.state.providers)
        return CallDispatcher(self.state, merged, self.middleware, homes)

    def complete(
        self, request: ChatRequest, options: OptionValues, started: float = 0.0, on_load_refusal: OnLoadRefusal = None
    ) -> Awaitable[ChatCompletion]:
        """One whole reply, as an awaitable that sends.

        Args:
            started: when the call began, on the loop's clock; 0.0 if it begins when this is awaited.
            on_load_refusal: called after each attempt that ended with 429 or 529, the last one included.

        Raises:
            CompletionError: the request cannot be sent.
        """
        chain = self._default_chain if options is NO_OPTIONS else self._chain(options)
        if chain:
            from ..middleware import CallNext, complete_through  # noqa: PLC0415 (see the top)

            call_next = CallNext(self._terminal(on_load_refusal, request, options), chain, stream=False)
            return complete_through(call_next, request, self._for_middleware(options))
        if self._has_cache_option or (options is not NO_OPTIONS and "cache" in options):
            raise no_cache()
        if self.routes is not None or (options is not NO_OPTIONS and "fallbacks" in options):
            reply = (self.routes or self.load_routes()).complete(self, request, options, started, on_load_refusal)
            if reply is not None:
                return reply
        calls = self.calls(request, options, stream=False, started=started)
        if on_load_refusal is not None:
            for call in calls:
                call.on_load_refusal = on_load_refusal
        if len(calls) == 1 and (calls[0].request.n or 1) == 1:
            return calls[0].complete()
        return self.reply_of(calls)

    def reply_of(self, calls: list[Call]) -> Awaitable[ChatCompletion]:
        """The whole reply of the branches of a logical call, as an awaitable that sends."""
        if len(calls) == 1 and (calls[0].request.n or 1) == 1:
            return calls[0].complete()
        from ..streaming.fanout import gather  # noqa: PLC0415 (see the top)
        from ..streaming.missing_choices import complete_choices  # noqa: PLC0415 (see the top)

        several = len(calls) > 1
        return logged(calls, gather([call.complete for call in calls]) if several else complete_choices(calls[0]))

    def stream(
        self,
        request: ChatRequest,
        options: OptionValues,
        started: float = 0.0,
        make: Callable[..., CompletionStream] | None = None,
    ) -> CompletionStream:
        """One streamed reply, which is sent when it is opened.

        Args:
            started: as for `complete`.
            make: makes the stream, with the arguments of `CompletionStream`, which is the default.
        """
        from ..calls.chunk_source import CallChunks  # noqa: PLC0415 (see the top)
        from ..streaming.stream import CompletionStream  # noqa: PLC0415 (see the top)

        make = make or CompletionStream
        usage_asked = bool((request.stream_options or {}).get("include_usage"))
        chain = self._default_chain if options is NO_OPTIONS else self._chain(options)
        if chain:
            from ..middleware import CallNext, MiddlewareChunks  # noqa: PLC0415 (see the top)

            self.state.check_alive(needs_loop=False)
            call_next = CallNext(self._terminal(None, request, options), chain, stream=True)
            may_restart = self.routes is not None and self.routes.may_restart(request.model, options)
            seen = self._for_middleware(options)
            chunks = MiddlewareChunks(call_next, request, seen, may_restart=may_restart)
            keep_text = (self.defaults | options).get("keep_text") is not False
            return make(chunks, usage_asked=usage_asked, keep_text=keep_text)
        if self._has_cache_option or (options is not NO_OPTIONS and "cache" in options):
            raise no_cache()
        if self.routes is not None or (options is not NO_OPTIONS and "fallbacks" in options):
            routed = self.load_routes().chunks(self, request, options, started)
            if routed is not None:
                keep_text = (self.defaults | options).get("keep_text") is not False
                return make(routed, usage_asked=usage_asked, keep_text=keep_text)
        calls = self.calls(request, options, stream=True, started=started)
        is_plain = len(calls) == 1 and (calls[0].request.n or 1) == 1
        source = CallChunks(calls[0]) if is_plain else self.chunks_of(calls)
        reply = make(source, usage_asked=usage_asked, keep_text=calls[0].plan.keep_text)
        if not isinstance(source, CallChunks):
            log_end(calls, reply)
        return reply

    def chunks_of(self, calls: list[Call]) -> ChunkSource:
        """The chunks of the branches of a logical call, which are sent when it is opened."""
        from ..calls.chunk_source import CallChunks  # noqa: PLC0415 (see the top)

        if len(calls) == 1 and (calls[0].request.n or 1) == 1:
            return CallChunks(calls[0])
        from ..streaming.fanout import MergedChunks  # noqa: PLC0415 (see the top)
        from ..streaming.missing_choices import FilledChunks  # noqa: PLC0415 (see the top)

        if len(calls) > 1:
            return MergedChunks([CallChunks(call) for call in calls], self.state.track_task)
        return FilledChunks(calls[0], self.state.track_task)

    def target(self, request: ChatRequest, options: OptionValues, stream: bool) -> Target:
        """Where the request would go."""
        if self.routes is not None or (options is not NO_OPTIONS and "fallbacks" in options):
            target = self.load_routes().target(self, request, options, stream)
            if target is not None:
                return target
        return self._plan(request, options, stream=stream).target

    def load_routes(self) -> Router:
        """The router, which is made by the first call that may need it."""
        if self.routes is None:
            from .routed_calls import Router  # noqa: PLC0415 (few programs have routes)

            self.routes = Router(self.state, self.defaults, self.homes)
        return self.routes

    def check(self, model: str, options: OptionValues) -> Target:
        """Where a call to `model` would go, and with a key that can be sent.

        Raises:
            InvalidRequestError: no such provider, or an invalid option.
            ConfigurationError: no key, a key that cannot be sent, or no base URL.
        """
        if not self.middleware and (self._has_cache_option or "cache" in options):
            raise no_cache()
        if self.routes is not None or "fallbacks" in options:
            return self.target(ChatRequest(model, "."), options, False)
        return self.plan(model, options).target

    def plan(self, model: str, options: OptionValues, *, stream: bool = False) -> CallPlan:
        """How a call to `model` would be made.

        Raises:
            InvalidRequestError: no such provider, or an invalid option.
            ConfigurationError: no key, a key that cannot be sent, or no base URL.
        """
        plan = self._plan(ChatRequest(model, ""), options, stream=stream)
        plan.checked_key()
        return plan

    # --- middleware ---

    def _chain(self, options: OptionValues) -> tuple[Middleware, ...]:
        """The middleware of a call: the caller's; in the dispatcher inside them, `logger_fn`; in the last one, none."""
        if self.middleware:
            return self.middleware
        logger = self._logger if options is NO_OPTIONS else options.get("logger_fn") or self._logger
        if logger is None:
            return ()
        from ..middleware import logger_middleware  # noqa: PLC0415 (see the top)

        return (logger_middleware(logger),)

    def _terminal(self, on_load_refusal: OnLoadRefusal, request: ChatRequest, options: OptionValues) -> Terminal:
        """What the last middleware calls: another dispatcher.

        A call with middleware and `logger_fn` passes three: this one runs the middleware, `inner` runs `logger_fn`, and
        the one inside that sends.
        """
        from ..middleware import Terminal  # noqa: PLC0415 (see the top)

        is_past_logger = not self.middleware
        defaults = (self.defaults.without("logger_fn") if is_past_logger else self.defaults).without("cache")
        inner = CallDispatcher(self.state, defaults, (), self.homes, self.warnings)
        inner.plans = self.plans
        if "fallbacks" in options:
            self.load_routes()
        inner.routes = self.routes
        received = None
        if self._has_bound_defaults:
            received = ReceivedOptions(self._destination, request, self._defaults_for(options))

        def arrived(request: ChatRequest, options: OptionValues, warnings: tuple[str, ...]) -> CallDispatcher:
            """`inner`, without those defaults that are not for the request's provider."""
            if received is None and not warnings:
                return inner
            kept: Mapping[str, Any] = defaults.reveal()
            dropped: tuple[str, ...] = ()
            if received is not None:
                kept, dropped = received.passed_on(request, self._defaults_for(options))
            if not dropped and not warnings:
                return inner
            rest = OptionValues({name: kept[name] for name in defaults.reveal() if name in kept})
            homes = {name: home for name, home in self.homes.items() if rest.get(name) is defaults.get(name)}
            return CallDispatcher(self.state, rest, (), homes, (*self.warnings, *warnings, *dropped))

        def rest_of(options: OptionValues) -> OptionValues:
            return options.without("logger_fn") if is_past_logger else options

        def complete(
            request: ChatRequest, options: OptionValues, warnings: tuple[str, ...]
        ) -> Awaitable[ChatCompletion]:
            last = arrived(request, options, warnings)
            return last.complete(request, rest_of(options), on_load_refusal=on_load_refusal)

        def stream(request: ChatRequest, options: OptionValues, warnings: tuple[str, ...]) -> CompletionStream:
            return arrived(request, options, warnings).stream(request, rest_of(options))

        def target(request: ChatRequest, options: OptionValues, stream: bool) -> Target:
            return arrived(request, options, ()).target(request, options, stream)

        receive = functools.partial(ReceivedOptions, self._destination)
        return Terminal(complete, stream, target, receive, self.state.finish_in_background)

    def _for_middleware(self, options: OptionValues) -> OptionValues:
        """The options that middleware sees: those of the call, with those of its view that are for middleware."""
        tags, cache = self.defaults.get("tags"), self.defaults.get("cache")
        if tags is None and cache is None:
            return options
        inherited = {name: value for name, value in (("tags", tags), ("cache", cache)) if value is not None}
        return OptionValues(inherited) | options

    def _defaults_for(self, options: OptionValues) -> dict[str, Any]:
        """The defaults of a call with `options`: its provider counts, and none of its other options."""
        named = {name: options.get(name) for name in ("provider", "azure") if name in options}
        return self.defaults.reveal() | named

    def _destination(self, model: str, options: Mapping[str, Any]) -> Destination:
        """Where a call to `model` with these options, which are not checked yet, would go."""
        named = "azure" if options.get("azure") else options.get("provider")
        try:
            provider, _ = resolve_model(model, named or self.defaults.get("provider"), self.state.providers)
            own_url = self.state.provider_state(provider).base_url
        except (CompletionError, AttributeError, TypeError):  # planning reports what is wrong with it
            return Destination(f"?{model}", "")
        return Destination(provider.name, options.get("base_url") or self.defaults.get("base_url") or own_url)

    # --- calls ---

    def _plan(self, request: ChatRequest, options: OptionValues, *, stream: bool) -> CallPlan:
        if options is NO_OPTIONS:
            plan = self.plans.get((request.model, stream))
            if plan is None:
                plan = plan_call(self.state, request.model, self.defaults, self.defaults, self.homes, stream=stream)
                self.plans.keep(request.model, stream, plan)
            return plan
        merged = self.defaults | check_option_values(options)
        return plan_call(self.state, request.model, merged, self.defaults, self.homes, stream=stream)

    def calls(
        self,
        request: ChatRequest,
        options: OptionValues,
        *,
        stream: bool,
        started: float,
        plan: CallPlan | None = None,
    ) -> list[Call]:
        """The branches of a logical call; `plan` is that of the options, where it is known."""
        if not started:
            # A call that has a start time has passed `ClientState.start_call`; a stream passes it when it is opened.
            self.state.check_alive(needs_loop=not stream)
        plan = plan or self._plan(request, options, stream=stream)
        provider_state, target = plan.provider_state, plan.target
        if provider_state.for_call is not None:
            bound = provider_state.for_call(request, model=target.model, stream=stream, base_url=target.base_url)
            plan = plan.with_transport(bound)
        if plan.requires_call_ids and (paired := with_call_ids(cast("list[Message]", request.messages))):
            request = attrs.evolve(request, messages=paired)
        if plan.extra_body is not None:
            request = attrs.evolve(request, extra_body={**(request.extra_body or {}), **plan.extra_body})
        warnings = [*self.warnings, *plan.warnings]
        if request.given():
            if request.tools and any_portable(request.tools):
                from ..structured.tool_schemas import with_tool_schemas  # noqa: PLC0415 (for tools made of functions)

                model = f"{target.extras.variant}/{target.model}" if target.extras.variant else target.model
                request = with_tool_schemas(request, provider_state.provider, model)
            report = EncodingReport(target.on_unsupported, warnings)
            request = apply_param_support(
                request, plan.param_support, report, stream=target.stream, provider=target.provider
            )
        if request.n is not None:
            return branches_of(plan, request, warnings, started)
        return [Call(plan, request, ReplyInfo(target.provider, target.model, warnings=warnings), started)]
