"""Batches of typed replies: values as results, replies that do not fit, re-asks, and the journal of both."""

import asyncio
import gc
import json
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import attrs
import msgspec
import pytest

from anycompletion import (
    AsyncCompletion,
    ChatCompletion,
    ChatCompletionMessage,
    ChatRequest,
    Choice,
    ConfigurationError,
    InvalidRequestError,
    JournalError,
    RateLimitError,
    ReplyRefusedError,
    ReplyTruncatedError,
    ReplyValidationError,
    Result,
    ServiceUnavailableError,
    UnsupportedParameterError,
    UserMessage,
)
from anycompletion.batch import BatchProgress, ParsedBatchRun, read_results
from anycompletion.caching import MemoryStore, cached
from anycompletion.routing import Route
from anycompletion.structured import ParsedCompletion, ParsedResult
from anycompletion.testing import FakeProvider, ParsedReply, SimulatorServer
from behaviour.test_cancellation import cancels, simulated

posix = pytest.mark.skipif(sys.platform == "win32", reason="a journal needs the file locks of POSIX")

HANG = 30.0


@attrs.frozen
class Invoice:
    number: str
    total: Annotated[float, msgspec.Meta(ge=0)]
    currency: str = "EUR"


@attrs.frozen
class Order:
    number: str


MISFIT = '{"number": "7", "total": "a lot"}'


def item(number: int, model: str = "openai/m", **arguments: Any) -> tuple[str, dict[str, Any]]:
    return f"row-{number}", {"model": model, "messages": f"Invoice {number}", **arguments}


def number_of(request: ChatRequest) -> int:
    """The number of the item that a request is for."""
    texts = [message.content for message in request.messages if isinstance(message, UserMessage)]
    return int(str(texts[0]).removeprefix("Invoice "))


def invoice(number: int) -> Invoice:
    return Invoice(str(number), number / 2)


def answer(number: int) -> str:
    return json.dumps({"number": str(number), "total": number / 2})


def answers(**others: Any) -> Callable[[ChatRequest], Any]:
    """A provider's script: an invoice for each item, `others` for the items of these names."""

    def reply(request: ChatRequest) -> Any:
        found = others.get(f"row_{number_of(request)}", answer(number_of(request)))
        return found(request) if callable(found) else found

    return reply


async def results_of(fake: FakeProvider, items: Any, **options: Any) -> list[ParsedResult[Any]]:
    """The results in the order of the items."""
    options = {"into": Invoice, "ordered": True} | options
    async with (
        asyncio.timeout(HANG),
        AsyncCompletion(providers=[fake], max_retries=0) as client,
        client.batch(items, **options) as run,
    ):
        return [result async for result in run]


async def test_every_result_has_its_value() -> None:
    """A value would be missing, belong to another item, or not be of the type."""
    fake = FakeProvider(answers())
    found = await results_of(fake, [item(number) for number in range(200)])
    assert [result.custom_id for result in found] == [f"row-{number}" for number in range(200)]
    assert [result.parsed for result in found] == [invoice(number) for number in range(200)]
    assert all(type(result) is ParsedResult and result.unwrap().parsed == result.parsed for result in found)
    requests = [result.request for result in found if result.request is not None]
    assert [number_of(request) for request in requests] == [*range(200)]
    assert all(request.response_format is None for request in requests)


async def test_results_match_as_patterns() -> None:
    """The documented way to take results apart would find nothing."""
    (done, failed) = await results_of(FakeProvider(answers(row_1=MISFIT)), [item(0), item(1)])
    match done:
        case ParsedResult(parsed=Invoice(number=number)):
            assert number == "0"
        case _:
            pytest.fail("no invoice")
    match failed:
        case ParsedResult(error=ReplyValidationError(path=path)):
            assert path == "$.total"
        case _:
            pytest.fail("no error")


async def test_replies_that_do_not_fit_are_errors_and_the_run_goes_on() -> None:
    """One odd reply would end the run, or come out as a value."""

    def ended(text: str, reason: str, refusal: str | None = None) -> Any:
        message = ChatCompletionMessage(None if refusal else text, refusal)
        return ChatCompletion("c", [Choice(0, message, reason)], "m")

    fake = FakeProvider(
        answers(
            row_0=MISFIT,
            row_1="no JSON at all",
            row_2=ended('{"number": "2", "to', "length"),
            row_3=ended("", "stop", refusal="I will not."),
        )
    )
    found = await results_of(fake, [item(number) for number in range(6)])
    assert [type(result.error) for result in found] == [
        ReplyValidationError,
        ReplyValidationError,
        ReplyTruncatedError,
        ReplyRefusedError,
        type(None),
        type(None),
    ]
    assert [result.parsed for result in found] == [None, None, None, None, invoice(4), invoice(5)]
    assert not any(result.ok for result in found[:4])
    with pytest.raises(ReplyValidationError):
        found[0].unwrap()
    assert len(fake.requests) == 6


