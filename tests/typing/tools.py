"""Types of tools made of functions, as type checkers have to infer them; not run."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any, Literal, assert_type

from anycompletion import AsyncCompletion, ChatRequest, Content, FunctionTool, ToolCall, ToolLike
from anycompletion.tools import RunnableTool, ToolContext, ToolError, ToolOutcome, tool


@tool
async def weather(city: Annotated[str, "City and country"], unit: Literal["c", "f"] = "c") -> dict[str, float]:
    """The weather now."""
    return {"temperature": 21.0}


@tool(name="today", timeout=1, needs_approval=True)
def today(*, utc: bool = False) -> str:
    """Today's date."""
    return "2026-01-02"


@tool
async def user(context: ToolContext[dict[str, int]], name: str) -> int:
    """The number of a user."""
    return assert_type(context.value, dict[str, int])[name]


def rain(city: str) -> bool:
    """Whether it rains there."""
    return city == "Bergen"


class Shop:
    async def price(self, item: str) -> float:
        raise ToolError(f"there is no {item}")


async def echo(arguments: dict[str, Any]) -> object:
    return arguments


async def calls(context: ToolContext[dict[str, int]]) -> None:
    assert_type(await weather("Oslo", unit="f"), dict[str, float])
    assert_type(await weather(city="Oslo"), dict[str, float])
    assert_type(today(utc=True), str)
    assert_type(await user(context, "me"), int)
    assert_type(await tool(Shop().price)("book"), float)
    assert_type(tool(rain)("Oslo"), bool)
    assert_type(tool(sequential=True)(rain)("Oslo"), bool)
    assert_type(tool(partial(rain, "Oslo"))(), bool)


async def tools(client: AsyncCompletion, call: ToolCall) -> None:
    plain: list[RunnableTool] = [weather, today, user, tool(rain)]
    plain.append(RunnableTool.from_schema("echo", {"type": "object"}, echo, timeout=5))
    mixed: list[ToolLike] = [weather, rain, {"type": "web_search"}, weather.definition, Shop().price]
    await client.create("openai/gpt-4o", "Hello!", tools=plain)
    await client.create("openai/gpt-4o", "Hello!", tools=mixed)
    await client.create("openai/gpt-4o", "Hello!", tools=[rain, weather])
    client.stream("openai/gpt-4o", "Hello!", tools=[rain])
    await client.attempt("openai/gpt-4o", "Hello!", tools=[rain])
    client.batch([ChatRequest("openai/gpt-4o", "Hello!", tools=[weather, rain, {"type": "web_search"}])])
    outcome = await weather.run(call, context=7)
    assert_type(outcome, ToolOutcome)
    assert_type(outcome.content, Content)
    assert_type(outcome.error, BaseException | None)
    assert_type(weather.definition, FunctionTool)
    assert_type(weather.parameters, dict[str, Any])
    assert_type(weather.timeout, float | None)


def as_functions() -> None:
    awaited: Callable[[str], Awaitable[dict[str, float]]] = weather
    plain: Callable[[], str] = today
    del awaited, plain
