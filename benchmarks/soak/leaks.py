"""10,000 calls per kind of fault: is anything left behind?

Method. The server is the package's own simulator in another process; a header of each request selects
the fault. Half of the calls are plain, half are streams, a hundred at a time, without retries unless the kind is
about them. For each kind there is a client of its own. A tenth of the calls go first, so that caches and the allocator
are warm; then resident memory is read before and after the others, each time after the C library has returned
free memory (malloc_trim). What is in use of the pool (responses, slots, waiters, connections), and the event loop's
tasks, are counted when the calls have ended; descriptors, tasks, timers and all objects that Python's collector knows
when the client is gone, compared with before. Every message of a destructor, the event loop or `warnings`
in that time counts as noise. Where memory grew too much, all calls are made once more, and that growth counts:
fragments of memory are left behind once, a leak each time; the same with objects, for there are caches. Where something
is left all the same, a few more calls are made under `tracemalloc`, which reports where.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import random
import socket
import sys
import time
import tracemalloc
import warnings
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import attrs

from anycompletion import AsyncCompletion, CompletionError, CompletionStream, Timeout
from anycompletion.testing import FAULTS, Fault, SimulatorServer
from anycompletion.testing.formats.registry import FORMATS

from .common import (
    MIB,
    Figure,
    Server,
    allow_files,
    command,
    conclude,
    descriptors,
    in_use,
    run_on,
    trimmed_resident_bytes,
)

CALLS, SHORT_CALLS = 10_000, 100
AT_ONCE, MANY_AT_ONCE = 100, 300
"""The latter where calls only wait."""
WAIT, SHORT_WAIT = 0.3, 0.15
"""Seconds after which a call gives up where the fault is that it has to wait."""
LONG_WAIT = 5.0
"""The same for all other faults."""
MOST = 4.0
"""MiB that a kind may leave."""
OBJECTS = 200
"""Python objects that it may leave: here and there a cache fills up, and one call makes a hundred of them."""
PATIENCE = 8.0
"""Seconds that cancel requests and closing connections may take."""

MODELS = {
    "openai": "openai/gpt-4o",
    "anthropic": "anthropic/claude-haiku-4-5",
    "replicate": "replicate/meta/meta-llama-3-8b-instruct",
}

COSTLY = {"endless-body": 20, "gzip-bomb": 5}
"""Kinds whose answers are megabytes: so many times fewer calls."""

# --- calls -----------------------------------------------------------------------------------------------------------


class Made(NamedTuple):
    """Arguments of a call."""

    client: AsyncCompletion
    provider: str
    header: str
    """The fault, as the value of the simulator's header."""
    rng: random.Random

    def arguments(self) -> tuple[str, str]:
        """Model and messages."""
        return MODELS[self.provider], "Say something that is a little longer than that."

    def options(self) -> dict[str, Any]:
        """The fault."""
        return {"extra_headers": {"x-simulate": self.header}} if self.header else {}


Act = Callable[[Made, int], Awaitable[str]]
"""Makes one call; returns the name of its outcome if it does not raise."""


async def ask(made: Made, number: int) -> str:
    """A plain call or a stream that is read to its end, alternately."""
    if number % 2:
        await made.client.create(*made.arguments(), **made.options())
        return "answered"
    async with made.client.stream(*made.arguments(), **made.options()) as stream:
        async for _ in stream:
            pass
    return "answered"


async def _cancelled(made: Made, number: int) -> str:
    task = asyncio.ensure_future(ask(made, number))
    handle = asyncio.get_running_loop().call_later(made.rng.random() * 0.1, task.cancel)
    await asyncio.wait([task])
    handle.cancel()
    return "cancelled" if task.cancelled() else task.result()


async def _opened(made: Made) -> CompletionStream:
    stream: CompletionStream = await made.client.create(*made.arguments(), stream=True, **made.options())
    return stream


async def _left(made: Made, _: int) -> str:
    async with await _opened(made) as stream:
        async for _chunk in stream:
            break
    return "left"


async def _dropped(made: Made, _: int) -> str:
    stream = await _opened(made)
    await anext(stream)
    return "dropped"


async def _closed_elsewhere(made: Made, _: int) -> str:
    stream = await _opened(made)
    await anext(stream)
    await asyncio.ensure_future(stream.aclose())
    return "closed"


