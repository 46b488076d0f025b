"""Invalid input at every entry point is refused with its place and nothing is sent; unusual valid input is sent."""

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
    nested,
    nested_objects,
    row_ids,
    schema,
    tool,
    user,
)
from support.hostile_objects import OPENED, NotJson, Recipe, build, close_all, conversations, recipes
from support.params_table import COLUMNS
from support.simulated import SIMULATED

module_loop = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server() -> AsyncIterator[SimulatorServer]:
    """One server for all rows, whose recorded requests the tests check."""
    async with SimulatorServer() as started:
        yield started


@pytest.fixture
def sim(server: SimulatorServer) -> SimulatorServer:
    """The server, without recorded requests."""
    server.requests.clear()
    return server


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client(server: SimulatorServer) -> AsyncIterator[AsyncCompletion]:
    """A client of the simulator for every format."""
    async with AsyncCompletion(base_urls=server.base_urls, api_keys=server.api_keys) as made:
        yield made


# --- entry points ---------------------------------------------------------------------------------------------------

Arguments = Mapping[str, Any]
EntryPoint = Callable[[AsyncCompletion, Arguments], Awaitable[object]]
OPTIONS = frozenset(CallOptions.__annotations__)


def split(call: Arguments) -> tuple[ChatRequest, dict[str, Any]]:
    """A call as a `ChatRequest` and options."""
    options: dict[str, Any] = {name: value for name, value in call.items() if name in OPTIONS and name != "extra_body"}
    return ChatRequest(**{name: value for name, value in call.items() if name not in options}), options


async def create(client: AsyncCompletion, call: Arguments) -> ChatCompletion:
    """Calls `create` without a stream."""
    untyped: Any = client.create
    reply: ChatCompletion = await untyped(**call)
    return reply


async def create_stream(client: AsyncCompletion, call: Arguments) -> None:
    """Calls `create` with a stream."""
    await (await client.create(**call, stream=True)).aclose()


async def stream(client: AsyncCompletion, call: Arguments) -> None:
    """Opens the stream of `stream`."""
    async with client.stream(**call):
        pass


async def attempt(client: AsyncCompletion, call: Arguments) -> None:
    """Calls `attempt` and raises its error."""
    result = await client.attempt(**call)
    if result.error is not None:
        raise result.error


async def send(client: AsyncCompletion, call: Arguments) -> None:
    """Calls `send` with a `ChatRequest`."""
    request, options = split(call)
    await client.send(request, **options)


async def send_stream(client: AsyncCompletion, call: Arguments) -> None:
    """Calls `send` with a `ChatRequest` for a stream."""
    request, options = split(call)
    opened = await client.send(request, stream=True, **options)
    assert isinstance(opened, CompletionStream)
    await opened.aclose()


async def with_options(client: AsyncCompletion, call: Arguments) -> None:
    """Passes the options to `with_options` and calls `create` of that view."""
    view = client.with_options(**{name: value for name, value in call.items() if name in OPTIONS})
    await view.create(**{name: value for name, value in call.items() if name not in OPTIONS})


PLAIN: tuple[EntryPoint, ...] = (create, attempt, send)
STREAMS: tuple[EntryPoint, ...] = (create_stream, stream, send_stream)


def entry_points(row: Bad) -> Iterator[EntryPoint]:
    """Every entry point that the row applies to."""
    yield from PLAIN
    yield from STREAMS
    if row.name in OPTIONS:
        yield with_options


# --- invalid input --------------------------------------------------------------------------------------------------


def test_the_table_has_all_parameters() -> None:
    """The table could shrink without notice."""
    assert len(BAD) >= 1300
    assert {row.name for row in BAD} == {"model", "messages", *PARAM_NAMES, *OPTIONS}


def texts_in(value: Any, depth: int = 6) -> Iterator[str]:
    """The texts of a value, down to a depth and of ten items each."""
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
    """Checks that an error's texts contain no key, and at most 200 characters of the caller's texts."""
    for shown in (str(error), repr(error)):
        assert KEY not in shown
        shown.encode()
        for text in texts_in(value):
            assert not any(shown[i : i + 201] in text for i in range(len(shown) - 200))


