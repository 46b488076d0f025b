"""Live batches: one result per item, bounded concurrency and memory, resumption, clean ends, errors as values."""

import asyncio
import contextvars
import gc
import re
import sys
import weakref
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from anycompletion import (
    AsyncCompletion,
    BadRequestError,
    ChatCompletion,
    ChatRequest,
    ClientClosedError,
    CompletionError,
    InvalidRequestError,
    JournalError,
    RateLimitError,
    Result,
)
from anycompletion.batch import BatchProgress, BatchRun, UnwrittenError, read_results
from anycompletion.batch.items import read_item, validate_item
from anycompletion.testing import SimulatorServer
from behaviour.test_cancellation import cancels, simulated
from support.batches import OnLoadRefusal, Provider, TaskTracker, batch, make_request, reply, results
from support.cancel_points import Run, at_every_point, cancel, cancel_twice
from support.resource_leaks import client_of, nothing_left

TENANT = contextvars.ContextVar("TENANT", default="")

HANG = 30.0

posix = pytest.mark.skipif(sys.platform == "win32", reason="a journal needs the file locks of POSIX")


def ids(found: list[Result]) -> list[str | None]:
    return [result.custom_id for result in found]


async def yield_to_loop(times: int = 50) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


# --- items -----------------------------------------------------------------------------------------------------------

HELLO = [{"role": "user", "content": "Hello!"}]

ITEMS: dict[str, tuple[Any, ChatRequest]] = {
    "request": (ChatRequest("openai/m", "Hi."), ChatRequest("openai/m", "Hi.")),
    "request with an id": (make_request(1), make_request(1)),
    "dict": (
        {"model": "openai/m", "messages": HELLO, "temperature": 0, "custom_id": "a"},
        ChatRequest("openai/m", HELLO, temperature=0, custom_id="a"),
    ),
    "dict with fields of one provider": (
        {"model": "openai/m", "messages": "Hi.", "extra_body": {"min_p": 1}},
        ChatRequest("openai/m", "Hi.", extra_body={"min_p": 1}),
    ),
    "dict with call options": (
        {"model": "m", "messages": "Hi.", "provider": "openai", "api_key": "sk-1", "timeout": 3, "n": None},
        ChatRequest("m", "Hi."),
    ),
    "line of OpenAI's Batch API": (
        {
            "custom_id": "request-1",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": "gpt-4o-mini", "messages": HELLO, "max_tokens": 9},
        },
        ChatRequest("gpt-4o-mini", HELLO, max_tokens=9, custom_id="request-1"),
    ),
    "id and request": (("b", ChatRequest("openai/m", "Hi.")), ChatRequest("openai/m", "Hi.", custom_id="b")),
    "id and request with another id": (("b", make_request(1)), ChatRequest("openai/m", "question 1", custom_id="b")),
    "id and dict": (("c", {"model": "openai/m", "messages": "Hi."}), ChatRequest("openai/m", "Hi.", custom_id="c")),
}


@pytest.mark.parametrize("kind", ITEMS)
def test_an_item_may_have_several_forms(kind: str) -> None:
    """An item would become another request, or lose its id."""
    given, wanted = ITEMS[kind]
    item = read_item(given)
    assert item.error is None
    assert item.request is not None
    request = validate_item(item.request)
    assert request == validate_item(wanted)
    assert (item.custom_id, request.custom_id) == (wanted.custom_id, wanted.custom_id)


class FailingMapping(Mapping[str, Any]):
    """A mapping that raises when it is read."""

    def __getitem__(self, key: str) -> Any:
        raise OSError("the disk is gone")

    def __iter__(self) -> Iterator[str]:
        return iter(("model", "messages"))

    def __len__(self) -> int:
        return 2


LINE = {"custom_id": "a", "body": {"model": "m", "messages": "Hi."}}

INVALID_ITEMS: dict[str, tuple[Any, Any, str | None]] = {
    "text": ("Hello!", None, None),
    "None": (None, None, None),
    "no model": ({"messages": "Hi.", "custom_id": "a"}, "a", "model"),
    "no messages": (("a", {"model": "openai/m"}), "a", "messages"),
    "request with an id of another type": (ChatRequest("openai/m", "Hi.", custom_id=7), 7, "custom_id"),  # type: ignore[arg-type]
    "id of another type": ({"model": "m", "messages": "Hi.", "custom_id": 7}, None, "custom_id"),
    "id of another type beside a request": ((7, make_request(1)), None, "custom_id"),
    "tuple of three": (("a", "b", "c"), None, None),
    "line of another method": ({**LINE, "method": "GET"}, "a", "method"),
    "line for embeddings": ({**LINE, "url": "/v1/embeddings"}, "a", "url"),
    "line whose body is text": ({**LINE, "body": "Hi."}, "a", "body"),
    "an unknown argument": ({"model": "m", "messages": "Hi.", "temprature": 1, "custom_id": "a"}, "a", "temprature"),
    "an argument of another SDK in a line": ({**LINE, "body": {**LINE["body"], "top_k": 5}}, "a", "top_k"),  # type: ignore[dict-item]
    "an argument without a name": (("a", {"model": "m", "messages": "Hi.", 7: 1}), "a", "7"),
    "mapping that fails": (("a", FailingMapping()), "a", None),
}
"""An invalid item, and the id and the parameter of its error."""


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python 3.12 has eager tasks")
async def test_eager_tasks_of_items_that_end_at_once_are_not_nested() -> None:
    """Some hundred such items in a row would end the batch with a RecursionError."""

    async def complete(request: ChatRequest, on_load_refusal: OnLoadRefusal) -> ChatCompletion:
        if request.custom_id in first:
            await asyncio.sleep(0.05)  # meanwhile others are read, and wait
        return reply("yes")

    first = {f"row-{number}" for number in range(20)}
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]
    async with batch(map(make_request, range(1000)), complete) as run:
        assert [result.completion is not None async for result in run] == [True] * 1000


