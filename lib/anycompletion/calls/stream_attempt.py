"""One attempt at a streamed reply: reads a response as a stream or as a whole body, whichever its first bytes show.

The content type is only the first guess.
"""

from __future__ import annotations

import abc
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from ..codecs.sse import Event
from ..dialects.base import BodyKind, Chunks, Continuation, Decoder, DecoderWithResponse
from ..errors import (
    APIConnectionError,
    APIError,
    APIResponseError,
    APITimeoutError,
    CompletionError,
    InternalServerError,
    StreamInterruptedError,
)
from ..http import MAX_RESPONSE_BYTES, Headers, HttpRequest, HttpResponse
from ..logs import log
from ..records import ChatCompletion, ChatCompletionMessage, Choice, Usage
from ..records.chunks import ChatCompletionChunk
from ..records.latest_usage import latest_usage
from ..transport import Response
from .close_signal import CloseSignal
from .plan import EVENT_STREAM
from .reply_chunks import as_chunk, closing_chunks
from .response_bodies import BLANK, body_kind, page_error

if TYPE_CHECKING:
    from .call import Call

_MAX_START = 1024
"""Bytes of a body that are searched for its kind; then its content type decides."""


class Attempt(abc.ABC):
    """A response that is read chunk by chunk. After its first chunk an error is final."""

    __slots__ = (
        "_call",
        "_closed",
        "_created",
        "_keeps_usage",
        "_usage",
        "cancel_request",
        "delivered",
        "ended",
        "may_restart",
        "response",
        "successor",
    )

    def __init__(self, call: Call, response: Response, closed: CloseSignal) -> None:
        self._call = call
        self._closed = closed
        self._created = 0
        """The time given to chunks that have none, that of the chunk before them; 0 if the first chunk has its own."""
        self._usage: Usage | None = None
        """The usage so far, for the client's limits and for the log; kept while there is a use for it."""
        self._keeps_usage = call.permit is not None or log.isEnabledFor(call.plan.log_level)
        self.response = response
        """The response that is being read."""
        self.cancel_request: HttpRequest | None = None
        """The request that cancels the work at the provider, where it goes on without a reader."""
        self.may_restart = True
        """Whether the reply may be asked for again after a failure; False where that would be billed twice."""
        self.delivered = False
        """Whether chunks were returned."""
        self.ended = False
        """Whether everything was read, up to the proper end."""
        self.successor: Attempt | None = None
        """The attempt that reads this response instead, because its first bytes are those of another kind of body."""

    @abc.abstractmethod
    async def next(self) -> Chunks | None:
        """The next chunks, at least one; None once the attempt has ended, and none if it has a `successor`.

        Raises:
            APIError: the network failed, a timeout, or the provider's error; with the call's details if it is final.
        """

    def _record(self, chunks: Chunks) -> None:
        """Records that chunks were delivered, and their usage."""
        if not self.delivered and chunks and not chunks[0].created:
            self._created = self._call.reply_time()
        self.delivered = True
        for chunk in chunks:
            if chunk.usage is not None:
                self._usage = latest_usage(self._usage, chunk.usage)

    def _add_times(self, chunks: Chunks) -> None:
        """Gives chunks without a time that of the last one before them."""
        for chunk in chunks:
            if chunk.created:
                self._created = chunk.created
            else:
                chunk.created = self._created

    def _record_end(self) -> None:
        """Records that everything was read."""
        self._call.info.elapsed = self._call.elapsed()
        self._call.settle_permit(self._usage)
        self._call.log_finished(self._usage)

    def _failure(self, error: APIError) -> CompletionError:
        """The error to raise for `error`."""
        if isinstance(error, StreamInterruptedError) and self._closed.error is None:
            error.retryable = not self.delivered
        if self.delivered or isinstance(error, (StreamInterruptedError, APIResponseError)):
            error.maybe_billed = True  # the provider had begun to work
        if not self.delivered:
            return error  # `CallChunks` decides whether to restart
        self.response.close()
        self._call.settle_permit()
        if self._closed.error is None:
            self._call.log_failure(error)
        return self._call.with_details(self._closed.error or error)


def attempt_for(call: Call, response: Response, closed: CloseSignal) -> Attempt:
    """The reader of `response`: as a stream, or as the whole body that some servers send instead."""
    if _media_type(response.headers) == "application/json" and _stream_kind(call) != "json":
        return WholeAttempt(call, response, closed)
    return StreamAttempt(call, response, closed)


def _media_type(headers: Headers) -> str:
    return (headers.first("content-type") or "").partition(";")[0].strip().lower()


def _stream_kind(call: Call) -> BodyKind | None:
    """The kind of body that is a stream in the format of the call."""
    return call.plan.dialect.framing().body_kind


