"""A client's configuration: the constructor's arguments, checked, and the form in which they pickle."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping, Sequence
from types import NoneType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

import msgspec

from ..auth import check_credentials
from ..errors import ConfigurationError, InvalidRequestError
from ..options import Key, OnUnsupported, OptionValues, RateLimit, RateLimiter, Secret, Timeout
from ..providers import PROVIDERS, Provider, ProviderSource, canonical_name, canonical_names
from ..redaction import MaskedValue, may_be_secret
from ..transport.proxy import proxy_of
from ..transport.session import check_session
from ..validation import check_options, check_string, check_timeout, parse_keys

if TYPE_CHECKING:
    import aiohttp

    from ..middleware import Middleware
    from ..routing.route import Route
    from ..routing.shared_health import SharedHealth

_T = TypeVar("_T")


class ClientConfiguration(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The constructor's arguments that views share; see `AsyncCompletion` for what they mean."""

    providers: tuple[Provider | ProviderSource, ...]
    api_keys: dict[str, Key]
    base_urls: dict[str, str]
    limits: dict[str, RateLimit]
    rate_limiter: RateLimiter | None
    middleware: tuple[Middleware, ...]
    routes: dict[str, Route]
    route_health: SharedHealth | None = None
    session: aiohttp.ClientSession | None
    proxy: str | None
    ssl_context: ssl.SSLContext | None

    __repr__ = object.__repr__  # without keys

    @property
    def named_providers(self) -> dict[str, str]:
        """Names of providers in `api_keys`, `base_urls` and `limits` → the argument that has it."""
        limited = [key.partition("/")[0] for key in self.limits]
        places = (("limits", limited), ("base_urls", self.base_urls), ("api_keys", self.api_keys))
        return {name: place for place, names in places for name in names}

    def to_pickle(self, options: OptionValues) -> dict[str, Any]:
        """Arguments that make an equal client in another process.

        Raises:
            TypeError: something among them or in `options` does not pickle, or must not.
        """
        for name in ("session", "ssl_context"):
            if getattr(self, name) is not None:
                raise TypeError(f"a client with a {name} does not pickle")
        if "@" in (self.proxy or ""):
            raise TypeError("a client with a password in its proxy does not pickle")
        for name in ("extra_headers", "extra_query"):
            if options.get(name):
                raise TypeError(f"a client with {name} does not pickle")
        if _names_credentials(options.get("extra_body")):
            raise TypeError("a client with a credential in extra_body does not pickle")
        targets = [target for route in self.routes.values() for target in route.targets]
        targets += [each for each in options.get("fallbacks") or () if not isinstance(each, str)]
        keys = [*self.api_keys.values(), *_keys_among(options)]
        for target in targets:
            values = OptionValues(cast("Mapping[str, Any]", target.options))
            if any(values.get(name) for name in ("extra_headers", "extra_query")):
                raise TypeError("a client with extra_headers or extra_query in a route does not pickle")
            if _names_credentials(values.get("extra_body")):
                raise TypeError("a client with a credential in extra_body does not pickle")
            keys += _keys_among(values)
        if any(isinstance(key, (str, Secret)) for key in keys):
            raise TypeError(
                "a client with explicit keys does not pickle; let the keys come from the environment (EnvKey), "
                "or pass a function"
            )
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}


def _keys_among(options: OptionValues) -> list[Key]:
    """The keys in an `api_key` option, which may have several by provider."""
    own = options.get("api_key")
    return list(cast("Mapping[str, Key]", own).values()) if isinstance(own, Mapping) else [own]


def _names_credentials(value: object) -> bool:
    """Whether some member of a JSON value is a text that has the name, or the look, of a credential."""
    if isinstance(value, Mapping):
        members = cast("Mapping[str, object]", value)
        return any(
            (isinstance(member, str) and may_be_secret(name, member)) or _names_credentials(member)
            for name, member in members.items()
        )
    return isinstance(value, list) and any(map(_names_credentials, cast("list[object]", value)))


def _checked_middleware(given: Sequence[Middleware]) -> tuple[Middleware, ...]:
    if given == ():
        return ()
    from ..middleware import checked_middleware  # noqa: PLC0415 (many clients have none)

    return checked_middleware(given)


def _check_methods(given: object, param: str, protocol: str, *methods: str) -> None:
    if given is None:
        return
    expected = f"an object with the methods of {protocol}"
    if isinstance(given, type):  # which has the methods of its objects as well
        raise InvalidRequestError(f"{param}: expected {expected}, found the class {given.__name__}", param=param)
    if not all(callable(getattr(given, method, None)) for method in methods):
        _refuse(param, expected, given)


