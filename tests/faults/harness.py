"""Fault matrix: its rows as data, the tests that cover each, both event loops, and a server and client for a fault."""

import asyncio
import copy
import pickle
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from ssl import SSLContext
from typing import Any, Literal, Self, TypeAlias, cast
from weakref import WeakSet

import pytest

from anycompletion import AsyncCompletion, ChatCompletion, CompletionError
from support.raw_server import RawServer, Step
from support.resource_leaks import kept, nothing_left, pools

ROWS = {
    "F01": "connection refused",
    "F02": "host not found, or the resolver hangs",
    "F03": "connection attempt unanswered",
    "F04": "certificate of an unknown authority, for another host, expired, not yet valid",
    "F05": "TLS handshake without a response; plain HTTP on the TLS port; TLS 1.1 only",
    "F06": "accepted, then closed or reset before the request is read",
    "F07": "kept connection closed before it is used again",
    "F08": "kept connection closed, and every fresh one dies too",
    "F09": "request read, then closed or reset without a byte",
    "F10": "half a status line or half the headers, then closed",
    "F11": "garbage, HTTP/0.9 or an HTTP/2 frame instead of a response",
    "F12": "long headers, many headers, trailers without end",
    "F13": "contradictory lengths, bad chunk sizes",
    "F14": "informational responses, no reason phrase, status 999",
    "F15": "extra bytes or a second response after the first",
    "F16": "silence before the headers",
    "F17": "headers byte by byte",
    "F18": "body cut, reset or shorter than announced",
    "F19": "response while the request is still being sent",
    "F20": "server closes after the response",
    "F21": "compression bombs, unknown and broken encodings",
    "F22": "huge length announced, endless body",
    "F23": "body that is not JSON, or of another shape",
    "F24": "members missing, unknown, or of unknown value",
    "F25": "error inside a 200",
    "F26": "web page, nothing, or another content type",
    "F27": "redirects",
    "F28": "proxy refuses, asks for a password, or responds itself",
    "F30": "line ends of three kinds, cut anywhere",
    "F31": "byte-order marks",
    "F32": "comments, and blocks without data",
    "F33": "several data lines, no space, unknown fields, no colon",
    "F34": "characters that only look like line separators",
    "F35": "UTF-8 cut in two, or invalid",
    "F36": "very long lines, very many lines",
    "F37": "finish reason without an end marker",
    "F38": "end without a finish reason",
    "F39": "stream reset or closed halfway",
    "F40": "two end markers, data after it, connection held open",
    "F41": "malformed events",
    "F42": "error inside a stream",
    "F43": "whole reply instead of a stream",
    "F44": "web page, nothing or an error instead of a stream",
    "F45": "stalled stream",
    "F46": "slow consumer",
    "F47": "stream that is always ready",
    "F50": "cancelled anywhere",
    "F51": "cancelled twice",
    "F52": "left by break",
    "F53": "exception in the consumer",
    "F54": "stream used by two tasks, again, or after its end",
    "F55": "stream handed to another task",
    "F56": "client closed under its streams",
    "F57": "client used after close, or from elsewhere",
    "F58": "fork with a live client",
    "F59": "event loop closed without closing the client",
    "F60": "more calls than file descriptors",
    "F61": "clock that jumps",
    "F62": "one provider hangs",
}
"""Number → fault; absent numbers are not used."""

COVERS = "fault"
"""The marker of the rows that a test covers."""


def covers(*rows: str) -> pytest.MarkDecorator:
    """Marks a test, or a case of it, as one that covers the rows: ``@covers("F01")``."""
    for row in rows:
        assert row in ROWS, f"{row} is not a row of the matrix"
    mark: pytest.MarkDecorator = getattr(pytest.mark, COVERS)(*rows)
    return mark


def rows_of(item: pytest.Item) -> set[str]:
    """The rows that a test covers."""
    return {str(row) for mark in item.iter_markers(COVERS) for row in mark.args}


# --- both loops ------------------------------------------------------------------------------------------------------

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.SelectorEventLoop}
"""Name → factory of an event loop; every fault test runs on each."""

if sys.platform != "win32":
    import uvloop

    class WatchedUvloop(uvloop.Loop):
        """Uvloop with a list of its timers, which it does not expose itself."""

        def __init__(self) -> None:
            super().__init__()
            self._timers_made: WeakSet[asyncio.TimerHandle] = WeakSet()

        def call_later(self, *args: Any, **options: Any) -> asyncio.TimerHandle:  # type: ignore[override]
            """As uvloop's, and records the timer; `call_at` calls this too."""
            handle: asyncio.TimerHandle = super().call_later(*args, **options)
            if hasattr(handle, "when"):  # without a delay there is none
                self._timers_made.add(handle)
            return handle

        @property
        def _scheduled(self) -> list[asyncio.TimerHandle]:
            """Under asyncio's name, so that `nothing_left` reads both loops in the same way."""
            now = self.time()
            return [timer for timer in self._timers_made if not timer.cancelled() and timer.when() > now]

    LOOPS["uvloop"] = WatchedUvloop


def loop_of(item: pytest.Item) -> str | None:
    """The name of the loop that a test runs on; None for a test that is not a coroutine, which counts for all loops."""
    called = getattr(item, "callspec", None)
    params = [] if called is None else [*called.params.values()]
    return next((name for name, made in LOOPS.items() if made in params or name in params), None)


# --- the table -------------------------------------------------------------------------------------------------------


