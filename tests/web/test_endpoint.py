"""The OpenAI-compatible endpoint: OpenAI's SDK reaches every provider, and callers control wire parameters only."""

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Callable, Collection
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
from support.raw_server import DONE, END, REQUEST, STREAM, RawServer, answer, completion, event
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
TIMEOUT = 10.0


CALLERS: dict[str, bool | set[str]] = {"Bearer all": True, "Bearer some": {"openai/gpt-4o"}, "Bearer none": False}


@pytest.fixture
async def sim() -> AsyncIterator[SimulatorServer]:
    """A running simulator."""
    async with SimulatorServer(reply="one two three") as server:
        yield server


@pytest.fixture
async def client(sim: SimulatorServer) -> AsyncIterator[AsyncCompletion]:
    """A client of the simulator."""
    async with AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys, max_retries=0) as made:
        yield made


async def bearer(request: Request) -> bool | Collection[str] | None:
    """Authorizes two callers."""
    return CALLERS.get(request.headers.get("authorization", ""))


@pytest.fixture
async def url(client: AsyncCompletion) -> AsyncIterator[str]:
    """The base URL of a service with the endpoint mounted."""
    app = FastAPI()
    app.mount("/llm", chat_completions_app(client, authorize=bearer, max_body=10_000, extra_fields=["top_k"]))
    async with asgi_service(app) as served:
        yield f"{served}/llm"


@pytest.fixture
async def sdk(url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    """OpenAI's SDK as a client of the endpoint."""
    async with openai.AsyncOpenAI(base_url=url, api_key="all", max_retries=0) as made:
        yield made


def create_of(sdk: openai.AsyncOpenAI) -> Any:
    """The SDK's method without its types, for parameters that are data."""
    return sdk.chat.completions.create


# --- OpenAI's SDK ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
async def test_openais_sdk_reaches_every_provider(model: str, sdk: openai.AsyncOpenAI) -> None:
    """An application that uses OpenAI's API could not reach this provider."""
    reply = await sdk.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hello!"}])
    assert reply.object == "chat.completion"
    assert (reply.choices[0].message.content, reply.choices[0].finish_reason) == ("one two three", "stop")
    assert reply.usage is not None
    assert reply.usage.total_tokens > 0


@pytest.mark.parametrize("model", MODELS)
async def test_openais_sdk_reads_the_streams_of_every_provider(model: str, sdk: openai.AsyncOpenAI) -> None:
    """A stream could not be parsed, or its usage would be missing although it was requested."""
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
async def test_three_choices_of_a_provider_without_n(streamed: bool, sdk: openai.AsyncOpenAI) -> None:
    """`n` would be refused, or the choices mixed up."""
    arguments: Any = {"model": "anthropic/claude-haiku-4-5", "messages": HELLO, "n": 3}
    if streamed:
        texts = ["", "", ""]
        async for chunk in await create_of(sdk)(**arguments, stream=True):
            for choice in chunk.choices:
                texts[choice.index] += choice.delta.content or ""
    else:
        reply = await create_of(sdk)(**arguments)
        assert [choice.index for choice in reply.choices] == [0, 1, 2]
        texts = [choice.message.content or "" for choice in reply.choices]
    assert texts == ["one two three"] * 3


@pytest.mark.parametrize("model", MODELS[:3])
async def test_tool_calls_and_results_are_converted(model: str, sdk: openai.AsyncOpenAI) -> None:
    """Tools, their calls or their results would be lost."""
    messages: list[Any] = [{"role": "user", "content": "1+1?"}]
    tools: Any = [ADD]
    called = await sdk.chat.completions.create(model=model, messages=messages, tools=tools)
    assert called.choices[0].message.tool_calls is not None
    (call,) = called.choices[0].message.tool_calls
    assert call.type == "function"
    assert (call.function.name, sorted(json.loads(call.function.arguments))) == ("add", ["a", "b"])
    messages += [called.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "2"}]
    reply = await sdk.chat.completions.create(model=model, messages=messages, tools=tools)
    assert reply.choices[0].message.content == "one two three"