@module_loop
@pytest.mark.parametrize("row", BAD, ids=row_ids(BAD))
async def test_invalid_input_is_refused_with_its_place_and_nothing_is_sent(
    client: AsyncCompletion, sim: SimulatorServer, row: Bad
) -> None:
    """An invalid request would be sent and billed, or refused without the place of the error."""
    call: dict[str, Any] = {"model": MODEL, "messages": "Hi.", **row.others, row.name: row.value}
    for entry_point in entry_points(row):
        with pytest.raises(row.error) as caught:
            await entry_point(client, call)
        error: Any = caught.value
        assert error.param == row.param, entry_point.__name__
        assert row.param is None or str(error).startswith(f"{row.param}: "), entry_point.__name__
        check_text(error, row.value)
        assert not sim.requests, entry_point.__name__
    if not row.late:
        with pytest.raises(row.error):
            client.stream(**call)  # at once, not when the stream is opened


CLIENT_ROWS = [row for row in BAD if row.name in ("timeout", "max_retries", "on_unsupported")] + [
    *(Bad("api_keys", {"openai": key}, "api_keys['openai']") for key in (5, b"sk", True, Level.MANY)),
    *(Bad("base_urls", {"openai": url}, "base_urls['openai']") for url in (5, b"https://x", True, Level.MANY)),
]


@pytest.mark.parametrize("row", CLIENT_ROWS, ids=row_ids(CLIENT_ROWS))
def test_a_client_refuses_invalid_arguments(row: Bad) -> None:
    """An invalid argument of the client would be noticed at the first call only."""
    with pytest.raises(row.error) as caught:
        AsyncCompletion(**{row.name: row.value})
    assert getattr(caught.value, "param", None) == row.param


BAD_URLS = [row for row in BAD if row.name == "base_url" and isinstance(row.value, str) and row.value and row.param]
URL_SOURCES = [
    pytest.param(row, environment, id=f"{i}-{'environment' if environment else 'given'}")
    for i, row in enumerate(BAD_URLS)
    for environment in (False, True)
    if not (environment and ("\0" in row.value or "\ud800" in row.value))  # which environment variables cannot contain
]


@module_loop
@pytest.mark.parametrize(("row", "from_environment"), URL_SOURCES)
async def test_an_invalid_base_url_is_refused_from_every_source(
    monkeypatch: pytest.MonkeyPatch, row: Bad, from_environment: bool
) -> None:
    """A key would be sent to the host of a disguised address."""
    if from_environment:
        monkeypatch.setenv("OPENAI_BASE_URL", row.value)
    with pytest.raises(InvalidRequestError) as caught:
        client = AsyncCompletion(  # which refuses its own argument at once, but reads the environment later
            base_urls={} if from_environment else {"openai": row.value}, api_keys={"openai": KEY}
        )
        assert from_environment
        async with client:
            await client.create(MODEL, "Hi.")
    assert caught.value.param == ("OPENAI_BASE_URL" if from_environment else "base_urls['openai']")
    check_text(caught.value, row.value)


USAGE_ERRORS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "swapped": (lambda client: client.create("Why is the sky blue?", MODEL), "model comes first"),
    "swapped list": (lambda client: client.create(user("x"), MODEL), "model comes first"),
    "swapped stream": (lambda client: client.stream("Why is the sky blue?", MODEL), "model comes first"),
    "no messages": (lambda client: client.create(MODEL), "messages"),
    "third positional": (lambda client: client.create(MODEL, "Hi.", 0.5), "positional"),
    "misspelt": (lambda client: client.create(MODEL, "Hi.", temprature=1), "did you mean 'temperature'"),
    "unknown": (lambda client: client.create(MODEL, "Hi.", zzz=1), "extra_body"),
    "very long": (lambda client: client.create(MODEL, "Hi.", **{"k" * 100_000: 1}), "unknown keyword of 100000"),
    "stream of a stream": (lambda client: client.stream(MODEL, "Hi.", stream=True), "always stream"),
    "attempt of a stream": (lambda client: client.attempt(MODEL, "Hi.", stream=True), "attempt"),
    "sent with a parameter": (
        lambda client: client.send(ChatRequest(MODEL, "Hi."), temperature=1),
        "belongs to the request",
    ),
    "a view with a parameter": (lambda client: client.with_options(temperature=1), "; pass temperature= to create"),
    "a view with a model": (
        lambda client: client.with_options(model=MODEL),
        "'model' belongs .* pass model= to create",
    ),
    "a view with messages": (lambda client: client.with_options(messages="Hi."), "; pass messages= to create"),
    "a view with a stream": (lambda client: client.with_options(stream=True), "an argument of create and send only"),
    "a view with an unknown name": (lambda client: client.with_options(retries=1), "write max_retries="),
}


