"""The OpenAI-compatible endpoint: OpenAI's SDK reaches every provider, and nobody gets at more than the wire fields."""

import asyncio
import json
from collections.abc import AsyncIterator, Collection
from typing import Any

import httpx2
import openai
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request

from anycompletion import AsyncCompletion, CallOptions, ChatRequest
from anycompletion.testing import Fault, SimulatorServer
from anycompletion.web import chat_completions_app
from support.services import Peer, asgi_service, events

MODELS = [
    "openai/gpt-4o",
    "anthropic/claude-haiku-4-5",
    "cohere/command-a-03-2025",
    "replicate/meta/meta-llama-3-8b-instruct",
    "openrouter/openai/gpt-4o",
    "azure/my-deployment",
]
HELLO = [{"role": "user", "content": "Hello!"}]
ADD: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "add",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "required": ["a", "b"],
        },
    },
}
PATIENCE = 10.0


CALLERS: dict[str, bool | set[str]] = {"Bearer all": True, "Bearer some": {"openai/gpt-4o"}, "Bearer none": False}


@pytest.fixture
async def sim() -> AsyncIterator[SimulatorServer]:
    """A running simulator."""
    async with SimulatorServer(reply="one two three") as server:
        yield server


@pytest.fixture
async def client(sim: SimulatorServer) -> AsyncIterator[AsyncCompletion]:
    """A client of the simulator's."""
    async with AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys, max_retries=0) as made:
        yield made


async def bearer(request: Request) -> bool | Collection[str] | None:
    """Lets two callers in."""
    return CALLERS.get(request.headers.get("authorization", ""))


@pytest.fixture
async def url(client: AsyncCompletion) -> AsyncIterator[str]:
    """A service that has the endpoint mounted."""
    app = FastAPI()
    app.mount("/llm", chat_completions_app(client, authorize=bearer, max_body=10_000, extra_fields=["top_k"]))
    async with asgi_service(app) as served:
        yield f"{served}/llm"


@pytest.fixture
async def sdk(url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    """OpenAI's own SDK, pointed at the endpoint."""
    async with openai.AsyncOpenAI(base_url=url, api_key="all", max_retries=0) as made:
        yield made


def creates(sdk: openai.AsyncOpenAI) -> Any:
    """The SDK's call, for parameters that are data."""
    return sdk.chat.completions.create


# --- OpenAI's SDK ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
async def test_openais_sdk_reaches_every_provider(model: str, sdk: openai.AsyncOpenAI) -> None:
    """An application that speaks OpenAI's protocol could not ask this provider."""
    reply = await sdk.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hello!"}])
    assert reply.object == "chat.completion"
    assert (reply.choices[0].message.content, reply.choices[0].finish_reason) == ("one two three", "stop")
    assert reply.usage is not None
    assert reply.usage.total_tokens > 0


@pytest.mark.parametrize("model", MODELS)
async def test_openais_sdk_reads_the_streams_of_every_provider(model: str, sdk: openai.AsyncOpenAI) -> None:
    """A stream would be unreadable, or its usage missing although it was asked for."""
    stream = await sdk.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": "Hello!"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == "one two three"
    assert chunks[-1].usage is not None


@pytest.mark.parametrize("streamed", [False, True])
async def test_three_choices_of_a_provider_that_gives_one(streamed: bool, sdk: openai.AsyncOpenAI) -> None:
    """`n` would be refused, or the choices be mixed up."""
    asked: Any = {"model": "anthropic/claude-haiku-4-5", "messages": HELLO, "n": 3}
    if streamed:
        texts = ["", "", ""]
        async for chunk in await creates(sdk)(**asked, stream=True):
            for choice in chunk.choices:
                texts[choice.index] += choice.delta.content or ""
    else:
        reply = await creates(sdk)(**asked)
        assert [choice.index for choice in reply.choices] == [0, 1, 2]
        texts = [choice.message.content or "" for choice in reply.choices]
    assert texts == ["one two three"] * 3


@pytest.mark.parametrize("model", MODELS[:3])
async def test_tools_are_called_and_answered(model: str, sdk: openai.AsyncOpenAI) -> None:
    """Tools would be lost on the way there or back."""
    messages: list[Any] = [{"role": "user", "content": "1+1?"}]
    tools: Any = [ADD]
    called = await sdk.chat.completions.create(model=model, messages=messages, tools=tools)
    assert called.choices[0].message.tool_calls is not None
    (call,) = called.choices[0].message.tool_calls
    assert call.type == "function"
    assert (call.function.name, sorted(json.loads(call.function.arguments))) == ("add", ["a", "b"])
    messages += [called.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "2"}]
    told = await sdk.chat.completions.create(model=model, messages=messages, tools=tools)
    assert told.choices[0].message.content == "one two three"