async def test_streamed_tool_calls_can_be_assembled(sdk: openai.AsyncOpenAI) -> None:
    """The SDK's own helper could not assemble the pieces."""
    closed = {**ADD["function"]["parameters"], "additionalProperties": False}
    tools: Any = [{"type": "function", "function": {**ADD["function"], "parameters": closed, "strict": True}}]
    async with sdk.chat.completions.stream(
        model="anthropic/claude-haiku-4-5", messages=[{"role": "user", "content": "1+1?"}], tools=tools
    ) as stream:
        final = await stream.get_final_completion()
    assert final.choices[0].message.tool_calls is not None
    (call,) = final.choices[0].message.tool_calls
    assert (call.function.name, sorted(json.loads(call.function.arguments))) == ("add", ["a", "b"])


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_rate_limit_is_a_rate_limit(streamed: bool, sim: SimulatorServer, sdk: openai.AsyncOpenAI) -> None:
    """Callers could not distinguish it from other errors, or would not know how long to wait."""
    sim.fault = Fault.status(429, retry_after=7)
    arguments: Any = {"model": MODELS[1], "messages": HELLO, "stream": streamed}
    with pytest.raises(openai.RateLimitError) as caught:
        await create_of(sdk)(**arguments)
    assert caught.value.response.headers["retry-after"] == "7"
    assert caught.value.code == "rate_limit_exceeded"
    assert "simulated" not in str(caught.value)


async def test_the_sdk_retries_after_a_short_rate_limit(sim: SimulatorServer, url: str) -> None:
    """The SDK's own retries would ignore the provider's `retry-after`."""
    sim.fault = Fault.status(429, retry_after=0.01, times=1)
    async with openai.AsyncOpenAI(base_url=url, api_key="all", max_retries=1) as sdk:
        arguments: Any = {"model": MODELS[0], "messages": HELLO}
        reply = await asyncio.wait_for(create_of(sdk)(**arguments), TIMEOUT)
    assert reply.choices[0].message.content == "one two three"


@pytest.mark.parametrize("fault", ["cut-after-2-events", "reset-after-2-events", "no-finish-reason"])
async def test_a_truncated_upstream_stream_is_an_error(
    fault: str, sim: SimulatorServer, sdk: openai.AsyncOpenAI
) -> None:
    """A truncated reply would look complete."""
    sim.fault = fault
    arguments: Any = {"model": MODELS[0], "messages": HELLO}
    got = ""
    with pytest.raises(openai.APIError, match="cut off"):
        async for chunk in await create_of(sdk)(**arguments, stream=True):
            got += chunk.choices[0].delta.content or ""
    assert got.startswith("one")


async def test_pings_are_not_parsed_as_chunks(sim: SimulatorServer, client: AsyncCompletion) -> None:
    """The SDK would fail on the comments that keep the connection open while the model is silent."""
    sim.latency = 0.2
    app = chat_completions_app(client, authorize=lambda _: True, ping=0.05)
    async with asgi_service(app) as url, openai.AsyncOpenAI(base_url=url, api_key="x") as sdk:
        arguments: Any = {"model": MODELS[0], "messages": HELLO}
        chunks = [chunk async for chunk in await create_of(sdk)(**arguments, stream=True)]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "one two three"


UPSTREAM_ERRORS: dict[str, tuple[type[openai.APIStatusError], int]] = {
    "authentication": (openai.InternalServerError, 502),
    "quota": (openai.InternalServerError, 502),
    "server-error": (openai.InternalServerError, 502),
    "overloaded": (openai.InternalServerError, 503),
    "not-found": (openai.NotFoundError, 404),
    "context-length": (openai.BadRequestError, 400),
}


@pytest.mark.parametrize("fault", UPSTREAM_ERRORS)
async def test_an_upstream_error_has_the_proper_class(
    fault: str, sim: SimulatorServer, sdk: openai.AsyncOpenAI
) -> None:
    """Callers would assume that their own key is wrong, or retry in vain."""
    sim.fault = fault
    arguments: Any = {"model": MODELS[1], "messages": HELLO}
    with pytest.raises(openai.APIStatusError) as caught:
        await create_of(sdk)(**arguments)
    assert (type(caught.value), caught.value.status_code) == UPSTREAM_ERRORS[fault]


