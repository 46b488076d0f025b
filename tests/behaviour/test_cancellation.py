"""Tests of cancellation at every suspension point: prompt, exact, without leaks, and with a client that still works.

Each test runs a use of the client repeatedly and interferes at its k-th suspension point, for every k (see
`cancel_points`); then the client has to be idle and the same use has to succeed. The random tests make thousands of
calls; ``ANYCOMPLETION_TEST_SCALE=20`` has them make 20 times as many.
"""

import asyncio
import contextlib
import errno
import functools
import itertools
import json
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from anycompletion import (
    PROVIDERS,
    APITimeoutError,
    AsyncCompletion,
    ClientClosedError,
    CompletionError,
    CompletionStream,
    StreamInterruptedError,
)
from anycompletion.client import state as state_module
from anycompletion.client.client import client_state
from anycompletion.dialects.replicate_predictions import decode as replicate_decode
from anycompletion.ratelimit.cooldown import Cooldown
from anycompletion.testing import SimulatorServer
from anycompletion.testing.formats.replicate_predictions.simulate import ROOT, step
from anycompletion.transport import Pool, connection_limit, response
from anycompletion.transport.connection_limit import ConnectionLimit
from faults import certificates
from faults.harness import LOOPS, Stage, client_to, covers
from support.cancel_points import MAX_ITERATIONS, Act, Run, at_every_point, cancel, cancel_twice, run_to
from support.raw_server import (
    DONE,
    END,
    FIN,
    REQUEST,
    STALL,
    STREAM,
    FullListener,
    RawServer,
    Step,
    answer,
    completion,
    event,
    forget_loss,
    piece,
)
from support.resource_leaks import acquired, kept, nothing_left, pools
from support.simulated import MODEL_BY_DIALECT

SCALE = int(os.environ.get("ANYCOMPLETION_TEST_SCALE", "1"))
"""Factor of the number of calls in the random tests."""

PAUSES = (0.0,) * 3
"""Waits between the parts of a response, without a delay: iterations of the loop, so that each part is awaited."""

pytestmark = covers("F50", "F51")

Runs = Callable[[Coroutine[Any, Any, None]], None]
Use = Callable[[AsyncCompletion, str], Coroutine[Any, Any, str]]


@pytest.fixture(params=LOOPS)
def runs(request: pytest.FixtureRequest) -> Iterator[Runs]:
    """Runs a coroutine on an event loop of each kind."""
    with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
        yield runner.run


# --- invariants after each interference -----------------------------------------------------------------------------


def in_use(client: AsyncCompletion) -> list[str]:
    """Resources that an idle client does not use."""
    state = client_state(client)
    left = [f"{pool.in_flight} responses" for pool in pools(client) if pool.in_flight]
    for pool in pools(client):
        limit = pool.connection_limit
        assert isinstance(limit, ConnectionLimit)
        counts = {
            "connections of the limit": limit.used,
            "waiters for a connection": limit.queued,
            "acquired connections": acquired(pool),
            "timeout watches": len(pool._timer.watches),
            "pauses": len(pool._pauses),
            "sending tasks": len(pool._connector.sending) if pool._connector is not None else 0,
        }
        left += [f"{count} {what}" for what, count in counts.items() if count]
    for provider in state.provider_states.values():
        for cooldown in provider.endpoint.cooldowns:
            left += [f"{len(cooldown._waiters)} waiters of a cooldown"] * bool(cooldown._waiters)
            left += ["a cooldown's timer"] * bool(cooldown._timer)
        caches = provider.endpoint._caches.values()
        left += [f"the lock of {key}" for cache in caches for key, lock in cache._locks.items() if lock.locked()]
    return left + [f"{len(state.tasks)} branches"] * bool(state.tasks)


async def idle(client: AsyncCompletion) -> None:
    """Waits a few iterations of the loop until the client is idle; fails where it is not."""
    if client_state(client).remaining_tasks:
        await asyncio.wait(client_state(client).remaining_tasks, timeout=5)
    # A response that was read to its end may still wait for the end of its body.
    for iteration in range(MAX_ITERATIONS * 2):
        if not in_use(client):
            return
        await asyncio.sleep(0 if iteration < MAX_ITERATIONS else 0.001)
    raise AssertionError("\n".join(["still in use:", *in_use(client)]))


def was_cancelled(run: Run, times: int = 1) -> None:
    """Checks that the run ended with the cancellation, which was neither revoked nor repeated."""
    assert run.task.cancelled(), f"{run}: {run.task!r}"
    assert run.iterations <= MAX_ITERATIONS, f"{run}: it went on for {run.iterations} iterations"
    assert 1 <= run.task.cancelling() <= times, f"{run}: the task has {run.task.cancelling()} pending cancellations"


ONCE: Sequence[tuple[Act, bool]] = [(cancel, False)]
EVERY_WAY: Sequence[tuple[Act, bool]] = [*ONCE, (cancel, True), (cancel_twice, False)]
"""A cancellation as a wait begins, one as it ends, and two in a row."""


async def cancels(
    client: AsyncCompletion,
    use: Use,
    model: str,
    *,
    min_points: int,
    acts: Sequence[tuple[Act, bool]] = EVERY_WAY,
    before_idle: Callable[[Run], Awaitable[object]] | None = None,
    when_idle: Callable[[Run], Awaitable[object]] | None = None,
) -> None:
    """Cancels `use` at every suspension point, of which it has `min_points` at least; it has to succeed after each."""
    expected = await use(client, model)

    async def check(run: Run) -> None:
        was_cancelled(run, 2)
        if before_idle is not None:
            await before_idle(run)
        await idle(client)
        if when_idle is not None:
            await when_idle(run)
        assert await use(client, model) == expected, f"{run}: it no longer works"

    for act, late in acts:
        found = await at_every_point(lambda: use(client, model), check, act, late=late)
        assert found >= min_points, f"only {found} suspension points: the use did not wait where it should"


# --- ways to use a client -------------------------------------------------------------------------------------------

PROMPT = "Say hello to all of us."


async def create(client: AsyncCompletion, model: str, **params: Any) -> str:
    reply = await client.create(model, PROMPT, **params)
    return "|".join(reply.texts)


