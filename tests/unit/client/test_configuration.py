"""Tests of the checks of a client's arguments."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from anycompletion import (
    AsyncCompletion,
    ClientOptions,
    ConfigurationError,
    InvalidRequestError,
    Provider,
    RateLimit,
    Secret,
)
from anycompletion.client.configuration import checked_limits


def test_the_types_of_limits_are_checked() -> None:
    """A wrong type would raise an AttributeError in the first call."""
    limit: Any
    for limit in (60, None, {"requests_per_minute": 60}):
        with pytest.raises(InvalidRequestError, match=r"limits\['openai'\]: expected a RateLimit"):
            checked_limits({"openai": limit})
    wrong: Any
    values: list[Any] = [[], "openai", {3: RateLimit()}]
    for wrong in values:
        with pytest.raises(InvalidRequestError, match="limits: expected"):
            checked_limits(wrong)


def test_the_options_of_a_client_are_the_keywords_of_its_constructor() -> None:
    """A function that takes a client's keywords would refuse one in type checks, or take it with another type."""
    parameters = inspect.signature(AsyncCompletion).parameters.values()
    options = {name: reference.__forward_arg__ for name, reference in ClientOptions.__annotations__.items()}
    assert options == {each.name: each.annotation for each in parameters}
    assert not ClientOptions.__required_keys__


class _Callable:
    async def __call__(self, request: Any, options: Any, call_next: Any) -> Any:
        return await call_next(request, options)


class _Limiter:
    async def acquire(self) -> None: ...

    async def settle(self) -> None: ...


class _Health:
    def publish(self) -> None: ...

    async def open_until(self) -> None: ...


class _Waiting:
    async def acquire(self, key: str, *, requests: int, tokens: int) -> None:
        pass


async def _generator(request: Any, options: Any, call_next: Any) -> Any:
    yield await call_next(request, options)


_ACME = Provider("acme", "https://acme.example/v1")

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "providers that are no list": ({"providers": _ACME}, "providers: expected a list of Providers, found Provider"),
    "providers as text": ({"providers": "openai"}, "providers: expected a list of Providers, found str"),
    "providers as names": ({"providers": ["openai"]}, r"providers\[0\]: expected a Provider, found str"),
    "one key for all": ({"api_keys": "sk-marked-key"}, "api_keys: expected a dict by provider, found str"),
    "one URL for all": ({"base_urls": "https://x"}, "base_urls: expected a dict by provider, found str"),
    "no URL": ({"base_urls": {"openai": ""}}, r"base_urls\['openai'\]: is empty"),
    "plain http": ({"base_urls": {"openai": "http://x.example/v1"}}, r"base_urls\['openai'\]: must use https"),
    "a URL with a query": ({"base_urls": {"openai": "https://x/v1?a"}}, r"base_urls\['openai'\]: must not hold a"),
    "a function": (
        {"middleware": _generator},
        r"middleware: expected a list of async functions, found a function; write middleware=\[_generator\]",
    ),
    "an object": ({"middleware": _Callable()}, "middleware: expected a list of async functions, found _Callable"),
    "a number in the list": ({"middleware": [5]}, r"middleware\[0\]: expected an async function"),
    "a generator": ({"middleware": [_Callable(), _generator]}, r"middleware\[1\]: expected an async function"),
    "a class": ({"middleware": [_Callable]}, r"middleware\[0\]: expected an async function"),
    "middleware as text": ({"middleware": "retry"}, "middleware: expected a list of async functions, found str"),
    "a session by name": ({"session": "mine"}, "session: expected an aiohttp.ClientSession, found str"),
    "a proxy as bytes": ({"proxy": b"http://x"}, "proxy: expected a URL as a string, found bytes"),
    "a path of certificates": ({"ssl_context": "ca.pem"}, "ssl_context: expected an ssl.SSLContext, found str"),
    "a limiter by its URL": ({"rate_limiter": "redis://x"}, "rate_limiter: expected an object with the methods of"),
    "a limiter's class": (
        {"rate_limiter": _Limiter},
        "rate_limiter: expected an object with the methods of RateLimiter, found the class _Limiter",
    ),
    "the class of a shared health": (
        {"route_health": _Health},
        "route_health: expected an object with the methods of SharedHealth, found the class _Health",
    ),
    "a limiter that only waits": ({"rate_limiter": _Waiting()}, "rate_limiter: expected an object with the methods of"),
    "no verification": ({"ssl_context": False}, "ssl_context: expected an ssl.SSLContext, found bool"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_arguments_that_cannot_work_are_refused_at_once(name: str) -> None:
    """A service would start, and fail at its first call with an error that does not name the argument."""
    arguments, problem = REFUSED[name]
    with pytest.raises(InvalidRequestError, match=problem) as caught:
        AsyncCompletion(**arguments)
    param = caught.value.param
    assert param is not None
    assert str(caught.value).startswith(f"{param}: ")
    assert param.startswith(next(iter(arguments)))
    assert "marked-key" not in str(caught.value)


@pytest.mark.parametrize("proxy", ["corp.example:3128", "socks5://x:1", "http://"])
def test_a_proxy_that_is_no_url_is_refused_at_once(proxy: str) -> None:
    """The proxy would be found wanting at the first call only."""
    with pytest.raises(ConfigurationError, match="proxy: expected the URL of an HTTP proxy"):
        AsyncCompletion(proxy=proxy)


KEYS = {
    "empty": ("", "is empty"),
    "blank": (Secret(" \n"), "is empty"),
    "a placeholder": ("YOUR_API_KEY", "is a placeholder"),
    "two lines": ("sk-marked\nsk-key", "has 16 characters, one of which is white space"),
}
"""Key that no header can carry → the problem."""


@pytest.mark.parametrize("name", KEYS)
def test_a_key_that_cannot_be_sent_is_refused_at_once(name: str) -> None:
    """A service without its key would start, and fail with its first user."""
    key, problem = KEYS[name]
    with pytest.raises(ConfigurationError) as caught:
        AsyncCompletion(api_keys={"openai": key})
    assert str(caught.value) == f"the API key for openai (api_keys['openai']) {problem}"


async def test_a_private_server_of_the_environment_is_reached_by_plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server in a cluster would need code, or the refusal of its URL would not name the variable that has it."""
    monkeypatch.setenv("HOSTED_VLLM_API_BASE", "http://vllm:8000/v1")
    async with AsyncCompletion() as client:
        assert client.check("vllm/m").base_url == "http://vllm:8000/v1"
    monkeypatch.setenv("HOSTED_VLLM_API_BASE", "http://vllm.example:8000/v1")
    async with AsyncCompletion() as client:
        with pytest.raises(InvalidRequestError, match="HOSTED_VLLM_API_BASE: must use https"):
            client.check("vllm/m")


@pytest.mark.parametrize("param", ["api_keys", "base_urls", "limits"])
def test_an_unknown_provider_is_named_with_its_place(param: str) -> None:
    """A caller with a typing error would have to guess in which argument it is."""
    value: Any = {"api_keys": "sk-1", "base_urls": "https://x/v1", "limits": RateLimit(concurrency=1)}[param]
    with pytest.raises(ConfigurationError, match=f"{param}: unknown provider 'opnai'; did you mean openai"):
        AsyncCompletion(**{param: {"opnai": value}})


async def test_arguments_that_work_are_taken() -> None:
    """A generator of providers, or an object as middleware, would be refused."""
    rows = (row for row in [_ACME])
    async with AsyncCompletion(providers=rows, middleware=(_Callable(),), base_urls={"acme": "https://x/v1"}) as client:
        assert client.stats().providers == {}