async def test_a_permanent_error_is_not_retried(sim: SimulatorServer, url: str) -> None:
    """Every call would be made three times while the service's key is wrong."""
    sim.fault = "authentication"
    async with openai.AsyncOpenAI(base_url=url, api_key="all", max_retries=2) as sdk:
        arguments: Any = {"model": MODELS[0], "messages": HELLO}
        with pytest.raises(openai.InternalServerError):
            await create_of(sdk)(**arguments)
    assert len(sim.requests) == 1


async def test_a_disconnect_of_the_sdk_closes_the_upstream_request(
    sim: SimulatorServer, sdk: openai.AsyncOpenAI
) -> None:
    """Tokens without a reader would be billed."""
    sim.chunk_delay, sim.chunks = 0.05, 1000
    arguments: Any = {"model": MODELS[0], "messages": HELLO}
    async with await create_of(sdk)(**arguments, stream=True) as stream:
        async for _ in stream:
            break
    assert await sim.requests[0].wait_closed(TIMEOUT)
    sim.latency = 30.0
    call = asyncio.create_task(create_of(sdk)(**arguments))
    while len(sim.requests) < 2:
        await asyncio.sleep(0.001)
    call.cancel()
    assert await sim.requests[1].wait_closed(TIMEOUT)
    with pytest.raises((asyncio.CancelledError, httpx2.HTTPError)):
        await call


# --- request bodies --------------------------------------------------------------------------------------------------


async def send(url: str, body: Any, path: str = "/chat/completions", **headers: str) -> tuple[int, dict[str, Any]]:
    """Sends a request; returns the status and the error, or the body without an error."""
    root, _, prefix = url.removeprefix("http://").partition("/")
    named = {"Authorization": "Bearer all"} | {name.replace("_", "-"): value for name, value in headers.items()}
    async with Peer(f"http://{root}", f"{'/' if prefix else ''}{prefix}{path}", body, named) as peer:
        head, received = await peer.whole()
    return head.status, received.get("error", received)


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
    """Callers could use another key, reach hosts of the internal network, or block the service."""
    for name in sorted(OPTIONS.keys() | CallOptions.__annotations__):
        status, error = await send(url, {**GOOD, name: OPTIONS.get(name, "x")})
        assert (status, error["param"], error["code"]) == (400, name, "unknown_parameter")
        assert error["message"] == f"{name}: is the service's to choose"
    assert sim.requests == []


async def test_unknown_fields_are_refused(sim: SimulatorServer, url: str) -> None:
    """Callers could use provider-specific features: webhooks, plugins that cost extra, other servers."""
    for name in ("webhook", "plugins", "custom_id", "_given", "x" * 500, "a\nb"):
        status, error = await send(url, {**GOOD, name: 1})
        assert (status, error["code"]) == (400, "unknown_parameter")
        assert "is not known here" in error["message"]
        assert len(error["message"]) < 200
        assert "\n" not in error["message"]
    assert sim.requests == []


async def test_a_field_that_the_service_allows_is_sent(sim: SimulatorServer, url: str) -> None:
    """Provider-specific fields could not be used at all."""
    body = {"model": "anthropic/claude-haiku-4-5", "messages": HELLO, "top_k": 5, "temperature": 0.5}
    status, _ = await send(url, body)
    assert status == 200
    assert (sim.requests[0].body["top_k"], sim.requests[0].body["temperature"]) == (5, 0.5)


