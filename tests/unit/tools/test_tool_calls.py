"""Tests of a single call of a tool: each row of results and errors, time limits, threads, and cancellation."""

from __future__ import annotations

import asyncio
import contextvars
import datetime
import enum
import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anyio
import attrs
import msgspec
import pydantic
import pytest

from anycompletion import (
    AudioPart,
    ClientClosedError,
    FilePart,
    FileRef,
    FunctionCall,
    FunctionMessage,
    ImagePart,
    ImageUrl,
    InputAudio,
    TextPart,
    ToolCall,
    ToolMessage,
    Usage,
)
from anycompletion.tools import RunnableTool, ToolContext, ToolError, ToolOutcome, tool
from anycompletion.tools.running_call import run_call
from anycompletion.tools.tool_threads import MAX_THREADS, thread_limit

CANARY = "postgres://user:canary@db"
"""A secret in exceptions."""

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")


def call(asked: RunnableTool[..., Any], arguments: str = "") -> ToolCall:
    return ToolCall("call_1", FunctionCall(asked.name, arguments))


async def result_of(function: Callable[..., Any], arguments: str = "") -> ToolOutcome:
    asked = tool(name="look")(function)
    return await asked.run(call(asked, arguments))


async def within(asked: RunnableTool[..., Any], **options: Any) -> ToolOutcome:
    """The outcome of a call without arguments, as a run makes it."""
    made = call(asked)
    limits: dict[str, Any] = {"timeout": None, "max_result_chars": 200_000, "threads": None} | options
    limits.setdefault("context", ToolContext(None, made))
    return await run_call(asked, made, asked.read_arguments(""), **limits)


# --- results ---------------------------------------------------------------------------------------------------------


class Color(enum.Enum):
    RED = "red"


@dataclass
class Place:
    city: str


@attrs.define
class Login:
    user: str
    _password: str = CANARY


class Point(msgspec.Struct):
    x: float


class Recipe(pydantic.BaseModel):
    at: datetime.date


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "another text"


class Number(float):
    pass


PARTS = [TextPart("A cat."), ImagePart(ImageUrl("https://example.com/cat.png")), FilePart(FileRef(file_id="f"))]