@pytest.mark.parametrize("kind", INVALID_ITEMS)
async def test_an_invalid_item_is_an_error_result_and_the_run_goes_on(kind: str) -> None:
    """One invalid line of a million would end the run, or be dropped silently."""
    invalid, custom_id, param = INVALID_ITEMS[kind]
    provider = Provider()
    found = await results(batch([make_request(0), invalid, make_request(2)], provider, concurrency=1, ordered=True))
    assert [result.ok for result in found] == [True, False, True]
    error = found[1].error
    assert isinstance(error, InvalidRequestError)
    assert (found[1].custom_id, error.param) == (custom_id, param)
    assert len(provider.started) == 2


async def test_an_error_as_an_item_is_its_result() -> None:
    """A caller who reads lines could not report that one of them is invalid."""
    error = InvalidRequestError("line 7 is no JSON object")
    (found,) = await results(batch([error], Provider()))
    assert found.error is error


@pytest.mark.parametrize("with_journal", [False, pytest.param(True, marks=posix)])
async def test_a_repeated_id_is_an_error_and_its_request_is_not_sent(with_journal: bool, tmp_path: Path) -> None:
    """Two results would have the same id, and one of them would be lost."""
    provider = Provider()
    items = [make_request(0), make_request(1), make_request(0)]
    journal = tmp_path / "answers.jsonl" if with_journal else None
    found = await results(batch(items, provider, ordered=True, concurrency=2, journal=journal))
    assert [result.ok for result in found] == [True, True, False]
    assert isinstance(found[2].error, InvalidRequestError)
    assert (found[2].custom_id, found[2].error.param, sum(provider.started.values())) == ("row-0", "custom_id", 2)


# --- results ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("concurrency", [1, 7, None])
async def test_every_item_gets_its_own_result_once(concurrency: int | None, ordered: bool) -> None:
    """A result would be lost, repeated or another item's, or the order would be wrong."""
    provider = Provider(delay=3, errors={f"row-{number}": BadRequestError("no") for number in range(0, 2000, 10)})
    items = [make_request(number) for number in range(2000)]
    found = await results(batch(items, provider, concurrency=concurrency, ordered=ordered))
    assert {*ids(found)} == {item.custom_id for item in items}
    assert len(found) == len(items)
    if ordered:
        assert ids(found) == [item.custom_id for item in items]
    for result in found:
        assert result.custom_id is not None
        number = result.custom_id.removeprefix("row-")
        assert result.request is items[int(number)]
        if int(number) % 10:
            assert result.unwrap().text == f"answer to question {number}"
        else:
            assert isinstance(result.error, BadRequestError)
    assert set(provider.started.values()) == {1}


async def test_the_concurrency_is_reached_and_not_exceeded() -> None:
    """The provider would refuse requests, or capacity would stay unused."""
    provider = Provider(delay=5)
    await results(batch((make_request(number) for number in range(1000)), provider, concurrency=37))
    assert provider.max_in_flight == 37


async def test_results_are_given_out_as_they_come() -> None:
    """One slow reply would delay all other results."""
    provider = Provider()
    provider.blocked["row-0"] = asyncio.Event()
    async with asyncio.timeout(HANG), batch((make_request(n) for n in range(5000)), provider, concurrency=8) as run:
        seen = 0
        async for result in run:
            seen += 1
            assert result.custom_id != "row-0" or seen == 5000
            if seen == 4999:
                provider.blocked["row-0"].set()
    assert seen == 5000


async def test_in_order_a_slow_item_delays_a_bounded_number() -> None:
    """Results that wait for a slow one would fill the memory, or nothing would be sent meanwhile."""
    provider = Provider()
    provider.blocked["row-0"] = asyncio.Event()
    async with (
        asyncio.timeout(HANG),
        batch((make_request(n) for n in range(5000)), provider, concurrency=8, ordered=True) as run,
    ):
        first = asyncio.create_task(anext(run))
        await yield_to_loop(3000)
        assert 256 <= len(provider.started) <= 8 + 64 + 256
        provider.blocked["row-0"].set()
        found = [await first, *[result async for result in run]]
    assert ids(found) == [f"row-{number}" for number in range(5000)]


