"""Asks for several answers and picks one: by vote, by probability, and side by side while they are written."""

import asyncio
import math
from collections import Counter

from anycompletion import AsyncCompletion, Choice


async def vote(client: AsyncCompletion, model: str, question: str, n: int) -> tuple[str, int]:
    """The most frequent answer, from any provider."""
    reply = await client.create(model, question, n=n, temperature=1)
    ((answer, votes),) = Counter(text.strip() for text in reply.texts).most_common(1)
    return answer, votes


def confidence(choice: Choice) -> float:
    """The mean probability of a choice's tokens."""
    tokens = choice.logprobs.content if choice.logprobs is not None else None
    if not tokens:
        return 0.0
    return math.exp(sum(token.logprob for token in tokens) / len(tokens))


async def most_probable(client: AsyncCompletion, question: str) -> tuple[int, dict[str, float]]:
    reply = await client.create("openai/gpt-4o-mini", question, n=2, logprobs=True, top_logprobs=2)
    best = max(reply.choices, key=confidence)
    first = best.logprobs.content[0] if best.logprobs is not None and best.logprobs.content else None
    return best.index, {each.token: each.logprob for each in first.top_logprobs} if first is not None else {}


async def side_by_side(client: AsyncCompletion, model: str, n: int) -> dict[int, str]:
    texts = dict.fromkeys(range(n), "")
    async with client.stream(model, "A slogan for tea.", n=n) as stream:
        async for chunk in stream:
            for choice in chunk.choices:
                texts[choice.index] += choice.delta.content or ""
    return texts


async def main() -> None:
    async with AsyncCompletion() as client:
        for model in ("openai/gpt-4o-mini", "anthropic/claude-haiku-4-5"):
            answer, votes = await vote(client, model, "Heads or tails?", 3)
            print(model, len(answer) > 0, votes)
        index, alternatives = await most_probable(client, "Yes or no?")
        print("best:", index, "alternatives:", len(alternatives))
        print("side by side:", sorted(await side_by_side(client, "cohere/command-a", 2)))
        reply = await client.create("anthropic/claude-haiku-4-5", "A slogan for tea.", n=2)
        print("requests:", [branch.attempts for branch in reply.info.branches])


if __name__ == "__main__":
    asyncio.run(main())
