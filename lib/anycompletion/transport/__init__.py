"""The only socket: aiohttp pools, one per provider, under our own clocks and byte caps; knows no record and no dialect.

Strategy:

* aiohttp's own timeouts, redirects, cookies and environment proxies stay off. `sock_read` would lose bytes that had
  arrived and fire on slow consumers; its total would cut long healthy streams.
* One timer serves the clocks of all exchanges of a pool. It asks, when it fires, which clock has run out; so a read
  costs no timer.
* A clock runs only while we wait for the peer. Before the headers it cancels the task that waits (and takes the
  cancellation back, as `asyncio.timeout` does); after them it closes the answer, which wakes the reader.
* When the road fails, what had arrived is handed out first and the error after it.
* Errors are ours and are raised outside the `except` block: aiohttp's hold the request's headers.
"""

from .connection_limit import ConnectionLimit
from .connector import KEEP_ALIVE, MAX_CONNECTING, SendDeferred
from .pool import Pool
from .response import Response
from .start_gate import STARTS_PER_TICK, StartGate
from .timeouts import Deadlines

MAX_JSON = 32 * 1024 * 1024
"""Decoded bytes of a whole reply."""

MAX_ERROR_BODY = 64 * 1024
"""Decoded bytes read of an error's body."""

__all__ = [
    "KEEP_ALIVE",
    "MAX_CONNECTING",
    "MAX_ERROR_BODY",
    "MAX_JSON",
    "STARTS_PER_TICK",
    "StartGate",
    "ConnectionLimit",
    "Deadlines",
    "Pool",
    "Response",
    "SendDeferred",
]
