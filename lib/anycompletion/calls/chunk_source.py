"""The chunks of one streamed call: opened, tried again until the first was handed out, never silently short."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from ..codecs.sse import SSEParser
from ..dialects.base import AnnouncedDecoder, Continuation, Decoder
from ..errors import (
    APIConnectionError,
    APIError,
    APIResponseError,
    APITimeoutError,
    CompletionError,
    InternalServerError,
    StreamInterruptedError,
)
from ..http import Headers, HttpRequest, HttpResponse
from ..records import AssistantMessage, ChatCompletion, Choice, ReplyInfo
from ..records.chunks import ChatCompletionChunk, ChunkChoice, Delta
from ..transport import MAX_JSON, Response
from .call import Call
from .plan import EVENTS

T = TypeVar("T")


class CallChunks:
    """The chunks of one streamed call; tried again until the first was handed out."""

    __slots__ = (
        "_announced",
        "_call",
        "_cancel",
        "_closed_with",
        "_decoder",
        "_delivered",
        "_ended",
        "_error",
        "_exchange",
        "_framing",
        "_last",
        "_loop",
        "_opener",
        "_request",
        "_tried",
    )

    def __init__(self, call: Call) -> None:
        self._call = call
        # Whatever can be said against the request is said now, and not when it is sent.
        self._request: tuple[HttpRequest, bytes | None] | None = call.encoded_now()
        self._exchange: Response | None = None
        self._framing: SSEParser | None = None
        self._decoder: Decoder | None = None
        self._delivered = False
        self._error: APIError | None = None
        self._ended = False
        self._announced: HttpResponse | None = None
        """The answer that told where the stream is."""
        self._last: Continuation | None = None
        """What tells how the stream ended, where the stream itself does not."""
        self._cancel: HttpRequest | None = None
        """What tells the provider that nobody waits any more."""
        self._closed_with: CompletionError | None = None
        """What `close` was told to end with."""
        self._opener: asyncio.Task[Any] | None = None
        """The task that sends, or waits to send again."""
        self._tried = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def info(self) -> ReplyInfo:
        """How the call goes."""
        return self._call.info

    async def open(self) -> None:
        """Sends the request; returns after a good status."""
        self._loop = asyncio.get_running_loop()
        if self._closed_with is not None:
            raise self._closed_with
        self._call.start()
        await self._unless_closed(self._open())

    async def _unless_closed(self, opening: Coroutine[Any, Any, T]) -> T:
        """Runs `opening` in this task; `close` from elsewhere ends it with the error it was told."""
        task = self._opener = asyncio.current_task()
        assert task is not None, "an event loop runs tasks"
        cancelling = task.cancelling()
        try:
            opened = await opening
        except asyncio.CancelledError:
            if self._closed_with is None or task.uncancel() > cancelling:
                raise
        else:
            if self._closed_with is None:
                return opened
        finally:
            self._opener = None
        raise self._closed_with

    async def _open(self) -> None:
        call = self._call
        if self._request is None:
            self._request = await call.encoded()
        while True:
            self._tried += 1
            try:
                self._exchange = await call.send(*self._request, EVENTS)
            except APIError as fault:
                error = fault
            else:
                break
            await call.retry_or_raise(error, self._tried, creating=True)
        self._framing = SSEParser()
        self._decoder = call.plan.dialect.decoder(call.request, call.plan.target)

    async def next(self) -> Sequence[ChatCompletionChunk] | None:
        """The next chunks, at least one; None at the proper end.

        Raises:
            StreamInterruptedError: the stream ended before the provider said why it stopped.
            APIError: the provider's error inside the stream, a clock, a lost connection.
        """
        while True:
            error = self._error
            if error is None:
                if self._ended:
                    return None
                exchange, decoder, lost, data = self._exchange, self._decoder, None, b""
                assert exchange is not None, "open() comes first"
                assert decoder is not None, "open() comes first"
                try:
                    if self._last is not None or (not self._delivered and _whole_body(exchange.headers) is not None):
                        chunks = await self._unless_closed(self._read_apart(exchange))
                    else:
                        # Here and not in a function of its own: each that waits is one more object per open stream.
                        try:
                            data = await exchange.read()
                        except APIConnectionError as fault:
                            lost = fault
                        chunks = (
                            self._decode(data, exchange, decoder)
                            if lost is None
                            else self._connection_lost(lost, decoder)
                        )
                except APIError as fault:
                    error = self._error = fault
                    self._ended = False
                else:
                    if chunks:
                        if not self._delivered:
                            self._delivered = True
                            self._request = None  # it is not sent again, and an open stream need not hold it
                        return chunks
                    continue
            if isinstance(error, StreamInterruptedError) and self._closed_with is None:
                # Nobody has seen anything of it yet, so it can be asked for again.
                error.retryable = not self._delivered
            if self._delivered or isinstance(error, (StreamInterruptedError, APIResponseError)):
                error.maybe_billed = True  # whatever went wrong then, the provider had begun to work
            if self._exchange is not None:
                self._exchange.close()
            if self._delivered or self._closed_with is not None:
                raise self._call.with_call_details(self._closed_with or error)
            self._error = None
            if self._announced is not None:
                # The work is under way; starting it again would pay for it twice. Its answer can be polled for.
                announced, self._announced = self._announced, None
                if isinstance(error, APIConnectionError) and not isinstance(error, APITimeoutError):
                    chunks = await self._unless_closed(self._poll(self._call.decode(announced, stream=False)))
                    self._delivered = True
                    return chunks
                raise self._call.with_call_details(error)
            await self._unless_closed(self._open_again(error))

    async def _open_again(self, error: APIError) -> None:
        await self._call.retry_or_raise(error, self._tried, creating=True)
        await self._open()

    async def _read_apart(self, exchange: Response) -> Sequence[ChatCompletionChunk]:
        """What does not come as a stream."""
        if self._last is not None:
            return await self._read_last(self._last)
        return await self._read_whole(exchange)

    def _decode(self, data: bytes, exchange: Response, decoder: Decoder) -> Sequence[ChatCompletionChunk]:
        if not data:
            return self._finish(decoder)
        framing = self._framing
        assert framing is not None, "open() comes first"
        events = framing.feed(data)
        if events and not self._delivered:
            exchange.first_event(keep_deadline=self._call.plan.timeout.total_is_explicit)
        chunks: list[ChatCompletionChunk] = []
        try:
            for event in events:
                chunks += decoder.feed(event)
                if decoder.done:
                    chunks += self._finish(decoder)
                    exchange.release()
                    return chunks
            if framing.error is not None:
                raise framing.error
        except APIError as fault:
            # What came before it in the same bytes is handed out first.
            self._error = fault
        return chunks

    def _connection_lost(self, error: APIConnectionError, decoder: Decoder) -> Sequence[ChatCompletionChunk]:
        """The road failed; if the provider had already said why it stopped, nothing is missing."""
        try:
            return self._finish(decoder)
        except StreamInterruptedError:
            pass
        if isinstance(error, (APITimeoutError, StreamInterruptedError)) or not self._delivered:
            raise error
        raise StreamInterruptedError(
            f"{error.message}, before the provider said why it stopped", phase=error.phase, maybe_billed=True
        )

    def _finish(self, decoder: Decoder) -> Sequence[ChatCompletionChunk]:
        end = decoder.finish()
        if isinstance(end, Continuation):
            self._last = end
            return ()
        self._end()
        return end

    async def _read_last(self, follow: Continuation) -> Sequence[ChatCompletionChunk]:
        """How a stream ended, told by one more answer; its text was handed out already."""
        call = self._call
        result: ChatCompletion | Continuation = follow
        try:
            while isinstance(result, Continuation):
                result = call.decode(await call.followed(result))
        except (APIConnectionError, InternalServerError) as fault:
            if not self._delivered or isinstance(fault, APITimeoutError):
                raise
            call.info.warnings.append(f"usage is unknown: asking for it failed with {type(fault).__name__}")
            result = ChatCompletion("", [Choice(0, AssistantMessage(), "stop")], call.plan.target.model)
        self._last = None
        self._end()
        return _closing(result)

    async def _read_whole(self, exchange: Response) -> Sequence[ChatCompletionChunk]:
        """Some servers answer a stream request with a whole reply, or with where the stream is; others with a page."""
        response = HttpResponse(exchange.status, exchange.headers, await exchange.read_all(MAX_JSON))
        if _whole_body(exchange.headers) != "json":
            text = response.body[:200].decode("utf-8", "replace")
            raise APIResponseError("the answer to a stream request is a web page", body=text)
        call = self._call
        result = call.decode(response)
        if isinstance(result, Continuation) and result.request.headers.get("Accept") == EVENTS:
            self._cancel = result.cancel
            await self._enter(result, response)
            return ()
        return await self._poll(result)

    async def _poll(self, result: ChatCompletion | Continuation) -> Sequence[ChatCompletionChunk]:
        """A reply that is no stream, as the one chunk of a stream."""
        while isinstance(result, Continuation):
            self._cancel = result.cancel
            result = await self._call.follow(result)
        self._end()
        return (as_chunk(result),)

    async def _enter(self, follow: Continuation, announced: HttpResponse) -> None:
        """Goes on with the stream that `announced` told of."""
        self._announced = announced
        self._exchange = await self._call.send(follow.request, None, EVENTS)
        decoder: object = self._decoder
        if isinstance(decoder, AnnouncedDecoder):
            decoder.start(announced)

    def _end(self) -> None:
        self._ended = True
        self._cancel = None
        self._call.info.elapsed = self._call.elapsed()

    def close(self, end: CompletionError | None = None) -> None:
        """Closes the connection at once; may be called from any thread, as destructors are."""
        if self._loop is None:
            self._closed_with = end  # one that was not opened yet never is
            return
        if self._ended and end is None:
            return
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if here is self._loop or self._loop.is_closed():
            self._close(end)
        else:
            self._loop.call_soon_threadsafe(self._close, end)

    def _close(self, end: CompletionError | None) -> None:
        if self._closed_with is None:
            self._closed_with = end
        if self._exchange is not None:
            self._exchange.close(end)
        if self._opener is not None and end is not None:
            self._opener.cancel()
            self._opener = None
        if self._cancel is not None and self._loop is not None and not self._loop.is_closed():
            self._call.plan.track_task(asyncio.ensure_future(self._call.cancel_upstream(self._cancel)))
            self._cancel = None

    async def wait_closed(self) -> None:
        """Nothing is left to wait for: closing is immediate."""


def _whole_body(headers: Headers) -> str | None:
    """ "json" or "html" where the answer to a stream request is no stream."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return {"application/json": "json", "text/html": "html"}.get(kind)


def _closing(completion: ChatCompletion) -> Sequence[ChatCompletionChunk]:
    """The end of a reply whose text was streamed: finish reasons, then usage."""
    ends = [
        ChunkChoice(
            choice.index, Delta(), choice.finish_reason, None, choice.native_finish_reason, choice.extra or None
        )
        for choice in completion.choices
    ]
    last = ChatCompletionChunk(completion.id, ends, completion.created, completion.model, native=completion.raw)
    if completion.usage is None:
        return (last,)
    usage = ChatCompletionChunk(
        completion.id, [], completion.created, completion.model, usage=completion.usage, native=completion.raw
    )
    return (last, usage)


def as_chunk(completion: ChatCompletion) -> ChatCompletionChunk:
    """A whole reply as the one chunk of a stream."""
    data = completion.to_dict()
    for choice in data["choices"]:
        choice["delta"] = choice.pop("message")
        for index, call in enumerate(choice["delta"].get("tool_calls") or ()):
            call["index"] = index
    chunk = ChatCompletionChunk.from_dict(data | {"object": "chat.completion.chunk"})
    chunk.native = completion.raw
    return chunk
