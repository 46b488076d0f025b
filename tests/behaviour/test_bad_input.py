"""Bad input, through every door: refused by name with nothing sent; what is only odd arrives as it was meant."""

from __future__ import annotations

import asyncio
import functools
import json
import math
import sys
import tracemalloc
from collections import OrderedDict, UserDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anycompletion import (
    APIError,
    AsyncCompletion,
    ChatCompletion,
    CompletionError,
    CompletionStream,
    InvalidRequestError,
    Timeout,
)
from anycompletion.codecs.json import dumps
from anycompletion.dialects.base import Target
from anycompletion.dialects.openai_chat.encode import encode
from anycompletion.http import HttpRequest
from anycompletion.options import CallOptions
from anycompletion.records import PARAM_NAMES, AssistantMessage, ChatRequest, TextPart, UserMessage
from anycompletion.testing import SimulatorServer
from anycompletion.validation.request_checks import build_request
from support.bad_input import (
    BAD,
    KEY,
    MODEL,
    OTHER_MODELS,
    PIXEL,
    Attrs,
    Bad,
    Count,
    Data,
    F,
    Level,
    Number,
    Pair,
    Role,
    Text,
    assistant,
    image,
    named,
    nested,
    nested_objects,
    schema,
    tool,
    user,
)
from support.hostile_objects import OPENED, Meaning, Recipe, build, close_all, conversations, recipes

module_loop = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server() -> AsyncIterator[SimulatorServer]:
    """One server for all rows: what it was asked is the evidence."""
    async with SimulatorServer() as started:
        yield started


@pytest.fixture
def sim(server: SimulatorServer) -> SimulatorServer:
    """The server, asked nothing so far."""
    server.requests.clear()
    return server


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client(server: SimulatorServer) -> AsyncIterator[AsyncCompletion]:
    """A client that reaches the simulator for every format."""
    async with AsyncCompletion(base_urls=server.base_urls, api_keys=server.api_keys) as made:
        yield made


# --- the doors ------------------------------------------------------------------------------------------------------

Arguments = Mapping[str, Any]
Door = Callable[[AsyncCompletion, Arguments], Awaitable[object]]
OPTIONS = frozenset(CallOptions.__annotations__)


def split(call: Arguments) -> tuple[ChatRequest, dict[str, Any]]:
    """A call as a request that is ready, and how to send it."""
    options: dict[str, Any] = {name: value for name, value in call.items() if name in OPTIONS and name != "extra_body"}
    return ChatRequest(**{name: value for name, value in call.items() if name not in options}), options


async def create(client: AsyncCompletion, call: Arguments) -> ChatCompletion:
    """A reply."""
    answer: Any = client.create
    reply: ChatCompletion = await answer(**call)
    return reply


async def create_stream(client: AsyncCompletion, call: Arguments) -> None:
    """A stream that is opened at once."""
    await (await client.create(**call, stream=True)).aclose()


async def stream(client: AsyncCompletion, call: Arguments) -> None:
    """A stream that is opened when it is used."""
    async with client.stream(**call):
        pass


async def attempt(client: AsyncCompletion, call: Arguments) -> None:
    """An error as a value."""
    result = await client.attempt(**call)
    if result.error is not None:
        raise result.error


async def send(client: AsyncCompletion, call: Arguments) -> None:
    """A request that was made before."""
    request, options = split(call)
    await client.send(request, **options)


async def send_stream(client: AsyncCompletion, call: Arguments) -> None:
    """A request that was made before, for a stream."""
    request, options = split(call)
    answer = await client.send(request, stream=True, **options)
    assert isinstance(answer, CompletionStream)
    await answer.aclose()


async def with_options(client: AsyncCompletion, call: Arguments) -> None:
    """Another way of calling, for all calls of a view."""
    view = client.with_options(**{name: value for name, value in call.items() if name in OPTIONS})
    await view.create(**{name: value for name, value in call.items() if name not in OPTIONS})


PLAIN: tuple[Door, ...] = (create, attempt, send)
STREAMS: tuple[Door, ...] = (create_stream, stream, send_stream)


def doors(row: Bad) -> Iterator[Door]:
    """Every way in which a row can be called."""
    yield from PLAIN
    if row.streams_too:
        yield from STREAMS
    if row.name in OPTIONS:
        yield with_options


# --- what is refused ------------------------------------------------------------------------------------------------


def test_the_matrix_is_long() -> None:
    """The table could shrink unseen."""
    assert len(BAD) >= 1300
    assert {row.name for row in BAD} == {"model", "messages", *PARAM_NAMES, *OPTIONS}


