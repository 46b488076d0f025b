"""Middleware: functions around the logical call, once for all its attempts and branches, streams included.

A plain call passes the chain at once. A stream is made before its middleware has run, because `client.stream(...)` is
no coroutine; the chain runs when the stream is opened, and the stream delivers the chunks of what the chain returned.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from inspect import isasyncgenfunction, isawaitable, isfunction
from typing import Any, Protocol, TypeAlias, cast

import attrs

from ._async import Interruptible
from ._boundary import hides_frames
from .calls.chunk_source import ChunkSource
from .dialects.base import Target
from .errors import CompletionError, InvalidRequestError
from .logs import observer_failed
from .options import CallOptions, OptionValues
from .records import ChatCompletion, ChatRequest, ReplyInfo
from .records.chunks import ChatCompletionChunk
from .streaming.mapped import CompletedChunks
from .streaming.stream import CompletionStream
from .validation import check_options, parse_options, validate_request

Reply: TypeAlias = ChatCompletion | CompletionStream
"""What a call returns: a whole reply, or with ``stream=True`` a stream."""


Warnings: TypeAlias = tuple[str, ...]
"""What was dropped from options on their way through a chain."""


class Received(Protocol):
    """The options that a middleware function received."""

    def passed_on(self, request: ChatRequest, given: Mapping[str, Any]) -> tuple[Mapping[str, Any], Warnings]:
        """The options with which a request may go on: a key does not go to a provider that it was not given for.

        Raises:
            ConfigurationError: a key would go to another base URL.
        """
        ...


class Terminal:
    """The end of a middleware chain: the client's own ways of making the call."""

    __slots__ = ("complete", "in_background", "receive", "stream", "target")

    def __init__(
        self,
        complete: Callable[[ChatRequest, OptionValues, Warnings], Awaitable[ChatCompletion]],
        stream: Callable[[ChatRequest, OptionValues, Warnings], CompletionStream],
        target: Callable[[ChatRequest, OptionValues, bool], Target],
        receive: Callable[[ChatRequest, CallOptions], Received],
        in_background: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self.complete = complete
        self.stream = stream
        self.target = target
        self.receive = receive
        self.in_background = in_background


class CallNext:
    """The rest of the chain: inner middleware, then sending. ``await call_next(request, options)``.

    It may be called never, once or several times. The reply is a `CompletionStream` that is open if `stream` is True,
    otherwise a `ChatCompletion`.
    """

    __slots__ = ("_inner", "_received", "_terminal", "_warnings", "stream")

    def __init__(
        self,
        terminal: Terminal,
        inner: Sequence[Middleware],
        *,
        stream: bool,
        received: Received | None = None,
        warnings: Warnings = (),
    ) -> None:
        self._terminal = terminal
        self._inner = inner
        self._received = received
        self._warnings = warnings
        self.stream = stream

    @hides_frames
    async def __call__(self, request: ChatRequest, options: CallOptions) -> Reply:
        """Continues the call; request and options may differ from those that came, and are validated again.

        Where the request goes to another provider, `api_key`, `base_url`, `api_version`, `organization`, `project` and
        headers with credentials are dropped, with a line in ``reply.info.warnings``, unless they were set anew.

        Raises:
            ConfigurationError: `base_url` was changed, and the key was not.
            CompletionError: what `create` raises.
        """
        options, warnings = self._passed_on(request, options)
        if not self._inner:
            return await self._send(validate_request(request), parse_options(options), warnings)
        function, received = self._inner[0], self._terminal.receive(request, options)
        inner = CallNext(self._terminal, self._inner[1:], stream=self.stream, received=received, warnings=warnings)
        returned: Any = function(request, options, inner)
        reply: Any = await returned if isawaitable(returned) else returned
        if isinstance(reply, (ChatCompletion, CompletionStream)):
            return reply
        name = getattr(function, "__qualname__", type(function).__name__)
        raise TypeError(
            f"the middleware {name} returned {type(reply).__name__}; it must return a ChatCompletion or a "
            "CompletionStream, such as `await call_next(request, options)` gives"
        )

    def _passed_on(self, request: ChatRequest, options: CallOptions) -> tuple[CallOptions, Warnings]:
        if self._received is None:
            return options, self._warnings
        kept, dropped = self._received.passed_on(request, options)
        if not dropped:
            return options, self._warnings
        return cast("CallOptions", _MiddlewareOptions(kept)), (*self._warnings, *dropped)

    async def _send(self, request: ChatRequest, options: OptionValues, warnings: Warnings) -> Reply:
        if not self.stream:
            return await self._terminal.complete(request, options, warnings)
        stream = self._terminal.stream(request, options, warnings)
        await stream.open()
        return stream

    @hides_frames
    def target(self, request: ChatRequest, options: CallOptions) -> Target:
        """Where this request would go, with the client's defaults: `.provider`, `.model` and `.base_url`.

        Raises:
            InvalidRequestError: no such provider.
            ConfigurationError: no key, or no base URL.
        """
        return self._terminal.target(request, parse_options(self._passed_on(request, options)[0]), self.stream)

    def in_background(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Runs a coroutine for which the call does not wait; closing the client waits for it, for at most a second.

        The coroutine must handle its own errors.
        """
        self._terminal.in_background(coroutine)


Middleware: TypeAlias = Callable[[ChatRequest, CallOptions, CallNext], Awaitable[Reply]]
"""``async (request, options, call_next) -> reply``, around the logical call.

Its exceptions propagate: a `CompletionError` is the error of the call, or of the item of a batch. Any other one is
raised as it is, also by `attempt`, and by the iteration over a batch, which it ends.

`options` are those of this call, with aliases such as `forceTimeout` resolved (`timeout` is a `Timeout`), and `tags`
and `cache` of its view; the other defaults still apply.
A whole reply may be returned for a stream, and a stream for a whole reply: each is converted to what was asked for.
"""


def checked_middleware(given: Sequence[Middleware]) -> tuple[Middleware, ...]:
    """The functions as a client keeps them.

    Raises:
        InvalidRequestError: one of them cannot be called.
    """
    value = cast("object", given)
    if isinstance(value, str) or not isinstance(value, Iterable):
        found = f"a function; write middleware=[{value.__name__}]" if isfunction(value) else type(value).__name__
        raise InvalidRequestError(f"middleware: expected a list of async functions, found {found}", param="middleware")
    functions = tuple(given)
    for index, function in enumerate(cast("tuple[object, ...]", functions)):
        if not callable(function) or isasyncgenfunction(function) or isinstance(function, type):
            param = f"middleware[{index}]"
            raise InvalidRequestError(f"{param}: expected an async function", param=param)
    return functions


class _MiddlewareOptions(dict[str, Any]):
    """Call options as middleware gets them; the repr has their names only, because values may be secret."""

    def __repr__(self) -> str:
        return f"<{', '.join(self) or 'no options'}>"


def without_option(options: CallOptions, name: str) -> CallOptions:
    """The options but one; themselves where that is not among them."""
    if name not in options:
        return options
    return cast("CallOptions", _MiddlewareOptions({key: value for key, value in options.items() if key != name}))


def _options_for_middleware(options: OptionValues) -> CallOptions:
    return cast("CallOptions", _MiddlewareOptions(check_options(options.reveal())))


async def complete_through(call_next: CallNext, request: ChatRequest, options: OptionValues) -> ChatCompletion:
    """A whole reply through the chain."""
    # A request of its own: the validated one remembers which members it has, and middleware may change that.
    reply = await call_next(attrs.evolve(request), _options_for_middleware(options))
    return await reply.get_final_completion() if isinstance(reply, CompletionStream) else reply


class MiddlewareChunks(ChunkSource):
    """The source of the chunks of the stream that the chain returns; opening it runs the chain."""

    __slots__ = ("_call_next", "_closed_with", "_info", "_may_restart", "_opening", "_options", "_request", "_source")

    def __init__(
        self, call_next: CallNext, request: ChatRequest, options: OptionValues, *, may_restart: bool = False
    ) -> None:
        self._call_next = call_next
        self._request = attrs.evolve(request)
        self._options = _options_for_middleware(options)
        self._info = ReplyInfo("", request.model)
        self._may_restart = may_restart
        """Whether the call is to a route whose streams may begin anew, as far as is known before the chain runs."""
        self._source: ChunkSource | None = None
        self._opening: Interruptible | None = None
        self._closed_with: CompletionError | None = None
        """The error that `close` was given while the chain ran."""

    @property
    def info(self) -> ReplyInfo:
        """Details of the call; without a provider before the chain has run."""
        return self._info if self._source is None else self._source.info

    @property
    def may_restart(self) -> bool:
        """Whether what the chain returns may begin anew."""
        return self._may_restart if self._source is None else self._source.may_restart

    async def open(self) -> None:
        """Runs the chain, and opens what it returns.

        Raises:
            CompletionError: what the chain raised, or what `close` was given in the meantime.
        """
        self._opening = Interruptible()
        try:
            with self._opening:
                reply = await self._call_next(self._request, self._options)
                source = CompletedChunks(reply) if isinstance(reply, ChatCompletion) else reply.as_source()
                await source.open()
                self._source = source
                if self._closed_with is None:
                    return
                source.close(self._closed_with)
        finally:
            self._opening = None
        assert self._closed_with is not None, "only `close` interrupts"
        raise self._closed_with

    async def next(self) -> Sequence[ChatCompletionChunk] | None:
        """The next chunks; None at the proper end."""
        assert self._source is not None, "open() comes first"
        return await self._source.next()

    def close(self, end: CompletionError | None = None) -> None:
        """Closes what the chain returned, or interrupts the chain."""
        if self._source is not None:
            self._source.close(end)
        elif self._opening is not None and end is not None and self._closed_with is None:
            self._closed_with = end
            self._opening.interrupt()

    async def wait_closed(self) -> None:
        """Waits until everything is released."""
        if self._source is not None:
            await self._source.wait_closed()


# --- logger_fn ---


def logger_middleware(function: Callable[[dict[str, Any]], object]) -> Middleware:
    """The middleware that calls `logger_fn` once before a logical call and once after its reply or error.

    An exception of the function is logged and changes nothing for the call.
    """

    async def log_call(request: ChatRequest, options: CallOptions, call_next: CallNext) -> Reply:
        target = call_next.target(request, options)
        tags = {name: options[name] for name in ("tags",) if name in options}

        def report(event: str, **details: Any) -> None:
            try:
                function({"provider": target.provider, "model": target.model, "event": event, **tags, **details})
            except (Exception, GeneratorExit) as error:  # noqa: BLE001 (an observer's failure is logged, whatever it is)
                observer_failed("logger_fn", error)

        def report_end(completion: ChatCompletion, error: CompletionError | None) -> None:
            if error is None:
                report("reply", response=completion.to_dict(), elapsed=completion.info.elapsed)
            elif error.phase != "closed":  # a stream that its reader left has neither a reply nor an error
                report("error", error=error)

        report("request", stream=call_next.stream, request=request.to_dict())
        try:
            reply = await call_next(request, options)
        except CompletionError as error:
            report("error", error=error)
            raise
        if isinstance(reply, CompletionStream):
            reply.on_end(report_end)
        else:
            report_end(reply, None)
        return reply

    return log_call


__all__ = [
    "CallNext",
    "Middleware",
    "MiddlewareChunks",
    "Reply",
    "Terminal",
    "checked_middleware",
    "complete_through",
    "logger_middleware",
    "without_option",
]
