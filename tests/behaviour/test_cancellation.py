"""Cancelled anywhere: at once, as a cancel and nothing else, with nothing left behind and a client that works on.

Each test runs a use of the client again and again and interferes at the k-th place where it waits, for every k (see
`stepcancel`); then the client must be idle and the same use must succeed. The random tests make thousands of calls;
set ``ANYCOMPLETION_TEST_SCALE=20`` to have them make 20 times as many.
"""

import asyncio
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
from anycompletion.client import state
from anycompletion.dialects.replicate_predictions import decode as replicate_decode
from anycompletion.ratelimit.cooldown import Cooldown
from anycompletion.testing import SimulatorServer
from anycompletion.testing.formats.replicate_predictions.simulate import ROOT, step
from anycompletion.transport import Pool, connection_limit, response
from anycompletion.transport.connection_limit import ConnectionLimit
from faults import certificates
from faults.harness import LOOPS, Stage, client_to, covers
from support.cancel_points import FEW_TURNS, Act, Run, at_every_place, cancel, cancel_twice, run_to
from support.raw_server import (
    DONE,
    END,
    FIN,
    REQUEST,
    STALL,
    STREAM,
    DeafServer,
    RawServer,
    Step,
    answer,
    completion,
    event,
    forget_loss,
    piece,
)
from support.resource_leaks import acquired, kept, nothing_left, pools

SCALE = int(os.environ.get("ANYCOMPLETION_TEST_SCALE", "1"))
"""The random tests make so many times as many calls."""

TURNS = (0.0,) * 3
"""Waits between the parts of an answer: so many turns of the loop that each part is waited for, and no time."""

pytestmark = covers("F50", "F51")

Runs = Callable[[Coroutine[Any, Any, None]], None]
Use = Callable[[AsyncCompletion, str], Coroutine[Any, Any, str]]


@pytest.fixture(params=LOOPS)
def runs(request: pytest.FixtureRequest) -> Iterator[Runs]:
    """Runs a test on an event loop of each kind."""
    with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
        yield runner.run


# --- what must hold after each interference -------------------------------------------------------------------------


def in_use(client: AsyncCompletion) -> list[str]:
    """What an idle client has none of."""
    left = [f"{pool.in_flight} answers" for pool in pools(client) if pool.in_flight]
    for pool in pools(client):
        slots = pool.connection_limit
        assert isinstance(slots, ConnectionLimit)
        counts = {
            "slots": slots.used,
            "in the queue for a slot": slots.queued,
            "acquired connections": acquired(pool),
            "clocks": len(pool._timer.watches),
            "pauses": len(pool._pauses),
            "sending tasks": len(pool._connector.sending) if pool._connector is not None else 0,
        }
        left += [f"{count} {what}" for what, count in counts.items() if count]
    for lane in client._desk.core.provider_states.values():
        rest = lane.endpoint.cooldown
        left += [f"{len(rest._waiters)} resting"] * bool(rest._waiters) + ["a rest's timer"] * bool(rest._timer)
        left += [f"the lock of {key}" for key, lock in lane.cache.locks.items() if lock.locked()]
    return left + [f"{len(client._desk.core.tasks)} branches"] * bool(client._desk.core.tasks)


async def idle(client: AsyncCompletion) -> None:
    """Nothing is in use, after a few turns at most."""
    if client._desk.core.cancel_requests:
        await asyncio.wait(client._desk.core.cancel_requests, timeout=5)
    # An answer that was read to its end may still wait for the end of its body.
    for turn in range(FEW_TURNS * 2):
        if not in_use(client):
            return
        await asyncio.sleep(0 if turn < FEW_TURNS else 0.001)
    raise AssertionError("\n".join(["still in use:", *in_use(client)]))


def was_cancelled(run: Run, times: int = 1) -> None:
    """The run ended with the cancel, which nobody took back and nobody added to."""
    assert run.task.cancelled(), f"{run}: {run.task!r}"
    assert run.turns <= FEW_TURNS, f"{run}: it went on for {run.turns} turns"
    assert 1 <= run.task.cancelling() <= times, f"{run}: the task holds {run.task.cancelling()} cancels"


ONCE: Sequence[tuple[Act, bool]] = [(cancel, False)]
EVERY_WAY: Sequence[tuple[Act, bool]] = [*ONCE, (cancel, True), (cancel_twice, False)]
"""A cancel as a wait begins, one as it ends, and two in a row."""