@pytest.mark.parametrize("concurrency", [1, 8, None])
@pytest.mark.parametrize("ordered", [False, True])
async def test_items_are_read_as_far_as_needed(ordered: bool, concurrency: int | None) -> None:
    """With a slow consumer, a million requests and results would wait in memory."""
    read = 0

    def endless() -> Iterator[ChatRequest]:
        nonlocal read
        while True:
            read += 1
            yield make_request(read)

    bound = 2048 if concurrency is None else concurrency + 64 + 256
    async with asyncio.timeout(HANG), batch(endless(), Provider(), concurrency=concurrency, ordered=ordered) as run:
        for taken in range(1, 40):
            await anext(run)
            await yield_to_loop(200)
            assert read <= taken + bound + 1


async def test_async_items_are_read_as_they_come() -> None:
    """A queue or a database could not feed a batch, or a pause of it would stop the requests in flight."""
    more = asyncio.Event()

    async def slow() -> AsyncIterator[ChatRequest]:
        yield make_request(0)
        yield make_request(1)
        await more.wait()
        yield make_request(2)

    async with asyncio.timeout(HANG), batch(slow(), Provider(), concurrency=2) as run:
        assert ids([await anext(run), await anext(run)]) == ["row-0", "row-1"]
        more.set()
        assert ids([result async for result in run]) == ["row-2"]


async def test_several_tasks_may_share_a_run() -> None:
    """A result would go to two tasks or to none, or a task would wait without end."""
    found: list[Result] = []

    async def consume() -> None:
        async for result in run:
            found.append(result)
            await asyncio.sleep(0)

    async with asyncio.timeout(HANG), batch((make_request(n) for n in range(500)), Provider(), concurrency=5) as run:
        await asyncio.gather(consume(), consume(), consume())
    assert sorted(ids(found)) == sorted(f"row-{number}" for number in range(500))


async def test_a_cancelled_consumer_loses_no_result() -> None:
    """A result that a consumer was woken for would be lost with its timeout."""
    provider = Provider()
    provider.blocked["row-0"] = asyncio.Event()
    async with asyncio.timeout(HANG), batch([make_request(0)], provider, concurrency=1) as run:
        waiting = [asyncio.create_task(anext(run)) for _ in range(2)]
        await yield_to_loop()
        provider.blocked["row-0"].set()
        while provider.in_flight:
            await asyncio.sleep(0)
        waiting[0].cancel()
        done = await asyncio.gather(*waiting, return_exceptions=True)
        assert sum(isinstance(each, Result) for each in done) + len([r async for r in run]) == 1


# --- the end of a run ------------------------------------------------------------------------------------------------


class SourceError(Exception):
    """An error of the caller's iterable."""


def fails_sync() -> Iterator[ChatRequest]:
    yield from (make_request(number) for number in range(20))
    raise SourceError


async def fails_async() -> AsyncIterator[ChatRequest]:
    for number in range(20):
        yield make_request(number)
    raise SourceError


@pytest.mark.parametrize("make", [fails_sync, fails_async])
async def test_an_error_of_the_iterable_is_raised_after_all_results(make: Any) -> None:
    """An error of the caller's code would be swallowed, or the results before it would be lost."""
    found: list[Result] = []
    with pytest.raises(SourceError):
        async with asyncio.timeout(HANG), batch(make(), Provider(delay=3), concurrency=4) as run:
            found.extend([result async for result in run])
    async with asyncio.timeout(HANG), batch(make(), Provider(delay=3), concurrency=4) as run:
        found.clear()
        with pytest.raises(SourceError):
            async for result in run:
                found.append(result)
        with pytest.raises(StopAsyncIteration):
            await anext(run)
    assert sorted(ids(found)) == sorted(f"row-{number}" for number in range(20))


async def test_an_unexpected_exception_ends_the_run() -> None:
    """A bug in a middleware would look like a million failed requests."""
    provider = Provider(errors={"row-3": ZeroDivisionError()})
    found: list[Result] = []
    async with asyncio.timeout(HANG), batch((make_request(n) for n in range(10_000)), provider, concurrency=4) as run:
        with pytest.raises(ZeroDivisionError):
            async for result in run:
                found.append(result)
    assert sum(provider.started.values()) - len(found) == 1
    assert len(found) < 100


@pytest.mark.parametrize("error", [StopAsyncIteration(), StopIteration()], ids=repr)
async def test_user_code_that_raises_the_end_of_an_iteration_does_not_end_the_run_silently(error: Exception) -> None:
    """A batch would end as if it were complete, with most of its items not sent."""
    provider = Provider(errors={"row-3": error})
    async with asyncio.timeout(HANG), batch((make_request(n) for n in range(100)), provider, concurrency=1) as run:
        with pytest.raises(RuntimeError, match=type(error).__name__):
            async for _ in run:
                pass


async def test_items_have_contexts_of_their_own() -> None:
    """What a middleware sets for one item would be there for the next, for example another customer's key."""
    seen: list[str] = []

    async def remember(request: ChatRequest, on_load_refusal: object) -> Any:
        seen.append(TENANT.get())
        TENANT.set(f"tenant of {request.custom_id}")
        await asyncio.sleep(0)
        return reply("yes")

    def items() -> Any:
        for number in range(20):
            TENANT.set("reader")
            yield make_request(number)

    TENANT.set("caller")
    async with batch(items(), remember, concurrency=2) as run:
        assert len([result async for result in run]) == 20
    assert seen == ["caller"] * 20


