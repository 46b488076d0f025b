"""Decoder of Bedrock's ConverseStream: events → chunks in OpenAI's shape. No I/O.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html

Each piece of text, reasoning or input becomes a chunk at once. The content blocks are assembled as well, because only
at the end it is known whether OpenAI's fields express them exactly. Citations and signed reasoning are sent when their
block ends. `messageStop` ends a reply; the usage follows it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ...codecs import json
from ...codecs.aws_eventstream import AwsEvent
from ...codecs.lenient import (
    NotJSONError,
    ShapeError,
    as_object,
    as_str,
    optional_int,
    optional_object,
    optional_objects,
    optional_str,
)
from ...codecs.sse import Event
from ...errors import APIResponseError, APIStatusError, StreamInterruptedError
from ...http import Headers
from ...records import ChatRequest, JsonObject
from ...records.chunks import ChatCompletionChunk, ChunkChoice, Delta, FunctionDelta, tool_call_delta
from ..base import Chunks, Target
from ..shared import as_text, uses_legacy_functions
from .bedrock_models import BedrockModelFamily, model_family
from .converse_blocks import annotation, image_parts, is_server_tool, read_message, read_tool_use, thinking_block
from .converse_stream_blocks import STARTED_KINDS, BedrockGrowingBlock, BedrockStreamBlocks
from .converse_text_deltas import decode_text_delta
from .decode import FAILED, finish_reason, read_usage, reply_extra, reply_id, service_tier
from .errors import error_in_event, error_in_reply, error_named, failed_generation


class BedrockStreamDecoder:
    """Decoder of one stream of Bedrock's ConverseStream."""

    __slots__ = (
        "_additional",
        "_blocks",
        "_family",
        "_finished",
        "_id",
        "_last",
        "_legacy",
        "_length",
        "_metadata_received",
        "_model",
        "_skipped",
        "_thoughts",
        "done",
    )

    def __init__(self, legacy: bool, model: str) -> None:
        self.done = False
        """Whether both `messageStop` and `metadata` were received."""
        self._legacy = legacy
        self._model = model
        self._family: BedrockModelFamily = model_family(model)
        self._id = ""
        self._blocks = BedrockStreamBlocks()
        self._length = 0
        """Characters of the content so far."""
        self._skipped = ""
        """The first kind of content that is unknown."""
        self._thoughts = 0
        """Thinking blocks that were sent."""
        self._finished = False
        """Whether `messageStop` was received."""
        self._metadata_received = False
        """Whether `metadata` was received."""
        self._additional: object = None
        self._last = b""

    def read_headers(self, headers: Headers) -> None:
        """Reads the headers of the stream, which have the id of the reply."""
        self._id = reply_id(headers)

    def feed(self, event: Event) -> Chunks:
        """The chunks of one event.

        Raises:
            APIStatusError: the event is an exception, or the generation failed.
            APIResponseError: the event cannot be read.
        """
        if self.done:
            return ()
        failure: APIStatusError | None = None
        problem = ""
        if isinstance(event, AwsEvent) and event.message_type != "event":
            failure = error_in_event(event)
        else:
            block = self._blocks.current
            if block is not None and block.kind == "text" and event.name == "contentBlockDelta":
                chunk = self._plain_chunk(block, event.data)
                if chunk is not None:
                    return (chunk,)
            try:
                data: JsonObject = json.loads(event.data)
                if data.__class__ is not dict:
                    data = as_object(data, "event")
                self._last = event.data
                return self._read(event.name, data)
            except (ShapeError, NotJSONError) as exc:
                problem = str(exc)
            except APIStatusError as exc:
                failure = exc
        # Raised here, so that the error's context and traceback do not hold the event.
        raise failure or APIResponseError(
            f"an event of Bedrock's stream cannot be read: {problem}", body=as_text(event.data)
        )

    def finish(self) -> Chunks:
        """No chunks: all were sent.

        Raises:
            StreamInterruptedError: `messageStop` was not received.
        """
        if not self._finished:
            raise StreamInterruptedError("the stream ended before the provider sent a stop reason")
        return ()

    # --- events -------------------------------------------------------------------------------------------------------

    def _plain_chunk(self, block: BedrockGrowingBlock, data: bytes) -> ChatCompletionChunk | None:
        """The chunk of an event that is nothing but a piece of the text of `block`; None for all others."""
        try:
            event = decode_text_delta(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        piece = event.delta.text
        if not piece or event.content_block_index != self._blocks.current_index:
            return None
        block.pieces.append(piece)
        self._length += len(piece)
        self._last = data
        choices = [ChunkChoice(0, Delta(None, piece))]
        return ChatCompletionChunk(self._id, choices, 0, self._model, native=data, _only_text=piece)

    def _read(self, name: str, data: JsonObject) -> Chunks:
        match name:
            case "contentBlockDelta":
                return self._on_delta(data)
            case "contentBlockStop":
                closed = self._blocks.close(optional_int(data.get("contentBlockIndex")))
                return self._close(closed)
            case "contentBlockStart":
                return self._on_start(data)
            case "messageStart":
                return (self._chunk(Delta("assistant")),)
            case "messageStop":
                return self._on_stop(data)
            case "metadata":
                return self._on_metadata(data)
            case _:
                failure = error_named(name, data, self._last) if name else error_in_reply(data, {}, as_text(self._last))
                if failure is not None:
                    raise failure
                return ()  # a type that Bedrock adds later

    def _on_start(self, data: JsonObject) -> Chunks:
        start = as_object(data.get("start") or {}, "start")
        kind = next((kind for kind in STARTED_KINDS if start.get(kind) is not None), None)
        if kind is None:
            return ()  # text and reasoning begin with their first delta
        index = optional_int(data.get("contentBlockIndex"))
        chunks = self._close(self._blocks.close_numbered(index))
        if kind != "toolUse":
            self._blocks.open(kind, index, dict(optional_object(start[kind]) or {}), self._length)
            return chunks
        native = dict(read_tool_use(start[kind], "start.toolUse"))
        block = self._blocks.open(kind, index, native, self._length, numbered=not is_server_tool(native))
        return [*chunks, *self._call(block, FunctionDelta(native["name"], ""), native["toolUseId"])]

    def _on_delta(self, data: JsonObject) -> Chunks:
        delta: Any = data.get("delta")
        if delta.__class__ is not dict:
            if delta is None:
                return ()
            delta = as_object(delta, "delta")
        index = data.get("contentBlockIndex")
        if len(delta) == 1:
            ((kind, value),) = delta.items()
            return self._add_member(kind, value, index)
        return [chunk for kind, value in delta.items() for chunk in self._add_member(kind, value, index)]

    def _add_member(self, kind: str, value: Any, index: object) -> Chunks:
        """Adds one member of a delta; some servers write all of them, and leave those of other kinds empty."""
        if value is None or value == "":
            return ()
        match kind:
            case "text":
                return self._add_text(self._block(kind, index), as_str(value))
            case "toolUse":
                return self._add_input(self._block(kind, index), value)
            case "reasoningContent":
                return self._add_reasoning(self._block(kind, index), value)
            case "citation":
                self._block("text", index).citations += optional_objects(value) or ()
            case "toolResult":
                self._block(kind, index).items += optional_objects(value) or ()
            case "image":
                self._block(kind, index).native.update(optional_object(value) or {})
            case _:
                self._skipped = self._skipped or kind  # a kind that Bedrock adds later
        return ()

    def _block(self, kind: str, index: object) -> BedrockGrowingBlock:
        """The block that a delta belongs to."""
        block = self._blocks.current
        if block is not None and block.kind == kind and self._blocks.current_index == index:
            return block
        return self._blocks.of_delta(kind, optional_int(index), self._length)

    def _on_stop(self, data: JsonObject) -> Chunks:
        if self._finished:
            return ()
        reason = optional_str(data.get("stopReason"))
        if reason in FAILED:
            raise failed_generation(reason)
        if self._skipped and not self._blocks.native():
            raise ShapeError(f"delta.{self._skipped}", "content of a known kind", None)
        chunks = [*self._close(self._blocks.close_all())]
        self._additional = data.get("additionalModelResponseFields")
        extra = {"additionalModelResponseFields": self._additional} if self._additional else None
        self._finished = True
        self.done = self._metadata_received
        finish = finish_reason(reason, has_calls=self._blocks.has_calls, legacy=self._legacy)
        last = ChunkChoice(0, Delta(provider_specific_fields=self._native()), finish, None, reason)
        chunks.append(ChatCompletionChunk(self._id, [last], 0, self._model, extra=extra, native=self._last))
        return chunks

    def _on_metadata(self, data: JsonObject) -> Chunks:
        self._metadata_received = True
        self.done = self._finished
        usage = optional_object(data.get("usage"))
        return (
            ChatCompletionChunk(
                self._id,
                [],
                0,
                self._model,
                usage=None if usage is None else read_usage(usage, self._additional),
                service_tier=service_tier(data),
                extra={name: value for name, value in reply_extra(data).items() if name != "p"} or None,
                native=self._last,
            ),
        )

    # --- content ------------------------------------------------------------------------------------------------------

    def _add_text(self, block: BedrockGrowingBlock, piece: str) -> Chunks:
        if not piece:
            return ()
        block.pieces.append(piece)
        self._length += len(piece)
        return (self._chunk(Delta(content=piece)),)

    def _add_input(self, block: BedrockGrowingBlock, value: object) -> Chunks:
        piece = as_str(as_object(value, "delta.toolUse").get("input"))
        if not piece:
            return ()
        block.pieces.append(piece)
        return self._call(block, FunctionDelta(arguments=piece))

    def _add_reasoning(self, block: BedrockGrowingBlock, value: object) -> Chunks:
        content = as_object(value, "delta.reasoningContent")
        if "reasoningText" in content:  # as in whole replies
            content = {**content, **(optional_object(content["reasoningText"]) or {})}
        signature, redacted = content.get("signature"), content.get("redactedContent")
        if signature:
            block.signature.append(as_str(signature))
        if redacted:
            block.redacted.append(as_str(redacted))
        piece = as_str(content.get("text"))
        if not piece:
            return ()
        block.pieces.append(piece)
        return (self._chunk(Delta(reasoning_content=piece)),)

    def _call(self, block: BedrockGrowingBlock, function: FunctionDelta, call_id: str | None = None) -> Chunks:
        """The chunk of a call by the model; those of tools that Bedrock runs are in the native blocks only."""
        if is_server_tool(block.native):
            return ()
        delta = tool_call_delta(block.number, function, call_id, legacy=self._legacy)
        return () if delta is None else (self._chunk(delta),)

    def _close(self, blocks: Any) -> Chunks:
        return [chunk for block in blocks for chunk in self._closing_chunks(block)]

    def _closing_chunks(self, block: BedrockGrowingBlock) -> Chunks:
        match block.kind:
            case "text" if block.citations:
                end = block.start + sum(map(len, block.pieces))
                found = [annotation(cited, block.start, end).to_dict() for cited in block.citations]
                return (self._chunk(Delta(annotations=found)),)
            case "toolUse" if not block.pieces:
                # A whole reply has {} where a stream has no piece at all.
                return self._call(block, FunctionDelta(arguments="{}"))
            case "reasoningContent":
                return self._thinking(block)
            case "image":
                images = image_parts(block.native)
                return (self._chunk(Delta(extra={"images": images})),) if images else ()
            case _:
                return ()

    def _thinking(self, block: BedrockGrowingBlock) -> Chunks:
        native = block.complete()
        found = None if native is None else thinking_block(native["reasoningContent"], self._family)
        if found is None:
            return ()
        self._thoughts += 1
        return (self._chunk(Delta(thinking_blocks=[{"index": self._thoughts - 1, **found}])),)

    def _native(self) -> JsonObject | None:
        """The content blocks, where OpenAI's fields cannot express them; none where a call's input is cut."""
        content = self._blocks.native()
        if any(block["toolUse"]["input"] is None for block in content if "toolUse" in block):
            return None
        return read_message(content, self._family, self._legacy).provider_specific_fields

    def _chunk(self, delta: Delta) -> ChatCompletionChunk:
        return ChatCompletionChunk(self._id, [ChunkChoice(0, delta)], 0, self._model, native=self._last)


def decoder(request: ChatRequest, target: Target) -> BedrockStreamDecoder:
    """A new decoder for one stream."""
    return BedrockStreamDecoder(uses_legacy_functions(request), target.model)