@module_loop
@pytest.mark.parametrize("name", USAGE_ERRORS)
async def test_a_usage_error_is_a_type_error(client: AsyncCompletion, sim: SimulatorServer, name: str) -> None:
    """A misspelt keyword would be sent, or silently dropped."""
    call, text = USAGE_ERRORS[name]
    with pytest.raises(TypeError, match=text) as caught:
        await call(client)
    assert len(str(caught.value)) < 300
    assert not sim.requests


@module_loop
async def test_send_refuses_other_types_than_chat_requests(client: AsyncCompletion, sim: SimulatorServer) -> None:
    """A dict in place of a `ChatRequest` would raise an obscure error."""
    for request in ({"model": MODEL, "messages": "Hi."}, None, "Hi.", ChatRequest):
        with pytest.raises(InvalidRequestError) as caught:
            await client.send(request)  # type: ignore[call-overload]
        assert caught.value.param == "request"
    assert not sim.requests


@module_loop
async def test_a_call_that_is_not_awaited_warns_and_sends_nothing(
    client: AsyncCompletion, sim: SimulatorServer
) -> None:
    """A missing await would look like a provider that does not respond."""
    with pytest.warns(RuntimeWarning, match="never awaited"):
        client.create(MODEL, "Hi.")  # type: ignore[unused-coroutine]
    assert not sim.requests


# --- unusual valid input --------------------------------------------------------------------------------------------


class Good(NamedTuple):
    """A valid call, which must be sent."""

    call: Mapping[str, Any]
    """Arguments besides the default model and messages."""
    body: Mapping[str, Any]
    """Members that the body must have."""
    model: str = MODEL
    large: bool = False
    """Whether the call is slow, so that it is made at one entry point only."""


def as_written(**call: Any) -> Good:
    """A call whose arguments are sent as they are."""
    return Good(call, call)


def of_model(name: str) -> Good:
    """A call for an unknown model of OpenAI."""
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
    "row_ids": [1, "x"],
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
    "row_ids": Pair(1, Text("x")),
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
    as_written(messages=[{"role": "user", "content": "x", "cache_control": {"type": "e"}, "x": [None]}]),
    as_written(messages=assistant(content=None, unknown=[{}])),
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
    # URLs of images and names of files, which are neither fetched nor opened
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
    # options
    *(Good({"timeout": value}, {}) for value in (math.inf, 1e300, 30, Number(30), Count(30))),
    Good({"timeout": Timeout(total=None, idle=math.inf, connect=Number(5))}, {}),
    Good({"max_retries": Count(0), "on_unsupported": Text("warn"), "extra_headers": {"x-a": "\tb\xe9 "}}, {}),
]
"""Unusual valid calls."""


GOOD_CALLS = [
    pytest.param(row, entry_point, id=f"{i}-{'-'.join(row.call)}-{entry_point.__name__}")
    for i, row in enumerate(GOOD)
    for entry_point in ((create,) if row.large else (create, stream, send))
]


@module_loop
@pytest.mark.parametrize(("row", "entry_point"), GOOD_CALLS)
async def test_unusual_valid_input_is_sent(
    client: AsyncCompletion, sim: SimulatorServer, row: Good, entry_point: EntryPoint
) -> None:
    """A request that some provider accepts would be refused, or changed."""
    body = await sent_body(client, sim, {"model": row.model, "messages": "Hi.", **row.call}, entry_point)
    for name, value in row.body.items():
        assert same_json(body[name], value), name


FUTURE = {"type": "of_tomorrow", "text": ["x", {"y": None}]}
"""A part of an unknown type with the members of a known one."""


