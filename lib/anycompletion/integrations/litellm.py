"""Takes the configuration of a LiteLLM Router over, as routes and other arguments of a client; never imports litellm.

https://docs.litellm.ai/docs/routing describes the lists and arguments that are read here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypedDict, cast

import attrs

from .. import PROVIDERS, ConfigurationError, EnvKey, Key, Params, RateLimit, TargetOptions, Timeout
from ..routing import CircuitBreaker, Route, RouteTarget, Strategy


class RouterConfig(TypedDict, total=False):
    """Keyword arguments of `AsyncCompletion`: ``AsyncCompletion(**routes_from(model_list))``."""

    routes: Mapping[str, Route]
    limits: Mapping[str, RateLimit]
    api_keys: Mapping[str, Key]
    timeout: Timeout
    max_retries: int


_STRATEGIES: Mapping[str, Strategy] = {
    "simple-shuffle": "weighted",
    "least-busy": "least_busy",
    "cost-based-routing": "cheapest",
    "latency-based-routing": "fastest",
    "usage-based-routing": "order",
    "usage-based-routing-v2": "order",
}
"""LiteLLM's strategy → ours; by usage is what `limits` do in any order."""

_WITHOUT_EFFECT = frozenset(("retry_after", "set_verbose", "debug_level", "enable_pre_call_checks"))
"""Arguments that need no counterpart: waits are the provider's, and windows are always looked at."""

_HINTS: Mapping[str, str] = {
    **dict.fromkeys(
        ("redis_url", "redis_host", "redis_port", "redis_password"),
        "what processes share is rate_limiter=RedisRateLimiter(...) and route_health=RedisHealth(...)",
    ),
    **dict.fromkeys(("cache_responses", "caching_groups", "cache_kwargs"), "a cache is middleware=[cached(store)]"),
    "retry_policy": "max_retries is for all errors that may pass",
    "allowed_fails_policy": "move_on of Route decides by error",
}
"""Argument that has no counterpart → what to use."""

_LIMITS = ("rpm", "tpm", "max_parallel_requests")
_PRICES = ("input_cost_per_token", "output_cost_per_token")
_Mapping: TypeAlias = Mapping[str, Any]


def routes_from(model_list: Iterable[Mapping[str, Any]], **router_arguments: Any) -> RouterConfig:
    """The routes, limits and other arguments of a client that stand for a ``litellm.Router`` with these arguments.

    ::

        config = routes_from(model_list, fallbacks=[{"gpt": ["claude"]}], num_retries=2)
        async with AsyncCompletion(**config) as client:
            reply = await client.create("gpt", "Hello!")

    Args:
        model_list: the deployments, in LiteLLM's form. Each `model_name` becomes a route. ``os.environ/NAME`` becomes
            `EnvKey`, `rpm`, `tpm` and `max_parallel_requests` limits of the provider and model.
        **router_arguments: the Router's own arguments.

    Raises:
        ConfigurationError: something that has no counterpart here; the text names it.
    """
    arguments = dict(router_arguments)
    return _Translation(arguments).config(list(model_list))


