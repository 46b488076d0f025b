"""Runs every fault test on every event loop; `tests/conftest.py` counts the rows of the matrix that have passed."""

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from faults.harness import LOOPS, loop_of


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Callable[[], Any]]:
    return LOOPS


@pytest.fixture
def loop_name(request: pytest.FixtureRequest) -> str | None:
    """The loop that this test runs on, for those that start another process."""
    return loop_of(request.node)


@pytest.fixture(autouse=True)
def silence(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No fault makes a library below complain: what they log is what a user would see on stderr."""
    yield
    loud = [record for record in caplog.get_records("call") if record.levelno >= logging.WARNING]
    assert [record.getMessage() for record in loud if record.name != "anycompletion"] == []