async def _consumer_fails(made: Made, _: int) -> str:
    try:
        async with await _opened(made) as stream:
            async for _chunk in stream:
                raise LookupError
    except LookupError:
        return "raised"
    return "answered"


async def _fanned_out(made: Made, number: int) -> str:
    if number % 2:
        await made.client.create(*made.arguments(), n=3, **made.options())
        return "answered"
    async with made.client.stream(*made.arguments(), n=3, **made.options()) as stream:
        async for _ in stream:
            pass
    return "answered"


@attrs.frozen(kw_only=True)
class Kind:
    """Kind of fault: what goes wrong, and what the caller does."""

    name: str
    header: str = ""
    provider: str = "openai"
    act: Act = ask
    retries: int = 0
    url: str = ""
    """Where to call instead."""
    hasty: bool = False
    """Whether calls time out soon: the server does not respond, or responds with a wait."""


def kinds(refused: str) -> Iterator[Kind]:
    """Every fault that the simulator knows now, then what callers do."""
    yield Kind(name="none")
    for name, fault in FAULTS.items():
        yield Kind(name=name, header=name, provider=fault.provider or "openai", hasty=_takes_time(fault))
    for name in ("cut", "close", "reset", "stall", "error"):
        header = f"{name}-after-3-events"
        try:
            fault = Fault.named(header)
        except ValueError:
            continue
        yield Kind(name=header, header=header, hasty=_takes_time(fault))
    yield Kind(name="server-error, retried", header="server-error", retries=2)
    yield Kind(name="fan-out, every branch reset", header="reset-after-3-events", provider="anthropic", act=_fanned_out)
    yield Kind(name="connection refused", url=refused)
    yield Kind(name="cancelled at random", act=_cancelled)
    yield Kind(name="cancelled at random while nothing comes", header="hang", act=_cancelled)
    yield Kind(name="stream left by break", act=_left)
    yield Kind(name="stream dropped", act=_dropped)
    yield Kind(name="stream closed by another task", act=_closed_elsewhere)
    yield Kind(name="exception in the consumer", act=_consumer_fails)


def _takes_time(fault: Fault) -> bool:
    silent = fault.kind in ("hang", "stall") or fault.outcome == "slow" or "slow-head" in fault.script
    return silent or fault.retry_after is not None


# --- measurement -----------------------------------------------------------------------------------------------------


class Seen(NamedTuple):
    """What a kind left behind."""

    kind: str
    calls: int
    outcomes: Counter[str]
    foreign: int
    """Exceptions that are not the package's."""
    files: int
    tasks: int
    timers: int
    in_use: int
    noise: int
    objects: int
    mib: float
    seconds: float


_HEAD = (
    f"{'kind':40} {'calls':>6} {'files':>5} {'tasks':>5} {'timers':>6} {'in use':>6} {'noise':>5} {'objects':>7} "
    f"{'MiB':>6}  outcomes"
)


def _line(seen: Seen) -> str:
    outcomes = ", ".join(f"{name} {count}" for name, count in seen.outcomes.most_common(4))
    counted = f"{seen.files:5} {seen.tasks:5} {seen.timers:6} {seen.in_use:6} {seen.noise:5} {seen.objects:7}"
    return f"{seen.kind:40} {seen.calls:6,} {counted} {seen.mib:6.2f}  {outcomes} ({seen.seconds:.1f} s)"


def _writer(noise: list[str]) -> Any:
    def write(message: Warning | str, *_: object, **__: object) -> None:
        noise.append(f"warning: {message}")

    return write


@contextmanager
def collecting_noise(noise: list[str]) -> Generator[None]:
    """Collects the messages of destructors, the event loop and warnings."""
    loop = asyncio.get_running_loop()
    hook, show = sys.unraisablehook, warnings.showwarning
    sys.unraisablehook = lambda args: noise.append(f"unraisable: {args.exc_value!r}")
    warnings.showwarning = _writer(noise)
    loop.set_exception_handler(lambda _, context: noise.append(f"loop: {context['message']}"))
    try:
        yield
    finally:
        sys.unraisablehook, warnings.showwarning = hook, show
        loop.set_exception_handler(None)


def timers() -> int:
    """Timers of the event loop that will fire; 0 on a loop that does not list them."""
    scheduled: list[asyncio.TimerHandle] = getattr(asyncio.get_running_loop(), "_scheduled", [])
    return sum(not timer.cancelled() for timer in scheduled)


