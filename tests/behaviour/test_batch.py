"""Many requests at once: each answered once, bounded in flight and in memory, stopped cleanly, errors as values."""

import asyncio
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
from support.batches import Provider, TaskTracker, asked, batch, reply, results
from support.cancel_points import Run, at_every_point, cancel, cancel_twice
from support.resource_leaks import client_of, nothing_left

HANG = 30.0

posix = pytest.mark.skipif(sys.platform == "win32", reason="a journal needs the file locks of POSIX")


def ids(found: list[Result]) -> list[str | None]:
    return [result.custom_id for result in found]


async def settle(turns: int = 50) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


# --- items ---------------------------------------------------------------------------------------------------------

HELLO = [{"role": "user", "content": "Hello!"}]

ITEMS: dict[str, tuple[Any, ChatRequest]] = {
    "request": (ChatRequest("openai/m", "Hi."), ChatRequest("openai/m", "Hi.")),
    "request with an id": (asked(1), asked(1)),
    "dict": (
        {"model": "openai/m", "messages": HELLO, "temperature": 0, "custom_id": "a"},
        ChatRequest("openai/m", HELLO, temperature=0, custom_id="a"),
    ),
    "dict with fields of one provider": (
        {"model": "openai/m", "messages": "Hi.", "top_k": 5, "extra_body": {"min_p": 1}},
        ChatRequest("openai/m", "Hi.", extra_body={"top_k": 5, "min_p": 1}),
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
    "id and request with another id": (("b", asked(1)), ChatRequest("openai/m", "question 1", custom_id="b")),
    "id and dict": (("c", {"model": "openai/m", "messages": "Hi."}), ChatRequest("openai/m", "Hi.", custom_id="c")),
}


@pytest.mark.parametrize("kind", ITEMS)
def test_an_item_may_be_written_in_many_ways(kind: str) -> None:
    """An item would be misread, or its id lost."""
    given, wanted = ITEMS[kind]
    item = read_item(given)
    assert item.error is None
    assert item.request is not None
    request = validate_item(item.request)
    assert request == validate_item(wanted)
    assert (item.custom_id, request.custom_id) == (wanted.custom_id, wanted.custom_id)


class Torn(Mapping[str, Any]):
    """A mapping that breaks when it is read."""

    def __getitem__(self, key: str) -> Any:
        raise OSError("the disk is gone")

    def __iter__(self) -> Iterator[str]:
        return iter(("model", "messages"))

    def __len__(self) -> int:
        return 2


LINE = {"custom_id": "a", "body": {"model": "m", "messages": "Hi."}}

BAD: dict[str, tuple[Any, Any, str | None]] = {
    "text": ("Hello!", None, None),
    "nothing": (None, None, None),
    "no model": ({"messages": "Hi.", "custom_id": "a"}, "a", "model"),
    "no messages": (("a", {"model": "openai/m"}), "a", "messages"),
    "request with an id of another type": (ChatRequest("openai/m", "Hi.", custom_id=7), 7, "custom_id"),  # type: ignore[arg-type]
    "id of another type": ({"model": "m", "messages": "Hi.", "custom_id": 7}, None, "custom_id"),
    "id of another type beside a request": ((7, asked(1)), None, "custom_id"),
    "three of a tuple": (("a", "b", "c"), None, None),
    "line of another method": ({**LINE, "method": "GET"}, "a", "method"),
    "line for embeddings": ({**LINE, "url": "/v1/embeddings"}, "a", "url"),
    "line whose body is text": ({**LINE, "body": "Hi."}, "a", "body"),
    "mapping that breaks": (("a", Torn()), "a", None),
}
"""An item that is none, and the id and the parameter that its error has."""


@pytest.mark.parametrize("kind", BAD)
async def test_a_bad_item_is_a_result_and_the_run_goes_on(kind: str) -> None:
    """One bad line of a million would end the run, or be lost without a word."""
    bad, custom_id, param = BAD[kind]
    provider = Provider()
    found = await results(batch([asked(0), bad, asked(2)], provider, concurrency=1, ordered=True))
    assert [result.ok for result in found] == [True, False, True]
    error = found[1].error
    assert isinstance(error, InvalidRequestError)
    assert (found[1].custom_id, error.param) == (custom_id, param)
    assert len(provider.begun) == 2


async def test_an_error_as_an_item_is_its_result() -> None:
    """Who reads lines could not say that one of them cannot be read."""
    error = InvalidRequestError("line 7 is no JSON object")
    (found,) = await results(batch([error], Provider()))
    assert found.error is error


@pytest.mark.parametrize("with_journal", [False, pytest.param(True, marks=posix)])
async def test_an_id_that_was_used_before_is_an_error_and_nothing_is_sent(with_journal: bool, tmp_path: Path) -> None:
    """Two answers would have the same name, and one of them would be lost."""
    provider = Provider()
    items = [asked(0), asked(1), asked(0)]
    journal = tmp_path / "answers.jsonl" if with_journal else None
    found = await results(batch(items, provider, ordered=True, concurrency=2, journal=journal))
    assert [result.ok for result in found] == [True, True, False]
    assert isinstance(found[2].error, InvalidRequestError)
    assert (found[2].custom_id, found[2].error.param, sum(provider.begun.values())) == ("row-0", "custom_id", 2)


# --- results -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("concurrency", [1, 7, None])
async def test_every_item_gets_its_own_result_once(concurrency: int | None, ordered: bool) -> None:
    """A result would be lost, doubled or another item's; or an order that was asked for not kept."""
    provider = Provider(turns=3, faults={f"row-{number}": BadRequestError("no") for number in range(0, 2000, 10)})
    items = [asked(number) for number in range(2000)]
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
    assert set(provider.begun.values()) == {1}


async def test_exactly_as_many_are_in_flight_as_may_be() -> None:
    """The bound would be passed, or places would stay empty."""
    provider = Provider(turns=5)
    await results(batch((asked(number) for number in range(1000)), provider, concurrency=37))
    assert provider.most == 37


async def test_results_come_as_they_are_ready() -> None:
    """One slow answer would hold back all others."""
    provider = Provider()
    provider.held["row-0"] = asyncio.Event()
    async with asyncio.timeout(HANG), batch((asked(n) for n in range(5000)), provider, concurrency=8) as run:
        seen = 0
        async for result in run:
            seen += 1
            assert result.custom_id != "row-0" or seen == 5000
            if seen == 4999:
                provider.held["row-0"].set()
    assert seen == 5000


async def test_in_order_a_slow_item_holds_back_a_bounded_number() -> None:
    """Results that wait for a slow one would fill the memory, or nothing would go on beside it."""
    provider = Provider()
    provider.held["row-0"] = asyncio.Event()
    async with (
        asyncio.timeout(HANG),
        batch((asked(n) for n in range(5000)), provider, concurrency=8, ordered=True) as run,
    ):
        first = asyncio.create_task(anext(run))
        await settle(3000)
        assert 256 <= len(provider.begun) <= 8 + 64 + 256
        provider.held["row-0"].set()
        found = [await first, *[result async for result in run]]
    assert ids(found) == [f"row-{number}" for number in range(5000)]


@pytest.mark.parametrize("concurrency", [1, 8, None])
@pytest.mark.parametrize("ordered", [False, True])
async def test_items_are_read_as_far_as_needed(ordered: bool, concurrency: int | None) -> None:
    """A consumer that takes its time would have a million requests and results wait in memory."""
    read = 0

    def endless() -> Iterator[ChatRequest]:
        nonlocal read
        while True:
            read += 1
            yield asked(read)

    bound = 2048 if concurrency is None else concurrency + 64 + 256
    async with asyncio.timeout(HANG), batch(endless(), Provider(), concurrency=concurrency, ordered=ordered) as run:
        for taken in range(1, 40):
            await anext(run)
            await settle(200)
            assert read <= taken + bound + 1


async def test_async_items_are_read_as_they_come() -> None:
    """A queue or a database could not feed a batch, or its pauses would stop what is under way."""
    gate = asyncio.Event()

    async def slow() -> AsyncIterator[ChatRequest]:
        yield asked(0)
        yield asked(1)
        await gate.wait()
        yield asked(2)

    async with asyncio.timeout(HANG), batch(slow(), Provider(), concurrency=2) as run:
        assert ids([await anext(run), await anext(run)]) == ["row-0", "row-1"]
        gate.set()
        assert ids([result async for result in run]) == ["row-2"]


async def test_several_tasks_may_share_a_run() -> None:
    """A result would go to two tasks or to none, or one of them would wait for ever."""
    found: list[Result] = []

    async def consume() -> None:
        async for result in run:
            found.append(result)
            await asyncio.sleep(0)

    async with asyncio.timeout(HANG), batch((asked(n) for n in range(500)), Provider(), concurrency=5) as run:
        await asyncio.gather(consume(), consume(), consume())
    assert sorted(ids(found)) == sorted(f"row-{number}" for number in range(500))


async def test_a_cancelled_consumer_leaves_its_result_to_another() -> None:
    """A consumer's timeout would lose a result."""
    provider = Provider()
    provider.held["row-0"] = asyncio.Event()
    async with asyncio.timeout(HANG), batch([asked(0)], provider, concurrency=1) as run:
        waiting = [asyncio.create_task(anext(run)) for _ in range(2)]
        await settle()
        provider.held["row-0"].set()
        while provider.in_flight:
            await asyncio.sleep(0)
        waiting[0].cancel()
        done = await asyncio.gather(*waiting, return_exceptions=True)
        assert sum(isinstance(each, Result) for each in done) + len([r async for r in run]) == 1


# --- what ends a run -----------------------------------------------------------------------------------------------


class Broken(Exception):
    """What an iterable raises."""


def breaks() -> Iterator[ChatRequest]:
    yield from (asked(number) for number in range(20))
    raise Broken


async def breaks_later() -> AsyncIterator[ChatRequest]:
    for number in range(20):
        yield asked(number)
    raise Broken


@pytest.mark.parametrize("make", [breaks, breaks_later])
async def test_what_the_iterable_raises_comes_after_all_results(make: Any) -> None:
    """An error of the caller's own code would be swallowed, or eat the results before it."""
    found: list[Result] = []
    with pytest.raises(Broken):
        async with asyncio.timeout(HANG), batch(make(), Provider(turns=3), concurrency=4) as run:
            found.extend([result async for result in run])
    async with asyncio.timeout(HANG), batch(make(), Provider(turns=3), concurrency=4) as run:
        found.clear()
        with pytest.raises(Broken):
            async for result in run:
                found.append(result)
        with pytest.raises(StopAsyncIteration):
            await anext(run)
    assert sorted(ids(found)) == sorted(f"row-{number}" for number in range(20))


async def test_an_error_that_is_none_of_ours_ends_the_run() -> None:
    """A bug in a middleware would look like a million failed requests."""
    provider = Provider(faults={"row-3": ZeroDivisionError()})
    found: list[Result] = []
    async with asyncio.timeout(HANG), batch((asked(n) for n in range(10_000)), provider, concurrency=4) as run:
        with pytest.raises(ZeroDivisionError):
            async for result in run:
                found.append(result)
    assert sum(provider.begun.values()) - len(found) == 1
    assert len(found) < 100


async def test_a_call_that_is_cancelled_from_within_ends_the_run() -> None:
    """An item would have no result, and nobody would know."""

    async def gives_up(request: ChatRequest, on_refused: object) -> Any:
        raise asyncio.CancelledError

    async with asyncio.timeout(HANG), batch([asked(0)], gives_up, concurrency=1) as run:
        with pytest.raises(CompletionError, match="cancelled"):
            await anext(run)


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_leaving_early_stops_everything(asynchronous: bool) -> None:
    """Requests would go on and be paid after the block was left, or the caller's generator stay open."""
    closed = False

    def rows() -> Iterator[ChatRequest]:
        nonlocal closed
        try:
            for number in range(10_000):
                yield asked(number)
        finally:
            closed = True

    async def later() -> AsyncIterator[ChatRequest]:
        nonlocal closed
        try:
            for number in range(10_000):
                yield asked(number)
        finally:
            await asyncio.sleep(0)
            closed = True

    provider, tasks = Provider(turns=20), TaskTracker()
    before = asyncio.all_tasks()
    async with asyncio.timeout(HANG), batch(later() if asynchronous else rows(), provider, tasks, concurrency=8) as run:
        async for _ in run:
            break
        await settle(5)
    assert (provider.in_flight, closed, tasks.tasks) == (0, True, set())
    assert asyncio.all_tasks() == before
    sent = sum(provider.begun.values())
    await settle()
    assert sum(provider.begun.values()) == sent
    assert provider.cancelled
    with pytest.raises(ClientClosedError, match="closed"):
        await anext(run)


async def test_a_file_of_requests_stays_open(tmp_path: Path) -> None:
    """A batch would close a file that it did not open."""
    path = tmp_path / "requests"
    path.write_text("one\ntwo\n")
    with path.open() as file:
        async with asyncio.timeout(HANG), batch(file, Provider(), concurrency=1) as run:
            await anext(run)
        assert not file.closed


async def test_leaving_does_not_wait_for_the_next_item() -> None:
    """An iterable that waits for ever would keep its batch open for ever."""

    async def never() -> AsyncIterator[ChatRequest]:
        yield asked(0)
        await asyncio.Event().wait()

    async with asyncio.timeout(HANG):
        async with batch(never(), Provider(), concurrency=1) as run:
            await anext(run)
        async with batch(never(), Provider(faults={"row-0": ZeroDivisionError()}), concurrency=1) as run:
            with pytest.raises(ZeroDivisionError):
                await anext(run)


async def test_a_run_may_be_iterated_without_a_block() -> None:
    """Who writes only `async for` would get nothing, or leave tasks behind."""
    tasks = TaskTracker()
    async with asyncio.timeout(HANG):
        assert len([r async for r in batch([asked(0), asked(1)], Provider(), tasks)]) == 2
        await settle()
    assert not tasks.tasks


async def test_a_run_keeps_its_client() -> None:
    """A client that only its run holds would complain in the middle of it that nobody had closed it."""
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


async def test_a_run_that_is_dropped_stops() -> None:
    """A loop that is left without a block would keep its requests going until the client is closed."""
    provider, tasks = Provider(), TaskTracker()
    run = batch((asked(n) for n in range(100_000)), provider, tasks, concurrency=4)
    await anext(run)
    gone = weakref.ref(run)
    del run
    gc.collect()
    assert gone() is None
    await settle()
    assert (tasks.tasks, provider.in_flight) == (set(), 0)


async def test_aclose_ends_a_run_and_may_be_called_again() -> None:
    """A run could not be ended where it is not a block, or only once."""
    provider = Provider()
    run = batch((asked(n) for n in range(100_000)), provider, concurrency=4)
    await anext(run)
    await run.aclose()
    await run.aclose()
    assert provider.in_flight == 0
    assert "closed" in repr(run)


async def test_a_run_that_never_began_is_closed_for_nothing() -> None:
    """A batch that is not used would complain, or read its items."""
    items = iter([asked(0)])
    run = batch(items, Provider())
    assert "new" in repr(run)
    await run.aclose()
    with pytest.raises(ClientClosedError):
        await anext(run)
    assert len(list(items)) == 1


async def test_a_run_is_used_once() -> None:
    """A second block would give nothing and look like an empty batch."""
    run = batch([asked(0)], Provider())
    assert len(await results(run)) == 1
    with pytest.raises(ClientClosedError, match="begun already"):
        async with run:
            pass


async def test_a_consumer_that_waits_learns_that_the_run_was_closed() -> None:
    """Closing a run from another task would leave its consumer waiting for ever, or tell it that all is done."""
    provider = Provider()
    provider.held["row-0"] = asyncio.Event()
    run = batch([asked(0)], provider, concurrency=1)
    waiting = asyncio.create_task(anext(run))
    await settle()
    await run.aclose()
    with pytest.raises(ClientClosedError):
        await asyncio.wait_for(waiting, HANG)


# --- progress ------------------------------------------------------------------------------------------------------


async def test_progress_tells_how_far_it_is() -> None:
    """A user could not see what was done, what failed, what it cost and how long it will take."""
    seen: list[BatchProgress] = []
    provider = Provider(faults={"row-1": RateLimitError("slow down")})
    provider.usage = {"cost": 0.25}
    run = batch([asked(number) for number in range(5)], provider, concurrency=2, on_progress=seen.append)
    await results(run)
    last = seen[-1]
    assert last == run.progress or last.done == run.progress.done
    assert (last.done, last.failed, last.skipped, last.in_flight, last.total, last.finished) == (4, 1, 0, 0, 5, 5)
    assert (last.prompt_tokens, last.completion_tokens, last.cost) == (12, 8, 1.0)
    assert last.rate > 0
    assert last.eta == 0
    assert last.elapsed > 0


async def test_progress_knows_no_end_of_what_has_no_length() -> None:
    """An estimate would be made up."""
    run = batch((asked(number) for number in range(3)), Provider())
    assert (run.progress.total, run.progress.eta, run.progress.cost) == (None, None, None)
    await results(run)
    assert (run.progress.eta, run.progress.done) == (None, 3)


async def test_an_observer_that_fails_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A mistake in what draws a bar would end a run of hours."""

    def breaks_always(_: BatchProgress) -> None:
        raise Broken("row-1")

    assert len(await results(batch([asked(0), asked(1)], Provider(), on_progress=breaks_always))) == 2
    assert "on_progress failed with Broken" in caplog.text
    assert "row-1" not in caplog.text


# --- arguments -----------------------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no iterable": ({"requests": 7}, "requests"),
    "text": ({"requests": "Hello!"}, "requests"),
    "one request as a dict": ({"requests": {"model": "m", "messages": "Hi."}}, "requests"),
    "no requests in flight": ({"concurrency": 0}, "concurrency"),
    "half a request": ({"concurrency": 1.5}, "concurrency"),
    "a truth": ({"concurrency": True}, "concurrency"),
    "empty path": ({"journal": ""}, "journal"),
    "number of a file": ({"journal": 3}, "journal"),
    "no function": ({"on_progress": 1}, "on_progress"),
    "async function": ({"on_progress": settle}, "on_progress"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_an_argument_that_cannot_be_meant_is_refused_at_once(case: str) -> None:
    """A mistake would show up after the first answers are paid, or never."""
    given, param = REFUSED[case]
    async with AsyncCompletion() as client:
        with pytest.raises(InvalidRequestError) as caught:
            client.batch(**{"requests": [], **given})
    assert caught.value.param == param


# --- adaptive ------------------------------------------------------------------------------------------------------


async def test_concurrency_grows_while_answers_come() -> None:
    """Without a number, a batch would stay slow."""
    provider = Provider(turns=3)
    await results(batch((asked(n) for n in range(20_000)), provider))
    assert 256 < provider.most <= 512


async def test_a_provider_that_refuses_is_asked_less() -> None:
    """A batch would go on at full speed against a provider that has had enough."""
    most: list[int] = []

    class Full(Provider):
        async def __call__(self, request: ChatRequest, on_refused: Any) -> Any:
            if self.in_flight >= 40:
                on_refused()
                await asyncio.sleep(0)
            most.append(self.in_flight)
            return await super().__call__(request, on_refused)

    await results(batch((asked(n) for n in range(20_000)), Full(turns=5)))
    assert max(most[10_000:]) < 100


async def test_a_provider_at_its_limit_holds_up_nobody_else() -> None:
    """One slow provider would stop a mixed batch although others are idle."""
    provider = Provider()
    slow = [asked(number, "slow/m") for number in range(500)]
    quick = [asked(number, "quick/m") for number in range(500, 1500)]
    provider.held = {f"row-{number}": asyncio.Event() for number in range(500)}
    async with asyncio.timeout(HANG), batch([*slow, *quick], provider) as run:
        found = [await anext(run) for _ in range(1000)]
        assert {result.request.model for result in found if result.request} == {"quick/m"}
        for event in provider.held.values():
            event.set()
        assert len([result async for result in run]) == 500


# --- the journal ---------------------------------------------------------------------------------------------------


@posix
async def test_a_result_is_in_the_journal_before_it_is_told(tmp_path: Path) -> None:
    """A crash between the two would have the next run ask, and pay, again."""
    path = tmp_path / "answers.jsonl"
    async with (
        asyncio.timeout(HANG),
        batch((asked(n) for n in range(50)), Provider(), concurrency=4, journal=path) as run,
    ):
        async for result in run:
            assert result.custom_id in ids(list(read_results(path)))
    assert sorted(ids(list(read_results(path)))) == sorted(f"row-{number}" for number in range(50))


@posix
async def test_a_second_run_skips_what_is_done_and_repeats_what_may_pass(tmp_path: Path) -> None:
    """What is answered would be paid again, or what a limit refused never be asked again."""
    path = tmp_path / "answers.jsonl"
    faults = {"row-1": RateLimitError("slow down"), "row-2": BadRequestError("no")}
    await results(batch([asked(n) for n in range(5)], Provider(faults=faults), journal=path))
    again = Provider()
    run = batch([asked(n) for n in range(7)], again, journal=str(path))
    found = await results(run)
    assert sorted(ids(found)) == ["row-1", "row-5", "row-6"]
    assert again.begun.keys() == {"row-1", "row-5", "row-6"}
    now = run.progress
    assert (now.done, now.skipped, now.skipped_failed, now.finished, now.total) == (3, 4, 1, 7, 7)


@posix
async def test_items_without_an_id_are_known_again(tmp_path: Path) -> None:
    """A run without ids could not go on where it ended, or the second of two equal requests would be skipped."""
    items = [ChatRequest("openai/m", text) for text in ("a", "b", "a")]
    path = tmp_path / "answers.jsonl"
    found = await results(batch(items[:2], Provider(), journal=path))
    assert all(re.fullmatch(r"sha256-[0-9a-f]{32}-1", result.custom_id or "") for result in found)
    again = await results(batch(items, Provider(), journal=path))
    assert [(result.custom_id or "")[-2:] for result in again] == ["-2"]


@posix
async def test_another_request_under_a_known_id_ends_the_run(tmp_path: Path) -> None:
    """A changed question would silently get the old answer."""
    path = tmp_path / "answers.jsonl"
    await results(batch([asked(0)], Provider(), journal=path))
    provider = Provider()
    changed = ("row-0", ChatRequest("openai/m", "another question"))
    found: list[Result] = []
    async with asyncio.timeout(HANG), batch([asked(1), changed, asked(2)], provider, journal=path) as run:
        with pytest.raises(JournalError, match="give the changed item another id"):
            async for result in run:
                found.append(result)
    assert (ids(found), list(provider.begun)) == (["row-1"], ["row-1"])


@posix
async def test_two_runs_cannot_share_a_journal(tmp_path: Path) -> None:
    """Two processes would ask everything twice."""
    path = tmp_path / "answers.jsonl"
    busy, provider = Provider(), Provider()
    busy.held["row-0"] = asyncio.Event()
    async with asyncio.timeout(HANG), batch([asked(0)], busy, journal=path):
        with pytest.raises(JournalError, match="is in use by"):
            async with batch([asked(0)], provider, journal=path):
                pass
        with pytest.raises(JournalError, match="is in use by"):
            await anext(batch([asked(0)], provider, journal=path))
        assert not provider.begun
    assert len(await results(batch([asked(0)], Provider(), journal=path))) == 1


@posix
async def test_a_long_resume_leaves_the_loop_its_turns(tmp_path: Path) -> None:
    """Skipping a million items would stop everything else in the process meanwhile."""
    path = tmp_path / "answers.jsonl"
    items = [asked(number) for number in range(5000)]
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


FULL_DISK = """
import asyncio, resource, sys
from anycompletion import Result
from anycompletion.batch import UnwrittenError, read_results
from support.batches import Provider, asked, batch, results, reply

class Long(Provider):
    async def __call__(self, request, on_refused):
        await super().__call__(request, on_refused)
        return reply("x" * 3000)

async def main():
    path = sys.argv[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    provider, found = Long(), []
    run = batch((asked(n) for n in range(10_000)), provider, concurrency=8, journal=path, disk_full_timeout=0.5)
    try:
        async with run:
            async for result in run:
                found.append(result)
    except UnwrittenError as error:
        lost = [result.custom_id for result in error.unwritten]
    else:
        raise AssertionError("nobody said what was lost")
    kept = [result.custom_id for result in read_results(path)]
    assert sorted(kept) == sorted(result.custom_id for result in found), (kept, found)
    assert sorted(kept + lost) == sorted(provider.begun), (len(kept), len(lost), len(provider.begun))
    assert len(lost) <= 8, lost
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, resource.RLIM_INFINITY))
    again = Provider()
    await results(batch((asked(n) for n in range(100)), again, concurrency=8, journal=path))
    assert not set(kept) & set(again.begun)
    assert len(list(read_results(path))) == 100