async def test_streamed_tool_calls_add_up(sdk: openai.AsyncOpenAI) -> None:
    """The SDK's own helper could not put the pieces together."""
    tools: Any = [{"type": "function", "function": {**ADD["function"], "strict": True}}]
    async with sdk.chat.completions.stream(
        model="anthropic/claude-haiku-4-5", messages=[{"role": "user", "content": "1+1?"}], tools=tools
    ) as stream:
        whole = await stream.get_final_completion()
    assert whole.choices[0].message.tool_calls is not None
    (call,) = whole.choices[0].message.tool_calls
    assert (call.function.name, sorted(json.loads(call.function.arguments))) == ("add", ["a", "b"])


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_rate_limit_is_a_rate_limit(streamed: bool, sim: SimulatorServer, sdk: openai.AsyncOpenAI) -> None:
    """Callers could not tell it from other errors, or would not know how long to wait."""
    sim.fault = Fault.status(429, retry_after=7)
    asked: Any = {"model": MODELS[1], "messages": HELLO, "stream": streamed}
    with pytest.raises(openai.RateLimitError) as caught:
        await creates(sdk)(**asked)
    assert caught.value.response.headers["retry-after"] == "7"
    assert caught.value.code == "rate_limit_exceeded"
    assert "simulated" not in str(caught.value)


async def test_a_short_rate_limit_is_waited_for(sim: SimulatorServer, url: str) -> None:
    """The SDK's own retries would not heed what the provider asked for."""
    sim.fault = Fault.status(429, retry_after=0.01, times=1)
    async with openai.AsyncOpenAI(base_url=url, api_key="all", max_retries=1) as sdk:
        asked: Any = {"model": MODELS[0], "messages": HELLO}
        reply = await asyncio.wait_for(creates(sdk)(**asked), PATIENCE)
    assert reply.choices[0].message.content == "one two three"


@pytest.mark.parametrize("fault", ["cut-after-2-events", "reset-after-2-events", "no-finish-reason"])
async def test_a_cut_upstream_is_an_error(fault: str, sim: SimulatorServer, sdk: openai.AsyncOpenAI) -> None:
    """A cut answer would look like a whole one."""
    sim.fault = fault
    asked: Any = {"model": MODELS[0], "messages": HELLO}
    got = ""
    with pytest.raises(openai.APIError, match="cut off"):
        async for chunk in await creates(sdk)(**asked, stream=True):
            got += chunk.choices[0].delta.content or ""
    assert got.startswith("one")


async def test_pings_are_no_chunks(sim: SimulatorServer, client: AsyncCompletion) -> None:
    """The SDK would choke on what keeps proxies awake while the model thinks."""
    sim.latency = 0.2
    app = chat_completions_app(client, authorize=lambda _: True, ping=0.05)
    async with asgi_service(app) as url, openai.AsyncOpenAI(base_url=url, api_key="x") as sdk:
        asked: Any = {"model": MODELS[0], "messages": HELLO}
        chunks = [chunk async for chunk in await creates(sdk)(**asked, stream=True)]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "one two three"


REFUSED: dict[str, tuple[type[openai.APIStatusError], int]] = {
    "authentication": (openai.InternalServerError, 502),
    "quota": (openai.InternalServerError, 502),
    "server-error": (openai.InternalServerError, 502),
    "overloaded": (openai.InternalServerError, 503),
    "not-found": (openai.NotFoundError, 404),
    "context-length": (openai.BadRequestError, 400),
}


@pytest.mark.parametrize("fault", REFUSED)
async def test_a_refusal_of_the_providers_has_its_class(
    fault: str, sim: SimulatorServer, sdk: openai.AsyncOpenAI
) -> None:
    """Callers would think that their own key is wrong, or retry in vain."""
    sim.fault = fault
    asked: Any = {"model": MODELS[1], "messages": HELLO}
    with pytest.raises(openai.APIStatusError) as caught:
        await creates(sdk)(**asked)
    assert (type(caught.value), caught.value.status_code) == REFUSED[fault]