async def test_a_reply_that_does_not_fit_is_asked_again_as_often_as_allowed() -> None:
    """Items would be given up although they may be asked again, or be asked too often."""
    tries: dict[int, int] = {}

    def third_time(request: ChatRequest) -> str:
        number = number_of(request)
        tries[number] = tries.get(number, 0) + 1
        return answer(number) if tries[number] == 3 else MISFIT

    for max_reasks, error in ((1, ReplyValidationError), (2, type(None))):
        tries.clear()
        found = await results_of(
            FakeProvider(answers(row_1=third_time)), [item(n) for n in range(3)], max_reasks=max_reasks
        )
        assert [type(result.error) for result in found] == [type(None), error, type(None)]
        assert tries == {1: max_reasks + 1}
    reply = found[1].unwrap()
    assert (reply.parsed, reply.info.reasks) == (invoice(1), 2)


async def test_validate_decides_as_well() -> None:
    """A check of the caller would not be made in a batch."""

    def is_small(found: Invoice) -> None:
        if found.total > 1:
            raise ValueError("too much")

    found = await results_of(FakeProvider(answers()), [item(n) for n in range(4)], validate=is_small)
    assert [result.parsed and result.parsed.number for result in found] == ["0", "1", "2", None]
    error = found[3].error
    assert isinstance(error, ReplyValidationError)
    assert error.kind == "value"


async def test_the_mode_and_strict_are_those_of_every_item() -> None:
    """A batch would send another kind of request than `parse` does."""
    async with SimulatorServer() as sim, AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys) as client:
        for mode, member in (("schema", "response_format"), ("tool", "tools"), ("json", "response_format")):
            sim.requests.clear()
            sim.reply = '{"number": "1"}' if mode == "json" else None
            async with client.batch([item(0), item(1)], into=Order, mode=mode) as run:
                assert [type(result.parsed) async for result in run] == [Order, Order]
            assert all(member in request.body for request in sim.requests)
        sim.reply = None
        async with client.batch([item(0)], into=Order, strict=False) as run:
            assert [result.ok async for result in run] == [True]
        assert not sim.requests[-1].body["response_format"]["json_schema"].get("strict")


async def test_an_item_that_cannot_be_asked_for_a_type_is_an_error() -> None:
    """A format of the item's own would be replaced silently, or end the run."""
    wrong: dict[str, Any] = {
        "response_format": {"type": "json_object"},
        "tools": [{"type": "function", "function": {"name": "weather"}}],
        "tool_choice": "auto",
        "functions": [{"name": "weather"}],
        "parallel_tool_calls": True,
    }
    items = [*(item(n, **{name: value}) for n, (name, value) in enumerate(wrong.items())), item(9)]
    fake = FakeProvider(answers())
    found = await results_of(fake, items)
    assert [type(result.error) for result in found] == [InvalidRequestError] * 5 + [type(None)]
    assert [result.error and result.error.param for result in found] == [*wrong, None]
    assert len(fake.requests) == 1
    (several,) = await results_of(fake, [item(0, n=2)], max_reasks=1)
    assert isinstance(several.error, InvalidRequestError)


async def test_a_model_that_lacks_the_mode_is_the_error_of_its_items() -> None:
    """A batch over several providers would end at the first one that lacks the mode."""
    fake = FakeProvider(answers(), name="*")
    found = await results_of(fake, [item(0), item(1, model="deepseek/m"), item(2)], mode="schema")
    assert [type(result.error) for result in found] == [type(None), UnsupportedParameterError, type(None)]


async def test_a_batch_may_have_several_providers() -> None:
    """The schema of one provider would go to another."""
    models = ("openai/m", "anthropic/claude-haiku-4-5", "cohere/command-a", "gemini/gemini-2.5-flash", "ollama/m")
    async with SimulatorServer() as sim, AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys) as client:
        items = [item(n, model=model) for n, model in enumerate(models)]
        async with client.batch(items, into=Order) as run:
            found = [result async for result in run]
    assert [type(result.unwrap().parsed) for result in found] == [Order] * len(models)