def texts_in(value: Any, depth: int = 6) -> Iterator[str]:
    """The caller's texts in a value, as far as they are worth a look."""
    kind = type(value)  # pyright: ignore[reportUnknownVariableType]
    if kind is str:
        yield value
    elif kind in (list, tuple) and depth:
        for item in value[:10]:
            yield from texts_in(item, depth - 1)
    elif kind is dict and depth:
        for pair in value.items():
            yield from texts_in(pair, depth)


def check_text(error: BaseException, value: Any) -> None:
    """What an error says shows no key, and of the caller's text no more than 200 characters."""
    for said in (str(error), repr(error)):
        assert KEY not in said
        said.encode()
        for text in texts_in(value):
            assert not any(said[i : i + 201] in text for i in range(len(said) - 200))


@module_loop
@pytest.mark.parametrize("row", BAD, ids=named(BAD))
async def test_bad_input_is_refused_by_name_and_nothing_is_sent(
    client: AsyncCompletion, sim: SimulatorServer, row: Bad
) -> None:
    """A request nobody can mean would be sent and paid for, or refused without saying where it is wrong."""
    call: dict[str, Any] = {"model": MODEL, "messages": "Hi.", **row.others, row.name: row.value}
    for door in doors(row):
        with pytest.raises(row.error) as caught:
            await door(client, call)
        error: Any = caught.value
        assert error.param == row.param, door.__name__
        assert row.param is None or str(error).startswith(f"{row.param}: "), door.__name__
        check_text(error, row.value)
        assert not sim.requests, door.__name__
    if row.streams_too and not row.late:
        with pytest.raises(row.error):
            client.stream(**call)  # now, and not where the stream is used


OF_CLIENTS = [row for row in BAD if row.name in ("timeout", "max_retries", "on_unsupported")] + [
    *(Bad("api_keys", {"openai": key}, "api_keys['openai']") for key in (5, b"sk", True, Level.MANY)),
    *(Bad("base_urls", {"openai": url}, "base_urls['openai']") for url in (5, b"https://x", True, Level.MANY)),
]


@pytest.mark.parametrize("row", OF_CLIENTS, ids=named(OF_CLIENTS))
def test_a_client_refuses_what_a_call_refuses(row: Bad) -> None:
    """A bad setting would be noticed at the first call, far from where it was written."""
    with pytest.raises(row.error) as caught:
        AsyncCompletion(**{row.name: row.value})
    assert getattr(caught.value, "param", None) == row.param


BAD_URLS = [row for row in BAD if row.name == "base_url" and isinstance(row.value, str) and row.value and row.param]
FROM = [
    pytest.param(row, environment, id=f"{i}-{'environment' if environment else 'given'}")
    for i, row in enumerate(BAD_URLS)
    for environment in (False, True)
    if not (environment and ("\0" in row.value or "\ud800" in row.value))  # which no environment can hold
]


@module_loop
@pytest.mark.parametrize(("row", "from_environment"), FROM)
async def test_a_bad_address_is_refused_wherever_it_comes_from(
    monkeypatch: pytest.MonkeyPatch, row: Bad, from_environment: bool
) -> None:
    """A key would go to whom an address in disguise belongs."""
    if from_environment:
        monkeypatch.setenv("OPENAI_BASE_URL", row.value)
    async with AsyncCompletion(
        base_urls={} if from_environment else {"openai": row.value}, api_keys={"openai": KEY}
    ) as client:
        with pytest.raises(InvalidRequestError) as caught:
            await client.create(MODEL, "Hi.")
    assert caught.value.param == "base_urls['openai']"
    check_text(caught.value, row.value)


MISUSES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "swapped": (lambda client: client.create("Why is the sky blue?", MODEL), "model comes first"),
    "swapped list": (lambda client: client.create(user("x"), MODEL), "model comes first"),
    "swapped stream": (lambda client: client.stream("Why is the sky blue?", MODEL), "model comes first"),
    "no messages": (lambda client: client.create(MODEL), "messages"),
    "third in line": (lambda client: client.create(MODEL, "Hi.", 0.5), "positional"),
    "misspelt": (lambda client: client.create(MODEL, "Hi.", temprature=1), "did you mean 'temperature'"),
    "made up": (lambda client: client.create(MODEL, "Hi.", zzz=1), "extra_body"),
    "endless": (lambda client: client.create(MODEL, "Hi.", **{"k" * 100_000: 1}), "unknown keyword of 100000"),
    "stream of a stream": (lambda client: client.stream(MODEL, "Hi.", stream=True), "always streams"),
    "attempt of a stream": (lambda client: client.attempt(MODEL, "Hi.", stream=True), "attempt"),
    "sent with a parameter": (
        lambda client: client.send(ChatRequest(MODEL, "Hi."), temperature=1),
        "belongs to the request",
    ),
    "a view with a parameter": (lambda client: client.with_options(temperature=1), "belongs to the request"),
    "a view with a made-up name": (lambda client: client.with_options(retries=1), "did you mean"),
}