asyncio.run(main())
"""


SULKS = """
import asyncio, resource, sys
from anycompletion.batch import read_results
from support.batches import Provider, asked, batch, results, reply

class Long(Provider):
    async def __call__(self, request, on_refused):
        await super().__call__(request, on_refused)
        return reply("x" * 3000)

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

async def main():
    path, provider = sys.argv[1], Long()
    limit(100_000)
    items = (asked(n, ("openai/m", "cohere/m", "groq/m")[n % 3]) for n in range(600))
    task = asyncio.create_task(results(batch(items, provider, journal=path)))
    for size in (150_000, 200_000, 260_000, 1 << 30):
        await asyncio.sleep(0.4)
        assert not task.done()
        sent = provider.begun.total()
        await asyncio.sleep(0.1)
        assert provider.begun.total() - sent < 100
        limit(size)
    found = await task
    assert len(found) == len(list(read_results(path))) == 600
    assert provider.begun.total() == 600

asyncio.run(main())
"""


@posix
@pytest.mark.parametrize("program", [FULL_DISK, SULKS], ids=["for good", "for a while"])
async def test_a_full_disk_loses_nothing_silently(program: str, tmp_path: Path) -> None:
    """Answers that were paid would vanish, requests go on whose answers nobody can keep, or a run never go on."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", program, str(tmp_path / "answers.jsonl")),
        env={"PYTHONPATH": ":".join(path for path in sys.path if path)},
        stderr=asyncio.subprocess.PIPE,
    )
    _, complaints = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, complaints.decode()) == (0, "")


