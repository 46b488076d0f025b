"""A tool call by hand: the model asks for a function, this script runs it, and the model goes on with the result.

OPENAI_API_KEY=… python tool_call.py
"""

import asyncio
import json
import os
from typing import Any

from anycompletion import AsyncCompletion, Message, UserMessage

MODEL = os.environ.get("CHAT_MODEL", "openai/gpt-4o-mini")
MOST_TURNS = 5


def weather(city: str, unit: str = "celsius") -> dict[str, Any]:
    """Stands for something that looks it up."""
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
    """What a function says to a call. The model reads errors, too, and may do better then."""
    try:
        return json.dumps(FUNCTIONS[name](**json.loads(arguments)))
    except (KeyError, TypeError, ValueError) as fault:  # no such function, or arguments that it does not take
        return json.dumps({"error": f"{type(fault).__name__}: {fault}"})


async def main() -> None:
    """Asks until the model calls no more tools."""
    messages: list[Message | dict[str, Any]] = [UserMessage("Do I need an umbrella in Oslo?")]
    async with AsyncCompletion() as client:
        for _ in range(MOST_TURNS):
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