BAD: dict[str, tuple[Any, str | None]] = {
    "not JSON": (b"{", None),
    "not an object": (b"[]", None),
    "NaN": (b'{"model": "openai/gpt-4o", "messages": [], "temperature": NaN}', None),
    "too deep": (b"[" * 9_000, None),
    "deep in a message": (b'{"model": "openai/gpt-4o", "messages": [' + b"[" * 300 + b"]" * 300 + b"]}", None),
    "an option in another case": ({**GOOD, "Base_URL": "x"}, "Base_URL"),
    "a server tool": ({**GOOD, "tools": [{"type": "web_search_9"}]}, "tools[0].type"),
    "too many digits": (b"[" + b"9" * 9_000 + b"]", None),
    "not UTF-8": (b'{"model": "\xff"}', None),
    "UTF-16": (json.dumps(GOOD).encode("utf-16"), None),
    "UTF-32": (json.dumps(GOOD).encode("utf-32"), None),
    "many values in UTF-16": (('{"a": "\\"", "b": [' + "[]," * 1_000 + "0]}").encode("utf-16-le"), None),
    "no model": ({"messages": HELLO}, "model"),
    "a model that is not text": ({"model": 5, "messages": HELLO}, "model"),
    "no messages": ({"model": "openai/gpt-4o"}, "messages"),
    "a text": ({"model": "what is this", "messages": "openai/gpt-4o"}, "messages"),
    "an empty list": ({**GOOD, "messages": []}, "messages"),
    "a wrong message": ({**GOOD, "messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
    "stream": ({**GOOD, "stream": "yes"}, "stream"),
    "temperature": ({**GOOD, "temperature": "hot"}, "temperature"),
    "temperature out of range": ({**GOOD, "temperature": 9}, "temperature"),
    "many choices": ({**GOOD, "model": "anthropic/claude-haiku-4-5", "n": 9}, "n"),
    "very many choices": ({**GOOD, "n": 1e300}, "n"),
    "a fraction of a choice": ({**GOOD, "n": 0.5}, "n"),
    "an error in a streamed request": ({**GOOD, "stream": True, "temperature": "hot"}, "temperature"),
}
"""Invalid bodies and the parameter that the error names."""


async def test_invalid_bodies_are_refused(sim: SimulatorServer, url: str) -> None:
    """Callers would get an internal error, or one that does not name the parameter."""
    seen: dict[str, Any] = {}
    for case, (body, _) in BAD.items():
        status, error = await send(url, body)
        seen[case] = status, error["type"], error["param"]
    assert seen == {case: (400, "invalid_request_error", param) for case, (_, param) in BAD.items()}
    assert sim.requests == []


async def test_unknown_models_are_not_found(url: str) -> None:
    """Callers would see which providers are configured, or get an internal error."""
    for model in ("unknown/model", "gpt", "", " ", "x" * 600):
        status, error = await send(url, {**GOOD, "model": model})
        assert (status, error["code"]) == (404, "model_not_found")
        assert "anthropic" not in error["message"]


async def test_a_large_body_is_refused(sim: SimulatorServer, url: str) -> None:
    """One caller could fill the service's memory."""
    large = {**GOOD, "user": "x" * 10_000}
    assert (await send(url, large))[0] == 413
    chunked = b"5000\r\n" + b" " * 0x5000 + b"\r\n0\r\n\r\n"
    host, prefix = url.removeprefix("http://").split("/")
    reader, writer = await asyncio.open_connection(*host.split(":"))
    head = "Host: x\r\nAuthorization: Bearer all\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked"
    writer.write(f"POST /{prefix}/chat/completions HTTP/1.1\r\n{head}\r\n\r\n".encode() + chunked)
    assert b" 413 " in await reader.readline()
    writer.close()
    assert sim.requests == []


async def test_a_body_of_many_values_is_refused(sim: SimulatorServer, client: AsyncCompletion) -> None:
    """One request could block the event loop for seconds and fill the memory, or a long table in a text be refused."""
    app = chat_completions_app(client, authorize=lambda _: True, max_separators=1000)
    async with asgi_service(app) as url:
        status, error = await send(url, {**GOOD, "metadata": {str(i): "a" for i in range(1000)}})
        assert (status, error["message"]) == (413, "the body's JSON is too large: too many values")
        assert (await send(url, {**GOOD, "messages": [{"role": "user", "content": "1,2\n" * 1000}]}))[0] == 200
    assert len(sim.requests) == 1


ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "X-GZIP": gzip.compress,
    "deflate": zlib.compress,
    "identity": bytes,
}


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_an_encoded_body_is_decoded(encoding: str, sim: SimulatorServer, url: str) -> None:
    """A client that compresses its requests would get an error that does not name the reason."""
    encode = ENCODINGS[encoding]
    status, _ = await send(url, encode(json.dumps(GOOD).encode()), Content_Encoding=encoding)
    assert status == 200
    if encoding != "identity":
        large = encode(json.dumps({**GOOD, "user": "x" * 10_000}).encode())
        assert (await send(url, large, Content_Encoding=encoding))[0] == 413
        assert (await send(url, large[:-9], Content_Encoding=encoding))[0] in (400, 413)
        assert (await send(url, encode(b"{}")[:-9], Content_Encoding=encoding))[0] == 400
        assert (await send(url, GOOD, Content_Encoding=encoding))[0] == 400
    assert len(sim.requests) == 1


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "x"])
async def test_an_unknown_content_encoding_is_refused(encoding: str, url: str) -> None:
    """The error would say that the body is not JSON."""
    status, error = await send(url, b"xx", Content_Encoding=encoding)
    assert (status, error["message"]) == (415, "the content-encoding must be gzip, deflate or identity")


