"""The chunks of one streamed call: attempts are repeated until the first chunk was delivered, and never after it."""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Awaitable, Callable

from .._async import call_in_loop
from ..dialects.base import Chunks
from ..errors import APIError, CompletionError, ConfigurationError
from ..http import HttpRequest
from ..records import ReplyInfo
from .call import Call
from .close_signal import CloseSignal
from .plan import EVENT_STREAM
from .retry import retry_or_raise
from .stream_attempt import Attempt, attempt_for


class ReplyRestarted(Exception):
    """Raised by `ChunkSource.next` where the reply begins anew: another target answers, whose chunks come next."""

    def __init__(self, error: CompletionError, info: ReplyInfo) -> None:
        super().__init__("the reply begins anew")
        self.error = error
        """The error that cut the reply off."""
        self.info = info
        """Details of the reply that was cut off."""


class ChunkSource(abc.ABC):
    """Where a stream's chunks come from: one call, several merged, or another stream."""

    __slots__ = ()

    is_complete = False
    """Whether the chunks are there already, so that another stream may read them without the one around them."""

    @property
    @abc.abstractmethod
    def info(self) -> ReplyInfo:
        """Details of the call, as they become known."""

    @property
    def may_restart(self) -> bool:
        """Whether `next` may raise `ReplyRestarted`."""
        return False

    @abc.abstractmethod
    async def open(self) -> None:
        """Sends; returns after a good status."""

    @abc.abstractmethod
    def next(self) -> Awaitable[Chunks | None]:
        """The next chunks, at least one; None at the proper end."""

    def settled_next(self) -> Callable[[], Awaitable[Chunks | None]]:
        """The function to call in place of `next` once chunks were delivered and nothing is restarted any more."""
        return self.next

    @abc.abstractmethod
    def close(self, end: CompletionError | None = None) -> None:
        """Releases everything at once, from any thread.

        Args:
            end: the error for a reader that waits for chunks.
        """

    @abc.abstractmethod
    async def wait_closed(self) -> None:
        """Returns when everything is released."""


class CallChunks(ChunkSource):
    """The source of one streamed call's chunks."""

    __slots__ = ("_attempt", "_call", "_closed", "_loop", "_request", "_tried")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._request: tuple[HttpRequest, bytes | None] | None = call.encode_now()  # now, so that its errors come now
        self._attempt: Attempt | None = None
        self._closed = CloseSignal()
        self._tried = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def info(self) -> ReplyInfo:
        """Details of the call, as they become known."""
        return self._call.info

    async def open(self) -> None:
        """Sends the request; returns after a good status.

        Raises:
            CompletionError: what `Call.complete` raises; the argument of `close`, if that was called first.
        """
        self._loop = asyncio.get_running_loop()
        if self._closed.error is not None:
            raise self._closed.error
        call = self._call
        try:
            if not call.started:
                call.started = await self._closed.interrupting(call.plan.provider_state.start_call())
            call.start()
            await self._closed.interrupting(self._send())
        except BaseException as error:  # failed, cancelled, or closed in the meantime
            call.settle_permit()
            self._log_failure(error)
            raise

    def next(self) -> Awaitable[Chunks | None]:
        """The next chunks, at least one; None at the proper end.

        Raises:
            StreamInterruptedError: the stream ended before the provider sent a finish reason.
            APIError: the provider's error inside the stream, a timeout, a lost connection.
        """
        return self._first() if self._attempt is None or not self._attempt.delivered else self._attempt.next()

    def settled_next(self) -> Callable[[], Awaitable[Chunks | None]]:
        """The attempt's own `next`: it is not restarted after its first chunk."""
        assert self._attempt is not None, "chunks were delivered"
        return self._attempt.next

    async def _first(self) -> Chunks | None:
        """The first chunks, of the first attempt that delivers any."""
        while True:
            attempt = self._attempt
            assert attempt is not None, "open() comes first"
            try:
                chunks = await attempt.next()
            except APIError as error:
                failed = error
            else:
                if attempt.successor is not None:
                    self._attempt = attempt.successor
                    continue
                if self._call.retry_paid:
                    self._call.return_retry()
                self._request = None  # it is not sent again, and an open stream need not keep it
                return chunks
            await self._restart_or_raise(attempt, failed)

    async def _restart_or_raise(self, attempt: Attempt, error: APIError) -> None:
        """Sends the request again if no chunk was delivered and the error may pass; else raises it."""
        attempt.response.close()
        try:
            if attempt.delivered or self._closed.error is not None or not attempt.may_restart:
                raise self._call.with_details(self._closed.error or error)
            await self._closed.interrupting(self._send_again(error))
        except BaseException as final:  # or cancelled, or closed in the meantime
            self._call.settle_permit()
            self._log_failure(final)
            raise

    def _log_failure(self, error: BaseException) -> None:
        if self._closed.error is None and isinstance(error, (APIError, ConfigurationError)):
            self._call.log_failure(error)

    async def _send_again(self, error: APIError) -> None:
        await retry_or_raise(self._call, error, self._tried, creating=True)
        await self._send()

    async def _send(self) -> None:
        call = self._call
        if self._request is None:
            self._request = await call.encode()
        while True:
            self._tried += 1
            try:
                response = await call.send(*self._request, EVENT_STREAM)
                self._attempt = attempt_for(call, response, self._closed)
                return
            except APIError as error:
                failed = error
            await retry_or_raise(call, failed, self._tried, creating=True)

    def close(self, end: CompletionError | None = None) -> None:
        """Closes the connection at once; may be called from any thread, as destructors are.

        Args:
            end: the error for a reader that waits for chunks.
        """
        if self._loop is None:
            self._closed.send(end)  # a call that was not opened yet never is
        elif end is not None or self._attempt is None or not self._attempt.ended:
            call_in_loop(self._loop, self._close, end)

    def _close(self, end: CompletionError | None) -> None:
        self._closed.send(end)
        attempt = self._attempt
        if attempt is not None:
            attempt.response.close(end)
            if not attempt.ended:
                self._call.log_left()
                request, attempt.cancel_request = attempt.cancel_request, None
                self._call.cancel_upstream_soon(request)
        self._call.settle_permit()

    async def wait_closed(self) -> None:
        """Returns at once: nothing is left to wait for after `close`."""
