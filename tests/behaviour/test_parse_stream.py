"""Tests of `client.parse_stream`: partial values and items while the reply arrives, and the value at its end."""

from __future__ import annotations

import asyncio
import itertools
import json
import pickle
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from anycompletion import (
    AsyncCompletion,
    CallNext,
    CallOptions,
    ChatCompletion,
    ChatCompletionChunk,
    ChatRequest,
    ChunkChoice,
    CompletionError,
    CompletionStream,
    Delta,
    FunctionDelta,
    InvalidRequestError,
    ReplyRefusedError,
    ReplyTruncatedError,
    ReplyValidationError,
    StreamInterruptedError,
    ToolCallDelta,
)
from anycompletion.structured import ParsedCompletion, ParsedStream, Partial
from anycompletion.testing import FakeProvider, ParsedReply, SimulatorServer
from support.simulated import MODEL_BY_DIALECT, WITH_FUNCTIONS
from support.virtual_clock import run

MODEL = "openai/gpt-4o"

Mode = Literal["auto", "schema", "tool", "json", "prompt"]
MODES: tuple[Mode, ...] = ("schema", "tool", "json", "prompt")


@dataclass
class Step:
    """A step of a trip."""

    text: str
    minutes: int


@dataclass
class Trip:
    """A trip."""

    title: str
    steps: list[Step]


PICNIC = Trip("Picnic", [Step("Cut bread", 12), Step("Go", 3)])
DATA = {"title": "Picnic", "steps": [{"text": "Cut bread", "minutes": 12}, {"text": "Go", "minutes": 3}]}
WHOLE = json.dumps(DATA)
STEPS = json.dumps({"value": DATA["steps"]})


def cut(text: str, size: int = 7) -> list[str]:
    """The text in pieces."""
    return [text[at : at + size] for at in range(0, len(text), size)]


def chunk(content: str | None = None, reason: str | None = None, index: int = 0, **delta: Any) -> ChatCompletionChunk:
    """A chunk of one choice."""
    return ChatCompletionChunk("i", [ChunkChoice(index, Delta(content=content, **delta), reason)], 5, "m")


def call(arguments: str, name: str | None = None, index: int = 0) -> ChatCompletionChunk:
    """A chunk with a piece of a tool call."""
    function = FunctionDelta(name, arguments)
    return chunk(tool_calls=[ToolCallDelta(index, "call_1" if name else None, "function" if name else None, function)])


def in_mode(mode: Mode, text: str) -> list[Any]:
    """The pieces of a reply as a model sends it in a mode."""
    match mode:
        case "tool":
            return [chunk("I call it."), call("", "answer"), *map(call, cut(text)), chunk(reason="tool_calls")]
        case "schema":
            return [*cut(text)]
        case _:
            return cut(f"Here it is {{x}}:\n\n```json\n{text}\n```\nEnjoy.")


async def partials_of(stream: ParsedStream[Any], **arguments: Any) -> list[Partial]:
    """All partials of a stream."""
    return [partial async for partial in stream.partials(**arguments)]


# --- partials --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
async def test_partials_grow_to_the_value(mode: Mode) -> None:
    """A form would be filled with something else than the reply, or be complete before the reply is."""
    async with AsyncCompletion(providers=[FakeProvider(in_mode(mode, WHOLE))]) as client:
        async with client.parse_stream(MODEL, "Plan a picnic.", Trip, mode=mode) as stream:
            partials = await partials_of(stream, every=0)
        reply = await stream.get_final_completion()
    assert len(partials) > 5
    assert [partial.finished for partial in partials] == [False] * (len(partials) - 1) + [True]
    assert partials[-1] == Partial(DATA, None, finished=True)
    assert all(partial.data["title"] == "Picnic"[: len(partial.data["title"])] for partial in partials[2:])
    assert isinstance(reply, ParsedCompletion)
    assert (reply.parsed, reply.choices[0].finish_reason) == (PICNIC, "stop")