async def test_a_body_that_does_not_arrive_is_refused(sim: SimulatorServer, client: AsyncCompletion) -> None:
    """A caller could hold a connection and its memory for ever by sending a body slowly."""
    app = chat_completions_app(client, authorize=lambda _: True, body_timeout=0.2)
    async with asgi_service(app) as url, Peer(url, "/chat/completions", b"{", {"Content-Length": "99"}) as peer:
        async with asyncio.timeout(TIMEOUT):
            head, body = await peer.whole()
    assert head.status == 408
    assert body["error"]["message"] == "the body did not arrive within 0.2 seconds"


async def test_another_content_type_is_refused(sim: SimulatorServer, url: str) -> None:
    """Any web page could use the service's keys through the browser of a signed-in user."""
    status, _ = await send(url, GOOD, Content_Type="text/plain")
    assert status == 415
    assert (await send(url, GOOD, Content_Type="Application/JSON; charset=utf-8"))[0] == 200


async def test_a_service_without_a_key_names_no_variables(sim: SimulatorServer) -> None:
    """Callers would see the names of the service's environment variables."""
    keyless = AsyncCompletion(base_urls={"openai": sim.base_urls["openai"]})
    async with keyless, asgi_service(chat_completions_app(keyless, authorize=lambda _: True)) as url:
        for stream in (False, True):
            status, error = await send(url, {**GOOD, "model": "openai/m", "stream": stream})
            assert (status, error["code"]) == (500, "internal_error")
            assert "OPENAI" not in json.dumps(error)


COSTS: dict[str, Any] = {
    "prompt_tokens": 1,
    "completion_tokens": 2,
    "total_tokens": 3,
    "cost": 0.5,
    "cost_details": {"upstream_inference_cost": 0.4},
    "is_byok": True,
    "cost_in_usd_ticks": 7,
    "estimated_cost": 0.5,
    "queue_time": 0.1,
    "num_cached_tokens": 1,
    "completion_tokens_details": {"reasoning_tokens": 1},
}
SERVICES = {"x_groq": {"id": "req_1"}, "x_org": "org-1", "total_cost": 0.5, "citations": ["https://x.example"]}


