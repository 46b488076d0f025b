"""Tests of typed replies in every mode: each simulated provider accepts what it is sent, and its reply is a value."""

from __future__ import annotations

from typing import Any

import pytest

from anycompletion import AsyncCompletion, BadRequestError, UnsupportedParameterError
from anycompletion.structured import ParseMode
from anycompletion.testing import SimulatorServer
from support.golden_schemas import Comment, Recipe, Thread
from support.simulated import SIMULATED

MODES: tuple[ParseMode, ...] = ("auto", "schema", "tool", "json", "prompt")

LACKING: dict[str, set[str]] = {
    "anthropic": {"json"},
    "bedrock": {"json"},
    "vertex-anthropic": {"json"},
    "replicate": {"schema", "tool", "json"},
}
"""Provider → the modes that it does not have."""

OPEN_REFUSED = {"anthropic", "bedrock", "vertex-anthropic", "cohere"}
"""Providers whose schemas can have neither open objects nor tuples of several types."""

THINKING = {"anthropic", "bedrock", "vertex-anthropic"}
"""Providers where a call that thinks cannot demand the use of a tool."""


@pytest.mark.parametrize("provider", SIMULATED)
async def test_each_mode_gives_a_value(provider: str) -> None:
    """A mode would be sent what the provider refuses, or its reply not be read."""
    async with (
        SimulatorServer(latency=0) as simulator,
        AsyncCompletion(base_urls=simulator.base_urls, api_keys=simulator.api_keys) as client,
    ):
        refused: set[tuple[str, str, str | None]] = set()
        for mode in MODES:
            for into in (Recipe, Thread, list[Comment], int):
                options: dict[str, Any] = {"mode": mode}
                if provider in THINKING and mode in ("auto", "tool"):
                    options["reasoning_effort"] = "low"
                try:
                    reply = await client.parse(SIMULATED[provider], "Hello!", into, **options)
                except UnsupportedParameterError as error:
                    refused.add((getattr(into, "__name__", ""), mode, error.param))
                else:
                    assert isinstance(reply.parsed, list if into == list[Comment] else into)
                    assert not reply.invalid
    lacking = LACKING.get(provider, set())
    assert {mode for name, mode, _ in refused if name == "Recipe"} == lacking
    assert {param for _, _, param in refused} <= {"mode"}
    assert (("Thread", "schema", "mode") in refused) == ("schema" in lacking or provider in OPEN_REFUSED)


async def test_the_simulator_refuses_schemas_as_the_provider_does() -> None:
    """An app would learn from the provider only that its own schema cannot be strict."""
    schema = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": {"type": "object"}}}
    async with (
        SimulatorServer(latency=0) as simulator,
        AsyncCompletion(base_urls=simulator.base_urls, api_keys=simulator.api_keys) as client,
    ):
        with pytest.raises(BadRequestError, match="'additionalProperties' is required") as caught:
            await client.create("openai/gpt-4o", "Hello!", response_format=schema)
    assert caught.value.param == "response_format"