@module_loop
@pytest.mark.parametrize("role", ["user", "system"])
@pytest.mark.parametrize("model", [SIMULATED[name] for name, column in COLUMNS.items() if column.unknown_parts])
async def test_unknown_parts_are_sent_in_every_format(
    client: AsyncCompletion, sim: SimulatorServer, model: str, role: str
) -> None:
    """A part of a future type would be sent as text, or raise an obscure error."""
    messages = [*[{"role": role, "content": [FUTURE]}] * 2, *user("x")]
    body = await sent_body(client, sim, {"model": model, "messages": messages}, create)
    assert json.dumps(body).count(json.dumps(FUTURE)) == 2


async def sent_body(client: AsyncCompletion, sim: SimulatorServer, call: Arguments, entry_point: EntryPoint) -> Any:
    """The body that the simulator received; the status of its response does not matter."""
    sim.requests.clear()
    status: int | None = None
    try:
        await entry_point(client, call)
    except APIError as error:
        status = error.status_code
    assert status in (None, 400, 422)
    (request,) = [each for each in sim.requests if each.method == "POST"]
    return request.body


def same_json(left: Any, right: Any) -> bool:
    """Whether both are equal and have the same JSON: 1 differs from 1.0 and true."""
    return bool(left == right) and json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


@module_loop
async def test_none_equals_an_omitted_argument(client: AsyncCompletion, sim: SimulatorServer) -> None:
    """Code that passes None for unset parameters would be refused, or send nulls."""
    plain = await sent_body(client, sim, {"model": MODEL, "messages": "Hi."}, create)
    nothing = dict.fromkeys([*PARAM_NAMES, *OPTIONS])
    assert await sent_body(client, sim, {"model": MODEL, "messages": "Hi.", **nothing}, create) == plain


# --- warnings -------------------------------------------------------------------------------------------------------

MANY: dict[str, tuple[Mapping[str, Any], str]] = {
    "tools": ({"tools": [each for i in range(129) for each in tool(name=f"f{i}")]}, MODEL),
    "functions": ({"functions": [{"name": f"f{i}"} for i in range(129)]}, MODEL),
    "n": ({"n": 129}, "anthropic/claude-x"),
}


@module_loop
@pytest.mark.parametrize("name", MANY)
async def test_more_than_most_providers_accept_is_sent_with_a_warning(
    client: AsyncCompletion, sim: SimulatorServer, name: str
) -> None:
    """The reason for a provider's refusal, or for a high bill, would be unknown."""
    call, model = MANY[name]
    reply = await create(client, {"model": model, "messages": "Hi.", **call})
    assert [text for text in reply.info.warnings if text.startswith(f"{name}: more than 128")]
    assert len(reply.info.warnings) <= 2
    few = {each: value if isinstance(value, int) else value[:128] for each, value in call.items()}
    if name != "n":
        reply = await create(client, {"model": model, "messages": "Hi.", **few})
        assert not reply.info.warnings


@module_loop
@pytest.mark.parametrize("model", [SIMULATED[name] for name, column in COLUMNS.items() if column.long_tool_names])
async def test_formats_that_allow_longer_names_accept_them(
    client: AsyncCompletion, sim: SimulatorServer, model: str
) -> None:
    """Tools with long names could not be used with providers that accept them."""
    body = await sent_body(client, sim, {"model": model, "messages": "Hi.", "tools": tool(name="f" * 128)}, create)
    assert "f" * 128 in json.dumps(body["tools"])


# --- unknown parameters ---------------------------------------------------------------------------------------------

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

UNKNOWN_PARAMS: dict[str, Any] = {_NAMES[i % len(_NAMES)].format(i): _VALUES[i % len(_VALUES)] for i in range(100)}
"""A hundred unknown parameters."""


@module_loop
@pytest.mark.parametrize("entry_point", [create, stream, send, with_options], ids=lambda each: each.__name__)
@pytest.mark.parametrize("model", [MODEL, *OTHER_MODELS])
async def test_unknown_parameters_are_sent_unchanged(
    client: AsyncCompletion, sim: SimulatorServer, model: str, entry_point: EntryPoint
) -> None:
    """A new parameter of a provider could not be used before a new version of this package."""
    assert len(UNKNOWN_PARAMS) == 100
    body = await sent_body(client, sim, {"model": model, "messages": "Hi.", "extra_body": UNKNOWN_PARAMS}, entry_point)
    # Replicate's parameters belong to its models, in "input".
    found = body["input"] if model.startswith("replicate/") else body
    assert same_json({name: found[name] for name in UNKNOWN_PARAMS}, UNKNOWN_PARAMS)