async def _until(empty: Callable[[], int]) -> int:
    """The number that is left after some time."""
    end = time.monotonic() + PATIENCE
    while empty() and time.monotonic() < end:  # noqa: ASYNC110 (there is no event for a closed descriptor)
        await asyncio.sleep(0.005)
    return empty()


async def _repeat(made: Made, kind: Kind, calls: int, outcomes: Counter[str]) -> int:
    """Makes `calls` calls; returns how many ended in an exception that is not the package's."""
    numbers = iter(range(calls))
    at_once = MANY_AT_ONCE if kind.hasty else AT_ONCE
    foreign = 0

    async def work() -> None:
        nonlocal foreign
        for number in numbers:
            try:
                outcomes[await kind.act(made, number)] += 1
            except CompletionError as error:
                outcomes[type(error).__name__] += 1
            except Exception as error:  # noqa: BLE001 (whatever it is, it is what the run looks for)
                foreign += 1
                outcomes[f"{type(error).__name__}: {error}"] += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(min(at_once, calls)):
            group.create_task(work())
    return foreign


def _client(url: str, kind: Kind, wait: float) -> AsyncCompletion:
    names = MODELS.keys()
    wait = wait if kind.hasty else LONG_WAIT
    return AsyncCompletion(
        base_urls={name: (kind.url or url) + FORMATS[name].base for name in names},
        api_keys={name: FORMATS[name].api_key for name in names},
        max_retries=kind.retries,
        timeout=Timeout(total=2 * wait, connect=wait, first_chunk=wait, idle=wait),
    )


class Ran(NamedTuple):
    """What was seen before the client was closed."""

    foreign: int
    in_use: int
    tasks: int
    mib: float


async def _run(url: str, kind: Kind, calls: int, warm: int, wait: float, seed: int, outcomes: Counter[str]) -> Ran:
    """Makes the calls of one kind with a client of its own."""
    tasks = len(asyncio.all_tasks())
    async with _client(url, kind, wait) as client:
        made = Made(client, kind.provider, kind.header, random.Random(seed))  # noqa: S311 (no secret)

        async def grown(count: int, into: Counter[str]) -> tuple[float, int]:
            before = trimmed_resident_bytes()
            foreign = await _repeat(made, kind, count, into)
            await _until(lambda: sum(in_use(client).values()))
            return (trimmed_resident_bytes() - before) / MIB, foreign

        await grown(warm, Counter())
        mib, foreign = await grown(calls, outcomes)
        if mib > MOST and warm:
            mib, _ = await grown(calls, Counter())
        used = sum(in_use(client).values())
        return Ran(foreign, used, await _until(lambda: len(asyncio.all_tasks()) - tasks), mib)