@pytest.mark.parametrize("mode", ["auto", *MODES])
async def test_a_scripted_value_is_streamed(mode: Mode) -> None:
    """A test of an app that reads typed streams would have to write their JSON for each mode."""
    async with AsyncCompletion(providers=[FakeProvider(ParsedReply(PICNIC.steps), chunks=9)]) as client:
        stream = client.parse_stream(MODEL, "Plan a picnic.", list[Step], mode=mode)
        assert (await partials_of(stream, every=0))[-1] == Partial(DATA["steps"], None, finished=True)
        assert (await stream.get_final_completion()).parsed == PICNIC.steps


@pytest.mark.parametrize("dialect", MODEL_BY_DIALECT)
@pytest.mark.parametrize("mode", ["auto", "tool", "prompt"])
async def test_every_format_streams_values(dialect: str, mode: Mode) -> None:
    """A format's streams would have no partials, or end in another value than its whole replies."""
    model = MODEL_BY_DIALECT[dialect]
    if mode == "tool" and model not in WITH_FUNCTIONS:
        pytest.skip("has no functions")
    async with (
        SimulatorServer(reply=WHOLE) as sim,
        AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys) as client,
    ):
        async with client.parse_stream(model, "Plan a picnic.", Trip, mode=mode) as stream:
            partials = await partials_of(stream, every=0)
        reply = await stream.get_final_completion()
    assert partials[-1].finished
    assert client_value(partials[-1].data) == reply.parsed


def client_value(data: Any) -> Trip:
    """A trip out of plain data."""
    return Trip(data["title"], [Step(**step) for step in data["steps"]])


@pytest.mark.parametrize(("every", "number"), [(0, range(30, 33)), (0.1, range(10, 20)), (1000, range(2, 3))])
def test_partials_come_at_most_every_so_often(every: float, number: range) -> None:
    """A service would send a form again for every token; or a slow stream would show nothing until its end."""

    async def read() -> list[float]:
        fake = FakeProvider(cut(WHOLE, 1), chunk_delay=0.02)
        async with (
            AsyncCompletion(providers=[fake]) as client,
            client.parse_stream(MODEL, "Plan a picnic.", Trip) as stream,
        ):
            return [asyncio.get_running_loop().time() async for _ in stream.partials(every=every)]

    times = run(read())
    gaps = [round(later - earlier, 3) for earlier, later in itertools.pairwise(times)]
    assert all(gap >= every for gap in gaps[:-1])
    assert len(times) in number


async def test_partials_of_one_read_are_one() -> None:
    """A burst of chunks would make a value for each of them, of no use to anyone."""
    reply = ChatCompletion.from_dict({"choices": [{"message": {"content": WHOLE}, "finish_reason": "stop"}]})

    async def answer(request: ChatRequest, options: CallOptions, call_next: CallNext) -> ChatCompletion:
        return reply

    async with (
        AsyncCompletion(middleware=[answer]) as client,
        client.parse_stream(MODEL, "Plan a picnic.", Trip) as stream,
    ):
        assert await partials_of(stream, every=0) == [Partial(DATA, None, finished=True)]


async def test_a_root_that_is_no_object_is_unwrapped() -> None:
    """A list would be shown inside of the object that is sent around it."""
    async with AsyncCompletion(providers=[FakeProvider(cut(STEPS))]) as client:
        async with client.parse_stream(MODEL, "Plan a picnic.", list[Step]) as stream:
            partials = await partials_of(stream, every=0)
        assert (await stream.get_final_completion()).parsed == PICNIC.steps
    assert partials[0] == Partial([{}], (0,), finished=False)
    assert partials[-1] == Partial(DATA["steps"], None, finished=True)


@pytest.mark.parametrize("mode", ["schema", "prompt"])
async def test_a_list_without_the_object_around_it_is_a_value(mode: Mode) -> None:
    """A reply that is read as a value at the end would be an error before."""
    async with AsyncCompletion(providers=[FakeProvider(cut(json.dumps(DATA["steps"])))]) as client:
        stream = client.parse_stream(MODEL, "Plan a picnic.", list[Step], mode=mode)
        assert await partials_of(stream, every=0) == [Partial(DATA["steps"], None, finished=True)]
        assert (await stream.get_final_completion()).parsed == PICNIC.steps