async def test_a_call_that_cancels_itself_ends_the_run() -> None:
    """An item would have no result, and nothing would report that."""

    async def cancels_itself(request: ChatRequest, on_load_refusal: object) -> Any:
        raise asyncio.CancelledError

    async with asyncio.timeout(HANG), batch([make_request(0)], cancels_itself, concurrency=1) as run:
        with pytest.raises(CompletionError, match="cancelled"):
            await anext(run)


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_leaving_early_cancels_everything(asynchronous: bool) -> None:
    """Requests would continue and be paid after the block, or the caller's generator would stay open."""
    closed = False

    def rows() -> Iterator[ChatRequest]:
        nonlocal closed
        try:
            for number in range(10_000):
                yield make_request(number)
        finally:
            closed = True

    async def async_rows() -> AsyncIterator[ChatRequest]:
        nonlocal closed
        try:
            for number in range(10_000):
                yield make_request(number)
        finally:
            await asyncio.sleep(0)
            closed = True

    provider, tasks = Provider(delay=20), TaskTracker()
    before = asyncio.all_tasks()
    async with (
        asyncio.timeout(HANG),
        batch(async_rows() if asynchronous else rows(), provider, tasks, concurrency=8) as run,
    ):
        async for _ in run:
            break
        await yield_to_loop(5)
    assert (provider.in_flight, closed, tasks.tasks) == (0, True, set())
    assert asyncio.all_tasks() == before
    sent = sum(provider.started.values())
    await yield_to_loop()
    assert sum(provider.started.values()) == sent
    assert provider.cancelled
    with pytest.raises(ClientClosedError, match="closed"):
        await anext(run)


async def test_a_file_of_requests_stays_open(tmp_path: Path) -> None:
    """A batch would close a file that the caller opened."""
    path = tmp_path / "requests"
    path.write_text("one\ntwo\n")
    with path.open() as file:
        async with asyncio.timeout(HANG), batch(file, Provider(), concurrency=1) as run:
            await anext(run)
        assert not file.closed


async def test_leaving_does_not_wait_for_the_next_item() -> None:
    """A batch whose iterable never gives its next item could not be closed."""

    async def never() -> AsyncIterator[ChatRequest]:
        yield make_request(0)
        await asyncio.Event().wait()

    async with asyncio.timeout(HANG):
        async with batch(never(), Provider(), concurrency=1) as run:
            await anext(run)
        async with batch(never(), Provider(errors={"row-0": ZeroDivisionError()}), concurrency=1) as run:
            with pytest.raises(ZeroDivisionError):
                await anext(run)


async def test_a_run_may_be_iterated_without_async_with() -> None:
    """A caller who writes only `async for` would get nothing, or leave tasks behind."""
    tasks = TaskTracker()
    async with asyncio.timeout(HANG):
        assert len([r async for r in batch([make_request(0), make_request(1)], Provider(), tasks)]) == 2
        await yield_to_loop()
    assert not tasks.tasks


async def test_a_run_keeps_its_client_alive() -> None:
    """A client that only its run references would be collected in the middle of it, with a ResourceWarning."""
    clients: list[weakref.ref[AsyncCompletion]] = []

    def start(sim: SimulatorServer) -> BatchRun:
        client = client_of(sim)
        clients.append(weakref.ref(client))
        return client.batch([{"model": "openai/m", "messages": "Hi."}] * 3)

    async with SimulatorServer() as sim, start(sim) as run:
        async for result in run:
            assert result.ok
            gc.collect()
            client = clients[0]()
            assert client is not None
        await client.aclose()


async def test_a_collected_run_stops() -> None:
    """After a `break` without a block, requests would continue until the client is closed."""
    provider, tasks = Provider(), TaskTracker()
    run = batch((make_request(n) for n in range(100_000)), provider, tasks, concurrency=4)
    await anext(run)
    dropped = weakref.ref(run)
    del run
    gc.collect()
    assert dropped() is None
    await yield_to_loop()
    assert (tasks.tasks, provider.in_flight) == (set(), 0)


async def test_aclose_is_idempotent() -> None:
    """A run without a block could not be ended, or a second call would raise."""
    provider = Provider()
    run = batch((make_request(n) for n in range(100_000)), provider, concurrency=4)
    await anext(run)
    await run.aclose()
    await run.aclose()
    assert provider.in_flight == 0
    assert "closed" in repr(run)


async def test_a_run_that_never_started_can_be_closed() -> None:
    """An unused batch would raise or read its items."""
    items = iter([make_request(0)])
    run = batch(items, Provider())
    assert "new" in repr(run)
    await run.aclose()
    with pytest.raises(ClientClosedError):
        await anext(run)
    assert len(list(items)) == 1


async def test_a_run_is_used_once() -> None:
    """A second block would look like an empty batch."""
    run = batch([make_request(0)], Provider())
    assert len(await results(run)) == 1
    with pytest.raises(ClientClosedError, match="begun already"):
        async with run:
            pass


