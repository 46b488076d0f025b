"""`check`, which sends nothing, and `models`, which reads the provider's own list."""

from __future__ import annotations

from typing import Any

import pytest

from anycompletion import (
    APIResponseError,
    APITimeoutError,
    AsyncCompletion,
    AuthenticationError,
    ClientClosedError,
    CompletionError,
    ConfigurationError,
    InvalidRequestError,
    ModelInfo,
    NotFoundError,
)
from anycompletion.testing import FakeProvider
from support.raw_server import REQUEST, RawServer, answer

pytestmark = pytest.mark.asyncio

KEY = "sk-of-the-service"


def client_to(url: str, provider: str = "openai", **options: Any) -> AsyncCompletion:
    return AsyncCompletion(base_urls={provider: url}, api_keys={provider: KEY}, **{"max_retries": 0} | options)


# --- check ---


async def test_check_returns_where_a_call_would_go_and_sends_nothing() -> None:
    """A readiness probe would cost money, or say nothing of the address that is used."""
    async with RawServer() as server, client_to(f"{server.url}/v1") as client:
        target = client.check("openai/gpt-4o")
        assert (target.provider, target.model, target.base_url) == ("openai", "gpt-4o", f"{server.url}/v1")
        assert client.check("x", provider="openai").model == "x"
        assert client.with_options(provider="openai").check("y").model == "y"
        assert server.connections == 0
        assert KEY not in repr(target)


def _key() -> Any:
    raise AssertionError("called")


