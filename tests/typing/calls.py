"""Types of calls as type checkers have to infer them; not run."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import assert_type

from anycompletion import (
    AsyncCompletion,
    ChatCompletion,
    ChatCompletionChunk,
    ChatRequest,
    CompletionError,
    CompletionStream,
    Delta,
    FunctionDelta,
    Logprobs,
    ReplyInfo,
    Result,
    ToolCallDelta,
    Usage,
)
from anycompletion.batch import BatchProgress, BatchRun, read_results
from anycompletion.workers import ChatWorker, complete_many


async def create(client: AsyncCompletion, maybe: bool) -> None:
    assert_type(await client.create("openai/gpt-4o", "Hello!"), ChatCompletion)
    assert_type(await client.create("openai/gpt-4o", "Hello!", stream=False), ChatCompletion)
    assert_type(await client.create("openai/gpt-4o", "Hello!", stream=True), CompletionStream)
    assert_type(await client.create("openai/gpt-4o", "Hello!", stream=maybe), ChatCompletion | CompletionStream)
    assert_type(await client.create(model="gpt-4o", messages="Hello!", n=3, temperature=0), ChatCompletion)


async def stream(client: AsyncCompletion) -> None:
    assert_type(client.stream("openai/gpt-4o", "Hello!", n=2), CompletionStream)
    async with client.stream("openai/gpt-4o", "Hello!") as opened:
        assert_type(opened, CompletionStream)
        async for chunk in opened:
            assert_type(chunk, ChatCompletionChunk)
            assert_type(chunk.choices[0].index, int)
            assert_type(chunk.usage, Usage | None)
            for choice in chunk.choices:
                assert_type(choice.finish_reason, str | None)
                assert_type(choice.logprobs, Logprobs | None)
                assert_type(choice.delta, Delta)
                assert_type(choice.delta.role, str | None)
                assert_type(choice.delta.content, str | None)
                assert_type(choice.delta.reasoning_content, str | None)
                for call in choice.delta.tool_calls or []:
                    assert_type(call, ToolCallDelta)
                    assert_type(call.index, int | None)
                    assert_type(call.function, FunctionDelta | None)
        assert_type(opened.text, AsyncIterator[str])
        assert_type(opened.sse(), AsyncIterator[bytes])
        async for text in opened.text:
            assert_type(text, str)
        async for data in opened.sse():
            assert_type(data, bytes)
    assert_type(opened.snapshot, ChatCompletion)
    assert_type(opened.usage, Usage | None)
    assert_type(opened.info, ReplyInfo)
    assert_type(opened.map(lambda chunk: chunk if chunk.choices else None), CompletionStream)
    assert_type(await opened.get_final_completion(), ChatCompletion)


async def rows() -> AsyncIterator[dict[str, object]]:
    yield {"model": "openai/gpt-4o", "messages": "Hello!"}


async def batch(client: AsyncCompletion, seen: list[BatchProgress]) -> None:
    request = ChatRequest("openai/gpt-4o", "Hello!")
    async with client.batch(
        [request, ("a", request), {"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "Hello!"}]}],
        concurrency=3,
        journal=Path("answers.jsonl"),
        on_progress=seen.append,
    ) as run:
        assert_type(run, BatchRun)
        async for result in run:
            assert_type(result, Result)
    assert_type(run.progress, BatchProgress)
    assert_type(run.progress.eta, float | None)
    assert_type(client.batch(rows(), ordered=True), BatchRun)
    assert_type(
        [each async for each in client.batch([("a", {"model": "openai/gpt-4o", "messages": "Hello!"})])], list[Result]
    )
    assert_type(list(read_results("answers.jsonl")), list[Result])
    assert_type(complete_many([request], concurrency=3, max_retries=0), list[Result])
    assert_type(await ChatWorker(concurrency=3, timeout=30)([request]), list[Result])


async def attempt(client: AsyncCompletion) -> None:
    result = await client.attempt("openai/gpt-4o", "Hello!")
    assert_type(result, Result)
    assert_type(result.completion, ChatCompletion | None)
    assert_type(result.error, CompletionError | None)
    assert_type(result.unwrap(), ChatCompletion)


async def send(client: AsyncCompletion, request: ChatRequest, maybe: bool) -> None:
    assert_type(await client.send(request), ChatCompletion)
    assert_type(await client.send(request, stream=False, timeout=5), ChatCompletion)
    assert_type(await client.send(request, stream=True), CompletionStream)
    assert_type(await client.send(request, stream=maybe), ChatCompletion | CompletionStream)


async def life(client: AsyncCompletion) -> None:
    async with client as entered:
        assert_type(entered, AsyncCompletion)
    assert_type(client.with_options(timeout=5, max_retries=0), AsyncCompletion)
    await client.aclose()
