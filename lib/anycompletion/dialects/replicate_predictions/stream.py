"""A prediction's stream as OpenAI's chunks, piece by piece; asks for no bytes and keeps no text.

https://replicate.com/docs/topics/predictions/streaming
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias, cast

from ...codecs import json
from ...codecs.lenient import NotJSONError, ShapeError
from ...codecs.sse import Event
from ...errors import StreamInterruptedError
from ...http import HttpResponse
from ...records import ChatRequest, JsonObject
from ...records.chunks import ChatCompletionChunk, ChunkChoice, Delta
from ..base import Continuation, Target
from .decode import poll, prediction_of
from .errors import ended_early, error_event, unreadable

Chunks: TypeAlias = Sequence[ChatCompletionChunk]


class ReplicateStreamDecoder:
    """The decoder of one stream; `start` tells it which prediction the stream belongs to."""

    __slots__ = ("_created", "_id", "_model", "_started", "_state", "_target", "done")

    def __init__(self, target: Target) -> None:
        self.done = False
        """True once `done` was seen."""
        self._target = target
        self._id = ""
        self._model = target.model
        self._created = 0
        self._started = False
        self._state: Continuation | None = None

    def start(self, prediction: HttpResponse) -> None:
        """The answer to the creation of the prediction, from which the stream's URL was taken.

        Raises:
            APIResponseError: it is no prediction.
        """
        found = prediction_of(prediction)
        self._id = found.id
        self._model = found.model or self._model
        self._created = int(found.created or 0)
        try:
            self._state = poll(found, self._target, 0.0)
        except ShapeError as fault:
            problem = str(fault)
        else:
            return
        raise unreadable(problem, prediction)

    def feed(self, event: Event) -> Chunks:
        """The chunks of one event.

        Raises:
            APIStatusError: the event is an error, or the end for another reason than its own.
        """
        if self.done:
            return ()
        match event.name:
            case "output":
                return self._on_output(event.data.decode("utf-8", "replace"))
            case "done":
                self._on_done(event)
                return ()
            case "error":
                raise error_event(_json(event.data), event.data.decode("utf-8", "replace"))
            case _:
                return ()  # logs, and what Replicate may add

    def finish(self) -> Chunks | Continuation:
        """After `done`: the question for the prediction's true state and usage, or where it is not known which
        prediction this was, the finish chunk that `done` itself stands for.

        Raises:
            StreamInterruptedError: there was no `done`.
        """
        if not self.done:
            raise StreamInterruptedError("the stream ended before the provider said why it stopped")
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
        data = _json(event.data)
        reason = cast("JsonObject", data).get("reason") if isinstance(data, dict) else None
        if reason is not None:
            raise ended_early(str(reason))
        self.done = True

    def _chunk(self, choice: ChunkChoice, native: str | None) -> ChatCompletionChunk:
        return ChatCompletionChunk(self._id, [choice], self._created, self._model, native=native)


def _json(data: bytes) -> Any:
    """What an event says beside text; one that is no JSON says nothing."""
    try:
        return json.loads(data)
    except NotJSONError:
        return None


def decoder(request: ChatRequest, target: Target) -> ReplicateStreamDecoder:
    """A decoder for one stream."""
    return ReplicateStreamDecoder(target)
