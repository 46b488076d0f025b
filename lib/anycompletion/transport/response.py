"""Responses whose headers have arrived: their bytes, with timeouts and limits of size."""

from __future__ import annotations

import asyncio
import io
import itertools
from typing import NoReturn, Protocol

from ..errors import APIConnectionError, APIError, APIResponseError, CompletionError
from ..http import Headers
from .body import ResponseBody
from .connection_limit import ConnectionLimit
from .content_encoding import DECODED_BY_AIOHTTP, DecodedBody, encoding_of
from .errors import is_malformed, name_of, timed_out
from .timeouts import TimeoutWatch

MAX_ERROR_BODY = 64 * 1024
"""Decoded bytes that are read of an error's body."""

_BOMB_SIZE = 6 * 1024 * 1024
_BOMB_RATIO = 100
"""A compressed body is a decompression bomb if more than `_BOMB_SIZE` bytes were decoded, and more than `_BOMB_RATIO`
for each byte that was received for them: text is packed ten to one, zeros a thousand to one."""

MAX_HEADERS_SIZE = 256 * 1024
"""Bytes of all headers of a response: each is searched for echoes of keys."""

_DRAIN = 0.05
"""Seconds in which the body must end after the stream's end marker; otherwise the connection is closed."""

_FAIR_SHARE = 64 * 1024
"""Bytes returned without waiting before other tasks may run."""


class RawResponse(Protocol):
    """Response as a sender returns it: status, headers, and the body as it arrives."""

    status: int
    raw_headers: tuple[tuple[bytes, bytes], ...]
    body: ResponseBody

    def close(self) -> None:
        """Closes the connection unless the body has ended, and wakes its reader."""
        ...


