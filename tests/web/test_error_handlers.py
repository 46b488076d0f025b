"""Errors that handlers of web services raise become responses: the README's handlers, over real connections."""

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from aiohttp import web
from fastapi import FastAPI, Request, Response
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from anycompletion import AsyncCompletion, AuthenticationError, CompletionError, RateLimitError
from anycompletion.testing import FakeProvider
from anycompletion.web import (
    aiohttp_errors,
    aiohttp_sse,
    cancel_on_disconnect,
    starlette_errors,
    starlette_sse,
)
from support.services import Peer, aiohttp_service, asgi_service


async def body_of(request: Request | web.Request) -> dict[str, Any]:
    """The arguments of a call that a request has."""
    body: dict[str, Any] = await request.json()
    return body


def fastapi_app(client: AsyncCompletion) -> AbstractAsyncContextManager[str]:
    """A FastAPI service whose handlers have no error handling of their own."""
    app = FastAPI(exception_handlers=starlette_errors())

    @app.post("/stream")
    async def stream(request: Request) -> Response:
        return starlette_sse(client.stream(**await body_of(request)))

    @app.post("/plain")
    async def plain(request: Request) -> Any:
        return (await cancel_on_disconnect(request, client.create(stream=False, **await body_of(request)))).text

    return asgi_service(app)


def starlette_app(client: AsyncCompletion) -> AbstractAsyncContextManager[str]:
    """The same with Starlette alone."""

    async def stream(request: Request) -> Response:
        return starlette_sse(client.stream(**await body_of(request)))

    async def plain(request: Request) -> Response:
        return JSONResponse((await client.create(stream=False, **await body_of(request))).text)

    routes = [Route("/stream", stream, methods=["POST"]), Route("/plain", plain, methods=["POST"])]
    return asgi_service(Starlette(routes=routes, exception_handlers=starlette_errors()))


def aiohttp_app(client: AsyncCompletion) -> AbstractAsyncContextManager[str]:
    """The same with aiohttp.web."""

    async def stream(request: web.Request) -> web.StreamResponse:
        return await aiohttp_sse(request, client.stream(**await body_of(request)))

    async def plain(request: web.Request) -> web.Response:
        return web.json_response(
            (await cancel_on_disconnect(request, client.create(stream=False, **await body_of(request)))).text
        )

    app = web.Application(middlewares=[aiohttp_errors()])
    app.add_routes([web.post("/stream", stream), web.post("/plain", plain)])
    return aiohttp_service(app)


SERVICES: dict[str, Callable[[AsyncCompletion], AbstractAsyncContextManager[str]]] = {
    "fastapi": fastapi_app,
    "starlette": starlette_app,
    "aiohttp": aiohttp_app,
}

HELLO = [{"role": "user", "content": "Hello!"}]
MODEL = "openai/gpt-4o"

CASES: dict[str, tuple[dict[str, Any], CompletionError | None, int, str | None]] = {
    "no messages": ({"model": MODEL, "messages": []}, None, 400, None),
    "a message without a role": ({"model": MODEL, "messages": [{"content": "Hello!"}]}, None, 400, None),
    "a parameter out of range": (
        {"model": MODEL, "messages": HELLO, "temperature": 3},
        None,
        400,
        "unsupported_parameter",
    ),
    "an unknown provider": ({"model": "acme/large", "messages": HELLO}, None, 404, "model_not_found"),
    "no provider": ({"model": "large", "messages": HELLO}, None, 404, "model_not_found"),
    "a rate limit": (
        {"model": MODEL, "messages": HELLO},
        RateLimitError("slow down", retry_after=7.0),
        429,
        "rate_limit_exceeded",
    ),
    "the service's key": (
        {"model": MODEL, "messages": HELLO},
        AuthenticationError("Incorrect API key sk-internal"),
        502,
        "upstream_refused",
    ),
    "the service's option": ({"model": MODEL, "messages": HELLO, "timeout": -1}, None, 500, "internal_error"),
}
"""Case → the arguments of the call, the provider's error, and the status and code of the response."""


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("case", CASES)
async def test_an_error_of_a_handler_is_a_response(service: str, case: str) -> None:
    """A caller's mistake or a provider's refusal would be an internal error without a body, or show internals."""
    arguments, error, status, code = CASES[case]
    fake = FakeProvider(lambda _: error or "Hello!")
    async with AsyncCompletion(providers=[fake], max_retries=0) as client, SERVICES[service](client) as url:
        for path in ("/plain", "/stream"):
            async with Peer(url, path, arguments) as peer:
                head, body = await peer.whole()
            assert (head.status, body["error"]["code"]) == (status, code)
            assert sorted(body["error"]) == ["code", "message", "param", "type"]
            assert "sk-internal" not in body["error"]["message"]
            assert head.headers.get("retry-after") == ("7" if status == 429 else None)


@pytest.mark.parametrize("service", SERVICES)
async def test_an_error_of_a_handler_is_logged(
    service: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service without a key would respond with internal errors, and its log would not say why."""
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    arguments = {"model": "groq/large", "messages": HELLO}
    async with (
        AsyncCompletion() as client,
        SERVICES[service](client) as url,
        Peer(url, "/plain", arguments) as peer,
    ):
        head, body = await peer.whole()
    assert (head.status, body["error"]["code"]) == (500, "internal_error")
    (record,) = [record for record in caplog.records if record.__dict__.get("ac_event") == "relayed_error"]
    assert record.levelno == logging.WARNING
    assert "GROQ_API_KEY" in record.getMessage()


@pytest.mark.parametrize("service", SERVICES)
async def test_other_exceptions_stay_the_frameworks(service: str) -> None:
    """A bug of the service would be hidden from its log and its debugger."""
    fake = FakeProvider(lambda _: str(1 // 0))
    arguments = {"model": MODEL, "messages": HELLO}
    async with (
        AsyncCompletion(providers=[fake]) as client,
        SERVICES[service](client) as url,
        Peer(url, "/plain", arguments) as peer,
    ):
        head = await peer.head()
    assert (head.status, head.headers["content-type"].partition(";")[0]) == (500, "text/plain")
