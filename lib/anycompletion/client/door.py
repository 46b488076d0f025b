"""AsyncCompletion: the front door. Resolves who is meant and how to call; every act is somebody else's room."""

from __future__ import annotations

import functools
import ssl
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack, cast, overload

import attrs

from ..call import Call, Plan, Source
from ..errors import CompletionError, ConfigurationError, InvalidRequestError
from ..fanout import Merged, gather
from ..middleware import CallNext, Chained, Middleware, Sender, checked_middleware, complete
from ..options import (
    CallOptions,
    CreateParams,
    Key,
    OnUnsupported,
    RateLimit,
    RateLimiter,
    Secret,
    Settings,
    Timeout,
)
from ..providers import (
    Provider,
    Rows,
    find_anywhere,
    gate,
    known_providers,
)
from ..records import ChatCompletion, ChatRequest, Message, Messages, ReplyInfo, Result
from ..stream import ChunkSource, CompletionStream
from ..validate import call_options, checked_options, read_call, read_keys, read_options, ready_request, require_ids
from ..validate import timeout as read_timeout
from ..validate.values import check_flag, check_string
from ..wire import MaskedValue, Report, Target
from .core import Core, Lane
from .observer import Observer
from .plans import Plans, make_plan

if TYPE_CHECKING:
    import aiohttp

    from ..batch import BatchItems, BatchProgress, BatchRun


