"""Decoding of recorded streams without a client: bytes → events → chunks."""

from collections.abc import Iterable
from typing import Any

import attrs

from anycompletion import APIError, ChatCompletion, ChatCompletionChunk, ChatRequest
from anycompletion.dialects.base import Continuation, Dialect, Target
from anycompletion.providers import DIALECTS
from anycompletion.streaming.accumulator import accumulated
from anycompletion.testing import Recording
from conformance import traffic
from conformance.replay import own_n


@attrs.frozen
class Decoded:
    """Result of decoding a stream: its chunks, and the error at its end."""

    chunks: list[ChatCompletionChunk] = attrs.field(factory=list[ChatCompletionChunk])
    error: APIError | None = None

    def shown(self) -> Any:
        """The result as plain values."""
        error = self.error and (type(self.error), self.error.message, self.error.status_code)
        return [chunk.to_dict() for chunk in self.chunks], [chunk.raw for chunk in self.chunks], error

    def completion(self) -> ChatCompletion:
        """The reply accumulated from the chunks."""
        return accumulated(self.chunks)


def decode(recording: Recording, pieces: Iterable[bytes]) -> Decoded:
    """Decodes a body that arrives in pieces."""
    decoded = Decoded()
    try:
        _feed(recording, pieces, decoded.chunks)
    except APIError as error:
        return attrs.evolve(decoded, error=error)
    return decoded


def _feed(recording: Recording, pieces: Iterable[bytes], chunks: list[ChatCompletionChunk]) -> None:
    row = traffic.row_of(recording)
    dialect: Dialect = DIALECTS[row.dialect]
    request = ChatRequest("any", "Hello", n=own_n(recording))
    target = Target(provider=row.name, model="any", base_url="http://127.0.0.1", stream=True, quirks=row.quirks)
    decoder, framing = dialect.decoder(request, target), dialect.framing()
    for piece in pieces:
        for event in framing.feed(piece):
            if not decoder.done:
                chunks += decoder.feed(event)
    assert framing.error is None
    last = decoder.finish()
    assert not isinstance(last, Continuation), "only predictions have continuations"
    chunks += last
