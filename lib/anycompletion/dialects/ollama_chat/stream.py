"""Decoder of Ollama's stream: lines → chunks in OpenAI's shape. No I/O.

https://docs.ollama.com/api/streaming

Each line is an object like a whole reply, with a piece of the text or of the thinking, or with whole tool calls; the
last one has ``"done": true``, the reason and the counts.
"""

# Annotations are no strings here: msgspec would evaluate each of them.

import msgspec

from ...codecs import json
from ...codecs.lenient import NotJSONError, ShapeError, as_object, as_str, optional_str
from ...codecs.sse import Event
from ...errors import APIResponseError, APIStatusError, StreamInterruptedError
from ...records import ChatRequest, JsonObject, ToolCall
from ...records.chunks import ChatCompletionChunk, ChunkChoice, Delta, FunctionDelta, ToolCallDelta
from ..base import Chunks, Target
from ..shared import as_text, uses_legacy_functions, without_nulls
from .errors import error_of_reply
from .ollama_fields import (
    created_of,
    finish_reasons,
    has_end_mark,
    is_done,
    message_extra,
    native_fields,
    read_calls,
    read_logprobs,
    read_message,
    read_usage,
    reply_extra,
    reply_id,
)


class _OllamaPieceMessage(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    role: str = "assistant"
    content: str = ""
    thinking: str = ""


class _OllamaPiece(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Line of nearly all kinds: a piece of text or of thinking."""

    message: _OllamaPieceMessage
    done: bool
    model: str = ""
    created_at: str = ""


_decode_piece = msgspec.json.Decoder(_OllamaPiece).decode


class OllamaStreamDecoder:
    """Decoder of one stream of Ollama's chat API."""

    __slots__ = ("_calls", "_created", "_end", "_end_line", "_id", "_last", "_legacy", "_model", "_role", "done")

    def __init__(self, legacy: bool, model: str) -> None:
        self.done = False
        """Whether a line with ``"done": true`` was received."""
        self._legacy = legacy
        self._id = ""
        self._model = model
        self._created = 0
        self._role: str | None = "assistant"
        """The role for the next chunk: only the first one has it."""
        self._calls: list[ToolCall] = []
        self._end: JsonObject | None = None
        """What was reported of the end; some servers send a reason without ``"done": true``."""
        self._end_line = b""
        self._last = b""
        """The line that is read."""

    def feed(self, event: Event) -> Chunks:
        """The chunks of one line.

        Raises:
            APIStatusError: the line is an error.
            APIResponseError: the line cannot be read.
        """
        if self.done:
            return ()
        data = event.data
        try:
            piece = _decode_piece(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._feed_any(data)
        if piece.done or not self._id:
            return self._feed_any(data)
        text, thought = piece.message.content, piece.message.thinking
        if not text and not thought:
            return ()
        delta = Delta(self._role, text or None, reasoning_content=thought) if thought else Delta(self._role, text)
        only_text = None if thought or self._role is not None else text
        self._role = None
        return (
            ChatCompletionChunk(
                self._id, [ChunkChoice(0, delta)], self._created, self._model, native=data, _only_text=only_text
            ),
        )

    def finish(self) -> Chunks:
        """No chunks, or the finish reason where it came without ``"done": true``.

        Raises:
            StreamInterruptedError: the end of the reply was not received.
        """
        if self.done:
            return ()
        if self._end is None:
            raise StreamInterruptedError("the stream ended before the provider sent a finish reason")
        self.done = True
        self._last = self._end_line
        return self._last_chunks(ChunkChoice())

    def _feed_any(self, line: bytes) -> Chunks:
        failure: APIStatusError | None = None
        problem = ""
        try:
            data = json.loads(line)
            failure = error_of_reply(data, line)
            if failure is None:
                self._last = line
                return () if data is None else self._read(as_object(data, "line"))
        except (NotJSONError, ShapeError) as exc:
            problem = str(exc)
        # Raised here, so that the error's context and traceback do not hold the line.
        raise failure or APIResponseError(f"a line of Ollama's stream cannot be read: {problem}", body=as_text(line))

    def _read(self, data: JsonObject) -> Chunks:
        if not self._id:
            self._id = reply_id(data)
            self._created = created_of(data)
            self._model = optional_str(data.get("model")) or self._model
        message = read_message(data)
        delta = Delta(
            None,
            as_str(message.get("content")) or None,
            reasoning_content=as_str(message.get("thinking")) or None,
            extra=message_extra(message) or None,
        )
        self._add_calls(read_calls(message, data, len(self._calls)), delta)
        choice = ChunkChoice(0, delta, None, read_logprobs(data.get("logprobs")))
        if is_done(data):
            self._end = (self._end or {}) | without_nulls(data)
            self._end_line = self._last
            self.done = has_end_mark(data)
        if self.done:
            return self._last_chunks(choice)
        extra = reply_extra(data) or None
        if delta == Delta() and choice.logprobs is None and extra is None:
            return ()
        return (self._chunk([choice], extra),)

    def _add_calls(self, calls: list[ToolCall], delta: Delta) -> None:
        """Adds whole calls to a delta; the legacy form has a place for the reply's first one."""
        first = len(self._calls)
        self._calls += calls
        if not calls:
            return
        if self._legacy:
            call = calls[0].function
            delta.function_call = FunctionDelta(call.name, call.arguments) if first == 0 else None
            return
        delta.tool_calls = [
            ToolCallDelta(
                first + number,
                call.id,
                "function",
                FunctionDelta(call.function.name, call.function.arguments),
                extra=call.extra or None,
            )
            for number, call in enumerate(calls)
        ]

    def _last_chunks(self, choice: ChunkChoice) -> Chunks:
        """The chunk with the finish reason, and the one with the usage."""
        end = self._end or {}
        choice.finish_reason, choice.native_finish_reason = finish_reasons(
            end, has_calls=bool(self._calls), legacy=self._legacy
        )
        choice.delta.provider_specific_fields = native_fields(self._calls, self._legacy)
        last = self._chunk([choice], reply_extra(end) or None)
        usage = read_usage(end)
        if usage is None:
            return (last,)
        counts = self._chunk([], None)
        counts.usage = usage
        return (last, counts)

    def _chunk(self, choices: list[ChunkChoice], extra: JsonObject | None) -> ChatCompletionChunk:
        if choices:
            choices[0].delta.role, self._role = self._role, None
        return ChatCompletionChunk(self._id, choices, self._created, self._model, extra=extra, native=self._last)


def decoder(request: ChatRequest, target: Target) -> OllamaStreamDecoder:
    """A new decoder for one stream."""
    return OllamaStreamDecoder(uses_legacy_functions(request), target.model)