class AsyncCompletion:
    """A client for chat completions of any provider, in OpenAI's format.

    Args:
        providers: rows of your own; one with a built-in name replaces it. In tests also a `FakeProvider` or a
            `Recorder` of `anycompletion.testing`, which stand in for rows.
        api_keys: provider name → key (text, `Secret` or ``async () -> str``). What is not here comes from the
            environment, at the first call to that provider.
        base_urls: provider name → base URL, in the form the vendor's own SDK takes.
        timeout: seconds in total, or a `Timeout`. Default: 600 in total, 10 to connect, 300 to a stream's first
            chunk, 60 between bytes.
        max_retries: attempts beyond the first, for errors that may pass. Default 2.
        on_unsupported: what happens to a parameter the provider does not have: "raise" (default), "warn" (dropped,
            said in ``reply.info.warnings``) or "drop".
        session: an `aiohttp.ClientSession` of yours to use for all providers; it is never closed here, and its
            connector's own limits hold.
        limits: provider, or ``provider/model`` → `RateLimit`; where both are given, both hold. Calls wait for their
            turn in the order of asking, within their total timeout, whatever key they have. Default: no limits.
        rate_limiter: a `RateLimiter` that other clients use too; it is asked after `limits`. It goes along where the
            client is pickled, if it pickles.
        middleware: functions around every logical call, `Middleware`; the first is the outermost.
        proxy: URL of an HTTP proxy for all requests; the environment's proxies are never used.
        ssl_context: for private certificate authorities.

    One client serves many tasks of one event loop. It opens nothing before the first call. Close it with
    ``async with`` or `aclose()`. It pickles as configuration; keys given as text do not go along.
    """

    def __init__(
        self,
        *,
        providers: Iterable[Provider | Rows] = (),
        api_keys: Mapping[str, Key] | None = None,
        base_urls: Mapping[str, str] | None = None,
        timeout: float | Timeout | None = None,
        max_retries: int = 2,
        on_unsupported: OnUnsupported = "raise",
        limits: Mapping[str, RateLimit] | None = None,
        rate_limiter: RateLimiter | None = None,
        middleware: Sequence[Middleware] = (),
        session: aiohttp.ClientSession | None = None,
        proxy: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        try:
            keys = read_keys(api_keys or {}, "api_keys")
        finally:
            del api_keys  # this frame is in the traceback of whatever goes wrong
        proxy = MaskedValue(proxy) if proxy is not None and "@" in proxy else proxy
        self._core = Core(
            {
                "providers": tuple(providers),
                "api_keys": keys,
                "base_urls": dict(base_urls or {}),
                "session": session,
                "proxy": proxy,
                "ssl_context": ssl_context,
                "middleware": checked_middleware(middleware),
                "limits": {} if limits is None else _checked(limits),
                "rate_limiter": rate_limiter,
            }
        )
        self._middleware: tuple[Middleware, ...] = self._core.config["middleware"]
        self._owner = True
        self._plans = Plans()
        clocks = Timeout() if timeout is None else read_timeout(timeout, "timeout")
        options = call_options({"max_retries": max_retries, "on_unsupported": on_unsupported})
        self._options = Settings(options | {"timeout": clocks})
        for name, url in self._core.config["base_urls"].items():
            if not check_string(url, f"base_urls[{name!r}]"):
                raise InvalidRequestError(f"base_urls[{name!r}]: is empty", param=f"base_urls[{name!r}]")
        named = {*self._core.config["api_keys"], *self._core.config["base_urls"]}
        named |= {key.partition("/")[0] for key in self._core.config["limits"]}
        if named := named - self._core.rows.keys():
            self._core.rows = {**known_providers(), **self._core.rows}
            if strange := named - self._core.rows.keys():
                raise ConfigurationError(
                    f"unknown provider {min(map(str, strange))!r} in api_keys, base_urls or limits"
                )

    def __repr__(self) -> str:
        core: Core | None = self.__dict__.get("_core")
        if core is None:
            return "<AsyncCompletion refused>"  # by its constructor, whose frame is in the traceback
        state = "closed" if core.closed else ", ".join(f"{n}: {x.pool!r}" for n, x in core.lanes.items())
        return f"<AsyncCompletion {state or 'unused'}>"

    # --- life ---

    async def __aenter__(self) -> Self:
        self._core.check_alive()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes all pools and wakes everybody who waits, with `ClientClosedError`; a view closes nothing."""
        if self._owner:
            await self._core.aclose()

    def __del__(self) -> None:
        core = getattr(self, "_core", None)
        if core is not None and self._owner and not core.closed and core.lanes:
            warnings.warn(
                "an AsyncCompletion was not closed; use `async with` or `await client.aclose()`",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )

    def with_options(self, **options: Unpack[CallOptions]) -> Self:
        """A cheap view of this client with other defaults; it shares the pools, and closing it closes nothing.

        Raises:
            TypeError: an unknown option.
            InvalidRequestError: a value nobody can mean.
        """
        try:
            given = checked_options(read_options(options))
        finally:
            del options  # this frame is in the traceback of whatever goes wrong
        view = object.__new__(type(self))
        view.__dict__.update(self.__dict__, _owner=False, _options=self._options | given, _plans=Plans())
        return view

    def __reduce__(self) -> Any:
        return _rebuild, (type(self), self._configuration(), self._options.reveal())

    def _configuration(self) -> dict[str, Any]:
        config = self._core.config
        for name in ("session", "ssl_context"):
            if config[name] is not None:
                raise TypeError(f"a client with a {name} does not pickle")
        if self._options.get("extra_headers") or "@" in (config["proxy"] or ""):
            raise TypeError("a client with extra_headers, or with a password in its proxy, does not pickle")
        keys = [*config["api_keys"].values(), self._options.get("api_key")]
        if any(isinstance(key, (str, Secret)) for key in keys):
            raise TypeError(
                "a client with explicit keys does not pickle; let the keys come from the environment, "
                "or pass an async function"
            )
        return {name: value for name, value in config.items() if value is not None}

    # --- calls ---

    @overload
    async def create(
        self, model: str, messages: Messages, *, stream: Literal[False] = ..., **params: Unpack[CreateParams]
    ) -> ChatCompletion: ...
    @overload
    async def create(
        self, model: str, messages: Messages, *, stream: Literal[True], **params: Unpack[CreateParams]
    ) -> CompletionStream: ...
    @overload
    async def create(
        self, model: str, messages: Messages, *, stream: bool, **params: Unpack[CreateParams]
    ) -> ChatCompletion | CompletionStream: ...
    async def create(
        self, model: str, messages: Messages, *, stream: bool = False, **params: Unpack[CreateParams]
    ) -> ChatCompletion | CompletionStream:
        """One reply, or with ``stream=True`` a stream that a good status has opened.

        Args:
            model: ``provider/model``; well-known bare names too (``gpt-``, ``claude-``).
            messages: a string, or a list of OpenAI dicts and records.
            stream: whether to return a `CompletionStream`.
            **params: OpenAI's parameters (`Params`) and how to call (`CallOptions`).

        Raises:
            InvalidRequestError: the request cannot be meant; `.param` names the place, nothing was sent.
            UnsupportedParameterError: the provider does not have the parameter or value; nothing was sent.
            ConfigurationError: no key; the text names the variables looked for.
            APIError: see the error table.
            TypeError: an unknown keyword, or model and messages swapped.
        """
        try:
            began = 0.0 if self._core.may_begin() else await self._core.turn()
            request, options = read_call(model, messages, params, stream=stream)
        finally:
            del model, messages, params  # this frame is in the traceback of whatever goes wrong
        return await self._run(request, stream, options, began)

    def stream(self, model: str, messages: Messages, **params: Unpack[CreateParams]) -> CompletionStream:
        """A stream that is validated now, and sent at ``async with`` or at the first chunk.

        Takes what `create` takes, and raises now what `create` raises before sending.
        """
        try:
            request, options = read_call(model, messages, params, stream=True)
        finally:
            del model, messages, params
        return self._stream(request, options)

    async def attempt(self, model: str, messages: Messages, **params: Unpack[CreateParams]) -> Result:
        """Like `create`, but ok or error as a value: ``Result(completion | error)``.

        Only misuse that no data can cause still raises: an unknown keyword (TypeError).
        """
        request: ChatRequest | None = None
        try:
            try:
                began = 0.0 if self._core.may_begin() else await self._core.turn()
                request, options = read_call(model, messages, params, stream=False)
            finally:
                del model, messages, params
            return Result(await self._complete(request, options, began=began), request=request)
        except CompletionError as error:
            return Result(error=error, request=request)

    @overload
    async def send(
        self, request: ChatRequest, *, stream: Literal[False] = ..., **options: Unpack[CallOptions]
    ) -> ChatCompletion: ...
    @overload
    async def send(
        self, request: ChatRequest, *, stream: Literal[True], **options: Unpack[CallOptions]
    ) -> CompletionStream: ...
    @overload
    async def send(
        self, request: ChatRequest, *, stream: bool, **options: Unpack[CallOptions]
    ) -> ChatCompletion | CompletionStream: ...
    async def send(
        self, request: ChatRequest, *, stream: bool = False, **options: Unpack[CallOptions]
    ) -> ChatCompletion | CompletionStream:
        """Sends a `ChatRequest` that is ready; raises what `create` raises."""
        try:
            began = 0.0 if self._core.may_begin() else await self._core.turn()
            checked, settings = ready_request(request, stream=stream), read_options(options)
        finally:
            del request, options
        return await self._run(checked, stream, settings, began)

    def batch(
        self,
        requests: BatchItems,
        *,
        concurrency: int | None = None,
        journal: str | PathLike[str] | None = None,
        ordered: bool = False,
        on_progress: Callable[[BatchProgress], object] | None = None,
    ) -> BatchRun:
        """Many requests, each answered once, and their results as they come.

        Args:
            requests: an iterable or async iterable that is read as far as needed: `ChatRequest`s, dicts of `create`'s
                arguments (``custom_id`` among them), input lines of OpenAI's Batch API, or ``(id, request)``.
            concurrency: how many are in flight at most, of all providers together. None (the default) finds out what
                each provider takes: 16 at first, 512 at most, half after a refusal. An item whose provider is at its
                limit holds up those of others only when 512 items wait.
            journal: a file that keeps the results, so that a run that was cut off goes on where it ended: what is in
                it is skipped (see `BatchProgress.skipped` and `read_results`), what failed for a reason that may pass
                is sent again. It is locked while the run lasts, and needs POSIX.
            ordered: results in the order of the requests. One that takes long holds back those behind it; 256 of them
                (twice the concurrency, if that is more) are finished meanwhile, then nothing new begins. Where no
                concurrency is given, 2,048 items are read before the first of them is taken, in either order.
            on_progress: called with a `BatchProgress`, ten times a second at most, and at the end.

        Sends at ``async with`` or when the first result is asked for. Iterating gives a `Result` for each item that is
        not skipped. Errors are values, those of items that cannot be meant or whose id was used before too, and the run
        goes on. With a journal, a result is in it before it is given out, and an item without an id gets one made of
        its request.

        Raises:
            InvalidRequestError: an argument nobody can mean.
            JournalError: while iterating: the journal is in use, damaged or cannot be written (`UnwrittenError`, which
                has the results that are not in it), or an item has the id of one with another request.
            ClientClosedError: while iterating: the client was closed.

        What the iterable raises is raised when all that was read before it has its result.
        """
        from ..batch import BatchRun  # noqa: PLC0415 (with its journal, it would cost each import 8 ms)
        from ..limits.adaptive import Adaptive  # noqa: PLC0415 (as above)

        options = Settings({})
        return BatchRun(
            requests,
            run=lambda request, on_refused: self._send(request, options, on_refused=on_refused),
            provider_of=self._provider_of,
            adaptive=Adaptive,
            keep=self._core.keep,
            check_alive=self._core.check_alive,
            concurrency=concurrency,
            journal=journal,
            ordered=ordered,
            on_progress=on_progress,
        )

    def _provider_of(self, model: str) -> str:
        """Whose model it is; "" where nobody knows, which sending says."""
        try:
            return find_anywhere(model, self._options.get("provider"), self._core.rows)[0].name
        except CompletionError:
            return ""

    async def _run(
        self, request: ChatRequest, stream: bool, options: Settings, began: float
    ) -> ChatCompletion | CompletionStream:
        if stream is False or not check_flag(stream, "stream"):
            return await self._complete(request, options, began=began)
        opened = self._stream(request, options, began)
        await opened.open()
        return opened

    async def _send(
        self, request: ChatRequest, options: Settings, *, on_refused: Callable[[], None] | None = None
    ) -> ChatCompletion:
        """What `send` does; `on_refused` is told of each attempt that met a 429 or 529, retried or not."""
        try:
            checked = ready_request(request, stream=False)
        finally:
            del request
        return await self._complete(checked, options, on_refused)

    async def _complete(
        self,
        request: ChatRequest,
        options: Settings,
        on_refused: Callable[[], None] | None = None,
        began: float = 0.0,
    ) -> ChatCompletion:
        if self._middleware:
            return await complete(self._call_next(on_refused, stream=False), request, options)
        calls = self._calls(request, options, stream=False, began=began)
        if on_refused is not None:
            for call in calls:
                call.on_refused = on_refused
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

    def _stream(self, request: ChatRequest, options: Settings, began: float = 0.0) -> CompletionStream:
        if self._middleware:
            self._core.check_alive()
            asked = bool((request.stream_options or {}).get("include_usage"))
            chained = Chained(self._call_next(None, stream=True), request, options)
            return CompletionStream(chained, usage_asked=asked)
        calls = self._calls(request, options, stream=True, began=began)
        sources: list[ChunkSource] = [_source(call) for call in calls]
        source = sources[0] if len(sources) == 1 else Merged(sources, self._core.keep)
        asked = bool((request.stream_options or {}).get("include_usage"))
        plan = calls[0].plan
        observer = None if plan.observer is None else Observer(plan, request)
        return CompletionStream(source, usage_asked=asked, observer=observer)

    def _call_next(self, on_refused: Callable[[], None] | None, *, stream: bool) -> CallNext:
        """The chain of this client's middleware, with sending at its end."""
        direct = object.__new__(type(self))
        direct.__dict__.update(self.__dict__, _owner=False, _middleware=())
        return CallNext(direct._sender(on_refused), self._middleware, stream=stream)

    def _sender(self, on_refused: Callable[[], None] | None) -> Sender:
        return Sender(functools.partial(self._complete, on_refused=on_refused), self._stream, self._target)

    def _target(self, request: ChatRequest, options: Settings, stream: bool) -> Target:
        settings, plans = self._options, self._plans
        if options:
            settings, plans = settings | checked_options(options), Plans()
        plan, _ = plans.get((request.model, stream)) or self._planned(plans, request.model, settings, stream)
        return plan.target

    # --- from what the caller wrote to calls ---

    def _calls(self, request: ChatRequest, options: Settings, *, stream: bool, began: float) -> list[Call]:
        """The branches of a logical call that began then: one, or `n` where the provider has no `n` of its own."""
        self._core.check_alive()
        settings, plans = self._options, self._plans
        if options:
            settings, plans = settings | checked_options(options), Plans()
        plan, lane = plans.get((request.model, stream)) or self._planned(plans, request.model, settings, stream)
        if lane.row.stand_in is not None:
            plan = lane.row.stand_in.plan(request, plan)
        if not plan.target.quirks.calls_without_ids:
            require_ids(cast("list[Message]", request.messages))
        if plan.extra_body is not None:
            request = attrs.evolve(request, extra_body={**(request.extra_body or {}), **plan.extra_body})
        report = Report(plan.target.on_unsupported, [*plan.warnings])
        request = gate(request, lane.table, report)
        if request.n is None:
            return [_call(plan, request, report.warnings, began)]
        return self._branches(plan, lane, request, report, began)

    def _branches(self, plan: Plan, lane: Lane, request: ChatRequest, report: Report, began: float) -> list[Call]:
        cell, n = lane.table.get("n"), cast("int", request.n)
        if cell is None or cell.support != "fanned_out":
            n = 1
        elif n != 1 or not cell.takes_neutral:
            request = attrs.evolve(request, n=None)
        return [_call(plan, request, list(report.warnings), began) for _ in range(n)]

    def _planned(self, plans: Plans, named: str, settings: Settings, stream: bool) -> tuple[Plan, Lane]:
        plan, lane = make_plan(self._core, named, settings, self._options, stream)
        plans.keep(named, stream, plan, lane)
        return plan, lane


def _call(plan: Plan, request: ChatRequest, warnings: list[str], began: float) -> Call:
    info = ReplyInfo(plan.target.provider, plan.target.model, warnings=warnings)
    if plan.limits is None:
        return Call(plan, request, info, began)
    from ..call.limited import LimitedCall  # noqa: PLC0415 (few have limits, and each import would pay for them)

    return LimitedCall(plan, request, info, began)


def _source(call: Call) -> Source:
    if call.plan.limits is None:
        return Source(call)
    from ..call.limited import LimitedCall, LimitedSource  # noqa: PLC0415 (as above)

    assert isinstance(call, LimitedCall), "a plan with limits makes these"
    return LimitedSource(call)


async def _completed(calls: list[Call]) -> ChatCompletion:
    return await (calls[0].complete() if len(calls) == 1 else gather([call.complete for call in calls]))


def _checked(limits: Mapping[str, RateLimit]) -> dict[str, RateLimit]:
    from ..limits.admission import checked_limits  # noqa: PLC0415 (as above)

    return checked_limits(limits)


def _rebuild(cls: type[AsyncCompletion], config: dict[str, Any], options: dict[str, Any]) -> AsyncCompletion:
    client = cls(**config)
    client.__dict__["_options"] = Settings(options)
    return client
