"""The desk behind the front door: reads what the caller wrote, resolves who is meant and how, and has it done."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import attrs

from ..calls import Call, CallChunks, CallPlan
from ..dialects.base import EncodingReport, Target
from ..errors import CompletionError, ConfigurationError, InvalidRequestError
from ..middleware import CallNext, Middleware, MiddlewareChunks, Terminal, checked_middleware, complete
from ..options import CallOptions, RateLimit, ResolvedOptions, Secret, Timeout
from ..providers import apply_param_support, known_providers, resolve_model
from ..records import ChatCompletion, ChatRequest, Message, Messages, ReplyInfo, Result
from ..records.request import CreateParams
from ..redaction import MaskedValue
from ..streaming.fanout import MergedChunks, gather
from ..streaming.stream import ChunkSource, CompletionStream
from ..validation import (
    check_flag,
    check_options,
    check_resolved_options,
    check_string,
    check_timeout,
    parse_call,
    parse_keys,
    parse_options,
    require_ids,
    validate_request,
)
from .observer import Observer
from .planning import PlanCache, plan_call
from .state import ClientState, ProviderState

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from ..batch import BatchItems, BatchRun

_OnRefused: TypeAlias = Callable[[], None] | None


def open_desk(**given: Any) -> Desk:
    """The desk of a new client, which was given these arguments.

    Raises:
        InvalidRequestError: a value nobody can mean.
        ConfigurationError: it speaks of a provider that nobody knows.
    """
    try:
        config, options = _read(given)
    finally:
        given.clear()  # it is in frames of the traceback of whatever goes wrong, with keys as they were written
    core = ClientState(config)
    named = {*config["api_keys"], *config["base_urls"]}
    named |= {key.partition("/")[0] for key in config["limits"]}
    if named := named - core.providers.keys():
        core.providers = {**known_providers(), **core.providers}
        if strange := named - core.providers.keys():
            raise ConfigurationError(f"unknown provider {min(map(str, strange))!r} in api_keys, base_urls or limits")
    return Desk(core, options, config["middleware"])


def _read(given: dict[str, Any]) -> tuple[dict[str, Any], ResolvedOptions]:
    """What all views of the client share, and the defaults of its own."""
    timeout, limits = given["timeout"], given["limits"]
    config: dict[str, Any] = {
        "providers": tuple(given["providers"]),
        "api_keys": parse_keys(given["api_keys"] or {}, "api_keys"),
        "base_urls": dict(given["base_urls"] or {}),
        "session": given["session"],
        "proxy": _without_password(given["proxy"]),
        "ssl_context": given["ssl_context"],
        "middleware": checked_middleware(given["middleware"]),
        "limits": {} if limits is None else _checked(limits),
        "rate_limiter": given["rate_limiter"],
    }
    for name, url in config["base_urls"].items():
        if not check_string(url, f"base_urls[{name!r}]"):
            raise InvalidRequestError(f"base_urls[{name!r}]: is empty", param=f"base_urls[{name!r}]")
    options = check_options({"max_retries": given["max_retries"], "on_unsupported": given["on_unsupported"]})
    clocks = Timeout() if timeout is None else check_timeout(timeout, "timeout")
    return config, ResolvedOptions(options | {"timeout": clocks})


def _without_password(proxy: object) -> str | None:
    """The proxy's URL, which shows itself only where nothing in it is secret."""
    if proxy is None or isinstance(proxy, str):
        return MaskedValue(proxy) if proxy is not None and "@" in proxy else proxy
    found = type(proxy).__name__
    del proxy  # this frame is in the traceback
    raise InvalidRequestError(f"proxy: expected a URL as a string, found {found}", param="proxy")


