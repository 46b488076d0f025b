"""Base URLs that contain the endpoint: requests go to the same path wherever the URL comes from."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import attrs
import pytest

from anycompletion import (
    PROVIDERS,
    APITimeoutError,
    AsyncCompletion,
    BearerToken,
    ConfigurationError,
    EnvKey,
    EnvPlaceholder,
    InvalidRequestError,
    Provider,
    RateLimit,
    Secret,
    header_key,
)
from anycompletion.testing import SimulatorServer
from support.raw_server import REQUEST, RawServer, answer

ENDPOINTS: list[tuple[str, str, str]] = [
    # provider, model, the part of the endpoint that the base URL contains
    ("openai", "gpt-4o", "/chat/completions"),
    ("openai", "gpt-4o", "/"),
    ("openrouter", "openai/gpt-4o", "/chat/completions/"),
    ("anthropic", "claude-haiku-4-5", "/v1/messages"),
    ("anthropic", "claude-haiku-4-5", "/v1"),
    ("cohere", "command-a", "/v2/chat"),
    ("cohere", "command-a", "/v2"),
    ("ollama", "qwen3:8b", "/api/chat"),
    ("ollama", "qwen3:8b", "/api"),
    ("replicate", "meta/meta-llama-3-8b-instruct", "/v1/predictions"),
    ("replicate", "meta/meta-llama-3-8b-instruct", "/v1"),
    ("bedrock", "us.amazon.nova-lite-v1:0", "/model"),
    ("azure", "our-deployment", "/openai"),
    ("azure", "our-deployment", "/openai/deployments"),
    ("azure", "our-deployment", "/openai/v1"),
    ("azure", "our-deployment", "/openai/v1/chat/completions"),
]

SOURCES = ("argument", "client", "environment", "row")


@pytest.fixture
async def sim() -> AsyncIterator[SimulatorServer]:
    """A running simulator, whose recorded requests are checked."""
    async with SimulatorServer() as server:
        yield server


def client_of(provider: str, url: str, source: str, sim: SimulatorServer) -> tuple[AsyncCompletion, dict[str, Any]]:
    """A client whose base URL comes from the source, and the call's own options."""
    row = attrs.evolve(PROVIDERS[provider], base_url=url if source == "row" else "", placeholders={})
    client = AsyncCompletion(
        providers=[row],
        base_urls={provider: url} if source == "client" else {},
        api_keys={provider: sim.api_keys[provider]},
    )
    own = {"base_url": url, "api_key": sim.api_keys[provider]} if source == "argument" else {}
    return client, own


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(("provider", "model", "suffix"), ENDPOINTS)
async def test_the_endpoint_is_not_doubled(
    provider: str, model: str, suffix: str, source: str, sim: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request would go to a path that the server does not have."""
    for variable in (*PROVIDERS[provider].base_url_env, *PROVIDERS[provider].api_version_env):
        monkeypatch.delenv(variable, raising=False)
    paths: list[str] = []
    for url in (sim.base_urls[provider], sim.base_urls[provider] + suffix):
        if source == "environment":
            monkeypatch.setenv(PROVIDERS[provider].base_url_env[0], url)
        client, own = client_of(provider, url, source, sim)
        async with client:
            reply = await client.create(f"{provider}/{model}", "Hi.", **own)
        assert reply.text
        paths.append(sim.requests[-1].path)
    assert paths[0] == paths[1]


@pytest.mark.parametrize("source", SOURCES)
async def test_another_endpoint_is_refused(source: str, sim: SimulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller would get a 404 in place of the cause."""
    url = sim.base_urls["openai"] + "/responses"
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    if source == "environment":
        monkeypatch.setenv("OPENAI_BASE_URL", url)
    with pytest.raises(InvalidRequestError, match="ends in /responses"):
        client, own = client_of("openai", url, source, sim)  # which refuses its own argument at once
        async with client:
            await client.create("openai/gpt-4o", "Hi.", **own)
    assert sim.requests == []


@pytest.mark.parametrize("source", SOURCES)
async def test_letters_beyond_ascii_are_percent_encoded_once(
    source: str, sim: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request line would hold raw bytes, which servers read as other letters or refuse."""
    async with RawServer((REQUEST, answer(headers={"Connection": "close"}))) as server:
        for path in ("/modèle/v1", "/mod%C3%A8le/v1"):
            monkeypatch.setenv("OPENAI_BASE_URL", server.url + path if source == "environment" else "")
            client, own = client_of("openai", server.url + path, source, sim)
            async with client, aiohttp.ClientSession() as session:
                await client.create("openai/gpt-4o", "Hi.", **own)
                urls, keys = {"openai": server.url + path}, {"openai": "sk-1"}
                async with AsyncCompletion(session=session, base_urls=urls, api_keys=keys) as over:
                    await over.create("openai/gpt-4o", "Hi.")
        assert {request.line for request in server.requests} == {"POST /mod%C3%A8le/v1/chat/completions HTTP/1.1"}


# --- LiteLLM's names in a client's arguments ---


async def test_aliases_are_accepted_wherever_a_provider_is_named(sim: SimulatorServer) -> None:
    """A key or a base URL under LiteLLM's name would be refused, or not be used."""
    async with AsyncCompletion(
        base_urls={"together_ai": sim.base_urls["openai"]},
        api_keys={"together_ai": sim.api_keys["openai"]},
        limits={"together_ai": RateLimit(concurrency=5), "together_ai/x": RateLimit(concurrency=2)},
    ) as client:
        for model in ("together_ai/x", "together/x", "together_ai:x"):
            reply = await client.create(model, "Hi.")
            assert (reply.info.provider, reply.info.model) == ("together", "x")
    assert len(sim.requests) == 3


async def test_a_limit_of_a_model_counts_its_calls(sim: SimulatorServer) -> None:
    """A limit would have no effect on a model whose own name begins with the provider's."""
    limits = {"openrouter/auto": RateLimit(requests_per_minute=1)}
    keys, urls = {"openrouter": sim.api_keys["openrouter"]}, {"openrouter": sim.base_urls["openrouter"]}
    async with AsyncCompletion(base_urls=urls, api_keys=keys, limits=limits) as client:
        await client.create("openrouter/auto", "Hi.")
        with pytest.raises(APITimeoutError):
            await client.create("openrouter/auto", "Hi.", timeout=0.2)
    assert [request.body["model"] for request in sim.requests] == ["openrouter/auto"]


@pytest.mark.parametrize("param", ["api_keys", "base_urls", "limits"])
def test_a_provider_is_not_named_twice(param: str) -> None:
    """One of two values for the same provider would be ignored."""
    value: Any = RateLimit(concurrency=1) if param == "limits" else "https://x.example"
    with pytest.raises(InvalidRequestError) as caught:
        AsyncCompletion(**{param: {"together": value, "together_ai": value}})
    assert caught.value.param == f"{param}['together_ai']"


async def test_a_base_url_of_the_other_format_is_refused_with_the_providers_name() -> None:
    """Every request would be answered with 404, and nothing would say why."""
    url = "http://localhost:11434/v1"
    async with AsyncCompletion(base_urls={"ollama": url}) as client:
        with pytest.raises(InvalidRequestError, match="use the provider ollama-openai") as caught:
            client.check("ollama/m")
    assert caught.value.param == "base_urls['ollama']"
    async with AsyncCompletion() as client:
        with pytest.raises(InvalidRequestError, match="ollama-openai"):
            client.check("ollama/m", base_url=f"{url}/")
        assert client.check("ollama-openai/m", base_url=url).base_url == url


# --- a base URL for plain keys ----------------------------------------------------------------------------------------

PROJECT_URL, EXPRESS_URL = "https://eu.x.example/projects/p", "https://x.example"
EXPRESS = Provider(
    "express",
    "https://{location}.x.example/projects/{project}",
    placeholders={"location": EnvPlaceholder(("EXPRESS_LOCATION",), "eu"), "project": ("EXPRESS_PROJECT",)},
    api_key_base_url=EXPRESS_URL,
    auth=header_key("x-key", functions_give_tokens=True),
    key_env=("EXPRESS_KEY",),
    token_env=("EXPRESS_TOKEN",),
)


async def _token() -> str:
    return "a-token"


KEYS: list[tuple[Any, str]] = [
    ("the-key", EXPRESS_URL),
    (Secret("the-key"), EXPRESS_URL),
    (EnvKey("OTHER_KEY"), EXPRESS_URL),
    (BearerToken("a-token"), PROJECT_URL),
    (_token, PROJECT_URL),
]


@pytest.mark.parametrize(("key", "url"), KEYS, ids=[type(key).__name__ for key, _ in KEYS])
async def test_a_plain_key_may_have_another_base_url_than_a_token(
    key: Any, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key of Vertex AI's express mode would be sent to the address of a project, which refuses it."""
    monkeypatch.setenv("EXPRESS_PROJECT", "p")
    monkeypatch.setenv("OTHER_KEY", "the-key")
    async with AsyncCompletion(providers=[EXPRESS], api_keys={"express": key}) as client:
        assert client.check("express/m").base_url == url
    async with AsyncCompletion(providers=[EXPRESS], api_keys={"express": _token}) as client:
        assert client.check("express/m", api_key=key).base_url == url
        assert client.with_options(api_key=key).check("express/m").base_url == url
        assert client.check("express/m").base_url == PROJECT_URL


@pytest.mark.parametrize(("variable", "url"), [("EXPRESS_KEY", EXPRESS_URL), ("EXPRESS_TOKEN", PROJECT_URL)])
async def test_the_variable_of_a_key_decides_its_base_url(
    variable: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key in the environment would be sent to another address than the same key in the code."""
    monkeypatch.setenv("EXPRESS_PROJECT", "p")
    monkeypatch.setenv(variable, "the-key")
    async with AsyncCompletion(providers=[EXPRESS]) as client:
        assert client.check("express/m").base_url == url


async def test_a_plain_key_needs_no_project(monkeypatch: pytest.MonkeyPatch) -> None:
    """A customer without a project could not use a key; one with a token would get a 404 in place of a hint."""
    monkeypatch.delenv("EXPRESS_PROJECT", raising=False)
    async with AsyncCompletion(providers=[EXPRESS], api_keys={"express": "the-key"}) as client:
        assert client.check("express/m").base_url == EXPRESS_URL
        with pytest.raises(ConfigurationError, match=r"\{project\}: set EXPRESS_PROJECT"):
            client.check("express/m", api_key=BearerToken("a-token"))


async def test_a_configured_base_url_is_for_every_kind_of_key() -> None:
    """A key would be sent past the gateway that the customer configured."""
    for key in ("the-key", BearerToken("a-token")):
        async with AsyncCompletion(
            providers=[EXPRESS], base_urls={"express": "https://gateway.example"}, api_keys={"express": key}
        ) as client:
            assert client.check("express/m").base_url == "https://gateway.example"
            with pytest.raises(ConfigurationError, match="was not configured for it"):
                client.check("express/m", base_url="https://other.example")


async def test_the_error_of_a_missing_key_has_the_rows_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user of Vertex AI would not learn where tokens come from."""
    monkeypatch.setenv("EXPRESS_PROJECT", "p")
    row = attrs.evolve(EXPRESS, key_hint="; ask the operator for one")
    async with AsyncCompletion(providers=[row]) as client:
        with pytest.raises(ConfigurationError, match=r"set EXPRESS_TOKEN or EXPRESS_KEY, or pass .*; ask the operator"):
            client.check("express/m")


async def test_a_key_of_several_providers_is_for_all_of_them() -> None:
    """A key under LiteLLM's name for Vertex AI would be missing for some of its models."""
    url = "https://x.example/v1/projects/p/locations/us"
    async with AsyncCompletion(base_urls={"vertex_ai": url}, api_keys={"vertex_ai": BearerToken("a-token")}) as client:
        for model in ("vertex_ai/claude-x", "vertex_ai/meta/llama"):
            assert client.check(model).base_url == url
        view = client.with_options(provider="vertex_ai", api_key=BearerToken("another"))
        assert view.check("claude-x").provider == "vertex-anthropic"
        with pytest.raises(ConfigurationError, match="was given for vertex-anthropic and not for vertex-openai"):
            view.check("meta/llama")
    async with AsyncCompletion() as client:
        assert client.check("vertex_ai/meta/llama", api_key={"vertex_ai": "t"}, base_url=url).model == "meta/llama"
