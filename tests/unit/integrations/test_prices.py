"""Costs of replies: reported by providers, summed over branches and streams, computed with genai-prices."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import genai_prices.data_snapshot
import pytest

from anycompletion import (
    PROVIDERS,
    AsyncCompletion,
    ChatCompletion,
    ChatRequest,
    CompletionTokensDetails,
    PromptTokensDetails,
    ReplyInfo,
    Usage,
)
from anycompletion.codecs.json import dumps
from anycompletion.dialects.base import Target
from anycompletion.http import Headers, HttpResponse
from anycompletion.integrations.prices import PRICE_LISTS, cost
from anycompletion.providers import DIALECTS
from anycompletion.testing import SimulatorServer

LONG_AGO = 1_735_689_600
"""The first of January 2025, whose prices no longer change."""


def reply(provider: str, model: str, usage: Usage | None, *, asked: str = "", **members: Any) -> ChatCompletion:
    completion = ChatCompletion("id", [], model, LONG_AGO, usage=usage, **members)
    completion.info = ReplyInfo(provider, asked or model)
    return completion


@pytest.fixture
async def client() -> AsyncIterator[AsyncCompletion]:
    async with (
        SimulatorServer() as server,
        AsyncCompletion(base_urls=server.base_urls, api_keys=server.api_keys) as client,
    ):
        yield client


# --- as reported ---


async def test_a_reported_cost_is_kept_and_summed(client: AsyncCompletion) -> None:
    """What OpenRouter charged would be lost in a plain reply, a stream, or the sum over three branches."""
    model = "openrouter/meta-llama/llama-3.3-70b-instruct"
    one = await client.create(model, "Hello!")
    assert one.usage is not None
    assert one.usage.cost is not None
    assert one.usage.cost == one.raw["usage"]["cost"] > 0
    async with client.stream(model, "Hello!") as stream:
        streamed = await stream.get_final_completion()
    assert streamed.usage is not None
    assert streamed.usage.cost == pytest.approx(one.usage.cost)
    three = await client.create(model, "Hello!", n=3)
    assert three.usage is not None
    assert three.usage.cost == pytest.approx(sum(raw["usage"]["cost"] for raw in three.raw))
    async with client.stream(model, "Hello!", n=3) as stream:
        streamed = await stream.get_final_completion()
    assert streamed.usage is not None
    assert streamed.usage.cost == pytest.approx(three.usage.cost)
    assert cost(three) == three.usage.cost


def decoded_usage(usage: dict[str, Any]) -> Usage:
    """The usage of a reply in OpenAI's format."""
    body = dumps({"choices": [{"message": {"content": "Hello."}}], "usage": usage})
    target = Target(provider="p", model="m", base_url="https://x")
    reply = DIALECTS["openai_chat"].decode(HttpResponse(200, Headers(), body), ChatRequest("m", "Hello!"), target)
    assert isinstance(reply, ChatCompletion)
    assert reply.usage is not None
    return reply.usage


def test_the_three_formats_of_reported_costs_are_read() -> None:
    """The cost that OpenRouter, Perplexity or xAI reports would be ignored, or be in the wrong unit."""
    reported: list[tuple[dict[str, Any], float | None]] = [
        ({"cost": 0.00041625}, 0.00041625),
        ({"cost": {"input_tokens_cost": 0.00005, "request_cost": 0.006, "total_cost": 0.00614}}, 0.00614),
        ({"cost_in_usd_ticks": 1_466_250}, 0.000146625),
        ({"cost": {"request_cost": 0.006}}, None),
        ({"cost_in_usd_ticks": "many"}, None),
    ]
    for members, dollars in reported:
        usage = decoded_usage({"prompt_tokens": 1, **members})
        assert usage.cost == dollars
        assert Usage.from_dict(usage.to_dict()) == usage
        assert usage.to_dict().items() >= members.items()


def test_a_sum_with_an_unknown_cost_is_unknown() -> None:
    """A part of the cost would be taken for the whole."""
    assert (Usage(1, cost=0.5) + Usage(1)).cost is None
    assert (Usage(1, cost=0.5) + Usage(1, cost=0.25)).cost == 0.75


# --- as computed ---