class Desk:
    """Of a client or a view of one: what it shares with others, and the defaults of its own."""

    __slots__ = ("core", "middleware", "options", "plans")

    def __init__(self, core: ClientState, options: ResolvedOptions, middleware: tuple[Middleware, ...]) -> None:
        self.core = core
        self.options = options
        self.middleware = middleware
        self.plans = PlanCache()

    def view(self, options: CallOptions) -> Desk:
        """A desk with other defaults."""
        try:
            given = check_resolved_options(parse_options(options))
        finally:
            del options  # this frame is in the traceback of whatever goes wrong
        return Desk(self.core, self.options | given, self.middleware)

    def restore(self, options: dict[str, Any]) -> None:
        """Takes the defaults that `options.reveal()` gave, in another process."""
        self.options = ResolvedOptions(options)

    def configuration(self) -> dict[str, Any]:
        """What makes another client like this one.

        Raises:
            TypeError: there is something that does not pickle, or must not.
        """
        config = self.core.config
        for name in ("session", "ssl_context"):
            if config[name] is not None:
                raise TypeError(f"a client with a {name} does not pickle")
        if self.options.get("extra_headers") or "@" in (config["proxy"] or ""):
            raise TypeError("a client with extra_headers, or with a password in its proxy, does not pickle")
        keys = [*config["api_keys"].values(), self.options.get("api_key")]
        if any(isinstance(key, (str, Secret)) for key in keys):
            raise TypeError(
                "a client with explicit keys does not pickle; let the keys come from the environment, "
                "or pass an async function"
            )
        return {name: value for name, value in config.items() if value is not None}

    # --- calls ---

    async def create(
        self, model: str, messages: Messages, params: CreateParams, stream: bool
    ) -> ChatCompletion | CompletionStream:
        """What `AsyncCompletion.create` says."""
        try:
            began = 0.0 if self.core.try_start() else await self.core.wait_to_start()
            request, options = parse_call(model, messages, params, stream=stream)
        finally:
            del model, messages, params  # this frame is in the traceback of whatever goes wrong
        return await self._run(request, stream, options, began)

    def stream(self, model: str, messages: Messages, params: CreateParams) -> CompletionStream:
        """What `AsyncCompletion.stream` says."""
        try:
            request, options = parse_call(model, messages, params, stream=True)
        finally:
            del model, messages, params
        return self._stream(request, options)

    async def attempt(self, model: str, messages: Messages, params: CreateParams) -> Result:
        """What `AsyncCompletion.attempt` says."""
        request: ChatRequest | None = None
        try:
            try:
                began = 0.0 if self.core.try_start() else await self.core.wait_to_start()
                request, options = parse_call(model, messages, params, stream=False)
            finally:
                del model, messages, params
            return Result(await self._complete(request, options, began=began), request=request)
        except CompletionError as error:
            return Result(error=error, request=request)

    async def send(self, request: ChatRequest, options: CallOptions, stream: bool) -> ChatCompletion | CompletionStream:
        """What `AsyncCompletion.send` says."""
        try:
            began = 0.0 if self.core.try_start() else await self.core.wait_to_start()
            checked, settings = validate_request(request, stream=stream), parse_options(options)
        finally:
            del request, options
        return await self._run(checked, stream, settings, began)

    def batch(self, client: object, requests: BatchItems, **how: Any) -> BatchRun:
        """What `AsyncCompletion.batch` says; the run holds `client`, which may have nobody else to do so."""
        from ..batch import BatchRun  # noqa: PLC0415 (with its journal, it would cost each client 8 ms)

        return BatchRun(requests, client=_BatchCalls(client, self), **how)

    def provider_of(self, model: str) -> str:
        """The name of the provider that serves `model`; "" where it is unknown, which is an error when it is sent."""
        try:
            return resolve_model(model, self.options.get("provider"), self.core.providers)[0].name
        except CompletionError:
            return ""

    async def _run(
        self, request: ChatRequest, stream: bool, options: ResolvedOptions, began: float
    ) -> ChatCompletion | CompletionStream:
        if stream is False or not check_flag(stream, "stream"):
            return await self._complete(request, options, began=began)
        opened = self._stream(request, options, began)
        await opened.open()
        return opened

    async def answer(self, request: ChatRequest, on_throttled: _OnRefused) -> ChatCompletion:
        """Sends a validated request; calls `on_throttled` for each attempt that ended with 429 or 529."""
        return await self._complete(request, ResolvedOptions({}), on_throttled)

    async def _complete(
        self,
        request: ChatRequest,
        options: ResolvedOptions,
        on_refused: _OnRefused = None,
        began: float = 0.0,
    ) -> ChatCompletion:
        if self.middleware:
            return await complete(self._call_next(on_refused, stream=False), request, options)
        calls = self._calls(request, options, stream=False, began=began)
        if on_refused is not None:
            for call in calls:
                call.on_throttled = on_refused
        if calls[0].plan.observer is None:
            return await _completed(calls)
        observer = Observer(calls[0].plan, request)
        observer.before()
        try:
            completion = await _completed(calls)
        except CompletionError as error:
            observer.failed(error)
            raise
        observer.after(completion)
        return completion

    def _stream(self, request: ChatRequest, options: ResolvedOptions, began: float = 0.0) -> CompletionStream:
        if self.middleware:
            self.core.check_alive()
            asked = bool((request.stream_options or {}).get("include_usage"))
            chained = MiddlewareChunks(self._call_next(None, stream=True), request, options)
            return CompletionStream(chained, usage_asked=asked)
        calls = self._calls(request, options, stream=True, began=began)
        sources: list[ChunkSource] = [_source(call) for call in calls]
        source = sources[0] if len(sources) == 1 else MergedChunks(sources, self.core.track_task)
        asked = bool((request.stream_options or {}).get("include_usage"))
        plan = calls[0].plan
        observer = None if plan.observer is None else Observer(plan, request)
        return CompletionStream(source, usage_asked=asked, observer=observer)

    def _call_next(self, on_refused: _OnRefused, *, stream: bool) -> CallNext:
        """The chain of this client's middleware, with sending at its end."""
        direct = Desk(self.core, self.options, ())
        direct.plans = self.plans
        sender = Terminal(functools.partial(direct._complete, on_refused=on_refused), direct._stream, direct._target)
        return CallNext(sender, self.middleware, stream=stream)

    def _target(self, request: ChatRequest, options: ResolvedOptions, stream: bool) -> Target:
        return self._plan(request, options, stream)[0].target

    # --- from what the caller wrote to calls ---

    def _calls(self, request: ChatRequest, options: ResolvedOptions, *, stream: bool, began: float) -> list[Call]:
        """The branches of a logical call that began then: one, or `n` where the provider has no `n` of its own."""
        self.core.check_alive()
        plan, lane = self._plan(request, options, stream)
        if lane.provider.transport is not None:
            plan = lane.provider.transport.plan(request, plan)
        if plan.target.quirks.requires_call_ids:
            require_ids(cast("list[Message]", request.messages))
        if plan.extra_body is not None:
            request = attrs.evolve(request, extra_body={**(request.extra_body or {}), **plan.extra_body})
        report = EncodingReport(plan.target.on_unsupported, [*plan.warnings])
        request = apply_param_support(request, lane.param_support, report)
        if request.n is None:
            return [_call(plan, request, report.warnings, began)]
        return self._branches(plan, lane, request, report, began)

    def _branches(
        self, plan: CallPlan, lane: ProviderState, request: ChatRequest, report: EncodingReport, began: float
    ) -> list[Call]:
        cell, n = lane.param_support.get("n"), cast("int", request.n)
        if cell is None or cell.support != "fanned_out":
            n = 1
        elif n != 1 or not cell.takes_no_op:
            request = attrs.evolve(request, n=None)
        return [_call(plan, request, list(report.warnings), began) for _ in range(n)]

    def _plan(self, request: ChatRequest, options: ResolvedOptions, stream: bool) -> tuple[CallPlan, ProviderState]:
        """How this call is made: as others of its kind, unless it has options of its own."""
        settings, plans = self.options, self.plans
        if options:
            settings, plans = settings | check_resolved_options(options), PlanCache()
        return plans.get((request.model, stream)) or self.planned(plans, request.model, settings, stream)

    def planned(
        self, plans: PlanCache, named: str, settings: ResolvedOptions, stream: bool
    ) -> tuple[CallPlan, ProviderState]:
        """Prepares how such calls are made, and keeps it in `plans`."""
        plan, lane = plan_call(self.core, named, settings, self.options, stream)
        plans.keep(named, stream, plan, lane)
        return plan, lane


