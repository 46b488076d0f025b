"""AsyncCompletion: the front door. Resolves who is meant and how to call; every act is somebody else's room."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import ssl
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack, cast, overload
from urllib.parse import urlsplit
from weakref import WeakSet

import attrs

from .call import USER_AGENT, Call, KeySource, Known, LimitedCall, LimitedSource, Plan, Road, Source
from .dialects import Dialect
from .errors import ClientClosedError, CompletionError, ConfigurationError, InvalidRequestError
from .fanout import Merged, gather
from .limits import Adaptive, Limits, Slots, checked_limits
from .logs import observer_failed
from .middleware import CallNext, Chained, Middleware, Sender, checked_middleware, complete
from .options import (
    BearerToken,
    CallOptions,
    Cell,
    CreateParams,
    Key,
    OnUnsupported,
    RateLimit,
    RateLimiter,
    Secret,
    Settings,
    Timeout,
)
from .providers import DIALECTS, Provider, Rows, check_base_url, directory, find_anywhere, gate, known_providers, origin
from .records import ChatCompletion, ChatRequest, Message, Messages, ReplyInfo, Result
from .stream import ChunkSource, CompletionStream
from .transport import Pool, Starts
from .validate import call_options, checked_options, read_call, read_keys, read_options, ready_request, require_ids
from .validate import timeout as read_timeout
from .validate.values import check_flag, check_string
from .wire import MaskedValue, Report, Target

if TYPE_CHECKING:
    import aiohttp

    from .batch import BatchItems, BatchProgress, BatchRun


class _Lane:
    """What calls to one provider share: prepared once, at the first call."""

    __slots__ = (
        "api_version",
        "base_url",
        "dialect",
        "headers",
        "key",
        "key_source",
        "known",
        "pool",
        "road",
        "row",
        "table",
    )

    def __init__(
        self,
        row: Provider,
        base_url: str,
        api_version: str | None,
        key: KeySource,
        key_source: str,
        pool: Pool,
        headers: Mapping[str, str],
    ) -> None:
        self.row = row
        self.dialect: Dialect = DIALECTS[row.dialect]
        self.base_url = base_url
        self.api_version = api_version
        self.key: KeySource = key
        self.key_source = key_source
        self.pool = pool
        self.headers = headers
        self.table = {name: cell for name, cell in row.table.items() if cell != _PLAIN}
        """The cells that say more than «native»."""
        self.known = Known()
        self.road = Road()
        """Of the calls that go where the lane leads, with its key."""


class _Core:
    """What a client and its views share: configuration, pools, tasks, and the loop they belong to."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.rows = directory(config["providers"])
        self.lanes: dict[str, _Lane] = {}
        self.roads: dict[tuple[str, KeySource], Road] = {}
        """Of calls with keys or base URLs of their own, the last used last."""
        self.all_roads: WeakSet[Road] = WeakSet()
        """Of these, all that some call still goes."""
        self.tasks: set[asyncio.Task[None]] = set()
        self.farewells: set[asyncio.Task[None]] = set()
        """Tasks that tell a provider that nobody waits any more."""
        self.starts = Starts()
        limits, shared = config["limits"], config["rate_limiter"]
        self.limits = Limits(limits, shared) if limits or shared is not None else None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.pid = 0
        self.closed = False

    def check_alive(self) -> None:
        """Raises `ClientClosedError` where this client cannot be used, naming the fix."""
        if self.closed:
            raise ClientClosedError(
                "this client was closed; make calls inside `async with AsyncCompletion() as client:`, or a new client"
            )
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        if loop is None:
            raise ClientClosedError("no event loop is running; use the client inside `async def`, under asyncio.run()")
        if self.loop is None:
            self.loop, self.pid = loop, os.getpid()
        elif self.pid != os.getpid():
            for lane in self.lanes.values():
                lane.pool.abandon()
            raise ClientClosedError("this process was forked; make a new AsyncCompletion in the child")
        elif self.loop is not loop:
            raise ClientClosedError(
                "this client belongs to another event loop; make one AsyncCompletion per loop, inside it"
            )

    def may_begin(self) -> bool:
        """Whether a call may be prepared in this turn of the event loop.

        Raises:
            ClientClosedError: this client cannot be used.
        """
        self.check_alive()
        return self.starts.take_now()

    async def turn(self) -> float:
        """Waits for a turn in which it may; since when, on the loop's clock: its total runs meanwhile.

        Thousands of calls are often made in one turn. Reading them all at once would keep everything else waiting, and
        have Python's garbage collector walk over what they make, time and again.
        """
        began = asyncio.get_running_loop().time()
        await self.starts.take()
        self.check_alive()
        return began

    def lane(self, row: Provider) -> _Lane:
        """The provider's lane, prepared at first use: this is when the environment is read."""
        lane = self.lanes.get(row.name)
        if lane is None:
            lane = self.lanes[row.name] = self._prepare(row)
        return lane

    def _prepare(self, row: Provider) -> _Lane:
        given = self.config["base_urls"].get(row.name)
        url = given or _first_env(row.base_url_env) or row.base_url
        headers = {"User-Agent": USER_AGENT, **_masked(row.headers)}
        for name, variables in row.headers_env.items():
            value = _first_env(variables)
            if value is not None:
                headers[name] = MaskedValue(value)
        return _Lane(
            row,
            url and check_base_url(url, allow_http=row.allow_http, param=f"base_urls[{row.name!r}]"),
            row.api_version or _first_env(row.api_version_env),
            self._key(row),
            "" if row.name in self.config["api_keys"] else _key_source(row),
            self._pool(row),
            headers,
        )

    def _pool(self, row: Provider) -> Pool:
        own = {name: self.config[name] for name in ("session", "proxy", "ssl_context")}

        def make(**others: Any) -> Pool:
            return Pool(Slots(), **{**own, **others})

        return make() if row.stand_in is None else row.stand_in.pool(make)

    def _key(self, row: Provider) -> KeySource:
        key: KeySource = self.config["api_keys"].get(row.name)
        if key is not None:
            return key
        token = _first_env(row.token_env)
        if token is not None:
            return BearerToken(token)
        found = _first_env(row.key_env)
        return None if found is None else Secret(found)

    def road(self, lane: _Lane, base_url: str, key: KeySource) -> Road:
        """What this call shares with others: those that go to the same origin with the same key."""
        if key is lane.key and base_url == lane.base_url:
            return lane.road
        where = (origin(base_url), key)
        road = self.roads.pop(where) if where in self.roads else Road()
        self.roads[where] = road
        self.all_roads.add(road)
        if len(self.roads) > _ROADS:
            # A service may see a new key with every user of its own.
            del self.roads[next(iter(self.roads))]
        return road

    def keep(self, task: asyncio.Task[None]) -> None:
        """Holds a task until it is done; the loop itself holds tasks only weakly."""
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def see_off(self, task: asyncio.Task[None]) -> None:
        """Holds a task that `aclose` lets finish."""
        self.farewells.add(task)
        task.add_done_callback(self.farewells.discard)

    async def aclose(self) -> None:
        """Closes everything; idempotent."""
        elsewhere = self.loop is not None and self.loop is not asyncio.get_running_loop() and self.loop.is_running()
        if elsewhere and self.pid == os.getpid():
            raise ClientClosedError("this client belongs to another event loop; close it there")
        self.closed = True
        if self.pid not in (0, os.getpid()):
            # After a fork, connections and tasks are the parent's.
            for lane in self.lanes.values():
                lane.pool.abandon()
            return
        # A cancel ends one of these waits; what comes after it is done all the same.
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._tasks_ended)
            for lane in self.lanes.values():
                stack.push_async_callback(lane.pool.aclose)
            stack.callback(self._shut)
            if self.farewells:
                await asyncio.wait(self.farewells, timeout=_FAREWELL)

    def _shut(self) -> None:
        """Wakes everybody who waits, at once."""
        for lane in self.lanes.values():
            lane.pool.shut()
            lane.road.rest.wake()
        if self.limits is not None:
            self.limits.wake()
        for road in self.all_roads:
            road.rest.wake()
        for task in self.tasks:
            task.cancel()

    async def _tasks_ended(self) -> None:
        if self.tasks:
            await asyncio.wait(self.tasks)


