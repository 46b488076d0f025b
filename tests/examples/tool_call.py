"""A run with a tool: the model calls a function, and goes on with its result until it answers.

OPENAI_API_KEY=… python tool_call.py

Without a key: `anycompletion simulate` prints the variables that direct it to a simulator.
"""

import asyncio
import os
from dataclasses import dataclass
from typing import Annotated, Literal

from anycompletion import AsyncCompletion

MODEL = os.environ.get("CHAT_MODEL", "openai/gpt-4o-mini")


@dataclass
class Weather:
    sky: str
    temperature: int


async def weather(
    city: Annotated[str, "City and country"], unit: Literal["celsius", "fahrenheit"] = "celsius"
) -> Weather:
    """Today's weather in a city."""
    return Weather("rain", 8 if unit == "celsius" else 46)  # a stand-in for a real weather service


async def main() -> None:
    """Prints each call with its result, and the answer."""
    async with AsyncCompletion() as client:
        run = client.run_tools(MODEL, "Do I need an umbrella in Oslo?", [weather], max_turns=5)
        async for turn in run:
            for each in turn.outcomes:
                print(f"{each.call.function.name}({each.call.function.arguments}) → {each.content}")
        outcome = await run
    print(outcome.text if outcome.status == "finished" else f"no answer: {outcome.status}")


if __name__ == "__main__":
    asyncio.run(main())
