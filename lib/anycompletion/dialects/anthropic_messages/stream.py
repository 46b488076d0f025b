"""Decoder of Anthropic's stream: events → chunks in OpenAI's shape. No I/O.

https://docs.anthropic.com/en/api/messages-streaming

Each delta becomes a chunk at once. The native blocks are assembled as well, because only at the end it is known whether
OpenAI's fields express them exactly. A block's citations are sent at its end, when their place in the text is known.
"""

from __future__ import annotations

from ...codecs import json
from ...codecs.lenient import (
    NotJSONError,
    ShapeError,
    as_object,
    as_str,
    optional_object,
    optional_objects,
    optional_str,
    unknown_fields,
)
from ...codecs.sse import Event
from ...errors import APIResponseError, StreamInterruptedError
from ...records import ChatRequest, JsonObject
from ...records.chunks import ChatCompletionChunk, ChunkChoice, Delta, FunctionDelta, tool_call_delta
from ..base import Chunks, Target
from ..shared import EMPTY_EVENTS, as_text, loads_or_none, uses_legacy_functions, without_nulls
from .anthropic_text_deltas import plain_text
from .decode import MESSAGE_FIELDS, PAUSED, annotation, finish_reason, read_message, read_usage, refusal, stop_extras
from .errors import error_from_body, error_in_event, error_in_value
from .growing_blocks import AnthropicGrowingBlock, AnthropicStreamBlocks
from .message_blocks import NATIVE_CONTENT
from .native_types import DELTA_TARGETS, delta_type, event_type
from .reply_blocks import read_block, read_citations
from .stream_usage import merge_usage

_DELTA_EVENT = frozenset({"type", "delta", "usage", *MESSAGE_FIELDS})
"""Fields of `message_delta` that are read; others belong to the message."""