async def test_a_batch_stays_in_its_event_loop() -> None:
    """Iterating in another thread's loop would hang or lose results."""
    run = batch([asked(0), asked(1)], Provider())
    await anext(run)

    def elsewhere() -> None:
        asyncio.run(anext(run))  # type: ignore[arg-type]

    with pytest.raises(ClientClosedError, match="another event loop"):
        await asyncio.to_thread(elsewhere)
    await run.aclose()


# --- cancelling ----------------------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("act", [cancel, cancel_twice])
@pytest.mark.parametrize("ordered", [False, True])
async def test_cancelling_anywhere_leaves_nothing_behind(ordered: bool, act: Any, late: bool, tmp_path: Path) -> None:
    """A cancel at the wrong moment would leave requests, tasks or a locked journal, or an answer that is not in it."""
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
            (asked(n) for n in range(6)), provider, tasks, concurrency=2, journal=path(), ordered=ordered
        ) as run:
            async for result in run:
                told.append(result.custom_id)

    async def check(run: Run) -> None:
        assert run.task.cancelled(), run
        if tasks.tasks:  # it was cancelled twice, and did not wait
            await asyncio.wait(tasks.tasks, timeout=HANG)
        assert (provider.in_flight, tasks.tasks) == (0, set()), run
        kept = ids(list(read_results(path()))) if path().exists() else []
        assert set(told) <= set(kept), run
        again = Provider()
        await results(batch((asked(n) for n in range(6)), again, journal=path()))
        assert not set(kept) & set(again.begun), run
        told.clear()

    told: list[str | None] = []
    before = asyncio.all_tasks()
    assert await at_every_point(work, check, act, late=late) > 10
    assert asyncio.all_tasks() == before