def checked_configuration(
    *,
    providers: Iterable[Provider | ProviderSource],
    api_keys: Mapping[str, Key] | None,
    base_urls: Mapping[str, str] | None,
    limits: Mapping[str, RateLimit] | None,
    rate_limiter: RateLimiter | None,
    middleware: Sequence[Middleware],
    routes: Mapping[str, Route] | None = None,
    route_health: SharedHealth | None = None,
    session: aiohttp.ClientSession | None,
    proxy: str | None,
    ssl_context: ssl.SSLContext | None,
) -> ClientConfiguration:
    """The configuration that these arguments make.

    Raises:
        InvalidRequestError: an invalid value; `.param` is its place.
        ConfigurationError: `proxy` is not the URL of a proxy, or a key cannot be sent.
    """
    rows = _checked_rows(providers)
    for name, mapping in (("api_keys", api_keys), ("base_urls", base_urls)):
        if not isinstance(mapping, (Mapping, NoneType)):  # pyright: ignore[reportUnnecessaryIsInstance]  # as below
            _refuse(name, "a dict by provider", mapping)
    if session is not None:
        check_session(session)
    if not isinstance(ssl_context, (ssl.SSLContext, NoneType)):  # pyright: ignore[reportUnnecessaryIsInstance]
        _refuse("ssl_context", "an ssl.SSLContext", ssl_context)
    urls = _by_provider(base_urls or {}, rows, "base_urls")
    for name, url in urls.items():
        if not check_string(url, f"base_urls[{name!r}]"):
            raise InvalidRequestError(f"base_urls[{name!r}]: is empty", param=f"base_urls[{name!r}]")
    keys = parse_keys(api_keys or {}, "api_keys")
    for name, key in keys.items():
        if isinstance(key, Secret):
            check_credentials(key, name, f"api_keys[{name!r}]")
    _check_methods(rate_limiter, "rate_limiter", "RateLimiter", "acquire", "settle")
    _check_methods(route_health, "route_health", "SharedHealth", "publish", "open_until")
    return ClientConfiguration(
        providers=rows,
        api_keys=_by_provider(keys, rows, "api_keys"),
        base_urls=urls,
        limits={} if limits is None else _by_provider(checked_limits(limits), rows, "limits"),
        rate_limiter=rate_limiter,
        middleware=_checked_middleware(middleware),
        routes={} if not routes else _checked_routes(routes),
        route_health=route_health,
        session=session,
        proxy=_checked_proxy(proxy),
        ssl_context=ssl_context,
    )


def _refuse(param: str, expected: str, found: object) -> NoReturn:
    """Refuses a value without showing it: it may be a key."""
    raise InvalidRequestError(f"{param}: expected {expected}, found {type(found).__name__}", param=param)


def _checked_rows(providers: object) -> tuple[Provider | ProviderSource, ...]:
    if isinstance(providers, (str, Provider)) or not isinstance(providers, Iterable):
        _refuse("providers", "a list of Providers", providers)
    rows = tuple(cast("Iterable[object]", providers))
    for index, row in enumerate(rows):
        if not isinstance(row, Provider) and not callable(getattr(row, "rows", None)):
            _refuse(f"providers[{index}]", "a Provider", row)
    return cast("tuple[Provider | ProviderSource, ...]", rows)


def _by_provider(given: Mapping[str, _T], providers: Sequence[Provider | ProviderSource], param: str) -> dict[str, _T]:
    """The values keyed by the providers' own names in place of aliases and, after a slash, by the models' own names.

    Raises:
        InvalidRequestError: a value is given for a provider's name and for an alias of it.
    """
    own = {row.name: row for row in providers if isinstance(row, Provider)}
    named: dict[str, _T] = {}
    for key, value in given.items():
        name, slash, model = str(key).partition("/")
        for each in (canonical_name(name, own, model),) if model else canonical_names(name, own):
            row = own.get(each) or PROVIDERS.get(each)
            known = each + slash + (model if row is None else row.own_model(model))
            if known in named:
                place = f"{param}[{key!r}]"
                text = f"{place}: {known!r} is given twice, by its name and by an alias"
                raise InvalidRequestError(text, param=place)
            named[known] = value
    return named


def default_options(timeout: float | Timeout | None, max_retries: int, on_unsupported: OnUnsupported) -> OptionValues:
    """The call options of a client that were given to its constructor."""
    options = check_options({"max_retries": max_retries, "on_unsupported": on_unsupported})
    return OptionValues(options | {"timeout": Timeout() if timeout is None else check_timeout(timeout, "timeout")})


def _checked_proxy(proxy: object) -> str | None:
    """The proxy's URL; its repr is hidden where it holds a password."""
    if proxy is None:
        return None
    if not isinstance(proxy, str):
        _refuse("proxy", "a URL as a string", proxy)
    proxy_of(proxy)
    return MaskedValue(proxy) if "@" in proxy else proxy


def _checked_routes(routes: object) -> dict[str, Route]:
    """The `routes` argument of a client, after a check of its names and types.

    Raises:
        InvalidRequestError: it is no mapping of names to `Route`s.
        ConfigurationError: a name is one that a model of a provider may have.
    """
    from ..routing.route import Route  # noqa: PLC0415 (few programs have routes)

    if not isinstance(routes, Mapping):
        _refuse("routes", "a dict of Routes by name", routes)
    checked: dict[str, Route] = {}
    for name, route in cast("Mapping[object, object]", routes).items():
        if not isinstance(name, str):
            _refuse("routes", "names of routes", name)
        if not isinstance(route, Route):
            _refuse(f"routes[{name!r}]", "a Route", route)
        if not name.strip() or not name.isprintable() or "/" in name:
            raise ConfigurationError(f"routes[{name!r}]: a name of a route is a text without '/'")
        prefixes = [prefix for row in PROVIDERS.values() for prefix in row.prefixes if name.startswith(prefix)]
        if prefixes:
            raise ConfigurationError(f"routes[{name!r}]: a name that begins with {prefixes[0]!r} is a model's")
        checked[name] = route
    return checked


def checked_limits(limits: Mapping[str, RateLimit]) -> dict[str, RateLimit]:
    """The `limits` argument of a client, after a check of its types.

    Raises:
        InvalidRequestError: it is no mapping of texts to `RateLimit`s.
    """
    if not isinstance(limits, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may not check types
        raise InvalidRequestError(f"limits: expected a dict, found {type(limits).__name__}", param="limits")
    given = dict(cast("Mapping[object, object]", limits))
    for key, limit in given.items():
        if not isinstance(key, str):
            kind = type(key).__name__
            raise InvalidRequestError(f"limits: expected names of providers, found {kind}", param="limits")
        if not isinstance(limit, RateLimit):
            param = f"limits[{key!r}]"
            raise InvalidRequestError(f"{param}: expected a RateLimit, found {type(limit).__name__}", param=param)
    return dict(limits)
