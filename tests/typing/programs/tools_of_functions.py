"""Functions as tools, in a run that is awaited; the decorated function is still the function."""

import asyncio
from datetime import date
from typing import Annotated, Literal, assert_type

from anycompletion import AsyncCompletion
from anycompletion.tools import Budget, RunOutcome, ToolError, tool


@tool
async def weather(city: Annotated[str, "City and country"], unit: Literal["c", "f"] = "c") -> dict[str, float]:
    """The weather now."""
    if city == "Atlantis":
        raise ToolError("there is no such city")
    return {"temperature": 21.0}


@tool(name="today", timeout=1)
def current_date() -> str:
    """Today's date."""
    return date.today().isoformat()


def rain(city: str) -> bool:
    """Whether it rains there."""
    return city == "Bergen"


async def answer(client: AsyncCompletion) -> RunOutcome[None]:
    outcome = await client.run_tools(
        "openai/gpt-4o", "Will it rain?", [weather, current_date, rain], max_turns=5, budget=Budget(total_tokens=50_000)
    )
    assert_type(outcome, RunOutcome[None])
    return outcome


async def main() -> None:
    assert_type(await weather("Oslo, Norway"), dict[str, float])
    assert_type(current_date(), str)
    async with AsyncCompletion() as client:
        outcome = await answer(client)
    print(outcome.status, outcome.usage is not None, len(outcome.turns), outcome.unwrap().text)
    print("called:", [each.call.function.name for turn in outcome.turns for each in turn.outcomes])


if __name__ == "__main__":
    asyncio.run(main())