# --- with a client -------------------------------------------------------------------------------------------------


async def test_a_client_sends_a_batch_to_several_providers() -> None:
    """What is promised of the batch would not be so of a client's."""
    async with SimulatorServer(latency=0.01) as simulator, client_of(simulator) as client, nothing_left(client):
        models = ("openai/gpt-4o", "anthropic/claude-haiku-4-5")
        items = [(f"row-{n}", {"model": models[n % 2], "messages": f"Hello {n}."}) for n in range(100)]
        items.append(("bad", {"model": "openai/gpt-4o", "messages": "Hi.", "temperature": "hot"}))
        items.append(("nobody's", {"model": "nobody/gpt", "messages": "Hi."}))
        async with client.batch(items, concurrency=16) as run:
            found = {result.custom_id: result async for result in run}
        assert {name for name, result in found.items() if not result.ok} == {"bad", "nobody's"}
        assert all(f"Hello {n}." in found[f"row-{n}"].unwrap().text for n in range(100))
        assert len(simulator.requests) == 100
        async with client.batch(items, ordered=True) as run:
            assert ids([result async for result in run]) == [name for name, _ in items]


async def test_leaving_closes_the_connections_of_what_is_under_way() -> None:
    """The provider would go on generating what nobody reads."""
    async with SimulatorServer(latency=60) as simulator, client_of(simulator) as client, nothing_left(client):
        async with client.batch([{"model": "openai/gpt-4o", "messages": "Hi."}] * 10, concurrency=10):
            while len(simulator.requests) < 10:
                await asyncio.sleep(0.001)
        async with asyncio.timeout(HANG):
            while not all(request.closed_by_client for request in simulator.requests):
                await asyncio.sleep(0.001)