REFUSED: dict[str, tuple[dict[str, Any], str, dict[str, Any], type[Exception], str]] = {
    "no key": ({}, "anthropic/claude-x", {}, ConfigurationError, "set ANTHROPIC_AUTH_TOKEN or ANTHROPIC_API_KEY"),
    "no base URL": ({}, "azure/x", {"api_key": KEY}, ConfigurationError, "set AZURE_OPENAI_ENDPOINT"),
    "a placeholder": ({}, "openai/x", {"api_key": "your_api_key"}, ConfigurationError, "is a placeholder"),
    "unknown provider": ({}, "opnai/x", {}, InvalidRequestError, "did you mean openai"),
    "no provider": ({}, "x", {}, InvalidRequestError, "names no provider"),
    "not a name": ({}, " ", {}, InvalidRequestError, "is empty"),
    "invalid option": ({}, "openai/x", {"timeout": -1}, InvalidRequestError, "more than 0 seconds"),
    "foreign base URL": (
        {"api_keys": {"openai": KEY}},
        "openai/x",
        {"base_url": "https://x.example/v1"},
        ConfigurationError,
        "was not configured for it",
    ),
    "unknown option": ({}, "openai/x", {"api_base": "https://x.example"}, TypeError, "write base_url="),
    "a parameter": ({}, "openai/x", {"temperature": 1}, TypeError, "belongs to the request"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_check_raises_what_create_would(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first customer would find the missing key, not the start of the service."""
    for variable in ("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT"):
        monkeypatch.delenv(variable, raising=False)
    arguments, model, options, kind, text = REFUSED[name]
    async with AsyncCompletion(**arguments) as client:
        with pytest.raises(kind, match=text):
            client.check(model, **options)
        if name != "a parameter":
            with pytest.raises(kind):
                await client.create(model, "Hi.", **options)


async def test_check_does_not_call_key_functions() -> None:
    """A readiness probe would ask the identity provider for a token each time."""
    async with AsyncCompletion(api_keys={"openai": _key}) as client:
        assert client.check("openai/x").provider == "openai"


async def test_check_of_a_closed_client_raises() -> None:
    """A service would look ready with a client that cannot make calls."""
    client = AsyncCompletion(api_keys={"openai": KEY})
    await client.aclose()
    with pytest.raises(ClientClosedError):
        client.check("openai/x")


# --- models ---

PAGES: dict[str, tuple[str, list[Any], list[tuple[str, int | None, str | None]], list[str]]] = {
    "openai": (
        "/v1",
        [{"object": "list", "data": [{"id": "gpt-4o", "created": 5, "owned_by": "system"}, {"id": "o3"}]}],
        [("gpt-4o", 5, "system"), ("o3", None, None)],
        ["/v1/models"],
    ),
    "together": ("/v1", [[{"id": "a/b", "created": "7"}, None, {}]], [("a/b", 7, None)], ["/v1/models"]),
    "anthropic": (
        "",
        [
            {
                "data": [{"id": "claude-a", "created_at": "1970-01-01T00:00:09Z"}],
                "has_more": True,
                "last_id": "claude-a",
            },
            {"data": [{"id": "claude-b", "created_at": "soon"}], "has_more": False, "last_id": "claude-b"},
        ],
        [("claude-a", 9, None), ("claude-b", None, None)],
        ["/v1/models?limit=1000", "/v1/models?limit=1000&after_id=claude-a"],
    ),
    "cohere": (
        "",
        [{"models": [{"name": "command-a"}], "next_page_token": "p 2"}, {"models": [{"name": "command-r"}]}],
        [("command-a", None, None), ("command-r", None, None)],
        [
            "/v1/models?endpoint=chat&page_size=1000",
            "/v1/models?endpoint=chat&page_size=1000&page_token=p+2",
        ],
    ),
    "ollama": (
        "",
        [{"models": [{"name": "qwen3:8b", "model": "qwen3:8b", "modified_at": "2026-08-04T19:58:20Z", "size": 5}]}],
        [("qwen3:8b", None, None)],
        ["/api/tags"],
    ),
    "replicate": (
        "",
        [
            {"results": [{"owner": "meta", "name": "llama"}], "next": "https://elsewhere.example/v1/models?cursor=c1"},
            {"results": [{"owner": "meta", "name": "llama-2"}], "next": None},
        ],
        [("meta/llama", None, "meta"), ("meta/llama-2", None, "meta")],
        ["/v1/models", "/v1/models?cursor=c1"],
    ),
    "bedrock": (
        "",
        [{"modelSummaries": [{"modelId": "amazon.nova-lite-v1:0", "providerName": "Amazon"}]}],
        [("amazon.nova-lite-v1:0", None, None)],
        ["/foundation-models"],
    ),
    "gemini": (
        "",
        [
            {"models": [{"name": "models/gemini-x", "displayName": "X"}], "nextPageToken": "p 2"},
            {"models": [{"name": "models/gemini-y"}]},
        ],
        [("gemini-x", None, None), ("gemini-y", None, None)],
        ["/v1beta/models?pageSize=1000", "/v1beta/models?pageSize=1000&pageToken=p+2"],
    ),
    "vertex": (
        "/projects/p/locations/us",
        [
            {"publisherModels": [{"name": "publishers/google/models/gemini-x"}], "nextPageToken": "p 2"},
            {"publisherModels": [{"name": "publishers/google/models/gemini-y"}]},
        ],
        [("gemini-x", None, None), ("gemini-y", None, None)],
        ["/v1beta1/publishers/google/models", "/v1beta1/publishers/google/models?pageToken=p+2"],
    ),
    "vertex-anthropic": (
        "/vertex/v1/projects/p/locations/us",
        [{"publisherModels": [{"name": "publishers/anthropic/models/claude-x"}]}],
        [("claude-x", None, None)],
        ["/vertex/v1beta1/publishers/anthropic/models"],
    ),
    "azure": (
        "",
        [{"data": [{"id": "gpt-4o", "created_at": 3}]}],
        [("gpt-4o", 3, None)],
        ["/openai/v1/models"],
    ),
}


@pytest.mark.parametrize("provider", PAGES)
async def test_models_are_those_of_the_providers_own_list(provider: str) -> None:
    """A model would be missing, under a name that calls do not take, or the key sent to another host."""
    path, pages, models, asked = PAGES[provider]
    script = [step for page in pages for step in (REQUEST, answer(page))]
    async with RawServer(script) as server, client_to(server.url + path, provider) as client:
        found = await client.models(provider)
        assert [(model.id, model.created, model.owner) for model in found] == models
        assert [request.line.split()[1] for request in server.requests] == asked
        assert {request.line.split()[0] for request in server.requests} == {"GET"}
        assert all(KEY in repr(request.headers) for request in server.requests)
    assert isinstance(found[0], ModelInfo)
    assert isinstance(found[0].raw, dict)
    assert "raw" not in repr(found[0])


@pytest.mark.parametrize(
    ("version", "asked"),
    [
        ("2024-10-21", "/openai/models?api-version=2024-10-21"),
        ("preview", "/openai/v1/models?api-version=preview"),
        ("v1", "/openai/v1/models"),
    ],
)
async def test_azures_list_is_that_of_the_resource(version: str, asked: str) -> None:
    """The list would be asked for at a path that Azure does not have."""
    async with RawServer((REQUEST, answer({"data": []}))) as server:
        async with client_to(f"{server.url}/openai/deployments/x", "azure") as client:
            assert await client.with_options(api_version=version).models("azure") == []
        assert server.requests[0].line.split()[1] == asked


ANSWERS: dict[str, tuple[bytes, type[CompletionError], str]] = {
    "a refused key": (
        answer({"error": {"message": "Incorrect API key"}}, 401),
        AuthenticationError,
        "^openai: 401 Incorrect",
    ),
    "no list": (answer({"models": 5}), APIResponseError, "^openai: the list of models has no items"),
    "a page of the web": (answer(b"<html>"), APIResponseError, "is not JSON"),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_without_a_list_is_an_error(name: str) -> None:
    """A provider without a list would look like one without models."""
    response, kind, text = ANSWERS[name]
    async with RawServer((REQUEST, response)) as server, client_to(f"{server.url}/v1") as client:
        with pytest.raises(kind, match=text):
            await client.models("openai")


async def test_a_list_that_does_not_end_is_an_error() -> None:
    """A call would ask for pages for ever."""
    pages = [{"data": [{"id": str(n)}], "has_more": True, "last_id": str(n)} for n in range(201)]
    script = [step for page in pages for step in (REQUEST, answer(page))]
    async with RawServer(script) as server, client_to(server.url, "anthropic") as client:
        with pytest.raises(APIResponseError, match="more than 200 pages") as caught:
            await client.models("anthropic")
    assert (caught.value.provider, caught.value.attempts) == ("anthropic", 1)


async def test_the_pages_of_a_list_have_the_size_of_one_reply() -> None:
    """A server could fill the memory page by page."""
    filling = "x" * 12_000_000
    pages = [{"data": [{"id": str(n), "x": filling}], "has_more": True, "last_id": str(n)} for n in range(3)]
    script = [step for page in pages for step in (REQUEST, answer(page))]
    async with RawServer(script) as server, client_to(server.url, "anthropic") as client:
        with pytest.raises(APIResponseError, match=r"^anthropic: the list of models has more than 32 MiB") as caught:
            await client.models("anthropic")
        assert (caught.value.status_code, len(server.requests)) == (200, 3)


async def test_the_pages_of_a_list_have_the_time_of_one_call() -> None:
    """A server that takes its time for each page would hold the caller for hours."""
    pages = [{"data": [{"id": str(n)}], "has_more": True, "last_id": str(n)} for n in range(9)]
    script = [step for page in pages for step in (REQUEST, 0.2, answer(page))]
    async with RawServer(script) as server, client_to(server.url, "anthropic") as client:
        with pytest.raises(APITimeoutError):
            await client.with_options(timeout=0.5).models("anthropic")
        assert len(server.requests) <= 3


async def test_models_of_an_unknown_provider_are_refused() -> None:
    """A misspelt provider would be asked for under another's address."""
    async with AsyncCompletion() as client:
        with pytest.raises(InvalidRequestError, match="did you mean openai"):
            await client.models("opnai")


async def test_a_fake_has_no_list_of_models() -> None:
    """A test of code that lists models would end in an error of the fake's own server, after all retries."""
    for provider in ("openai", "anthropic", "cohere", "gemini", "ollama"):
        fake = FakeProvider("Hi!", name=provider)
        async with AsyncCompletion(providers=[fake]) as client:
            with pytest.raises(NotFoundError, match="a FakeProvider has no list of models") as caught:
                await client.models(provider)
            assert caught.value.attempts == 1
            assert (await client.create(f"{provider}/x", "Hello!")).text == "Hi!"
