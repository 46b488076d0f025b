"""The only sockets of the package: pools of aiohttp's connections, one per provider, with our own timeouts and limits.

Knows neither records nor dialects. Strategy:

* aiohttp's own timeouts, redirects, cookies and environment proxies stay off. Its `sock_read` would lose bytes that had
  arrived and expire while a consumer is slow; its `total` would cut long healthy streams.
* One timer serves all timeouts of a pool. When it fires, it checks which have expired, so that a read sets no timer.
* A timeout runs only while the peer is waited for. Before the headers it cancels the task that waits, and takes the
  cancellation back as `asyncio.timeout` does; after them it closes the response, which wakes the reader.
* When the network fails, what had arrived is returned first and the error after it.
* Errors are our own and are raised outside the `except` block, so that they are not chained: aiohttp's errors reference
  the request's headers.
"""

from .connection_limit import ConnectionLimit
from .connector import KEEP_ALIVE, MAX_CONNECTING, SendDeferred
from .pool import Pool
from .protocol import Transport
from .response import MAX_ERROR_BODY, Response
from .timeouts import AttemptTimeouts

__all__ = [
    "KEEP_ALIVE",
    "MAX_CONNECTING",
    "MAX_ERROR_BODY",
    "ConnectionLimit",
    "AttemptTimeouts",
    "Pool",
    "Response",
    "SendDeferred",
    "Transport",
]
