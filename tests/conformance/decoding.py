"""The pure half of a stream, driven by hand: bytes → events → chunks, without socket, client or clock."""

from collections.abc import Iterable
from typing import Any

import attrs

from anycompletion import PROVIDERS, APIError, ChatCompletion, ChatCompletionChunk, ChatRequest
from anycompletion.codecs.sse import SSEParser
from anycompletion.dialects.base import Continuation, Decoder, Target
from anycompletion.providers import DIALECTS
from anycompletion.streaming.accumulator import Accumulator
from anycompletion.testing import Recording
from conformance.replay import own_n


@attrs.frozen
class Decoded:
    """What came out of a stream's bytes: the chunks, and the error they ended with."""

    chunks: list[ChatCompletionChunk] = attrs.field(factory=list[ChatCompletionChunk])
    error: APIError | None = None

    def shown(self) -> Any:
        """All of it as plain values."""
        error = self.error and (type(self.error), self.error.message, self.error.status_code)
        return [chunk.to_dict() for chunk in self.chunks], [chunk.raw for chunk in self.chunks], error

    def completion(self) -> ChatCompletion:
        """The reply that the chunks make."""
        accumulator = Accumulator()
        for chunk in self.chunks:
            accumulator.add(chunk)
        return accumulator.completion()


def decode(recording: Recording, pieces: Iterable[bytes]) -> Decoded:
    """The chunks of a body that arrives in pieces."""
    decoded = Decoded()
    try:
        _feed(_decoder(recording), pieces, decoded.chunks)
    except APIError as error:
        return attrs.evolve(decoded, error=error)
    return decoded


def _decoder(recording: Recording) -> Decoder:
    row = PROVIDERS[recording.provider]
    request = ChatRequest("any", "Hello", n=own_n(recording))
    target = Target(provider=row.name, model="any", base_url="http://127.0.0.1", stream=True, quirks=row.quirks)
    return DIALECTS[row.dialect].decoder(request, target)


def _feed(decoder: Decoder, pieces: Iterable[bytes], chunks: list[ChatCompletionChunk]) -> None:
    framing = SSEParser()
    for piece in pieces:
        for event in framing.feed(piece):
            if not decoder.done:
                chunks += decoder.feed(event)
    assert framing.error is None
    last = decoder.finish()
    assert not isinstance(last, Continuation), "only predictions are asked after"
    chunks += last