async def test_closing_a_run_raises_in_a_waiting_consumer() -> None:
    """Closing a run from another task would leave its consumer waiting, or look like the end of all results."""
    provider = Provider()
    provider.blocked["row-0"] = asyncio.Event()
    run = batch([make_request(0)], provider, concurrency=1)
    waiting = asyncio.create_task(anext(run))
    await yield_to_loop()
    await run.aclose()
    with pytest.raises(ClientClosedError):
        await asyncio.wait_for(waiting, HANG)


# --- progress --------------------------------------------------------------------------------------------------------


async def test_progress_has_counts_tokens_and_cost() -> None:
    """A user could not see what is done, what failed, what it cost and how long the rest takes."""
    seen: list[BatchProgress] = []
    provider = Provider(errors={"row-1": RateLimitError("slow down")})
    provider.usage = {"cost": 0.25}
    run = batch([make_request(number) for number in range(5)], provider, concurrency=2, on_progress=seen.append)
    await results(run)
    last = seen[-1]
    assert last == run.progress or last.done == run.progress.done
    assert (last.done, last.failed, last.skipped, last.in_flight, last.total, last.finished) == (4, 1, 0, 0, 5, 5)
    assert (last.prompt_tokens, last.completion_tokens, last.cost) == (12, 8, 1.0)
    assert last.rate > 0
    assert last.eta == 0
    assert last.elapsed > 0


async def test_the_total_of_a_generator_is_unknown() -> None:
    """The estimated end would be invented."""
    run = batch((make_request(number) for number in range(3)), Provider())
    assert (run.progress.total, run.progress.eta, run.progress.cost) == (None, None, None)
    await results(run)
    assert (run.progress.eta, run.progress.done) == (None, 3)