@pytest.mark.parametrize("streamed", [False, True])
async def test_callers_do_not_see_what_the_service_pays(streamed: bool) -> None:
    """Callers would see the prices, accounts and servers of the service's providers, or lose what is theirs."""
    choice: dict[str, Any] = {"index": 0, "finish_reason": "stop"}
    content: dict[str, Any] = {"role": "assistant", "content": "Hi.", "reasoning_content": "Hm.", "cost_of_tea": "low"}
    if streamed:
        sent = (STREAM, event(choices=[{**choice, "delta": content}], usage=COSTS, **SERVICES), DONE + END)
    else:
        sent = (answer({**completion(), "choices": [{**choice, "message": content}], "usage": COSTS, **SERVICES}),)
    async with (
        RawServer((REQUEST, *sent)) as server,
        AsyncCompletion(base_urls={"openai": server.url}, api_keys={"openai": "k"}) as client,
        asgi_service(chat_completions_app(client, authorize=lambda _: True)) as url,
        httpx2.AsyncClient() as http,
    ):
        body = {**GOOD, "model": "openai/m", "stream": streamed, "stream_options": {"include_usage": True}}
        response = await http.post(f"{url}/chat/completions", json=body if streamed else {**GOOD, "model": "openai/m"})
    assert response.status_code == 200
    (found,) = [json.loads(each) for each in events(response.content)[:-1]] if streamed else [response.json()]
    counts = ("prompt_tokens", "completion_tokens", "total_tokens", "num_cached_tokens", "completion_tokens_details")
    assert found["usage"] == {name: COSTS[name] for name in counts}
    assert not any(name.startswith("x_") or "cost" in name for name in found)
    assert found["citations"] == SERVICES["citations"]
    message = found["choices"][0]["delta" if streamed else "message"]
    assert {name: message[name] for name in content} == content


async def test_a_reply_with_numbers_that_json_lacks_is_passed_on() -> None:
    """A reply that was paid for would be an internal error, because a server reports a score as NaN."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}
    body = {**completion(), "choices": [{**choice, "score": float("nan"), "limit": float("inf")}]}
    async with (
        RawServer((REQUEST, answer(json.dumps(body).encode()))) as server,
        AsyncCompletion(base_urls={"openai": server.url}, api_keys={"openai": "k"}) as client,
        asgi_service(chat_completions_app(client, authorize=lambda _: True)) as url,
    ):
        status, reply = await send(url, {**GOOD, "model": "openai/m"})
    assert (status, reply["choices"][0]["message"]["content"]) == (200, "Hi.")
    assert (reply["choices"][0]["score"], reply["choices"][0]["limit"]) == (None, None)


# --- authorization ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["", "Bearer none", "Bearer unknown"])
async def test_unauthorized_requests_are_refused(key: str, sim: SimulatorServer, url: str) -> None:
    """Any caller could use the service's keys."""
    for body, path in ((GOOD, "/chat/completions"), (b"{", "/chat/completions"), (None, "/models")):
        status, error = await send(url, body, path, Authorization=key)
        assert (status, error["code"]) == (401, "invalid_api_key")
    assert sim.requests == []


async def test_only_authorized_models_are_allowed(sim: SimulatorServer, url: str) -> None:
    """A caller could use models that cost more than it may spend."""
    assert (await send(url, GOOD, Authorization="Bearer some"))[0] == 200
    for model in ("openai/gpt-4o-mini", "gpt-4o", "anthropic/claude-haiku-4-5", "OpenAI/gpt-4o"):
        status, error = await send(url, {**GOOD, "model": model}, Authorization="Bearer some")
        assert (status, error["code"]) == (404, "model_not_found")
    assert len(sim.requests) == 1


async def test_authorized_models_are_listed(url: str) -> None:
    """A caller could not list the models it may use."""
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="some") as sdk:
        assert [model.id async for model in sdk.models.list()] == ["openai/gpt-4o"]
    async with openai.AsyncOpenAI(base_url=url, api_key="all") as sdk:
        assert [model.id async for model in sdk.models.list()] == []


async def test_an_sdk_can_use_the_app_in_the_same_process(client: AsyncCompletion) -> None:
    """Code that moves over from OpenAI's SDK would need a server of its own first."""
    app = chat_completions_app(client, authorize=bearer)
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app))
    async with openai.AsyncOpenAI(base_url="http://app", api_key="all", http_client=http) as sdk:
        messages: list[Any] = [{"role": "user", "content": "Hi"}]
        reply = await sdk.chat.completions.create(model="anthropic/claude-haiku-4-5", messages=messages)
        assert reply.choices[0].message.content == "one two three"
        chunks = await sdk.chat.completions.create(model="cohere/command-a", messages=messages, stream=True)
        assert "".join([chunk.choices[0].delta.content or "" async for chunk in chunks]) == "one two three"


