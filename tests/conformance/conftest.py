"""One server, one client and one oracle for all recordings."""

from collections.abc import AsyncIterator

import pytest_asyncio

from anycompletion import PROVIDERS, AsyncCompletion
from anycompletion.testing import ReplayServer
from conformance import traffic
from conformance.oracle import Oracle
from conformance.replay import Replay


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def replay() -> AsyncIterator[Replay]:
    """All recordings on one server, with a client and the oracle to read them."""
    async with (
        ReplayServer(traffic.recorded(*traffic.FORMATS)) as server,
        # Providers whose customers have servers of their own want one before they want any.
        AsyncCompletion(max_retries=0, base_urls=dict.fromkeys(PROVIDERS, server.url)) as client,
    ):
        oracle = Oracle(server)
        yield Replay(server, client, oracle)
        await oracle.aclose()