async def test_an_exception_of_on_progress_is_only_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A bug in a progress bar would end a run of hours."""

    def fails_always(_: BatchProgress) -> None:
        raise SourceError("row-1")

    assert len(await results(batch([make_request(0), make_request(1)], Provider(), on_progress=fails_always))) == 2
    assert "on_progress failed with SourceError" in caplog.text
    assert "row-1" not in caplog.text


# --- arguments -------------------------------------------------------------------------------------------------------

INVALID_ARGUMENTS: dict[str, tuple[dict[str, Any], str]] = {
    "not iterable": ({"requests": 7}, "requests"),
    "text": ({"requests": "Hello!"}, "requests"),
    "one request as a dict": ({"requests": {"model": "m", "messages": "Hi."}}, "requests"),
    "zero concurrency": ({"concurrency": 0}, "concurrency"),
    "a fraction": ({"concurrency": 1.5}, "concurrency"),
    "a bool": ({"concurrency": True}, "concurrency"),
    "empty path": ({"journal": ""}, "journal"),
    "a file descriptor": ({"journal": 3}, "journal"),
    "not callable": ({"on_progress": 1}, "on_progress"),
    "async function": ({"on_progress": yield_to_loop}, "on_progress"),
}


@pytest.mark.parametrize("case", INVALID_ARGUMENTS)
async def test_an_invalid_argument_is_refused_at_once(case: str) -> None:
    """A mistake would be found after the first replies are paid, or never."""
    given, param = INVALID_ARGUMENTS[case]
    async with AsyncCompletion() as client:
        with pytest.raises(InvalidRequestError) as caught:
            client.batch(**{"requests": [], **given})
    assert caught.value.param == param


# --- adaptive concurrency --------------------------------------------------------------------------------------------


async def test_adaptive_concurrency_grows_while_replies_come() -> None:
    """A batch without a `concurrency` would stay slow."""
    provider = Provider(delay=3)
    await results(batch((make_request(n) for n in range(20_000)), provider))
    assert 256 < provider.max_in_flight <= 512


async def test_adaptive_concurrency_shrinks_when_the_provider_refuses() -> None:
    """A batch would continue at full speed against an overloaded provider."""
    most: list[int] = []

    class Overloaded(Provider):
        async def __call__(self, request: ChatRequest, on_load_refusal: Any) -> Any:
            if self.in_flight >= 40:
                on_load_refusal()
                await asyncio.sleep(0)
            most.append(self.in_flight)
            return await super().__call__(request, on_load_refusal)

    await results(batch((make_request(n) for n in range(20_000)), Overloaded(delay=5)))
    assert max(most[10_000:]) < 100


async def test_a_provider_at_its_limit_does_not_delay_others() -> None:
    """One slow provider would stop a mixed batch although the others are idle."""
    provider = Provider()
    slow = [make_request(number, "slow/m") for number in range(500)]
    quick = [make_request(number, "quick/m") for number in range(500, 1500)]
    provider.blocked = {f"row-{number}": asyncio.Event() for number in range(500)}
    async with asyncio.timeout(HANG), batch([*slow, *quick], provider) as run:
        found = [await anext(run) for _ in range(1000)]
        assert {result.request.model for result in found if result.request} == {"quick/m"}
        for event in provider.blocked.values():
            event.set()
        assert len([result async for result in run]) == 500


# --- the journal -----------------------------------------------------------------------------------------------------


@posix
async def test_a_result_is_in_the_journal_before_it_is_given_out(tmp_path: Path) -> None:
    """After a crash between the two, the next run would send and pay the request again."""
    path = tmp_path / "answers.jsonl"
    async with (
        asyncio.timeout(HANG),
        batch((make_request(n) for n in range(50)), Provider(), concurrency=4, journal=path) as run,
    ):
        async for result in run:
            assert result.custom_id in ids(list(read_results(path)))
    assert sorted(ids(list(read_results(path)))) == sorted(f"row-{number}" for number in range(50))


@posix
async def test_a_second_run_skips_finished_items_and_retries_transient_failures(tmp_path: Path) -> None:
    """An answered item would be paid again, or one that a rate limit refused would never be sent again."""
    path = tmp_path / "answers.jsonl"
    errors = {"row-1": RateLimitError("slow down"), "row-2": BadRequestError("no")}
    await results(batch([make_request(n) for n in range(5)], Provider(errors=errors), journal=path))
    again = Provider()
    run = batch([make_request(n) for n in range(7)], again, journal=str(path))
    found = await results(run)
    assert sorted(ids(found)) == ["row-1", "row-5", "row-6"]
    assert again.started.keys() == {"row-1", "row-5", "row-6"}
    now = run.progress
    assert (now.done, now.skipped, now.skipped_failed, now.finished, now.total) == (3, 4, 1, 7, 7)


@posix
async def test_items_without_an_id_are_recognized(tmp_path: Path) -> None:
    """A run without ids could not be resumed, or the second of two equal requests would be skipped."""
    items = [ChatRequest("openai/m", text) for text in ("a", "b", "a")]
    path = tmp_path / "answers.jsonl"
    found = await results(batch(items[:2], Provider(), journal=path))
    assert all(re.fullmatch(r"sha256-[0-9a-f]{32}-1", result.custom_id or "") for result in found)
    again = await results(batch(items, Provider(), journal=path))
    assert [(result.custom_id or "")[-2:] for result in again] == ["-2"]


@posix
async def test_a_changed_request_with_a_known_id_ends_the_run(tmp_path: Path) -> None:
    """A changed request would silently get the old reply."""
    path = tmp_path / "answers.jsonl"
    await results(batch([make_request(0)], Provider(), journal=path))
    provider = Provider()
    changed = ("row-0", ChatRequest("openai/m", "another question"))
    found: list[Result] = []
    async with asyncio.timeout(HANG), batch([make_request(1), changed, make_request(2)], provider, journal=path) as run:
        with pytest.raises(JournalError, match="give the changed item another id"):
            async for result in run:
                found.append(result)
    assert (ids(found), list(provider.started)) == (["row-1"], ["row-1"])


@posix
async def test_a_request_may_be_a_dict_in_one_run_and_a_record_in_the_next(tmp_path: Path) -> None:
    """A run that is resumed with the other form would be refused as changed, or pay again."""
    path = tmp_path / "answers.jsonl"
    record = ChatRequest("openai/m", [{"role": "user", "content": "Hi."}], extra_body={"top_k": 5}, custom_id="a")
    arguments = {"model": "openai/m", "messages": "Hi.", "extra_body": {"top_k": 5}, "stream": False, "custom_id": "a"}
    (found,) = await results(batch([arguments], Provider(), journal=path))
    assert found.request == validate_item(record)
    assert ids(await results(batch([record, ("b", arguments)], Provider(), journal=path))) == ["b"]


@posix
async def test_an_invalid_request_is_never_sent_and_a_later_run_skips_it(tmp_path: Path) -> None:
    """Every run would report the same invalid requests again, or they would stop the run."""
    path, provider = tmp_path / "answers.jsonl", Provider()
    arguments = {"model": "openai/m", "messages": "Hi.", "temperature": "hot"}
    items = [("a", arguments), ChatRequest("openai/m", [], custom_id="b")]
    found = await results(batch(items, provider, journal=path, ordered=True))
    assert [result.error and result.error.param for result in found] == ["temperature", "messages"]
    run = batch(items, provider, journal=path)
    assert not await results(run)
    assert (run.progress.skipped_failed, provider.started.total()) == (2, 0)


@posix
async def test_two_runs_cannot_share_a_journal(tmp_path: Path) -> None:
    """Two processes would send everything twice."""
    path = tmp_path / "answers.jsonl"
    busy, provider = Provider(), Provider()
    busy.blocked["row-0"] = asyncio.Event()
    async with asyncio.timeout(HANG), batch([make_request(0)], busy, journal=path):
        with pytest.raises(JournalError, match="is in use by"):
            async with batch([make_request(0)], provider, journal=path):
                pass
        with pytest.raises(JournalError, match="is in use by"):
            await anext(batch([make_request(0)], provider, journal=path))
        assert not provider.started
    assert len(await results(batch([make_request(0)], Provider(), journal=path))) == 1


@posix
async def test_a_long_resumption_does_not_block_the_event_loop(tmp_path: Path) -> None:
    """Skipping a million items would stop everything else in the process."""
    path = tmp_path / "answers.jsonl"
    items = [make_request(number) for number in range(5000)]
    await results(batch(items, Provider(), journal=path, concurrency=100))
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    run = batch(items, Provider(), journal=path)
    async with asyncio.timeout(HANG), run:
        before = turns
        assert not [result async for result in run]
    task.cancel()
    assert run.progress.skipped == 5000
    assert turns > before


FULL_FOR_GOOD = """
import asyncio, resource, sys
from anycompletion import Result
from anycompletion.batch import UnwrittenError, read_results
from support.batches import Provider, make_request, batch, results, reply

