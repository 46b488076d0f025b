"""AsyncCompletion, the client: its public methods, their arguments and what they return."""

from __future__ import annotations

import functools
import ssl
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, Unpack, cast, overload

from .._async import ClosedOnExit
from .._boundary import hides_frames
from ..dialects.base import Target
from ..errors import CompletionError, ConfigurationError
from ..options import CallOptions, Key, OnUnsupported, OptionValues, RateLimit, RateLimiter, Timeout
from ..providers import Provider, ProviderSource, check_base_url, known_providers, unknown_provider
from ..records import ChatCompletion, ChatRequest, Messages
from ..validation import check_client_arguments, check_flag, parse_call, parse_options, validate_request
from .batch_method import BatchMethod
from .configuration import ClientConfiguration, checked_configuration, default_options
from .dispatch import CallDispatcher
from .key_binding import Homes
from .run_tools_method import RunToolsMethod
from .state import ClientState
from .typed_replies import TypedReplyMethods

if TYPE_CHECKING:
    import aiohttp

    from ..middleware import Middleware
    from ..records.call_params import CreateParams
    from ..records.results import Result
    from ..routing.route import Route
    from ..routing.shared_health import SharedHealth
    from ..streaming import CompletionStream
    from .model_list import ModelInfo
    from .stats import Stats


_F = TypeVar("_F", bound=Callable[..., None])


def _explains_wrong_arguments(constructor: _F) -> _F:
    """Refuses unknown arguments with what to write instead, which Python's own error does not tell."""
    known = constructor.__kwdefaults__ or {}

    @functools.wraps(constructor)
    def checked(*args: Any, **given: Any) -> None:
        try:
            check_client_arguments(given, known)
            constructor(*args, **given)
        finally:
            del args, given  # tracebacks have this frame, and keys may be among them

    return cast("_F", checked)