class StreamAttempt(Attempt):
    """A response that is a stream: its bytes framed into events, and these decoded into chunks."""

    __slots__ = ("_continuation", "_decoder", "_error", "_framing", "_read", "_start")

    def __init__(
        self,
        call: Call,
        response: Response,
        closed: CloseSignal,
        announced: HttpResponse | None = None,
        start: bytes = b"",
    ) -> None:
        """`start` is what was read of the body already."""
        super().__init__(call, response, closed)
        dialect = call.plan.dialect
        self._framing = dialect.framing()
        self._start: bytes | None = start if announced is None else None
        """The body so far, until its kind is known; None afterwards."""
        self._read: Callable[[], Awaitable[bytes]] = self._take_start if start else response.read
        self._decoder: Decoder = dialect.decoder(call.request, call.plan.target)
        self._error: APIError | None = None
        """An error that came in the same bytes as chunks, which are delivered before it."""
        self._continuation: Continuation | None = None
        """The request whose response has the end of the stream (finish reason, usage)."""
        if announced is not None and isinstance(self._decoder, DecoderWithResponse):
            self._decoder.start(announced)
        # Not by the type, because a check of a protocol takes longer than all else here.
        read_headers: Callable[[Headers], None] | None = getattr(self._decoder, "read_headers", None)
        if read_headers is not None:
            read_headers(response.headers)

    async def next(self) -> Chunks | None:
        """The next chunks; None at the proper end, and where the body is of another kind."""
        while not self.ended and self.successor is None:
            chunks: Chunks = ()
            failed = self._error
            if failed is None:
                try:
                    if self._continuation is None:
                        data = await self._read()
                        if self._start is not None:
                            chunks = self._decode_start(data)
                        else:
                            chunks = self._decode(self._framing.feed(data)) if data else self._end_body()
                    else:
                        chunks = await self._closed.interrupting(self._read_end(self._continuation))
                except APIError as error:
                    failed = error
                except BaseException:  # the reader was cancelled, which ends the stream, too
                    self._call.settle_permit()
                    raise
            if failed is not None:
                chunks = self._end_or_raise(failed)
            if chunks and (not self.delivered or self._keeps_usage):
                self._record(chunks)
            if self._created:
                self._add_times(chunks)
            if self.ended:
                self._record_end()  # type: ignore[unreachable]  # mypy does not see that reading sets it
            if chunks:
                return chunks
        return None

    async def _take_start(self) -> bytes:
        """The bytes that were read before this attempt; later reads are of the response."""
        start, self._start, self._read = self._start, None, self.response.read
        return start or b""

    def _decode_start(self, data: bytes) -> Chunks:
        """The chunks while the body's kind is unknown, unless another kind is found, which sets `successor`."""
        # The parser of server-sent events skips what is none; others take another body for a broken stream.
        decodes_first = self._framing.body_kind == "events"
        if not decodes_first and self._find_successor(data):
            return ()
        chunks = self._decode(self._framing.feed(data)) if data else self._end_body()
        if decodes_first and self._start is not None:
            self._find_successor(data)
        return chunks

    def _find_successor(self, data: bytes) -> bool:
        """Sets `successor` if the body is no stream, and returns whether it is none; called until its kind is known."""
        assert self._start is not None, "the kind is not known yet"
        start = self._start.lstrip(BLANK) + data
        kind = body_kind(start)
        if kind in ("json", "page") and kind != self._framing.body_kind:
            self.successor = WholeAttempt(self._call, self.response, self._closed, start)
        self._start = start if kind is None and len(start) < _MAX_START else None
        return self.successor is not None

    def _end_body(self) -> Chunks:
        """The chunks at the proper end of the body, whose last event may lack its blank line."""
        events = self._framing.finish()
        try:
            return self._decode(events) if events else self._finish()
        except StreamInterruptedError as error:
            error.body = (self._start or b"").decode("utf-8", "replace") or None  # a text that is no stream
            raise

    def _decode(self, events: list[Event]) -> Chunks:
        if events and not self.delivered:
            self._start = None
            self.response.note_first_event(keep_deadline=self._call.plan.timeout.total_is_explicit)
        chunks: list[ChatCompletionChunk] = []
        try:
            for event in events:
                chunks += self._decoder.feed(event)
                if self._decoder.done:
                    chunks += self._finish()
                    self.response.finish_soon()
                    return chunks
            if self._framing.error is not None:
                raise self._framing.error
        except APIError as error:
            self._error = error
        return chunks

    def _finish(self) -> Chunks:
        end = self._decoder.finish()
        if isinstance(end, Continuation):
            self._continuation = end
            return ()
        self.ended = True
        return end

    def _end_or_raise(self, error: APIError) -> Chunks:
        """The end of the stream if the network failed after the provider had sent its finish reason; else raises."""
        if isinstance(error, APIConnectionError) and self._continuation is None:
            try:
                return self._finish()
            except StreamInterruptedError:
                pass
            if self.delivered and not isinstance(error, (APITimeoutError, StreamInterruptedError)):
                error = StreamInterruptedError(
                    f"{error.message}, before the provider sent a finish reason", phase=error.phase, maybe_billed=True
                )
        raise self._failure(error)

    async def _read_end(self, result: ChatCompletion | Continuation) -> Chunks:
        """The end of the stream, which another response has; the text was delivered already."""
        call = self._call
        if self.delivered:
            call.renew_default_total()
        while isinstance(result, Continuation):
            try:
                response = await call.next_response(result)
            except (APIConnectionError, InternalServerError) as error:
                if not self.delivered or isinstance(error, APITimeoutError):
                    raise
                call.info.warnings.append(f"usage is unknown: asking for it failed with {type(error).__name__}")
                result = ChatCompletion("", [Choice(0, ChatCompletionMessage(), "stop")], call.plan.target.model)
            else:
                result = call.decode(response)  # raises if the work has failed
        self.ended = True
        return closing_chunks(result)