class Long(Provider):
    async def __call__(self, request, on_load_refusal):
        await super().__call__(request, on_load_refusal)
        return reply("x" * 3000)

async def main():
    path = sys.argv[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    provider, found = Long(), []
    run = batch((make_request(n) for n in range(10_000)), provider, concurrency=8, journal=path, disk_full_timeout=0.5)
    try:
        async with run:
            async for result in run:
                found.append(result)
    except UnwrittenError as error:
        lost = [result.custom_id for result in error.unwritten]
    else:
        raise AssertionError("no error reported what was lost")
    kept = [result.custom_id for result in read_results(path)]
    assert sorted(kept) == sorted(result.custom_id for result in found), (kept, found)
    assert sorted(kept + lost) == sorted(provider.started), (len(kept), len(lost), len(provider.started))
    assert len(lost) <= 8, lost
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, resource.RLIM_INFINITY))
    again = Provider()
    await results(batch((make_request(n) for n in range(100)), again, concurrency=8, journal=path))
    assert not set(kept) & set(again.started)
    assert len(list(read_results(path))) == 100

asyncio.run(main())
"""


FULL_FOR_A_WHILE = """
import asyncio, resource, sys
from anycompletion.batch import read_results
from support.batches import Provider, make_request, batch, results, reply

class Long(Provider):
    async def __call__(self, request, on_load_refusal):
        await super().__call__(request, on_load_refusal)
        return reply("x" * 3000)

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

async def main():
    path, provider = sys.argv[1], Long()
    limit(100_000)
    items = (make_request(n, ("openai/m", "cohere/m", "groq/m")[n % 3]) for n in range(600))
    task = asyncio.create_task(results(batch(items, provider, journal=path)))
    for size in (150_000, 200_000, 260_000, 1 << 30):
        await asyncio.sleep(0.4)
        assert not task.done()
        sent = provider.started.total()
        await asyncio.sleep(0.1)
        assert provider.started.total() - sent < 100
        limit(size)
    found = await task
    assert len(found) == len(list(read_results(path))) == 600
    assert provider.started.total() == 600

asyncio.run(main())
"""


@posix
@pytest.mark.parametrize("program", [FULL_FOR_GOOD, FULL_FOR_A_WHILE], ids=["for good", "for a while"])
async def test_a_full_disk_loses_no_result_silently(program: str, tmp_path: Path) -> None:
    """Paid replies would vanish, requests would continue whose replies cannot be kept, or a run would stop for good."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", program, str(tmp_path / "answers.jsonl")),
        env={"PYTHONPATH": ":".join(path for path in sys.path if path)},
        stderr=asyncio.subprocess.PIPE,
    )
    _, stderr = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, stderr.decode()) == (0, "")


async def test_a_batch_belongs_to_its_event_loop() -> None:
    """Iterating in another thread's loop would hang or lose results."""
    run = batch([make_request(0), make_request(1)], Provider())
    await anext(run)

    def in_another_loop() -> None:
        asyncio.run(anext(run))  # type: ignore[arg-type]

    with pytest.raises(ClientClosedError, match="another event loop"):
        await asyncio.to_thread(in_another_loop)
    await run.aclose()


# --- cancellation ----------------------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("act", [cancel, cancel_twice])
@pytest.mark.parametrize("ordered", [False, True])
async def test_a_cancellation_anywhere_leaves_nothing_behind(
    ordered: bool, act: Any, late: bool, tmp_path: Path
) -> None:
    """At some moment, it would leave requests, tasks or a locked journal, or a result that is not in the journal."""
    number = 0
    tasks = TaskTracker()
    provider = Provider()

    def path() -> Path:
        return tmp_path / f"{number}.jsonl"

    async def work() -> None:
        nonlocal number, provider
        number += 1
        provider = Provider()
        async with batch(
            (make_request(n) for n in range(6)), provider, tasks, concurrency=2, journal=path(), ordered=ordered
        ) as run:
            async for result in run:
                received.append(result.custom_id)

    async def check(run: Run) -> None:
        assert run.task.cancelled(), run
        if tasks.tasks:  # cancelled twice, it did not wait for them
            await asyncio.wait(tasks.tasks, timeout=HANG)
        assert (provider.in_flight, tasks.tasks) == (0, set()), run
        kept = ids(list(read_results(path()))) if path().exists() else []
        assert set(received) <= set(kept), run
        again = Provider()
        await results(batch((make_request(n) for n in range(6)), again, journal=path()))
        assert not set(kept) & set(again.started), run
        received.clear()

    received: list[str | None] = []
    before = asyncio.all_tasks()
    assert await at_every_point(work, check, act, late=late) > 10
    assert asyncio.all_tasks() == before


