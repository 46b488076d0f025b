"""Waits that a call passes before its request is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ..errors import APITimeoutError
from ..transport import SendDeferred
from ..transport.connection_limit import ConnectionLimit


async def acquire_connection(
    limit: ConnectionLimit, time_left: float | None, must_defer: Callable[[], bool] | None
) -> None:
    """Waits in the queue for a connection; `Pool.send` must follow, which releases what this acquires.

    The pool waits once more: at most `MAX_CONNECTING` connections are opened at the same time. It asks `must_defer`
    again behind that wait.

    Args:
        limit: the connection limit of the pool.
        time_left: seconds until the call's total timeout runs out.
        must_defer: whether a cooldown has begun, which the request must wait for.

    Raises:
        APITimeoutError: the total timeout ran out first.
        ClientClosedError: the pool was closed meanwhile.
        SendDeferred: `must_defer` returned True after the wait; nothing is acquired.
    """
    try:
        async with asyncio.timeout(time_left):
            await limit.acquire()
    except TimeoutError:
        pass
    else:
        if must_defer is None or not must_defer():
            return
        limit.release()
        raise SendDeferred
    raise APITimeoutError("the total timeout ran out in the queue for a connection", phase="total")