@module_loop
@pytest.mark.parametrize("name", MISUSES)
async def test_a_mistake_in_the_program_is_a_type_error(
    client: AsyncCompletion, sim: SimulatorServer, name: str
) -> None:
    """A misspelt keyword would be sent, or silently left out."""
    call, says = MISUSES[name]
    with pytest.raises(TypeError, match=says) as caught:
        await call(client)
    assert len(str(caught.value)) < 300
    assert not sim.requests


@module_loop
async def test_what_is_no_request_is_not_sent(client: AsyncCompletion, sim: SimulatorServer) -> None:
    """A dict in the place of a `ChatRequest` would fail deep inside."""
    for request in ({"model": MODEL, "messages": "Hi."}, None, "Hi.", ChatRequest):
        with pytest.raises(InvalidRequestError) as caught:
            await client.send(request)  # type: ignore[call-overload]
        assert caught.value.param == "request"
    assert not sim.requests


@module_loop
async def test_a_call_that_nobody_awaits_warns_and_sends_nothing(client: AsyncCompletion, sim: SimulatorServer) -> None:
    """A forgotten await would look like a provider that does not answer."""
    with pytest.warns(RuntimeWarning, match="never awaited"):
        client.create(MODEL, "Hi.")  # type: ignore[unused-coroutine]
    assert not sim.requests


# --- what is odd and in order ---------------------------------------------------------------------------------------


class Good(NamedTuple):
    """A call that must arrive."""

    call: Mapping[str, Any]
    """What is passed besides the model and messages."""
    body: Mapping[str, Any]
    """Members of the body, as they have to arrive."""
    model: str = MODEL
    large: bool = False
    """True for a call that takes a while, and is made once."""


def as_written(**call: Any) -> Good:
    """A call whose arguments arrive just as they are."""
    return Good(call, call)


def of_model(name: str) -> Good:
    """A call for a model of OpenAI's that nobody knows."""
    return Good({}, {"model": name}, f"openai/{name}")


ODD_TEXTS = (
    "\0",
    "a\0b",
    "🦊👩‍👩‍👧",
    "שלום עולם",
    "\u202eabc",
    "\ufeffx",
    "a\u2028b\u2029c",
    "\x1b[1m",
    "\uffff",
    "\U0010ffff",
    " ",
)
RECURSIVE: dict[str, Any] = {
    "type": "object",
    "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
    "properties": {"a": {"$ref": "#/$defs/node"}, "n": {"type": "number", "minimum": 0.5}},
    "x-unknown": [None, True, {"k": []}],
}
ROLES = [{"role": "critic", "content": {"any": ["thing"]}}, {"role": "ipython"}, {"role": "用户", "content": None}]
PARTS = [{"type": "text", "text": ""}, {"type": "video", "video": {"url": "u", "fps": 1.5}}, {"type": "of_tomorrow"}]
JSON_OF: dict[str, Any] = {
    "tuple": [1, [2, [3]]],
    "named": [1, "x"],
    "5": None,
    "text": "x",
    "number": 0.5,
    "count": 3,
    "enum": "low",
    "enum of a tuple": ["a", 1],
    "str enum": "user",
    "dataclass": {"name": "x", "size": [1], "inner": {"name": "low", "size": 1, "inner": None}},
    "attrs": {"name": {"a": 1}, "size": 1, "inner": None},
    "record": {"type": "text", "text": "x"},
    "proxy": {"a": 1},
    "ordered": {"b": 1, "a": 2},
    "user dict": {"1": 2},
    "low": True,
    "big": 10**30,
    "tiny": 5e-324,
}
ODD_JSON: dict[Any, Any] = {
    "tuple": (1, (2, (3,))),
    "named": Pair(1, Text("x")),
    5: None,
    "text": Text("x"),
    "number": Number(0.5),
    "count": Count(3),
    "enum": Level.LOW,
    "enum of a tuple": Level.PAIR,
    "str enum": Role.USER,
    "dataclass": Data(size=(1,), inner=Attrs(name=Level.LOW)),
    "attrs": Attrs(name={"a": 1}),
    "record": TextPart("x"),
    "proxy": MappingProxyType({"a": 1}),
    "ordered": OrderedDict(b=1, a=2),
    "user dict": UserDict({1: 2}),
    Level.LOW: True,
    "big": 10**30,
    "tiny": 5e-324,
}
TEXT = {"type": "text", "text": "x"}
OF_THEIRS: dict[str, Any] = {"deep": nested(499), "top_k": 5, "temperature": 9}
OF_DATA = {"name": "x", "size": 1, "inner": None}
REPLY = AssistantMessage.from_dict({"role": "assistant", "content": "x", "refusal": None, "annotations": []})

