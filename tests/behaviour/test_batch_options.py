"""Call options of batch items: honoured for the item alone, and never part of what a provider gets as the request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from anycompletion import (
    AsyncCompletion,
    ChatRequest,
    InvalidRequestError,
    Result,
    Timeout,
    UnsupportedParameterError,
)
from anycompletion.testing import SimulatorServer
from anycompletion.workers import ChatWorker

pytestmark = pytest.mark.asyncio

TENANT = "sk-of-tenant-seven"


def item(**arguments: Any) -> dict[str, Any]:
    return {"model": "openai/m", "messages": "Hi.", **arguments}


async def results_of(client: AsyncCompletion, items: list[Any], **options: Any) -> list[Result]:
    async with client.batch(items, ordered=True, **options) as run:
        return [result async for result in run]


@pytest.mark.parametrize("form", ["dict", "line", "id and dict"])
async def test_an_items_key_pays_for_the_item_and_is_not_in_its_body(form: str, tmp_path: Path) -> None:
    """A tenant's key would be sent as data, and another account would pay."""
    given: Any = item(api_key=TENANT, extra_headers={"x-trace": "7"}, timeout=Timeout(total=30), max_retries=0)
    given = {"dict": given, "line": {"custom_id": "a", "body": given}, "id and dict": ("a", given)}[form]
    async with (
        SimulatorServer() as sim,
        AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys, max_retries=0) as client,
    ):
        journal = tmp_path / "answers.jsonl"
        results = await results_of(client, [given, item(messages="Ho.")], journal=journal)
        assert results[1].ok
        tenants, own = sim.requests
        assert tenants.headers["authorization"] == f"Bearer {TENANT}"
        assert tenants.headers["x-trace"] == "7"
        assert own.headers["authorization"] == f"Bearer {sim.api_keys['openai']}"
        assert "x-trace" not in own.headers
        assert {*json.loads(tenants.raw)} == {*json.loads(own.raw)} == {"model", "messages"}
        assert TENANT not in journal.read_text()
        assert TENANT not in repr(results)


async def test_an_items_provider_policy_and_time_hold_for_it_alone() -> None:
    """Options of an item would be without effect, or affect the items after it."""
    items = [
        item(model="claude-x", provider="anthropic", seed=1, on_unsupported="drop"),
        item(model="anthropic/claude-x", seed=1),
        item(provider="acme"),
        item(on_unsupported="nonsense"),
    ]
    async with (
        SimulatorServer() as sim,
        AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys, max_retries=0) as client,
    ):
        results = await results_of(client, items, concurrency=1)
    assert results[0].ok
    assert [type(result.error) for result in results[1:]] == [
        UnsupportedParameterError,
        InvalidRequestError,
        InvalidRequestError,
    ]
    assert [result.error and result.error.param for result in results[2:]] == ["provider", "on_unsupported"]


async def test_an_unknown_argument_is_the_error_of_its_item_with_what_to_write() -> None:
    """A misspelt argument would be sent to the provider, or end the run."""
    async with (
        SimulatorServer() as sim,
        AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys) as client,
    ):
        results = await results_of(client, [item(temprature=2), item(api_base="https://x.example"), item()])
        assert len(sim.requests) == 1
    assert [type(result.error) for result in results] == [InvalidRequestError, InvalidRequestError, type(None)]
    assert "did you mean 'temperature'" in str(results[0].error)
    assert "write base_url=" in str(results[1].error)


async def test_a_worker_reads_items_as_a_batch_does() -> None:
    """A worker's rows would lose their options."""
    async with SimulatorServer() as sim:
        async with ChatWorker(base_urls=sim.base_urls, api_keys=sim.api_keys) as worker:
            results = await worker([item(api_key=sim.api_keys["openai"], timeout=9), item(tempereture=1)])
        assert [result.ok for result in results] == [True, False]
        assert {*json.loads(sim.requests[0].raw)} == {"model", "messages"}


async def test_a_journal_distinguishes_what_is_asked_and_not_how(tmp_path: Path) -> None:
    """A run that is resumed with a longer timeout would pay again, or one with another provider would not."""
    journal = tmp_path / "answers.jsonl"
    async with (
        SimulatorServer() as sim,
        AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys) as client,
    ):
        for given, sent in ((item(timeout=9), 1), (item(timeout=10, max_retries=1), 1), (item(provider="azure"), 2)):
            await results_of(client, [given], journal=journal)
            assert len(sim.requests) == sent


@pytest.mark.parametrize("name", ["api_key", "base_url", "timeout", "extra_headers"])
async def test_a_body_with_a_call_option_is_no_request(name: str) -> None:
    """A key in a stored request would become a field that a provider gets."""
    with pytest.raises(InvalidRequestError) as caught:
        ChatRequest.from_dict({"model": "m", "messages": [], name: TENANT})
    assert caught.value.param == name
    assert TENANT not in str(caught.value)
    assert ChatRequest.from_dict({"model": "m", "messages": [], "provider": {"order": ["x"]}}).extra_body == {
        "provider": {"order": ["x"]}
    }