@posix
async def test_items_over_routes_and_with_fallbacks_have_values(tmp_path: Path) -> None:
    """The items of a route would be asked in the form of its first target only."""
    down, path = FakeProvider(*[ServiceUnavailableError("down")] * 2), tmp_path / "invoices.jsonl"
    other = FakeProvider(*(ParsedReply(invoice(number)) for number in range(2)), name="anthropic")
    models = ["openai/m", "anthropic/claude-haiku-4-5"]
    items = [item(0, model="fast"), item(1, fallbacks=models[1:])]
    async with (
        AsyncCompletion(providers=[down, other], routes={"fast": Route(models)}, max_retries=0) as client,
        client.batch(items, into=Invoice, concurrency=1, journal=path) as run,
    ):
        found = [result.unwrap() async for result in run]
    assert [(reply.parsed, reply.info.provider) for reply in found] == [(invoice(n), "anthropic") for n in range(2)]
    assert [result.parsed for result in read_results(path, into=Invoice)] == [invoice(0), invoice(1)]
    assert all("output_config" in request.body for request in other.requests)


@pytest.mark.parametrize("into", [int, list[Order], Order | Invoice, dict[str, int]])
async def test_any_type_may_be_asked_for(into: Any) -> None:
    """A type that `parse` takes would be refused, or its root would stay wrapped."""
    async with (
        SimulatorServer() as sim,
        AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys) as client,
        client.batch([item(0)], into=into) as run,
    ):
        (result,) = [result async for result in run]
    assert type(result.unwrap().parsed) in (int, list, Order, Invoice, dict)


@pytest.mark.parametrize("n", [2])
async def test_choices_that_fit_are_values_of_one_result(n: int) -> None:
    """With `n`, choices would be lost, or one that does not fit would spoil the others."""
    fake = FakeProvider(MISFIT, answer(5))
    (result,) = await results_of(fake, [item(5, n=n)])
    reply = result.unwrap()
    assert (reply.parsed, reply.parsed_all) == (invoice(5), [invoice(5)])
    assert [error.choice for error in reply.invalid] == [0]


def test_wrong_arguments_are_refused_at_once() -> None:
    """A mistake would show itself when the first result is read, or never."""
    client = AsyncCompletion(providers=[FakeProvider()])
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("into", {"into": print}),
        ("mode", {"into": Order, "mode": "xml"}),
        ("max_reasks", {"into": Order, "max_reasks": -1}),
        ("validate", {"into": Order, "validate": 3}),
        ("strict", {"into": Order, "strict": "yes"}),
        ("mode", {"mode": "tool"}),
        ("max_reasks", {"max_reasks": 1}),
        ("concurrency", {"into": Order, "concurrency": 0}),
    ]
    for param, options in wrong:
        with pytest.raises(InvalidRequestError) as caught:
            client.batch([], **options)
        assert caught.value.param == param


async def test_a_repr_names_the_class() -> None:
    """A log would not show what kind of run it is."""
    async with AsyncCompletion(providers=[FakeProvider(answers())]) as client:
        run = client.batch([item(0)], into=Invoice)
        assert type(run) is ParsedBatchRun
        assert repr(run).startswith("<ParsedBatchRun new: 0 done")
        await run.aclose()


# --- progress and concurrency ----------------------------------------------------------------------------------------


async def test_tokens_of_replies_that_do_not_fit_are_counted() -> None:
    """The cost of a batch would look smaller than it is."""
    fake, seen = FakeProvider(answers(row_1=MISFIT, row_2=MISFIT)), list[BatchProgress]()
    async with (
        AsyncCompletion(providers=[fake]) as client,
        client.batch([item(n) for n in range(3)], into=Invoice, max_reasks=1, on_progress=seen.append) as run,
    ):
        found = [result async for result in run]
    usages = [result.completion.usage if result.completion else result.error.usage for result in found]  # type: ignore[union-attr]
    now = seen[-1]
    assert (now.done, now.failed, now.total) == (1, 2, 3)
    assert now.prompt_tokens == sum(usage.prompt_tokens for usage in usages)
    assert now.completion_tokens == sum(usage.completion_tokens for usage in usages)
    assert len(fake.requests) == 5


async def test_tokens_out_of_a_cache_are_not_counted() -> None:
    """A stored reply that does not fit would look like one that was paid for."""
    fake = FakeProvider(MISFIT)
    async with AsyncCompletion(providers=[fake], middleware=[cached(MemoryStore())]) as client:
        for expected in (True, False):
            mode: Any = "use" if expected else "only"
            async with client.batch([item(0, cache=mode)], into=Invoice) as run:
                assert [type(result.error) async for result in run] == [ReplyValidationError]
            assert bool(run.progress.prompt_tokens) == expected