class _BatchCalls:
    """The `batch.BatchClient` of a client; references the client, so that it lives as long as the run."""

    def __init__(self, client: object, desk: Desk) -> None:
        self._client = client
        self._desk = desk

    def complete(self, request: ChatRequest, on_throttled: _OnRefused) -> Awaitable[ChatCompletion]:
        return self._desk.answer(request, on_throttled)

    def provider_of(self, model: str) -> str:
        return self._desk.provider_of(model)

    def track_task(self, task: asyncio.Task[None]) -> None:
        self._desk.core.track_task(task)

    def check_alive(self) -> None:
        self._desk.core.check_alive()


def _call(plan: CallPlan, request: ChatRequest, warnings: list[str], began: float) -> Call:
    info = ReplyInfo(plan.target.provider, plan.target.model, warnings=warnings)
    if plan.limits is None:
        return Call(plan, request, info, began)
    from ..calls.limited import RateLimitedCall  # noqa: PLC0415 (few have limits, and each client would pay for them)

    return RateLimitedCall(plan, request, info, began)


def _source(call: Call) -> CallChunks:
    if call.plan.limits is None:
        return CallChunks(call)
    from ..calls.limited import RateLimitedCall, RateLimitedChunks  # noqa: PLC0415 (as above)

    assert isinstance(call, RateLimitedCall), "a plan with limits makes these"
    return RateLimitedChunks(call)


async def _completed(calls: list[Call]) -> ChatCompletion:
    return await (calls[0].complete() if len(calls) == 1 else gather([call.complete for call in calls]))


def _checked(limits: Mapping[str, RateLimit]) -> dict[str, RateLimit]:
    from ..ratelimit.client_limits import checked_limits  # noqa: PLC0415 (as above)

    return checked_limits(limits)
