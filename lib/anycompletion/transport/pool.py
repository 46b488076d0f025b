"""Connection pool of one provider: sends requests, ends them when a timeout expires, and translates errors."""

from __future__ import annotations

import asyncio
import errno
import ssl
from collections.abc import Callable

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from .._async import take_back_cancellation
from ..errors import CompletionError
from ..http import RequestHeaders
from .connection_limit import ConnectionLimit
from .connector import Connector, SendState
from .errors import closed_error, errno_of, timed_out, translate
from .http1 import DirectSender, is_supported_aiohttp
from .proxy import proxy_of
from .response import RawResponse, Response
from .session import SessionSender
from .timeouts import AttemptTimeouts, TimeoutTimer, TimeoutWatch


class Pool:
    """Connections to one provider; opened by the first request. The `Transport` of real calls.

    Args:
        session: a session of the caller, which sends all requests and stays open.
        proxy: URL of a proxy.
        ssl_context: trusted certificates, and the client's own.

    Raises:
        ConfigurationError: `proxy` is not the URL of a proxy.
    """

    def __init__(
        self,
        connection_limit: ConnectionLimit,
        *,
        session: aiohttp.ClientSession | None = None,
        proxy: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.connection_limit = connection_limit
        """The code that sends acquires a place before each `send`; it is released when the exchange ends."""
        self._session = session
        self._proxy = proxy
        self._ssl_context = ssl_context
        self._sender: DirectSender | SessionSender | None = None
        self._sending = 0
        self._responses: set[Response] = set()
        self._pauses: set[asyncio.Future[None]] = set()
        self._timer = TimeoutTimer()
        self._closed = False
        proxy_of(proxy)

    def __repr__(self) -> str:
        return f"<Pool in_flight={self.in_flight} idle_connections={self.idle_connections}>"

    @property
    def in_flight(self) -> int:
        """Requests being sent, and responses whose body has not ended."""
        return self._sending + len(self._responses)

    @property
    def idle_connections(self) -> int:
        """Connections kept for a next request; those of a caller's session are not counted."""
        return 0 if self._connector is None else self._connector.idle_connections

    @property
    def _connector(self) -> Connector | None:
        return None if self._sender is None else self._sender.connector

    async def send(
        self,
        method: str,
        url: str,
        headers: RequestHeaders,
        body: bytes | None,
        timeouts: AttemptTimeouts,
        must_defer: Callable[[], bool] | None = None,
    ) -> Response:
        """Sends one request and waits for the headers of its response, see `Transport.send`.

        If the server closes a kept connection before it sends a byte of a response, it has not processed the request:
        the request is sent again, once, on a fresh connection.
        """
        if self._closed:
            self.connection_limit.release()
            raise closed_error()
        task = asyncio.current_task()
        assert task is not None, "an event loop runs tasks"
        loop, cancelling = task.get_loop(), task.cancelling()
        watch = TimeoutWatch(loop, timeouts, self._timer, task.cancel)
        state = SendState(timeouts.connect, must_defer, watch.begin_request)
        self._sending += 1
        try:
            raw: RawResponse | None = None
            while raw is None:
                sender = self._sender or self._open()
                state.may_have_sent = False
                if sender.connector is None:  # a caller's session does not report its connections
                    state.has_connection()
                error: CompletionError | None = None
                try:
                    raw = await sender.send(method, url, headers, body, state)
                except asyncio.CancelledError:
                    if watch.expired is None or not take_back_cancellation(task, cancelling):
                        raise
                    error = self._expired_error(watch.expired, watch, state)
                except (aiohttp.ClientError, OSError, ValueError, HttpProcessingError) as failure:
                    error = self._failure_error(failure, state)
                if error is not None:
                    raise error
        except BaseException:  # whatever ended the wait, cancellation too
            watch.stop()
            self.connection_limit.release()
            raise
        finally:
            self._sending -= 1
        response = Response(raw, watch, self._responses, self.connection_limit, loop)
        response.check_encoding()
        return response

    def _expired_error(self, name: str, watch: TimeoutWatch, state: SendState) -> CompletionError:
        """The error of a request that a timeout or `close_now` ended."""
        if self._closed:
            return closed_error()
        return timed_out(name, watch.seconds(name), sent=state.may_have_sent)

    def _failure_error(self, failure: BaseException, state: SendState) -> CompletionError | None:
        """The error of a request that failed; None if it is to be sent again on a fresh connection."""
        if errno_of(failure) in (errno.EMFILE, errno.ENFILE):
            self.connection_limit.on_exhausted()
        if self._closed:
            return closed_error()
        if state.is_keep_alive_race(failure) and not state.fresh_only:
            state.fresh_only = True
            return None
        return translate(failure, connect_timeout=state.connect_timeout, sent=state.may_have_sent)

    def _open(self) -> DirectSender | SessionSender:
        if self._session is None and self._proxy is None and is_supported_aiohttp():
            self._sender = DirectSender(self._ssl_context)
        else:
            self._sender = SessionSender(self._session, self._proxy, self._ssl_context)
        return self._sender

    async def pause(self, delay: float) -> None:
        """Waits `delay` seconds, or less if the pool is closed: the next `send` then raises `ClientClosedError`.

        Raises:
            ClientClosedError: the pool was closed before.
        """
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
        """Forgets all connections without closing them: after a fork the sockets belong to the parent process."""
        self._closed = True
        if self._sender is not None:
            self._sender.detach_after_fork()
        self._sender = None
        self._responses = set()

    def close_now(self) -> None:
        """Refuses further requests, and ends all waits in the pool at once."""
        self._closed = True
        for response in tuple(self._responses):
            # If only the connections were closed, readers would wait for ever.
            response.close(closed_error())
        for watch in tuple(self._timer.watches):
            # A task that is still connecting would not notice either.
            watch.give_up()
        self._timer.stop()
        self.connection_limit.close()
        for waiter in self._pauses:
            _wake(waiter)

    async def aclose(self) -> None:
        """Closes all connections; a session of the caller stays open."""
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