async def test_an_item_that_cannot_be_sent_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown provider, or a key that is missing, would end the run of the other items."""
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    items = [item(0), item(1, model="unknown/m"), item(2, model="groq/m"), item(3)]
    found = await results_of(FakeProvider(answers()), items)
    assert [type(result.error) for result in found] == [
        type(None),
        InvalidRequestError,
        ConfigurationError,
        type(None),
    ]


async def test_replies_that_do_not_fit_do_not_slow_a_batch_down() -> None:
    """A model's mistakes would look like an overloaded provider, or like an outage."""
    fake = FakeProvider(lambda request: MISFIT)
    async with AsyncCompletion(providers=[fake]) as client:
        async with client.batch((item(n) for n in range(600)), into=Invoice) as run:
            await anext(run)
            before = client.stats().providers["openai"].adaptive_limit
            found = [result async for result in run if isinstance(result.error, ReplyValidationError)]
            after = client.stats().providers["openai"].adaptive_limit
        assert not run.progress.paused
    assert len(found) == 599
    assert before is not None
    assert after is not None
    assert after >= before
    assert len(fake.requests) == 600


async def test_refused_re_asks_slow_a_batch_down() -> None:
    """A provider that is overloaded by re-asks would be sent more and more."""
    counts: dict[int, int] = {}

    def overloaded(request: ChatRequest) -> Any:
        number = number_of(request)
        counts[number] = count = counts.get(number, 0) + 1
        if count == 1:
            return MISFIT
        return RateLimitError("slow down") if count == 2 and number % 10 == 0 else answer(number)

    async with (
        asyncio.timeout(HANG),
        AsyncCompletion(providers=[FakeProvider(overloaded)]) as client,
        client.batch((item(n) for n in range(100)), into=Invoice, max_reasks=1) as run,
    ):
        found = [result async for result in run]
        limit = client.stats().providers["openai"].adaptive_limit
    assert [result.ok for result in found] == [True] * 100
    assert limit is not None
    assert limit < 16


# --- the journal -----------------------------------------------------------------------------------------------------


@posix
async def test_a_journal_gives_the_values_back(tmp_path: Path) -> None:
    """The values of an earlier run would have to be asked and paid for again."""
    path = tmp_path / "invoices.jsonl"
    found = await results_of(FakeProvider(answers(row_1=MISFIT)), [item(n) for n in range(4)], journal=path)
    again = {result.custom_id: result for result in read_results(path, into=Invoice)}
    assert {result.custom_id: result.parsed for result in found} == {
        name: result.parsed for name, result in again.items()
    }
    error, stored = found[1].error, again["row-1"].error
    assert isinstance(error, ReplyValidationError)
    assert isinstance(stored, ReplyValidationError)
    assert (stored.path, stored.kind, stored.expected, stored.text, stored.usage) == (
        *(error.path, error.kind, error.expected, error.text, error.usage),
    )
    assert isinstance(again["row-0"].unwrap(), ParsedCompletion)
    assert [type(result) for result in read_results(path)] == [Result] * 4


@posix
@pytest.mark.parametrize("mode", ["schema", "tool", "json", "prompt"])
async def test_a_journal_gives_the_values_of_every_mode_back(mode: Any, tmp_path: Path) -> None:
    """A value that came as the arguments of a tool, or among other text, could not be read again."""
    path = tmp_path / "values.jsonl"
    async with SimulatorServer() as sim, AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys) as client:
        sim.reply = None if mode in ("schema", "tool") else 'Here it is:\n{"value": [{"number": "1"}]}'
        async with client.batch([item(0)], into=list[Order], mode=mode, journal=path) as run:
            found = [result.unwrap().parsed async for result in run]
    assert [result.unwrap().parsed for result in read_results(path, into=list[Order])] == found


@posix
async def test_a_line_of_a_reply_that_does_not_fit_has_the_reply(tmp_path: Path) -> None:
    """A reply that was paid for could not be looked at, or would be taken for a good one."""
    path = tmp_path / "invoices.jsonl"
    await results_of(FakeProvider(answers(row_0=MISFIT)), [item(0)], journal=path)
    row = json.loads(path.read_text())
    assert row["error"]["code"] == "reply_validation"
    assert row["response"]["body"]["choices"][0]["message"]["content"] == MISFIT
    assert "a lot" not in row["error"]["message"]