async def test_all_views_share_one_cursor() -> None:
    """A view would lack the text that another one has read, or the stream be sent twice."""
    fake = FakeProvider(cut(WHOLE, 10))
    async with (
        AsyncCompletion(providers=[fake]) as client,
        client.parse_stream(MODEL, "Plan a picnic.", Trip) as stream,
    ):
        first = await anext(stream)
        assert first.choices[0].delta.content == WHOLE[:10]
        partials = aiter(stream.partials(every=0))
        assert await anext(partials) == Partial({}, (), finished=False)
        pieces = [await anext(stream.text) for _ in range(3)]
        assert "".join(pieces) == WHOLE[10:40]
        half = {"title": "Picnic", "steps": [{"text": ""}]}
        assert (await anext(partials)).data == half
        others = aiter(stream.partials(every=0))
        assert (await anext(others)).data == half
        async for _ in stream:
            pass
        assert [partial async for partial in partials] == [Partial(DATA, None, finished=True)]
        assert (await stream.get_final_completion()).parsed == PICNIC
    assert len(fake.requests) == 1


async def test_views_of_a_stream_that_has_ended() -> None:
    """A reply that was read already could not be looked at by its partials or items."""
    async with AsyncCompletion(providers=[FakeProvider(cut(STEPS))]) as client:
        stream = client.parse_stream(MODEL, "Plan a picnic.", list[Step])
        await stream.get_final_completion()
        assert await partials_of(stream) == [Partial(DATA["steps"], None, finished=True)]
        assert [item async for item in stream.items()] == PICNIC.steps


# --- items -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
async def test_items_come_one_by_one(mode: Mode) -> None:
    """An item would come only when the whole list is there, or not be built."""
    async with (
        AsyncCompletion(providers=[FakeProvider(in_mode(mode, STEPS))]) as client,
        client.parse_stream(MODEL, "Plan a picnic.", list[Step], mode=mode) as stream,
    ):
        items = aiter(stream.items())
        assert await anext(items) == PICNIC.steps[0]
        assert "Go" not in stream.snapshot.text
        assert [item async for item in items] == PICNIC.steps[1:]
        assert [item async for item in items] == []
        assert (await stream.get_final_completion()).parsed == PICNIC.steps


async def test_a_bad_item_is_an_error_with_its_index() -> None:
    """The good items before a bad one would be lost, or the user not learn which one is bad."""
    steps = [*DATA["steps"], {"text": "secret", "minutes": "x"}, {"text": "Return", "minutes": 5.0}]
    text = json.dumps({"value": steps})
    async with (
        AsyncCompletion(providers=[FakeProvider(cut(text))]) as client,
        client.parse_stream(MODEL, "Plan a picnic.", list[Step]) as stream,
    ):
        items = aiter(stream.items())
        assert [await anext(items), await anext(items)] == PICNIC.steps
        with pytest.raises(ReplyValidationError) as caught:
            await anext(items)
        assert await anext(items) == Step("Return", 5)
        with pytest.raises(StopAsyncIteration):
            await anext(items)
    error = caught.value
    assert (error.path, error.kind, error.choice, error.provider) == ("$[2].minutes", "schema", 0, "openai")
    assert json.loads(error.text) == steps[2]
    assert error.partial is not None
    assert "secret" not in str(error)
    assert "secret" not in repr(error)
    assert pickle.loads(pickle.dumps(error)).path == error.path  # noqa: S301 (our own)


async def test_items_of_what_is_no_list_are_refused() -> None:
    """A program would wait for items that never come."""
    async with AsyncCompletion(providers=[FakeProvider(WHOLE)]) as client:
        with pytest.raises(InvalidRequestError) as caught:
            client.parse_stream(MODEL, "Plan a picnic.", Trip).items()  # type: ignore[misc]
    assert caught.value.param == "into"


async def test_items_that_the_scanner_does_not_find_come_at_the_end() -> None:
    """A list that is read only with more tolerance, at the end, would have no items."""
    text = f"Of {{these}} {STEPS}"
    async with (
        AsyncCompletion(providers=[FakeProvider([chunk(text), chunk(reason="stop")])]) as client,
        client.parse_stream(MODEL, "Plan a picnic.", list[Step], mode="tool") as stream,
    ):
        assert [item async for item in stream.items()] == PICNIC.steps


