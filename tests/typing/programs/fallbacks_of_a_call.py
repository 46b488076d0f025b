"""Fallbacks of one call and of a view; what was tried; when all failed."""

import asyncio

from anycompletion import AllTargetsFailedError, AsyncCompletion, CompletionError, RateLimitError
from anycompletion.routing import Route, RouteTarget
from anycompletion.testing import FakeProvider


def impatient(error: CompletionError) -> bool | None:
    return True if isinstance(error, RateLimitError) and (error.retry_after or 0) > 5 else None


async def main(client: AsyncCompletion) -> None:
    others = ["anthropic/claude-sonnet-4-5", "groq/llama-3.3-70b"]
    reply = await client.create("openai/gpt-4o", "Hello!", fallbacks=others)
    print(reply.info.target, reply.info.attempts)

    careful = client.with_options(fallbacks=[RouteTarget("ollama/llama3.3", params={"max_tokens": 500})])
    try:
        async with careful.stream("openai/gpt-4o", "A story") as stream:
            async for text in stream.text:
                print(text, end="")
    except AllTargetsFailedError as error:
        print([(each.provider, each.code) for each in error.errors], error.retry_after)


route = Route(["openai/gpt-4o", "anthropic/claude-sonnet-4-5"], move_on=impatient, on_content_policy="move")


async def run() -> None:
    fakes = [FakeProvider(RateLimitError("slow down"), name="openai"), FakeProvider("Hi!", name="anthropic")]
    fakes.append(FakeProvider("Once upon a time.", name="ollama"))
    async with AsyncCompletion(providers=fakes) as client:
        await main(client)
    print("", route.on_content_policy)


if __name__ == "__main__":
    asyncio.run(run())