async def cancels(
    client: AsyncCompletion,
    use: Use,
    model: str,
    *,
    places: int,
    acts: Sequence[tuple[Act, bool]] = EVERY_WAY,
    first: Callable[[Run], Awaitable[object]] | None = None,
    also: Callable[[Run], Awaitable[object]] | None = None,
) -> None:
    """Cancels `use` everywhere and has it succeed after each time; it has so many places at least."""
    expected = await use(client, model)

    async def check(run: Run) -> None:
        was_cancelled(run, 2)
        if first is not None:
            await first(run)
        await idle(client)
        if also is not None:
            await also(run)
        assert await use(client, model) == expected, f"{run}: it does not work any more"

    for act, late in acts:
        found = await at_every_place(lambda: use(client, model), check, act, late=late)
        assert found >= places, f"only {found} places: what was to be cancelled did not happen"


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
    """Reads a stream, and does something else after each chunk."""
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
    """A stream that nobody closes: who is cancelled in it leaves nothing to close."""
    return "|".join((await client.stream(model, PROMPT, **params).get_final_completion()).texts)


async def texts(client: AsyncCompletion, model: str) -> str:
    async with client.stream(model, PROMPT) as chunks:
        return "".join([text async for text in chunks.text])


async def events(client: AsyncCompletion, model: str) -> str:
    async with client.stream(model, PROMPT) as chunks:
        return str(len([data async for data in chunks.sse()]))


PLAIN: tuple[Use, ...] = (create, attempt)
STREAMED: tuple[Use, ...] = (stream, opened, final, texts, events)


