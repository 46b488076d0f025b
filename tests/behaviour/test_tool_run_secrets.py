"""Tests that errors of tool runs show no key, no prompt and no result of a tool, however the run is read."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from anycompletion import AsyncCompletion, StreamInterruptedError, ToolExecutionError
from anycompletion.tools import ToolContext, ToolRun, tool
from support.raw_server import REQUEST, RESET, STREAM, RawServer, Step, answer, event
from support.secret_cases import ECHOED, KEY, PROMPT, ClientCall, raised_by
from support.secret_channels import leaks

Read = Callable[[ToolRun[Any]], Awaitable[object]]


async def awaited(run: ToolRun[Any]) -> None:
    await run


async def by_turns(run: ToolRun[Any]) -> None:
    async for _ in run:
        pass


async def by_events(run: ToolRun[Any]) -> None:
    async for each in run.events(raw=True):
        del each


async def by_text(run: ToolRun[Any]) -> None:
    async for text in run.text:
        del text


READS = pytest.mark.parametrize("read", [awaited, by_turns, by_events, by_text])


@tool
async def look(text: str, context: ToolContext[str]) -> str:
    """Look."""
    if text == "wrong":
        raise OSError(f"postgres://user:{KEY}@host is down")
    return f"{PROMPT} and {context.value}"


def calls(text: str) -> dict[str, Any]:
    """A reply that calls `look`, and repeats the prompt."""
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": json.dumps({"text": text})}}
    return {"role": "assistant", "content": PROMPT, "tool_calls": [call]}


def turn(text: str, *, stream: bool) -> Step:
    """The response of a turn with a call."""
    message, frame = calls(text), {"id": "x", "object": "chat.completion", "created": 1, "model": "gpt-4o"}
    if not stream:
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
        return answer(json.dumps({**frame, "choices": [choice]}).encode())
    delta = {**message, "tool_calls": [{"index": 0, **call} for call in message["tool_calls"]]}
    choice = {"index": 0, "delta": delta, "finish_reason": "tool_calls"}
    chunk = {**frame, "object": "chat.completion.chunk", "choices": [choice]}
    return answer(
        b"data: " + json.dumps(chunk).encode() + b"\n\ndata: [DONE]\n\n", headers={"Content-Type": "text/event-stream"}
    )


def run_of(client: AsyncCompletion, **params: Any) -> ToolRun[Any]:
    return client.run_tools("openai/gpt-4o", PROMPT, [look], context=PROMPT, max_retries=0, **params)


@READS
@pytest.mark.parametrize("end", [ECHOED, RESET], ids=["refused", "reset"])
@pytest.mark.parametrize("turns", [0, 1])
async def test_an_error_of_the_provider_shows_nothing(read: Read, end: Step, turns: int) -> None:
    """A crash report of a run would have its key, its prompt, or what its tools returned."""
    is_stream = read in (by_events, by_text)
    steps: list[Any] = [(REQUEST, turn("right", stream=is_stream)) for _ in range(turns)]
    async with (
        RawServer(*steps, (REQUEST, end)) as server,
        AsyncCompletion(base_urls={"openai": server.url}, api_keys={"openai": KEY}) as client,
    ):
        error = await raised_by(lambda client: read(run_of(client)), client)
    assert len(server.requests) == turns + 1
    assert leaks(error, KEY) == []
    assert leaks(error, PROMPT) == []


@pytest.mark.parametrize("read", [by_events, by_text])
async def test_an_error_within_a_stream_shows_no_event_before_it(read: Read) -> None:
    """A crash report would have what the model thought of the prompt."""
    thought = event(choices=[{"index": 0, "delta": {"reasoning_content": PROMPT}, "finish_reason": None}])
    async with (
        RawServer((REQUEST, STREAM, thought, RESET)) as server,
        AsyncCompletion(base_urls={"openai": server.url}, api_keys={"openai": KEY}) as client,
    ):
        error = await raised_by(lambda client: read(run_of(client)), client)
    assert isinstance(error, StreamInterruptedError)
    error.partial = None  # which has the reply, for the caller
    assert leaks(error, PROMPT) == []


@READS
async def test_an_exception_of_a_tool_reaches_neither_model_nor_log(
    read: Read, caplog: pytest.LogCaptureFixture
) -> None:
    """A database's password in the text of an exception would be sent to the provider, or logged."""
    is_stream = read in (by_events, by_text)
    steps = [(REQUEST, turn("wrong", stream=is_stream)) for _ in range(3)]
    async with (
        RawServer(*steps) as server,
        AsyncCompletion(base_urls={"openai": server.url}, api_keys={"openai": "sk-other"}) as client,
    ):
        run = run_of(client)
        await read(run)
    assert run.status == "tool_failures"
    assert len(server.requests) == 3
    sent = b"".join(request.body for request in server.requests)
    assert KEY.encode() not in sent
    assert b"OSError" in sent
    assert KEY not in caplog.text
    assert KEY not in repr((run, run.turns, await run))


@READS
async def test_a_tools_exception_is_only_the_cause(read: Read) -> None:
    """The text of a tool's exception would be in the text of the error that ends the run."""
    is_stream = read in (by_events, by_text)
    async with (
        RawServer((REQUEST, turn("wrong", stream=is_stream))) as server,
        AsyncCompletion(base_urls={"openai": server.url}, api_keys={"openai": "sk-other"}) as client,
    ):
        error = await raised_by(lambda client: read(run_of(client, on_tool_error="raise")), client)
    assert isinstance(error, ToolExecutionError)
    assert KEY in str(error.__cause__)
    assert KEY not in str(error) + repr(error)


@pytest.mark.parametrize("mistake", [{"temperature": "hot"}, {"temprature": 1}, {"max_turns": 0}], ids=str)
async def test_the_error_of_a_wrong_argument_does_not_show_the_others(mistake: dict[str, Any]) -> None:
    """The error of a mistake beside the key would show the key."""
    async with AsyncCompletion() as client:
        use = ClientCall("run_tools", "openai/gpt-4o", PROMPT, [look], api_key=KEY, **mistake)
        error = await raised_by(use, client)
    assert leaks(error, KEY) + leaks(error, PROMPT) == []


async def test_a_function_that_is_no_tool_does_not_show_the_key() -> None:
    """The error of a tool whose code fails would show the key that was passed beside it."""

    class Odd:
        @property
        def __name__(self) -> str:
            raise OSError("odd")

        def __call__(self) -> None:
            pass

    async with AsyncCompletion() as client:
        error = await raised_by(ClientCall("run_tools", "openai/gpt-4o", PROMPT, [Odd()], api_key=KEY), client)
    assert leaks(error, KEY) == []