async def attempt(client: AsyncCompletion, model: str) -> str:
    result = await client.attempt(model, PROMPT)
    assert result.completion is not None, result.error
    return result.completion.text


async def failing(client: AsyncCompletion, model: str) -> str:
    return type((await client.attempt(model, PROMPT)).error).__name__


async def stream(client: AsyncCompletion, model: str, **params: Any) -> str:
    """Reads a stream, with another suspension after each chunk."""
    async with client.stream(model, PROMPT, **params) as chunks:
        async for _ in chunks:
            await asyncio.sleep(0)
        return "|".join(chunks.snapshot.texts)


async def opened(client: AsyncCompletion, model: str, **params: Any) -> str:
    """Opens a stream, reads some of it and closes it."""
    chunks: CompletionStream = await client.create(model, PROMPT, stream=True, **params)
    try:
        return str((await anext(chunks)).choices[0].index >= 0)
    finally:
        await chunks.aclose()


async def final(client: AsyncCompletion, model: str, **params: Any) -> str:
    """Gets the final completion of a stream without closing it: a cancellation in it leaves no open stream."""
    return "|".join((await client.stream(model, PROMPT, **params).get_final_completion()).texts)


async def texts(client: AsyncCompletion, model: str) -> str:
    async with client.stream(model, PROMPT) as chunks:
        return "".join([text async for text in chunks.text])


async def events(client: AsyncCompletion, model: str) -> str:
    async with client.stream(model, PROMPT) as chunks:
        return str(len([data async for data in chunks.sse()]))


async def partials(client: AsyncCompletion, model: str) -> str:
    async with client.parse_stream(model, PROMPT, list[int]) as stream:
        return str([partial.data async for partial in stream.partials(every=0)])


async def items(client: AsyncCompletion, model: str) -> str:
    async with client.parse_stream(model, PROMPT, list[int]) as stream:
        return str([item async for item in stream.items()])


async def tool(client: AsyncCompletion, model: str) -> str:
    """Gets the value of a stream that is not closed, of whose chunks others are made."""
    stream = client.parse_stream(model, PROMPT, list[int], mode="tool")
    return str((await stream.get_final_completion()).parsed)


PLAIN: tuple[Use, ...] = (create, attempt)
STREAMED: tuple[Use, ...] = (stream, opened, final, texts, events)


