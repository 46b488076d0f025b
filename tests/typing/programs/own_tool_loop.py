"""A loop of one's own over tools made of functions: their definitions in `create`, and `run` for each call."""

import asyncio
from typing import Any, assert_type

from anycompletion import AsyncCompletion, FunctionMessage, Message, ToolCall, ToolMessage, UserMessage
from anycompletion.tools import RunnableTool, ToolOutcome, tool

MODEL = "openai/gpt-4o"


@tool
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def shout(arguments: dict[str, Any]) -> object:
    return str(arguments["text"]).upper()


upper = RunnableTool.from_schema("upper", {"type": "object", "properties": {"text": {"type": "string"}}}, shout)


async def answer(client: AsyncCompletion, question: str) -> tuple[str, list[ToolOutcome]]:
    tools = {each.name: each for each in (add, upper)}
    messages: list[Message] = [UserMessage(question)]
    outcomes: list[ToolOutcome] = []
    while True:
        reply = await client.create(MODEL, messages, tools=list(tools.values()))
        message = reply.choices[0].message
        messages.append(message)
        if not message.tool_calls:
            return reply.text, outcomes
        for call in message.tool_calls:
            outcome = await tools[call.function.name].run(call)
            assert_type(outcome.message, ToolMessage | FunctionMessage)
            messages.append(outcome.message)
            outcomes.append(outcome)


async def main() -> None:
    async with AsyncCompletion() as client:
        text, outcomes = await answer(client, "What is 2 + 2? Shout it.")
    print("answer:", text)
    print("called:", [(each.call.function.name, each.content, each.error) for each in outcomes])
    print("plain function:", await add(2, 2), assert_type(await add(2, b=3), int))
    call = ToolCall.from_dict({"id": "c1", "function": {"name": "upper", "arguments": '{"text": "four"}'}})
    print("of a schema:", (await upper.run(call)).content)


if __name__ == "__main__":
    asyncio.run(main())