_ROADS = 1000

_FAREWELL = 1.0
"""Seconds that closing waits for providers to learn that nobody waits for them."""

_PLAIN = Cell("native")


def _key_source(row: Provider) -> str:
    """Where a row's key was found, and where else it was looked for, in order."""
    names = (*row.token_env, *row.key_env)
    found = next((name for name in names if os.environ.get(name)), None)
    return f"the key is from {found}; looked for in {', '.join(names)}" if found else ""


def _first_env(names: Iterable[str]) -> str | None:
    return next((value for name in names if (value := os.environ.get(name))), None)


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
        self._core = _Core(
            {
                "providers": tuple(providers),
                "api_keys": keys,
                "base_urls": dict(base_urls or {}),
                "session": session,
                "proxy": proxy,
                "ssl_context": ssl_context,
                "middleware": checked_middleware(middleware),
                "limits": checked_limits({} if limits is None else limits),
                "rate_limiter": rate_limiter,
            }
        )
        self._middleware: tuple[Middleware, ...] = self._core.config["middleware"]
        self._owner = True
        self._plans = _Plans()
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
        core: _Core | None = self.__dict__.get("_core")
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
        view.__dict__.update(self.__dict__, _owner=False, _options=self._options | given, _plans=_Plans())
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
        from .batch import BatchRun  # noqa: PLC0415 (with its journal, it would cost each import 8 ms)

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
        observer = _Observer(calls[0].plan, request)
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
        sources: list[ChunkSource] = [
            LimitedSource(call) if isinstance(call, LimitedCall) else Source(call) for call in calls
        ]
        source = sources[0] if len(sources) == 1 else Merged(sources, self._core.keep)
        asked = bool((request.stream_options or {}).get("include_usage"))
        plan = calls[0].plan
        observer = None if plan.observer is None else _Observer(plan, request)
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
            settings, plans = settings | checked_options(options), _Plans()
        plan, _ = plans.get((request.model, stream)) or self._plan(plans, request.model, settings, stream)
        return plan.target

    # --- from what the caller wrote to calls ---

    def _calls(self, request: ChatRequest, options: Settings, *, stream: bool, began: float) -> list[Call]:
        """The branches of a logical call that began then: one, or `n` where the provider has no `n` of its own."""
        self._core.check_alive()
        settings, plans = self._options, self._plans
        if options:
            settings, plans = settings | checked_options(options), _Plans()
        plan, lane = plans.get((request.model, stream)) or self._plan(plans, request.model, settings, stream)
        if lane.row.stand_in is not None:
            plan = lane.row.stand_in.plan(request, plan)
        if not plan.target.quirks.calls_without_ids:
            require_ids(cast("list[Message]", request.messages))
        if plan.extra_body is not None:
            request = attrs.evolve(request, extra_body={**(request.extra_body or {}), **plan.extra_body})
        report = Report(plan.target.on_unsupported, [*plan.warnings])
        request = gate(request, lane.table, report)
        if request.n is None:
            kind = Call if plan.limits is None else LimitedCall
            return [kind(plan, request, _info(plan, report.warnings), began)]
        return self._branches(plan, lane, request, report, began)

    def _branches(self, plan: Plan, lane: _Lane, request: ChatRequest, report: Report, began: float) -> list[Call]:
        cell, n = lane.table.get("n"), cast("int", request.n)
        if cell is None or cell.support != "fanned_out":
            n = 1
        elif n != 1 or not cell.takes_neutral:
            request = attrs.evolve(request, n=None)
        kind = Call if plan.limits is None else LimitedCall
        return [kind(plan, request, _info(plan, list(report.warnings)), began) for _ in range(n)]

    def _plan(self, plans: _Plans, named: str, settings: Settings, stream: bool) -> tuple[Plan, _Lane]:
        """How calls of this kind are made; kept in `plans`."""
        row, model = find_anywhere(named, settings.get("provider"), self._core.rows)
        lane = self._core.lane(row)
        report = Report(settings["on_unsupported"])
        key, base_url = _key_and_url(lane, settings, self._options)
        target = Target(
            provider=row.name,
            model=model,
            base_url=base_url,
            path=row.path,
            api_version=settings.get("api_version") or lane.api_version,
            stream=stream,
            quirks=row.quirks,
            time_limit=settings["timeout"].total,
            on_unsupported=settings["on_unsupported"],
        )
        plan = Plan(
            dialect=lane.dialect,
            target=target,
            pool=lane.pool,
            road=self._core.road(lane, base_url, key),
            auth=row.auth,
            key=key,
            key_source=lane.key_source if key is lane.key else "",
            headers=lane.headers,
            extra_headers=_extra_headers(settings, row, report),
            query=settings.get("extra_query"),
            request_id_header=row.request_id_header,
            repeatable=row.repeatable,
            idempotency_header=row.idempotency_header,
            timeout=settings["timeout"],
            max_retries=settings["max_retries"],
            known=lane.known,
            keep=self._core.see_off,
            log_level=logging.INFO if settings.get("verbose") else logging.DEBUG,
            observer=settings.get("logger_fn"),
            extra_body=settings.get("extra_body"),
            warnings=tuple(report.warnings),
            limits=None if self._core.limits is None else self._core.limits.of(row.name, model),
        )
        if len(plans) >= _KINDS_OF_CALLS:
            plans.clear()
        plans[named, stream] = plan, lane
        return plan, lane


