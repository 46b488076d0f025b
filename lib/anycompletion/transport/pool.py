"""The connections to one provider: who may send, what bounds it, and what is left when it goes wrong."""

from __future__ import annotations

import asyncio
import errno
import ssl
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from .._async import running_task
from ..errors import APIError
from ..http import RequestHeaders
from .connection_limit import ConnectionLimit
from .connector import Connector
from .errors import closed_error, errno_of, is_keep_alive_race, timed_out, translate
from .http1 import DirectSender, is_supported_aiohttp
from .proxy import proxy_of
from .response import Response
from .session import SessionSender
from .timeouts import Deadlines, TimeoutTimer, TimeoutWatch


class Pool:
    """The connections to one provider; opened by the first request."""

    def __init__(
        self,
        connection_limit: ConnectionLimit,
        *,
        session: aiohttp.ClientSession | None = None,
        proxy: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.connection_limit = connection_limit
        """Callers of `send` acquire it before; it is released when the exchange ends."""
        self._session = session
        self._proxy = proxy
        self._ssl_context = ssl_context
        self._sender: DirectSender | SessionSender | None = None
        self._sending = 0
        self._responses: set[Response] = set()
        self._pauses: set[asyncio.Future[None]] = set()
        self._timer = TimeoutTimer()
        self._closed = False
        proxy_of(proxy)  # one that cannot be used is refused now

    def __repr__(self) -> str:
        connector = self._connector
        kept = 0 if connector is None else sum(map(len, connector._conns.values()))  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] (a repr that tells the state)
        return f"<Pool in_flight={self.in_flight} idle_connections={kept}>"

    @property
    def in_flight(self) -> int:
        """Requests being sent, and responses whose body has not ended."""
        return self._sending + len(self._responses)

    @property
    def _connector(self) -> Connector | None:
        return None if self._sender is None else self._sender.connector

    async def send(
        self,
        method: str,
        url: str,
        headers: RequestHeaders,
        body: bytes | None,
        clocks: Deadlines,
        must_defer: Callable[[], bool] | None = None,
    ) -> Response:
        """Sends one request and waits for the headers of its answer, whatever their status.

        The caller has acquired `connection_limit`. It is released when this raises, or when the response has ended or
        is closed.

        A kept connection that the server closes before one byte of an answer is replaced once, without anybody
        noticing: the server never saw the request.

        Raises:
            APIConnectionError: no answer; `.phase` says how far it came.
            APITimeoutError: a clock ran out.
            APIResponseError: the answer is no HTTP.
            ClientClosedError: the pool is closed, or was closed meanwhile.
            Held: `held` said so before a connection was opened; nothing was sent.
        """
        if self._closed:
            self.connection_limit.release()
            raise closed_error()
        task = running_task()
        watch = TimeoutWatch(task.get_loop(), clocks, task, must_defer, self._timer)
        self._sending += 1
        try:
            exchange = await self._try(method, url, headers, body, watch, task)
            if exchange is None:
                watch.fresh = True  # so this happens once
                exchange = await self._try(method, url, headers, body, watch, task)
                assert exchange is not None, "a fresh connection is not replaced"
        except BaseException:  # whatever ended the wait, cancellation too, its clocks must not outlive it
            watch.stop()
            self.connection_limit.release()
            raise
        finally:
            self._sending -= 1
        exchange.require_encoding()
        return exchange

    async def _try(
        self,
        method: str,
        url: str,
        headers: RequestHeaders,
        body: bytes | None,
        watch: TimeoutWatch,
        task: asyncio.Task[Any],
    ) -> Response | None:
        """One request; None where it is to be repeated on a fresh connection."""
        loop = task.get_loop()
        cancelling = task.cancelling()
        again = False
        try:
            sender = self._sender or self._open()
            watch.connected = sender.connector is None
            watch.begin()
            answer = await sender.send(method, url, headers, body, watch)
            watch.task = watch.must_defer = None
            watch.wake = answer
            return Response(answer, watch, self._responses, self.connection_limit, loop)
        except asyncio.CancelledError:
            if watch.expired is None or task.uncancel() > cancelling:
                raise
            error: APIError = timed_out(watch.expired, watch, sent=watch.connected)
        except (aiohttp.ClientError, OSError, ValueError, HttpProcessingError) as fault:
            error = translate(fault, watch, sent=watch.connected)
            again = is_keep_alive_race(fault, watch)
            if errno_of(fault) in (errno.EMFILE, errno.ENFILE):
                self.connection_limit.on_exhausted()
        if self._closed:
            raise closed_error()
        if again:
            return None
        raise error

    def _open(self) -> DirectSender | SessionSender:
        if self._closed:
            raise closed_error()
        if self._session is None and self._proxy is None and is_supported_aiohttp():
            self._sender = DirectSender(self._ssl_context)
        else:
            self._sender = SessionSender(self._session, self._proxy, self._ssl_context)
        return self._sender

    async def pause(self, delay: float) -> None:
        """Waits `delay` seconds, or less when the pool is closed: the next `send` then says so."""
        if self._closed:
            raise closed_error()
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        handle = loop.call_later(delay, _wake, waiter)
        self._pauses.add(waiter)
        try:
            await waiter
        finally:
            handle.cancel()
            self._pauses.discard(waiter)

    def detach_after_fork(self) -> None:
        """Lets go without closing anything: after a fork the sockets belong to the parent."""
        self._closed = True
        if self._sender is not None:
            self._sender.detach_after_fork()
        self._sender = None
        self._responses = set()

    def close_now(self) -> None:
        """Refuses further requests and wakes everybody who waits in the pool, at once."""
        self._closed = True
        for exchange in tuple(self._responses):
            # Closing the connections alone would leave readers waiting for ever.
            exchange.close(closed_error())
        for watch in tuple(self._timer.watches):
            # Nor would a task notice that is still connecting.
            watch.give_up()
        self._timer.stop()
        self.connection_limit.close()
        for waiter in self._pauses:
            _wake(waiter)

    async def aclose(self) -> None:
        """Closes the pool; a session that was given stays open."""
        if self._connector is not None and self._connector.is_inherited:
            self.detach_after_fork()
            return
        self.close_now()
        sender, self._sender = self._sender, None
        if sender is not None:
            await sender.aclose()


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