async def test_one_model_can_be_looked_up(url: str) -> None:
    """SDKs and tools that look up their model would report that it does not exist."""
    for path in ("", "/v1"):
        async with openai.AsyncOpenAI(base_url=url + path, api_key="some", max_retries=0) as sdk:
            model = await sdk.models.retrieve("openai/gpt-4o")
            assert (model.owned_by, model.created > 1_700_000_000) == ("openai", True), "clients show the date"
            with pytest.raises(openai.NotFoundError) as caught:
                await sdk.models.retrieve("openai/o3")
            assert caught.value.code == "model_not_found"
    assert (await send(url, None, "/models/openai/gpt-4o/", Authorization="Bearer all"))[1]["id"] == "openai/gpt-4o"
    assert (await send(url, None, "/models/openai/gpt-4o", Authorization="Bearer none"))[0] == 401


async def test_the_service_names_the_models_that_true_means(sim: SimulatorServer, client: AsyncCompletion) -> None:
    """A caller with full access could use any server that the service reaches, or list nothing."""
    app = chat_completions_app(client, authorize=bearer, models=["openai/gpt-4o", "cohere/command-a"])
    async with asgi_service(app) as url:
        listed = await send(url, None, "/models")
        assert [model["id"] for model in listed[1]["data"]] == ["cohere/command-a", "openai/gpt-4o"]
        assert (await send(url, {**GOOD, "model": "openai/o3"}))[0] == 404
        assert (await send(url, GOOD))[0] == 200
        assert (await send(url, {**GOOD, "model": "cohere/command-a"}, Authorization="Bearer some"))[0] == 404
    with pytest.raises(TypeError, match="models must be a collection"):
        chat_completions_app(client, authorize=bearer, models="openai/gpt-4o")
    assert len(sim.requests) == 1


@pytest.mark.parametrize("path", ["/chat/completions/", "/v1/chat/completions/"])
async def test_a_trailing_slash_is_served(path: str, url: str) -> None:
    """A redirect would name the scheme and host of the connection: behind a proxy keys would be sent unencrypted."""
    assert (await send(url, GOOD, path))[0] == 200
    assert (await send(url, None, "/models/"))[0] == 200
    status, error = await send(url, GOOD, "/chat/completions/x/")
    assert (status, "serves POST /chat/completions" in error["message"]) == (404, True)


async def test_every_answer_has_a_request_id(sim: SimulatorServer, client: AsyncCompletion, caplog: Any) -> None:
    """An error that a caller reports could not be found in the service's log."""

    def authorize(request: Request) -> bool:
        if request.state.request_id == "broken":
            raise LookupError
        return True

    async def ids(path: str, body: Any, *given: str) -> tuple[int, list[str]]:
        found: list[str] = []
        for each in given:
            async with Peer(url, path, body, {"X-Request-ID": each}) as peer:
                head = await peer.head()
            found.append(head.headers["x-request-id"])
        return head.status, found

    streamed = {**GOOD, "stream": True}
    async with asgi_service(chat_completions_app(client, authorize=authorize)) as url:
        for path, body, status in (
            ("/chat/completions", GOOD, 200),
            ("/chat/completions", streamed, 200),
            ("/models", None, 200),
            ("/chat/completions", b"{", 400),
            ("/nothing", GOOD, 404),
        ):
            found = await ids(path, body, "abc-1", "", "a b", "x" * 200)
            assert found[0] == status
            assert found[1][0] == "abc-1"
            assert all(each.startswith("req_") for each in found[1][1:])
            assert len(set(found[1])) == 4
        assert await ids("/models", None, "broken") == (500, ["broken"])
        sim.fault = "overloaded"
        for body in (GOOD, streamed):
            await ids("/chat/completions", body, "id-of-the-failure")
    records = [record for record in caplog.records if getattr(record, "ac_event", "") == "relayed_error"]
    assert [record.ac_relay_id for record in records] == ["id-of-the-failure"] * 2