_KINDS_OF_CALLS = 256


class _Plans(dict["tuple[str, bool]", "tuple[Plan, _Lane]"]):
    """Model and whether it streams → how such calls are made. It shows nothing: there are keys in it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{len(self)} kinds of calls>"


_HEADER_OPTIONS: Mapping[str, str] = {"organization": "OpenAI-Organization", "project": "OpenAI-Project"}


def _info(plan: Plan, warnings: list[str]) -> ReplyInfo:
    return ReplyInfo(plan.target.provider, plan.target.model, warnings=warnings)


async def _completed(calls: list[Call]) -> ChatCompletion:
    return await (calls[0].complete() if len(calls) == 1 else gather([call.complete for call in calls]))


def _masked(headers: Mapping[str, str]) -> dict[str, str]:
    """Callers put tokens into headers; their reprs hide them as they hide our own."""
    return {name: MaskedValue(value) for name, value in headers.items()}


def _extra_headers(settings: Settings, row: Provider, report: Report) -> Mapping[str, str]:
    named: dict[str, str] = {}
    for name, header in _HEADER_OPTIONS.items():
        if name in settings:
            if header in row.headers_env:
                named[header] = settings[name]
            else:
                report.unsupported(name, f"{row.name} has no such header")
    return _masked({**named, **(settings.get("extra_headers") or {})})


def _key_and_url(lane: _Lane, settings: Settings, defaults: Settings) -> tuple[KeySource, str]:
    """The key and where it goes: another origin than the lane's needs a key of its own."""
    row = lane.row
    key: KeySource = settings.get("api_key")
    given = settings.get("base_url")
    url = lane.base_url if given is None else check_base_url(given, allow_http=row.allow_http)
    if not url:
        looked = " or ".join(row.base_url_env) or "base_urls"
        raise ConfigurationError(
            f"no base URL for {row.name}: set {looked}, or pass base_urls={{{row.name!r}: ...}}", provider=row.name
        )
    if key is not None and key is not defaults.get("api_key"):
        return key, url
    if key is not None:
        # A view's key belongs to where the view points.
        home = defaults.get("base_url") or lane.base_url
        if not given or (home and origin(url) == origin(home)):
            return key, url
        raise ConfigurationError(
            f"base_url points to {urlsplit(url).hostname}, and the view's key was not configured for it; "
            "pass api_key= with it",
            provider=row.name,
        )
    if given is not None and not (lane.base_url and origin(url) == origin(lane.base_url)):
        if row.key_optional:
            return None, url
        raise ConfigurationError(
            f"base_url points to {urlsplit(url).hostname}, and the key for {row.name} was not configured for it; "
            "pass api_key= with it",
            provider=row.name,
        )
    if lane.key is None and not row.key_optional:
        looked = " or ".join((*row.token_env, *row.key_env))
        raise ConfigurationError(
            f"no API key for {row.name}: set {looked or 'one'}, or pass api_keys={{{row.name!r}: ...}}",
            provider=row.name,
        )
    return lane.key, url


