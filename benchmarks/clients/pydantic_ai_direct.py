"""pydantic-ai's direct requests: its model classes without its agents."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from pydantic_ai.direct import model_request, model_request_stream
from pydantic_ai.messages import ModelRequest, PartDeltaEvent, PartStartEvent, SystemPromptPart, UserPromptPart
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from benchmarks.clients import KEY, MODEL, Json, Streamed, first_call


def _request(messages: list[Json]) -> list[Any]:
    """The messages as records of pydantic-ai; making them is part of the measured call."""
    kinds: Any = {"system": SystemPromptPart, "user": UserPromptPart}
    return [ModelRequest(parts=[kinds[message["role"]](message["content"]) for message in messages])]


def _text(event: Any) -> str:
    if isinstance(event, PartDeltaEvent):
        return getattr(event.delta, "content_delta", "")
    return getattr(event.part, "content", "") if isinstance(event, PartStartEvent) else ""


class Client:
    """One model object for all calls."""

    def __init__(self, root: str) -> None:
        self._model = OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=f"{root}/v1", api_key=KEY))

    async def call(self, messages: list[Json], params: Json) -> int:
        settings: Any = params
        reply = await model_request(self._model, _request(messages), model_settings=settings)
        return sum(len(getattr(part, "content", "")) for part in reply.parts)

    async def stream(self, messages: list[Json], params: Json) -> Streamed:
        settings: Any = params
        characters, first = 0, 0.0
        async with model_request_stream(self._model, _request(messages), model_settings=settings) as stream:
            async for event in stream:
                text = _text(event)
                if text:
                    first = first or perf_counter()
                    characters += len(text)
        return Streamed(characters, first)

    async def hold(self, messages: list[Json], params: Json) -> object:
        settings: Any = params
        manager = model_request_stream(self._model, _request(messages), model_settings=settings)
        stream = await manager.__aenter__()
        events = aiter(stream)
        while not _text(await anext(events)):
            pass
        return manager, stream, events

    async def close(self) -> None:
        await self._model.client.close()


if __name__ == "__main__":
    first_call(Client)