@pytest.mark.parametrize("kind", [StopIteration, StopAsyncIteration, GeneratorExit])
async def test_an_exception_of_a_constructor_is_no_end_of_the_items(kind: type[BaseException]) -> None:
    """A list would end silently at an item whose class raises what ends a loop."""

    @dataclass
    class Odd:
        text: str

        def __post_init__(self) -> None:
            raise kind

    async with (
        AsyncCompletion(providers=[FakeProvider('{"value": [{"text": "x"}]}')]) as client,
        client.parse_stream(MODEL, "Hi.", list[Odd]) as stream,
    ):
        with pytest.raises(RuntimeError, match="user code"):
            await anext(aiter(stream.items()))
        with pytest.raises(RuntimeError, match="user code"):
            await stream.get_final_completion()


# --- ends ------------------------------------------------------------------------------------------------------------

CUT = StreamInterruptedError("cut")

ENDS: dict[str, tuple[list[Any], type[CompletionError]]] = {
    "a cut stream": ([*cut(STEPS)[:8], CUT], StreamInterruptedError),
    "the token limit": ([*cut(STEPS)[:8], chunk(reason="length")], ReplyTruncatedError),
    "a content filter": ([*cut(STEPS)[:8], chunk(reason="content_filter")], ReplyRefusedError),
    "no JSON": (["I ", "would rather not."], ReplyValidationError),
    "incomplete JSON": (cut(STEPS)[:8], ReplyValidationError),
    "text after it": ([*cut(STEPS), " Enjoy."], ReplyValidationError),
}
"""How a stream of a list ends → its pieces, and the error."""


@pytest.mark.parametrize("end", ENDS)
async def test_an_incomplete_reply_is_an_error_for_every_view(end: str) -> None:
    """A part of a reply would be taken for the whole of it."""
    pieces, kind = ENDS[end]
    async with AsyncCompletion(providers=[FakeProvider(pieces, pieces, pieces)], max_retries=0) as client:
        streams = [client.parse_stream(MODEL, "Plan a picnic.", list[Step]) for _ in range(3)]
        items, partials = list[Step](), list[Partial]()
        with pytest.raises(kind) as of_items:
            async for item in streams[0].items():
                items.append(item)
        with pytest.raises(kind) as of_partials:
            async for partial in streams[1].partials(every=0):
                partials.append(partial)
        with pytest.raises(kind) as of_final:
            await streams[2].get_final_completion()
    is_long = len(pieces) > 2
    assert items == PICNIC.steps[: is_long + (end == "text after it")]
    assert bool(partials) == is_long
    assert {str(each.value).partition("(")[0] for each in (of_items, of_partials, of_final)} == {
        str(of_final.value).partition("(")[0]
    }
    for caught in (of_items, of_partials, of_final):
        error = caught.value
        assert error.partial is not None
        assert error.partial.text == "".join(each for each in pieces if isinstance(each, str))
        if isinstance(error, ReplyTruncatedError):
            assert error.data == [DATA["steps"][0], {}]


async def test_a_refusal_is_an_error_of_its_own() -> None:
    """A refusal would be taken for bad JSON, and its words be lost."""
    pieces = [chunk(refusal="I "), chunk(refusal="won't."), chunk(reason="stop")]
    async with AsyncCompletion(providers=[FakeProvider(pieces)]) as client:
        with pytest.raises(ReplyRefusedError) as caught:
            await partials_of(client.parse_stream(MODEL, "Plan a crime.", Trip))
    assert caught.value.refusal == "I won't."


async def test_what_fits_no_type_is_an_error_at_the_end_only() -> None:
    """Partials would be validated, and so none be shown of a reply that turns out to be wrong."""
    async with AsyncCompletion(providers=[FakeProvider(cut('{"titel": "x", "steps": []}'))]) as client:
        stream = client.parse_stream(MODEL, "Plan a picnic.", Trip)
        partials = await partials_of(stream, every=0)
        with pytest.raises(ReplyValidationError):
            await stream.get_final_completion()
    assert partials[-1] == Partial({"titel": "x", "steps": []}, None, finished=True)