GOOD: list[Good] = [
    # messages
    *(Good({"messages": text}, {"messages": user(text)}) for text in (*ODD_TEXTS, "")),
    Good({"messages": "x" * 10_000_000}, {"messages": user("x" * 10_000_000)}, large=True),
    *(as_written(messages=user(text)) for text in ODD_TEXTS),
    *(as_written(messages=user([{"type": "text", "text": text}])) for text in ODD_TEXTS),
    as_written(messages=ROLES),
    as_written(messages=user(PARTS)),
    as_written(messages=user([])),
    as_written(messages=[{"role": "user", "content": "x", "name": None, "cache_control": {"type": "e"}, "x": None}]),
    as_written(messages=assistant(content=None, refusal=None, tool_calls=None, unknown=[{}])),
    as_written(messages=assistant(content="", tool_calls=[])),
    as_written(messages=[*user("x", name="n" * 64), {"role": "system", "content": "x", "name": "A-b_9"}]),
    as_written(messages=assistant(content="x", name="A model v2 (beta)")),
    as_written(messages=[{"role": "tool", "tool_call_id": "c", "content": "x", "name": "multi_tool_use.parallel"}]),
    Good({"messages": user("x") * 100_000}, {"messages": user("x") * 100_000}, large=True),
    Good({"messages": ({"role": Role.USER, "content": Text("x")},)}, {"messages": user("x")}),
    Good({"messages": [MappingProxyType({"role": "user", "content": "x"})]}, {"messages": user("x")}),
    Good({"messages": [{Role.USER: 1, "role": "user", "content": "x"}]}, {"messages": user("x", user=1)}),
    Good({"messages": user("x", y=ODD_JSON)}, {"messages": user("x", y=JSON_OF)}),
    Good({"messages": user((TEXT | {"text": Text("x")},))}, {"messages": user([TEXT])}),
    Good(
        {"messages": [UserMessage([TextPart("x", extra={"y": (1,)})]), REPLY, *user("y")]},
        {"messages": [*user([TEXT | {"y": [1]}]), *assistant(content="x", annotations=[]), *user("y")]},
    ),
    # images and files are named, never fetched or opened
    *(
        as_written(messages=image(url))
        for url in (
            "file:///etc/passwd",
            "http://169.254.169.254/latest",
            "http://127.0.0.1:9/x.png",
            "https://example.com/x.png",
            "gs://bucket/x",
            "x",
            "",
            f"data:image/png;base64,{PIXEL}",
            f"data:image/png;base64,{PIXEL.rstrip('=')}",
            f"data:image/png;base64,{PIXEL.replace('=', '%3D')}",
            f"data:image/png;base64,{PIXEL[:20]}\r\n {PIXEL[20:]}\n",
            "DATA:IMAGE/PNG;charset=utf-8; Base64 ,QUJD",
            "data:image/png;base64,",
            "data:,no base64!",
            "data:image/svg+xml;utf8,<svg xmlns='x'/>",
            "data:text/plain;charset=base64,!!!",
            f"data:image/png;base64,{'QUJD' * 100_000}QQ==",
        )
    ),
    as_written(messages=user([{"type": "image_url", "image_url": "https://example.com/x.png"}])),
    as_written(messages=user([{"type": "file", "file": {"file_data": "no data URL", "filename": "/etc/passwd"}}])),
    # models
    *map(of_model, ("ft:gpt-4o:org::id", "@cf/meta/llama", "accounts/x/models/y", "models/z", "a/b:free", "模型")),
    *map(of_model, ("a b", "of-tomorrow", "../x", ".", "..", "a//b", "a?b#c", "%2e%2e", "m" * 500)),
    # numbers
    *(as_written(temperature=value) for value in (0, 2, 1, 0.0, 1.5, 1e-300)),
    *(as_written(top_p=value) for value in (0, 1, 0.5, 1e-9)),
    *(as_written(presence_penalty=value, frequency_penalty=value) for value in (-2, 2, 0, 0.5)),
    *(as_written(seed=value) for value in (0, -1, 2**63 - 1, -(2**63))),
    *(as_written(max_completion_tokens=value) for value in (1, 2**63 - 1)),
    as_written(n=2, tools=tool(**F), tool_choice="required"),
    as_written(n=2, logprobs=True, top_logprobs=20, store=False, parallel_tool_calls=True),
    Good({"temperature": Number(0.5), "seed": Count(3), "n": Level.MANY}, {"temperature": 0.5, "seed": 3, "n": 3}),
    # texts
    *(as_written(stop=value) for value in ("x", "\n", " ", ["a"], ["a", "b", "c", "d"])),
    Good({"stop": ("a", Text("b"))}, {"stop": ["a", "b"]}),
    *(as_written(user=text, safety_identifier=text) for text in ODD_TEXTS),
    as_written(reasoning_effort="absurd", verbosity="of tomorrow", service_tier="x", prompt_cache_key=""),
    Good({"reasoning_effort": Level.LOW, "user": Role.USER}, {"reasoning_effort": "low", "user": "user"}),
    Good({"logit_bias": {5: 1, "7": -100, Text("8"): 0.5}}, {"logit_bias": {"5": 1, "7": -100, "8": 0.5}}),
    # tools and formats
    as_written(tools=tool(name="f" * 64, description="d", parameters=RECURSIVE, strict=True, unknown=None)),
    as_written(tools=tool(name="f", parameters={}) + tool(name="g", parameters={"type": "object"})),
    as_written(tools=tool(name="f", parameters=nested_objects(100))),
    as_written(tools=[{"type": "web_search", "max": 3}, {"google_search": {}, "type": None}, {"type": "of_tomorrow"}]),
    Good({"tools": ({"function": F},)}, {"tools": tool(**F)}),
    Good({"tools": tool(**F, parameters=Data())}, {"tools": tool(**F, parameters=OF_DATA)}),
    Good({"tools": tool(**F, parameters=MappingProxyType(ODD_JSON))}, {"tools": tool(**F, parameters=JSON_OF)}),
    *(
        as_written(tools=tool(**F), tool_choice=choice)
        for choice in ("none", "required", {"type": "allowed_tools", "tools": [F]}, {"type": "of_tomorrow"})
    ),
    as_written(tools=tool(**F), tool_choice={"type": "function", "function": {"name": "f", "x": 1}}),
    as_written(functions=[F], function_call={"name": "f", "x": None}),
    *(as_written(response_format={"type": kind, "x": [1]}) for kind in ("text", "json_object", "of_tomorrow")),
    as_written(response_format=schema(RECURSIVE)),
    as_written(response_format=schema(nested_objects(100))),
    Good({"response_format": schema({"x": ODD_JSON})}, {"response_format": schema({"x": JSON_OF})}),
    # objects
    *(Good({name: ODD_JSON}, {name: JSON_OF}) for name in ("metadata", "prediction", "audio", "moderation")),
    Good({"metadata": Data()}, {"metadata": OF_DATA}),
    Good({"prediction": Attrs(inner=Data())}, {"prediction": {"name": "x", "size": 1, "inner": OF_DATA}}),
    as_written(metadata={}, web_search_options={}),
    as_written(metadata={"a": {"b": {"c": [{"d": None}]}}, "": "", "k" * 1000: "é"}),
    Good({"extra_body": OF_THEIRS}, OF_THEIRS),
    Good({"extra_body": ODD_JSON}, JSON_OF),
    # how to call
    *(Good({"timeout": value}, {}) for value in (math.inf, 1e300, 30, Number(30), Count(30))),
    Good({"timeout": Timeout(total=None, idle=math.inf, connect=Number(5))}, {}),
    Good({"max_retries": Count(0), "on_unsupported": Text("warn"), "extra_headers": {"x-a": "\tb\xe9 "}}, {}),
]
"""The right column of the table of bad input: what must pass."""


