"""Types of `anycompletion.web` as type checkers have to infer them; not run."""

from typing import assert_type

from aiohttp import web
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from anycompletion import AsyncCompletion, ChatCompletion, CompletionError
from anycompletion.web import (
    AllowedModels,
    Authorize,
    PublicError,
    aiohttp_client,
    aiohttp_errors,
    aiohttp_sse,
    cancel_on_disconnect,
    chat_completions_app,
    public_error,
    starlette_errors,
    starlette_lifespan,
    starlette_sse,
)

CLIENT = web.AppKey("client", AsyncCompletion)


async def of_starlette(request: Request, client: AsyncCompletion) -> None:
    assert_type(starlette_sse(client.stream("openai/gpt-4o", "Hello!"), ping=None), Response)
    assert_type(await cancel_on_disconnect(request, client.create("openai/gpt-4o", "Hello!")), ChatCompletion)
    FastAPI(lifespan=starlette_lifespan(), exception_handlers=starlette_errors())
    Starlette(exception_handlers=starlette_errors())
    Starlette(lifespan=starlette_lifespan(lambda: client, state="llm"))


async def of_aiohttp(request: web.Request, app: web.Application) -> None:
    client = request.app[CLIENT]
    assert_type(await aiohttp_sse(request, client.stream("openai/gpt-4o", "Hello!")), web.StreamResponse)
    assert_type(await cancel_on_disconnect(request, client.create("openai/gpt-4o", "Hello!")), ChatCompletion)
    app.cleanup_ctx.append(aiohttp_client(CLIENT))
    web.Application(middlewares=[aiohttp_errors()])


async def models(request: Request) -> set[str] | None:
    return {"openai/gpt-4o"} if request.user else None


def any_model(request: Request) -> AllowedModels:
    return "x-key" in request.headers


AUTHORIZE: Authorize = any_model


def endpoint(client: AsyncCompletion, error: CompletionError) -> None:
    assert_type(chat_completions_app(client, authorize=lambda request: "x-key" in request.headers), Starlette)
    assert_type(chat_completions_app(client, authorize=models, extra_fields=["top_k"]), Starlette)
    assert_type(chat_completions_app(client, authorize=AUTHORIZE, models=["openai/gpt-4o"], max_n=1), Starlette)
    chat_completions_app(client)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    chat_completions_app(client, authorize=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(public_error(error), PublicError)
