"""Asks single questions and holds a conversation, with helpers of the kind that most programs have."""

import asyncio

from anycompletion import AsyncCompletion, Message, SystemMessage, Timeout, UserMessage

MODEL = "openai/gpt-4o-mini"


async def ask(
    client: AsyncCompletion, question: str, model: str = MODEL, temperature: float | None = None
) -> str | None:
    reply = await client.create(
        model,
        [{"role": "system", "content": "Answer in one line."}, {"role": "user", "content": question}],
        temperature=temperature,
        top_p=1,
        seed=None,
        stop=["\n\n"],
        user="user-7",
        timeout=Timeout(total=30, connect=5),
        max_retries=1,
        extra_headers={"x-team": "blue"},
    )
    return reply.choices[0].message.content


class Conversation:
    """A conversation, whose earlier turns go with each question."""

    def __init__(self, client: AsyncCompletion, model: str, instructions: str) -> None:
        self._client = client
        self._model = model
        self._messages: list[Message] = [SystemMessage(instructions)]
        self.tokens = 0

    async def say(self, text: str) -> str:
        self._messages.append(UserMessage(text))
        reply = await self._client.create(self._model, self._messages, max_tokens=200)
        self._messages.append(reply.message)
        if reply.usage is not None:
            self.tokens += reply.usage.total_tokens or 0
        return reply.text

    def __len__(self) -> int:
        return len(self._messages)


async def follow_up(client: AsyncCompletion) -> str:
    """Plain dicts, with a reply's message among them."""
    messages = [{"role": "user", "content": "Name a river."}]
    first = await client.create(MODEL, messages)
    second = await client.create(MODEL, [*messages, first.message, {"role": "user", "content": "Where is it?"}])
    return second.text


async def main() -> None:
    async with AsyncCompletion() as client:
        print("answer:", await ask(client, "Why is the sky blue?", temperature=0.2))
        conversation = Conversation(client, "anthropic/claude-haiku-4-5", "You are a guide.")
        print("first:", await conversation.say("Name a mountain."))
        print("second:", await conversation.say("How high is it?"))
        print("turns:", len(conversation), "tokens:", conversation.tokens > 0)
        print("follow-up:", await follow_up(client))


if __name__ == "__main__":
    asyncio.run(main())
