"""Interface between calls and whatever sends their requests: `Pool`, or a fake in tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ..http import RequestHeaders
from .connection_limit import ConnectionLimit
from .response import Response
from .timeouts import AttemptTimeouts


class Transport(Protocol):
    """Sends HTTP requests to one provider."""

    connection_limit: ConnectionLimit
    """The code that sends acquires a place before each `send`."""

    @property
    def in_flight(self) -> int:
        """Requests being sent, and responses whose body has not ended."""
        ...

    @property
    def idle_connections(self) -> int:
        """Connections kept for a next request."""
        ...

    async def send(
        self,
        method: str,
        url: str,
        headers: RequestHeaders,
        body: bytes | None,
        timeouts: AttemptTimeouts,
        must_defer: Callable[[], bool] | None = None,
    ) -> Response:
        """Sends one request and waits for the headers of its response, whatever its status.

        The place of `connection_limit` that was acquired for it is released when this raises, and otherwise when the
        response has ended or is closed.

        Args:
            must_defer: asked before a connection is opened: whether the request must not be sent now.

        Raises:
            APIConnectionError: no response came; `.phase` is the step that failed.
            APITimeoutError: a timeout expired.
            APIResponseError: the response is not valid HTTP.
            ClientClosedError: the transport is closed, or was closed meanwhile.
            SendDeferred: `must_defer` returned True; nothing was sent.
        """
        ...

    async def pause(self, delay: float) -> None:
        """Waits `delay` seconds, or less if the transport is closed: the next `send` then raises that it is."""
        ...

    def close_now(self) -> None:
        """Refuses further requests, and ends all waits in the transport at once."""
        ...

    async def aclose(self) -> None:
        """Closes all connections."""
        ...

    def detach_after_fork(self) -> None:
        """Forgets all connections without closing them: after a fork the sockets belong to the parent process."""
        ...
