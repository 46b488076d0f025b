"""Cases of the tests of secrets: kinds of errors, ways to pass keys, and inputs that contain prompts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from anycompletion import (
    APIConnectionError,
    APIResponseError,
    APITimeoutError,
    AsyncCompletion,
    AuthenticationError,
    AWSCredentials,
    BadRequestError,
    ClientClosedError,
    CompletionError,
    CompletionStream,
    ConfigurationError,
    InternalServerError,
    InvalidRequestError,
    Provider,
    QuotaExceededError,
    RateLimitError,
    ReplyRefusedError,
    ReplyTruncatedError,
    ReplyValidationError,
    Result,
    Secret,
    StreamInterruptedError,
    Timeout,
    UnsupportedParameterError,
    UserMessage,
)
from anycompletion.auth import Auth
from anycompletion.client.client import client_state
from support.aws_signatures import SIGNED
from support.raw_server import END, REQUEST, RESET, STALL, STREAM, RawServer, Step, answer, event, head, piece

KEY = "sk-Zq7marked-0123456789abcdefghij/KLMNOP+9tail"
PROMPT = "marked-prompt-5531 which only the provider may read"
MODELS = {"openai": "openai/gpt-4o", "anthropic": "anthropic/claude-haiku-4-5"}

Use = Callable[[AsyncCompletion], Awaitable[object]]
"""Use of a client. None of these is a coroutine function, because its frame would contain the prompt."""


def ask(client: AsyncCompletion, model: str = "openai/gpt-4o", **options: Any) -> Awaitable[Any]:
    return client.create(model, PROMPT, **options)


def typed(client: AsyncCompletion, **options: Any) -> Awaitable[Any]:
    return client.parse("openai/gpt-4o", PROMPT, int, api_key=KEY, **options)


def read(client: AsyncCompletion, model: str = "openai/gpt-4o", **options: Any) -> Awaitable[None]:
    return drained(client.stream(model, PROMPT, **options))


async def drained(stream: CompletionStream) -> None:
    async with stream:
        async for _ in stream:
            pass


def final(client: AsyncCompletion, model: str = "openai/gpt-4o", **options: Any) -> Awaitable[Any]:
    return client.stream(model, PROMPT, **options).get_final_completion()


def read_text(client: AsyncCompletion, model: str = "openai/gpt-4o", **options: Any) -> Awaitable[None]:
    return _read_text(client.stream(model, PROMPT, **options))


async def _read_text(stream: CompletionStream) -> None:
    async for text in stream.text:
        del text  # this frame is in the traceback


async def with_timeout(call: Awaitable[object], seconds: float = 0.06) -> None:
    """Waits for `call` under the caller's own timeout."""
    async with asyncio.timeout(seconds):
        await call


class ClientCall:
    """Call of a client's method whose repr shows no arguments, so that a frame may contain it."""

    def __init__(self, method: str, *args: Any, **options: Any) -> None:
        self._method, self._args, self._options = method, args, options

    async def __call__(self, client: AsyncCompletion) -> None:
        result = getattr(client, self._method)(*self._args, **self._options)
        if not isinstance(result, (AsyncCompletion, CompletionStream)):
            result = await result
        if isinstance(result, Result):
            result.unwrap()


async def raised_by(use: Use, client: AsyncCompletion) -> BaseException:
    try:
        await use(client)
    except BaseException as error:  # noqa: BLE001 (the error is returned)
        return error
    raise AssertionError("nothing was raised")


def client_to(url: str, **options: Any) -> AsyncCompletion:
    """A client with the key `KEY` for both formats of `MODELS`."""
    settings: dict[str, Any] = {"api_keys": dict.fromkeys(MODELS, KEY), "max_retries": 0}
    return AsyncCompletion(base_urls=dict.fromkeys(MODELS, url), **{**settings, **options})


async def provoked(steps: tuple[Any, ...], use: Use, **options: Any) -> BaseException:
    """The error of `use` with a server that runs these steps (or one tuple of steps per connection)."""
    scripts: list[Any] = [step for step in steps if isinstance(step, tuple)] or [steps]
    async with RawServer(*scripts) as server, client_to(server.url, **options) as client:
        return await raised_by(use, client)


# --- kinds of errors -----------------------------------------------------------------------------------------------

