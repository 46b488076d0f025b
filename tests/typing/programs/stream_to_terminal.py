"""Shows replies while they are written: by chunks, by text, and with the usage at the end."""

import asyncio
from collections.abc import AsyncIterator

from anycompletion import AsyncCompletion, Usage

MODEL = "anthropic/claude-haiku-4-5"
MESSAGES = [{"role": "user", "content": "Tell me a story in three words."}]


async def by_chunks(client: AsyncCompletion) -> tuple[str, str | None]:
    """The text and the finish reason, with the loop that programs for OpenAI's SDK have."""
    text, finish_reason = "", None
    async for chunk in await client.create(MODEL, MESSAGES, stream=True):
        if not chunk.choices:
            continue
        choice = chunk.choices[0]
        text += choice.delta.content or ""
        finish_reason = choice.finish_reason or finish_reason
    return text, finish_reason


async def texts(client: AsyncCompletion, question: str) -> AsyncIterator[str]:
    async with client.stream(MODEL, question) as stream:
        async for text in stream.text:
            yield text


async def usage_of(client: AsyncCompletion) -> Usage | None:
    """The usage, which OpenAI sends in a last chunk without choices."""
    usage: Usage | None = None
    stream = await client.create("openai/gpt-4o-mini", MESSAGES, stream=True, stream_options={"include_usage": True})
    async for chunk in stream:
        usage = chunk.usage or usage
    return usage


async def reasoning_and_answer(client: AsyncCompletion) -> tuple[list[str], str]:
    thoughts: list[str] = []
    async with client.stream(MODEL, MESSAGES, thinking={"type": "enabled", "budget_tokens": 1024}) as stream:
        async for chunk in stream:
            for choice in chunk.choices:
                if choice.delta.reasoning_content:
                    thoughts.append(choice.delta.reasoning_content)
    final = await stream.get_final_completion()
    return thoughts, final.text


async def main() -> None:
    async with AsyncCompletion() as client:
        print("chunks:", await by_chunks(client))
        print("text:", "".join([text async for text in texts(client, "Tell me a story.")]))
        usage = await usage_of(client)
        print("usage:", usage is not None and usage.completion_tokens)
        thoughts, answer = await reasoning_and_answer(client)
        print("thoughts:", len(thoughts) > 0, "answer:", answer)


if __name__ == "__main__":
    asyncio.run(main())