ARRIVING = [
    pytest.param(row, door, id=f"{i}-{'-'.join(row.call)}-{door.__name__}")
    for i, row in enumerate(GOOD)
    for door in ((create,) if row.large else (create, stream, send))
]


@module_loop
@pytest.mark.parametrize(("row", "door"), ARRIVING)
async def test_what_is_only_odd_arrives_as_it_was_meant(
    client: AsyncCompletion, sim: SimulatorServer, row: Good, door: Door
) -> None:
    """A request would be refused that some provider understands, or reach it changed."""
    body = await arrived(client, sim, {"model": row.model, "messages": "Hi.", **row.call}, door)
    for name, value in row.body.items():
        assert same_json(body[name], value), name


FUTURE = {"type": "of_tomorrow", "text": ["x", {"y": None}]}
"""A part that nobody knows, and that looks like one that everybody knows."""


@module_loop
@pytest.mark.parametrize("role", ["user", "system"])
@pytest.mark.parametrize("model", [MODEL, *OTHER_MODELS[:-1]])
async def test_unknown_parts_arrive_in_every_format(
    client: AsyncCompletion, sim: SimulatorServer, model: str, role: str
) -> None:
    """What a provider takes tomorrow would be taken for text, or raise a foreign exception."""
    messages = [*[{"role": role, "content": [FUTURE]}] * 2, *user("x")]
    body = await arrived(client, sim, {"model": model, "messages": messages}, create)
    assert json.dumps(body).count(json.dumps(FUTURE)) == 2