ECHO: dict[str, Any] = {
    "error": {"message": f"Incorrect API key provided: {KEY}.", "type": KEY, "code": KEY, "param": f"header {KEY}"},
    "detail": f"{KEY} is unknown",
    "message": f"no such key: {KEY}",
}
"""Error body that repeats the key, with the members of all formats."""

ECHO_HEADERS = {"WWW-Authenticate": f'Bearer error="{KEY}"', "X-Request-Id": KEY, "X-Echo": f"Bearer {KEY}"}

ECHOED = answer(ECHO, 401, ECHO_HEADERS)
HALF = head(200, {"Content-Type": "application/json", "Content-Length": "5000"}) + f'{{"echo": "{KEY}"'.encode()


def replied(text: str | None, reason: str = "stop", **message: Any) -> bytes:
    """The response with a reply."""
    return answer({"choices": [{"message": {"content": text, **message}, "finish_reason": reason}]})


class Kind(NamedTuple):
    """Kind of error: the server's steps and the use of the client that cause it."""

    error: type[BaseException]
    steps: tuple[Any, ...]
    use: Use
    options: Mapping[str, Any] = {}


def failure_response(status: int, code: str = "", **headers: str) -> bytes:
    return answer({"error": {"message": "no", "code": code, "type": "x"}}, status, headers)


NAMELESS = [{"role": "user", "content": PROMPT}, {"role": "user", "content": PROMPT, "name": "bob"}]
BAD_PART = [{"role": "user", "content": [{"type": "text", "text": PROMPT}, {"type": "text", "text": 5}]}]

EVENTS = piece(b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","role":"assistant"}}\n\n')
FAILED = piece(
    b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"' + KEY.encode() + b'"}}\n\n'
)