class AsyncCompletion(ClosedOnExit, BatchMethod, RunToolsMethod, TypedReplyMethods):
    """A client for chat completions of any provider, in OpenAI's format.

    Args:
        providers: your own `Provider`s; one with a built-in name replaces the built-in. In tests also a `FakeProvider`
            or a `Recorder` of `anycompletion.testing`.
        api_keys: provider name → key (text, `Secret`, `EnvKey`, or a function). Keys that are not given are read from
            the environment, at the first call to their provider.
        base_urls: provider name → base URL, in the form the vendor's own SDK takes.
        timeout: seconds in total, or a `Timeout`. Default: 600 in total, 10 to connect, 300 to a stream's first
            chunk, 60 between bytes.
        max_retries: attempts after the first, for temporary errors. Default 2.
        on_unsupported: what happens to a parameter that the provider does not have: "raise" (default), "warn" (dropped,
            with a line in ``reply.info.warnings``) or "drop".
        session: your own `aiohttp.ClientSession`, used for all providers; the client never closes it. Its connector,
            proxies, traces, client middleware and default headers apply. Its authentication, cookies and timeouts do
            not, and headers that a provider needs have the provider's values.
        limits: provider, or ``provider/model`` → `RateLimit`; where both are given, both apply. Calls wait in
            first-in, first-out order, within their total timeout, whatever key they have. Default: no limits.
        rate_limiter: a `RateLimiter` that other clients use too; calls wait for it after `limits`. It is pickled with
            the client, if it can be pickled.
        middleware: functions around every logical call, `Middleware`; the first is the outermost.
        routes: name → `anycompletion.routing.Route`: several places where calls to a model of that name are answered.
        route_health: a `SharedHealth`, through which processes learn which targets of routes others pass by. It is
            pickled as `rate_limiter` is.
        proxy: URL of an HTTP proxy for all requests; the environment's proxies are never used.
        ssl_context: for private certificate authorities.

    Raises:
        TypeError: an unknown argument; the text has what to write instead.
        InvalidRequestError: an invalid value; `.param` is its place.
        ConfigurationError: an unknown provider in `api_keys`, `base_urls` or `limits`, or an invalid `proxy`.

    One client serves many tasks of one event loop. It opens nothing before the first call. Close it with
    ``async with`` or `aclose()`. It pickles as its configuration; a client with keys that were given as text does not.
    """

    @hides_frames
    @_explains_wrong_arguments
    def __init__(
        self,
        *,
        providers: Iterable[Provider | ProviderSource] = (),
        api_keys: Mapping[str, Key] | None = None,
        base_urls: Mapping[str, str] | None = None,
        timeout: float | Timeout | None = None,
        max_retries: int = 2,
        on_unsupported: OnUnsupported = "raise",
        limits: Mapping[str, RateLimit] | None = None,
        rate_limiter: RateLimiter | None = None,
        middleware: Sequence[Middleware] = (),
        routes: Mapping[str, Route] | None = None,
        route_health: SharedHealth | None = None,
        session: aiohttp.ClientSession | None = None,
        proxy: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        config = checked_configuration(
            providers=providers,
            api_keys=api_keys,
            base_urls=base_urls,
            limits=limits,
            rate_limiter=rate_limiter,
            middleware=middleware,
            routes=routes,
            route_health=route_health,
            session=session,
            proxy=proxy,
            ssl_context=ssl_context,
        )
        defaults = default_options(timeout, max_retries, on_unsupported)
        self._state = ClientState(config)
        self._load_providers(config)
        self._dispatcher = CallDispatcher(self._state, defaults, config.middleware)
        self._is_view = False
        self._view_options: tuple[str, ...] = ()
        """Names of the options that `with_options` was called with."""

    def _load_providers(self, config: ClientConfiguration) -> None:
        """Finds the providers that the arguments name, and checks their base URLs."""
        providers, places = self._state.providers, config.named_providers
        if places.keys() - providers.keys():
            self._state.providers = providers = {**known_providers(), **providers}
        if unknown := places.keys() - providers.keys():
            name = min(unknown)
            raise ConfigurationError(f"{places[name]}: {unknown_provider(name, providers)}")
        for name, url in config.base_urls.items():
            check_base_url(url, allow_http=providers[name].allow_http, param=f"base_urls[{name!r}]")

    def __repr__(self) -> str:
        state: ClientState | None = self.__dict__.get("_state")
        if state is None:
            return "<AsyncCompletion refused>"  # by its constructor
        view = f"view with {', '.join(self._view_options or ('no options',))}: " if self._is_view else ""
        from .stats import client_stats  # noqa: PLC0415 (few programs ask)

        summary = "closed" if state.closed else client_stats(state, None).summary()
        return f"<AsyncCompletion {view}{summary or 'unused'}>"

    def stats(self) -> Stats:
        """The client's present state, by provider; costs microseconds, sends nothing."""
        from .stats import client_stats  # noqa: PLC0415 (as above)

        routes = self._dispatcher.routes
        return client_stats(self._state, None if routes is None else routes.planner)

    @hides_frames
    def check(self, model: str, **options: Unpack[CallOptions]) -> Target:
        """Where a call to `model` would go; sends nothing, so that a service can check its configuration at its start.

        Functions that give keys are not called, and whether the provider accepts the key is not known.

        Raises:
            InvalidRequestError: the provider is unknown, or an option is invalid.
            ConfigurationError: there is no key, one that cannot be sent, or no base URL; the text names what to set.
            ClientClosedError: the client was closed.
            TypeError: an unknown option.
        """
        checked, values = validate_request(ChatRequest(model, ".")), parse_options(options)
        if self._state.closed:
            self._state.check_alive()
        return self._dispatcher.check(checked.model, values)

    @hides_frames
    async def models(self, provider: str) -> list[ModelInfo]:
        """The models that the provider lists, in its order; one request, or several where its list has pages.

        Raises:
            InvalidRequestError: the provider is unknown.
            ConfigurationError: no key; the text names the environment variables that were read.
            APIError: the network failed, or the provider's error.
        """
        from .model_list import list_models  # noqa: PLC0415 (few programs list models)

        await self._state.start_call()
        return await list_models(self._dispatcher.plan("models", parse_options({"provider": provider})))

    # --- opening and closing ---

    async def __aenter__(self) -> Self:
        self._state.check_alive()
        return self

    async def aclose(self) -> None:
        """Closes all pools and wakes all waiters, with `ClientClosedError`; a view closes nothing."""
        if not self._is_view:
            await self._state.aclose()

    def __del__(self) -> None:
        state: ClientState | None = self.__dict__.get("_state")
        if state is not None and not self.__dict__.get("_is_view", True) and not state.closed and state.provider_states:
            warnings.warn(
                "an AsyncCompletion was not closed; use `async with` or `await client.aclose()`",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )

    @hides_frames
    def with_options(self, **options: Unpack[CallOptions]) -> Self:
        """A cheap view of this client with other defaults; it shares the pools, and closing it closes nothing.

        Raises:
            TypeError: an unknown option.
            InvalidRequestError: an invalid value.
        """
        view = object.__new__(type(self))
        dispatcher = self._dispatcher.with_defaults(parse_options(options))
        names = tuple(dict.fromkeys((*self._view_options, *options)))
        view.__dict__.update(self.__dict__, _is_view=True, _view_options=names, _dispatcher=dispatcher)
        return view

    def __reduce__(self) -> Any:
        defaults, homes = self._dispatcher.defaults, self._dispatcher.homes
        return _rebuild, (type(self), self._state.config.to_pickle(defaults), defaults.reveal(), homes)

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
    @hides_frames
    async def create(
        self, model: str, messages: Messages, *, stream: bool = False, **params: Unpack[CreateParams]
    ) -> ChatCompletion | CompletionStream:
        """One reply, or with ``stream=True`` a stream that is open: the provider has answered with a good status.

        Args:
            model: ``provider/model``; well-known bare names too (``gpt-``, ``claude-``).
            messages: a string, or a list of OpenAI dicts and records.
            stream: whether to return a `CompletionStream`.
            **params: OpenAI's parameters, which `Params` lists (temperature, max_tokens, tools, response_format ...),
                and call options, which `CallOptions` lists (timeout, max_retries, api_key, extra_body ...).

        Raises:
            InvalidRequestError: the request is invalid; `.param` names the place, nothing was sent.
            UnsupportedParameterError: the provider does not have the parameter or value; nothing was sent.
            ConfigurationError: no key; the text names the environment variables that were read.
            APIError: the network failed, or the provider's error; ``help(anycompletion.APIError)`` lists the classes.
            TypeError: an unknown keyword, or model and messages swapped. The text has the keyword and the right one, as
                mypy's has; pyright, because of the overloads, reports only that none of them matches.
        """
        started = await self._state.start_call()
        request, options = parse_call(model, messages, params)
        del params  # errors of middleware keep their traceback, which has this frame
        if stream is False or not check_flag(stream, "stream"):
            return await self._dispatcher.complete(request, options, started)
        return await _opened(self._dispatcher.stream(request, options, started))

    @hides_frames
    def stream(self, model: str, messages: Messages, **params: Unpack[CreateParams]) -> CompletionStream:
        """A stream whose request is validated now, and sent at ``async with`` or when the first chunk is read.

        Takes the arguments of `create`; raises now what `create` raises before sending.
        """
        request, options = parse_call(model, messages, params)
        return self._dispatcher.stream(request, options)

    @hides_frames
    async def attempt(self, model: str, messages: Messages, **params: Unpack[CreateParams]) -> Result:
        """Like `create`, but returns errors as values: ``Result(completion | error)``.

        Mistakes that no data can cause are still raised: an unknown keyword (TypeError), and exceptions of middleware
        other than `CompletionError`.
        """
        from ..records.results import Result  # noqa: PLC0415 (few programs need it)

        request: ChatRequest | None = None
        try:
            started = await self._state.start_call()
            request, options = parse_call(model, messages, params)
            del params  # as in `create`
            return Result(await self._dispatcher.complete(request, options, started), request=request)
        except CompletionError as error:
            return Result(error=error.with_traceback(None), request=request)

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
    @hides_frames
    async def send(
        self, request: ChatRequest, *, stream: bool = False, **options: Unpack[CallOptions]
    ) -> ChatCompletion | CompletionStream:
        """Sends a `ChatRequest` that was made before; raises what `create` raises."""
        started = await self._state.start_call()
        checked, resolved = validate_request(request), parse_options(options)
        del options  # as in `create`
        if stream is False or not check_flag(stream, "stream"):
            return await self._dispatcher.complete(checked, resolved, started)
        return await _opened(self._dispatcher.stream(checked, resolved, started))


async def _opened(stream: CompletionStream) -> CompletionStream:
    await stream.open()
    return stream


def client_state(client: AsyncCompletion) -> ClientState:
    """The state that a client shares with its views. Internal: for this package and its own tests of leaks."""
    state: ClientState = client.__dict__["_state"]
    return state


def _rebuild(
    cls: type[AsyncCompletion], config: dict[str, Any], defaults: dict[str, Any], homes: Homes
) -> AsyncCompletion:
    client = cls(**config)
    state = client_state(client)
    client.__dict__["_dispatcher"] = CallDispatcher(state, OptionValues(defaults), state.config.middleware, homes)
    return client