async def test_closing_the_client_ends_its_batches() -> None:
    """A batch would wait for ever, tell its consumer that all is done, or write the closing down as answers."""
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


async def test_a_view_sends_with_its_options() -> None:
    """Options of a view would not hold for its batches."""
    async with SimulatorServer(fault="bad-request") as simulator, client_of(simulator) as client:
        bare = client.with_options(provider="openai")
        (found,) = await results(bare.batch([{"model": "gpt-4o", "messages": "Hi."}]))
    assert isinstance(found.error, BadRequestError)
    assert found.error.__traceback__ is None


async def three(client: AsyncCompletion, model: str) -> str:
    items = [(f"row-{n}", {"model": model, "messages": f"Hello {n}."}) for n in range(3)]
    async with client.batch(items, concurrency=2, ordered=True) as run:
        return "|".join([result.unwrap().text async for result in run])


async def test_a_batch_of_a_client_can_be_cancelled_anywhere() -> None:
    """Connections, slots or half-read answers would be left behind, or the client not work any more."""
    async with simulated() as (_, client):
        await cancels(client, three, "openai/gpt-4o-mini", min_points=6)


def test_a_result_is_an_output_line_of_the_batch_api() -> None:
    """Results could not be given to tools that read OpenAI's Batch output."""
    line = Result(reply("Hello."), None, "a").to_dict()
    assert line["id"].startswith("batch_req_")
    assert (line["custom_id"], line["error"], line["response"]["status_code"]) == ("a", None, 200)
    assert line["response"]["body"]["choices"][0]["message"]["content"] == "Hello."
    refused = Result(None, RateLimitError("slow", status_code=429, code="rate_limit"), "b").to_dict()
    assert (refused["response"]["status_code"], refused["response"]["body"]["error"]["code"]) == (429, "rate_limit")
    lost = Result(None, CompletionError("lost"), "c").to_dict()
    assert (lost["response"], lost["error"]) == (None, {"code": "CompletionError", "message": "lost"})
    assert isinstance(UnwrittenError("x", [Result(reply("Hi."))]).unwritten[0], Result)
