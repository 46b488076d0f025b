"""Fixtures of the tests that check the project's own files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from anycompletion.testing import SimulatorServer
from support.page_runs import Installations
from support.programs import environment_of

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project() -> Path:
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Installations:
    """Virtual environments and copies of the checkout, for the code blocks that need them."""
    return Installations(tmp_path_factory.mktemp("made"))


@pytest.fixture
async def environment() -> AsyncIterator[dict[str, str]]:
    """Environment variables that direct every provider to a simulator."""
    async with SimulatorServer() as simulator:
        yield environment_of(simulator)