class _Translation:
    """The translation of one Router."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self._take: Callable[..., Any] = arguments.pop
        self._left = arguments
        self._limits: dict[str, RateLimit] = {}
        name = self._take("routing_strategy", "simple-shuffle")
        if name not in _STRATEGIES:
            raise ConfigurationError(f"routing_strategy: {name!r} has no counterpart")
        self._strategy: Strategy = _STRATEGIES[name]
        self._sticky: Literal["prompt_cache"] | None = None
        for check in self._take("optional_pre_call_checks", None) or ():
            if check != "prompt_caching":
                raise ConfigurationError(f"optional_pre_call_checks: {check!r} has no counterpart")
            self._sticky = "prompt_cache"
        self._breaker = self._breaker_of()
        self._defaults: _Mapping = self._take("default_litellm_params", None) or {}
        self._parallel: int | None = self._take("default_max_parallel_requests", None)

    def _breaker_of(self) -> CircuitBreaker | None:
        failures, seconds = self._take("allowed_fails", None), self._take("cooldown_time", None)
        if self._take("disable_cooldowns", False):
            return None
        given: dict[str, Any] = {} if failures is None else {"failures": failures + 1}
        if seconds is not None:
            given |= {"seconds": float(seconds), "longest": max(float(seconds), CircuitBreaker().longest)}
        return CircuitBreaker(**given)

    def config(self, model_list: Sequence[_Mapping]) -> RouterConfig:
        groups: dict[str, list[tuple[int, RouteTarget]]] = {}
        for index, entry in enumerate(model_list):
            place = f"model_list[{index}]"
            unknown = entry.keys() - {"model_name", "litellm_params", "model_info"}
            if unknown or "model_name" not in entry or "litellm_params" not in entry:
                raise ConfigurationError(f"{place}: expected model_name, litellm_params and model_info only")
            groups.setdefault(entry["model_name"], []).append(self._target(entry, place))
        routes = self._routes(groups)
        config: RouterConfig = {"routes": routes}
        retries = self._take("num_retries", None)
        if retries is not None:
            config["max_retries"] = retries
        total, first_chunk = self._take("timeout", None), self._take("stream_timeout", None)
        if total is not None or first_chunk is not None:
            config["timeout"] = _timeout(total, first_chunk)
        if self._limits:
            config["limits"] = self._limits
        for name, value in self._left.items():
            if name not in _WITHOUT_EFFECT and value is not None:
                hint = f"; {_HINTS[name]}" if name in _HINTS else ""
                raise ConfigurationError(f"{name}: this argument of Router has no counterpart{hint}")
        return config

    # --- routes ---

    def _routes(self, groups: Mapping[str, list[tuple[int, RouteTarget]]]) -> dict[str, Route]:
        after, policy = self._fallbacks(groups)
        own = {name: f"{name} deployments" if after.get(name) else name for name in groups}
        routes: dict[str, Route] = {}
        for name, targets in groups.items():
            routes |= self._group(own[name], targets)
            others = [own.get(other, other) for other in after.get(name, ())]
            if others:
                on_policy: Literal["move", "raise"] = "move" if name in policy else "raise"
                routes[name] = Route([own[name], *others], breaker=self._breaker, on_content_policy=on_policy)
        aliases = cast("Mapping[str, Any]", self._take("model_group_alias", None) or {})
        for alias, given in aliases.items():
            routes[alias] = Route([given if isinstance(given, str) else given["model"]])
        return routes

    def _group(self, name: str, targets: Sequence[tuple[int, RouteTarget]]) -> dict[str, Route]:
        """The route of the deployments of one name; those with a lower `order` come first."""
        orders = sorted({order for order, _ in targets})
        if len(orders) == 1:
            return {name: self._route([target for _, target in targets])}
        routes = {
            f"{name} order {order}": self._route([target for each, target in targets if each == order])
            for order in orders
        }
        return routes | {name: Route(list(routes), breaker=self._breaker)}

    def _route(self, targets: Sequence[RouteTarget]) -> Route:
        return Route(targets, self._strategy, breaker=self._breaker, sticky=self._sticky)

    def _fallbacks(self, groups: _Mapping) -> tuple[dict[str, list[str]], set[str]]:
        """Model name → what is asked after it; and the names that go on after a refusal by a content policy."""
        after: dict[str, list[str]] = {name: [] for name in groups}
        policy: set[str] = set()
        most: int | None = self._take("max_fallbacks", None)
        default: Sequence[str] = self._take("default_fallbacks", None) or ()
        for argument in ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks"):
            for entry in self._take(argument, None) or ():
                for name, others in cast("Mapping[str, Sequence[object]]", entry).items():
                    if not all(isinstance(other, str) for other in others):
                        raise ConfigurationError(f"{argument}: expected names of models only")
                    names = [*groups] if name == "*" else [name]
                    for each in names:
                        after.setdefault(each, []).extend(cast("Sequence[str]", others))
                    policy.update(names if argument == "content_policy_fallbacks" else ())
        for name, others in after.items():
            distinct = dict.fromkeys(other for other in (*others, *default) if other != name)
            after[name] = [*distinct][:most]
        return after, policy

    # --- targets ---

    def _target(self, entry: _Mapping, place: str) -> tuple[int, RouteTarget]:
        """The `order` of a deployment, and its target."""
        params: dict[str, Any] = {**self._defaults, **entry["litellm_params"]}
        info: _Mapping = entry.get("model_info") or {}
        model, provider = params.pop("model"), params.pop("custom_llm_provider", None)
        if provider is not None and not model.startswith(f"{provider}/"):
            model = f"{provider}/{model}"
        limits = [params.pop(name, None) for name in _LIMITS]
        self._add_limits(model, limits)
        prices = [params.pop(name, info.get(name)) for name in _PRICES]
        weight, order = params.pop("weight", None), params.pop("order", None)
        options = _options(params)
        known = {name: params.pop(name) for name in tuple(params) if name in Params.__annotations__}
        if params:
            raise ConfigurationError(f"{place}.litellm_params.{min(params)}: has no counterpart")
        target = RouteTarget(
            model,
            weight=1.0 if weight is None else weight,
            options=options,
            params=cast("Params", known),
            context_window=info.get("max_input_tokens"),
            price=None if None in prices else (prices[0] * 1e6, prices[1] * 1e6),
        )
        return (0 if order is None else order), target

    def _add_limits(self, model: str, given: Sequence[Any]) -> None:
        """Adds the limits of one deployment to those of its provider and model."""
        requests, tokens, parallel = given
        parallel = self._parallel if parallel is None else parallel
        if requests is None and tokens is None and parallel is None:
            return
        key = model if "/" in model else f"{_provider_of(model)}/{model}"
        known = self._limits.get(key, RateLimit())
        self._limits[key] = attrs.evolve(
            known,
            requests_per_minute=_sum(known.requests_per_minute, requests),
            tokens_per_minute=_sum(known.tokens_per_minute, tokens),
            concurrency=_sum(known.concurrency, parallel),
        )


def _sum(one: Any, other: Any) -> Any:
    return other if one is None else one if other is None else one + other


def _provider_of(model: str) -> str:
    """The provider of a model that is written without one."""
    for row in PROVIDERS.values():
        if row.prefixes and model.startswith(row.prefixes):
            return row.name
    raise ConfigurationError(f"the model {model!r} names no provider")


def _options(params: dict[str, Any]) -> TargetOptions:
    """The options of a target, which are taken out of LiteLLM's parameters."""
    options: dict[str, Any] = {
        ours: params.pop(theirs)
        for theirs, ours in (
            *(("api_base", "base_url"), ("base_url", "base_url"), ("api_version", "api_version")),
            *(("organization", "organization"), ("extra_headers", "extra_headers"), ("extra_body", "extra_body")),
        )
        if params.get(theirs) is not None
    }
    key: object = params.pop("api_key", None)
    if key is not None:
        name = key.removeprefix("os.environ/") if isinstance(key, str) else key
        options["api_key"] = key if name == key else _environment_key(cast("str", name))
    total, first_chunk = params.pop("timeout", None), params.pop("stream_timeout", None)
    if total is not None or first_chunk is not None:
        options["timeout"] = _timeout(total, first_chunk)
    return cast("TargetOptions", options)


def _environment_key(name: str) -> Key:
    """The key in a variable; `EnvKey` is for names in capitals, as all names should be."""
    return EnvKey(name) if name.isidentifier() and name == name.upper() else _VariableKey(name)


@attrs.frozen
class _VariableKey:
    """A key in an environment variable of any name."""

    name: str

    def __call__(self) -> str:
        key = os.environ.get(self.name)
        if not key:
            raise ConfigurationError(f"no API key: set {self.name}")
        return key


def _timeout(total: float | None, first_chunk: float | None) -> Timeout:
    given = {"total": total, "first_chunk": first_chunk}
    return Timeout(**{name: float(value) for name, value in given.items() if value is not None})


__all__ = ["RouterConfig", "routes_from"]
