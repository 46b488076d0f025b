"""Asks a second model where the first one fails: a middleware with a table, and with a list for single calls."""

import asyncio
from collections.abc import Mapping, Sequence
from contextvars import ContextVar

import attrs

from anycompletion import (
    APIConnectionError,
    APIError,
    AsyncCompletion,
    CallNext,
    CallOptions,
    ChatRequest,
    ContextWindowExceededError,
    InternalServerError,
    Middleware,
    NotFoundError,
    RateLimitError,
    Reply,
)
from anycompletion.testing import FakeProvider

_OF_THIS_CALL: ContextVar[Sequence[str]] = ContextVar("fallbacks", default=())

TEMPORARY: tuple[type[APIError], ...] = (RateLimitError, InternalServerError, APIConnectionError)


def fallbacks(table: Mapping[str, Sequence[str]], on: tuple[type[APIError], ...] = TEMPORARY) -> Middleware:
    """A middleware that tries the models of `table`, or of this call, one after the other."""

    async def around(request: ChatRequest, options: CallOptions, call_next: CallNext) -> Reply:
        *first, last = [request.model, *(_OF_THIS_CALL.get() or table.get(request.model, ()))]
        lenient: CallOptions = {**options, "on_unsupported": "warn"}
        for model in first:
            try:
                return await call_next(attrs.evolve(request, model=model), lenient)
            except on as error:
                print("fallback:", model, type(error).__name__)
        return await call_next(attrs.evolve(request, model=last), lenient)

    return around


async def larger_window(request: ChatRequest, options: CallOptions, call_next: CallNext) -> Reply:
    """Asks a model with a larger context window where the conversation is too long."""
    try:
        return await call_next(request, options)
    except ContextWindowExceededError:
        return await call_next(attrs.evolve(request, model="openai/gpt-4.1"), options)


async def main() -> None:
    away = FakeProvider(RateLimitError("slow down"), InternalServerError("down"), name="groq")
    table = {"groq/llama": ["anthropic/claude-haiku-4-5"]}
    around: list[Middleware] = [fallbacks(table, (*TEMPORARY, NotFoundError)), larger_window]
    async with AsyncCompletion(providers=[away], max_retries=0, middleware=around) as client:
        reply = await client.create("groq/llama", "Hello!", seed=1)
        print("answered by:", reply.info.provider, reply.info.warnings)
        async with client.stream("groq/llama", "Hello!") as stream:
            final = await stream.get_final_completion()
        print("streamed by:", stream.info.provider, final.model)
        token = _OF_THIS_CALL.set(["cohere/command-a"])
        print("this call:", (await client.create("openai/no-such-model", "Hello!")).info.provider)
        _OF_THIS_CALL.reset(token)


if __name__ == "__main__":
    asyncio.run(main())