KINDS: dict[str, Kind] = {
    "a refused key that the server repeats": Kind(AuthenticationError, (REQUEST, ECHOED), ask),
    "a refused key of a stream": Kind(AuthenticationError, (REQUEST, ECHOED), read),
    "rate limit after retries": Kind(
        RateLimitError, (REQUEST, failure_response(429, **{"Retry-After-Ms": "1"})) * 2, ask, {"max_retries": 1}
    ),
    "quota": Kind(QuotaExceededError, (REQUEST, failure_response(429, "insufficient_quota")), ask),
    "bad request": Kind(BadRequestError, (REQUEST, answer(ECHO, 400)), ask),
    "failure after retries": Kind(
        InternalServerError, (REQUEST, answer(ECHO, 500, {"Retry-After-Ms": "1"})) * 2, ask, {"max_retries": 1}
    ),
    "error with status 200": Kind(CompletionError, (REQUEST, answer(ECHO, 200)), ask),
    "no JSON, contains the key": Kind(APIResponseError, (REQUEST, answer(f'{{"{KEY}": x'.encode())), ask),
    "another shape, contains the key": Kind(APIResponseError, (REQUEST, answer({"choices": KEY})), ask),
    "a web page, contains the key": Kind(
        APIResponseError, (REQUEST, answer(f"<p>{KEY}".encode(), headers={"Content-Type": "text/html"})), read
    ),
    "no HTTP": Kind(APIResponseError, (REQUEST, f"{KEY}\r\n\r\n".encode()), ask),
    "stream cut": Kind(StreamInterruptedError, (REQUEST, STREAM, event("Hel"), END), read),
    "stream cut, drained": Kind(StreamInterruptedError, (REQUEST, STREAM, event("Hel"), END), final),
    "stream reset": Kind(StreamInterruptedError, (REQUEST, STREAM, event("Hel"), 0.02, RESET), read),
    "error in a stream": Kind(
        CompletionError, (REQUEST, STREAM, event("Hel"), piece(b"data: " + json.dumps(ECHO).encode() + b"\n\n")), read
    ),
    "event that is no JSON": Kind(
        APIResponseError, (REQUEST, STREAM, event("Hel"), piece(f"data: {KEY}\n\n".encode())), read
    ),
    "connection reset": Kind(APIConnectionError, (REQUEST, RESET), ask),
    "connection reset in an answer": Kind(APIConnectionError, (REQUEST, HALF, 0.02, RESET), ask),
    "timeout before the headers": Kind(APITimeoutError, (REQUEST, STALL), ask, {"timeout": 0.06}),
    "timeout before the first chunk": Kind(
        APITimeoutError, (REQUEST, STREAM, STALL), read, {"timeout": Timeout(first_chunk=0.06)}
    ),
    "timeout in an answer": Kind(APITimeoutError, (REQUEST, HALF, STALL), ask, {"timeout": 0.06}),
    "timeout in a stream": Kind(
        APITimeoutError, (REQUEST, STREAM, event("Hel"), STALL), read, {"timeout": Timeout(idle=0.06)}
    ),
    "the caller's own timeout before the headers": Kind(
        TimeoutError, (REQUEST, STALL), lambda client: with_timeout(ask(client))
    ),
    "the caller's own timeout in an answer": Kind(
        TimeoutError, (REQUEST, HALF, STALL), lambda client: with_timeout(ask(client))
    ),
    "the caller's own timeout in an error's answer": Kind(
        TimeoutError,
        (REQUEST, HALF.replace(b"200", b"401", 1), STALL),
        lambda client: with_timeout(ask(client)),
    ),
    "the caller's own timeout in a stream": Kind(
        TimeoutError, (REQUEST, STREAM, event("Hel"), STALL), lambda client: with_timeout(final(client))
    ),
    "the caller's own timeout between attempts": Kind(
        TimeoutError,
        (REQUEST, failure_response(500)) * 2,
        lambda client: with_timeout(ask(client)),
        {"max_retries": 9},
    ),
    "the caller's own timeout in a fan-out": Kind(
        TimeoutError, (REQUEST, STALL), lambda client: with_timeout(ask(client, MODELS["anthropic"], n=3))
    ),
    "redirect": Kind(APIResponseError, (REQUEST, answer(b"", 307, {"Location": f"http://127.0.0.1:9/?{KEY}"})), ask),
    "unsupported parameter": Kind(
        UnsupportedParameterError, (), lambda client: ask(client, MODELS["anthropic"], prediction={"content": PROMPT})
    ),
    "message that the format does not support": Kind(
        UnsupportedParameterError, (), lambda client: client.create(MODELS["anthropic"], NAMELESS)
    ),
    "message that the format does not support, streamed": Kind(
        UnsupportedParameterError, (), lambda client: drained(client.stream(MODELS["anthropic"], NAMELESS))
    ),
    "invalid message": Kind(InvalidRequestError, (), lambda client: client.create("openai/x", BAD_PART)),
    "message that is not encodable": Kind(
        InvalidRequestError, (), lambda client: client.create("openai/x", PROMPT + "\ud800")
    ),
    "bad header": Kind(
        InvalidRequestError, (), lambda client: ask(client, extra_headers={"Authorization": f"Bearer {KEY}\n"})
    ),
    "unknown keyword": Kind(TypeError, (), lambda client: ask(client, temprature=1, user=PROMPT, api_key=KEY)),
    "swapped": Kind(TypeError, (), lambda client: client.create(PROMPT, "openai/gpt-4o", user=PROMPT)),
    "unknown provider": Kind(InvalidRequestError, (), lambda client: ask(client, "opnai/x", user=PROMPT)),
    "bad key": Kind(ConfigurationError, (), lambda client: ask(client, api_key=f"{KEY}\n{KEY}")),
    "bad key of a function": Kind(ConfigurationError, (), lambda client: ask(client, api_key=function_of(f"é{KEY}"))),
    "key for another origin": Kind(
        ConfigurationError,
        (),
        lambda client: ask(client, base_url="https://other.example/v1", extra_body={"x": PROMPT}),
    ),
    "error in a fan-out": Kind(
        AuthenticationError,
        ((REQUEST, ECHOED), (REQUEST, STALL)),
        lambda client: ask(client, MODELS["anthropic"], n=3),
    ),
    "error in a stream of a fan-out": Kind(
        CompletionError,
        ((REQUEST, STREAM, EVENTS, 0.02, FAILED, STALL), (REQUEST, STREAM, EVENTS, STALL)),
        lambda client: read(client, MODELS["anthropic"], n=3),
    ),
    "reply that does not fit": Kind(ReplyValidationError, (REQUEST, replied('{"value": "x"}')), typed),
    "reply that is no JSON, asked again": Kind(
        ReplyValidationError, (REQUEST, replied("x"), REQUEST, replied("y")), lambda client: typed(client, max_reasks=1)
    ),
    "reply that a check refuses": Kind(
        ReplyValidationError, (REQUEST, replied('{"value": 1}')), lambda client: typed(client, validate=refuse)
    ),
    "reply that is cut": Kind(ReplyTruncatedError, (REQUEST, replied('{"val', "length")), typed),
    "reply that is a refusal": Kind(ReplyRefusedError, (REQUEST, replied(None, refusal="no")), typed),
    "refused key of a typed call": Kind(AuthenticationError, (REQUEST, ECHOED), typed),
    "type that cannot be read": Kind(
        InvalidRequestError, (), lambda client: client.parse("openai/x", PROMPT, 5, api_key=KEY)
    ),
    "keyword that parse has not": Kind(TypeError, (), lambda client: typed(client, tools=[PROMPT])),
    "client closed meanwhile": Kind(
        ClientClosedError, (REQUEST, STALL), lambda client: closed_while(client, ask(client))
    ),
    "client closed in an answer": Kind(
        ClientClosedError, (REQUEST, HALF, STALL), lambda client: closed_while(client, ask(client))
    ),
}


