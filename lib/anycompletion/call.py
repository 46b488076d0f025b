"""One logical call: encode, sign, send, retry, decode. The only room where the pure half meets the socket."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

import attrs

from .auth import Auth, check_key, sign
from .chunks import ChatCompletionChunk, ChunkChoice, Delta
from .convert import dumps, loads
from .dialects import Decoder, Dialect, Starts
from .errors import (
    APIConnectionError,
    APIError,
    APIResponseError,
    APITimeoutError,
    CompletionError,
    StreamInterruptedError,
)
from .framing import SSEFraming
from .lenient import NotJSONError
from .options import BearerToken, Secret, Timeout
from .records import ChatCompletion, ChatRequest, ReplyInfo
from .retry import next_delay, wait_hint
from .transport import MAX_ERROR_BODY, MAX_JSON, Clocks, Exchange, Pool
from .validate import explain_unsendable
from .wire import Follow, Headers, HttpRequest, HttpResponse, Need, Target

log = logging.getLogger("anycompletion")

_EVENTS = "text/event-stream"
_CANCEL_TIME = 5.0
"""Seconds the provider gets to learn that nobody waits any more."""

T = TypeVar("T")
E = TypeVar("E", bound=CompletionError)
KeySource = str | Secret | Callable[[], Awaitable[str]] | None


@attrs.define(eq=False, kw_only=True)
class Call:
    """Everything one branch of a logical call needs; made by the client, used once."""

    request: ChatRequest
    dialect: Dialect
    target: Target
    pool: Pool
    auth: Auth
    key: KeySource = attrs.field(repr=False)
    headers: Mapping[str, str] = attrs.field(repr=False)
    extra_headers: Mapping[str, str] = attrs.field(repr=False)
    """The caller's own; they win over all others."""
    query: Mapping[str, str] | None
    request_id_header: str
    timeout: Timeout
    max_retries: int
    known: dict[str, Any] = attrs.field(repr=False)
    """What the client has fetched for dialects so far; shared by its calls."""
    info: ReplyInfo
    keep: Callable[[asyncio.Task[None]], None]
    """Takes a strong reference to a task for as long as it runs."""
    log_level: int = logging.DEBUG
    started: float = 0.0
    revealed: str = attrs.field(default="", repr=False)
    """The key last sent, so that an error that echoes it can be cleaned."""

    # --- one attempt ---

    def start(self) -> None:
        """The logical call begins: `total` runs from here."""
        self.started = asyncio.get_running_loop().time()

    def clocks(self) -> Clocks:
        """The clocks of one attempt."""
        timeout = self.timeout
        return Clocks(
            timeout.connect,
            timeout.first_chunk if self.target.stream else None,
            timeout.idle,
            None if timeout.total is None else self.started + timeout.total,
        )

    async def encoded(self) -> tuple[HttpRequest, bytes | None]:
        """The request as a value and its body as bytes; fetches what the dialect needs first."""
        while True:
            encoded = self.dialect.encode(self.request, self.target, self.known)
            if isinstance(encoded, HttpRequest):
                break
            await self._fetch(encoded)
        self.info.warnings.extend(encoded.warnings)
        return encoded, self._bytes(encoded)

    async def _fetch(self, need: Need) -> None:
        exchange = await self.retried(lambda: self.send(need.request, None, "application/json"))
        body = await exchange.read_all(MAX_JSON)
        try:
            self.known[need.key] = loads(body)
        except NotJSONError:
            self.known[need.key] = None

    def _bytes(self, request: HttpRequest) -> bytes | None:
        if request.body is None:
            return None
        try:
            return dumps(request.body)
        except (TypeError, ValueError, RecursionError):
            error = explain_unsendable(self.request)
        raise error

    async def send(self, request: HttpRequest, body: bytes | None, accept: str) -> Exchange:
        """Sends one request; an answer with a bad status is an error.

        Raises:
            APIError: no answer, or the provider's error.
        """
        headers = {**self.headers, "Accept": accept, **request.headers}
        if body is not None:
            headers["Content-Type"] = "application/json"
        # An event stream in pieces gains nothing from compression and would wait in its buffers.
        headers["Accept-Encoding"] = "identity" if accept == _EVENTS else "gzip, deflate"
        if request.carries_key:
            headers |= sign(self.auth, await self._key(), token=self._is_token())
            if self.extra_headers:
                headers = _override(headers, self.extra_headers)
        self.info.attempts += 1
        # What an earlier attempt was told is not said of this one.
        self.info.status_code, self.info.headers, self.info.request_id = None, Headers(), None
        exchange = await self.pool.send(request.method, self._url(request.url), headers, body, self.clocks())
        self.info.status_code = exchange.status
        self.info.headers = exchange.headers
        self.info.request_id = exchange.headers.get(self.request_id_header)
        if log.isEnabledFor(self.log_level):
            log.log(self.log_level, "%s %s: status %s", self.target.provider, self.target.model, exchange.status)
        if not 200 <= exchange.status < 300:
            raise await self._bad_status(exchange)
        return exchange

    async def _key(self) -> str | None:
        key = self.key
        if key is None:
            return None
        if callable(key):
            key = await key()
        self.revealed = check_key(key.reveal() if isinstance(key, Secret) else key, self.target.provider)
        return self.revealed

    def _is_token(self) -> bool:
        return isinstance(self.key, BearerToken) or (callable(self.key) and self.auth.functions_give_tokens)

    def _url(self, url: str) -> str:
        if not self.query:
            return url
        return f"{url}{'&' if '?' in url else '?'}{urlencode(self.query)}"

    async def _bad_status(self, exchange: Exchange) -> APIError:
        if exchange.status < 400:
            exchange.close()
            host = urlsplit(exchange.headers.get("location", "")).hostname
            return APIResponseError(
                f"status {exchange.status} points to {host or 'somewhere else'}; redirects are never followed",
                status_code=exchange.status,
            )
        body = await exchange.read_some(MAX_ERROR_BODY)
        error = self.dialect.error(HttpResponse(exchange.status, exchange.headers, body))
        error.retry_after = wait_hint(exchange.headers)
        return error

    # --- attempts ---

    async def retried(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Runs `attempt` until it succeeds or its error is final."""
        tried = 0
        while True:
            tried += 1
            try:
                return await attempt()
            except APIError as fault:
                error = fault
            await self.again_or_raise(error, tried)

    async def again_or_raise(self, error: APIError, tried: int) -> None:
        """Waits before the next attempt, or raises `error`, stamped."""
        delay = next_delay(
            error,
            tried=tried,
            max_retries=self.max_retries,
            time_left=self._time_left(),
            random=random.random,
        )
        if delay is None:
            raise self.stamped(error)
        log.log(
            self.log_level,
            "%s %s: %s, again in %.2f s",
            self.target.provider,
            self.target.model,
            type(error).__name__,
            delay,
        )
        await self.pool.pause(delay)

    def _time_left(self) -> float | None:
        total = self.timeout.total
        return None if total is None else self.started + total - asyncio.get_running_loop().time()

    def elapsed(self) -> float:
        """Seconds since the logical call began."""
        return asyncio.get_running_loop().time() - self.started

    def stamped(self, error: E) -> E:
        """`error` with everything the call knows, and without our key should the provider have echoed it."""
        info = self.info
        error.provider, error.model = self.target.provider, self.target.model
        error.attempts, error.elapsed = info.attempts, self.elapsed()
        error.request_id = error.request_id or info.request_id
        error.status_code = error.status_code or info.status_code
        error.headers = error.headers if error.headers is not None else (info.headers or None)
        if self.revealed and len(self.revealed) > 3:
            error.message = error.message.replace(self.revealed, "***")
            error.args = (error.message,)
            error.body = None if error.body is None else error.body.replace(self.revealed, "***")
        return error

    # --- a whole reply ---

    async def complete(self) -> ChatCompletion:
        """One reply.

        Raises:
            InvalidRequestError: the request cannot be said to this provider; nothing was sent.
            APIError: see the error table.
        """
        self.start()
        request, body = await self.encoded()
        completion = await self.retried(lambda: self._attempt(request, body))
        self.info.elapsed = self.elapsed()
        completion.info = self.info
        return completion

    async def _attempt(self, request: HttpRequest, body: bytes | None) -> ChatCompletion:
        result = await self._answer(request, body)
        while isinstance(result, Follow):
            result = await self.follow(result)
        return result

    async def _answer(self, request: HttpRequest, body: bytes | None) -> ChatCompletion | Follow:
        exchange = await self.send(request, body, "application/json")
        data = await exchange.read_all(MAX_JSON)
        return self.dialect.decode(HttpResponse(exchange.status, exchange.headers, data), self.request, self.target)

    async def follow(self, follow: Follow) -> ChatCompletion | Follow:
        """The answer to the request of a reply that was not finished, after the wait it asks for."""
        try:
            await self.pool.pause(follow.after)
            return await self._answer(follow.request, None)
        except (asyncio.CancelledError, APITimeoutError):
            if follow.cancel is not None:
                # In a task of its own: who cancels does not wait for the provider.
                self.keep(asyncio.ensure_future(self.cancel_upstream(follow.cancel)))
            raise

    async def cancel_upstream(self, request: HttpRequest) -> None:
        """Tells the provider that nobody waits any more; its failure changes nothing."""
        self.start()
        try:
            async with asyncio.timeout(_CANCEL_TIME):
                (await self.send(request, None, "application/json")).close()
        except (CompletionError, TimeoutError):
            pass


def _override(headers: Mapping[str, str], extra: Mapping[str, str]) -> dict[str, str]:
    given = {name.lower() for name in extra}
    return {name: value for name, value in headers.items() if name.lower() not in given} | dict(extra)


class Source:
    """The chunks of one streamed call; tried again until the first was handed out."""

    __slots__ = (
        "_call",
        "_cancel",
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
        "_told",
        "_tried",
    )

    def __init__(self, call: Call) -> None:
        self._call = call
        self._request: tuple[HttpRequest, bytes | None] | None = None
        self._exchange: Exchange | None = None
        self._framing = SSEFraming()
        self._decoder: Decoder | None = None
        self._delivered = False
        self._error: APIError | None = None
        self._ended = False
        self._last: Follow | None = None
        """What tells how the stream ended, where the stream itself does not."""
        self._cancel: HttpRequest | None = None
        """What tells the provider that nobody waits any more."""
        self._told: CompletionError | None = None
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
        self._call.start()
        await self._unless_closed(self._open())

    async def _unless_closed(self, opening: Coroutine[Any, Any, None]) -> None:
        """Runs `opening` in this task; `close` from elsewhere ends it with the error it was told."""
        task = self._opener = asyncio.current_task()
        assert task is not None, "an event loop runs tasks"
        cancelling = task.cancelling()
        try:
            await opening
        except asyncio.CancelledError:
            if self._told is None or task.uncancel() > cancelling:
                raise
        finally:
            self._opener = None
        if self._told is not None:
            raise self._told

    async def _open(self) -> None:
        call = self._call
        if self._request is None:
            self._request = await call.encoded()
        while True:
            self._tried += 1
            try:
                self._exchange = await call.send(*self._request, _EVENTS)
            except APIError as fault:
                error = fault
            else:
                break
            await call.again_or_raise(error, self._tried)
        self._framing = SSEFraming()
        self._decoder = call.dialect.decoder(call.request, call.target)

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
                try:
                    chunks = await self._read()
                except APIError as fault:
                    error = self._error = fault
                    self._ended = False
                    # Whatever made it short, the provider had begun to work.
                    error.maybe_billed = error.maybe_billed or isinstance(error, StreamInterruptedError)
                else:
                    if chunks:
                        self._delivered = True
                        return chunks
                    continue
            if self._exchange is not None:
                self._exchange.close()
            if self._delivered:
                raise self._call.stamped(error)
            self._error = None
            await self._unless_closed(self._open_again(error))

    async def _open_again(self, error: APIError) -> None:
        await self._call.again_or_raise(error, self._tried)
        await self._open()

    async def _read(self) -> Sequence[ChatCompletionChunk]:
        exchange, decoder = self._exchange, self._decoder
        assert exchange is not None, "open() comes first"
        assert decoder is not None, "open() comes first"
        if self._last is not None:
            return await self._read_last(self._last)
        if not self._delivered and (whole := _whole_body(exchange.headers)) is not None:
            return await self._read_whole(exchange, whole)
        try:
            data = await exchange.read()
        except APIConnectionError as fault:
            lost = fault
        else:
            return self._decode(data, exchange, decoder)
        return self._lost(lost, decoder)

    def _decode(self, data: bytes, exchange: Exchange, decoder: Decoder) -> Sequence[ChatCompletionChunk]:
        if not data:
            return self._finish(decoder)
        framing = self._framing
        events = framing.feed(data)
        if events and not self._delivered:
            exchange.first_event(keep_deadline=self._call.timeout.total_is_explicit)
        chunks: list[ChatCompletionChunk] = []
        try:
            for event in events:
                chunks += decoder.feed(event)
                if decoder.done:
                    chunks += self._finish(decoder)
                    exchange.release()
                    return chunks
            if framing.fault is not None:
                raise framing.fault
        except APIError as fault:
            # What came before it in the same bytes is handed out first.
            self._error = fault
        return chunks

    def _lost(self, error: APIConnectionError, decoder: Decoder) -> Sequence[ChatCompletionChunk]:
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
        if isinstance(end, Follow):
            self._last = end
            return ()
        self._end()
        return end

    async def _read_last(self, follow: Follow) -> Sequence[ChatCompletionChunk]:
        """How a stream ended, told by one more answer; its text was handed out already."""
        call = self._call
        result: ChatCompletion | Follow = follow
        while isinstance(result, Follow):
            result = await call.follow(result)
        self._last = None
        self._end()
        return _closing(result)

    async def _read_whole(self, exchange: Exchange, kind: str) -> Sequence[ChatCompletionChunk]:
        """Some servers answer a stream request with a whole reply, or with where the stream is; others with a page."""
        body = await exchange.read_all(MAX_JSON)
        if kind != "json":
            text = body[:200].decode("utf-8", "replace")
            raise APIResponseError("the answer to a stream request is a web page", body=text)
        call = self._call
        response = HttpResponse(exchange.status, exchange.headers, body)
        result = call.dialect.decode(response, call.request, call.target)
        while isinstance(result, Follow):
            self._cancel = result.cancel
            if result.request.headers.get("Accept") == _EVENTS:
                await self._enter(result, response)
                return ()
            result = await call.follow(result)
        self._cancel = None
        self._end()
        return (_as_chunk(result, body),)

    async def _enter(self, follow: Follow, announced: HttpResponse) -> None:
        """Goes on with the stream that `announced` told of."""
        self._exchange = await self._call.send(follow.request, None, _EVENTS)
        decoder: object = self._decoder
        if isinstance(decoder, Starts):
            decoder.start(announced)

    def _end(self) -> None:
        self._ended = True
        self._cancel = None
        self._call.info.elapsed = self._call.elapsed()

    def close(self, end: CompletionError | None = None) -> None:
        """Closes the connection at once; may be called from any thread, as destructors are."""
        if self._loop is None or (self._ended and end is None):
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
        if self._told is None:
            self._told = end
        if self._exchange is not None:
            self._exchange.close(end)
        if self._opener is not None and end is not None:
            self._opener.cancel()
            self._opener = None
        if self._cancel is not None and self._loop is not None and not self._loop.is_closed():
            self._call.keep(asyncio.ensure_future(self._call.cancel_upstream(self._cancel)))
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


def _as_chunk(completion: ChatCompletion, body: bytes) -> ChatCompletionChunk:
    """A whole reply as the one chunk of a stream."""
    data = completion.to_dict()
    for choice in data["choices"]:
        choice["delta"] = choice.pop("message")
        for index, call in enumerate(choice["delta"].get("tool_calls") or ()):
            call["index"] = index
    chunk = ChatCompletionChunk.from_dict(data | {"object": "chat.completion.chunk"})
    chunk.native = body
    return chunk
