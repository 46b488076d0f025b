"""A library of a company around the client: defaults, typed keywords that pass through, and a protocol for its apps."""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol, Self, Unpack

from anycompletion import (
    AsyncCompletion,
    CallOptions,
    ChatCompletion,
    ChatRequest,
    ClientOptions,
    CompletionStream,
    CreateParams,
    Messages,
    Params,
    TargetOptions,
    Timeout,
)

DEFAULTS: Params = {"temperature": 0, "max_tokens": 500, "stop": ["END"]}
EAST: TargetOptions = {"api_version": "2023-06-01", "timeout": Timeout(total=60), "extra_headers": {"x-region": "east"}}


class Model(Protocol):
    """What apps ask, whatever answers."""

    async def ask(self, messages: Messages) -> str: ...

    def pieces(self, messages: Messages) -> AsyncIterator[str]: ...


def make_client(**options: Unpack[ClientOptions]) -> AsyncCompletion:
    """A client with the company's defaults, which the caller may replace."""
    merged: ClientOptions = {"max_retries": 4, "timeout": 120, "on_unsupported": "warn", **options}
    return AsyncCompletion(**merged)


class CompanyModel:
    """A model with parameters of its own."""

    def __init__(self, client: AsyncCompletion, name: str, **params: Unpack[CreateParams]) -> None:
        self._client = client
        self._name = name
        self._params: CreateParams = {**DEFAULTS, **params}

    async def ask(self, messages: Messages) -> str:
        return (await self.create(messages)).text

    async def pieces(self, messages: Messages) -> AsyncIterator[str]:
        async with self._client.stream(self._name, messages, **self._params) as stream:
            async for text in stream.text:
                yield text

    async def create(self, messages: Messages, **params: Unpack[CreateParams]) -> ChatCompletion:
        merged: CreateParams = {**self._params, **params}
        return await self._client.create(self._name, messages, **merged)

    def bind(self, **params: Unpack[CreateParams]) -> Self:
        merged: CreateParams = {**self._params, **params}
        return type(self)(self._client, self._name, **merged)


async def create_or_stream(
    client: AsyncCompletion, request: ChatRequest, stream: bool, **options: Unpack[CallOptions]
) -> str:
    """One function for both, as many wrappers have it."""
    reply = await client.send(request, stream=stream, **options)
    if isinstance(reply, CompletionStream):
        reply = await reply.get_final_completion()
    return reply.text


async def app(model: Model) -> tuple[str, list[str]]:
    return await model.ask("Hello!"), [piece async for piece in model.pieces([{"role": "user", "content": "Hello!"}])]


async def main() -> None:
    async with make_client(max_retries=1) as client:
        text, pieces = await app(CompanyModel(client, "openai/gpt-4o-mini", seed=1))
        print("app:", text == "".join(pieces))
        creative = CompanyModel(client, "anthropic/claude-haiku-4-5", **EAST).bind(temperature=1, top_p=None)
        reply = await creative.create("Hello!", max_tokens=20, seed=3)
        print("warnings:", reply.info.warnings)
        request = ChatRequest("cohere/command-a", "Hello!", **DEFAULTS)
        print(
            "both:", {await create_or_stream(client, request, stream, timeout=20) for stream in (True, False)} != {""}
        )


if __name__ == "__main__":
    asyncio.run(main())
