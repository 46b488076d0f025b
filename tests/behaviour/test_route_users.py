"""Other features over routes: typed replies, batches, the endpoint, relays, and keys."""

from __future__ import annotations

import pickle
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest

from anycompletion import (
    AllTargetsFailedError,
    AsyncCompletion,
    ChatCompletion,
    ChatRequest,
    CompletionError,
    InternalServerError,
    RateLimitError,
    Result,
)
from anycompletion.batch import read_results
from anycompletion.client.client import client_state
from anycompletion.routing import CircuitBreaker, Route, RouteTarget
from anycompletion.testing import FakeProvider, SimulatorServer
from anycompletion.web import chat_completions_app, public_error

ROUTES = {"fast": Route(["openai/gpt-4o", "anthropic/claude-haiku-4-5"])}


@attrs.frozen
class City:
    name: str
    people: int


def down(request: ChatRequest) -> str:
    raise InternalServerError("down", status_code=500)


def providers(*, first: Any = down, last: Any = None) -> list[FakeProvider]:
    return [
        FakeProvider(first, name="openai"),
        FakeProvider(last or (lambda request: "from the last"), name="anthropic"),
    ]


async def test_a_typed_reply_comes_from_any_target() -> None:
    """`parse` would not know the name of a route, or fail with its first target."""
    city = '{"name": "Oslo", "people": 700000}'
    fakes = providers(last=city)
    async with AsyncCompletion(providers=fakes, routes=ROUTES) as client:
        reply = await client.parse("fast", "The capital of Norway?", City)
        assert reply.parsed == City("Oslo", 700_000)
        assert reply.info.target == "anthropic/claude-haiku-4-5"


async def test_a_batch_runs_over_a_route() -> None:
    """The items of a batch would fail where the first target is down, or the name of a route be unknown."""
    async with AsyncCompletion(providers=providers(), routes=ROUTES) as client:
        items = [ChatRequest("fast", f"Question {index}", custom_id=str(index)) for index in range(20)]
        results: list[Result] = []
        async with client.batch(items) as run:
            results.extend([result async for result in run])
        assert {result.completion and result.completion.info.target for result in results} == {
            "anthropic/claude-haiku-4-5"
        }


async def test_a_rate_limit_that_another_target_absorbs_does_not_slow_a_batch() -> None:
    """A batch would halve its concurrency because of a target that it does not need."""

    def limited(request: ChatRequest) -> str:
        raise RateLimitError("slow down", retry_after=30)

    fakes = providers(first=limited)
    async with AsyncCompletion(providers=fakes, routes=ROUTES) as client:
        items = [ChatRequest("fast", f"Question {index}") for index in range(40)]
        async with client.batch(items) as run:
            async for result in run:
                assert result.error is None
        assert client.stats().routes["fast"][0].retry_in is not None
        assert len(fakes[0].requests) <= 16


async def test_a_rate_limit_of_all_targets_slows_a_batch() -> None:
    """A batch would go on at full pace although no target takes its requests."""
    limited = RateLimitError("slow down", retry_after=0.5)
    fakes = providers(first=limited, last=limited)
    for fake in fakes:
        fake.add(lambda request: "yes")
    async with AsyncCompletion(providers=fakes, routes=ROUTES) as client:
        items = [ChatRequest("fast", f"Question {index}") for index in range(30)]
        limits: list[int] = []
        async with client.batch(items) as run:
            async for result in run:
                assert result.error is None
                limits.append(client_state(client).adaptive_limit("fast") or 0)
        assert 0 < min(limits) < 16


async def test_a_batch_over_a_route_goes_on_where_it_was_left(tmp_path: Path) -> None:
    """Finished items would be asked again where a target has changed, or not show which target has answered them."""
    journal = tmp_path / "journal"
    items = [ChatRequest("fast", f"Question {index}", custom_id=str(index)) for index in range(6)]
    targets = ("openai/gpt-4o", "groq/llama")
    for count, first in ((3, targets), (6, targets[::-1])):
        fakes = [FakeProvider(lambda request: "yes", name=each.partition("/")[0]) for each in first]
        async with (
            AsyncCompletion(providers=fakes, routes={"fast": Route(first)}) as client,
            client.batch(items[:count], journal=journal) as run,
        ):
            assert [result.ok async for result in run] == [True] * 3
        assert [len(fake.requests) for fake in fakes] == [3, 0]
    found = {result.custom_id: result.unwrap().info for result in read_results(journal)}
    assert {info.route for info in found.values()} == {"fast"}
    assert [found[str(index)].target for index in range(6)] == ["openai/gpt-4o"] * 3 + ["groq/llama"] * 3


async def test_errors_of_all_targets_are_public_errors() -> None:
    """An endpoint would answer with an error of no use to callers, or reveal the provider's words."""
    async with AsyncCompletion(providers=providers(last=down), routes=ROUTES) as client:
        with pytest.raises(AllTargetsFailedError) as caught:
            await client.create("fast", "Hello!")
    shown = public_error(caught.value)
    assert (shown.status, shown.code) == (502, "upstream_error")
    assert "openai" not in shown.message