class AnthropicStreamDecoder:
    """Decoder of one stream of Anthropic's Messages API."""

    __slots__ = (
        "_blocks",
        "_earlier_reason",
        "_end",
        "_extra",
        "_finished",
        "_has_cut_input",
        "_id",
        "_last",
        "_legacy",
        "_length",
        "_model",
        "_native_sent",
        "_reason",
        "_usage",
        "_usage_sent",
        "done",
    )

    def __init__(self, legacy: bool, model: str) -> None:
        self.done = False
        """Whether `message_stop`, or OpenAI's `[DONE]`, was received."""
        self._legacy = legacy
        self._id = ""
        self._model = model
        self._blocks = AnthropicStreamBlocks()
        self._length = 0
        """Characters of the content so far."""
        self._reason: str | None = None
        self._earlier_reason: str | None = None
        """The stop reason in `message_start`, or one that content followed; used only after the end marker."""
        self._end: JsonObject = {}
        """What is reported of the end besides the reason."""
        self._extra: JsonObject = {}
        """Fields of the message beyond those that are read; sent with the last chunk."""
        self._finished = False
        """Whether the finish reason was sent."""
        self._native_sent = 0
        """Native blocks that were sent with an earlier finish reason."""
        self._usage: JsonObject = {}
        self._usage_sent = False
        self._has_cut_input = False
        """Whether a call's arguments were cut off: such blocks cannot be sent back in any form."""
        self._last = b""

    def feed(self, event: Event) -> Chunks:
        """The chunks of one event.

        Raises:
            APIStatusError: the event is an error.
            APIResponseError: the event cannot be read.
        """
        if self.done:
            return ()
        block = self._blocks.current
        if block is not None and block.grows == "text" and (piece := plain_text(event.data, block.index)):
            block.pieces.append(piece)
            self._length += len(piece)
            self._last = event.data
            return (self._chunk(Delta(None, piece), piece),)
        failure: object = None
        problem = ""
        try:
            data: JsonObject = json.loads(event.data)
            if data.__class__ is not dict:
                failure = error_in_value(data)
                data = {} if failure else as_object(data, "event")
            kind = data.get("type")
            if kind != "content_block_delta" or "error" in data:
                kind = event_type(data, event.name)
                failure = failure or error_in_event(kind, data)
            if failure is None:
                self._last = event.data
                return self._read(kind, data)
        except (ShapeError, NotJSONError) as exc:
            problem = str(exc)
        if problem:
            self.done = event.data.strip() == b"[DONE]"
            if self.done or event.name == "ping" or event.data.strip() in EMPTY_EVENTS:
                return ()  # the end of OpenAI's streams, or an event without content
            failure = as_text(event.data) if event.name == "error" else None
        body = as_text(event.data)  # raised here, so that the error's context and traceback do not hold the event
        if failure is not None:
            raise error_from_body(failure, body=body)
        raise _unreadable_event(problem, body)

    def finish(self) -> Chunks:
        """The last chunks: the finish reason and the usage, where they were not sent yet.

        Raises:
            StreamInterruptedError: no stop reason was received, and no end marker after content.
            APIResponseError: the assembled blocks cannot be read.
        """
        self._reason = self._reason or (self._earlier_reason if self.done else None)
        if self._reason is None and not (self.done and self._blocks.have_content()):
            raise StreamInterruptedError("the stream ended before the provider sent a finish reason")
        try:
            return [*self._finish_chunks(), *self._last_chunk()]
        except ShapeError as exc:
            problem = str(exc)
        raise _unreadable_event(problem)

    # --- events -------------------------------------------------------------------------------------------------------

    def _read(self, kind: str, data: JsonObject) -> Chunks:
        match kind:
            case "content_block_delta":
                return self._on_block_delta(data)
            case "content_block_start":
                return self._on_block_start(data)
            case "content_block_stop":
                return self._on_block_stop(data)
            case "message_start":
                return self._on_message_start(data)
            case "message_delta":
                return self._on_message_delta(data)
            case "message_stop":
                return self._on_message_stop(data)
            case _:
                return ()  # ping, and types that Anthropic adds later

    def _on_message_start(self, data: JsonObject) -> Chunks:
        message = optional_object(data.get("message")) or {}
        self._id = optional_str(message.get("id")) or ""
        self._model = optional_str(message.get("model")) or self._model
        self._earlier_reason = optional_str(message.get("stop_reason"))
        self._end.update(stop_extras(message))
        self._add_extra(unknown_fields(message, MESSAGE_FIELDS))
        self._update_usage(message)
        chunks = [self._chunk(Delta(role="assistant"))]
        # Usually empty; a turn that a server tool resumes can start with complete blocks.
        for native in optional_objects(message.get("content")) or ():
            block = self._blocks.open(dict(read_block(native, "content")), None, self._length)
            chunks += [*self._start_chunks(block), *self._close(block)]
        return chunks

    def _on_block_start(self, data: JsonObject) -> Chunks:
        self._continue()
        native = read_block(data.get("content_block"), "content_block")
        ended = self._blocks.replaced_by(native, data.get("index"))
        chunks = () if ended is None else self._close(ended)
        block = self._blocks.open(dict(native), data.get("index"), self._length)
        return [*chunks, *self._start_chunks(block)]

    def _on_block_delta(self, data: JsonObject) -> Chunks:
        delta: JsonObject = data.get("delta")  # type: ignore[assignment]  # checked in the next line
        if delta.__class__ is not dict:
            delta = as_object(delta, "delta")
        kind: str = delta.get("type", "")
        if kind.__class__ is not str or not kind:
            kind = delta_type(delta)
        if not kind:
            raise ShapeError("delta.type", "a type of Anthropic's deltas", delta.get("type"))
        index = data.get("index")
        block = self._blocks.current
        if block is None or block.index != index or block.grows != DELTA_TARGETS.get(kind):
            block = self._blocks.of_delta(kind, index, self._length)
            if block is None:
                return ()  # of a type that Anthropic adds later, in a block that has not started
            self._continue()
        found = self._add(block, kind, delta)
        return () if found is None else (self._chunk(found),)

    def _on_block_stop(self, data: JsonObject) -> Chunks:
        block = self._blocks.ended_by(data.get("index"))
        return () if block is None else self._close(block)

    def _on_message_delta(self, data: JsonObject) -> Chunks:
        self._update_usage(data)
        delta = as_object(data.get("delta") or {}, "delta")
        self._reason = optional_str(delta.get("stop_reason")) or self._reason
        self._end.update(stop_extras(delta))
        self._add_extra(unknown_fields(delta, MESSAGE_FIELDS))
        self._add_extra(unknown_fields(data, _DELTA_EVENT))
        return () if self._reason is None else self._finish_chunks()

    def _on_message_stop(self, data: JsonObject) -> Chunks:
        self.done = True
        self._reason = self._reason or self._earlier_reason
        self._add_extra(unknown_fields(data, _DELTA_EVENT))
        return () if self._reason is None else [*self._finish_chunks(), *self._last_chunk()]

    # --- blocks -------------------------------------------------------------------------------------------------------

    def _start_chunks(self, block: AnthropicGrowingBlock) -> Chunks:
        native = block.native
        match native.get("type"):
            case "text":
                block.citations += native.get("citations") or ()
                delta = self._add_text(block, native["text"])
            case "thinking":
                thought = native["thinking"]
                block.pieces.append(thought)
                delta = Delta(reasoning_content=thought or None, thinking_blocks=[{"index": block.number, **native}])
            case "redacted_thinking":
                delta = Delta(thinking_blocks=[{"index": block.number, **native}])
            case "tool_use":
                delta = self._call(block, FunctionDelta(native["name"], ""), native["id"])
            case _:
                delta = None
        return () if delta is None else (self._chunk(delta),)

    def _close(self, block: AnthropicGrowingBlock) -> Chunks:
        self._blocks.close(block)
        native = block.native
        match native.get("type"):
            case "text":
                delta = self._annotations(block)
            case "thinking":
                delta = None
            case _:
                delta = self._close_input(block)
        return () if delta is None else (self._chunk(delta),)

    def _close_input(self, block: AnthropicGrowingBlock) -> Delta | None:
        """Sets a call's input: the JSON of its pieces, or without pieces the input that the block started with."""
        native = block.native
        if block.pieces:
            value = loads_or_none("".join(block.pieces).encode("utf-8", "replace"))
            native["input"] = value if isinstance(value, dict) else {}
            self._has_cut_input = self._has_cut_input or not isinstance(value, dict)
            return None
        if native.get("type") != "tool_use":
            return None
        arguments = json.dumps(as_object(native.get("input") or {}, "content_block.input")).decode()
        return self._call(block, FunctionDelta(arguments=arguments))

    def _annotations(self, block: AnthropicGrowingBlock) -> Delta | None:
        if not block.citations:
            return None
        block.native["citations"] = block.citations
        end = block.start + sum(map(len, block.pieces))
        return Delta(annotations=[annotation(cited, block.start, end).to_dict() for cited in block.citations])

    # --- deltas -------------------------------------------------------------------------------------------------------

    def _add(self, block: AnthropicGrowingBlock, kind: str, delta: JsonObject) -> Delta | None:
        match kind:
            case "text_delta":
                return self._add_text(block, as_str(delta.get("text")))
            case "input_json_delta":
                return self._add_input(block, as_str(delta.get("partial_json")))
            case "thinking_delta":
                return self._add_thinking(block, as_str(delta.get("thinking")))
            case "signature_delta":
                return self._add_signature(block, as_str(delta.get("signature")))
            case "citations_delta":
                block.citations += read_citations(delta.get("citation"))
                return None
            case _:
                return self._add_unknown(block, delta)

    def _add_text(self, block: AnthropicGrowingBlock, piece: str) -> Delta | None:
        if not piece:
            return None
        block.pieces.append(piece)
        self._length += len(piece)
        return Delta(content=piece)

    def _add_thinking(self, block: AnthropicGrowingBlock, piece: str) -> Delta | None:
        if not piece:
            return None
        block.pieces.append(piece)
        return Delta(
            reasoning_content=piece,
            thinking_blocks=[{"index": block.number, "type": "thinking", "thinking": piece}],
        )

    def _add_signature(self, block: AnthropicGrowingBlock, piece: str) -> Delta | None:
        if not piece:
            return None
        block.native["signature"] = (block.native.get("signature") or "") + piece
        return Delta(thinking_blocks=[{"index": block.number, "signature": piece}])

    def _add_input(self, block: AnthropicGrowingBlock, piece: str) -> Delta | None:
        if not piece:
            return None
        block.pieces.append(piece)
        return self._call(block, FunctionDelta(arguments=piece)) if block.native.get("type") == "tool_use" else None

    def _add_unknown(self, block: AnthropicGrowingBlock, delta: JsonObject) -> Delta | None:
        fields = block.keep(delta)
        if not fields or block.native.get("type") not in ("thinking", "redacted_thinking"):
            return None
        return Delta(thinking_blocks=[{"index": block.number, **fields}])

    def _call(self, block: AnthropicGrowingBlock, function: FunctionDelta, call_id: str | None = None) -> Delta | None:
        # Calls that the legacy form has no place for are in the native blocks.
        return tool_call_delta(block.number, function, call_id, legacy=self._legacy)

    # --- ends ---------------------------------------------------------------------------------------------------------

    def _continue(self) -> None:
        """Forgets the stop reason, because what comes after it shows that this was not the end."""
        if self._finished:
            self._finished = False
            self._earlier_reason, self._reason = self._reason, None

    def _finish_chunks(self) -> Chunks:
        if self._finished:
            return ()
        self._finished = True
        chunks = [chunk for block in self._blocks.still_open() for chunk in self._close(block)]
        explained = refusal(self._reason, self._end.get("stop_details"))
        delta = Delta(refusal=explained, provider_specific_fields=self._native())
        last = ChunkChoice(0, delta, finish_reason(self._reason, self._legacy), None, self._reason)
        last.extra, last.paused = stop_extras(self._end) or None, self._reason == PAUSED
        return [*chunks, ChatCompletionChunk(self._id, [last], 0, self._model, native=self._last)]

    def _native(self) -> JsonObject | None:
        if self._has_cut_input:
            return None
        content = self._blocks.native()
        fields = read_message(content, self._legacy).provider_specific_fields
        if fields is None:
            return None
        sent, self._native_sent = self._native_sent, len(content)
        return {NATIVE_CONTENT: content[sent:]}

    def _update_usage(self, data: JsonObject) -> None:
        usage = optional_object(data.get("usage"))
        if usage is not None:
            merge_usage(self._usage, usage)

    def _add_extra(self, fields: JsonObject) -> None:
        if fields:
            self._extra.update(without_nulls(fields))

    def _last_chunk(self) -> Chunks:
        if self._usage_sent or not (self._usage or self._extra):
            return ()
        self._usage_sent = True
        return [
            ChatCompletionChunk(
                self._id,
                [],
                0,
                self._model,
                usage=read_usage(self._usage) if self._usage else None,
                service_tier=optional_str(self._usage.get("service_tier")),
                extra=self._extra or None,
                native=self._last,
            )
        ]

    def _chunk(self, delta: Delta, text: str | None = None) -> ChatCompletionChunk:
        choices, native = [ChunkChoice(0, delta)], self._last
        return ChatCompletionChunk(self._id, choices, 0, self._model, native=native, _only_text=text)


def _unreadable_event(problem: str, body: str | None = None) -> APIResponseError:
    return APIResponseError(f"an event of Anthropic's stream cannot be read: {problem}", body=body)


def decoder(request: ChatRequest, target: Target) -> AnthropicStreamDecoder:
    """A new decoder for one stream."""
    return AnthropicStreamDecoder(uses_legacy_functions(request), target.model)