@posix
async def test_what_did_not_fit_is_asked_again_on_resumption(tmp_path: Path) -> None:
    """A reply that does not fit would be final, or a value would be asked for again."""
    path = tmp_path / "invoices.jsonl"
    items = [item(n) for n in range(4)]
    first = FakeProvider(answers(row_1=MISFIT, row_2=RateLimitError("slow down")))
    await results_of(first, items, journal=path)
    second = FakeProvider(answers())
    found = await results_of(second, items, journal=path)
    assert [(result.custom_id, result.parsed) for result in found] == [("row-1", invoice(1)), ("row-2", invoice(2))]
    values = {result.custom_id: result.parsed for result in read_results(path, into=Invoice)}
    assert values == {f"row-{number}": invoice(number) for number in range(4)}
    third = FakeProvider(answers())
    assert await results_of(third, items, journal=path) == []
    assert not third.requests


@posix
@pytest.mark.parametrize("other", [{"into": Order}, {"into": list[Invoice]}, {"into": None}])
async def test_another_type_is_another_request(other: dict[str, Any], tmp_path: Path) -> None:
    """A run with a changed type would skip items whose values are of the old one."""
    path = tmp_path / "invoices.jsonl"
    await results_of(FakeProvider(answers()), [item(0)], journal=path)
    async with AsyncCompletion(providers=[FakeProvider(answers())]) as client:
        options = {} if other["into"] is None else other
        with pytest.raises(JournalError, match="give the changed item another id"):
            async with client.batch([item(0)], journal=path, **options) as run:
                await anext(run)


@posix
async def test_how_is_no_part_of_the_request(tmp_path: Path) -> None:
    """A run that is resumed with another mode or check would be refused, or pay for its values again."""
    path = tmp_path / "invoices.jsonl"
    await results_of(FakeProvider(answers()), [item(0)], journal=path)
    again = FakeProvider(answers())
    options: list[dict[str, Any]] = [{"mode": "tool"}, {"strict": False}, {"max_reasks": 2}, {"validate": print}]
    for option in options:
        assert await results_of(again, [item(0)], journal=path, **option) == []
    assert not again.requests


@posix
async def test_a_stored_reply_of_another_type_is_an_error(tmp_path: Path) -> None:
    """Reading a journal as another type would end at the first reply, or give values of no type."""
    path = tmp_path / "invoices.jsonl"
    await results_of(FakeProvider(answers()), [item(0), item(1)], journal=path)
    found = list(read_results(path, into=list[int]))
    assert [type(result.error) for result in found] == [ReplyValidationError] * 2
    assert [result.parsed for result in found] == [None, None]
    with pytest.raises(InvalidRequestError) as caught:
        read_results(path, into=print)  # type: ignore[call-overload]
    assert caught.value.param == "into"


@posix
async def test_a_journal_without_types_can_be_read_with_one(tmp_path: Path) -> None:
    """Replies that were asked for with a `response_format` could not be read as values."""
    path = tmp_path / "answers.jsonl"
    async with (
        AsyncCompletion(providers=[FakeProvider(answers())]) as client,
        client.batch([item(3)], journal=path) as run,
    ):
        assert [result.ok async for result in run] == [True]
    assert [result.parsed for result in read_results(path, into=Invoice)] == [invoice(3)]


# --- ends ------------------------------------------------------------------------------------------------------------


async def test_an_exception_of_validate_that_is_no_misfit_ends_the_run() -> None:
    """A bug in the caller's check would look like a bad reply."""

    def fails(found: Invoice) -> None:
        raise KeyError(found.number)

    with pytest.raises(KeyError):
        await results_of(FakeProvider(answers()), [item(0)], validate=fails)


async def three_orders(client: AsyncCompletion, model: str) -> str:
    """Orders that fit, and one that is asked for again."""

    def is_repeated(order: Order) -> None:
        if order not in known:
            known.append(order)
            raise ValueError("not repeated yet")

    known: list[Order] = []
    items = [item(number, model) for number in range(3)]
    async with client.batch(items, into=Order, validate=is_repeated, max_reasks=1, concurrency=2, ordered=True) as run:
        return "|".join([result.unwrap().parsed.number async for result in run])


async def test_a_batch_can_be_cancelled_anywhere() -> None:
    """A cancellation while a reply is asked for again would leave a connection or a task behind."""
    async with simulated() as (simulator, client):
        simulator.reply = None
        await cancels(client, three_orders, "openai/gpt-4o-mini", min_points=6)


async def test_a_type_is_collected_with_its_batch() -> None:
    """A program that makes a type for each file would keep all of them."""
    async with AsyncCompletion(providers=[FakeProvider(answers())]) as client:
        kind = attrs.make_class("Temporary", {"number": attrs.field(type=str)}, frozen=True)
        reference = weakref.ref(kind)
        async with client.batch([item(0)], into=kind) as run:
            assert [result.ok async for result in run] == [True]
        del kind, run
        await asyncio.sleep(0)  # callbacks of the run's tasks
        gc.collect()
        assert reference() is None
