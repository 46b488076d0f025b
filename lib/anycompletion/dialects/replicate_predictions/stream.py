"""Decoder of a prediction's stream: events → chunks in OpenAI's shape. No I/O; keeps no text.

https://replicate.com/docs/topics/predictions/streaming
"""

from __future__ import annotations

from typing import cast

from ...codecs.lenient import ShapeError
from ...codecs.sse import Event
from ...errors import StreamInterruptedError
from ...http import HttpResponse
from ...records import ChatRequest, JsonObject
from ...records.chunks import ChatCompletionChunk, ChunkChoice, Delta
from ..base import Chunks, Continuation, Target
from ..shared import as_text, loads_or_none
from .decode import poll, read_prediction
from .errors import ended_early, error_event, unreadable_prediction


class ReplicateStreamDecoder:
    """Decoder of one prediction's stream; `start` passes it the prediction."""

    __slots__ = ("_created", "_id", "_model", "_started", "_state", "_target", "done")

    def __init__(self, target: Target) -> None:
        self.done = False
        """Whether `done` was received."""
        self._target = target
        self._id = ""
        self._model = target.model
        self._created = 0
        self._started = False
        self._state: Continuation | None = None

    def start(self, response: HttpResponse) -> None:
        """Reads the response to the prediction's creation, which contained the stream's URL.

        Raises:
            APIResponseError: it is not a prediction.
        """
        found = read_prediction(response)
        self._id = found.id
        self._model = found.model or self._model
        self._created = int(found.created or 0)
        try:
            self._state = poll(found, self._target, 0.0)
        except ShapeError as exc:
            problem = str(exc)
        else:
            return
        raise unreadable_prediction(problem, response)

    def feed(self, event: Event) -> Chunks:
        """The chunks of one event.

        Raises:
            APIStatusError: the event is an error, or the end of a prediction that failed or was canceled.
        """
        if self.done:
            return ()
        match event.name:
            case "output":
                return self._on_output(as_text(event.data))
            case "done":
                self._on_done(event)
                return ()
            case "error":
                raise error_event(loads_or_none(event.data), as_text(event.data))
            case _:
                return ()  # logs, and types that Replicate adds later

    def finish(self) -> Chunks | Continuation:
        """The request for the prediction's final state and usage; where `start` was not called, the finish chunk.

        Raises:
            StreamInterruptedError: `done` was not received.
        """
        if not self.done:
            raise StreamInterruptedError("the stream ended before the provider sent a finish reason")
        if self._state is not None:
            return self._state
        return (self._chunk(ChunkChoice(0, finish_reason="stop", native_finish_reason="succeeded"), None),)

    def _on_output(self, piece: str) -> Chunks:
        if not piece:
            return ()
        role = None if self._started else "assistant"
        self._started = True
        return (self._chunk(ChunkChoice(0, Delta(role, piece)), piece),)

    def _on_done(self, event: Event) -> None:
        data = loads_or_none(event.data)
        reason = cast("JsonObject", data).get("reason") if isinstance(data, dict) else None
        if reason is not None:
            raise ended_early(str(reason))
        self.done = True

    def _chunk(self, choice: ChunkChoice, native: str | None) -> ChatCompletionChunk:
        return ChatCompletionChunk(self._id, [choice], self._created, self._model, native=native)


def decoder(request: ChatRequest, target: Target) -> ReplicateStreamDecoder:
    """A new decoder for one stream."""
    return ReplicateStreamDecoder(target)
