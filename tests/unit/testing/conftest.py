"""Servers, plain HTTP and the vendors' own SDKs for the tests of `anycompletion.testing`."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from anycompletion.testing import SimulatorServer


@pytest.fixture
async def sim() -> AsyncIterator[SimulatorServer]:
    """A running simulator without faults."""
    async with SimulatorServer() as server:
        yield server


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A plain HTTP client."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield session


@pytest.fixture
async def openai(sim: SimulatorServer) -> AsyncIterator[AsyncOpenAI]:
    """OpenAI's own SDK, pointed at the simulator."""
    keys, urls = sim.api_keys, sim.base_urls
    async with AsyncOpenAI(api_key=keys["openai"], base_url=urls["openai"], max_retries=0, timeout=10) as client:
        yield client


@pytest.fixture
async def anthropic(sim: SimulatorServer) -> AsyncIterator[AsyncAnthropic]:
    """Anthropic's own SDK, pointed at the simulator."""
    keys, urls = sim.api_keys, sim.base_urls
    async with AsyncAnthropic(
        api_key=keys["anthropic"], base_url=urls["anthropic"], max_retries=0, timeout=10
    ) as client:
        yield client