async def test_a_refused_service_is_not_asked_again(sim: SimulatorServer, url: str) -> None:
    """Every call would be made three times while the service's key is wrong."""
    sim.fault = "authentication"
    async with openai.AsyncOpenAI(base_url=url, api_key="all", max_retries=2) as sdk:
        asked: Any = {"model": MODELS[0], "messages": HELLO}
        with pytest.raises(openai.InternalServerError):
            await creates(sdk)(**asked)
    assert len(sim.requests) == 1


async def test_when_the_sdk_leaves_the_provider_stops(sim: SimulatorServer, sdk: openai.AsyncOpenAI) -> None:
    """Tokens that nobody reads would be paid for."""
    sim.chunk_delay, sim.chunks = 0.05, 1000
    asked: Any = {"model": MODELS[0], "messages": HELLO}
    async with await creates(sdk)(**asked, stream=True) as stream:
        async for _ in stream:
            break
    assert await sim.requests[0].wait_closed(PATIENCE)
    sim.latency = 30.0
    call = asyncio.create_task(creates(sdk)(**asked))
    while len(sim.requests) < 2:
        await asyncio.sleep(0.001)
    call.cancel()
    assert await sim.requests[1].wait_closed(PATIENCE)
    with pytest.raises((asyncio.CancelledError, httpx2.HTTPError)):
        await call


# --- what a body may say ---------------------------------------------------------------------------------------------


async def ask(url: str, body: Any, path: str = "/chat/completions", **headers: str) -> tuple[int, dict[str, Any]]:
    """Status and error of a request that is refused."""
    root, _, prefix = url.removeprefix("http://").partition("/")
    named = {"Authorization": "Bearer all"} | {name.replace("_", "-"): value for name, value in headers.items()}
    async with Peer(f"http://{root}", f"{'/' if prefix else ''}{prefix}{path}", body, named) as peer:
        head, said = await peer.whole()
    return head.status, said.get("error", said)


GOOD: dict[str, Any] = {"model": "openai/gpt-4o", "messages": HELLO}

OPTIONS: dict[str, Any] = {
    "api_key": "sk-mine",
    "base_url": "http://169.254.169.254/",
    "extra_headers": {"x-simulate": "quota"},
    "extra_body": {"user": "x"},
    "extra_query": {"a": "b"},
    "timeout": 1,
    "max_retries": 9,
    "provider": "anthropic",
    "organization": "org-1",
    "azure": True,
    "verbose": True,
    "forceTimeout": 1,
}


async def test_options_of_the_call_are_refused(sim: SimulatorServer, url: str) -> None:
    """Callers could spend another key, reach other hosts from inside, or hold a service up."""
    for name in sorted(OPTIONS.keys() | CallOptions.__annotations__):
        status, error = await ask(url, {**GOOD, name: OPTIONS.get(name, "x")})
        assert (status, error["param"], error["code"]) == (400, name, "unknown_parameter")
        assert error["message"] == f"{name}: is the service's to choose"
    assert sim.requests == []


async def test_unknown_fields_are_refused(sim: SimulatorServer, url: str) -> None:
    """Callers could use what only a provider has: webhooks, plugins that cost extra, other servers."""
    for name in ("webhook", "plugins", "custom_id", "_given", "x" * 500, "a\nb"):
        status, error = await ask(url, {**GOOD, name: 1})
        assert (status, error["code"]) == (400, "unknown_parameter")
        assert "is not known here" in error["message"]
        assert len(error["message"]) < 200
        assert "\n" not in error["message"]
    assert sim.requests == []


async def test_a_field_that_the_service_allows_is_sent(sim: SimulatorServer, url: str) -> None:
    """What only one provider has could not be used at all."""
    body = {"model": "anthropic/claude-haiku-4-5", "messages": HELLO, "top_k": 5, "temperature": 0.5}
    status, _ = await ask(url, body)
    assert status == 200
    assert (sim.requests[0].body["top_k"], sim.requests[0].body["temperature"]) == (5, 0.5)