async def test_the_value_is_checked_at_the_end() -> None:
    """A check of the caller would be left out for streams."""

    def check(trip: Trip) -> None:
        if len(trip.steps) < 3:
            raise ValueError("too short")

    async with AsyncCompletion(providers=[FakeProvider(WHOLE)]) as client:
        stream = client.parse_stream(MODEL, "Plan a picnic.", Trip, validate=check)
        with pytest.raises(ReplyValidationError) as caught:
            await stream.get_final_completion()
    assert (caught.value.kind, caught.value.expected) == ("value", "too short")


# --- choices ---------------------------------------------------------------------------------------------------------


async def test_each_choice_has_its_partials() -> None:
    """The choices of a call would be mixed up, or only the first be shown."""
    other = json.dumps(DATA | {"title": "Tour"})
    pieces = [
        chunk(piece, index=index)
        for pair in zip(cut(WHOLE, 20), cut(other, 20), strict=True)
        for index, piece in enumerate(pair)
    ]
    async with (
        AsyncCompletion(providers=[FakeProvider(pieces)]) as client,
        client.parse_stream(MODEL, "Plan a picnic.", Trip, n=2) as stream,
    ):
        first, second = aiter(stream.partials(0, choice=0)), aiter(stream.partials(0, choice=1))
        assert (await anext(first)).data == {"title": "Picnic"}
        assert (await anext(second)).data == {"title": "Tour"}
        assert [partial.data["title"] async for partial in second][-1] == "Tour"
        assert [partial.finished async for partial in first] == [True]
        reply = await stream.get_final_completion()
    assert [trip.title for trip in reply.parsed_all] == ["Picnic", "Tour"]


async def test_a_choice_that_is_cut_does_not_end_the_others() -> None:
    """One bad choice would cost all the choices that were paid for."""
    pieces = [chunk(WHOLE, "stop"), chunk(WHOLE[:20], "length", index=1)]
    async with AsyncCompletion(providers=[FakeProvider(pieces)]) as client:
        stream = client.parse_stream(MODEL, "Plan a picnic.", Trip, n=2)
        assert (await partials_of(stream))[-1].finished
        with pytest.raises(ReplyTruncatedError) as caught:
            await partials_of(stream, choice=1)
        reply = await stream.get_final_completion()
    assert caught.value.choice == 1
    assert (reply.parsed, [type(error) for error in reply.invalid]) == (PICNIC, [ReplyTruncatedError])


