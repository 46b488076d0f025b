"""Keeps code for OpenAI's SDK, and has it ask any provider: by the endpoint, in the same process."""

import asyncio
from collections.abc import Collection

import httpx2
from openai import AsyncOpenAI, AuthenticationError
from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel
from starlette.requests import Request

from anycompletion import AsyncCompletion
from anycompletion.web import AllowedModels, chat_completions_app

MODELS = ("openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", "cohere/command-a")


class Event(BaseModel):
    """An event in a calendar."""

    name: str
    day: str


def allowed(models: Collection[str]) -> AllowedModels:
    return [model for model in models if not model.startswith("cohere/")]


async def authorize(request: Request) -> AllowedModels:
    return allowed(MODELS) if request.headers.get("authorization") == "Bearer team-key" else None


def sdk(client: AsyncCompletion, key: str) -> AsyncOpenAI:
    transport = httpx2.ASGITransport(chat_completions_app(client, authorize=authorize, models=MODELS))
    return AsyncOpenAI(base_url="http://in-process", api_key=key, http_client=httpx2.AsyncClient(transport=transport))


async def main() -> None:
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello!"}]
    async with AsyncCompletion() as client:
        async with sdk(client, "team-key") as openai:
            print("models:", [model.id async for model in openai.models.list()])
            for model in MODELS[:2]:
                reply = await openai.chat.completions.create(model=model, messages=messages, n=2)
                print(model, [choice.index for choice in reply.choices], reply.choices[0].message.content)
                stream = await openai.chat.completions.create(model=model, messages=messages, stream=True)
                print(
                    "streamed:",
                    "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]),
                )
                parsed = await openai.chat.completions.parse(model=model, messages=messages, response_format=Event)
                print("parsed:", type(parsed.choices[0].message.parsed).__name__)
                again = await client.create(
                    model, [*messages, reply.choices[0].message, {"role": "user", "content": "Bye!"}]
                )
                print("taken:", again.text)
        async with sdk(client, "another-key") as openai:
            try:
                await openai.chat.completions.create(model=MODELS[0], messages=messages)
            except AuthenticationError as error:
                print("refused:", error.status_code, error.code)


if __name__ == "__main__":
    asyncio.run(main())
