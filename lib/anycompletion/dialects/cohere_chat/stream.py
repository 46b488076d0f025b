"""Decoder of Cohere's stream: events → chunks in OpenAI's shape. No I/O.

https://docs.cohere.com/docs/streaming

Each piece of text, thinking or arguments becomes a chunk at once. The tool plan and Cohere's own parts are assembled
and sent with the finish reason, because chunks have no field for pieces of them.
"""

from __future__ import annotations

from typing import Any

from ...codecs import json
from ...codecs.lenient import (
    NotJSONError,
    ShapeError,
    as_object,
    as_str,
    optional_int,
    optional_object,
    optional_objects,
    optional_str,
    unknown_fields,
)
from ...codecs.sse import Event
from ...errors import APIResponseError, APIStatusError, StreamInterruptedError
from ...records import ChatRequest, JsonObject
from ...records.chunks import ChatCompletionChunk, ChunkChoice, Delta
from ...records.logprobs import Logprobs
from ..base import Chunks, Target
from ..shared import as_text, uses_legacy_functions, without_nulls
from .cohere_calls import CohereCalls
from .cohere_events import TYPES, calls_of_event, delta_of_event, message_of_event, type_of_event
from .cohere_parts import CohereParts
from .decode import MESSAGE_FIELDS, annotation, content_items, finish_reason, native_fields, read_logprobs, read_usage
from .errors import error_of_reply


class CohereStreamDecoder:
    """Decoder of one stream of Cohere's v2 chat API."""

    __slots__ = (
        "_calls",
        "_citations",
        "_finished",
        "_id",
        "_last",
        "_legacy",
        "_model",
        "_parts",
        "_plan",
        "done",
    )

    def __init__(self, legacy: bool, model: str) -> None:
        self.done = False
        """Whether `message-end` or ``[DONE]`` was received."""
        self._legacy = legacy
        self._id = ""
        self._model = model
        self._parts = CohereParts()
        self._calls = CohereCalls(legacy)
        self._plan: list[str] = []
        self._citations: list[JsonObject] = []
        self._finished = False
        self._last = b""

    def feed(self, event: Event) -> Chunks:
        """The chunks of one event.

        Raises:
            APIStatusError: the generation failed.
            APIResponseError: the event cannot be read.
        """
        if self.done:
            return ()
        failure: APIStatusError | None = None
        problem = ""
        try:
            data = json.loads(event.data)
            if data.__class__ is not dict:
                data = _object_in(data)
            kind = data.get("type")
            if kind.__class__ is not str or kind not in TYPES:
                kind = type_of_event(data, event.name)
            if kind in _ENDS or "error" in data or "errors" in data:
                failure = _failure(kind, data, event)
            if failure is None:
                self._last = event.data
                return self._read(kind, data)
        except NotJSONError as exc:
            text = event.data.strip()
            if not text or text == b"[DONE]":
                return self._end({}) if text else ()
            problem = str(exc)
            failure = error_of_reply(as_text(text), event.data) if event.name == "error" else None
        except ShapeError as exc:
            problem = str(exc)
        # Raised here, so that the error's context and traceback do not hold the event.
        raise failure or APIResponseError(
            f"an event of Cohere's stream cannot be read: {problem}", body=as_text(event.data)
        )

    def finish(self) -> Chunks:
        """No chunks: all were sent.

        Raises:
            StreamInterruptedError: neither a finish reason nor an end after content was received.
        """
        if not self._finished:
            raise StreamInterruptedError("the stream ended before the provider sent a finish reason")
        return ()

    # --- events -------------------------------------------------------------------------------------------------------

    def _read(self, kind: str, data: JsonObject) -> Chunks:
        match kind:
            case "content-delta":
                return self._on_content(data, starts=False)
            case "tool-call-delta":
                return self._on_call(data, starts=False)
            case "tool-plan-delta":
                self._add_plan(message_of_event(data))
                return ()
            case "content-start":
                return self._on_content(data, starts=True)
            case "tool-call-start":
                return self._on_call(data, starts=True)
            case "tool-call-end":
                return [*map(self._chunk, self._calls.end(optional_int(data.get("index"))))]
            case "citation-start":
                return self._on_citation(data)
            case "message-start":
                return self._on_start(data)
            case "message-end":
                return self._end(data)
            case _:
                return ()  # content-end, citation-end, debug, and types that Cohere adds later

    def _on_start(self, data: JsonObject) -> Chunks:
        self._id = optional_str(data.get("id")) or ""
        delta = optional_object(data.get("delta")) or {}
        message = optional_object(delta.get("message")) or {}
        chunk = self._chunk(Delta("assistant", extra=_extra(message, MESSAGE_FIELDS)))
        chunk.extra = _extra(data, _START_FIELDS)
        return (chunk,)

    def _add_plan(self, message: JsonObject) -> None:
        piece = as_str(message.get("tool_plan"))
        if piece:
            self._plan.append(piece)

    def _on_content(self, data: JsonObject, *, starts: bool) -> Chunks:
        content: Any = message_of_event(data).get("content")
        items = (content,) if content.__class__ is dict else content_items(content, "delta.message.content")
        index, delta = optional_int(data.get("index")), Delta()
        add = self._parts.begin if starts else self._parts.add
        for item in items:
            add(index, item, delta)
        numbers = data.get("logprobs")
        logprobs = None if numbers is None else read_logprobs(numbers)
        if delta.content is None and delta.reasoning_content is None and logprobs is None:
            return ()
        return (self._chunk(delta, logprobs),)

    def _on_call(self, data: JsonObject, *, starts: bool) -> Chunks:
        index = optional_int(data.get("index"))
        add = self._calls.begin if starts else self._calls.add
        chunks: list[ChatCompletionChunk] = []
        for native in calls_of_event(data):
            chunks += map(self._chunk, add(index, native))
        return chunks

    def _on_citation(self, data: JsonObject) -> Chunks:
        cited = optional_objects(message_of_event(data).get("citations")) or []
        self._citations += cited
        annotations = [annotation(citation, self._parts.starts).to_dict() for citation in cited]
        return (self._chunk(Delta(annotations=annotations)),) if annotations else ()

    def _end(self, data: JsonObject) -> Chunks:
        """The last chunks: an explicit end without a finish reason counts if there was content."""
        delta = delta_of_event(data)
        reason = optional_str(delta.get("finish_reason"))
        self.done = True
        if reason is None and not (self._calls or self._plan or self._parts.have_text):
            return ()
        self._finished = True
        chunks = [*map(self._chunk, self._calls.end_all())]
        last = ChunkChoice(
            0,
            Delta(provider_specific_fields=self._native()),
            finish_reason(reason, self._legacy),
            read_logprobs(delta.get("logprobs")),
            reason,
        )
        extra = _extra(delta, _END_FIELDS)
        chunks.append(ChatCompletionChunk(self._id, [last], 0, self._model, extra=extra, native=self._last))
        usage = read_usage(delta.get("usage"))
        if usage is not None:
            chunks.append(ChatCompletionChunk(self._id, [], 0, self._model, usage=usage, native=self._last))
        return chunks

    def _native(self) -> JsonObject | None:
        calls = self._calls.as_sent() if self._legacy else []
        return native_fields(self._parts.as_sent(), "".join(self._plan), self._citations, calls)

    def _chunk(self, delta: Delta, logprobs: Logprobs | None = None) -> ChatCompletionChunk:
        return ChatCompletionChunk(self._id, [ChunkChoice(0, delta, None, logprobs)], 0, self._model, native=self._last)