# --- with a client ---------------------------------------------------------------------------------------------------


async def test_a_client_sends_a_batch_to_several_providers() -> None:
    """The batches of a client would not behave like those above."""
    async with SimulatorServer(latency=0.01) as simulator, client_of(simulator) as client, nothing_left(client):
        models = ("openai/gpt-4o", "anthropic/claude-haiku-4-5")
        items = [(f"row-{n}", {"model": models[n % 2], "messages": f"Hello {n}."}) for n in range(100)]
        items.append(("bad", {"model": "openai/gpt-4o", "messages": "Hi.", "temperature": "hot"}))
        items.append(("unknown", {"model": "unknown/gpt", "messages": "Hi."}))
        async with client.batch(items, concurrency=16) as run:
            found = {result.custom_id: result async for result in run}
        assert {name for name, result in found.items() if not result.ok} == {"bad", "unknown"}
        assert all(f"Hello {n}." in found[f"row-{n}"].unwrap().text for n in range(100))
        assert len(simulator.requests) == 100
        async with client.batch(items, ordered=True) as run:
            assert ids([result async for result in run]) == [name for name, _ in items]


async def test_statistics_show_the_adaptive_limit_of_a_running_batch() -> None:
    """A user could not see how many requests a batch without a `concurrency` sends at a time."""
    async with SimulatorServer() as simulator, client_of(simulator) as client:
        items = ({"model": "openai/gpt-4o", "messages": "Hi."} for _ in range(200))
        async with client.batch(items) as run:
            await anext(run)
            assert (client.stats().providers["openai"].adaptive_limit or 0) >= 16
        del run
        gc.collect()
        assert client.stats().providers["openai"].adaptive_limit is None


async def test_leaving_closes_the_connections_of_requests_in_flight() -> None:
    """The provider would continue to generate replies that are not read."""
    async with SimulatorServer(latency=60) as simulator, client_of(simulator) as client, nothing_left(client):
        async with client.batch([{"model": "openai/gpt-4o", "messages": "Hi."}] * 10, concurrency=10):
            while len(simulator.requests) < 10:
                await asyncio.sleep(0.001)
        async with asyncio.timeout(HANG):
            while not all(request.closed_by_client for request in simulator.requests):
                await asyncio.sleep(0.001)


async def test_closing_the_client_ends_its_batches() -> None:
    """A batch would wait without end, end as if complete, or write the closing to the journal as results."""
    async with SimulatorServer(latency=60) as simulator, client_of(simulator) as client, nothing_left(client):
        run = client.batch([{"model": "openai/gpt-4o", "messages": "Hi."}] * 10, concurrency=10)
        waiting = asyncio.create_task(anext(run))
        while len(simulator.requests) < 10:
            await asyncio.sleep(0.001)
        await client.aclose()
        with pytest.raises(ClientClosedError):
            await asyncio.wait_for(waiting, HANG)
        assert run.progress.failed == 0
        with pytest.raises(ClientClosedError):
            await anext(client.batch([]))


async def test_the_batches_of_a_view_have_its_options() -> None:
    """Options of a view would not apply to its batches."""
    async with SimulatorServer(fault="bad-request") as simulator, client_of(simulator) as client:
        view = client.with_options(provider="openai")
        (found,) = await results(view.batch([{"model": "gpt-4o", "messages": "Hi."}]))
    assert isinstance(found.error, BadRequestError)
    assert found.error.__traceback__ is None


async def three_requests(client: AsyncCompletion, model: str) -> str:
    items = [(f"row-{n}", {"model": model, "messages": f"Hello {n}."}) for n in range(3)]
    async with client.batch(items, concurrency=2, ordered=True) as run:
        return "|".join([result.unwrap().text async for result in run])


async def test_a_batch_of_a_client_can_be_cancelled_anywhere() -> None:
    """Connections, permits or half-read responses would be left behind, or the client would not work any more."""
    async with simulated() as (_, client):
        await cancels(client, three_requests, "openai/gpt-4o-mini", min_points=6)


def test_a_result_becomes_an_output_line_of_the_batch_api() -> None:
    """Tools that read OpenAI's Batch output could not read results."""
    line = Result(reply("Hello."), None, "a").to_dict()
    assert line["id"].startswith("batch_req_")
    assert (line["custom_id"], line["error"], line["response"]["status_code"]) == ("a", None, 200)
    assert line["response"]["body"]["choices"][0]["message"]["content"] == "Hello."
    refused = Result(None, RateLimitError("slow", status_code=429, code="rate_limit"), "b").to_dict()
    assert (refused["response"]["status_code"], refused["response"]["body"]["error"]["code"]) == (429, "rate_limit")
    lost = Result(None, CompletionError("lost"), "c").to_dict()
    assert (lost["response"], lost["error"]) == (None, {"code": "CompletionError", "message": "lost"})
    assert isinstance(UnwrittenError("x", [Result(reply("Hi."))]).unwritten[0], Result)