async def test_rate_limits_of_all_targets_are_shown_as_one() -> None:
    """A caller who should wait would get the error of a broken service."""
    errors = [RateLimitError("slow down", retry_after=seconds) for seconds in (90, 70)]
    shown = public_error(AllTargetsFailedError("all targets failed", errors=errors))
    assert (shown.status, shown.code) == (429, "rate_limit_exceeded")


async def test_the_endpoint_serves_a_route() -> None:
    """Callers of the endpoint could not use the name of a route, or choose targets of their own."""
    async with AsyncCompletion(providers=providers(), routes=ROUTES) as client:
        app = chat_completions_app(client, authorize=lambda request: frozenset({"fast"}))
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://endpoint") as http:
            body: dict[str, Any] = {"model": "fast", "messages": [{"role": "user", "content": "Hello!"}]}
            whole = await http.post("/v1/chat/completions", json=body)
            assert whole.json()["choices"][0]["message"]["content"] == "from the last"
            streamed = await http.post("/v1/chat/completions", json=body | {"stream": True})
            assert streamed.text.endswith("data: [DONE]\n\n")
            refused = await http.post("/v1/chat/completions", json=body | {"fallbacks": ["openai/gpt-4o"]})
            assert refused.status_code == 400
            other = await http.post("/v1/chat/completions", json=body | {"model": "openai/gpt-4o"})
            assert other.status_code == 404


# --- keys ---

KEY, OTHER = "sk-of-the-call-0123456789", "sk-of-the-target-987654321"
CLIENT_KEY = "sk-client-openai-0123"


class TwoServers:
    """A client whose providers are at two origins, of which the first always fails."""

    def __init__(self, first: SimulatorServer, last: SimulatorServer, route: Route) -> None:
        self.first, self.last = first, last
        urls = {"openai": first.base_urls["openai"], "anthropic": last.base_urls["anthropic"]}
        urls["cohere"] = last.base_urls["cohere"]
        keys = last.api_keys | {"openai": CLIENT_KEY}
        keys = {name: keys[name] for name in urls}
        self.client = AsyncCompletion(base_urls=urls, api_keys=keys, routes={"fast": route}, max_retries=0)

    def sent(self) -> tuple[str, str]:
        """The headers that each origin has got."""
        return repr([each.headers for each in self.first.requests]), repr([each.headers for each in self.last.requests])


@pytest.fixture
async def servers() -> AsyncIterator[Callable[[Route], TwoServers]]:
    clients: list[AsyncCompletion] = []

    def make(route: Route) -> TwoServers:
        two = TwoServers(first, last, route)
        clients.append(two.client)
        return two

    async with SimulatorServer(fault="server-error") as first, SimulatorServer() as last:
        yield make
        for client in clients:
            await client.aclose()


CALLS: dict[str, Callable[[AsyncCompletion], Awaitable[ChatCompletion]]] = {
    "key": lambda client: client.create("fast", "Hello!", api_key=KEY),
    "key of a view": lambda client: client.with_options(api_key=KEY).create("fast", "Hello!"),
    "header": lambda client: client.create("fast", "Hello!", extra_headers={"authorization": f"Bearer {KEY}"}),
    "query": lambda client: client.create("fast", "Hello!", extra_query={"api_key": KEY}),
    "fallbacks": lambda client: client.create(
        "openai/gpt-4o", "Hello!", api_key=KEY, fallbacks=["anthropic/claude-haiku-4-5"]
    ),
}


@pytest.mark.parametrize("call", CALLS)
async def test_a_credential_of_the_call_stays_with_its_provider(
    call: str, servers: Callable[[Route], TwoServers], caplog: pytest.LogCaptureFixture
) -> None:
    """The key of one provider would be sent to another one, or be in a log or a warning."""
    caplog.set_level(1)
    two = servers(ROUTES["fast"])
    reply = await CALLS[call](two.client)
    assert reply.info.provider == "anthropic"
    assert KEY in two.sent()[0] + repr([each.query for each in two.first.requests])
    assert KEY not in two.sent()[1] + repr([each.query for each in two.last.requests])
    assert two.last.api_keys["anthropic"] in two.sent()[1]
    assert any("left out for anthropic/claude-haiku-4-5" in text for text in reply.info.warnings)
    assert KEY not in repr(reply.info) + repr(two.client.stats()) + caplog.text


async def test_keys_by_provider_go_to_each_of_them(servers: Callable[[Route], TwoServers]) -> None:
    """A caller with keys for several providers could not use fallbacks."""
    two = servers(ROUTES["fast"])
    await two.client.attempt("fast", "Hello!", api_key={"openai": KEY, "anthropic": OTHER})
    assert KEY in two.sent()[0]
    assert OTHER not in two.sent()[0]
    assert OTHER in two.sent()[1]
    assert KEY not in two.sent()[1]


