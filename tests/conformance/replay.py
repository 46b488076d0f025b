"""Recordings played by one server, for us and for the oracle."""

from typing import Any

import attrs

from anycompletion import PROVIDERS, AsyncCompletion, ChatCompletion, ChatCompletionChunk, CompletionStream
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
        if traffic.is_stream(recording):
            return await self.stream(recording).get_final_completion()
        return await self.client.create(model_of(recording), "Hello", **self.options(recording))

    def stream(self, recording: Recording) -> CompletionStream:
        """Our reading of a recording as a stream, that says its usage as a chunk where it can be asked to."""
        return self.client.stream(model_of(recording), "Hello", **stream_options(recording), **self.options(recording))

    async def chunks(self, recording: Recording) -> list[ChatCompletionChunk]:
        """Our chunks of a stream."""
        return [chunk async for chunk in self.stream(recording)]

    def options(self, recording: Recording) -> dict[str, Any]:
        """Where the recording is played, and how many choices it has where the provider itself makes them."""
        return {"base_url": self.server.base_url(recording), "api_key": "key", "n": own_n(recording)}


def model_of(recording: Recording) -> str:
    """A model of the recording's provider."""
    return f"{recording.provider}/any"


def own_n(recording: Recording) -> int | None:
    """The choices that the recorded request asked for in one request, where our request may do the same."""
    cell = PROVIDERS[recording.provider].table.get("n")
    native = cell is None or cell.support == "native"
    return traffic.request_of(recording).get("n") if native else None


def stream_options(recording: Recording) -> dict[str, Any]:
    """The wish to get the usage as a chunk, where the provider does not refuse it."""
    cell = PROVIDERS[recording.provider].table.get("stream_options")
    refused = cell is not None and cell.support == "unsupported"
    return {} if refused else {"stream_options": {"include_usage": True}}