async def look(url: str, kind: Kind, calls: int, warm: int, wait: float, seed: int) -> Seen:
    """Runs one kind and looks what is left."""
    start = time.perf_counter()
    fewer = COSTLY.get(kind.name, 1)
    outcomes = Counter[str]()
    noise: list[str] = []
    objects = _objects()
    files, tasks, clocks = descriptors(), len(asyncio.all_tasks()), timers()
    with collecting_noise(noise):
        ran = await _run(url, kind, calls // fewer, warm // fewer, wait, seed, outcomes)
        files = await _until(lambda: descriptors() - files)
        tasks = max(ran.tasks, await _until(lambda: len(asyncio.all_tasks()) - tasks))
        clocks = await _until(lambda: timers() - clocks)
        await asyncio.sleep(0)
        objects = _objects() - objects
        if objects > OBJECTS:
            # A cache fills up once, a leak does each time.
            objects = -_objects()
            await _run(url, kind, calls // fewer, 0, wait, seed, Counter())
            await asyncio.sleep(0)
            objects += _objects()
    for message, count in Counter(noise).most_common(3):
        print(f"{kind.name}: {count} times {message}")
    return Seen(
        kind=kind.name,
        calls=calls // fewer,
        outcomes=outcomes,
        foreign=ran.foreign,
        files=files,
        tasks=tasks,
        timers=clocks,
        in_use=ran.in_use,
        noise=len(noise),
        objects=objects,
        mib=ran.mib,
        seconds=time.perf_counter() - start,
    )


def _objects() -> int:
    gc.collect()
    return len(gc.get_objects())


async def explain(url: str, kind: Kind, calls: int, wait: float) -> None:
    """Prints where the memory was allocated that a kind keeps."""
    async with _client(url, kind, wait) as client:
        made = Made(client, kind.provider, kind.header, random.Random(0))  # noqa: S311 (no secret)
        await _repeat(made, kind, AT_ONCE, Counter())
        gc.collect()
        tracemalloc.start(8)
        types, before = Counter(type(each).__name__ for each in gc.get_objects()), tracemalloc.take_snapshot()
        await _repeat(made, kind, calls, Counter())
        gc.collect()
        after = tracemalloc.take_snapshot()
        more = Counter(type(each).__name__ for each in gc.get_objects()) - types
        tracemalloc.stop()
    print(f"{kind.name}, {calls} calls more: {dict(more.most_common(12))}")
    for line in after.compare_to(before, "lineno")[:12]:
        print(f"    {line}")


def summary(all_seen: Sequence[Seen], kinds: int) -> list[Figure]:
    """The worst of all kinds."""

    def worst(label: str, get: Callable[[Seen], float], most: float, **more: Any) -> Figure:
        seen = max(all_seen, key=get)
        where = f" ({seen.kind})" if get(seen) > 0 else ""
        return Figure(f"{label}, worst kind{where}", get(seen), at_most=most, **more)

    return [
        Figure("kinds", len(all_seen), at_least=kinds),
        worst("descriptors more when the client is closed", lambda seen: seen.files, 0),
        worst("tasks more", lambda seen: seen.tasks, 0),
        worst("timers more when the client is closed", lambda seen: seen.timers, 0),
        worst("responses, slots, waiters, connections in use", lambda seen: seen.in_use, 0),
        worst("exceptions that are not the package's", lambda seen: seen.foreign, 0),
        worst("warnings and complaints", lambda seen: seen.noise, 0),
        worst("Python objects more when the client is dropped", lambda seen: seen.objects, OBJECTS),
        worst("resident memory more", lambda seen: seen.mib, MOST, unit="MiB", machine=True),
    ]


async def measure(url: str, given: argparse.Namespace) -> list[Figure]:
    """All kinds, one after the other."""
    calls, warm, wait = (SHORT_CALLS, 0, SHORT_WAIT) if given.short else (CALLS, CALLS // 10, WAIT)
    calls = given.calls or calls
    all_seen: list[Seen] = []
    await _run(url, Kind(name="none"), AT_ONCE, 0, wait, given.seed, Counter())
    gc.collect()
    gc.freeze()  # what is there already need not be looked through again and again
    with socket.socket() as taken:  # bound, and never listening
        taken.bind(("127.0.0.1", 0))
        wanted = [
            kind
            for kind in kinds(f"http://127.0.0.1:{taken.getsockname()[1]}")
            if not given.kinds or kind.name in given.kinds
        ]
        print(_HEAD)
        for kind in wanted:
            seen = await look(url, kind, calls, warm, wait, given.seed)
            all_seen.append(seen)
            print(_line(seen), flush=True)
            if (seen.mib > MOST and not given.short) or seen.objects > OBJECTS:
                await explain(url, kind, max(calls // 10, 2 * AT_ONCE), wait)
    print()
    return summary(all_seen, len(given.kinds or FAULTS))


# --- the server ------------------------------------------------------------------------------------------------------


async def serve() -> None:
    """The simulator, which forgets its requests again and again, so that it does not grow."""
    async with SimulatorServer() as simulator:
        print(simulator.url.rpartition(":")[2], flush=True)
        over = asyncio.ensure_future(asyncio.to_thread(sys.stdin.read))
        while not over.done():
            await asyncio.wait([over], timeout=0.5)
            simulator.requests.clear()


def run(given: argparse.Namespace) -> int:
    """One run in one form."""
    allow_files()
    with Server("leaks", "--serve") as server:
        figures = run_on(given.loop, measure(server.url, given))
    return conclude("what calls leave behind", figures, short=given.short)


_MORE: Mapping[str, Mapping[str, Any]] = {
    "--calls": {"type": int, "help": "per kind, instead of the form's number"},
    "--kinds": {"nargs": "+", "help": "these alone"},
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    return command("leaks", __doc__, run, arguments, _MORE)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        allow_files()
        asyncio.run(serve())
    else:
        sys.exit(main())
