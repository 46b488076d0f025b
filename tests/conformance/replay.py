"""Recordings replayed by one server, for the client and for the oracle."""

from itertools import count
from typing import Any

import attrs

from anycompletion import AsyncCompletion, ChatCompletion, ChatCompletionChunk, CompletionStream
from anycompletion.testing import Recording, ReplayServer
from conformance import traffic
from conformance.oracle import Oracle

_NUMBERS = count()


@attrs.frozen
class Replay:
    """The server that replays recordings, with the client and the oracle that read them."""

    server: ReplayServer
    client: AsyncCompletion
    oracle: Oracle

    async def complete(self, recording: Recording) -> ChatCompletion:
        """The client's reply to a recording; a stream's is accumulated."""
        if traffic.is_stream(recording):
            return await self.stream(recording).get_final_completion()
        return await self.client.create(traffic.model_of(recording), "Hello", **self.options(recording))

    def stream(self, recording: Recording) -> CompletionStream:
        """The client's stream of a recording, with usage where this can be requested."""
        return self.client.stream(
            traffic.model_of(recording), "Hello", **stream_options(recording), **self.options(recording)
        )

    async def chunks(self, recording: Recording) -> list[ChatCompletionChunk]:
        """The client's chunks of a stream."""
        return [chunk async for chunk in self.stream(recording)]

    def options(self, recording: Recording) -> dict[str, Any]:
        """Options for a recording: its URL, a key, and `n` where the provider supports it.

        Calls that are refused have a key of their own, because the hint of one would delay the next test.
        """
        key = "key" if recording.status < 400 else f"key-{next(_NUMBERS)}"
        return {"base_url": self.server.base_url(recording), "api_key": key, "n": own_n(recording)}


def own_n(recording: Recording) -> int | None:
    """`n` of the recorded request, if the provider returns several choices for one request."""
    support = traffic.row_of(recording).table.get("n")
    native = support is None or support.support == "native"
    return traffic.request_of(recording).get("n") if native else None


def stream_options(recording: Recording) -> dict[str, Any]:
    """The option that requests usage, unless the provider refuses it."""
    support = traffic.row_of(recording).table.get("stream_options")
    refused = support is not None and support.support == "unsupported"
    return {} if refused else {"stream_options": {"include_usage": True}}