# --- arguments -------------------------------------------------------------------------------------------------------

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a negative interval": ({"every": -1}, "every"),
    "an interval that is none": ({"every": "1"}, "every"),
    "an endless interval": ({"every": float("inf")}, "every"),
    "a choice that was not asked for": ({"choice": 1}, "choice"),
    "a choice that is none": ({"choice": "0"}, "choice"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_wrong_arguments_of_partials(case: str) -> None:
    """A loop would wait for partials that never come."""
    arguments, param = WRONG[case]
    async with AsyncCompletion(providers=[FakeProvider(WHOLE)]) as client:
        stream = client.parse_stream(MODEL, "Plan a picnic.", Trip)
        with pytest.raises(InvalidRequestError) as caught:
            stream.partials(**arguments)
    assert caught.value.param == param


async def test_a_stream_that_keeps_no_text_has_no_value() -> None:
    """A view would be empty without a reason."""
    async with AsyncCompletion(providers=[FakeProvider(STEPS)]) as client:
        stream = client.parse_stream(MODEL, "Plan a picnic.", list[Step], keep_text=False)
        for view in (stream.partials, stream.items):
            with pytest.raises(InvalidRequestError, match="keep_text"):
                view()


@pytest.mark.parametrize("name", ["tools", "response_format", "max_reasks", "stream"])
async def test_what_a_typed_stream_has_not_is_refused(name: str) -> None:
    """Callers would believe that a parameter has an effect."""
    options: dict[str, Any] = {name: 1}
    async with AsyncCompletion(providers=[FakeProvider(WHOLE)]) as client:
        with pytest.raises(TypeError, match=name):
            client.parse_stream(MODEL, "Plan a picnic.", Trip, **options)


async def test_an_invalid_type_is_refused_before_anything_is_sent() -> None:
    """A mistake in a type would be reported only when the stream is read."""
    fake = FakeProvider(WHOLE)
    async with AsyncCompletion(providers=[fake]) as client:
        with pytest.raises(InvalidRequestError) as caught:
            client.parse_stream(MODEL, "Plan a picnic.", print)  # type: ignore[arg-type]
    assert caught.value.param == "into"
    assert fake.requests == []


# --- what is around --------------------------------------------------------------------------------------------------


async def test_middleware_sees_a_plain_stream() -> None:
    """Middleware would have to know of types, or its changes of chunks be lost."""
    seen: list[ChatRequest] = []

    async def shout(request: ChatRequest, options: CallOptions, call_next: CallNext) -> Any:
        seen.append(request)
        stream = await call_next(request, options)
        assert type(stream) is CompletionStream
        return stream.map(louder)

    def louder(chunk: ChatCompletionChunk) -> ChatCompletionChunk:
        for choice in chunk.choices:
            choice.delta.content = choice.delta.content and choice.delta.content.replace("Picnic", "PICNIC")
        return chunk

    async with AsyncCompletion(providers=[FakeProvider([WHOLE])], middleware=[shout]) as client:
        stream = client.parse_stream(MODEL, "Plan a picnic.", Trip)
        assert [partial.data["title"] async for partial in stream.partials()] == ["PICNIC"]
        assert (await stream.get_final_completion()).parsed.title == "PICNIC"
    assert seen[0].response_format is not None


async def test_chunks_of_the_tool_are_its_arguments_as_content() -> None:
    """A browser that shows the stream of one provider could not show that of another."""
    pieces = [chunk("Let me see."), call("", "answer"), *map(call, cut(WHOLE)), call("{}", "other", index=1)]
    kept: list[ChatCompletionChunk] = []

    async def keep(request: ChatRequest, options: CallOptions, call_next: CallNext) -> Any:
        stream = await call_next(request, options)
        assert isinstance(stream, CompletionStream)
        return stream.map(lambda chunk: kept.append(chunk) or chunk)

    async with AsyncCompletion(providers=[FakeProvider(pieces)], middleware=[keep]) as client:
        async with client.parse_stream(MODEL, "Plan a picnic.", Trip, mode="tool") as stream:
            chunks = [chunk async for chunk in stream]
        reply = await stream.get_final_completion()
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
    assert "".join(delta.content or "" for delta in deltas) == WHOLE == stream.snapshot.text == reply.text
    assert all(delta.tool_calls is None for delta in deltas)
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert sum(bool(choice.delta.tool_calls) for chunk in kept for choice in chunk.choices) > 3


async def test_a_tool_that_is_not_called_leaves_the_text() -> None:
    """The answer of a model that cannot be made to call would be lost."""
    pieces = [*cut(f"As JSON: {WHOLE}"), chunk(reason="stop")]
    async with AsyncCompletion(providers=[FakeProvider(pieces)]) as client:
        stream = client.parse_stream(MODEL, "Plan a picnic.", Trip, mode="tool")
        assert await partials_of(stream) == [Partial(DATA, None, finished=True)]
        assert (await stream.get_final_completion()).parsed == PICNIC


async def test_a_typed_stream_is_relayed_as_any_other() -> None:
    """A service that relays typed streams would send something else than the provider's chunks."""
    async with AsyncCompletion(providers=[FakeProvider(cut(WHOLE), cut(WHOLE))]) as client:
        typed = [event async for event in client.parse_stream(MODEL, "Plan a picnic.", Trip).sse()]
        plain = [event async for event in client.stream(MODEL, "Plan a picnic.").sse()]
    assert [_delta(event) for event in typed] == [_delta(event) for event in plain]
    assert typed[-1] == b"data: [DONE]\n\n"


def _delta(event: bytes) -> Any:
    data = event.removeprefix(b"data: ").strip()
    return data if data == b"[DONE]" else json.loads(data)["choices"]


async def test_the_repr_names_the_class() -> None:
    """A user could not tell a typed stream from another in a log, or would see a reply in it."""
    async with AsyncCompletion(providers=[FakeProvider(WHOLE)]) as client:
        assert repr(client.parse_stream(MODEL, "Plan.", Trip)) == f"<ParsedStream {MODEL} not sent>"
