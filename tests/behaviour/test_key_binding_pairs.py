"""Key binding through all pairs of middleware: no credential reaches a server that it was not given for."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import pytest

from anycompletion import AsyncCompletion, CallNext, CallOptions, ChatCompletion, ChatRequest, CompletionError, Secret
from anycompletion import CompletionStream as Stream
from anycompletion import Middleware as Function
from support.raw_server import REQUEST, RawServer, answer

OWN = "sk-given-for-openai-0123456789"
FAILED = (REQUEST, answer({"error": {"message": "down"}}, 500)) * 1000
ANSWERED = (REQUEST, answer()) * 1000

CREDENTIALS: dict[str, dict[str, Any]] = {
    "key": {"api_key": OWN},
    "Secret": {"api_key": Secret(OWN)},
    "header": {"api_key": "sk-unused", "extra_headers": {"X-Gate-Token": f"Bearer {OWN}", "X-Title": "app"}},
    "query": {"api_key": "sk-unused", "extra_query": {"token": OWN, "page": "1"}},
}


def middleware(elsewhere: str) -> dict[str, Function]:
    """What middleware of apps does to requests and options; `elsewhere` is a base URL of its own."""

    def changing(change: Callable[[ChatRequest, CallOptions], tuple[ChatRequest, Mapping[str, Any]]]) -> Function:
        async def change_and_call(
            request: ChatRequest, options: CallOptions, call_next: CallNext
        ) -> ChatCompletion | Stream:
            changed, others = change(request, options)
            return await call_next(changed, {**options, **others})

        return change_and_call

    def headers(options: CallOptions) -> dict[str, str]:
        return dict(options.get("extra_headers") or {})

    async def fallback(request: ChatRequest, options: CallOptions, call_next: CallNext) -> ChatCompletion | Stream:
        try:
            return await call_next(request, options)
        except CompletionError:
            return await call_next(attrs.evolve(request, model="groq/llama"), {**options, "provider": None})

    async def race(request: ChatRequest, options: CallOptions, call_next: CallNext) -> ChatCompletion | Stream:
        other = call_next(attrs.evolve(request, model="groq/llama"), {**options, "provider": None})
        first, second = await asyncio.gather(call_next(request, options), other, return_exceptions=True)
        if isinstance(second, BaseException):
            raise second
        return second if isinstance(first, BaseException) else first

    return {
        "copy": changing(lambda request, options: (request, {})),
        "other model": changing(lambda request, options: (attrs.evolve(request, model="groq/llama"), {})),
        "other provider": changing(lambda request, options: (request, {"provider": "groq"})),
        "small letters": changing(
            lambda request, options: (
                request,
                {"extra_headers": {name.lower(): value for name, value in headers(options).items()}},
            )
        ),
        "a header more": changing(
            lambda request, options: (request, {"extra_headers": {**headers(options), "X-Trace": "1"}})
        ),
        "other URL": changing(lambda request, options: (request, {"base_url": elsewhere})),
        "other URL and key": changing(
            lambda request, options: (request, {"base_url": elsewhere, "api_key": "sk-of-the-middleware"})
        ),
        "fallback": fallback,
        "race": race,
    }


@pytest.mark.parametrize("given", ["call", "view", "view of a view", "view with a provider"])
@pytest.mark.parametrize("credential", CREDENTIALS)
async def test_no_pair_of_middleware_takes_a_credential_along(credential: str, given: str) -> None:
    """Two middleware functions that are harmless alone could send a key to another company together."""
    options: dict[str, Any] = CREDENTIALS[credential]
    async with RawServer(FAILED) as openai, RawServer(ANSWERED) as groq, RawServer(ANSWERED) as third:
        urls = {"openai": f"{openai.url}/v1", "groq": f"{groq.url}/v1"}
        kinds = middleware(f"{third.url}/v1")
        for pair in itertools.product(kinds, repeat=2):
            functions = [kinds[name] for name in pair]
            keys = {"groq": "gsk-of-the-client"}
            async with AsyncCompletion(base_urls=urls, api_keys=keys, middleware=functions, max_retries=0) as client:
                caller, rest = (client, options) if given == "call" else (client.with_options(**options), {})
                if given == "view of a view":
                    caller = caller.with_options(timeout=9)
                elif given == "view with a provider":
                    caller = client.with_options(provider="openai", **options)
                with contextlib.suppress(CompletionError):
                    await caller.create("openai/gpt-4o", "Hi.", **rest)
            assert OWN not in repr([groq.requests, third.requests]), pair
        assert OWN in repr(openai.requests)
        assert groq.requests
