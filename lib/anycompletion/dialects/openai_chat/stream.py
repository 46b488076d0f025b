"""OpenAI's stream events → chunks: the fast path, and every way in which servers end or fail inside a stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from ...chunks import ChatCompletionChunk
from ...convert import loads, read_chunk
from ...errors import APIResponseError, StreamInterruptedError
from ...lenient import NotJSONError, ShapeError
from ...records import ChatRequest
from ...wire import Event, Target
from .faults import as_text, error_of, holds_error
from .legacy import speaks_legacy, to_legacy_delta


class Decoder:
    """One stream: ends at ``[DONE]``, or at the end of the body once every choice said why it stopped."""

    __slots__ = ("_count", "_expected", "_finished", "_legacy", "_seen", "done")

    def __init__(self, expected: int, legacy: bool = False) -> None:
        self.done = False
        self._legacy = legacy
        self._expected = expected
        self._seen: set[int] = set()
        self._finished: set[int] = set()
        self._count = 0

    def feed(self, event: Event) -> Sequence[ChatCompletionChunk]:
        """The chunk of one event."""
        data = event.data
        if data.startswith(b"[DONE]"):
            self.done = True
            return ()
        self._count += 1
        if event.name == "error" or data.startswith(b'{"error"'):
            self._raise_if_error(data, event.name == "error")
        chunk = self._read(data)
        choices = chunk.choices
        if not choices:
            # Filter results, errors and usage come without choices; only the last of these is like any chunk.
            if chunk.usage is None:
                self._raise_if_error(data, False)
            return (chunk,)
        for choice in choices:
            delta = choice.delta
            if delta.reasoning is not None:
                delta.reasoning_content = delta.reasoning_content or delta.reasoning
                delta.reasoning = None
            self._seen.add(choice.index)
            if choice.finish_reason is not None:
                self._finished.add(choice.index)
                if choice.finish_reason == "error":
                    self._raise_if_error(data, True)
        if self._legacy:
            to_legacy_delta(chunk)
        return (chunk,)

    def _read(self, data: bytes) -> ChatCompletionChunk:
        try:
            return read_chunk(data)
        except (ShapeError, NotJSONError) as fault:
            reason = str(fault)
        self._raise_if_error(data, False)
        raise APIResponseError(f"event {self._count} of the stream cannot be read: {reason}", body=as_text(data))

    def _raise_if_error(self, data: bytes, certain: bool) -> None:
        try:
            value = loads(data)
        except NotJSONError:
            value = as_text(data)
        if isinstance(value, dict):
            members = cast("dict[str, Any]", value)
            if holds_error(members):
                raise error_of(members, None, body_text=as_text(data))
        if certain:
            raise error_of(value, None, body_text=as_text(data))

    def finish(self) -> Sequence[ChatCompletionChunk]:
        """Nothing is held back; says whether anything is missing."""
        if self.done or (len(self._finished) >= self._expected and self._finished >= self._seen):
            return ()
        raise StreamInterruptedError(
            f"the stream ended after {self._count} events, before the provider said why it stopped", maybe_billed=True
        )


def decoder(request: ChatRequest, target: Target) -> Decoder:
    """A decoder for one stream of `request.n` choices."""
    return Decoder(request.n or 1, speaks_legacy(request, target))
