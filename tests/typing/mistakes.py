"""Mistakes that type checkers have to report; not run.

Each ignore is needed, because both checkers report an unused ignore.
"""

from typing import Any

from anycompletion import (
    AsyncCompletion,
    CallOptions,
    ChatCompletion,
    ChatRequest,
    ClientOptions,
    CompletionStream,
    Params,
    Provider,
    RateLimit,
    Reply,
    SystemMessage,
    Timeout,
    UserMessage,
)
from anycompletion.batch import read_results
from anycompletion.testing import FakeProvider
from anycompletion.tools import RunnableTool, ToolError, tool
from anycompletion.workers import ChatWorker, complete_many


async def calls(client: AsyncCompletion, request: ChatRequest) -> None:
    await client.create("openai/gpt-4o")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await client.create("openai/gpt-4o", 5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    await client.create("openai/gpt-4o", "Hello!", temprature=0)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await client.create("openai/gpt-4o", "Hello!", stream="yes")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await client.send(request, temperature=0)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await client.attempt("openai/gpt-4o", "Hello!", stream=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await client.parse("openai/gpt-4o", "Hello!", int, tools=[])  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await client.parse("openai/gpt-4o", "Hello!", 5)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await client.parse("openai/gpt-4o", "Hello!", int, mode="xml")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    client.parse_stream("openai/gpt-4o", "Hello!", int, max_reasks=1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    client.parse_stream("openai/gpt-4o", "Hello!", int).items()  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    client.parse_stream("openai/gpt-4o", "Hello!", int).partials(every="1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.stream("openai/gpt-4o", "Hello!", temprature=0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.stream("openai/gpt-4o", "Hello!", n="3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.stream("openai/gpt-4o", "Hello!", tools="weather")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.stream("openai/gpt-4o", [5])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    client.batch(5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    client.batch([request], mode="tool")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    client.batch([request], into=int, mode="xml")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    client.batch([request], into=int, validate=len)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    client.run_tools("openai/gpt-4o", "Hello!", [double], max_reasks=1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    client.run_tools("openai/gpt-4o", "Hello!", [double], n=2)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    client.run_tools("openai/gpt-4o", "Hello!", [5])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    client.run_tools("openai/gpt-4o", "Hello!", [double], into=5)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    read_results("answers.jsonl", into=5)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


async def types_of_replies(client: AsyncCompletion, reply: Reply, whole: ChatCompletion) -> None:
    print(reply.choices)  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType]
    print(whole.choices[0].message.content.upper())  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
    print(whole.usage.total_tokens)  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
    print(whole.choises)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType]
    text: str = whole.choices[0].message.content  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    result: ChatCompletion = await client.attempt("openai/gpt-4o", text)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    stream: CompletionStream = await client.create("openai/gpt-4o", text)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    print(result, stream)


def options(client: AsyncCompletion) -> None:
    client.with_options(temperature=0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.with_options(on_unsupported="ignore")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.with_options(api_key=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    wrong: CallOptions = {"timeout": "5"}  # type: ignore[typeddict-item]  # pyright: ignore[reportAssignmentType]
    unknown: Params = {"temprature": 0}  # type: ignore[typeddict-unknown-key]  # pyright: ignore[reportAssignmentType]
    both: ClientOptions = {"api_key": "key"}  # type: ignore[typeddict-unknown-key]  # pyright: ignore[reportAssignmentType]
    print(wrong, unknown, both)


def make() -> None:
    AsyncCompletion("openai")  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue]
    AsyncCompletion(api_key="key")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    AsyncCompletion(api_keys={"openai": 5})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    AsyncCompletion(limits={"openai": 5})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    AsyncCompletion(providers=Provider("acme", "https://acme.example/v1"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Provider("acme", "https://acme.example/v1", key_env="ACME_API_KEY")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ChatWorker(api_key="key")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    complete_many([], retries=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    FakeProvider(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def records() -> None:
    Timeout(total="5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    RateLimit(60)  # fine: requests per minute
    UserMessage(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    SystemMessage("Be brief.", role=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ChatRequest("openai/gpt-4o")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ChatRequest("openai/gpt-4o", "Hello!", api_key="key")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def synchronous(request: ChatRequest, options: CallOptions, call_next: Any) -> str:
    """No middleware: it returns a text."""
    return "Hello!"


AsyncCompletion(middleware=[synchronous])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]


@tool(timeout=5)
async def double(number: int) -> int:
    return 2 * number


async def tools(client: AsyncCompletion) -> None:
    await double("2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await double(2, 3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await double(value=2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    tool(5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    tool(timeout="5")(double)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    tool(strikt=True)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await double.run("call")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await client.create("openai/gpt-4o", "Hello!", tools=double)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    ChatRequest("openai/gpt-4o", "Hello!", tools=[5])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    RunnableTool.from_schema("double", {}, 5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    raise ToolError(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