class WholeAttempt(Attempt):
    """A response to a stream request that is a whole JSON body: a reply, or the announcement of where its stream is.

    A web page is read as well, and is an error.
    """

    __slots__ = ("_announced", "_start", "_stream")

    def __init__(self, call: Call, response: Response, closed: CloseSignal, start: bytes = b"") -> None:
        """`start` is what was read of the body already."""
        super().__init__(call, response, closed)
        self._start: bytes = start
        self._announced: HttpResponse | None = None
        """The announcement of a stream that has not delivered anything yet."""
        self._stream: StreamAttempt | None = None

    async def next(self) -> Chunks | None:
        """The reply as one chunk, or the chunks of the announced stream; None at the proper end."""
        if self.ended:
            return None
        chunks: Chunks | None = None
        try:
            if self._stream is None:
                chunks = await self._closed.interrupting(self._read_body())
            if chunks is None and self._stream is not None:
                chunks = await self._next_of_stream(self._stream)
        except APIError as error:
            failed = error
        except BaseException:  # the reader was cancelled, which ends the stream, too
            self._call.settle_permit()
            raise
        else:
            if self.successor is not None:
                return ()
            self._record(chunks or ())
            if self._created:
                self._add_times(chunks or ())
            if self.ended:
                self._record_end()  # type: ignore[unreachable]  # mypy does not see that reading sets it
            return chunks
        raise self._failure(failed)

    async def _read_body(self) -> Chunks | None:
        response = self.response
        kind = await self._read_start()
        if kind == "events" and _stream_kind(self._call) == "events":
            self.successor = StreamAttempt(self._call, response, self._closed, start=self._start)
            return ()
        data = self._start + await response.read_all(MAX_RESPONSE_BYTES - len(self._start))
        if kind == "page":
            raise page_error(data)
        body = HttpResponse(response.status, response.headers, data)
        result = self._call.decode(body)
        if not isinstance(result, Continuation) or result.request.headers.get("Accept") != EVENT_STREAM:
            return await self._poll(result)
        self.cancel_request, self._announced, self.may_restart = result.cancel, body, False
        try:
            self.response = await self._call.send(result.request, None, EVENT_STREAM)
        except APIError as error:
            failed = error
        else:
            self._stream = StreamAttempt(self._call, self.response, self._closed, body)
            return None
        return await self._poll_after(failed)

    async def _read_start(self) -> BodyKind | None:
        """Reads until the kind of the body is known, and returns it; None for a body of no known kind."""
        while (kind := body_kind(self._start)) is None and len(self._start) < _MAX_START:
            data = await self.response.read()
            if not data:
                break
            self._start = self._start.lstrip(BLANK) + data
        return kind

    async def _next_of_stream(self, stream: StreamAttempt) -> Chunks | None:
        try:
            chunks = await stream.next()
        except APIError as error:
            if self._announced is None:
                raise
            failed = error
        else:
            self._announced, self.ended = None, stream.ended
            return chunks
        return await self._closed.interrupting(self._poll_after(failed))

    async def _poll_after(self, error: APIError) -> Chunks:
        """The announced stream failed before its first chunk: the work goes on, and its result can be polled for.

        Asking for the reply again would be billed again, so other errors of the stream are final.
        """
        announced, self._announced = self._announced, None
        self.response.close()
        if announced is not None and isinstance(error, APIConnectionError) and not isinstance(error, APITimeoutError):
            return await self._poll(self._call.decode(announced, stream=False))
        raise error

    async def _poll(self, result: ChatCompletion | Continuation) -> Chunks:
        while isinstance(result, Continuation):
            self.cancel_request, self.may_restart = result.cancel, False
            result = await self._call.next_result(result)
        self.ended = True
        return (as_chunk(result),)
