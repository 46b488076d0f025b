"""Decoder of Cohere's stream: events → chunks in OpenAI's shape. No I/O.

https://docs.cohere.com/docs/streaming

Each piece of text, thinking or arguments becomes a chunk at once. The tool plan and Cohere's own parts are assembled
and sent with the finish reason, because chunks have no field for pieces of them.
"""

from __future__ import annotations

from typing import cast

from ...codecs import json
from ...codecs.lenient import (
    NotJSONError,
    ShapeError,
    as_object,
    as_str,
    optional_int,
    optional_object,
    optional_str,
)
from ...codecs.sse import Event
from ...errors import APIResponseError, StreamInterruptedError
from ...records import ChatRequest, JsonObject, Logprobs
from ...records.chunks import ChatCompletionChunk, ChunkChoice, Delta, FunctionDelta
from ..base import Chunks, Target
from ..shared import as_text, tool_call_delta, uses_legacy_functions
from .decode import annotation, finish_reason, native_fields, read_logprobs, read_usage
from .errors import FAILED, error_from_body


class _GrowingPart:
    """A content part that is not complete yet."""

    __slots__ = ("growing", "native", "pieces")

    def __init__(self, native: JsonObject, growing: str) -> None:
        self.native = native
        self.growing = growing
        """The field that is sent in pieces, text or thinking; "" for a part of another type."""
        self.pieces: list[str] = []


class _GrowingCall:
    """A tool call that is not complete yet."""

    __slots__ = ("function", "native", "number", "pieces")

    def __init__(self, native: JsonObject, function: JsonObject, number: int) -> None:
        self.native = native
        self.function = function
        self.number = number
        self.pieces: list[str] = []


