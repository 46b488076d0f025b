"""Lets a model call functions of the program, with whole replies and with streams."""

import asyncio
import json
from collections.abc import Awaitable, Callable

from pydantic import BaseModel

from anycompletion import AsyncCompletion, ChatCompletionMessage, Message, ToolCall, ToolMessage, UserMessage

MODEL = "openai/gpt-4o-mini"


class Weather(BaseModel):
    """Arguments of the tool `weather`."""

    city: str


async def weather(arguments: str) -> str:
    return f"20 °C in {Weather.model_validate_json(arguments).city}"


Tool = Callable[[str], Awaitable[str]]
TOOLS: dict[str, Tool] = {"weather": weather}
DEFINITIONS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather in a city.",
            "parameters": {**Weather.model_json_schema(), "additionalProperties": False},
        },
    }
]


async def result_of(call: ToolCall) -> ToolMessage:
    try:
        content = await TOOLS[call.function.name](call.function.arguments)
    except (KeyError, ValueError) as error:
        content = f"error: {error}"
    return ToolMessage(content, call.id)


async def answer(client: AsyncCompletion, question: str, turns: int = 3) -> tuple[str, list[str]]:
    messages: list[Message] = [UserMessage(question)]
    called: list[str] = []
    for turn in range(turns):
        choice = "auto" if turn < turns - 1 else "none"
        reply = await client.create(MODEL, messages, tools=DEFINITIONS, tool_choice=choice, parallel_tool_calls=True)
        messages.append(reply.message)
        calls = reply.message.tool_calls or []
        if not calls:
            return reply.text, called
        called += [call.function.name for call in calls]
        messages += await asyncio.gather(*(result_of(call) for call in calls))
    return "", called


async def streamed_calls(client: AsyncCompletion, question: str) -> dict[int, tuple[str, str]]:
    """Index of a call → name and arguments, put together as programs for OpenAI's SDK do it."""
    calls: dict[int, tuple[str, str]] = {}
    async for chunk in await client.create(MODEL, question, tools=DEFINITIONS, tool_choice="required", stream=True):
        for delta in chunk.choices[0].delta.tool_calls or []:
            name, arguments = calls.get(delta.index or 0, ("", ""))
            if delta.function is not None:
                name += delta.function.name or ""
                arguments += delta.function.arguments or ""
            calls[delta.index or 0] = name, arguments
    return calls


async def streamed_message(client: AsyncCompletion, question: str) -> ChatCompletionMessage:
    async with client.stream(
        "anthropic/claude-haiku-4-5",
        question,
        tools=DEFINITIONS,
        tool_choice={"type": "function", "function": {"name": "weather"}},
    ) as stream:
        return (await stream.get_final_completion()).message


async def main() -> None:
    async with AsyncCompletion() as client:
        text, called = await answer(client, "What is the weather in Oslo?")
        print("called:", called, "text:", text)
        for name, arguments in (await streamed_calls(client, "And in Lima?")).values():
            print("streamed:", name, sorted(json.loads(arguments)))
        message = await streamed_message(client, "And in Rome?")
        print("message:", [call.function.name for call in message.tool_calls or []], message.content)


if __name__ == "__main__":
    asyncio.run(main())
