"""One server, one client and one oracle for all recordings, and a table of the recordings that passed."""

from collections.abc import AsyncIterator, Generator

import pytest
import pytest_asyncio

from anycompletion import AsyncCompletion
from anycompletion.testing import ReplayServer
from conformance import traffic
from conformance.oracle import Oracle
from conformance.replay import Replay
from conformance.table import RecordingTable

_TABLE = pytest.StashKey[RecordingTable]()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def replay() -> AsyncIterator[Replay]:
    """All recordings on one server, with the client and the oracle."""
    async with (
        ReplayServer(traffic.recorded(*traffic.FORMATS)) as server,
        AsyncCompletion(max_retries=0) as client,
    ):
        oracle = Oracle(server)
        yield Replay(server, client, oracle)
        await oracle.aclose()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
        item.config.stash.setdefault(_TABLE, RecordingTable()).add(item.callspec.params, report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if _TABLE in config.stash:
        for line in config.stash[_TABLE].lines():
            terminalreporter.write_line(line)