def pieces(data: bytes, number: int = 2) -> tuple[Step, ...]:
    """Steps that send a response as its head and `number` parts of its body."""
    top, body = data.split(b"\r\n\r\n", 1)
    size = -(-len(body) // number)
    parts = [top + b"\r\n\r\n", *(body[at : at + size] for at in range(0, len(body), size))]
    return tuple(step for part in parts for step in (part, *PAUSES))


def streamed(headers: str = "", texts: Sequence[str] = ("Hel", "lo.")) -> tuple[Step, ...]:
    """Steps that send a complete stream, one event after another."""
    start = STREAM.replace(b"\r\n\r\n", f"\r\n{headers}\r\n\r\n".encode()) if headers else STREAM
    parts = (start, *map(event, texts), event(finish_reason="stop"), DONE + END)
    return tuple(step for part in parts for step in (part, *PAUSES))


CLOSE = {"Connection": "close"}
ONE_EACH, KEPT = "one for each request", "kept"
SCRIPTS: dict[tuple[str, bool], tuple[Step, ...]] = {
    (ONE_EACH, False): (REQUEST, *pieces(answer(headers=CLOSE)), FIN),
    (KEPT, False): (REQUEST, *pieces(answer())) * 500,
    (ONE_EACH, True): (REQUEST, *streamed("Connection: close"), FIN),
    (KEPT, True): (REQUEST, *streamed()) * 500,
}
"""Kind of connections, and whether the response is a stream → steps of the server."""


@pytest.mark.parametrize(
    ("use", "connections"),
    [(create, ONE_EACH), (create, KEPT), (attempt, KEPT), (stream, ONE_EACH), (stream, KEPT)]
    + [(use, KEPT) for use in (opened, final, texts, events)],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_call_can_be_cancelled_anywhere(runs: Runs, use: Use, connections: str) -> None:
    """A cancelled call would leave a connection or a half-read response behind."""

    async def play() -> None:
        async with Stage(SCRIPTS[connections, use in STREAMED], seconds=60) as stage:
            await cancels(stage.client, use, "openai/m", min_points=3)

    runs(play())


@pytest.mark.parametrize("use", [partials, items, tool], ids=lambda use: use.__name__)
def test_a_typed_stream_can_be_cancelled_anywhere(runs: Runs, use: Use) -> None:
    """A view that is cancelled would leave the connection of its stream open."""

    async def play() -> None:
        async with Stage((REQUEST, *streamed(texts=('{"value": [1, ', "2]}"))) * 500, seconds=60) as stage:
            await cancels(stage.client, use, "openai/m", min_points=3)

    runs(play())


class no_leaks_but_handshakes(nothing_left):  # noqa: N801 (a context manager, named like its base)
    """`nothing_left` without timers of TLS handshakes: uvloop keeps that of a cancelled handshake for a minute."""

    def _left(self) -> list[str]:
        return [left for left in super()._left() if "SSLProtocol._start_handshake" not in left]


@pytest.mark.parametrize("use", [create, stream], ids=lambda use: use.__name__)
def test_a_call_over_tls_can_be_cancelled_anywhere(runs: Runs, use: Use) -> None:
    """A cancelled handshake would keep its socket."""

    async def play() -> None:
        async with (
            RawServer(SCRIPTS[ONE_EACH, use in STREAMED], tls=certificates.valid()) as server,
            client_to(server.url, ssl_context=certificates.trusting()) as client,
            no_leaks_but_handshakes(client, seconds=60),
        ):
            await cancels(client, use, "openai/m", min_points=4)

    runs(play())


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_pending_connect_can_be_cancelled_at_any_time(runs: Runs, scheme: str) -> None:
    """A call to a host that drops packets, or to one that never answers the handshake, could not be cancelled."""

    async def play() -> None:
        async with (
            FullListener() as unaccepting,
            RawServer((STALL,)) as silent,
            client_to(f"{scheme}://127.0.0.1:{unaccepting.port if scheme == 'http' else silent.port}") as client,
            no_leaks_but_handshakes(client),
        ):
            for iterations in range(12):
                call = asyncio.create_task(create(client, "openai/m"))
                for _ in range(iterations):
                    await asyncio.sleep(0)
                call.cancel()
                await asyncio.wait([call], timeout=5)
                assert call.cancelled()
                await idle(client)

    runs(play())


def long_request(client: AsyncCompletion, model: str) -> Coroutine[Any, Any, str]:
    return create(client, model, user="x" * 700_000)


LARGE: dict[str, tuple[Use, tuple[Step, ...]]] = {
    "request": (long_request, SCRIPTS[ONE_EACH, False]),
    "reply": (create, (REQUEST, answer(completion("x" * 300_000))) * 200),
    "error": (failing, (REQUEST, answer(b"x" * 300_000, 400)) * 200),
}
"""Large part → the use and the server's steps; a response that arrived completely is still read in several reads."""


@pytest.mark.parametrize(("use", "script"), LARGE.values(), ids=LARGE)
def test_a_large_call_can_be_cancelled_anywhere(runs: Runs, use: Use, script: tuple[Step, ...]) -> None:
    """A cancelled call whose body is being sent or is unread would keep its connection for ever."""

    async def play() -> None:
        async with Stage(script, seconds=60) as stage:
            await cancels(stage.client, use, "openai/m", min_points=2)

    runs(play())


@asynccontextmanager
async def simulated(fault: Any = None, **options: Any) -> AsyncIterator[tuple[SimulatorServer, AsyncCompletion]]:
    async with (
        SimulatorServer(fault=fault, reply="Hello.") as sim,
        AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys, **options) as client,
    ):
        yield sim, client


# --- several choices ------------------------------------------------------------------------------------------------


def message(kind: str, **members: Any) -> bytes:
    """One event of Anthropic's stream, as an HTTP chunk."""
    return piece(f"event: {kind}\ndata: {json.dumps({'type': kind, **members})}\n\n".encode())


ANTHROPIC = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "Hello."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
ANTHROPIC_EVENTS = (
    STREAM + message("message_start", message={**ANTHROPIC, "content": [], "stop_reason": None}),
    message("content_block_start", index=0, content_block={"type": "text", "text": ""}),
    message("content_block_delta", index=0, delta={"type": "text_delta", "text": "Hel"}),
    message("content_block_delta", index=0, delta={"type": "text_delta", "text": "lo."}),
    message("content_block_stop", index=0)
    + message("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 1}),
    message("message_stop") + END,
)
BRANCH: dict[bool, tuple[Step, ...]] = {
    False: (REQUEST, *pieces(answer(ANTHROPIC), 1)) * 1000,
    True: (REQUEST, *(step for part in ANTHROPIC_EVENTS for step in (part, *PAUSES))) * 1000,
}


def branched(client: AsyncCompletion, model: str) -> Coroutine[Any, Any, str]:
    return create(client, model, n=3)


def branched_stream(client: AsyncCompletion, model: str) -> Coroutine[Any, Any, str]:
    return stream(client, model, n=3)


def branched_final(client: AsyncCompletion, model: str) -> Coroutine[Any, Any, str]:
    return final(client, model, n=3)


def branched_opened(client: AsyncCompletion, model: str) -> Coroutine[Any, Any, str]:
    return opened(client, model, n=3)


async def refused(client: AsyncCompletion, model: str) -> str:
    """Several choices, all of which fail."""
    return type((await client.attempt(model, PROMPT, n=3)).error).__name__


REFUSED: tuple[Step, ...] = (REQUEST, *PAUSES, answer({}, 400)) * 1000


@asynccontextmanager
async def branching(script: Sequence[Step], **options: Any) -> AsyncIterator[tuple[RawServer, AsyncCompletion]]:
    async with (
        RawServer(script) as server,
        AsyncCompletion(
            base_urls={"anthropic": server.url}, api_keys={"anthropic": "key"}, max_retries=0, **options
        ) as client,
        nothing_left(client, seconds=60),
    ):
        yield server, client


@pytest.mark.parametrize(
    "use", [branched, refused, branched_stream, branched_opened, branched_final], ids=lambda use: use.__name__
)
def test_several_choices_can_be_cancelled_anywhere(runs: Runs, use: Use) -> None:
    """Branches of a cancelled call would go on and be billed."""
    script = BRANCH[False] if use is branched else REFUSED if use is refused else BRANCH[True]

    async def play() -> None:
        async with branching(script) as (_, client):
            await cancels(client, use, "anthropic/m", min_points=4)

    runs(play())


OTHER_FORMATS = {
    dialect: model
    for dialect, model in MODEL_BY_DIALECT.items()
    if dialect not in ("openai_chat", "anthropic_messages", "replicate_predictions")
}
"""Dialect → a model, for the formats without tests of their own here."""


@pytest.mark.parametrize("use", [branched, branched_stream], ids=lambda use: use.__name__)
@pytest.mark.parametrize("model", OTHER_FORMATS.values(), ids=OTHER_FORMATS)
def test_several_choices_of_other_formats_can_be_cancelled_anywhere(runs: Runs, use: Use, model: str) -> None:
    """Branches in a format that ends its streams differently would go on after a cancellation."""

    async def play() -> None:
        async with simulated() as (_, client), nothing_left(client, seconds=60):
            await cancels(client, use, model, min_points=4, acts=ONCE)

    runs(play())


# --- waits between requests -----------------------------------------------------------------------------------------

LATER = {"retry-after-ms": "2"}
WAITS: dict[str, tuple[Use, tuple[Step, ...]]] = {
    "retry": (create, (REQUEST, answer({}, 503, LATER), REQUEST, *pieces(answer())) * 500),
    "cooldown": (create, (REQUEST, answer({}, 429, LATER), REQUEST, *pieces(answer())) * 500),
    "retry of a stream": (stream, (REQUEST, answer({}, 503, LATER), REQUEST, *streamed()) * 500),
    "complete reply": (stream, (REQUEST, *pieces(answer())) * 500),
}
"""Wait between two requests, or a complete reply in place of a stream → the use and the server's steps."""


@pytest.mark.parametrize(("use", "script"), WAITS.values(), ids=WAITS)
def test_a_call_that_waits_for_a_retry_can_be_cancelled_anywhere(
    runs: Runs, use: Use, script: tuple[Step, ...]
) -> None:
    """A cancelled call would wake up and be sent again, or would keep all other calls in the cooldown."""

    async def play() -> None:
        async with Stage(script, seconds=60, max_retries=2) as stage:
            endpoint = client_state(stage.client).provider_state(PROVIDERS["openai"]).endpoint
            endpoint.retry_budget.per_call = 5
            await cancels(stage.client, use, "openai/m", min_points=4)

    runs(play())


def test_a_call_that_waits_for_a_cooldown_with_others_can_be_cancelled_anywhere(runs: Runs) -> None:
    """A cancelled waiter of a cooldown would block those behind it, or release them too early."""
    script = (REQUEST, answer({}, 429, {"retry-after-ms": "3"}), *(REQUEST, answer()) * 500)
    others: list[asyncio.Task[str]] = []

    async def queued(client: AsyncCompletion, model: str) -> str:
        endpoint = client_state(client).provider_states["openai"].endpoint
        endpoint.cooldown_of("m").start(0.003, asyncio.get_running_loop().time(), random.random)
        others[:] = [asyncio.create_task(create(client, model)) for _ in range(2)]
        text = await create(client, model)
        await asyncio.wait(others)
        return text

    async def finish(_: Run) -> None:
        await asyncio.wait(others)

    async def served(_: Run) -> None:
        assert await asyncio.wait_for(asyncio.gather(*others), 5) == ["Hello."] * 2

    async def play() -> None:
        async with Stage(script, seconds=60, max_retries=2) as stage:
            await create(stage.client, "openai/m")
            await cancels(stage.client, queued, "openai/m", min_points=4, before_idle=finish, when_idle=served)

    runs(play())


@pytest.fixture
def limit_requests(monkeypatch: pytest.MonkeyPatch) -> Callable[[AsyncCompletion, int], None]:
    """Function that limits a client to a few concurrent requests."""

    def limit(client: AsyncCompletion, connections: int) -> None:
        monkeypatch.setattr(connection_limit, "_MINIMUM", connections)
        for name in ("openai", "anthropic"):
            client_state(client).provider_state(PROVIDERS[name]).transport.connection_limit = ConnectionLimit(lambda: 0)

    return limit


LimitRequests = Callable[[AsyncCompletion, int], None]


@pytest.mark.parametrize("use", [create, stream], ids=lambda use: use.__name__)
def test_a_call_that_waits_for_a_connection_can_be_cancelled_anywhere(
    runs: Runs, limit_requests: LimitRequests, use: Use
) -> None:
    """A connection handed to a call that was just cancelled would be lost, in the end all of them."""
    others: list[asyncio.Task[str]] = []

    async def in_queue(client: AsyncCompletion, model: str) -> str:
        others[:] = [asyncio.create_task(use(client, model)) for _ in range(2)]
        text = await use(client, model)
        await asyncio.wait(others)
        return text

    async def served(_: Run) -> None:
        assert await asyncio.wait_for(asyncio.gather(*others), 5) == ["Hello."] * 2

    async def finish(_: Run) -> None:
        await asyncio.wait(others)

    async def play() -> None:
        async with Stage(SCRIPTS[KEPT, use in STREAMED], seconds=60) as stage:
            limit_requests(stage.client, 1)
            await cancels(stage.client, in_queue, "openai/m", min_points=6, before_idle=finish, when_idle=served)

    runs(play())


def test_a_key_function_can_be_cancelled_anywhere(runs: Runs) -> None:
    """A cancellation while a user's function returns the key would be reported as a failure of that function."""

    async def key() -> str:
        await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        return "key"

    async def play() -> None:
        async with Stage(SCRIPTS[KEPT, False], seconds=60, api_keys={"openai": key}) as stage:
            await cancels(stage.client, create, "openai/m", min_points=4)

    runs(play())


@pytest.mark.parametrize("status", [429, 503])
def test_a_long_wait_that_is_cancelled_leaves_no_timer(runs: Runs, status: int) -> None:
    """Each cancelled call would stay in memory until the time of its retry."""

    async def play() -> None:
        async with Stage((REQUEST, answer({}, status, {"retry-after": "50"}), FIN), max_retries=2) as stage:
            provider = client_state(stage.client).provider_state(PROVIDERS["openai"])
            call = asyncio.create_task(create(stage.client, "openai/m"))
            while not (provider.transport._pauses or provider.endpoint.cooldown_of("m")._waiters):
                await asyncio.sleep(0.001)
            call.cancel()
            await asyncio.wait([call])
            assert call.cancelled()
            await idle(stage.client)

    runs(play())


# --- predictions ----------------------------------------------------------------------------------------------------


@pytest.fixture
def polling_without_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Predictions are polled without a delay."""
    monkeypatch.setattr(replicate_decode, "_SHORTEST_DELAY", 0.001)
    monkeypatch.setattr(replicate_decode, "_LONGEST_DELAY", 0.001)


VERSION = "replicate/owner/name"
"""A model whose input schema is fetched first."""


@pytest.mark.usefixtures("polling_without_delay")
@pytest.mark.parametrize("use", [create, stream], ids=lambda use: use.__name__)
def test_a_prediction_can_be_cancelled_anywhere_and_is_cancelled_once_at_the_provider(runs: Runs, use: Use) -> None:
    """The prediction of a cancelled call would go on and be billed."""
    cancel_requests: list[int] = []

    async def play() -> None:
        async with simulated("slow-prediction", max_retries=0) as (sim, client), nothing_left(client, seconds=60):
            state = client_state(client).provider_state(PROVIDERS["replicate"])
            cache = state.endpoint.cache(state.base_url)

            async def predicted(client: AsyncCompletion, model: str) -> str:
                sim.requests.clear()
                cache.values.clear()
                return await use(client, model)

            async def cancelled_once(run: Run) -> None:
                steps = Counter(step(request.method, request.path.removeprefix(ROOT)) for request in sim.requests)
                cancel_requests.append(steps["cancel"])
                assert steps["cancel"] <= 1, f"{run}: {steps['cancel']} cancel requests"
                # A call that polled knows its prediction; a stream may have been read to its end.
                assert steps["cancel"] == 1 or not steps["poll"] or use is stream, f"{run}: no cancel request"

            await cancels(client, predicted, VERSION, min_points=8, acts=EVERY_WAY[:2], when_idle=cancelled_once)

    runs(play())
    assert {0, 1} == set(cancel_requests)


def test_a_call_that_waits_for_another_ones_fetch_can_be_cancelled_anywhere(runs: Runs) -> None:
    """All calls to a model would wait for a lock that a cancelled call never released."""
    others: list[asyncio.Task[str]] = []

    async def both(client: AsyncCompletion, model: str) -> str:
        state = client_state(client).provider_states["replicate"]
        state.endpoint.cache(state.base_url).values.clear()
        others[:] = [asyncio.create_task(create(client, model))]
        text = await create(client, model)
        await asyncio.wait(others)
        return text

    async def served(_: Run) -> None:
        assert await asyncio.wait_for(others[0], 5) == "Hello."

    async def finish(_: Run) -> None:
        await asyncio.wait(others)

    async def play() -> None:
        async with simulated() as (_, client), nothing_left(client, seconds=60):
            client_state(client).provider_state(PROVIDERS["replicate"])
            await cancels(client, both, VERSION, min_points=4, acts=EVERY_WAY[:2], before_idle=finish, when_idle=served)

    runs(play())


# --- closing the client ---------------------------------------------------------------------------------------------


async def cancel_request() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


class Busy:
    """A client in use: idle connections, a stream being read, a call, a cooldown and a cancel request."""

    def __init__(self, **servers: RawServer) -> None:
        urls = {name: server.url for name, server in servers.items()}
        self.client = AsyncCompletion(base_urls=urls, api_keys=dict.fromkeys(urls, "key"), max_retries=0)
        self.tasks: list[asyncio.Task[Any]] = []

    async def start(self) -> None:
        client, state = self.client, client_state(self.client)
        self.tasks = [
            asyncio.create_task(stream(client, "openrouter/m")),
            asyncio.create_task(create(client, "anthropic/m")),
            asyncio.create_task(branched_stream(client, "anthropic/m")),
        ]
        await create(client, "openai/m")
        provider = state.provider_state(PROVIDERS["openai"])
        endpoint = state.endpoint_state(provider, "https://elsewhere.example", "another key")
        self.cooldown = endpoint.cooldown_of("m")
        self.cooldown.start(50, asyncio.get_running_loop().time(), random.random)
        self.tasks.append(asyncio.create_task(self.cooldown.wait()))
        state.track_remaining_task(asyncio.create_task(cancel_request()))

    async def is_closed(self) -> None:
        """Checks that all is closed, that waiters got an error, and that closing again does nothing."""
        done, waiting = await asyncio.wait(self.tasks, timeout=5)
        assert not waiting, f"still waiting: {waiting}"
        assert {type(task.exception()) for task in done} <= {ClientClosedError, type(None)}, done
        for pool in pools(self.client):
            assert (pool.in_flight, kept(pool), acquired(pool), pool._session) == (0, 0, 0, None)
        with pytest.raises(ClientClosedError):
            await self.client.create("openai/m", PROMPT)
        await self.client.aclose()
        assert not client_state(self.client).tasks


async def close(busy: Busy) -> None:
    await busy.client.aclose()


async def leave(busy: Busy) -> None:
    async with busy.client:
        await asyncio.sleep(0)


async def leave_twice(busy: Busy) -> None:
    async with busy.client, busy.client:
        await asyncio.sleep(0)


def cancel_repeatedly(task: asyncio.Task[Any]) -> None:
    """Cancels as anyio's scopes do: in each iteration of the loop, until the task ends."""
    if not task.done():
        task.cancel()
        task.get_loop().call_soon(cancel_repeatedly, task)


@pytest.mark.parametrize("act", [cancel, cancel_twice, cancel_repeatedly], ids=lambda act: act.__name__)
@pytest.mark.parametrize("leaving", [close, leave, leave_twice], ids=lambda leaving: leaving.__name__)
def test_closing_a_client_can_be_cancelled_anywhere_and_closes_it(
    runs: Runs, leaving: Callable[[Busy], Coroutine[Any, Any, None]], act: Act
) -> None:
    """A service that is stopped twice would leave connections open and calls waiting for ever."""

    async def play() -> None:
        async with (
            RawServer((REQUEST, *pieces(answer())) * 10) as normal,
            RawServer((REQUEST, STREAM, event("Hel"), STALL)) as stalled,
            RawServer((REQUEST, STALL)) as silent,
        ):
            for late in (False, True):
                point, reached = 1, True
                while reached:
                    busy = Busy(openai=normal, openrouter=stalled, anthropic=silent)
                    async with nothing_left(busy.client):
                        await busy.start()
                        run = await run_to(functools.partial(leaving, busy), point, act, late=late)
                        if run.acted:
                            was_cancelled(run, MAX_ITERATIONS)
                        await busy.is_closed()
                    point, reached = point + 1, run.reached
                assert point > 3

    runs(play())


def test_a_client_that_is_closed_as_its_branches_start_ends_their_stream(runs: Runs) -> None:
    """A reader would wait for ever for branches that were cancelled before they started."""

    async def play() -> None:
        async with branching(BRANCH[True]) as (_, client):
            chunks: CompletionStream = await client.create("anthropic/m", PROMPT, n=3, stream=True)
            await client.aclose()
            with contextlib.suppress(ClientClosedError):  # unless everything has arrived before
                await asyncio.wait_for(chunks.get_final_completion(), 5)

    runs(play())


def test_closing_ends_cooldowns_of_evicted_endpoints(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service with one key per user could not stop until all cooldowns are over."""
    monkeypatch.setattr(state_module, "_MAX_ENDPOINTS", 1)
    script = (REQUEST, answer({}, 429, {"retry-after": "50"}), FIN)

    async def play() -> None:
        async with Stage(script, max_retries=2) as stage:
            keys = ("sk-one", "sk-two", "sk-three")
            calls = [asyncio.create_task(create(stage.client, "openai/m", api_key=key)) for key in keys]
            while stage.requests < len(keys) or not all(
                any(cooldown.until for cooldown in endpoint.cooldowns)
                for endpoint in client_state(stage.client).live_endpoints
            ):
                await asyncio.sleep(0.001)
            assert len(client_state(stage.client).endpoints) == 1
            await stage.client.aclose()
            done, waiting = await asyncio.wait(calls, timeout=5)
            assert not waiting
            assert {type(task.exception()) for task in done} == {ClientClosedError}

    runs(play())


# --- scopes that cancel ---------------------------------------------------------------------------------------------

CUT = "cut"
"""Result of a use that its scope ended."""


class Trigger:
    """Ends the use in a scope; does nothing after the scope was left."""

    def __init__(self) -> None:
        self.pull: Callable[[], object] | None = None

    def __call__(self, _: asyncio.Task[Any]) -> None:
        if self.pull is not None:
            self.pull()


Scope = Callable[[Coroutine[Any, Any, str], Trigger], Coroutine[Any, Any, str]]


class SiblingError(Exception):
    """Error of another task in a group."""


async def by_timeout(use: Coroutine[Any, Any, str], trigger: Trigger) -> str:
    try:
        async with asyncio.timeout(50) as clock:
            trigger.pull = lambda: clock.reschedule(0)
            try:
                return await use
            finally:
                trigger.pull = None
    except TimeoutError:
        return CUT


def _fail(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_exception(SiblingError())


async def by_group(use: Coroutine[Any, Any, str], trigger: Trigger) -> str:
    """Another task of the group fails."""
    failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    trigger.pull = functools.partial(_fail, failure)

    async def sibling() -> None:
        await failure

    result = CUT
    try:
        async with asyncio.TaskGroup() as group:
            failing = group.create_task(sibling())
            result = await group.create_task(use)
            failing.cancel()
    except* SiblingError:
        pass
    return result


async def by_move_on_after(use: Coroutine[Any, Any, str], trigger: Trigger) -> str:
    with anyio.move_on_after(50) as scope:
        trigger.pull = scope.cancel
        return await use
    assert scope.cancelled_caught
    return CUT


async def by_fail_after(use: Coroutine[Any, Any, str], trigger: Trigger) -> str:
    try:
        with anyio.fail_after(50) as scope:

            def expire() -> None:
                scope.deadline = 0

            trigger.pull = expire
            return await use
    except TimeoutError:
        return CUT


async def by_task_group(use: Coroutine[Any, Any, str], trigger: Trigger) -> str:
    """The cancel scope of an anyio task group is cancelled."""
    results = [CUT]

    async def run() -> None:
        results[0] = await use

    async with anyio.create_task_group() as group:
        trigger.pull = group.cancel_scope.cancel
        group.start_soon(run)
    return results[0]


SCOPES: tuple[Scope, ...] = (by_timeout, by_group, by_move_on_after, by_fail_after, by_task_group)


IN_SCOPES: dict[str, tuple[Use, str, tuple[Step, ...]]] = {
    "reply": (create, "openai/m", SCRIPTS[KEPT, False]),
    "stream": (stream, "openai/m", SCRIPTS[KEPT, True]),
    "choices": (branched, "anthropic/m", BRANCH[False]),
    "streamed choices": (branched_stream, "anthropic/m", BRANCH[True]),
    "failing choices": (refused, "anthropic/m", REFUSED),
}


@pytest.mark.parametrize(("use", "model", "script"), IN_SCOPES.values(), ids=IN_SCOPES)
@pytest.mark.parametrize("scope", SCOPES, ids=lambda scope: scope.__name__)
def test_any_scope_can_end_a_call_anywhere_and_only_that_call(
    runs: Runs, scope: Scope, use: Use, model: str, script: tuple[Step, ...]
) -> None:
    """A scope would miss its own cancellation, or the caller's task would be cancelled outside of it."""
    ends: set[str] = set()

    async def play() -> None:
        trigger = Trigger()
        name = model.partition("/")[0]

        async with (
            RawServer(script) as server,
            AsyncCompletion(base_urls={name: server.url}, api_keys={name: "key"}, max_retries=0) as client,
            nothing_left(client, seconds=60),
        ):
            expected = await use(client, model)

            async def scoped() -> str:
                task = asyncio.current_task()
                assert task is not None
                result = await scope(use(client, model), trigger)
                trigger.pull = None
                assert task.cancelling() == 0
                await asyncio.sleep(0)  # a cancellation that was not revoked would arrive now
                return result

            async def check(run: Run) -> None:
                result = run.task.result()
                ends.add(result)
                assert result in (CUT, expected), f"{run}: {result}"
                prompt = run.iterations <= MAX_ITERATIONS
                assert result != CUT or prompt, f"{run}: it went on for {run.iterations} iterations"
                await idle(client)

            await at_every_point(scoped, check, trigger)
            assert await use(client, model) == expected

    runs(play())
    assert CUT in ends


# --- a cancellation and another event at the same time --------------------------------------------------------------


def expire_timeouts(pools: Sequence[Pool]) -> None:
    """Lets all timeouts expire."""
    loop = asyncio.get_running_loop()
    for pool in pools:
        for watch in pool._timer.watches:
            watch._deadline = 0.0
        pool._timer.check_all(loop)


def timeout(client: AsyncCompletion, _: Sequence[CompletionStream]) -> None:
    expire_timeouts(pools(client))


def closed_client(client: AsyncCompletion, _: Sequence[CompletionStream]) -> None:
    client_state(client).closed = True
    client_state(client)._wake_all()


def closed_stream(_: AsyncCompletion, streams: Sequence[CompletionStream]) -> None:
    for chunks in streams:
        chunks.close()


FROM_INSIDE: dict[str, tuple[int, str, tuple[Step, ...]]] = {
    "reply": (0, "openai/m", SCRIPTS[ONE_EACH, False]),
    "replies": (0, "anthropic/m", BRANCH[False]),
    "reply of a retry": (0, "openai/m", (REQUEST, answer({}, 503, LATER), REQUEST, answer()) * 500),
    "stream": (1, "openai/m", SCRIPTS[KEPT, True]),
    "streams": (3, "anthropic/m", BRANCH[True]),
    "stream of a retry": (1, "openai/m", (REQUEST, answer({}, 503, LATER), REQUEST, *streamed()) * 500),
    "stream that is a reply": (1, "openai/m", SCRIPTS[KEPT, False]),
}
"""Request → the choices of a stream (0 for a reply), the model, and the server's steps."""


@pytest.mark.parametrize(
    ("ours", "choices", "model", "script"),
    [
        pytest.param(ours, *request, id=f"{ours.__name__}-{name}")
        for name, request in FROM_INSIDE.items()
        for ours in ([timeout, closed_client, closed_stream] if request[0] else [timeout, closed_client])
    ],
)
def test_an_internal_end_and_a_cancellation_are_distinguished_anywhere(
    runs: Runs,
    ours: Callable[[AsyncCompletion, Sequence[CompletionStream]], None],
    choices: int,
    model: str,
    script: tuple[Step, ...],
) -> None:
    """A cancelled task would go on with an error of ours, or a task with an error of ours would be cancelled."""
    name = model.partition("/")[0]
    ends: set[type] = set()
    client: AsyncCompletion
    streams: list[CompletionStream] = []

    async def use() -> str:
        if not choices:
            return await create(client, model, n=3 if name == "anthropic" else 1)
        streams[:] = [client.stream(model, PROMPT, n=choices)]
        return (await streams[0].get_final_completion()).text

    def alone(_: asyncio.Task[Any]) -> None:
        ours(client, streams)

    def before(task: asyncio.Task[Any]) -> None:
        task.cancel()
        ours(client, streams)

    def after(task: asyncio.Task[Any]) -> None:
        ours(client, streams)
        task.cancel()

    def check(run: Run, act: Act) -> None:
        if run.acted and act is not alone:
            was_cancelled(run)
            return
        assert not run.task.cancelled(), f"{run}: cancelled without a cancellation"
        assert run.task.cancelling() == 0, f"{run}: a cancellation is pending"
        error = run.task.exception()
        if run.acted:
            ends.add(type(error))
        assert error is None or isinstance(error, CompletionError), f"{run}: {error!r}"
        # A call of a closed client or stream has no retry to wait for.
        prompt = run.iterations <= MAX_ITERATIONS or ours is timeout or error is None
        assert prompt, f"{run}: it went on for {run.iterations} iterations"

    async def play() -> None:
        nonlocal client

        def fresh() -> AsyncCompletion:
            # Without retries, so that a timeout ends the call.
            retries = 0 if ours is timeout else 2
            made = AsyncCompletion(base_urls={name: server.url}, api_keys={name: "key"}, max_retries=retries)
            client_state(made).provider_state(PROVIDERS[name]).endpoint.retry_budget.per_call = 5
            return made

        async with RawServer(script) as server:
            client = fresh()
            async with nothing_left(client, seconds=60):
                for act, late in ((alone, False), (alone, True), (before, True), (after, False)):
                    for point in itertools.count(1):
                        run = await run_to(use, point, act, late=late)
                        check(run, act)
                        await idle(client)
                        if ours is closed_client:
                            await client.aclose()
                            client = fresh()
                        if not run.reached:
                            break
                await client.aclose()

    runs(play())
    assert ends & {APITimeoutError, ClientClosedError, StreamInterruptedError}, ends


async def test_a_stream_that_is_closed_before_its_first_chunk_is_not_retried() -> None:
    """A closed stream would be requested and billed again, and its reader would wait for it."""
    async with Stage((REQUEST, STREAM, STALL), max_retries=2) as stage:
        chunks = await stage.client.create("openai/m", PROMPT, stream=True)
        reading = asyncio.create_task(anext(chunks))
        await asyncio.sleep(0)
        await chunks.aclose()
        with pytest.raises(StreamInterruptedError):
            await reading
        assert stage.requests == 1


# --- cooldowns and connections --------------------------------------------------------------------------------------


async def waiters(cooldown: Cooldown, number: int) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(cooldown.wait()) for _ in range(number)]
    await asyncio.sleep(0)
    return tasks


async def test_a_cancelled_waiter_of_a_cooldown_is_not_counted() -> None:
    """Calls would be refused because of cancelled waiters before them, and a timer would be left."""
    cooldown, loop = Cooldown(), asyncio.get_running_loop()
    cooldown.start(8, loop.time(), float)
    cancelled = await waiters(cooldown, 100)
    assert cooldown.expected(loop.time()) > 12
    for task in cancelled[:-1]:
        task.cancel()
    await asyncio.wait(cancelled[:-1])
    assert cooldown.expected(loop.time()) < 10
    assert cooldown._timer is not None
    cancelled[-1].cancel()
    await asyncio.wait(cancelled)
    assert cooldown._timer is None


async def test_the_slot_of_a_cancelled_waiter_passes_to_the_next() -> None:
    """Each such cancellation would delay all other waiters by one interval of the cooldown."""
    cooldown, loop = Cooldown(), asyncio.get_running_loop()
    cooldown.start(400, loop.time(), float)
    first, second = await waiters(cooldown, 2)
    cooldown.until = loop.time()
    cooldown._on_timer(loop)
    first.cancel()
    async with asyncio.timeout(5):  # the interval is fifty seconds here
        await second
    assert first.cancelled()


async def test_a_closed_client_starts_no_cooldown() -> None:
    """A response that is read while the client is closed would have its call wait for a minute."""
    cooldown = Cooldown()
    cooldown.wake()
    cooldown.start(50, asyncio.get_running_loop().time(), float)
    async with asyncio.timeout(5):
        await cooldown.wait()
    assert not cooldown.is_cooling_down()


async def test_a_request_without_our_key_does_not_spin_during_a_cooldown() -> None:
    """The event loop would be blocked until the cooldown is over."""
    async with SimulatorServer(fault="slow-prediction") as sim:
        # The stream's URL is of another origin, to which the key is not sent.
        urls = {"replicate": sim.base_urls["replicate"].replace("127.0.0.1", "localhost")}
        async with AsyncCompletion(base_urls=urls, api_keys=sim.api_keys) as client:
            chunks = await client.create(VERSION, PROMPT, stream=True)
            cooldown = client_state(client).provider_states["replicate"].endpoint.cooldown_of("")
            cooldown.start(3, asyncio.get_running_loop().time(), float)
            await anext(chunks)
            assert cooldown.is_cooling_down()
            await chunks.aclose()


def test_without_a_free_descriptor_the_connection_limit_has_its_minimum(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The connection limit would be unbounded for ever where counting descriptors fails for want of one."""

    def nothing_free(_: str) -> list[str]:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "listdir", nothing_free)
    limit = ConnectionLimit()
    assert sum(limit.try_acquire() for _ in range(100)) == connection_limit._MINIMUM


async def test_a_stream_that_was_read_releases_its_connection_as_its_body_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stream would occupy its connection after the end of its body, and other calls would wait for it."""
    monkeypatch.setattr(response, "_DRAIN", 50)
    script = (REQUEST, STREAM, event("Hello."), event(finish_reason="stop"), DONE, 0.02, END, STALL)
    async with Stage(script) as stage:
        assert await final(stage.client, "openai/m") == "Hello."
        (pool,) = pools(stage.client)
        assert pool.in_flight == 1
        while pool.in_flight:
            await asyncio.sleep(0.001)
        assert kept(pool) == 1


# --- random cancellations -------------------------------------------------------------------------------------------


class Echo:
    """A server that replies with the question, complete or streamed, in pieces with random pauses."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 (reproducible, not secret)
        self._connections: set[asyncio.Task[Any]] = set()
        self.url = ""

    async def __aenter__(self) -> "Echo":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()
        for task in self._connections:
            task.cancel()
        if self._connections:
            await asyncio.wait(self._connections)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        forget_loss(writer)
        try:
            while True:
                top = await reader.readuntil(b"\r\n\r\n")
                size = int(top.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                request = json.loads(await reader.readexactly(size))
                for part in self._response(request["messages"][0]["content"], request.get("stream", False)):
                    writer.write(part)
                    await asyncio.sleep(0.003 * self._random.random() if self._random.random() < 0.3 else 0)
        except (asyncio.IncompleteReadError, ConnectionError, RuntimeError, asyncio.CancelledError):
            pass  # uvloop raises RuntimeError where the peer has disconnected
        finally:
            self._connections.discard(task)
            writer.close()

    def _response(self, text: str, streamed: bool) -> Sequence[bytes]:
        if not streamed:
            top, body = answer(completion(text)).split(b"\r\n\r\n")
            return (top + b"\r\n\r\n", body[:50], body[50:])
        return (STREAM, event(text[:2]), event(text[2:]), event(finish_reason="stop"), DONE + END)


async def ask(client: AsyncCompletion, question: str, way: int) -> str:
    """The reply to `question`, by one of three methods."""
    if way == 0:
        return (await client.create("openai/m", question)).text
    if way == 1:
        return (await client.stream("openai/m", question).get_final_completion()).text
    async with client.stream("openai/m", question) as chunks:
        return "".join([text async for text in chunks.text])


async def maybe_cancelled(client: AsyncCompletion, number: int, chance: float, rolls: random.Random) -> bool:
    """Makes a call with its own question that may be cancelled at any time; returns whether it was."""
    question = f"Question {number}."
    task = asyncio.create_task(ask(client, question, rolls.randrange(3)))
    timer = None
    if rolls.random() < chance:
        delay = rolls.choice([0.0, rolls.random() * 0.002, rolls.random() * 0.02])
        timer = asyncio.get_running_loop().call_later(delay, task.cancel)
    try:
        assert await task == question, "the reply to another call"
    except asyncio.CancelledError:
        return True
    finally:
        if timer is not None:
            timer.cancel()
    return False


@asynccontextmanager
async def echoing(limit_requests: LimitRequests, connections: int) -> AsyncIterator[AsyncCompletion]:
    async with (
        Echo(seed=connections) as echo,
        AsyncCompletion(base_urls={"openai": echo.url}, api_keys={"openai": "key"}, max_retries=0) as client,
        nothing_left(client, seconds=60 * SCALE),
    ):
        limit_requests(client, connections)
        yield client


def test_after_a_thousand_cancellations_a_client_of_five_connections_serves_all_calls(
    runs: Runs, limit_requests: LimitRequests
) -> None:
    """Cancelled calls would leak connections of the limit, and a client would stop after five."""

    async def play() -> None:
        rolls = random.Random(7)  # noqa: S311 (reproducible, not secret)
        async with echoing(limit_requests, 5) as client:
            cancelled = 0
            while cancelled < 1000 * SCALE:
                cancelled += sum(
                    await asyncio.gather(*(maybe_cancelled(client, number, 1.0, rolls) for number in range(50)))
                )
            await idle(client)
            async with asyncio.timeout(10):
                assert not any(
                    await asyncio.gather(*(maybe_cancelled(client, number, 0.0, rolls) for number in range(20)))
                )
            await idle(client)

    runs(play())


def test_no_call_gets_the_reply_to_a_cancelled_one(runs: Runs, limit_requests: LimitRequests) -> None:
    """A user would read the reply to another user's call."""

    async def play() -> None:
        rolls = random.Random(5)  # noqa: S311 (reproducible, not secret)
        async with echoing(limit_requests, 20) as client:
            cancelled = 0
            for start in range(0, 2500 * SCALE, 100):
                ended = await asyncio.gather(*(maybe_cancelled(client, start + i, 0.5, rolls) for i in range(100)))
                cancelled += sum(ended)
            assert cancelled > 1000 * SCALE
            await idle(client)

    runs(play())