async def arrived(client: AsyncCompletion, sim: SimulatorServer, call: Arguments, door: Door) -> Any:
    """The body that a call makes arrive; whether the simulator likes it does not matter."""
    sim.requests.clear()
    status: int | None = None
    try:
        await door(client, call)
    except APIError as error:
        status = error.status_code
    assert status in (None, 400, 422)
    (request,) = [each for each in sim.requests if each.method == "POST"]
    return request.body


def same_json(left: Any, right: Any) -> bool:
    """Equal, and written alike: 1 is not 1.0 and not true."""
    return bool(left == right) and json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


@module_loop
async def test_values_that_ask_for_nothing_are_as_good_as_none(client: AsyncCompletion, sim: SimulatorServer) -> None:
    """Code that passes None for what it does not set would be refused, or send nulls."""
    plain = await arrived(client, sim, {"model": MODEL, "messages": "Hi."}, create)
    nothing = dict.fromkeys([*PARAM_NAMES, *OPTIONS])
    assert await arrived(client, sim, {"model": MODEL, "messages": "Hi.", **nothing}, create) == plain


# --- warnings -------------------------------------------------------------------------------------------------------

MANY: dict[str, tuple[Mapping[str, Any], str]] = {
    "tools": ({"tools": [each for i in range(129) for each in tool(name=f"f{i}")]}, MODEL),
    "functions": ({"functions": [{"name": f"f{i}"} for i in range(129)]}, MODEL),
    "n": ({"n": 129}, "anthropic/claude-x"),
}


@module_loop
@pytest.mark.parametrize("name", MANY)
async def test_more_than_most_providers_take_is_sent_with_a_warning(
    client: AsyncCompletion, sim: SimulatorServer, name: str
) -> None:
    """Nobody would know why a provider refuses a request, or what a bill is for."""
    call, model = MANY[name]
    reply = await create(client, {"model": model, "messages": "Hi.", **call})
    assert [text for text in reply.info.warnings if text.startswith(f"{name}: more than 128")]
    assert len(reply.info.warnings) <= 2
    few = {each: value if isinstance(value, int) else value[:128] for each, value in call.items()}
    if name != "n":
        reply = await create(client, {"model": model, "messages": "Hi.", **few})
        assert not reply.info.warnings


@module_loop
@pytest.mark.parametrize("model", [model for model in OTHER_MODELS if "anthropic" in model or "cohere" in model])
async def test_formats_with_longer_names_take_them(client: AsyncCompletion, sim: SimulatorServer, model: str) -> None:
    """Tools of tool servers, whose names grow long, could not be used where they are in order."""
    body = await arrived(client, sim, {"model": model, "messages": "Hi.", "tools": tool(name="f" * 128)}, create)
    assert "f" * 128 in json.dumps(body["tools"])


# --- made-up parameters ---------------------------------------------------------------------------------------------

_NAMES = (
    "made_up_{}",
    "名前_{}",
    "🦊{}",
    "with space {}",
    "a.b[{}]",
    "a/{}",
    "UPPER{}",
    "$ref{}",
    '"{}',
    "__proto__{}",
    "\0{}",
)
_VALUES: tuple[Any, ...] = (
    True,
    None,
    0,
    -1,
    2**63,
    -(2**64),
    10**40,
    0.1,
    -0.0,
    5e-324,
    1.7976931348623157e308,
    1e16,
    "",
    "é\0🦊\u2028",
    "x" * 3000,
    [],
    {},
    [[], {}, [None]],
    {"a": {"b": {"c": [1, 2.5, "x", None, True]}}},
    {"": ""},
    nested(450),
    {f"k{i}": i for i in range(50)},
    list(range(200)),
    {"type": "object", "$ref": "#"},
    "\\u0041 \\n",
    {"名": {"前": "🦊"}},
)

