"""Several providers side by side: one question to all of them concurrently, each reply as soon as it is complete.

python side_by_side.py "Why is the sky blue?" openai/gpt-4o-mini anthropic/claude-haiku-4-5 cohere/command-a-03-2025

The keys come from OPENAI_API_KEY, ANTHROPIC_API_KEY, CO_API_KEY … A provider that fails does not stop the others.

Without a key: `anycompletion simulate` prints the variables that direct it to a simulator.
"""

import asyncio
import sys
import time

from anycompletion import AsyncCompletion, CompletionError

MODELS = ["openai/gpt-4o-mini", "anthropic/claude-haiku-4-5"]


async def ask(client: AsyncCompletion, model: str, question: str) -> str:
    """One model's reply with its timing, or its error."""
    start = time.monotonic()
    first = None
    try:
        async with client.stream(model, question, timeout=60) as stream:
            async for _ in stream.text:
                first = first or time.monotonic() - start
        reply = await stream.get_final_completion()
    except CompletionError as error:
        return f"{model}: {type(error).__name__}: {error}\n"
    tokens = reply.usage.completion_tokens if reply.usage else "?"
    took = time.monotonic() - start
    return f"{model}, {tokens} tokens, the first after {first or took:.2f} s, all after {took:.2f} s:\n{reply.text}\n"


async def main(question: str, models: list[str]) -> None:
    """Prints the replies in the order in which they arrive."""
    async with AsyncCompletion() as client:
        for answer in asyncio.as_completed([ask(client, model, question) for model in models]):
            print(await answer)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "Why is the sky blue?", sys.argv[2:] or MODELS))
