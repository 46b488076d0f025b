"""Detection of leaked tasks, timers, connections, file descriptors and warnings, with a time limit for a test."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Callable
from typing import Any, NamedTuple, Self

from anycompletion import AsyncCompletion, CompletionStream
from anycompletion.client.client import client_state
from anycompletion.testing import SimulatorServer
from anycompletion.transport import Pool
from support.simulated import MODEL_BY_DIALECT


class Case(NamedTuple):
    """Kind of stream: a model and a number of choices."""

    model: str
    n: int
    requests: int
    """Number of HTTP requests of one stream of this kind."""


CASES = {
    "openai": Case("openai/gpt-4o", 1, 1),
    "openai-n3": Case("openai/gpt-4o", 3, 1),
    "anthropic": Case("anthropic/claude-haiku-4-5", 1, 1),
    "anthropic-n3": Case("anthropic/claude-haiku-4-5", 3, 3),
    **{
        dialect: Case(model, 1, 1)
        for dialect, model in MODEL_BY_DIALECT.items()
        if dialect not in ("openai_chat", "anthropic_messages", "replicate_predictions")
    },
}
"""All formats whose streams are one request, and several choices by the provider and by our fan-out."""


def client_of(sim: SimulatorServer, **options: Any) -> AsyncCompletion:
    """A client that sends to the simulator, for the formats of `CASES`."""
    names = {case.model.partition("/")[0] for case in CASES.values()}
    urls, keys = ({name: each[name] for name in names} for each in (sim.base_urls, sim.api_keys))
    return AsyncCompletion(base_urls=urls, api_keys=keys, **options)


def pools(client: AsyncCompletion) -> list[Pool]:
    """The connection pools of a client."""
    return [provider.transport for provider in client_state(client).provider_states.values()]


class nothing_left:  # noqa: N801 (a context manager)
    """Context manager that fails where its block leaks resources, or takes longer than `seconds`.

    Resources present on entry are ignored; timers and closing connections have `patience` seconds to end. A client with
    idle connections is closed, after which these may not be left either. The event loop may be asyncio's own or any
    that lists its timers under asyncio's name.
    """

    def __init__(self, client: AsyncCompletion, *, seconds: float = 10.0, patience: float = 1.0) -> None:
        self._client = client
        self._patience = patience
        self._timeout = asyncio.timeout(seconds)
        self._noise: list[str] = []

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        await self._timeout.__aenter__()
        self._tasks = asyncio.all_tasks()
        self._timers = _timers(self._loop)
        self._descriptors = descriptors()
        self._hook = sys.unraisablehook
        sys.unraisablehook = lambda args: self._noise.append(f"unraisable: {args.exc_value!r} in {args.object!r}")
        gc.freeze()  # existing objects need no further collection
        self._loop.set_exception_handler(lambda _, context: self._noise.append(f"loop: {context}"))
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        try:
            if exc_info[0] is None:
                await self._check()
        finally:
            gc.unfreeze()
            sys.unraisablehook = self._hook
            self._loop.set_exception_handler(None)
            await self._timeout.__aexit__(*exc_info)

    async def _check(self) -> None:
        await self._until_empty(self._in_use)
        if any(_has_cleanup_timer(pool) for pool in pools(self._client)):
            await self._client.aclose()
        await self._until_empty(self._left)
        gc.collect()
        await asyncio.sleep(0)
        left = self._in_use() + self._left() + self._noise
        assert not left, "\n".join(["left behind:", *left])

    def _in_use(self) -> list[str]:
        """Resources that an idle connection does not need."""
        left = [f"{pool.in_flight} responses" for pool in pools(self._client) if pool.in_flight]
        left += [f"{count} timeout watches" for pool in pools(self._client) if (count := len(pool._timer.watches))]
        return left + [f"{count} acquired connections" for pool in pools(self._client) if (count := acquired(pool))]

    def _left(self) -> list[str]:
        left = [f"task {task!r}" for task in asyncio.all_tasks() - self._tasks]
        left += [f"timer {timer!r}" for timer in _timers(self._loop) if timer not in self._timers]
        if (now := descriptors()) > self._descriptors:
            left.append(f"{now - self._descriptors} file descriptors")
        return left

    async def _until_empty(self, look: Callable[[], list[str]]) -> None:
        until = self._loop.time() + self._patience
        while look() and self._loop.time() < until:
            await asyncio.sleep(0.001)


def acquired(pool: Pool) -> int:
    """Number of connections in use."""
    return 0 if pool._connector is None else len(pool._connector._acquired)


def _has_cleanup_timer(pool: Pool) -> bool:
    """Whether a timer of idle connections or of timeouts is scheduled."""
    return pool._timer._handle is not None or (
        pool._connector is not None and pool._connector._cleanup_handle is not None
    )


def kept(pool: Pool) -> int:
    """Number of idle connections."""
    return 0 if pool._connector is None else sum(map(len, pool._connector._conns.values()))


def _timers(loop: asyncio.AbstractEventLoop) -> list[asyncio.TimerHandle]:
    scheduled: list[asyncio.TimerHandle] = loop._scheduled  # type: ignore[attr-defined]
    return [timer for timer in scheduled if not timer.cancelled()]


def descriptors() -> int:
    """Number of open file descriptors of this process."""
    return len(os.listdir("/proc/self/fd"))


class Reader:
    """Task that reads a stream to its end or error and counts its chunks."""

    def __init__(self, stream: CompletionStream) -> None:
        self.stream = stream
        self.count = 0
        self._enough = asyncio.Event()
        self._wanted = 0
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for _ in self.stream:
            self.count += 1
            if self.count >= self._wanted:
                self._enough.set()

    async def has(self, count: int) -> None:
        """Waits until `count` chunks were read."""
        self._wanted = count
        if self.count < count:
            self._enough.clear()
            await self._enough.wait()

    async def end(self, seconds: float = 1.0) -> BaseException | None:
        """Waits up to `seconds` for the end of the reading; returns its error, or None after a complete stream."""
        done, _ = await asyncio.wait({self.task}, timeout=seconds)
        assert done, "the reader hangs"
        return self.task.exception()
