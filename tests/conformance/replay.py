"""Recordings played by one server, for us and for the oracle."""

from typing import Any

import attrs

from anycompletion import AsyncCompletion, ChatCompletion, ChatCompletionChunk, CompletionStream
from anycompletion.testing import Recording, ReplayServer
from conformance import traffic
from conformance.oracle import Oracle


@attrs.frozen
class Replay:
    """Both readers of the recordings that one server plays."""

    server: ReplayServer
    client: AsyncCompletion
    oracle: Oracle

    async def complete(self, recording: Recording) -> ChatCompletion:
        """Our reading of a recording, whole or put together from its stream."""
        if recording.streaming:
            return await self.stream(recording).get_final_completion()
        return await self.client.create(_model(recording), "Hello", **self._options(recording))

    def stream(self, recording: Recording) -> CompletionStream:
        """Our reading of a recording as a stream; OpenAI's says its usage as a chunk."""
        options = self._options(recording)
        return self.client.stream(_model(recording), "Hello", stream_options={"include_usage": True}, **options)

    async def chunks(self, recording: Recording) -> list[ChatCompletionChunk]:
        """Our chunks of a stream."""
        return [chunk async for chunk in self.stream(recording)]

    def _options(self, recording: Recording) -> dict[str, Any]:
        n = traffic.request_of(recording).get("n")
        return {"base_url": self.server.base_url(recording), "api_key": "key", "n": n}


def _model(recording: Recording) -> str:
    return f"{recording.provider}/any"
