"""A typed answer out of a tool run, and tools that share a database handle."""

import asyncio
from dataclasses import dataclass
from typing import assert_type

from anycompletion import AsyncCompletion, ToolRunError
from anycompletion.tools import RunOutcome, ToolContext, tool


class Shop:
    async def stock(self, article: str) -> int:
        return len(article)


@dataclass
class Offer:
    article: str
    pieces: int


@tool
async def stock(article: str, context: ToolContext[Shop]) -> int:
    """Pieces in stock."""
    return await context.value.stock(article)


@tool(sequential=True)
async def note(text: str, context: ToolContext) -> None:
    """Write a note."""
    print(context.call.id, context.turn, text)


async def offer(client: AsyncCompletion, shop: Shop, max_turns: int) -> Offer | None:
    run = client.run_tools(
        "openai/gpt-4o", "Offer me tea.", [stock, note], into=Offer, max_reasks=1, context=shop, max_turns=max_turns
    )
    outcome = await run
    assert_type(outcome, RunOutcome[Offer])
    try:
        return outcome.parsed
    except ToolRunError as error:
        print(error.status, [call.name for call in outcome.pending])
        return None


async def main() -> None:
    async with AsyncCompletion() as client:
        print("in time:", await offer(client, Shop(), 5))
        print("too late:", await offer(client, Shop(), 1))


if __name__ == "__main__":
    asyncio.run(main())