def refuse(value: int) -> None:
    raise ValueError("no")


def function_of(key: str) -> Callable[[], Awaitable[str]]:
    async def give() -> str:
        return key

    return give


def credentials_of(text: str) -> Callable[[], Awaitable[AWSCredentials]]:
    async def give() -> AWSCredentials:
        return AWSCredentials(text, text, text, region="us-east-1")

    return give


async def closed_while(client: AsyncCompletion, call: Awaitable[object]) -> None:
    task = asyncio.ensure_future(call)
    await asyncio.sleep(0.05)
    await client.aclose()
    await task


# --- ways to pass a key ---


class Way(NamedTuple):
    """Way to pass a key, for a call to `model`."""

    model: str
    header: str
    """Name of the header with which the key is sent."""
    client: Callable[[str], AsyncCompletion]
    options: Callable[[], dict[str, Any]] = dict
    environment: Mapping[str, str] = {}


@asynccontextmanager
async def used(client: AsyncCompletion) -> AsyncIterator[AsyncCompletion]:
    """Closes a client or a view with its shared state at the end of the block."""
    try:
        yield client
    finally:
        await client_state(client).aclose()


def clients(name: str, **options: Any) -> Callable[[str], AsyncCompletion]:
    return lambda url: AsyncCompletion(base_urls={name: url}, max_retries=0, **options)


ACME = Provider("acme", "https://acme.example/v1", auth=Auth("X-Token", "Token "), headers={"X-Tenant-Secret": KEY})

WAYS: dict[str, Way] = {
    "text to the client": Way("openai/x", "authorization", clients("openai", api_keys={"openai": KEY})),
    "text from a file": Way("openai/x", "authorization", clients("openai", api_keys={"openai": f" {KEY}\r\n"})),
    "Secret to the client": Way("openai/x", "authorization", clients("openai", api_keys={"openai": Secret(KEY)})),
    "function to the client": Way(
        "openai/x", "authorization", clients("openai", api_keys={"openai": function_of(KEY)})
    ),
    "text to the call": Way("openai/x", "authorization", clients("openai"), lambda: {"api_key": KEY}),
    "Secret to the call": Way("openai/x", "authorization", clients("openai"), lambda: {"api_key": Secret(KEY)}),
    "function to the call": Way("openai/x", "authorization", clients("openai"), lambda: {"api_key": function_of(KEY)}),
    "environment": Way("openai/x", "authorization", clients("openai"), environment={"OPENAI_API_KEY": KEY}),
    "view": Way("openai/x", "authorization", lambda url: clients("openai")(url).with_options(api_key=KEY)),
    "header to the call": Way(
        "openai/x",
        "authorization",
        clients("openai", api_keys={"openai": "sk-another"}),
        lambda: {"extra_headers": {"Authorization": f"Bearer {KEY}", "X-Gateway-Key": KEY}},
    ),
    "header to a view": Way(
        "openai/x",
        "authorization",
        lambda url: clients("openai", api_keys={"openai": "sk-another"})(url).with_options(
            extra_headers={"Authorization": f"Bearer {KEY}"}
        ),
    ),
    "header of a provider": Way(
        "acme/x", "x-tenant-secret", clients("acme", providers=[ACME], api_keys={"acme": "sk-another"})
    ),
    "Anthropic's header": Way(
        "anthropic/claude-x", "x-api-key", clients("anthropic"), environment={"ANTHROPIC_API_KEY": KEY}
    ),
    "Anthropic's token": Way(
        "anthropic/claude-x", "authorization", clients("anthropic"), environment={"ANTHROPIC_AUTH_TOKEN": KEY}
    ),
    "Azure's header": Way("azure/x", "api-key", clients("azure", api_keys={"azure": KEY})),
    "Azure's token": Way("azure/x", "authorization", clients("azure", api_keys={"azure": function_of(KEY)})),
    "Cohere": Way("cohere/x", "authorization", clients("cohere", api_keys={"cohere": KEY})),
    "Replicate": Way("replicate/owner/x", "authorization", clients("replicate", api_keys={"replicate": KEY})),
    "AWS credentials to the client": Way(
        "signed/x",
        "x-amz-security-token",
        clients("signed", providers=[SIGNED], api_keys={"signed": AWSCredentials(KEY, KEY, KEY, region="us-east-1")}),
    ),
    "AWS credentials to the call": Way(
        "signed/x",
        "x-amz-security-token",
        clients("signed", providers=[SIGNED]),
        lambda: {"api_key": AWSCredentials(KEY, KEY, KEY, region="us-east-1")},
    ),
    "AWS credentials of a function": Way(
        "signed/x",
        "x-amz-security-token",
        clients("signed", providers=[SIGNED], api_keys={"signed": credentials_of(KEY)}),
    ),
    "AWS credentials of the environment": Way(
        "signed/x",
        "x-amz-security-token",
        clients("signed", providers=[SIGNED]),
        environment={
            **dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"), KEY),
            "AWS_REGION": "us-east-1",
        },
    ),
    "Bedrock": Way("bedrock/amazon.x", "authorization", clients("bedrock", api_keys={"bedrock": KEY})),
    "a scheme of its own": Way("acme/x", "x-token", clients("acme", providers=[ACME], api_keys={"acme": KEY})),
}
FAILURES: dict[str, tuple[tuple[Step, ...], Callable[[Awaitable[object]], Awaitable[object]]]] = {
    "refused": ((REQUEST, ECHOED), lambda call: call),
    "no JSON": ((REQUEST, answer(f"{{ {KEY}".encode(), headers=ECHO_HEADERS)), lambda call: call),
    "reset": ((REQUEST, RESET), lambda call: call),
    "timed out": ((REQUEST, STALL), with_timeout),
    "timed out in the response": ((REQUEST, HALF, STALL), with_timeout),
}


