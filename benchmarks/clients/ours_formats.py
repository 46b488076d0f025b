"""anycompletion as in `ours`, which here also reads the finish reason and the usage; the model selects the format."""

from __future__ import annotations

from time import perf_counter

from benchmarks.clients import Json, Streamed, check_end, first_call
from benchmarks.clients.ours import Client as OurClient


class Client(OurClient):
    """One client for all calls."""

    async def call(self, messages: list[Json], params: Json) -> int:
        reply = await self._client.create(self._model, messages, stream=False, **params)
        choice, usage = reply.choices[0], reply.usage
        check_end(choice.finish_reason, "stop", None if usage is None else usage.completion_tokens)
        return len(choice.message.content or "")

    async def stream(self, messages: list[Json], params: Json) -> Streamed:
        characters, first, reason = 0, 0.0, None
        async with self._client.stream(self._model, messages, **params) as stream:
            async for chunk in stream:
                for choice in chunk.choices:
                    text = choice.delta.content
                    if text:
                        first = first or perf_counter()
                        characters += len(text)
                    reason = choice.finish_reason or reason
            usage = stream.usage
        check_end(reason, "stop", None if usage is None else usage.completion_tokens)
        return Streamed(characters, first)


if __name__ == "__main__":
    first_call(Client)
