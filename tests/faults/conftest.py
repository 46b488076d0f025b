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
    """The name of the loop that the test runs on, for tests that start another process."""
    return loop_of(request.node)


@pytest.fixture(autouse=True)
def no_foreign_warnings(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Checks that no fault makes another library log a warning, which users would see on stderr."""
    yield
    warnings = [record for record in caplog.get_records("call") if record.levelno >= logging.WARNING]
    assert [record.getMessage() for record in warnings if record.name != "anycompletion"] == []