class Matrix:
    """Record of the rows that passed on each loop."""

    def __init__(self) -> None:
        self._passed: set[tuple[str, str]] = set()
        self._failed: set[tuple[str, str]] = set()

    def __bool__(self) -> bool:
        return bool(self._passed or self._failed)

    def count(self, rows: Iterable[str], loop: str | None, *, passed: bool) -> None:
        """Counts a test of these rows that has ended; `loop` is None if it counts for all loops."""
        loops = LOOPS if loop is None else (loop,)
        (self._passed if passed else self._failed).update((row, each) for row in rows for each in loops)

    def covered(self, row: str, loop: str) -> bool:
        """Whether a test of the row passed on that loop, and none failed."""
        return (row, loop) in self._passed and (row, loop) not in self._failed

    def lines(self) -> list[str]:
        """The table: how many rows are covered, then those that are not."""
        missing = {row: [loop for loop in LOOPS if not self.covered(row, loop)] for row in ROWS}
        whole = sum(not loops for loops in missing.values())
        head = f"fault matrix: {whole} of {len(ROWS)} rows × {{{', '.join(LOOPS)}}}"
        return [head] + [
            f"  missing: {row} {ROWS[row]}" + ("" if len(loops) == len(LOOPS) else f" (on {', '.join(loops)})")
            for row, loops in missing.items()
            if loops
        ]


# --- server and client -----------------------------------------------------------------------------------------------

KEY = "sk-a-secret-key-of-the-tests"
PROMPT = "A confidential question."


def client_to(url: str, **options: Any) -> AsyncCompletion:
    """A client that uses `url` as OpenAI's and does not retry, unless `options` change that."""
    settings: dict[str, Any] = {"base_urls": {"openai": url}, "api_keys": {"openai": KEY}, "max_retries": 0}
    return AsyncCompletion(**settings | options)


class Stage:
    """A server that follows `scripts`, a client that uses it as OpenAI's, and a check that nothing is left behind.

    Args:
        scripts: one per connection, as `RawServer` takes them.
        seconds: bound on the whole test.
        tls: makes it an https server.
        options: of the client.
    """

    def __init__(
        self, *scripts: Sequence[Step], seconds: float = 10.0, tls: SSLContext | None = None, **options: Any
    ) -> None:
        self.server = RawServer(*scripts, tls=tls)
        self.client: AsyncCompletion
        self._seconds = seconds
        self._options = options
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        enter = self._stack.enter_async_context
        await enter(self.server)
        self.client = await enter(client_to(self.server.url, **self._options))
        await enter(nothing_left(self.client, seconds=self._seconds))
        return self

    async def __aexit__(self, *exc_info: Any) -> bool | None:
        return await self._stack.__aexit__(*exc_info)

    @property
    def requests(self) -> int:
        """Requests that the server has read."""
        return len(self.server.requests)

    @property
    def kept(self) -> int:
        """Connections the client keeps for the next request."""
        return sum(map(kept, pools(self.client)))


# --- requests and errors ---------------------------------------------------------------------------------------------

Way: TypeAlias = Literal["reply", "stream"]
WAYS: tuple[Way, ...] = ("reply", "stream")
"""Ways of a request: for a whole reply, or for a stream."""

BOTH_WAYS = pytest.mark.parametrize("way", WAYS)


async def ask(client: AsyncCompletion, way: Way = "reply", **params: Any) -> str:
    """The text of the reply."""
    if way == "reply":
        return cast("ChatCompletion", await client.create("openai/m", PROMPT, **params)).text
    async with client.stream("openai/m", PROMPT, **params) as stream:
        return "".join([text async for text in stream.text])


async def fails(asked: Awaitable[object], cls: type[CompletionError], **attributes: Any) -> CompletionError:
    """The error that `asked` raises, which must have exactly that class and these attributes, and contain no secret."""
    with pytest.raises(CompletionError) as caught:
        await asked
    error = caught.value
    expected = {"provider": "openai", "model": "m", "attempts": 1, **attributes}
    assert (type(error), {name: getattr(error, name) for name in expected}) == (cls, expected), repr(error)
    assert error.elapsed is not None
    assert error.elapsed >= 0
    assert error.__cause__ is None, "an exception of aiohttp is attached"
    assert error.__context__ is None, "an exception of aiohttp is attached"
    for shown in (str(error), repr(error), repr(error.__dict__)):
        assert KEY not in shown
        assert PROMPT not in shown
    assert vars(pickle.loads(pickle.dumps(error))) == vars(copy.deepcopy(error)) == vars(error)  # noqa: S301 (our own)
    return error


async def fails_both_ways(
    stage: Stage, cls: type[CompletionError], *, requests: int = 1, kept: int = 0, **attributes: Any
) -> list[CompletionError]:
    """The errors of a reply and of a stream, each after `requests` requests and with `kept` connections kept."""
    errors: list[CompletionError] = []
    for way in WAYS:
        before = stage.requests
        errors.append(await fails(ask(stage.client, way), cls, **attributes))
        assert (way, stage.requests - before, stage.kept) == (way, requests, kept)
    return errors


def fault(
    row: str, name: str, script: Sequence[Step], cls: type[CompletionError], *, requests: int = 1, **attributes: Any
) -> Any:
    """Case of a table of faults: the server's script and the error that the caller gets."""
    return pytest.param(script, cls, attributes, requests, marks=covers(row), id=name)


FAULT = ("script", "cls", "attributes", "requests")
"""The names of the parameters of a case that `fault` returns."""