BAD: dict[str, tuple[Any, str | None]] = {
    "no JSON": (b"{", None),
    "no object": (b"[]", None),
    "NaN": (b'{"model": "openai/gpt-4o", "messages": [], "temperature": NaN}', None),
    "too deep": (b"[" * 9_000, None),
    "too many digits": (b"[" + b"9" * 9_000 + b"]", None),
    "no UTF-8": (b'{"model": "\xff"}', None),
    "no model": ({"messages": HELLO}, "model"),
    "a model that is none": ({"model": 5, "messages": HELLO}, "model"),
    "no messages": ({"model": "openai/gpt-4o"}, "messages"),
    "a text": ({"model": "what is this", "messages": "openai/gpt-4o"}, "messages"),
    "an empty list": ({**GOOD, "messages": []}, "messages"),
    "a wrong message": ({**GOOD, "messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
    "stream": ({**GOOD, "stream": "yes"}, "stream"),
    "temperature": ({**GOOD, "temperature": "hot"}, "temperature"),
    "too hot": ({**GOOD, "temperature": 9}, "temperature"),
    "many choices": ({**GOOD, "model": "anthropic/claude-haiku-4-5", "n": 9}, "n"),
    "very many choices": ({**GOOD, "n": 1e300}, "n"),
    "half a choice": ({**GOOD, "n": 0.5}, "n"),
    "options of no stream": ({**GOOD, "stream_options": {"include_usage": True}}, "stream_options"),
    "a streamed mistake": ({**GOOD, "stream": True, "temperature": "hot"}, "temperature"),
}
"""Bodies that mean nothing, and the parameter at fault."""


async def test_bodies_that_mean_nothing_are_refused(sim: SimulatorServer, url: str) -> None:
    """Callers would get a crash for an answer, or not be told what to mend."""
    seen: dict[str, Any] = {}
    for case, (body, _) in BAD.items():
        status, error = await ask(url, body)
        seen[case] = status, error["type"], error["param"]
    assert seen == {case: (400, "invalid_request_error", param) for case, (_, param) in BAD.items()}
    assert sim.requests == []


async def test_unknown_models_are_not_found(url: str) -> None:
    """Callers would be told which providers there are, or get a crash for an answer."""
    for model in ("nobody/knows", "gpt", "", " ", "x" * 600):
        status, error = await ask(url, {**GOOD, "model": model})
        assert (status, error["code"]) == (404, "model_not_found")
        assert "anthropic" not in error["message"]


async def test_a_large_body_is_refused(sim: SimulatorServer, url: str) -> None:
    """One caller could fill the service's memory."""
    large = {**GOOD, "user": "x" * 10_000}
    assert (await ask(url, large))[0] == 413
    chunked = b"5000\r\n" + b" " * 0x5000 + b"\r\n0\r\n\r\n"
    host, prefix = url.removeprefix("http://").split("/")
    reader, writer = await asyncio.open_connection(*host.split(":"))
    head = "Host: x\r\nAuthorization: Bearer all\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked"
    writer.write(f"POST /{prefix}/chat/completions HTTP/1.1\r\n{head}\r\n\r\n".encode() + chunked)
    assert b" 413 " in await reader.readline()
    writer.close()
    assert sim.requests == []


async def test_another_content_type_is_refused(sim: SimulatorServer, url: str) -> None:
    """Any web page could spend the service's keys through the browser of someone who is signed in."""
    status, _ = await ask(url, GOOD, Content_Type="text/plain")
    assert status == 415
    assert (await ask(url, GOOD, Content_Type="Application/JSON; charset=utf-8"))[0] == 200


async def test_a_service_without_a_key_names_no_variables(sim: SimulatorServer) -> None:
    """Callers would learn the names of the service's environment variables."""
    keyless = AsyncCompletion(base_urls={"openai": sim.base_urls["openai"]})
    async with keyless, asgi_service(chat_completions_app(keyless, authorize=lambda _: True)) as url:
        for stream in (False, True):
            status, error = await ask(url, {**GOOD, "model": "openai/m", "stream": stream})
            assert (status, error["code"]) == (500, "internal_error")
            assert "OPENAI" not in json.dumps(error)


# --- who may ask -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["", "Bearer none", "Bearer unknown"])
async def test_who_is_not_let_in_gets_nothing(key: str, sim: SimulatorServer, url: str) -> None:
    """Everybody could spend the service's keys."""
    for body, path in ((GOOD, "/chat/completions"), (b"{", "/chat/completions"), (None, "/models")):
        status, error = await ask(url, body, path, Authorization=key)
        assert (status, error["code"]) == (401, "invalid_api_key")
    assert sim.requests == []


async def test_only_the_models_that_were_named(sim: SimulatorServer, url: str) -> None:
    """A caller could ask for models that cost more than it may spend."""
    assert (await ask(url, GOOD, Authorization="Bearer some"))[0] == 200
    for model in ("openai/gpt-4o-mini", "gpt-4o", "anthropic/claude-haiku-4-5", "OpenAI/gpt-4o"):
        status, error = await ask(url, {**GOOD, "model": model}, Authorization="Bearer some")
        assert (status, error["code"]) == (404, "model_not_found")
    assert len(sim.requests) == 1


async def test_models_are_listed_as_they_were_named(url: str) -> None:
    """A caller could not find out what it may ask for."""
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="some") as sdk:
        assert [model.id async for model in sdk.models.list()] == ["openai/gpt-4o"]
    async with openai.AsyncOpenAI(base_url=url, api_key="all") as sdk:
        assert [model.id async for model in sdk.models.list()] == []


@pytest.mark.parametrize("said", ["openai/gpt-4o", b"x", 1, object()], ids=repr)
async def test_an_answer_that_means_nothing_lets_nobody_in(
    said: Any, sim: SimulatorServer, client: AsyncCompletion
) -> None:
    """A slip in `authorize` would open the door."""
    async with asgi_service(chat_completions_app(client, authorize=lambda _: said)) as url:
        assert (await ask(url, GOOD))[0] == 500
    assert sim.requests == []


async def test_what_authorize_raises_is_not_swallowed(sim: SimulatorServer, client: AsyncCompletion) -> None:
    """A failure of the service's own check would open the door, or show internals."""

    def authorize(request: Request) -> bool:
        if "x-late" in request.headers:
            raise HTTPException(403, "not after six", {"X-Opens": "9"})
        raise LookupError("internals")

    async with asgi_service(chat_completions_app(client, authorize=authorize)) as url:
        status, error = await ask(url, GOOD)
        assert (status, error["code"]) == (500, "internal_error")
        assert "internals" not in json.dumps(error)
        status, error = await ask(url, GOOD, X_Late="yes")
        assert (status, error["message"]) == (403, "not after six")
    assert sim.requests == []


def test_without_authorize_there_is_no_endpoint(client: AsyncCompletion) -> None:
    """Someone would mount an open door without noticing."""
    make: Any = chat_completions_app
    for wrong in ({}, {"authorize": None}, {"authorize": True}):
        with pytest.raises(TypeError, match="authorize= is required: the endpoint spends your keys"):
            make(client, **wrong)


@pytest.mark.parametrize(
    "wrong", [{"max_body": 0}, {"max_n": 0}, {"ping": 0}, {"extra_fields": ["top_k", "temperature"]}], ids=repr
)
def test_an_endpoint_that_cannot_be_meant_is_refused(wrong: dict[str, Any], client: AsyncCompletion) -> None:
    """A slip would show with the first caller only."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        chat_completions_app(client, authorize=lambda _: True, **wrong)


@pytest.mark.parametrize(("path", "status"), [("/nothing", 404), ("/v1", 404), ("/models", 405)])
async def test_what_is_not_there_is_told_in_openais_form(path: str, status: int, url: str) -> None:
    """An SDK could not read it."""
    found, error = await ask(url, GOOD, path)
    assert (found, error["type"]) == (status, "invalid_request_error")


async def test_a_faulty_middleware_of_the_client_shows_nothing(sim: SimulatorServer) -> None:
    """Internals would go out to strangers."""

    async def broken(request: ChatRequest, options: Any, call_next: Any) -> Any:
        raise LookupError("internals")

    client = AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys, middleware=[broken])
    async with client, asgi_service(chat_completions_app(client, authorize=lambda _: True)) as url:
        for stream in (False, True):
            status, error = await ask(url, {**GOOD, "stream": stream})
            assert (status, error["code"]) == (500, "internal_error")
            assert "internals" not in json.dumps(error)


async def test_it_mounts_anywhere(client: AsyncCompletion) -> None:
    """It would only work at the place it was written for."""
    inner = chat_completions_app(client, authorize=lambda _: True)
    assert type(inner) is Starlette
    for path in ("", "/v1"):
        async with asgi_service(inner) as url, Peer(url, f"{path}/chat/completions", {**GOOD, "stream": True}) as peer:
            assert (await peer.head()).status == 200
            assert events(await peer.rest())[-1] == "[DONE]"