async def test_a_key_of_a_target_goes_to_its_target_only(servers: Callable[[Route], TwoServers]) -> None:
    """The key of one target would be sent to the others."""
    target = RouteTarget("openai/gpt-4o", options={"api_key": KEY})
    two = servers(Route([target, "cohere/command-a"]))
    reply = await two.client.create("fast", "Hello!")
    assert KEY in two.sent()[0]
    assert KEY not in two.sent()[1]
    assert KEY not in repr(reply.info)


async def test_the_same_provider_at_another_origin_gets_no_key(servers: Callable[[Route], TwoServers]) -> None:
    """The key of a call, or the client's own, would go to the URL of another target."""
    two = servers(Route(["openai/gpt-4o"]))
    elsewhere = RouteTarget("openai/gpt-4o", name="elsewhere", options={"base_url": two.last.base_urls["openai"]})
    with pytest.raises(CompletionError):
        await two.client.create("openai/gpt-4o", "Hello!", api_key=KEY, fallbacks=[elsewhere])
    assert two.sent()[1] == "[]"
    own = RouteTarget(
        "openai/gpt-4o", name="elsewhere", options={"base_url": two.last.base_urls["openai"], "api_key": OTHER}
    )
    await two.client.attempt("openai/gpt-4o", "Hello!", api_key=KEY, fallbacks=[own])
    assert OTHER in two.sent()[1]
    assert KEY not in two.sent()[1]
    assert CLIENT_KEY not in two.sent()[1]


@pytest.mark.parametrize("of_view", [False, True])
@pytest.mark.parametrize("option", ["api_key", "base_url", "extra_headers"])
async def test_the_second_target_of_one_provider_gets_nothing_that_is_for_the_first(
    option: str, of_view: bool, servers: Callable[[Route], TwoServers]
) -> None:
    """A key of the caller would be used for a model that the caller has not named, or a URL of the caller's for it."""
    two = servers(Route(["openai/gpt-4o", "openai/gpt-4o-mini"]))
    given: Any = {
        "api_key": {"api_key": KEY},
        "base_url": {"base_url": two.last.base_urls["openai"], "api_key": KEY},
        "extra_headers": {"extra_headers": {"authorization": f"Bearer {KEY}"}},
    }[option]
    client = two.client.with_options(**given) if of_view else two.client
    result = await client.attempt("fast", "Hello!", timeout=5, **({} if of_view else given))
    assert result.error is not None
    first = two.last if option == "base_url" else two.first
    sent = [(str(each.body["model"]), repr(each.headers)) for each in (*first.requests, *two.first.requests)]
    assert all((KEY in headers) == (model == "gpt-4o") for model, headers in sent)
    assert all((CLIENT_KEY in headers) == (model == "gpt-4o-mini") for model, headers in sent)
    assert {model for model, _ in sent} == {"gpt-4o", "gpt-4o-mini"}
    assert all(str(each.body["model"]) == "gpt-4o" for each in two.last.requests)


async def test_an_api_version_of_the_call_is_for_all_targets_of_its_provider() -> None:
    """The second deployment of one provider would be asked in another version than the caller needs."""
    fake = FakeProvider(down, name="azure")
    route = {"pair": Route(["azure/one", "azure/two"])}
    urls = {"azure": "https://acme.openai.azure.com"}
    async with AsyncCompletion(providers=[fake], routes=route, base_urls=urls, max_retries=0) as client:
        await client.attempt("pair", "Hello!", api_version="2025-04-01-preview")
        sent = [each for request in fake.requests for each in request.wire]
        assert [each.query.get("api-version") for each in sent] == ["2025-04-01-preview"] * 2


async def test_a_url_of_the_call_does_not_get_the_key_of_a_target(servers: Callable[[Route], TwoServers]) -> None:
    """The key of a target would go to a URL that the caller names."""
    two = servers(Route([RouteTarget("openai/gpt-4o", options={"api_key": OTHER})]))
    with pytest.raises(CompletionError):
        await two.client.create("fast", "Hello!", base_url=two.last.base_urls["openai"])
    await two.client.attempt("fast", "Hello!", base_url=two.last.base_urls["openai"], api_key=KEY)
    assert OTHER not in two.sent()[1]
    assert KEY in two.sent()[1]


async def test_errors_of_routes_show_no_keys(servers: Callable[[Route], TwoServers]) -> None:
    """A key would be in the error of a call whose targets have all failed, or in what it tried."""
    two = servers(Route([RouteTarget("openai/a", options={"api_key": KEY}), "openai/b"], breaker=CircuitBreaker()))
    with pytest.raises(AllTargetsFailedError) as caught:
        await two.client.create("fast", "Hello!")
    error = caught.value
    shown = [repr(error), str(error), repr(error.errors), repr(vars(error)), str(pickle.dumps(error))]
    assert not any(KEY in text for text in shown)
