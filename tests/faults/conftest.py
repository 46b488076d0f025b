"""Runs every fault test on every event loop, and prints which rows of the matrix have passed."""

import logging
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

import pytest

from faults.harness import COVERS, LOOPS, Matrix, loop_of, rows_of

_MATRIX = pytest.StashKey[Matrix]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{COVERS}(*rows): the rows of the fault matrix that a test covers")
    config.stash[_MATRIX] = Matrix()


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Callable[[], Any]]:
    return LOOPS


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed or (report.passed and report.when == "call"):
        item.config.stash[_MATRIX].count(rows_of(item), loop_of(item), passed=report.passed)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    matrix = config.stash[_MATRIX]
    if matrix:
        for line in matrix.lines():
            terminalreporter.write_line(line)


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