# --- any Python object ----------------------------------------------------------------------------------------------

MISSING = object()
UNSENT_ALONE = ("tool_choice", "function_call", "stream_options")
"""Parameters without effect if there are no tools, or no stream; they are not sent then."""


def without_nulls(message: Any) -> Any:
    """A message without its nulls and those of its parts and calls; a null content means that there is no text."""
    kept = {name: value for name, value in message.items() if value is not None or name == "content"}
    for name in ("content", "tool_calls"):
        if isinstance(kept.get(name), list):
            kept[name] = [item_without_nulls(item) for item in kept[name]]
    if isinstance(kept.get("function_call"), dict):
        kept["function_call"] = item_without_nulls(kept["function_call"])
    return kept


def item_without_nulls(item: Any) -> Any:
    """A part or a call without nulls, its own and those of the object that is named like its type."""
    if not isinstance(item, dict):
        return item
    kept = {name: value for name, value in item.items() if value is not None}
    kind = kept.get("type")
    if isinstance(kind, str) and isinstance(kept.get(kind), dict):
        kept[kind] = {name: value for name, value in kept[kind].items() if value is not None}
    return kept


def openai_value(name: str, expected: Any) -> Any:
    """The expected JSON value of a parameter as OpenAI's body has it."""
    if name == "messages":
        return user(expected) if isinstance(expected, str) else [without_nulls(message) for message in expected]
    if name in ("tools", "functions") and not expected:
        return None
    if name == "tools":
        return [{"type": "function", **each} if "function" in each else each for each in expected]
    return expected


def check_refused(error: BaseException, name: str) -> None:
    """Checks that a validation error names the parameter and is short."""
    assert isinstance(error, CompletionError)
    if isinstance(error, InvalidRequestError):
        assert (error.param or "").split(".")[0].split("[")[0] == name
        assert len(str(error)) <= 501
    repr(error).encode()


class FuzzedCall(NamedTuple):
    """A call with any object as one argument."""

    name: str
    recipe: Recipe
    model: str
    entry_point: EntryPoint


async def check_call(client: AsyncCompletion, sim: SimulatorServer, call: FuzzedCall) -> None:
    """Checks that the object is refused and nothing sent, or that it is sent as expected."""
    name, recipe, model, entry_point = call
    value, expected = build(recipe)
    sim.requests.clear()
    error: Exception | None = None
    policy = "raise" if model == MODEL else "drop"
    arguments: dict[str, Any] = {"model": model, "messages": "Hi.", "on_unsupported": policy, name: value}
    try:
        await entry_point(client, arguments)
    except (CompletionError, TypeError) as raised:
        error = raised
    if isinstance(error, TypeError):
        assert name == "model", error
        assert issubclass(type(value), (list, tuple)), "only a list as the model is a usage error"
    elif error is not None:
        check_refused(error, name)
    if not any(request.method == "POST" for request in sim.requests):
        assert error is not None
        assert name not in ("metadata", "prediction") or not isinstance(expected, dict), "a valid value was refused"
        return
    assert not isinstance(error, InvalidRequestError | TypeError)
    body = sim.requests[-1].body
    assert json.loads(sim.requests[-1].raw) == body
    if model == MODEL and (name in PARAM_NAMES or name in ("messages", "extra_body")):
        assert expected is not NotJson.REFUSED, "an invalid value was sent"
        check_sent(body, name, expected)


def check_sent(body: Any, name: str, expected: Any) -> None:
    """Checks that the body has the expected value."""
    if expected is None:
        assert name not in body
    elif name == "extra_body":
        assert {each: body.get(each, MISSING) for each in expected} == expected
    elif name not in UNSENT_ALONE and expected is not NotJson.EITHER:
        assert body.get(name) == openai_value(name, expected)


ARGUMENTS = [*sorted({"model", "messages", *PARAM_NAMES, *OPTIONS}), *["metadata", "extra_body"] * 3]
_MODELS_AND_ENTRY_POINTS = (st.sampled_from([MODEL] * 5 + list(OTHER_MODELS)), st.sampled_from([create, stream, send]))
FUZZED_CALLS = st.builds(FuzzedCall, st.sampled_from(ARGUMENTS), recipes(), *_MODELS_AND_ENTRY_POINTS) | st.builds(
    FuzzedCall, st.just("messages"), conversations(), *_MODELS_AND_ENTRY_POINTS
)

