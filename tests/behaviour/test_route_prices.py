"""The strategy "cheapest" with prices of lists: of the extra `prices`, and only where a target has none of its own."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from anycompletion import AsyncCompletion, Provider
from anycompletion.routing import Route, RouteTarget
from anycompletion.testing import FakeProvider

DEAR, CHEAP = "openai/gpt-4o", "groq/llama-3.3-70b-versatile"


def client_over(*targets: Any, **routes: Route) -> AsyncCompletion:
    fakes = FakeProvider(lambda request: "Hi!", name="*")
    return AsyncCompletion(providers=[fakes], routes={"cheap": Route(targets, "cheapest"), **routes})


@pytest.fixture
def lists() -> Any:
    """The module with the lists, where they are installed."""
    pytest.importorskip("genai_prices", reason="the extra prices is not installed")
    from anycompletion.integrations import prices  # noqa: PLC0415 (an extra)

    return prices


@pytest.mark.usefixtures("lists")
async def test_targets_without_a_price_have_that_of_their_list() -> None:
    """The first target would be taken for the cheapest, whatever it costs."""
    async with client_over(DEAR, CHEAP) as client:
        assert (await client.create("cheap", "Hello!")).info.target == CHEAP
    async with client_over(CHEAP, DEAR) as client:
        assert (await client.create("cheap", "Hello!")).info.target == CHEAP


@pytest.mark.usefixtures("lists")
async def test_a_price_of_its_own_wins() -> None:
    """A negotiated price would be ignored, or a list's taken for it."""
    async with client_over(RouteTarget(DEAR, price=(0.01, 0.01)), CHEAP) as client:
        assert (await client.create("cheap", "Hello!")).info.target == DEAR


@pytest.mark.usefixtures("lists")
async def test_models_that_no_list_has_come_last() -> None:
    """A model whose price is not known would count as free."""
    async with client_over("openai/unheard-of-1", "ollama/llama3.2", DEAR) as client:
        assert (await client.create("cheap", "Hello!")).info.target == DEAR


@pytest.mark.usefixtures("lists")
async def test_routes_in_routes_and_fallbacks_have_prices_too() -> None:
    """Only a route that is called by its own name would know prices."""
    async with client_over(DEAR, CHEAP, outer=Route(["cheap", "mistral/x"])) as client:
        assert (await client.create("outer", "Hello!")).info.target == CHEAP
        assert (await client.create("cheap", "Hello!", fallbacks=["mistral/x"])).info.target == CHEAP


async def test_without_the_extra_the_order_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client without the extra could not be made."""
    monkeypatch.setitem(sys.modules, "anycompletion.integrations.prices", None)
    async with client_over(DEAR, CHEAP) as client:
        assert (await client.create("cheap", "Hello!")).info.target == DEAR


async def test_lists_are_loaded_for_unknown_prices_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each client with a route would wait for the lists to load."""
    name = "anycompletion.integrations.prices"
    monkeypatch.delitem(sys.modules, name, raising=False)
    priced = [RouteTarget(DEAR, price=(2.5, 10.0)), RouteTarget(CHEAP, price=(0.6, 0.8))]
    async with client_over(*priced, other=Route([DEAR, CHEAP])) as client:
        assert (await client.create("cheap", "Hello!")).info.target == CHEAP
        assert (await client.create("other", "Hello!")).info.target == DEAR
        assert name not in sys.modules


async def test_list_prices_are_those_of_a_million_tokens(lists: Any) -> None:
    """A price would be off by a factor, or a provider of the user's own have that of another one."""
    assert lists.list_price("openai", "gpt-4o") == (2.5, 10.0)
    assert lists.list_price("openai", "unheard-of-1") is None
    assert lists.list_price("nowhere", "gpt-4o") is None
    own = Provider("acme", base_url="https://acme.example/v1")
    routes = {"cheap": Route(["acme/gpt-4o", DEAR], "cheapest")}
    async with AsyncCompletion(providers=[own], routes=routes, api_keys={"acme": "sk-1", "openai": "sk-2"}) as client:
        assert client.check("cheap").provider == "openai"
