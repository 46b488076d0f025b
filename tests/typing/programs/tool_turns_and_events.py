"""The same run turn by turn, as events for a terminal, and as text."""

import asyncio
from typing import assert_never

from anycompletion import AsyncCompletion
from anycompletion import tools as t


@t.tool
async def book(table: int) -> str:
    """Book a table."""
    return f"table {table} is booked"


async def turns(client: AsyncCompletion, tools: list[t.RunnableTool]) -> None:
    run = client.run_tools("openai/gpt-4o", "Book a table.", tools)
    async for turn in run:
        print(turn.index, [call.function.name for call in turn.calls], [each.error for each in turn.outcomes])
    print((await run).text)


async def events(client: AsyncCompletion, tools: list[t.RunnableTool]) -> None:
    async with client.run_tools("anthropic/claude-sonnet-4-5", "Book a table.", tools) as run:
        async for event in run.events():
            match event:
                case t.TextDelta(text=text) | t.ReasoningDelta(text=text):
                    print(text, end="")
                case t.CallStarted(call=call):
                    print(f"[{call.function.name} …]")
                case t.CallFinished(call=call, outcome=outcome):
                    print(f"[{call.function.name}: {outcome.error or 'done'}, {outcome.elapsed:.1f} s]")
                case t.TurnFinished() | t.ChunkEvent():
                    pass
                case t.RunFinished(outcome=outcome):
                    print("", outcome.status, outcome.usage is not None)
                case _:
                    assert_never(event)


async def text(client: AsyncCompletion, tools: list[t.RunnableTool]) -> str:
    return "".join([piece async for piece in client.run_tools("gemini/gemini-3-pro", "Book a table.", tools).text])


async def main() -> None:
    async with AsyncCompletion() as client:
        await turns(client, [book])
        await events(client, [book])
        print("text:", await text(client, [book]))


if __name__ == "__main__":
    asyncio.run(main())
