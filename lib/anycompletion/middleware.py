"""Middleware: functions around the logical call, once for all its attempts and branches, streams included.

Strategy: a plain call goes through the chain at once. A stream is made before its middleware has run, because
`client.stream(...)` is no coroutine; the chain runs when the stream is opened, and what it returns is relayed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from inspect import isawaitable
from typing import Any, TypeAlias, cast

import attrs

from .dialects.base import Target
from .errors import CompletionError, InvalidRequestError
from .options import CallOptions, ResolvedOptions
from .records import ChatCompletion, ChatRequest, ReplyInfo
from .records.chunks import ChatCompletionChunk
from .streaming.mapped import CompletedChunks
from .streaming.stream import ChunkSource, CompletionStream
from .validation import check_options, parse_options, validate_request

Reply: TypeAlias = ChatCompletion | CompletionStream


class Terminal:
    """What is left of a call when every middleware has had its turn: the client's own ways of making it."""

    __slots__ = ("complete", "stream", "target")

    def __init__(
        self,
        complete: Callable[[ChatRequest, ResolvedOptions], Awaitable[ChatCompletion]],
        stream: Callable[[ChatRequest, ResolvedOptions], CompletionStream],
        target: Callable[[ChatRequest, ResolvedOptions, bool], Target],
    ) -> None:
        self.complete = complete
        self.stream = stream
        self.target = target


class CallNext:
    """What is left of a call: the middleware further in, and sending. ``await call_next(request, options)``.

    It may be called never, once or several times. `stream` says whether a stream was asked for; then the reply is a
    `CompletionStream` that a good status has opened, and otherwise a `ChatCompletion`.
    """

    __slots__ = ("_left", "_sender", "stream")

    def __init__(self, sender: Terminal, left: Sequence[Middleware], *, stream: bool) -> None:
        self._sender = sender
        self._left = left
        self.stream = stream

    async def __call__(self, request: ChatRequest, options: CallOptions) -> Reply:
        """Goes on with the call; request and options may be other ones than came, and are validated again.

        Raises:
            CompletionError: what `create` raises.
        """
        if not self._left:
            return await self._send(validate_request(request, stream=self.stream), parse_options(options))
        further = CallNext(self._sender, self._left[1:], stream=self.stream)
        said: Any = self._left[0](request, options, further)
        reply: Any = await said if isawaitable(said) else said
        if isinstance(reply, (ChatCompletion, CompletionStream)):
            return reply
        name = getattr(self._left[0], "__qualname__", type(self._left[0]).__name__)
        raise TypeError(
            f"the middleware {name} returned {type(reply).__name__}; it must return a ChatCompletion or a "
            "CompletionStream, such as `await call_next(request, options)` gives"
        )

    async def _send(self, request: ChatRequest, settings: ResolvedOptions) -> Reply:
        if not self.stream:
            return await self._sender.complete(request, settings)
        opened = self._sender.stream(request, settings)
        await opened.open()
        return opened

    def target(self, request: ChatRequest, options: CallOptions) -> Target:
        """Where this request would go, with the client's defaults: `.provider`, `.model` and `.base_url`.

        Raises:
            InvalidRequestError: no such provider.
            ConfigurationError: no key, or no base URL.
        """
        return self._sender.target(request, parse_options(options), self.stream)


Middleware: TypeAlias = Callable[[ChatRequest, CallOptions, CallNext], Awaitable[Reply]]
"""``async (request, options, call_next) -> reply``, around the logical call. Its exceptions propagate.

`options` are those of this call, under one name each (`timeout` is a `Timeout`); the client's own go below them.
A whole reply is taken for a stream, and a stream for a whole reply: each is made into what was asked for.
"""


def checked_middleware(given: Sequence[Middleware]) -> tuple[Middleware, ...]:
    """The functions as a client keeps them.

    Raises:
        InvalidRequestError: something that cannot be called.
    """
    functions = tuple(given)
    for index, function in enumerate(cast("tuple[object, ...]", functions)):
        if not callable(function):
            param = f"middleware[{index}]"
            raise InvalidRequestError(f"{param}: expected an async function", param=param)
    return functions


class _Shown(dict[str, Any]):
    """Call options as middleware gets them. There may be secrets among the values: it shows names only."""

    def __repr__(self) -> str:
        return f"<{', '.join(self) or 'no options'}>"


def _shown(options: ResolvedOptions) -> CallOptions:
    return cast("CallOptions", _Shown(check_options(options.reveal())))


async def complete(call_next: CallNext, request: ChatRequest, options: ResolvedOptions) -> ChatCompletion:
    """A whole reply through the chain."""
    # A request of its own: that of the caller's reading knows what it holds, and middleware may change that.
    reply = await call_next(attrs.evolve(request), _shown(options))
    return await reply.get_final_completion() if isinstance(reply, CompletionStream) else reply


class MiddlewareChunks:
    """The chunks of the stream that the chain returns; the chain runs when this is opened."""

    __slots__ = ("_call_next", "_info", "_opener", "_options", "_request", "_source", "_told")

    def __init__(self, call_next: CallNext, request: ChatRequest, options: ResolvedOptions) -> None:
        self._call_next = call_next
        self._request = attrs.evolve(request)
        self._options = _shown(options)
        self._info = ReplyInfo("", request.model)
        self._source: ChunkSource | None = None
        self._opener: asyncio.Task[Any] | None = None
        """The task that runs the chain."""
        self._told: CompletionError | None = None
        """What `close` was told to end with."""

    @property
    def info(self) -> ReplyInfo:
        """How the call goes; little, before the chain has run."""
        return self._info if self._source is None else self._source.info

    async def open(self) -> None:
        """Runs the chain, and opens what it returns."""
        task = self._opener = asyncio.current_task()
        assert task is not None, "an event loop runs tasks"
        cancelling = task.cancelling()
        try:
            reply = await self._call_next(self._request, self._options)
            source = CompletedChunks(reply) if isinstance(reply, ChatCompletion) else reply.as_source()
            await source.open()
        except asyncio.CancelledError:
            if self._told is None or task.uncancel() > cancelling:
                raise
        else:
            self._source = source
            if self._told is None:
                return
            source.close(self._told)
        finally:
            self._opener = None
        raise self._told

    async def next(self) -> Sequence[ChatCompletionChunk] | None:
        """The next chunks; None at the proper end."""
        assert self._source is not None, "open() comes first"
        return await self._source.next()

    def close(self, end: CompletionError | None = None) -> None:
        """Closes what the chain returned, or ends the chain that is under way."""
        if self._source is not None:
            self._source.close(end)
        elif self._opener is not None and end is not None and self._told is None:
            self._told = end
            self._opener.cancel()

    async def wait_closed(self) -> None:
        """Until everything is let go of."""
        if self._source is not None:
            await self._source.wait_closed()


__all__ = ["CallNext", "Middleware", "MiddlewareChunks", "Reply", "Terminal", "checked_middleware", "complete"]
