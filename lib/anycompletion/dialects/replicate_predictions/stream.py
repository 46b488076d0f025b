"""Decoder of a prediction's stream: events → chunks in OpenAI's shape. No I/O; keeps no text.

https://replicate.com/docs/topics/predictions/streaming
"""

from __future__ import annotations

from ...codecs.lenient import ShapeError, as_str, optional_object
from ...codecs.sse import Event
from ...errors import StreamInterruptedError
from ...http import HttpResponse
from ...records import ChatRequest
from ...records.chunks import ChatCompletionChunk, ChunkChoice, Delta
from ..base import Chunks, Continuation, Target
from ..error_body import holds_error
from ..shared import as_text, loads_or_none
from .decode import poll, read_prediction
from .errors import ended_early, reported_failure, reports_error, unreadable_prediction


class ReplicateStreamDecoder:
    """Decoder of one prediction's stream; `start` passes it the prediction."""

    __slots__ = ("_created", "_id", "_model", "_started", "_state", "_target", "done")

    def __init__(self, target: Target) -> None:
        self.done = False
        """Whether `done` or ``[DONE]`` was received."""
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
                self._on_done(event.data)
            case "error":
                raise reported_failure(_json_or_text(event.data) or "the stream failed; Replicate does not say why")
            case "" | "message":
                self._on_nameless(event.data)
            case _:
                pass  # logs, and types that Replicate adds later
        return ()

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

    def _on_done(self, data: bytes) -> None:
        found = optional_object(loads_or_none(data)) or {}
        reason = found.get("reason")
        if reports_error(found):
            raise reported_failure(found)
        if reason:
            raise ended_early(as_str(reason))
        self.done = True

    def _on_nameless(self, data: bytes) -> None:
        """An event that is not Replicate's: other servers' end of a stream, or a proxy's error."""
        found = optional_object(loads_or_none(data))
        if found is not None and holds_error(found):
            raise reported_failure(found)
        # The final state shows whether the reply is complete; without it, only content does.
        self.done = data.strip() == b"[DONE]" and (self._started or self._state is not None)

    def _chunk(self, choice: ChunkChoice, native: str | None) -> ChatCompletionChunk:
        return ChatCompletionChunk(self._id, [choice], self._created, self._model, native=native)


def _json_or_text(data: bytes) -> object:
    """The JSON in bytes, or their text where they are none."""
    found = loads_or_none(data)
    return as_text(data) if found is None else found


def decoder(request: ChatRequest, target: Target) -> ReplicateStreamDecoder:
    """A new decoder for one stream."""
    return ReplicateStreamDecoder(target)
