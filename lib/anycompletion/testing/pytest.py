"""The pytest plugin: fixtures for tests of apps; the only module here that imports pytest, and loaded on demand only.

In a test suite's ``conftest.py``::

    pytest_plugins = ["anycompletion.testing.pytest"]

The fixtures need no event loop: they work in sync tests, and with pytest-asyncio and anyio.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from anyio.from_thread import start_blocking_portal

from .fake.fake_provider import ALL, FakeProvider
from .network_guard import block_network
from .simulator.server import SimulatorServer

__all__ = ["fake_llm", "llm_server", "no_network"]


@pytest.fixture
def fake_llm() -> FakeProvider:
    """A `FakeProvider` that replaces all providers, without replies: it repeats the last user message.

    ::

        async def test_greets(fake_llm: FakeProvider) -> None:
            fake_llm.add("Hello!")
            async with AsyncCompletion(providers=[fake_llm]) as client:
                assert await greet(client) == "Hello!"
    """
    return FakeProvider(name=ALL)


@pytest.fixture
def llm_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatorServer]:
    """A running `SimulatorServer`, with environment variables that point to it: an app that creates its own
    `AsyncCompletion()` in the test, or in a process that the test starts, connects to it and to no provider.

    It runs in a thread of its own; the test may read and set its attributes.
    """
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(SimulatorServer()) as server:
        for name, value in server.environment.items():
            if value:
                monkeypatch.setenv(name, value)
            else:
                monkeypatch.delenv(name, raising=False)
        yield server


@pytest.fixture
def no_network() -> Iterator[None]:
    """Blocks connections to other machines during the test; see `block_network`.

    For a whole module: ``pytestmark = pytest.mark.usefixtures("no_network")``.
    """
    with block_network():
        yield