_ALLOWED = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example)


def test_any_object_is_refused_or_sent() -> None:
    """Some value would raise an obscure error, or be sent as another value."""
    with asyncio.Runner() as runner:

        async def begin() -> tuple[SimulatorServer, AsyncCompletion]:
            sim = await SimulatorServer().start()
            return sim, AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys, max_retries=0)

        sim, client = runner.run(begin())

        @settings(max_examples=500, derandomize=True, deadline=None, suppress_health_check=_ALLOWED)
        @given(FUZZED_CALLS)
        def check(call: FuzzedCall) -> None:
            try:
                runner.run(check_call(client, sim, call))
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


def encode_body(messages: Any, **params: Any) -> bytes:
    """The encoded body of a call."""
    request = build_request(MODEL, messages, params)
    encoded = encode(request, TARGET, {})
    assert isinstance(encoded, HttpRequest)
    return dumps(encoded.body)


def steps(work: Callable[[], object]) -> int:
    """The number of function calls that `work` makes."""
    count = 0

    def count_call(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(count_call)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


GROWING: dict[str, Callable[[int], object]] = {
    "texts": lambda n: encode_body([{"role": "user", "content": "x"}] * n),
    "records": lambda n: encode_body([UserMessage("x")] * n),
    "parts": lambda n: encode_body(user([{"type": "text", "text": "x"}] * n)),
    "images": lambda n: encode_body(image(f"data:;base64,{'A' * 65_536 * n}")),
    "calls": lambda n: encode_body(
        assistant(tool_calls=[{"id": "c", "function": {"name": "f", "arguments": "{}"}}] * n)
    ),
    "other roles": lambda n: encode_body([{"role": "critic", "content": {"a": [1]}}] * n),
    "tools": lambda n: encode_body(
        "x", tools=[each for i in range(n) for each in tool(name=f"f{i}", parameters=RECURSIVE)]
    ),
    "objects": lambda n: encode_body("x", metadata={str(i): {"a": [i]} for i in range(n)}),
    "stops": lambda n: encode_body("x", stop=["x"] * n),
    "biases": lambda n: encode_body("x", logit_bias=dict.fromkeys(range(n), 1)),
}


@pytest.mark.parametrize("name", GROWING)
def test_work_grows_linearly_with_the_request(name: str) -> None:
    """Validating a long conversation would take minutes: each message would cost more than the one before."""
    work = GROWING[name]
    work(1)  # creates what is cached
    fifty, hundred, two_hundred = (steps(functools.partial(work, n)) for n in (50, 100, 200))
    assert two_hundred - hundred == pytest.approx(2 * (hundred - fifty), rel=0.01)


def peak_of(work: Callable[[], object]) -> int:
    """The peak of bytes that `work` allocates, its result included."""
    encode_body([*user([]), *user("x")], tools=tool(**F))  # loads and creates what is cached
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
def test_a_large_text_is_copied_once_into_the_body(name: str) -> None:
    """A large prompt would take many times its size in memory."""
    messages = LARGE_MESSAGES[name]
    assert peak_of(lambda: build_request(MODEL, messages, {})) < 1_000_000
    assert peak_of(lambda: encode_body(messages)) < 1.6 * len(LARGE)  # a buffer that grows by half its size


def test_many_messages_take_little_memory_beside_their_body() -> None:
    """A long conversation would take many times its size in memory."""
    messages = [{"role": "user", "content": "x" * 500}] * 100_000
    per_message = 500  # a record, a dict, and their references in lists
    assert peak_of(lambda: encode_body(messages)) < 100_000 * (1.6 * 540 + per_message)


@module_loop
async def test_fifty_megabytes_are_sent(client: AsyncCompletion, sim: SimulatorServer) -> None:
    """A large prompt would not be sent completely."""
    sim.reply = "Long."
    body = await sent_body(client, sim, {"model": MODEL, "messages": LARGE}, create)
    sim.reply = None
    assert body["messages"][0]["content"] == LARGE