INVENTED: dict[str, Any] = {_NAMES[i % len(_NAMES)].format(i): _VALUES[i % len(_VALUES)] for i in range(100)}
"""A hundred parameters that no provider has."""


@module_loop
@pytest.mark.parametrize("door", [create, stream, send, with_options], ids=lambda door: door.__name__)
@pytest.mark.parametrize("model", [MODEL, *OTHER_MODELS])
async def test_made_up_parameters_arrive_unchanged(
    client: AsyncCompletion, sim: SimulatorServer, model: str, door: Door
) -> None:
    """What a provider brings tomorrow could not be used before a new version of this package."""
    assert len(INVENTED) == 100
    body = await arrived(client, sim, {"model": model, "messages": "Hi.", "extra_body": INVENTED}, door)
    # Replicate's models have parameters, not its API.
    found = body["input"] if model.startswith("replicate/") else body
    assert same_json({name: found[name] for name in INVENTED}, INVENTED)


# --- any Python object ----------------------------------------------------------------------------------------------

MISSING = object()
ALONE = ("tool_choice", "function_call")
"""What means nothing without tools, and is not sent then."""


def expected(name: str, meaning: Any) -> Any:
    """What a parameter's value looks like in OpenAI's body."""
    if name == "messages" and isinstance(meaning, str):
        return user(meaning)
    if name == "tools":
        return [{"type": "function", **each} if "function" in each else each for each in meaning]
    return meaning


def check_refused(error: BaseException, name: str) -> None:
    """A refusal names the parameter, and no more of it than it has to."""
    assert isinstance(error, CompletionError)
    if isinstance(error, InvalidRequestError):
        assert (error.param or "").split(".")[0].split("[")[0] == name
        assert len(str(error)) <= 501
    repr(error).encode()


class Meeting(NamedTuple):
    """A call with any object for one argument."""

    name: str
    recipe: Recipe
    model: str
    door: Door


async def meet(client: AsyncCompletion, sim: SimulatorServer, meeting: Meeting) -> None:
    """The object is refused and nothing sent, or it arrives as it was meant."""
    name, recipe, model, door = meeting
    value, meaning = build(recipe)
    sim.requests.clear()
    error: Exception | None = None
    call: dict[str, Any] = {"model": model, "messages": "Hi.", "on_unsupported": "raise" if model == MODEL else "drop"}
    try:
        await door(client, call | {name: value})
    except (CompletionError, TypeError) as fault:
        error = fault
    if isinstance(error, TypeError):
        assert name == "model", error
        assert issubclass(type(value), (list, tuple)), "is only said of a list in the place of the model"
    elif error is not None:
        check_refused(error, name)
    if not any(request.method == "POST" for request in sim.requests):
        assert error is not None
        assert name not in ("metadata", "prediction") or not isinstance(meaning, dict), "refused for no reason"
        return
    assert not isinstance(error, InvalidRequestError | TypeError)
    body = sim.requests[-1].body
    assert json.loads(sim.requests[-1].raw) == body
    if model == MODEL and (name in PARAM_NAMES or name in ("messages", "extra_body")):
        assert meaning is not Meaning.NONE, "sent for no reason"
        check_arrived(body, name, meaning)


def check_arrived(body: Any, name: str, meaning: Any) -> None:
    """A value is in the body as it was meant."""
    if meaning is None:
        assert name not in body
    elif name == "extra_body":
        assert {each: body.get(each, MISSING) for each in meaning} == meaning
    elif name not in ALONE and meaning is not Meaning.OPEN:
        assert body.get(name) == expected(name, meaning)


ARGUMENTS = [*sorted({"model", "messages", *PARAM_NAMES, *OPTIONS}), *["metadata", "extra_body"] * 3]
_WAYS = (st.sampled_from([MODEL] * 5 + list(OTHER_MODELS)), st.sampled_from([create, stream, send]))
MEETINGS = st.builds(Meeting, st.sampled_from(ARGUMENTS), recipes(), *_WAYS) | st.builds(
    Meeting, st.just("messages"), conversations(), *_WAYS
)

_ALLOWED = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example)