# --- input that contains a prompt ---

INPUTS: dict[str, dict[str, Any]] = {
    "text": {},
    "dicts": {"messages": [{"role": "system", "content": PROMPT}, {"role": "user", "content": PROMPT}]},
    "records": {"messages": [UserMessage(PROMPT)]},
    "parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": PROMPT}]}]},
    "images": {
        "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": f"https://x/{PROMPT}"}}]}]
    },
    "calls": {
        "messages": [
            {"role": "user", "content": PROMPT},
            {
                "role": "assistant",
                "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": PROMPT}}],
            },
            {"role": "tool", "tool_call_id": "1", "content": PROMPT},
        ]
    },
    "unknown members": {"messages": [{"role": "user", "content": PROMPT, "x": {"y": [PROMPT]}}]},
    "tools": {
        "tools": [{"type": "function", "function": {"name": "f", "description": PROMPT, "parameters": {"x": PROMPT}}}]
    },
    "functions": {"functions": [{"name": "f", "description": PROMPT}]},
    "schema": {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"title": PROMPT}}}},
    "stop": {"stop": [PROMPT]},
    "user": {"user": PROMPT},
    "extra_body": {"extra_body": {"text": {"x": PROMPT}}},
}

REFUSALS: dict[str, tuple[type[Exception], str, dict[str, Any]]] = {
    "a wrong type": (InvalidRequestError, "openai/x", {"temperature": "hot"}),
    "a wrong option": (InvalidRequestError, "openai/x", {"timeout": -1}),
    "an unknown keyword": (TypeError, "openai/x", {"temprature": 1}),
    "an unsupported parameter": (UnsupportedParameterError, "anthropic/claude-x", {"seed": 5}),
    "an unsupported value": (UnsupportedParameterError, "openai/x", {"temperature": 7}),
    "an unsupported option": (UnsupportedParameterError, "anthropic/claude-x", {"organization": "o"}),
    "an unknown provider": (InvalidRequestError, "opnai/x", {}),
    "no key": (ConfigurationError, "acme/x", {}),
    "no key for that origin": (ConfigurationError, "openai/x", {"base_url": "https://other.example/v1"}),
    "a lone surrogate": (InvalidRequestError, "openai/x", {"metadata": {"a": "\ud800"}}),
}