async def test_refusals_tell_nothing_of_the_services_configuration(url: str) -> None:
    """Callers would read about options and settings that only the service has."""
    for stream in (False, True):
        body = {**GOOD, "model": "openrouter/a/b", "thinking": {"type": "enabled"}, "stream": stream}
        status, error = await send(url, body)
        assert (status, error["code"], error["param"]) == (400, "unsupported_parameter", "thinking")
        assert error["message"] == "thinking: the model does not take this"


@pytest.mark.parametrize("result", ["openai/gpt-4o", b"x", 1, object()])
async def test_an_invalid_result_of_authorize_refuses_the_request(
    result: Any, sim: SimulatorServer, client: AsyncCompletion
) -> None:
    """A mistake in `authorize` would allow every caller."""
    async with asgi_service(chat_completions_app(client, authorize=lambda _: result)) as url:
        assert (await send(url, GOOD))[0] == 500
    assert sim.requests == []


async def test_exceptions_of_authorize_refuse_the_request(sim: SimulatorServer, client: AsyncCompletion) -> None:
    """A failure of the service's own check would allow every caller, or show internals."""

    def authorize(request: Request) -> bool:
        if "x-late" in request.headers:
            raise HTTPException(403, "not after six", {"X-Opens": "9"})
        raise LookupError("internals")

    async with asgi_service(chat_completions_app(client, authorize=authorize)) as url:
        status, error = await send(url, GOOD)
        assert (status, error["code"]) == (500, "internal_error")
        assert "internals" not in json.dumps(error)
        status, error = await send(url, GOOD, X_Late="yes")
        assert (status, error["message"]) == (403, "not after six")
    assert sim.requests == []


def test_authorize_is_required(client: AsyncCompletion) -> None:
    """An endpoint without authorization would be mounted by mistake."""
    make: Any = chat_completions_app
    for wrong in ({}, {"authorize": None}, {"authorize": True}):
        with pytest.raises(TypeError, match="authorize= is required: the endpoint spends your keys"):
            make(client, **wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_body": 0},
        {"max_separators": 0},
        {"max_n": 0},
        {"max_tokens": 0},
        {"ping": 0},
        {"write_timeout": -1},
        {"body_timeout": 0},
        {"extra_fields": ["top_k", "temperature"]},
        {"extra_fields": "top_k"},
    ],
    ids=repr,
)
def test_invalid_arguments_of_the_endpoint_are_refused(wrong: dict[str, Any], client: AsyncCompletion) -> None:
    """A mistake would be noticed at the first request only."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        chat_completions_app(client, authorize=lambda _: True, **wrong)


@pytest.mark.parametrize(("path", "status"), [("/nothing", 404), ("/v1", 404), ("/models", 405)])
async def test_unknown_paths_and_methods_have_openais_error_format(path: str, status: int, url: str) -> None:
    """An SDK could not parse the error."""
    found, error = await send(url, GOOD, path)
    assert (found, error["type"]) == (status, "invalid_request_error")


async def test_an_exception_of_a_middleware_shows_no_internals(sim: SimulatorServer) -> None:
    """Internals would be visible to external callers."""

    async def broken(request: ChatRequest, options: Any, call_next: Any) -> Any:
        raise LookupError("internals")

    client = AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys, middleware=[broken])
    async with client, asgi_service(chat_completions_app(client, authorize=lambda _: True)) as url:
        for stream in (False, True):
            status, error = await send(url, {**GOOD, "stream": stream})
            assert (status, error["code"]) == (500, "internal_error")
            assert "internals" not in json.dumps(error)


async def test_the_endpoint_works_at_any_path(client: AsyncCompletion) -> None:
    """It would work only where it is mounted in the documentation."""
    inner = chat_completions_app(client, authorize=lambda _: True)
    assert type(inner) is Starlette
    for path in ("", "/v1"):
        async with asgi_service(inner) as url, Peer(url, f"{path}/chat/completions", {**GOOD, "stream": True}) as peer:
            assert (await peer.head()).status == 200
            assert events(await peer.rest())[-1] == "[DONE]"