def test_any_object_is_refused_or_arrives() -> None:
    """Some value would raise a foreign exception far from where it was given, or be sent as something else."""
    with asyncio.Runner() as runner:

        async def begin() -> tuple[SimulatorServer, AsyncCompletion]:
            sim = await SimulatorServer().start()
            return sim, AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys, max_retries=0)

        sim, client = runner.run(begin())

        @settings(max_examples=500, derandomize=True, deadline=None, suppress_health_check=_ALLOWED)
        @given(MEETINGS)
        def check(meeting: Meeting) -> None:
            try:
                runner.run(meet(client, sim, meeting))
            finally:
                close_all()

        try:
            check()
        finally:
            runner.run(client.aclose())
            runner.run(sim.aclose())
    assert not OPENED


# --- cost -----------------------------------------------------------------------------------------------------------

TARGET = Target(provider="openai", model="gpt-4o", base_url="https://api.openai.com/v1")


def made(messages: Any, **params: Any) -> bytes:
    """The body of a call, from what the caller wrote to bytes."""
    request = build_request(MODEL, messages, params, stream=False)
    encoded = encode(request, TARGET, {})
    assert isinstance(encoded, HttpRequest)
    return dumps(encoded.body)


def steps(work: Callable[[], object]) -> int:
    """How many functions are called in the course of `work`."""
    count = 0

    def note(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


GROWING: dict[str, Callable[[int], object]] = {
    "texts": lambda n: made([{"role": "user", "content": "x"}] * n),
    "records": lambda n: made([UserMessage("x")] * n),
    "parts": lambda n: made(user([{"type": "text", "text": "x"}] * n)),
    "images": lambda n: made(image(f"data:;base64,{'A' * 65_536 * n}")),
    "calls": lambda n: made(assistant(tool_calls=[{"id": "c", "function": {"name": "f", "arguments": "{}"}}] * n)),
    "other roles": lambda n: made([{"role": "critic", "content": {"a": [1]}}] * n),
    "tools": lambda n: made("x", tools=[each for i in range(n) for each in tool(name=f"f{i}", parameters=RECURSIVE)]),
    "objects": lambda n: made("x", metadata={str(i): {"a": [i]} for i in range(n)}),
    "stops": lambda n: made("x", stop=["x"] * n),
    "biases": lambda n: made("x", logit_bias=dict.fromkeys(range(n), 1)),
}


@pytest.mark.parametrize("name", GROWING)
def test_work_grows_no_faster_than_the_request(name: str) -> None:
    """A long conversation would take minutes to be checked: each message would cost more than the one before."""
    work = GROWING[name]
    work(1)  # what is made once, is made now
    fifty, hundred, two_hundred = (steps(functools.partial(work, n)) for n in (50, 100, 200))
    assert two_hundred - hundred == pytest.approx(2 * (hundred - fifty), rel=0.01)


def peak_of(work: Callable[[], object]) -> int:
    """Bytes that `work` needs at most, its result included."""
    made([*user([]), *user("x")], tools=tool(**F))  # what is loaded or made once, is so now
    tracemalloc.start()
    try:
        result = work()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert result
    return peak


LARGE = "x" * 50_000_000
LARGE_MESSAGES: dict[str, Any] = {
    "one text": LARGE,
    "one message": user(LARGE),
    "one part": user([{"type": "text", "text": LARGE}]),
    "one record": [UserMessage(LARGE)],
    "an image": image(f"data:image/png;base64,{'QUJD' * 12_500_000}"),
    "another role": [{"role": "critic", "content": LARGE}],
}


@pytest.mark.parametrize("name", LARGE_MESSAGES)
def test_a_large_text_is_copied_once_and_that_is_its_body(name: str) -> None:
    """A large prompt would take many times its size, and end the process."""
    messages = LARGE_MESSAGES[name]
    assert peak_of(lambda: build_request(MODEL, messages, {}, stream=False)) < 1_000_000
    assert peak_of(lambda: made(messages)) < 1.6 * len(LARGE)  # a buffer that grows by halves


def test_many_messages_cost_little_beside_their_body() -> None:
    """A long conversation would take many times its size."""
    messages = [{"role": "user", "content": "x" * 500}] * 100_000
    per_message = 500  # a record, a dict, and their places in lists
    assert peak_of(lambda: made(messages)) < 100_000 * (1.6 * 540 + per_message)


@module_loop
async def test_fifty_megabytes_arrive(client: AsyncCompletion, sim: SimulatorServer) -> None:
    """A large prompt would not get through, or not whole."""
    sim.reply = "Long."
    body = await arrived(client, sim, {"model": MODEL, "messages": LARGE}, create)
    sim.reply = None
    assert body["messages"][0]["content"] == LARGE