class CohereStreamDecoder:
    """Decoder of one stream of Cohere's v2 chat API."""

    __slots__ = (
        "_calls",
        "_citations",
        "_finished",
        "_id",
        "_last",
        "_legacy",
        "_length",
        "_model",
        "_open_calls",
        "_open_parts",
        "_parts",
        "_plan",
        "_starts",
        "done",
    )

    def __init__(self, legacy: bool, model: str) -> None:
        self.done = False
        """Whether `message-end` was received."""
        self._legacy = legacy
        self._id = ""
        self._model = model
        self._parts: list[_GrowingPart] = []
        self._starts: list[int] = []
        """Offset of each part's text in the content, in characters."""
        self._open_parts: dict[int | None, _GrowingPart] = {}
        self._calls: list[_GrowingCall] = []
        self._open_calls: dict[int | None, _GrowingCall] = {}
        self._plan: list[str] = []
        self._citations: list[JsonObject] = []
        self._length = 0
        self._finished = False
        self._last = b""

    def feed(self, event: Event) -> Chunks:
        """The chunks of one event.

        Raises:
            APIStatusError: the generation failed.
            APIResponseError: the event cannot be read.
        """
        if self.done or not event.data:
            return ()
        if event.data == b"[DONE]":
            self.done = True
            return ()
        try:
            data = as_object(json.loads(event.data), "event")
            kind = optional_str(data.get("type")) or event.name
            failure = _failure(kind, data) if kind in _MAY_FAIL else None
            if failure is None:
                self._last = event.data
                return self._read(kind, data)
            problem = None
        except (ShapeError, NotJSONError) as exc:
            failure, problem = None, str(exc)
        # Raised here, so that the error's context and traceback do not hold the event.
        body = as_text(event.data)
        if failure is not None:
            raise error_from_body(failure, body=body)
        raise APIResponseError(f"an event of Cohere's stream cannot be read: {problem}", body=body)

    def finish(self) -> Chunks:
        """No chunks: all were sent.

        Raises:
            StreamInterruptedError: no finish reason was received.
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
                return self._on_call_delta(data)
            case "tool-plan-delta":
                self._plan.append(as_str(_message(data).get("tool_plan")))
                return ()
            case "content-start":
                return self._on_content(data, starts=True)
            case "tool-call-start":
                return self._on_call_start(data)
            case "tool-call-end":
                return self._on_call_end(data)
            case "citation-start":
                return self._on_citation(data)
            case "message-start":
                self._id = as_str(data.get("id"))
                return (self._chunk(Delta(role="assistant")),)
            case "message-end":
                return self._on_message_end(data)
            case _:
                return ()  # content-end, citation-end, debug, and types that Cohere adds later

    def _on_content(self, data: JsonObject, *, starts: bool) -> Chunks:
        content = optional_object(_message(data).get("content")) or {}
        index = optional_int(data.get("index"))
        part = None if starts else self._open_parts.get(index)
        if part is None:
            part = self._open_parts[index] = self._open_part(content)
        piece: str | None = None
        for name, value in content.items():
            if name == part.growing:
                piece = as_str(value)
            elif name != "type" and value is not None:
                # An unknown field comes complete, or in pieces if it is text.
                old = part.native.get(name)
                part.native[name] = old + value if isinstance(old, str) and isinstance(value, str) else value
        numbers = data.get("logprobs")
        logprobs = None if numbers is None else read_logprobs(_as_list(numbers, "logprobs"))
        if not piece and logprobs is None:
            return ()
        return (self._chunk(self._add_piece(part, piece or ""), logprobs),)

    def _open_part(self, content: JsonObject) -> _GrowingPart:
        kind = optional_str(content.get("type"))
        if kind is None:
            # No content-start came before: the type follows from the field.
            kind = "thinking" if content.get("thinking") is not None else "text"
        part = _GrowingPart({"type": kind}, kind if kind in ("text", "thinking") else "")
        self._parts.append(part)
        self._starts.append(self._length)
        return part

    def _add_piece(self, part: _GrowingPart, piece: str) -> Delta:
        part.pieces.append(piece)
        if part.growing == "text":
            self._length += len(piece)
            return Delta(content=piece or None)
        return Delta(reasoning_content=piece or None) if part.growing == "thinking" else Delta()

    def _on_call_start(self, data: JsonObject) -> Chunks:
        chunks: list[ChatCompletionChunk] = []
        index = optional_int(data.get("index"))
        for native in _as_list(_message(data).get("tool_calls"), "delta.message.tool_calls"):
            chunks += self._end_call(index)  # a reused index ends the call before
            function = optional_object(native.get("function")) or {}
            call = self._open_calls[index] = _GrowingCall(native, function, len(self._calls))
            self._calls.append(call)
            name = as_str(function.get("name"))
            piece = as_str(function.get("arguments"))
            if piece:
                call.pieces.append(piece)
            call_id = as_str(native.get("id"))
            chunks += self._call_chunks(call, FunctionDelta(name, piece), call_id)
        return chunks

    def _on_call_delta(self, data: JsonObject) -> Chunks:
        index = optional_int(data.get("index"))
        call = self._open_calls.get(index)
        chunks: list[ChatCompletionChunk] = []
        for native in _as_list(_message(data).get("tool_calls"), "delta.message.tool_calls"):
            function = optional_object(native.get("function")) or {}
            piece = as_str(function.get("arguments"))
            if not piece:
                continue
            if call is None:
                raise ShapeError("index", "the number of a tool call that has started", data.get("index"))
            call.pieces.append(piece)
            chunks += self._call_chunks(call, FunctionDelta(arguments=piece))
        return chunks

    def _on_call_end(self, data: JsonObject) -> Chunks:
        return self._end_call(optional_int(data.get("index")))

    def _end_call(self, index: int | None) -> Chunks:
        """Completes a call. One without arguments gets {}, as in complete replies, where streams send nothing."""
        call = self._open_calls.pop(index, None)
        if call is None:
            return ()
        chunks = () if call.pieces else self._call_chunks(call, FunctionDelta(arguments="{}"))
        call.function["arguments"] = "".join(call.pieces) or "{}"
        return chunks

    def _call_chunks(self, call: _GrowingCall, function: FunctionDelta, call_id: str | None = None) -> Chunks:
        delta = tool_call_delta(call.number, function, call_id, legacy=self._legacy)
        return () if delta is None else (self._chunk(delta),)

    def _on_citation(self, data: JsonObject) -> Chunks:
        path = "delta.message.citations"
        cited = _as_list(_message(data).get("citations"), path)
        self._citations += cited
        annotations = [annotation(citation, self._starts, path).to_dict() for citation in cited]
        return (self._chunk(Delta(annotations=annotations)),) if annotations else ()

    def _on_message_end(self, data: JsonObject) -> Chunks:
        delta = optional_object(data.get("delta")) or {}
        reason = optional_str(delta.get("finish_reason"))
        usage = read_usage(optional_object(delta.get("usage")))
        self.done = True
        if reason is None:
            return ()
        self._finished = True
        chunks = [chunk for index in tuple(self._open_calls) for chunk in self._end_call(index)]
        last = ChunkChoice(
            0,
            Delta(provider_specific_fields=self._native()),
            finish_reason(reason, self._legacy),
            read_logprobs(_as_list(delta.get("logprobs"), "delta.logprobs")),
            reason,
        )
        chunks.append(ChatCompletionChunk(self._id, [last], 0, self._model, native=self._last))
        if usage is not None:
            chunks.append(ChatCompletionChunk(self._id, [], 0, self._model, usage=usage, native=self._last))
        return chunks

    def _native(self) -> JsonObject | None:
        for part in self._parts:
            if part.growing:
                part.native[part.growing] = "".join(part.pieces)
        calls = [call.native | {"function": call.function} for call in self._calls] if self._legacy else []
        return native_fields([part.native for part in self._parts], "".join(self._plan), self._citations, calls)

    def _chunk(self, delta: Delta, logprobs: Logprobs | None = None) -> ChatCompletionChunk:
        return ChatCompletionChunk(self._id, [ChunkChoice(0, delta, None, logprobs)], 0, self._model, native=self._last)


_MAY_FAIL = ("message-end", "")


def _failure(kind: str, data: JsonObject) -> JsonObject | None:
    """The object that describes the error, if this event is one."""
    if kind == "message-end":
        delta = optional_object(data.get("delta")) or {}
        reason = optional_str(delta.get("finish_reason"))
        if delta.get("error") is not None or reason in FAILED:
            return delta
    elif isinstance(data.get("message") or data.get("error"), str):
        # An error body without a status, as proxies and servers send it when they fail within a stream.
        return data
    return None


def _message(data: JsonObject) -> JsonObject:
    delta = optional_object(data.get("delta")) or {}
    return optional_object(delta.get("message")) or {}


def _as_list(value: object, path: str) -> list[JsonObject]:
    """The objects of a list; streams have one object where replies have a list."""
    if isinstance(value, list):
        return [as_object(item, f"{path}[{i}]") for i, item in enumerate(cast("list[object]", value))]
    return [] if value is None else [as_object(value, path)]


def decoder(request: ChatRequest, target: Target) -> CohereStreamDecoder:
    """A new decoder for one stream."""
    return CohereStreamDecoder(uses_legacy_functions(request), target.model)