def pieces(data: bytes, number: int = 2) -> tuple[Step, ...]:
    """An answer in its head and so many parts of its body."""
    top, body = data.split(b"\r\n\r\n", 1)
    size = -(-len(body) // number)
    parts = [top + b"\r\n\r\n", *(body[at : at + size] for at in range(0, len(body), size))]
    return tuple(step for part in parts for step in (part, *TURNS))


def whole(headers: str = "") -> tuple[Step, ...]:
    """A streamed answer, one event after another."""
    start = STREAM.replace(b"\r\n\r\n", f"\r\n{headers}\r\n\r\n".encode()) if headers else STREAM
    said = (start, event("Hel"), event("lo."), event(finish_reason="stop"), DONE + END)
    return tuple(step for part in said for step in (part, *TURNS))


CLOSE = {"Connection": "close"}
ONE_EACH, KEPT = "one for each request", "kept"
SCRIPTS: dict[tuple[str, bool], tuple[Step, ...]] = {
    (ONE_EACH, False): (REQUEST, *pieces(answer(headers=CLOSE)), FIN),
    (KEPT, False): (REQUEST, *pieces(answer())) * 500,
    (ONE_EACH, True): (REQUEST, *whole("Connection: close"), FIN),
    (KEPT, True): (REQUEST, *whole()) * 500,
}
"""Connections, and whether the answer is a stream → what the server does."""


@pytest.mark.parametrize(
    ("use", "connections"),
    [(create, ONE_EACH), (create, KEPT), (attempt, KEPT), (stream, ONE_EACH), (stream, KEPT)]
    + [(use, KEPT) for use in (opened, final, texts, events)],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_call_can_be_cancelled_anywhere(runs: Runs, use: Use, connections: str) -> None:
    """A user who leaves, or a server that stops, would leave connections and half-read answers behind."""

    async def play() -> None:
        async with Stage(SCRIPTS[connections, use in STREAMED], seconds=60) as stage:
            await cancels(stage.client, use, "openai/m", places=3)

    runs(play())


class but_for_handshakes(nothing_left):  # noqa: N801 (as what it is made of)
    """Uvloop forgets its own timer for a TLS handshake that is given up, for a minute."""

    def _left(self) -> list[str]:
        return [left for left in super()._left() if "SSLProtocol._start_handshake" not in left]


@pytest.mark.parametrize("use", [create, stream], ids=lambda use: use.__name__)
def test_a_call_over_tls_can_be_cancelled_anywhere(runs: Runs, use: Use) -> None:
    """A handshake that is left halfway would keep its socket."""

    async def play() -> None:
        async with (
            RawServer(SCRIPTS[ONE_EACH, use in STREAMED], tls=certificates.valid()) as server,
            client_to(server.url, ssl_context=certificates.trusting()) as client,
            but_for_handshakes(client, seconds=60),
        ):
            await cancels(client, use, "openai/m", places=4)

    runs(play())


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_connection_that_is_never_made_can_be_given_up_at_any_time(runs: Runs, scheme: str) -> None:
    """A host behind a firewall, or a handshake that nobody answers, would hold whoever has long left."""

    async def play() -> None:
        async with (
            DeafServer() as deaf,
            RawServer((STALL,)) as mute,
            client_to(f"{scheme}://127.0.0.1:{deaf.port if scheme == 'http' else mute.port}") as client,
            but_for_handshakes(client),
        ):
            for turns in range(12):
                call = asyncio.create_task(create(client, "openai/m"))
                for _ in range(turns):
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
"""What is large → what is asked and what is answered; an answer that is all there is still read in turns."""


@pytest.mark.parametrize(("use", "script"), LARGE.values(), ids=LARGE)
def test_a_large_call_can_be_cancelled_anywhere(runs: Runs, use: Use, script: tuple[Step, ...]) -> None:
    """A body that is being sent, or lies there unread, would hold its connection for ever."""

    async def play() -> None:
        async with Stage(script, seconds=60) as stage:
            await cancels(stage.client, use, "openai/m", places=2)

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
    """One event of Anthropic's stream, as a chunk of a body."""
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
    True: (REQUEST, *(step for part in ANTHROPIC_EVENTS for step in (part, *TURNS))) * 1000,
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
    """Several choices of which one fails."""
    return type((await client.attempt(model, PROMPT, n=3)).error).__name__


REFUSED: tuple[Step, ...] = (REQUEST, *TURNS, answer({}, 400)) * 1000


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
    """Branches would go on, and be billed, for a caller who has left."""
    script = BRANCH[False] if use is branched else REFUSED if use is refused else BRANCH[True]

    async def play() -> None:
        async with branching(script) as (_, client):
            await cancels(client, use, "anthropic/m", places=4)

    runs(play())


@pytest.mark.parametrize("use", [branched, branched_stream], ids=lambda use: use.__name__)
def test_several_choices_of_cohere_can_be_cancelled_anywhere(runs: Runs, use: Use) -> None:
    """The same, where another format ends its streams in another way."""

    async def play() -> None:
        async with simulated() as (_, client), nothing_left(client, seconds=60):
            await cancels(client, use, "cohere/m", places=4, acts=ONCE)

    runs(play())


# --- waits of our own -----------------------------------------------------------------------------------------------

LATER = {"retry-after-ms": "2"}
TROUBLE: dict[str, tuple[Use, tuple[Step, ...]]] = {
    "retry": (create, (REQUEST, answer({}, 503, LATER), REQUEST, *pieces(answer())) * 500),
    "rest": (create, (REQUEST, answer({}, 429, LATER), REQUEST, *pieces(answer())) * 500),
    "retry of a stream": (stream, (REQUEST, answer({}, 503, LATER), REQUEST, *whole()) * 500),
    "whole reply": (stream, (REQUEST, *pieces(answer())) * 500),
}
"""What a call may have to wait for between two requests, or for want of a stream."""


@pytest.mark.parametrize(("use", "script"), TROUBLE.values(), ids=TROUBLE)
def test_a_call_that_tries_again_can_be_cancelled_anywhere(runs: Runs, use: Use, script: tuple[Step, ...]) -> None:
    """A cancelled call would wake up and send again, or keep all others resting."""

    async def play() -> None:
        async with Stage(script, seconds=60, max_retries=2) as stage:
            road = stage.client._desk.core.provider_state(PROVIDERS["openai"]).endpoint
            road.retry_budget.per_call = 5
            await cancels(stage.client, use, "openai/m", places=4)

    runs(play())


def test_who_rests_with_others_can_be_cancelled_anywhere(runs: Runs) -> None:
    """One that leaves the line would hold up, or let loose, those behind it."""
    script = (REQUEST, answer({}, 429, {"retry-after-ms": "3"}), *(REQUEST, answer()) * 500)
    others: list[asyncio.Task[str]] = []

    async def in_line(client: AsyncCompletion, model: str) -> str:
        client._desk.core.provider_states["openai"].endpoint.cooldown.start(
            0.003, asyncio.get_running_loop().time(), random.random
        )
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
            await cancels(stage.client, in_line, "openai/m", places=4, first=finish, also=served)

    runs(play())


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> Callable[[AsyncCompletion, int], None]:
    """Lets a client make so few requests at a time."""

    def make(client: AsyncCompletion, slots: int) -> None:
        monkeypatch.setattr(connection_limit, "_FEW", slots)
        for name in ("openai", "anthropic"):
            client._desk.core.provider_state(PROVIDERS[name]).pool.connection_limit = ConnectionLimit(lambda: 0)

    return make


Narrow = Callable[[AsyncCompletion, int], None]


@pytest.mark.parametrize("use", [create, stream], ids=lambda use: use.__name__)
def test_who_queues_for_a_slot_can_be_cancelled_anywhere(runs: Runs, narrow: Narrow, use: Use) -> None:
    """A slot handed to one who has just left would be lost, and with the last of them the client."""
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
            narrow(stage.client, 1)
            await cancels(stage.client, in_queue, "openai/m", places=6, first=finish, also=served)

    runs(play())


def test_a_key_function_can_be_cancelled_anywhere(runs: Runs) -> None:
    """A cancel while somebody else's code is asked for the key would be told as that code's failure."""

    async def key() -> str:
        await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        return "key"

    async def play() -> None:
        async with Stage(SCRIPTS[KEPT, False], seconds=60, api_keys={"openai": key}) as stage:
            await cancels(stage.client, create, "openai/m", places=4)

    runs(play())


@pytest.mark.parametrize("status", [429, 503])
def test_a_long_wait_that_is_cancelled_leaves_no_timer(runs: Runs, status: int) -> None:
    """Each cancelled call would stay in memory until it would have been tried again."""

    async def play() -> None:
        async with Stage((REQUEST, answer({}, status, {"retry-after": "50"}), FIN), max_retries=2) as stage:
            lane = stage.client._desk.core.provider_state(PROVIDERS["openai"])
            call = asyncio.create_task(create(stage.client, "openai/m"))
            while not (lane.pool._pauses or lane.endpoint.cooldown._waiters):
                await asyncio.sleep(0.001)
            call.cancel()
            await asyncio.wait([call])
            assert call.cancelled()
            await idle(stage.client)

    runs(play())


# --- predictions ----------------------------------------------------------------------------------------------------


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Predictions are looked at without pause."""
    monkeypatch.setattr(replicate_decode, "_SHORTEST", 0.001)
    monkeypatch.setattr(replicate_decode, "_LONGEST", 0.001)


VERSION = "replicate/owner/name"
"""A model whose form has to be fetched first."""


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("use", [create, stream], ids=lambda use: use.__name__)
def test_a_prediction_can_be_cancelled_anywhere_and_the_provider_is_told_once(runs: Runs, use: Use) -> None:
    """A prediction nobody waits for would run on and be paid for."""
    told: list[int] = []

    async def play() -> None:
        async with simulated("slow-prediction", max_retries=0) as (sim, client), nothing_left(client, seconds=60):
            known = client._desk.core.provider_state(PROVIDERS["replicate"]).cache

            async def predicted(client: AsyncCompletion, model: str) -> str:
                sim.requests.clear()
                known.values.clear()
                return await use(client, model)

            async def told_once(run: Run) -> None:
                steps = Counter(step(request.method, request.path.removeprefix(ROOT)) for request in sim.requests)
                told.append(steps["cancel"])
                assert steps["cancel"] <= 1, f"{run}: told {steps['cancel']} times"
                # Who looks at a prediction knows that there is one; a stream may have been read to its end.
                assert steps["cancel"] == 1 or not steps["poll"] or use is stream, f"{run}: not told"

            await cancels(client, predicted, VERSION, places=8, acts=EVERY_WAY[:2], also=told_once)

    runs(play())
    assert {0, 1} == set(told)


def test_who_waits_for_what_another_fetches_can_be_cancelled_anywhere(runs: Runs) -> None:
    """All calls to a model would wait for a lock that a cancelled one took with it."""
    others: list[asyncio.Task[str]] = []

    async def both(client: AsyncCompletion, model: str) -> str:
        client._desk.core.provider_states["replicate"].cache.values.clear()
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
            client._desk.core.provider_state(PROVIDERS["replicate"])
            await cancels(client, both, VERSION, places=4, acts=EVERY_WAY[:2], first=finish, also=served)

    runs(play())


# --- leaving the client itself --------------------------------------------------------------------------------------


async def farewell() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


class Busy:
    """A client with a bit of everything: kept connections, a stream that is read, a call, a rest, a farewell."""

    def __init__(self, **servers: RawServer) -> None:
        urls = {name: server.url for name, server in servers.items()}
        self.client = AsyncCompletion(base_urls=urls, api_keys=dict.fromkeys(urls, "key"), max_retries=0)
        self.tasks: list[asyncio.Task[Any]] = []

    async def start(self) -> None:
        client, core = self.client, self.client._desk.core
        self.tasks = [
            asyncio.create_task(stream(client, "openrouter/m")),
            asyncio.create_task(create(client, "anthropic/m")),
            asyncio.create_task(branched_stream(client, "anthropic/m")),
        ]
        await create(client, "openai/m")
        road = core.endpoint_state(core.provider_state(PROVIDERS["openai"]), "https://elsewhere.example", "another key")
        road.cooldown.start(50, asyncio.get_running_loop().time(), random.random)
        self.tasks.append(asyncio.create_task(road.cooldown.wait()))
        core.track_cancel_request(asyncio.create_task(farewell()))

    async def is_closed(self) -> None:
        """All of it is closed, whoever was there told so, and closing again does no harm."""
        done, waiting = await asyncio.wait(self.tasks, timeout=5)
        assert not waiting, f"these still wait: {waiting}"
        assert {type(task.exception()) for task in done} <= {ClientClosedError, type(None)}, done
        for pool in pools(self.client):
            assert (pool.in_flight, kept(pool), acquired(pool), pool._session) == (0, 0, 0, None)
        with pytest.raises(ClientClosedError):
            await self.client.create("openai/m", PROMPT)
        await self.client.aclose()
        assert not self.client._desk.core.tasks


async def close(busy: Busy) -> None:
    await busy.client.aclose()


async def leave(busy: Busy) -> None:
    async with busy.client:
        await asyncio.sleep(0)


async def leave_twice(busy: Busy) -> None:
    async with busy.client, busy.client:
        await asyncio.sleep(0)


def cancel_again_and_again(task: asyncio.Task[Any]) -> None:
    """As anyio's scopes do it: in each turn, until the task ends."""
    if not task.done():
        task.cancel()
        task.get_loop().call_soon(cancel_again_and_again, task)


@pytest.mark.parametrize("act", [cancel, cancel_twice, cancel_again_and_again], ids=lambda act: act.__name__)
@pytest.mark.parametrize("leaving", [close, leave, leave_twice], ids=lambda leaving: leaving.__name__)
def test_closing_a_client_can_be_cancelled_anywhere_and_closes_it(
    runs: Runs, leaving: Callable[[Busy], Coroutine[Any, Any, None]], act: Act
) -> None:
    """A service that is told to stop twice would leave its connections open, and calls that wait for ever."""

    async def play() -> None:
        async with (
            RawServer((REQUEST, *pieces(answer())) * 10) as calm,
            RawServer((REQUEST, STREAM, event("Hel"), STALL)) as stalled,
            RawServer((REQUEST, STALL)) as mute,
        ):
            for late in (False, True):
                place, reached = 1, True
                while reached:
                    busy = Busy(openai=calm, openrouter=stalled, anthropic=mute)
                    async with nothing_left(busy.client):
                        await busy.start()
                        run = await run_to(functools.partial(leaving, busy), place, act, late=late)
                        if run.acted:
                            was_cancelled(run, FEW_TURNS)
                        await busy.is_closed()
                    place, reached = place + 1, run.reached
                assert place > 3

    runs(play())


def test_a_client_that_is_closed_as_its_branches_start_ends_their_stream(runs: Runs) -> None:
    """A reader would wait for ever for branches that were cancelled before their first step."""

    async def play() -> None:
        async with branching(BRANCH[True]) as (_, client):
            chunks: CompletionStream = await client.create("anthropic/m", PROMPT, n=3, stream=True)
            await client.aclose()
            with pytest.raises(ClientClosedError):
                await asyncio.wait_for(anext(chunks), 5)

    runs(play())


def test_a_rest_ends_with_the_client_even_where_it_was_forgotten(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service whose users bring their own keys could not stop for a minute."""
    monkeypatch.setattr(state, "_MAX_ENDPOINTS", 1)
    script = (REQUEST, answer({}, 429, {"retry-after": "50"}), FIN)

    async def play() -> None:
        async with Stage(script, max_retries=2) as stage:
            keys = ("sk-one", "sk-two", "sk-three")
            calls = [asyncio.create_task(create(stage.client, "openai/m", api_key=key)) for key in keys]
            while stage.requests < len(keys) or not all(
                road.cooldown.until for road in stage.client._desk.core.live_endpoints
            ):
                await asyncio.sleep(0.001)
            assert len(stage.client._desk.core.endpoints) == 1
            await stage.client.aclose()
            done, waiting = await asyncio.wait(calls, timeout=5)
            assert not waiting
            assert {type(task.exception()) for task in done} == {ClientClosedError}

    runs(play())


# --- whoever cancels ------------------------------------------------------------------------------------------------

CUT = "cut"
"""What a scope makes of a use that it ended."""


class Trigger:
    """Ends the use in a scope; does nothing once that is left."""

    def __init__(self) -> None:
        self.pull: Callable[[], object] | None = None

    def __call__(self, _: asyncio.Task[Any]) -> None:
        if self.pull is not None:
            self.pull()


Scope = Callable[[Coroutine[Any, Any, str], Trigger], Coroutine[Any, Any, str]]


class SomethingElse(Exception):
    """What another task of a group fails with."""


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


def _fail(happens: asyncio.Future[None]) -> None:
    if not happens.done():
        happens.set_exception(SomethingElse())


async def by_group(use: Coroutine[Any, Any, str], trigger: Trigger) -> str:
    """A sibling fails."""
    happens: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    trigger.pull = functools.partial(_fail, happens)

    async def sibling() -> None:
        await happens

    said = CUT
    try:
        async with asyncio.TaskGroup() as group:
            failing = group.create_task(sibling())
            said = await group.create_task(use)
            failing.cancel()
    except* SomethingElse:
        pass
    return said


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
    """Anyio's group, whose scope is cancelled."""
    said = [CUT]

    async def run() -> None:
        said[0] = await use

    async with anyio.create_task_group() as group:
        trigger.pull = group.cancel_scope.cancel
        group.start_soon(run)
    return said[0]


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
def test_any_scope_can_end_a_call_anywhere_and_nobody_else_is_cancelled(
    runs: Runs, scope: Scope, use: Use, model: str, script: tuple[Step, ...]
) -> None:
    """A scope would miss its own cancel, or the caller's task would be cancelled beyond it."""
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
                said = await scope(use(client, model), trigger)
                trigger.pull = None
                assert task.cancelling() == 0
                await asyncio.sleep(0)  # a cancel that nobody took back would come now
                return said

            async def check(run: Run) -> None:
                said = run.task.result()
                ends.add(said)
                assert said in (CUT, expected), f"{run}: {said}"
                assert said != CUT or run.turns <= FEW_TURNS, f"{run}: it went on for {run.turns} turns"
                await idle(client)

            await at_every_place(scoped, check, trigger)
            assert await use(client, model) == expected

    runs(play())
    assert CUT in ends


# --- a cancel and something else at the same time -------------------------------------------------------------------


def run_out(pools: Sequence[Pool]) -> None:
    """The clocks of all that waits run out."""
    loop = asyncio.get_running_loop()
    for pool in pools:
        for watch in pool._timer.watches:
            watch.deadline = 0.0
        pool._timer.check_all(loop)


def a_clock(client: AsyncCompletion, _: Sequence[CompletionStream]) -> None:
    run_out(pools(client))


def a_closed_client(client: AsyncCompletion, _: Sequence[CompletionStream]) -> None:
    client._desk.core.closed = True
    client._desk.core._wake_all()


def a_closed_stream(_: AsyncCompletion, streams: Sequence[CompletionStream]) -> None:
    for chunks in streams:
        chunks.close()


FROM_INSIDE: dict[str, tuple[int, str, tuple[Step, ...]]] = {
    "reply": (0, "openai/m", SCRIPTS[ONE_EACH, False]),
    "replies": (0, "anthropic/m", BRANCH[False]),
    "reply at the second try": (0, "openai/m", (REQUEST, answer({}, 503, LATER), REQUEST, answer()) * 500),
    "stream": (1, "openai/m", SCRIPTS[KEPT, True]),
    "streams": (3, "anthropic/m", BRANCH[True]),
    "stream at the second try": (1, "openai/m", (REQUEST, answer({}, 503, LATER), REQUEST, *whole()) * 500),
    "stream that is a reply": (1, "openai/m", SCRIPTS[KEPT, False]),
}
"""What is asked for → the choices of a stream, or 0 for a reply, the model, and what the server does."""


@pytest.mark.parametrize(
    ("ours", "choices", "model", "script"),
    [
        pytest.param(ours, *asked, id=f"{ours.__name__}-{name}")
        for name, asked in FROM_INSIDE.items()
        for ours in ([a_clock, a_closed_client, a_closed_stream] if asked[0] else [a_clock, a_closed_client])
    ],
)
def test_what_ends_a_call_from_inside_and_a_cancel_are_told_apart_anywhere(
    runs: Runs,
    ours: Callable[[AsyncCompletion, Sequence[CompletionStream]], None],
    choices: int,
    model: str,
    script: tuple[Step, ...],
) -> None:
    """A cancelled task would go on with an error of ours, or one with an error of ours would be cancelled later."""
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
        assert not run.task.cancelled(), f"{run}: cancelled, and nobody did"
        assert run.task.cancelling() == 0, f"{run}: a cancel is left"
        error = run.task.exception()
        if run.acted:
            ends.add(type(error))
        assert error is None or isinstance(error, CompletionError), f"{run}: {error!r}"
        # Once it is closed, there is nothing to wait for, and least of all another try.
        assert run.turns <= FEW_TURNS or ours is a_clock or error is None, f"{run}: it went on for {run.turns} turns"

    async def play() -> None:
        nonlocal client

        def fresh() -> AsyncCompletion:
            # A call whose clock has run out would else be tried again.
            retries = 0 if ours is a_clock else 2
            made = AsyncCompletion(base_urls={name: server.url}, api_keys={name: "key"}, max_retries=retries)
            made._desk.core.provider_state(PROVIDERS[name]).endpoint.retry_budget.per_call = 5
            return made

        async with RawServer(script) as server:
            client = fresh()
            async with nothing_left(client, seconds=60):
                for act, late in ((alone, False), (alone, True), (before, True), (after, False)):
                    for place in itertools.count(1):
                        run = await run_to(use, place, act, late=late)
                        check(run, act)
                        await idle(client)
                        if ours is a_closed_client:
                            await client.aclose()
                            client = fresh()
                        if not run.reached:
                            break
                await client.aclose()

    runs(play())
    assert ends & {APITimeoutError, ClientClosedError, StreamInterruptedError}, ends


async def test_a_stream_that_is_closed_before_its_first_chunk_is_not_asked_for_again() -> None:
    """Who closes a stream would pay for a second one, and its reader wait for that."""
    async with Stage((REQUEST, STREAM, STALL), max_retries=2) as stage:
        chunks = await stage.client.create("openai/m", PROMPT, stream=True)
        reading = asyncio.create_task(anext(chunks))
        await asyncio.sleep(0)
        await chunks.aclose()
        with pytest.raises(StreamInterruptedError):
            await reading
        assert stage.requests == 1


# --- turns and slots ------------------------------------------------------------------------------------------------


async def resting(rest: Cooldown, number: int) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(rest.wait()) for _ in range(number)]
    await asyncio.sleep(0)
    return tasks


async def test_who_left_a_rest_is_not_waited_for() -> None:
    """Calls would be refused for want of time because of others that are long gone, and a timer would stay behind."""
    rest, loop = Cooldown(), asyncio.get_running_loop()
    rest.start(8, loop.time(), float)
    gone = await resting(rest, 100)
    assert rest.expected(loop.time()) > 100
    for task in gone[:-1]:
        task.cancel()
    await asyncio.wait(gone[:-1])
    assert rest.expected(loop.time()) < 10
    assert rest._timer is not None
    gone[-1].cancel()
    await asyncio.wait(gone)
    assert rest._timer is None


async def test_a_turn_given_to_one_who_is_cancelled_is_the_next_ones() -> None:
    """Each such cancel would cost all others as long as the provider answers one call."""
    rest, loop = Cooldown(), asyncio.get_running_loop()
    rest.start(400, loop.time(), float)
    first, second = await resting(rest, 2)
    rest.until = loop.time()
    rest._next(loop)
    first.cancel()
    async with asyncio.timeout(5):  # a turn is fifty seconds here
        await second
    assert first.cancelled()


async def test_a_closed_client_rests_no_more() -> None:
    """An answer that was read while the client was closed would have its call wait for a minute."""
    rest = Cooldown()
    rest.wake()
    rest.start(50, asyncio.get_running_loop().time(), float)
    async with asyncio.timeout(5):
        await rest.wait()
    assert not rest.is_active()


async def test_a_request_without_our_key_does_not_spin_while_calls_with_it_rest() -> None:
    """The whole event loop would stand still until the rest is over."""
    async with SimulatorServer(fault="slow-prediction") as sim:
        # The stream's address is another origin, where the key does not go.
        urls = {"replicate": sim.base_urls["replicate"].replace("127.0.0.1", "localhost")}
        async with AsyncCompletion(base_urls=urls, api_keys=sim.api_keys) as client:
            chunks = await client.create(VERSION, PROMPT, stream=True)
            rest = client._desk.core.provider_states["replicate"].endpoint.cooldown
            rest.start(3, asyncio.get_running_loop().time(), float)
            await anext(chunks)
            assert rest.is_active()
            await chunks.aclose()


def test_a_process_without_a_free_descriptor_is_not_taken_for_one_without_a_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where looking fails for want of a descriptor, the bound would be gone for as long as the client lives."""

    def nothing_free(_: str) -> list[str]:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "listdir", nothing_free)
    slots = ConnectionLimit()
    assert sum(slots.try_acquire() for _ in range(100)) == connection_limit._FEW


async def test_a_stream_that_was_read_gives_its_slot_back_as_its_body_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stream would hold a slot for longer than it is read, and nobody else could have it."""
    monkeypatch.setattr(response, "_DRAIN", 50)
    script = (REQUEST, STREAM, event("Hello."), event(finish_reason="stop"), DONE, 0.02, END, STALL)
    async with Stage(script) as stage:
        assert await final(stage.client, "openai/m") == "Hello."
        (pool,) = pools(stage.client)
        assert pool.in_flight == 1
        while pool.in_flight:
            await asyncio.sleep(0.001)
        assert kept(pool) == 1


# --- at random ------------------------------------------------------------------------------------------------------


class Echo:
    """A server that answers each question with the question, whole or streamed, in pieces and at leisure."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 (it is to be the same each time)
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
                asked = json.loads(await reader.readexactly(size))
                for part in self._said(asked["messages"][0]["content"], asked.get("stream", False)):
                    writer.write(part)
                    await asyncio.sleep(0.003 * self._random.random() if self._random.random() < 0.3 else 0)
        except (asyncio.IncompleteReadError, ConnectionError, RuntimeError, asyncio.CancelledError):
            pass  # uvloop raises RuntimeError where a peer has left
        finally:
            self._connections.discard(task)
            writer.close()

    def _said(self, text: str, streamed: bool) -> Sequence[bytes]:
        if not streamed:
            top, body = answer(completion(text)).split(b"\r\n\r\n")
            return (top + b"\r\n\r\n", body[:50], body[50:])
        return (STREAM, event(text[:2]), event(text[2:]), event(finish_reason="stop"), DONE + END)


async def asked(client: AsyncCompletion, question: str, way: int) -> str:
    """The answer to `question`, by one of the ways to ask."""
    if way == 0:
        return (await client.create("openai/m", question)).text
    if way == 1:
        return (await client.stream("openai/m", question).get_final_completion()).text
    async with client.stream("openai/m", question) as chunks:
        return "".join([text async for text in chunks.text])


async def perhaps(client: AsyncCompletion, number: int, chance: float, rolls: random.Random) -> bool:
    """Asks a question of its own and may be cancelled at any time; whether it was."""
    question = f"Question {number}."
    task = asyncio.create_task(asked(client, question, rolls.randrange(3)))
    timer = None
    if rolls.random() < chance:
        delay = rolls.choice([0.0, rolls.random() * 0.002, rolls.random() * 0.02])
        timer = asyncio.get_running_loop().call_later(delay, task.cancel)
    try:
        assert await task == question, "somebody else's answer"
    except asyncio.CancelledError:
        return True
    finally:
        if timer is not None:
            timer.cancel()
    return False


@asynccontextmanager
async def echoing(narrow: Narrow, slots: int) -> AsyncIterator[AsyncCompletion]:
    async with (
        Echo(seed=slots) as echo,
        AsyncCompletion(base_urls={"openai": echo.url}, api_keys={"openai": "key"}, max_retries=0) as client,
        nothing_left(client, seconds=60 * SCALE),
    ):
        narrow(client, slots)
        yield client


def test_after_a_thousand_cancels_a_client_of_five_slots_serves_everybody(runs: Runs, narrow: Narrow) -> None:
    """Each cancelled call could take a slot with it, and the fifth would be the end."""

    async def play() -> None:
        rolls = random.Random(7)  # noqa: S311 (as above)
        async with echoing(narrow, 5) as client:
            cancelled = 0
            while cancelled < 1000 * SCALE:
                cancelled += sum(await asyncio.gather(*(perhaps(client, number, 1.0, rolls) for number in range(50))))
            await idle(client)
            async with asyncio.timeout(10):
                assert not any(await asyncio.gather(*(perhaps(client, number, 0.0, rolls) for number in range(20))))
            await idle(client)

    runs(play())


def test_no_call_gets_the_answer_to_another_that_was_cancelled(runs: Runs, narrow: Narrow) -> None:
    """One user would read what another has asked."""

    async def play() -> None:
        rolls = random.Random(5)  # noqa: S311 (as above)
        async with echoing(narrow, 20) as client:
            cancelled = 0
            for start in range(0, 2500 * SCALE, 100):
                ended = await asyncio.gather(*(perhaps(client, start + i, 0.5, rolls) for i in range(100)))
                cancelled += sum(ended)
            assert cancelled > 1000 * SCALE
            await idle(client)

    runs(play())