class Response:
    """Response whose headers have arrived. It releases its connection when its body was read, or when it is closed.

    Args:
        responses: the responses of the pool that are not finished; it adds and removes itself.
        connection_limit: released once, when it is finished.
    """

    __slots__ = (
        "_body",
        "_close_error",
        "_connection_limit",
        "_draining",
        "_loop",
        "_raw",
        "_received",
        "_received_before",
        "_responses",
        "_unyielded",
        "_watch",
        "headers",
        "status",
    )

    def __init__(
        self,
        raw: RawResponse,
        watch: TimeoutWatch,
        responses: set[Response],
        connection_limit: ConnectionLimit,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.status = raw.status
        self.headers = Headers(raw.raw_headers)
        self._raw = raw
        self._body: ResponseBody | DecodedBody = raw.body
        self._watch = watch
        self._responses = responses
        self._connection_limit = connection_limit
        self._loop = loop
        self._close_error: CompletionError | None = None
        """The error that readers get after `close`."""
        self._unyielded = 0
        """Bytes returned since the last pause, in which other tasks could run."""
        self._received = self._received_before = 0
        """Compressed bytes of the body now, and before the last piece, which may not be decoded yet."""
        self._draining: asyncio.TimerHandle | None = None
        """Ends the wait for the end of a body that is not read any more."""
        responses.add(self)
        watch.response_started(raw.close, raw.body.is_waiting)

    async def read(self) -> bytes:
        """The next bytes, decoded from their content encoding; b"" at the end of the body.

        Raises:
            APIConnectionError: the network failed or a timeout expired, after all that had arrived was returned.
        """
        body = self._body
        data = body.take_available() if body.arrived else None
        try:
            if data is None:
                self._unyielded = 0
                self._watch.begin_read()
                while data is None:
                    data = (await body.wait()) or body.take_available()
            else:
                self._unyielded += len(data)
                if self._unyielded > _FAIR_SHARE:
                    self._unyielded = 0
                    await asyncio.sleep(0)
        except asyncio.CancelledError:
            # A connection in the middle of a body must not be used again.
            self.close()
            raise
        if not data:
            if body.exception() is not None:
                self._fail()
            self._finish()
        elif body.total_compressed_bytes is not None:
            self._refuse_bombs(body.total_compressed_bytes)
        return data

    def _refuse_bombs(self, received: int) -> None:
        if received != self._received:
            self._received_before, self._received = self._received, received
        if self._body.total_bytes > max(_BOMB_SIZE, _BOMB_RATIO * self._received_before):
            self._too_large()

    def _fail(self) -> NoReturn:
        error = self._body.exception()
        self.close()
        if self._close_error is not None:
            raise self._close_error
        expired = self._watch.expired
        if expired is not None:
            raise timed_out(expired, self._watch.seconds(expired))
        if is_malformed(error):
            raise APIResponseError("the answer's body is not encoded as its headers say", maybe_billed=True)
        raise APIConnectionError(
            f"the connection was lost while the answer came in ({name_of(error)})", phase="body", maybe_billed=True
        )

    async def read_all(self, limit: int) -> bytes:
        """The whole body.

        Raises:
            APIConnectionError: as in `read`.
            APIResponseError: it is longer than `limit` bytes, or announced to be.
        """
        announced = self.headers.first("content-length")
        if announced is not None and announced.isdecimal() and int(announced) > limit:
            self._too_large()
        data = await self.read()
        if not data or self._body.at_eof():  # it has ended, and all that had arrived was taken
            self._finish()
            return self._capped(data, limit)
        # Later data stays out of this frame's locals: a caller who gives up gets a traceback with it.
        body = io.BytesIO()
        body.write(data)
        del data
        while body.tell() <= limit and body.write(await self.read()):
            pass
        return self._capped(body.getvalue(), limit)

    def _capped(self, data: bytes, limit: int) -> bytes:
        if len(data) > limit:
            self._too_large()
        return data

    def _too_large(self) -> NoReturn:
        self.close()
        raise APIResponseError("the answer is larger than this client accepts", maybe_billed=True)

    def check_encoding(self) -> None:
        """Prepares for the content encoding, and refuses a successful response in one that was not requested.

        The body of an error in such an encoding is not read.

        Raises:
            APIResponseError: the encoding was not requested, or the headers are larger than MAX_HEADERS_SIZE.
        """
        if sum(map(len, itertools.chain.from_iterable(self._raw.raw_headers))) > MAX_HEADERS_SIZE:
            self._too_large()
        header = self.headers.first("content-encoding")
        if header is None:
            return
        encoding = encoding_of(header)
        if encoding in DECODED_BY_AIOHTTP:
            if header.lower() not in DECODED_BY_AIOHTTP:
                self._body = DecodedBody(self._raw.body, encoding)
            return
        if not encoding or self.status >= 300:
            return
        self.close()
        raise APIResponseError(
            f"the answer is encoded as {encoding[:40]!r}, which was not asked for",
            status_code=self.status,
            maybe_billed=True,
        )

    async def read_some(self, limit: int) -> bytes:
        """At most `limit` bytes of an error's body; if the network fails meanwhile, what had arrived."""
        body = io.BytesIO()
        encoding = encoding_of(self.headers.first("content-encoding"))
        if encoding and encoding not in DECODED_BY_AIOHTTP:
            limit = 0
        try:
            while body.tell() < limit and body.write(await self.read()):
                pass
        except APIError:
            pass
        self.close()
        return body.getvalue()[:limit]

    def note_first_event(self, *, keep_deadline: bool) -> None:
        """Ends the first-chunk timeout, and the total unless the caller asked for one: a first event has arrived."""
        self._watch.first_event_received(keep_deadline=keep_deadline)

    def finish_soon(self) -> None:
        """Called after a stream's end marker: waits up to `_DRAIN` for the end of the body, to keep the connection."""
        self._watch.stop()
        if self._body.is_eof() or self._body.exception() is not None:
            self._finish()
        elif self in self._responses:
            self._draining = self._loop.call_later(_DRAIN, self.close)
            self._body.on_eof(self._finish)

    def close(self, error: CompletionError | None = None) -> None:
        """Closes the connection unless the body has ended; a reader gets `error`, by default a connection error."""
        if self._close_error is None:
            self._close_error = error
        self._raw.close()
        self._finish()

    def _finish(self) -> None:
        self._watch.stop()
        if self._draining is not None:
            self._draining.cancel()
        if self in self._responses:
            self._responses.discard(self)
            self._connection_limit.release()