class _Observer:
    """Tells `logger_fn` once before a logical call and once after it; its own failure never breaks the call."""

    def __init__(self, plan: Plan, request: ChatRequest) -> None:
        self._request = request
        self._tell = plan.observer
        self._target = plan.target

    def _say(self, make: Callable[[], dict[str, Any]]) -> None:
        if self._tell is None:
            return
        try:
            self._tell({"provider": self._target.provider, "model": self._target.model, **make()})
        except Exception as fault:  # noqa: BLE001 (an observer's failure is logged, whatever it is, and the call goes on)
            observer_failed("logger_fn", fault)

    def before(self) -> None:
        """Before the request."""
        stream = self._target.stream
        self._say(lambda: {"event": "request", "stream": stream, "request": self._request.to_dict()})

    def after(self, completion: ChatCompletion) -> None:
        """After the reply."""
        self._say(lambda: {"event": "reply", "response": completion.to_dict(), "elapsed": completion.info.elapsed})

    def failed(self, error: CompletionError) -> None:
        """After an error."""
        self._say(lambda: {"event": "error", "error": error})


def _rebuild(cls: type[AsyncCompletion], config: dict[str, Any], options: dict[str, Any]) -> AsyncCompletion:
    client = cls(**config)
    client.__dict__["_options"] = Settings(options)
    return client