COMPUTED: dict[str, tuple[ChatCompletion, float]] = {
    "tokens": (reply("openai", "gpt-4o-2024-08-06", Usage(1000, 100, 1100)), 0.0025 + 0.001),
    "an older name": (reply("openai", "gpt-4o", Usage(1000, 100, 1100)), 0.0035),
    "from the cache": (
        reply("openai", "gpt-4o", Usage(1000, 0, 1000, PromptTokensDetails(cached_tokens=1000))),
        0.00125,
    ),
    "into the cache": (
        reply("anthropic", "claude-3-5-haiku-20241022", Usage(1000, 0, 1000, PromptTokensDetails(0, None, 1000))),
        0.001,
    ),
    "into the cache for an hour": (
        reply(
            "anthropic",
            "claude-sonnet-4-5",
            Usage(
                1000,
                0,
                1000,
                PromptTokensDetails(0, None, 1000),
                extra={"cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 1000}},
            ),
        ),
        0.006,
    ),
    "reasoning is billed": (
        reply("openai", "gpt-4o", Usage(0, 1, 100, None, CompletionTokensDetails(reasoning_tokens=99))),
        0.001,
    ),
    "a deployment's own name": (reply("azure", "gpt-4o-2024-08-06", Usage(1000, 0, 1000), asked="our-gpt"), 0.0025),
    "a model that is not reported": (reply("openai", "?", Usage(1000, 0, 1000), asked="gpt-4o"), 0.0025),
    "reported is not computed": (reply("openai", "gpt-4o", Usage(1000, 0, 1000, cost=7.0)), 7.0),
}


@pytest.mark.parametrize("case", COMPUTED)
def test_a_cost_is_computed_from_the_tokens(case: str) -> None:
    """A wrong price would be returned."""
    priced, dollars = COMPUTED[case]
    assert cost(priced) == pytest.approx(dollars)


UNKNOWN: dict[str, ChatCompletion] = {
    "no usage": reply("openai", "gpt-4o", None),
    "no prompt tokens": reply("openai", "gpt-4o", Usage(None, 5)),
    "no completion tokens": reply("openai", "gpt-4o", Usage(5)),
    "no such model": reply("openai", "gpt-of-tomorrow", Usage(5, 5, 10)),
    "no such provider": reply("replicate", "meta/meta-llama-3-8b-instruct", Usage(5, 5, 10)),
    "a custom provider": reply("openai-of-acme", "gpt-4o", Usage(5, 5, 10)),
    "counts that contradict each other": reply("openai", "gpt-4o", Usage(5, 5, 10, PromptTokensDetails(100))),
    "a reply made by hand": ChatCompletion("", [], "gpt-4o", usage=Usage(5, 5, 10)),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_an_unknown_cost_is_none(case: str) -> None:
    """A price would be guessed, or an exception raised."""
    assert cost(UNKNOWN[case]) is None


def test_a_custom_provider_can_use_the_prices_of_another() -> None:
    """The calls of a second Azure resource would have no price."""
    own = reply("azure-sweden", "gpt-4o", Usage(1000, 0, 1000))
    assert cost(own) is None
    assert cost(own, provider="azure") == pytest.approx(0.0025)


def test_branches_are_priced_one_by_one() -> None:
    """Three short prompts would cost what one long prompt costs, per token."""
    one = reply("gemini", "gemini-1.5-pro", Usage(100_000, 10, 100_010))
    three = reply("gemini", "gemini-1.5-pro", Usage(300_000, 30, 300_030))
    alone, together = cost(one), cost(three)
    assert alone is not None
    assert together is not None
    assert together > 3.5 * alone  # one long prompt costs more per token
    three.info.branches = tuple(ReplyInfo("gemini", "gemini-1.5-pro") for _ in range(3))
    assert cost(three) == pytest.approx(3 * alone)


@pytest.mark.parametrize("created", [0, -(10**18), 10**18])
def test_an_invalid_date_is_ignored(created: int) -> None:
    """The replies of a server that reports no date, or an impossible one, would have no price."""
    odd = reply("openai", "gpt-4o", Usage(1000, 0, 1000))
    odd.created = created
    assert cost(odd) is not None


def test_every_list_and_every_provider_exists() -> None:
    """A typing error would make a provider's prices unknown for ever."""
    lists = {provider.id for provider in genai_prices.data_snapshot.get_snapshot().providers}
    assert set(PRICE_LISTS.values()) <= lists
    assert PRICE_LISTS.keys() <= PROVIDERS.keys()


# --- side effects ---


def test_prices_never_use_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Computing a price would wait for a server, or send it data."""

    def refuse(*_: object, **__: object) -> Any:
        raise AssertionError("prices must not connect")

    names: list[tuple[Any, str]] = [(socket.socket, "connect"), (socket, "getaddrinfo")]
    for owner, name in names:
        monkeypatch.setattr(owner, name, refuse)
    assert cost(reply("openai", "gpt-4o", Usage(1000, 0, 1000))) is not None
    assert not genai_prices.data_snapshot.get_snapshot().from_auto_update


Run = Callable[[str], str]


def run(program: str) -> str:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True, timeout=60
    ).stdout


def test_price_lists_are_not_imported_with_the_package() -> None:
    """Every import of the package would load the price lists."""
    assert run("import anycompletion, sys; print('genai_prices' in sys.modules)") == "False\n"


def test_without_the_extra_the_error_names_it() -> None:
    """A user without the price lists would not know what to install."""
    program = """
import sys
sys.modules["genai_prices"] = None
try:
    import anycompletion.integrations.prices
except ImportError as error:
    print(error)
"""
    assert "pip install 'anycompletion[prices]'" in run(program)