RESULTS: dict[str, tuple[Any, Any]] = {
    "text": ("It rains.", "It rains."),
    "empty text": ("", ""),
    "subclass of str": (Text("It rains."), "It rains."),
    "None": (None, "null"),
    "number": (21.5, "21.5"),
    "subclass of float": (Number(1.5), "1.5"),
    "large integer": (2**70, str(2**70)),
    "list": ([1, "x", None], '[1,"x",null]'),
    "empty list": ([], "[]"),
    "dict": ({"city": "Ålesund"}, '{"city":"Ålesund"}'),
    "dataclass": (Place("Oslo"), '{"city":"Oslo"}'),
    "attrs class without its private fields": (Login("me"), '{"user":"me"}'),
    "Struct": ([Point(1.5)], '[{"x":1.5}]'),
    "pydantic model": (Recipe(at=datetime.date(2026, 1, 2)), '{"at":"2026-01-02"}'),
    "pydantic models in a dict": ({"a": [Recipe(at=datetime.date(2026, 1, 2))]}, '{"a":[{"at":"2026-01-02"}]}'),
    "enum and dates": ([Color.RED, datetime.datetime(2026, 1, 2)], '["red","2026-01-02T00:00:00"]'),
    "record": (Usage(1, 2, 3), '{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}'),
    "records in a dict": ({"a": [{"b": TextPart("x")}]}, '{"a":[{"b":{"text":"x","type":"text"}}]}'),
    "parts": (PARTS, PARTS),
    "one part": (PARTS[1], [PARTS[1]]),
    "parts and texts": (("A cat.", PARTS[1]), [TextPart("A cat."), PARTS[1]]),
    "parts and other values": ([PARTS[1], {"width": 3}], [PARTS[1], TextPart('{"width":3}')]),
    "image with a bare address": (
        ImagePart("https://example.com/cat.png"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        [ImagePart(ImageUrl("https://example.com/cat.png", bare=True))],
    ),
    "lone surrogate in a part": (TextPart("a\ud800b"), [TextPart("a\ufffdb")]),
    "lone surrogate in a text": ("a\ud800", "a\ufffd"),
    "lone surrogate in JSON": ({"a\ud800": ["\udfff", 2**70]}, f'{{"a\ufffd":["\ufffd",{2**70}]}}'),
}  # fmt: skip


@pytest.mark.parametrize(("value", "content"), RESULTS.values(), ids=RESULTS)
async def test_a_result_becomes_content(value: Any, content: Any) -> None:
    """The model would get another text than what the tool returned, or an error."""
    outcome = await result_of(lambda: value)
    assert outcome.error is None
    assert outcome.content == content
    assert outcome.message == ToolMessage(content, "call_1")


def endless() -> Any:
    found: list[Any] = []
    found.append(found)
    return found


UNSAYABLE: dict[str, tuple[Callable[[], Any], str]] = {
    "object": (object, "TypeError"),
    "function in a list": (lambda: [len], "TypeError"),
    "key that is no text": (lambda: {(1, 2): 3}, "TypeError"),
    "generator": (lambda: (each for each in "x"), "TypeError"),
    "list that contains itself": (endless, "RecursionError"),
    "audio": (lambda: [TextPart("x"), AudioPart(InputAudio("x", "wav"))], "TypeError"),
    "bytes": (lambda: b"x", "TypeError"),
    "bytes in a dict": (lambda: {"a": [bytearray(b"x")]}, "TypeError"),
    "NaN": (lambda: float("nan"), "ValueError"),
    "infinity in a dataclass": (lambda: [Place(float("inf"))], "ValueError"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    "text part without a text": (lambda: [TextPart(None)], "InvalidRequestError"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    "text part with a number": (lambda: [TextPart(5)], "InvalidRequestError"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    "image without an address": (lambda: ImagePart(ImageUrl(5)), "InvalidRequestError"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    "image that is no base64": (lambda: ImagePart(ImageUrl("data:image/png;base64,?")), "InvalidRequestError"),
}


@pytest.mark.parametrize(("function", "error"), UNSAYABLE.values(), ids=UNSAYABLE)
async def test_what_json_cannot_hold_counts_as_a_failure_of_the_tool(function: Callable[[], Any], error: str) -> None:
    """The run would end with an exception, or the model would read the repr of an object."""
    outcome = await result_of(made_by(function))
    assert json.loads(str(outcome.content)) == {"error": "the tool failed", "type": error}
    assert type(outcome.error).__name__ == error


def made_by(make: Callable[[], Any]) -> Callable[[], Any]:
    def look() -> Any:
        return make()

    return look


class Unwilling(pydantic.BaseModel):
    def model_dump(self, **_: Any) -> Any:
        raise KeyError(CANARY)


async def test_a_result_whose_methods_fail_counts_as_a_failure_of_the_tool() -> None:
    """The exception of a serializer would end the run, or hang it."""
    outcome = await result_of(made_by(Unwilling))
    assert json.loads(str(outcome.content)) == {"error": "the tool failed", "type": "KeyError"}


async def test_a_result_that_is_too_long_is_an_error_with_its_length() -> None:
    """A long result would be cut, so that the model takes a part for the whole, or would fill its context."""
    outcome = await within(tool(name="look")(lambda: "x" * 101), max_result_chars=100)
    assert outcome.error is not None
    assert json.loads(str(outcome.content)) == {
        "error": "the result is too long: 101 characters, and at most 100 are allowed"
    }
    assert (await within(tool(name="look")(lambda: "x" * 100), max_result_chars=100)).error is None


async def test_images_do_not_count_as_characters() -> None:
    """An image as a data URL would be refused as a text that is too long."""
    image = ImagePart(ImageUrl("data:image/png;base64," + "A" * 1_000))
    outcome = await within(tool(name="look")(lambda: ["x" * 100, image]), max_result_chars=100)
    assert outcome.error is None
    assert (await within(tool(name="look")(lambda: ["x" * 101, image]), max_result_chars=100)).error is not None


# --- errors ----------------------------------------------------------------------------------------------------------


def raised(error: BaseException) -> Callable[[], Any]:
    def fail() -> None:
        raise error

    return fail


async def test_the_text_of_a_tool_error_reaches_the_model() -> None:
    """A tool could tell the model nothing."""
    outcome = await result_of(raised(ToolError("There is no such city.")))
    assert outcome.content == "There is no such city."
    assert isinstance(outcome.error, ToolError)


async def test_a_tool_error_may_have_parts() -> None:
    """A tool that fails could not show an image of the failure."""
    outcome = await result_of(raised(ToolError(PARTS)))
    assert outcome.content == PARTS
    assert str(outcome.error) == "3 content parts"


async def test_a_tool_error_without_a_text_is_a_failure() -> None:
    """The model would get an empty result, which reads like a success."""
    outcome = await result_of(raised(ToolError()))
    assert json.loads(str(outcome.content)) == {"error": "the tool failed", "type": "ToolError"}


class WithoutInit(ToolError):
    def __init__(self, code: int) -> None:
        self.code = code


class Wrong(ToolError):
    def __init__(self, content: object) -> None:
        super().__init__()
        self.content = content  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]


class Undecided:
    def __bool__(self) -> bool:
        raise ValueError(CANARY)


WRONG_ERRORS: dict[str, Callable[[], ToolError]] = {
    "list of an object": lambda: ToolError([object()]),  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    "invalid part": lambda: ToolError([TextPart(5)]),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    "constructor that does not call that of its base class": lambda: WithoutInit(7),
    "content of another type": lambda: Wrong(object()),
    "content that is neither true nor false": lambda: Wrong(Undecided()),
}


@pytest.mark.parametrize("make", WRONG_ERRORS.values(), ids=WRONG_ERRORS)
async def test_a_tool_error_that_no_message_can_hold_is_a_failure(make: Callable[[], ToolError]) -> None:
    """A tool error with an object in place of a text would leave the call waiting for ever."""
    error = make()
    outcome = await result_of(raised(error))
    assert json.loads(str(outcome.content)) == {"error": "the tool failed", "type": type(error).__name__}
    assert outcome.error is error


@pytest.mark.parametrize("content", [ConnectionError(CANARY), b"x", 7, None], ids=["exception", "bytes", "int", "None"])
def test_a_tool_error_of_something_else_is_refused(content: Any) -> None:
    """The text of a foreign exception would reach the model, or nothing would without a word."""
    with pytest.raises(TypeError, match="expected a text for the model, or parts; found ") as caught:
        ToolError(content)
    assert CANARY not in str(caught.value)


async def test_a_tool_error_that_is_too_long_is_not_cut() -> None:
    """The text of a tool error would fill the context of the model."""
    outcome = await within(tool(name="look")(raised(ToolError("x" * 101))), max_result_chars=100)
    assert "too long" in str(outcome.content)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_of_other_exceptions_the_model_gets_the_class_only(
    is_async: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """A password in the text of an exception would go to the provider, or into the log."""
    fail = raised(ConnectionError(CANARY))

    async def fail_later(key: str = CANARY) -> None:
        await asyncio.sleep(0)
        fail()

    with caplog.at_level(logging.DEBUG):
        outcome = await result_of(fail_later if is_async else fail)
    assert json.loads(str(outcome.content)) == {"error": "the tool failed", "type": "ConnectionError"}
    assert isinstance(outcome.error, ConnectionError)
    warning, traceback = [record for record in caplog.records if record.name == "anycompletion.tools"]
    assert (warning.levelname, warning.getMessage()) == ("WARNING", "tool look failed with ConnectionError")
    assert not warning.exc_info
    assert CANARY not in str(vars(warning))
    assert traceback.levelname == "DEBUG"
    assert traceback.exc_info
    assert traceback.exc_info[1] is outcome.error
    assert CANARY not in repr(outcome)


async def test_a_result_that_cannot_be_sent_is_logged_as_one(caplog: pytest.LogCaptureFixture) -> None:
    """Who looks for the mistake would search inside of the function, which did not fail."""
    with caplog.at_level(logging.WARNING):
        await result_of(made_by(object))
    assert [record.getMessage() for record in caplog.records] == [
        "tool look returned a value of type object that cannot be sent as a result: TypeError"
    ]


@pytest.mark.parametrize("error", [asyncio.CancelledError, GeneratorExit, StopAsyncIteration])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_an_exception_that_ends_tasks_is_a_failure_of_the_tool_that_raises_it(
    is_async: bool, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """A job would end as if its caller had cancelled it, without an error, because a tool awaited a cancelled task."""
    fail = raised(error(CANARY))

    async def fail_later() -> None:
        fail()

    outcome = await result_of(fail_later if is_async else fail)
    assert json.loads(str(outcome.content)) == {"error": "the tool failed", "type": error.__name__}
    assert isinstance(outcome.error, error)
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        f"tool look failed with {error.__name__}"
    ]


async def test_an_exception_group_is_one_failure() -> None:
    """A tool with a task group would end the run."""

    async def fail() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
            raise KeyError(CANARY)

    outcome = await result_of(fail)
    assert json.loads(str(outcome.content)) == {"error": "the tool failed", "type": "ExceptionGroup"}


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_the_end_of_an_iterator_is_a_failure_as_any_other(is_async: bool) -> None:
    """StopIteration out of a thread would leave the call waiting for ever."""

    async def fail_later() -> Any:
        return next(iter(()))

    outcome = await result_of(fail_later if is_async else lambda: next(iter(())))
    assert json.loads(str(outcome.content)) == {"error": "the tool failed", "type": "RuntimeError"}


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_a_client_that_was_closed_is_no_failure_of_the_tool(is_async: bool) -> None:
    """A run would go on after its client was closed."""
    fail = raised(ClientClosedError("closed"))

    async def fail_later() -> None:
        fail()

    with pytest.raises(ClientClosedError):
        await result_of(fail_later if is_async else fail)


async def look(city: str, days: int = 1) -> str:
    return city * days


ARGUMENTS: dict[str, tuple[str, str, str]] = {
    "wrong type": ('{"city": 1}', "$.city", "string"),
    "missing": ("{}", "$.city", "string, which is missing"),
    "no text": ("", "$.city", "string, which is missing"),
    "white space": (" \n", "$.city", "string, which is missing"),
    "no JSON": ("city=Oslo", "$", "JSON"),
    "cut": ('{"city": "Os', "$", "JSON"),
    "text around it": ('Here: {"city": "Oslo"}', "$", "JSON"),
    "list": ('["Oslo"]', "$", "object"),
    "null": ("null", "$", "object"),
    "unknown member": ('{"city": "Oslo", "unit": "c"}', "$", "no members besides those of the schema"),
    "number as a text": ('{"city": "Oslo", "days": "2"}', "$.days", "integer"),
}


@pytest.mark.parametrize(("text", "at", "expected"), ARGUMENTS.values(), ids=ARGUMENTS)
async def test_arguments_that_do_not_fit_are_an_error_with_their_place(text: str, at: str, expected: str) -> None:
    """The model could not correct its call, or the function would get arguments of other types."""
    outcome = await result_of(look, text)
    assert json.loads(str(outcome.content)) == {"error": "invalid arguments", "at": at, "expected": expected}
    assert str(outcome.error) == f"{at}: expected {expected}"


@pytest.mark.parametrize(
    "text",
    [
        '{"city": "Oslo"}',
        '```json\n{"city": "Oslo"}\n```',
        '\ufeff {"city": "Oslo", "days": 1.0}',
        '{"city": "Bergen", "city": "Oslo"}',
        '{"city": "Oslo", "days": null}',
    ],
    ids=["plain", "code fence", "byte-order mark and integral float", "duplicate", "null for a default"],
)
async def test_arguments_are_read_as_models_write_them(text: str) -> None:
    """A call with a clear meaning would cost another turn."""
    assert (await result_of(look, text)).content == "Oslo"


@dataclass
class Account:
    number: str

    def __post_init__(self) -> None:
        match self.number:
            case "text":
                raise ToolError("The account is closed.")
            case "value":
                raise ValueError(CANARY)
            case "other":
                raise KeyError(CANARY)
            case _:
                pass


@pytest.mark.parametrize(
    ("number", "at", "expected"),
    [
        ("text", "$", "The account is closed."),
        ("value", "$.account", "another value: this one was refused"),
        ("other", "$", "other values: these were refused"),
    ],
)
async def test_constructors_tell_the_model_what_a_tool_error_has(number: str, at: str, expected: str) -> None:
    """A secret in the exception of a constructor would go to the provider, or the run would end."""

    def pay(account: Account) -> str:
        return account.number

    outcome = await result_of(pay, json.dumps({"account": {"number": number}}))
    assert json.loads(str(outcome.content)) == {"error": "invalid arguments", "at": at, "expected": expected}
    assert outcome.error is not None
    assert CANARY not in str(outcome.error)
    assert outcome.error.__cause__ is not None


async def test_a_call_of_another_tool_is_answered_with_the_name() -> None:
    """A loop of one's own that mixes up its tools would run the wrong function."""
    asked = tool(look)
    outcome = await asked.run(ToolCall("call_1", FunctionCall("search", "{}")))
    assert json.loads(str(outcome.content)) == {"error": "unknown tool", "tools": ["look"]}
    assert outcome.error is not None


async def test_a_legacy_call_is_answered_in_its_form() -> None:
    """A model that was asked with `functions` would get a message of a role that it does not know."""
    asked = tool(look)
    outcome = await asked.run(ToolCall("", FunctionCall("look", '{"city": "Oslo"}'), type="function_call"))
    assert outcome.message == FunctionMessage("Oslo", "look")


# --- time ------------------------------------------------------------------------------------------------------------


async def test_an_async_tool_that_takes_too_long_is_cancelled() -> None:
    """A tool that hangs would hang the run, or go on after its time."""
    ended: list[str] = []

    @tool(timeout=0.02)
    async def wait() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("cancelled")

    outcome = await wait.run(call(wait))
    assert json.loads(str(outcome.content)) == {"error": "timed out after 0.02 s"}
    assert isinstance(outcome.error, TimeoutError)
    assert ended == ["cancelled"]


async def test_the_thread_of_a_sync_tool_that_takes_too_long_is_abandoned(caplog: pytest.LogCaptureFixture) -> None:
    """A sync tool that hangs would hang the run, or be abandoned without a word."""
    release = threading.Event()

    @tool(timeout=0.02)
    def wait() -> None:
        release.wait(60)

    try:
        with caplog.at_level(logging.WARNING, logger="anycompletion.tools"):
            outcome = await wait.run(call(wait))
    finally:
        release.set()
    assert json.loads(str(outcome.content)) == {"error": "timed out after 0.02 s"}
    assert [record.getMessage() for record in caplog.records] == [
        "the thread of tool wait goes on after its cancellation"
    ]


@pytest.mark.parametrize(
    ("own", "timeout", "expected"),
    [(0.01, 60, 0.01), (None, 0.01, 0.01), (0.02, 0.01, 0.02)],
    ids=["of the tool", "of the run", "longer than that of the run"],
)
async def test_a_tool_has_its_own_limit_or_that_of_the_run(own: Any, timeout: Any, expected: float) -> None:
    """A tool would go on after its own time, or after that of the run."""

    @tool(timeout=own)
    async def wait() -> None:
        await asyncio.sleep(60)

    outcome = await within(wait, timeout=timeout, context=ToolContext(None, call(wait)))
    assert json.loads(str(outcome.content))["error"] == f"timed out after {expected} s"


async def test_the_own_timeout_error_of_a_tool_is_its_exception() -> None:
    """A tool whose database timed out would be reported as one that took longer than it may."""
    outcome = await result_of(raised(TimeoutError(CANARY)))
    assert json.loads(str(outcome.content)) == {"error": "the tool failed", "type": "TimeoutError"}


async def test_a_tool_that_returns_as_it_is_cancelled_has_its_result() -> None:
    """A booking that was made at the last moment would be reported as one that was not."""

    @tool(timeout=0.01)
    async def book() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "booked"
        return "never"

    assert (await book.run(call(book))).content == "booked"


async def test_cancelling_a_call_cancels_its_tool() -> None:
    """A tool would go on after its run was cancelled."""
    ended: list[str] = []
    started = asyncio.Event()

    @tool
    async def wait() -> None:
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("cancelled")

    running = asyncio.ensure_future(wait.run(call(wait)))
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ended == ["cancelled"]


# --- threads ---------------------------------------------------------------------------------------------------------


async def test_sync_tools_run_in_threads_with_the_context_variables() -> None:
    """A sync tool would block the event loop, or lose the request id of the caller."""

    def look() -> list[Any]:
        return [threading.current_thread() is threading.main_thread(), variable.get()]

    variable.set("request 7")
    assert (await result_of(look)).content == '[false,"request 7"]'


async def test_async_tools_run_in_the_loop_with_the_context_variables() -> None:
    """An async tool would run in another event loop, or lose the request id of the caller."""

    async def look() -> list[Any]:
        return [threading.current_thread() is threading.main_thread(), variable.get()]

    variable.set("request 7")
    assert (await result_of(look)).content == '[true,"request 7"]'


async def test_a_sync_function_may_return_an_awaitable() -> None:
    """A lambda around an async function would fail, because a coroutine is no JSON."""
    outcome = await result_of(lambda: look("Oslo"))
    assert outcome.content == "Oslo"


async def test_at_most_sixteen_threads_run_without_a_client() -> None:
    """A model that makes a hundred calls would start a hundred threads."""
    running, most, lock = 0, 0, threading.Lock()

    @tool
    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.005)
        with lock:
            running -= 1

    await asyncio.gather(*[work.run(call(work)) for _ in range(3 * MAX_THREADS)])
    assert most == MAX_THREADS == 16
    assert thread_limit().total_tokens == 16


async def test_the_limiter_of_a_run_counts() -> None:
    """The threads of a client would not be limited."""
    limiter = anyio.CapacityLimiter(1)
    inside: list[int] = []

    @tool
    def work() -> None:
        inside.append(limiter.borrowed_tokens)

    await asyncio.gather(*[within(work, threads=limiter) for _ in range(4)])
    assert inside == [1, 1, 1, 1]


async def test_waiting_for_a_thread_is_no_time_of_the_tool() -> None:
    """A call would be reported as one that took too long, although it has not begun."""
    limiter, release, begun = anyio.CapacityLimiter(1), threading.Event(), threading.Event()

    @tool
    def block() -> None:
        begun.set()
        release.wait(60)

    first = asyncio.ensure_future(within(block, threads=limiter))
    await asyncio.to_thread(begun.wait)
    second = asyncio.ensure_future(within(tool(name="look")(lambda: "seen"), threads=limiter, timeout=0.01))
    await asyncio.sleep(0.05)
    release.set()
    assert (await first).error is None
    assert (await second).content == "seen"


async def test_the_context_is_passed_to_the_function() -> None:
    """A tool would not get what its caller passed in."""

    @tool
    async def look(context: ToolContext[dict[str, str]]) -> list[Any]:
        return [context.value["user"], context.call.id, context.turn, list(context.messages), context.deadline]

    outcome = await look.run(call(look), context={"user": "me"})
    assert outcome.content == '["me","call_1",0,[],null]'


async def test_the_model_cannot_set_the_context() -> None:
    """A model that writes an argument `context` would replace what the caller passed in."""

    @tool
    async def look(context: ToolContext[str]) -> str:
        return context.value

    outcome = await look.run(call(look, '{"context": "other"}'), context="own")
    assert json.loads(str(outcome.content))["error"] == "invalid arguments"