_ENDS = frozenset(("message-end", "error", ""))
"""Types of events that may report an error without a field `error`."""
_START_FIELDS = frozenset(("type", "id", "delta", "index"))
_END_FIELDS = frozenset(("message", "finish_reason", "usage", "logprobs", "error", "errors", "error_type"))


def _extra(source: JsonObject, known: frozenset[str]) -> JsonObject | None:
    """The fields that replies have in `extra`; None for none."""
    return without_nulls(unknown_fields(source, known)) or None


def _object_in(value: object) -> JsonObject:
    """The object in an event's JSON of another type; a text or a list is an error, and null is nothing."""
    if value is None:
        return {}
    found = optional_object(value)
    if found is None and value and isinstance(value, (str, list)):
        return {"error": value}
    return as_object(found, "event")


def _failure(kind: str, data: JsonObject, event: Event) -> APIStatusError | None:
    """The exception, if this event reports an error."""
    around = {name: value for name, value in data.items() if name not in ("type", "delta")}
    if kind == "message-end":
        # With a finish reason, even an empty one, any other field may be one that Cohere adds later.
        end = {"finish_reason": "", **around, **without_nulls(delta_of_event(data))}
        return error_of_reply(end, event.data)
    if kind == "error":
        return error_of_reply(around | {"type": "error"}, event.data)
    if (kind or isinstance(data.get("type"), str)) and not (data.get("error") or data.get("errors")):
        return None
    # An error body without a status, as proxies and servers send it when they fail within a stream.
    return error_of_reply(around, event.data)


def decoder(request: ChatRequest, target: Target) -> CohereStreamDecoder:
    """A new decoder for one stream."""
    return CohereStreamDecoder(uses_legacy_functions(request), target.model)
