"""One server, one client and one oracle for all recordings."""

from collections.abc import AsyncIterator

import pytest_asyncio

from anycompletion import AsyncCompletion
from anycompletion.testing import ReplayServer
from conformance import traffic
from conformance.oracle import Oracle
from conformance.replay import Replay


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
