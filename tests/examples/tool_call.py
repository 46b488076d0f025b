"""A tool call by hand: the model calls a function, this script runs it, and the model continues with the result.

OPENAI_API_KEY=… python tool_call.py

Without a key: `anycompletion simulate` prints the variables that direct it to a simulator.
"""

import asyncio
import json
import os
from typing import Any

from anycompletion import AsyncCompletion, Message, UserMessage

MODEL = os.environ.get("CHAT_MODEL", "openai/gpt-4o-mini")
MAX_TURNS = 5


def weather(city: str, unit: str = "celsius") -> dict[str, Any]:
    """A stand-in for a real weather service."""
    return {"city": city, "sky": "rain", "temperature": 8 if unit == "celsius" else 46}


FUNCTIONS = {"weather": weather}
TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "Today's weather in a city.",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string"},
                    "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
                },
                "required": ["city"],
            },
        },
    }
]


def run(name: str, arguments: str) -> str:
    """The result of a function call; errors are results too, so that the model can correct its call."""
    try:
        return json.dumps(FUNCTIONS[name](**json.loads(arguments)))
    except (KeyError, TypeError, ValueError) as error:  # no such function, or arguments that it does not take
        return json.dumps({"error": f"{type(error).__name__}: {error}"})


async def main() -> None:
    """Sends requests until the model calls no more tools."""
    messages: list[Message | dict[str, Any]] = [UserMessage("Do I need an umbrella in Oslo?")]
    async with AsyncCompletion() as client:
        for _ in range(MAX_TURNS):
            reply = await client.create(MODEL, messages, tools=TOOLS)
            message = reply.choices[0].message
            messages.append(message)
            if not message.tool_calls:
                print(reply.text)
                return
            for call in message.tool_calls:
                result = run(call.function.name, call.function.arguments)
                print(f"{call.function.name}({call.function.arguments}) → {result}")
                messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    print("the model does not stop calling tools")


if __name__ == "__main__":
    asyncio.run(main())
