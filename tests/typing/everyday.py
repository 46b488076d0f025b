"""Everyday code around calls, as people write it without annotations; not run."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any, Protocol, Unpack, assert_type

from anycompletion import (
    AsyncCompletion,
    ChatCompletion,
    ChatRequest,
    CompletionStream,
    CreateParams,
    FunctionDefinition,
    FunctionTool,
    Messages,
    RateLimit,
    Result,
    SystemMessage,
    TextPart,
    Timeout,
    ToolMessage,
    UserMessage,
    image_part,
)
from anycompletion.testing import FakeProvider, tool_call

MODEL = "openai/gpt-4o"


async def literals(client: AsyncCompletion) -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello!"}]
    await client.create(MODEL, messages)
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "https://x.example/a"}},
    ]
    await client.create(MODEL, [{"role": "user", "content": parts}])
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    await client.create(MODEL, messages, tools=tools, tool_choice="auto")
    schema = {"type": "json_schema", "json_schema": {"name": "event", "schema": {"type": "object"}}}
    await client.create(MODEL, messages, response_format=schema)
    headers = {"x-team": "blue"}
    await client.create(MODEL, messages, extra_headers=headers, extra_body={"top_k": 5}, tags=headers)
    bias = {50256: -100}
    await client.create(MODEL, messages, logit_bias=bias, stop=("a", "b"), metadata={"team": "blue"})
    turns = (SystemMessage("Be brief."), UserMessage("Hello!"))
    await client.create(MODEL, turns)
    records = [SystemMessage("Be brief."), UserMessage("Hello!")]
    await client.create(MODEL, records)


async def parts_of_files(client: AsyncCompletion, paths: list[Path]) -> None:
    await client.create(MODEL, [UserMessage([TextPart("What is this?"), *(image_part(path) for path in paths)])])
    images = [image_part(path) for path in paths]
    await client.create(MODEL, [UserMessage("What is this?"), UserMessage(images)])
    texts = [TextPart(f"{path}") for path in paths]
    await client.create(MODEL, [SystemMessage(texts), ToolMessage(texts, "call_1")])


async def conversation(client: AsyncCompletion) -> None:
    history = [{"role": "user", "content": "Hello!"}]
    reply = await client.create(MODEL, history)
    history.append({"role": "assistant", "content": reply.text})
    await client.create(MODEL, [*history, reply.message, UserMessage("And now?")])
    await client.create(MODEL, [{"role": "user", "content": "Hello!"}, reply.message.to_dict()])
    for call in reply.message.tool_calls or []:
        result = {"role": "tool", "tool_call_id": call.id, "content": "20 °C"}
        await client.create(MODEL, [*history, reply.message, result])


async def asyncio_tools(client: AsyncCompletion) -> None:
    one, other = await asyncio.gather(client.create(MODEL, "a"), client.attempt(MODEL, "b"))
    assert_type(one, ChatCompletion)
    assert_type(other, Result)
    replies = await asyncio.gather(*(client.create(MODEL, text) for text in ("a", "b")))
    assert_type(replies, list[ChatCompletion])
    task = asyncio.create_task(client.create(MODEL, "a", timeout=5))
    assert_type(await task, ChatCompletion)
    assert_type(await asyncio.wait_for(client.create(MODEL, "a"), 5), ChatCompletion)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(client.create(MODEL, text)) for text in ("a", "b")]
    assert_type([each.result().text for each in tasks], list[str])
    async with asyncio.timeout(5), client.stream(MODEL, "a") as stream:
        assert_type(await anext(stream.text), str)
    async with aclosing(client.stream(MODEL, "a")) as closed:
        assert_type(closed, CompletionStream)
    async with AsyncExitStack() as stack:
        assert_type(await stack.enter_async_context(AsyncCompletion()), AsyncCompletion)


async def passed_on(client: AsyncCompletion) -> None:
    ask = functools.partial(client.create, MODEL, max_tokens=100)
    assert_type((await ask("Hello!")).text, str)
    params: CreateParams = {"temperature": 0.5, "timeout": Timeout(total=5)}
    assert_type(await client.create(MODEL, "Hello!", **params), ChatCompletion)
    config: dict[str, Any] = {"timeout": 5}
    AsyncCompletion(**config)
    await with_retry(lambda: client.create(MODEL, "Hello!"))


async def with_retry(call: Callable[[], Awaitable[ChatCompletion]]) -> ChatCompletion:
    return await call()


class Completer(Protocol):
    """What an app needs of a client, so that tests can replace it."""

    async def create(
        self, model: str, messages: Messages, *, max_tokens: int | None = None, timeout: float | None = None
    ) -> ChatCompletion: ...

    def stream(self, model: str, messages: Messages, **params: Unpack[CreateParams]) -> CompletionStream: ...


class OwnClient(AsyncCompletion):
    """A client with a method of its own."""

    async def ask(self, text: str) -> str:
        return (await self.create(MODEL, text)).text


def objects(client: AsyncCompletion) -> None:
    completer: Completer = client
    assert_type(OwnClient().with_options(timeout=5), OwnClient)
    limits = {"openai": RateLimit(requests_per_minute=60), "openai/gpt-4o": RateLimit(concurrency=2)}
    keys = {"openai": "sk-1", "anthropic": "sk-2"}
    AsyncCompletion(limits=limits, api_keys=keys, base_urls={"openai": "https://proxy.example/v1"})
    texts = ["one", "two"]
    fake = FakeProvider(*texts, texts, tool_call("weather", city="Oslo"), lambda request: request.model)
    AsyncCompletion(providers=[fake])
    weather = FunctionTool(FunctionDefinition("weather", parameters={"type": "object", "properties": {}}))
    client.stream(MODEL, "Hello!", tools=[weather, {"type": "web_search_20250305", "name": "web_search"}])
    print(completer)


async def batches(client: AsyncCompletion, rows: list[tuple[str, str]]) -> None:
    requests = [{"model": MODEL, "messages": text, "max_tokens": 50} for _, text in rows]
    assert_type([result async for result in client.batch(requests)], list[Result])
    named = [(name, {"model": MODEL, "messages": text}) for name, text in rows]
    async with client.batch(named, on_progress=lambda progress: print(progress.done)) as run:
        async for result in run:
            text = result.completion.text if result.completion else f"{result.error}"
            print(result.custom_id, text)
    made = (ChatRequest(MODEL, text, custom_id=name) for name, text in rows)
    client.batch(made, ordered=True)
