"""Decoder of OpenAI's stream: events → chunks, and the ways in which servers end or fail inside a stream. No I/O.

https://platform.openai.com/docs/api-reference/chat-streaming
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ...codecs.json import loads
from ...codecs.lenient import NotJSONError, ShapeError
from ...codecs.sse import Event
from ...errors import APIError, APIResponseError, StreamInterruptedError
from ...records import ChatRequest, Usage
from ...records.chunks import ChatCompletionChunk, ChunkChoice, ToolCallDelta
from ..base import Chunks, Target
from ..shared import as_text
from .errors import error_from_body, is_failed_reason
from .fast_decode import OpenAIErrorInChunk, chunk_decoder, read_chunk
from .finish_reasons import OPENAI_REASONS, normalize_finish_reason
from .legacy_functions import to_legacy_delta, uses_converted_functions
from .quirks import finish_reasons
from .variants import set_cost


class OpenAIStreamDecoder:
    """Decoder of one stream: it ends at ``[DONE]``, or at the end of the body once every choice has a finish reason.

    Only choices that have begun count: some servers send fewer than a request asks for.
    """

    __slots__ = ("_calls", "_count", "_decode", "_ended", "_legacy", "_reasons", "done")

    def __init__(self, legacy: bool, reasons: Mapping[str, str]) -> None:
        self.done = False
        self._decode = chunk_decoder().decode
        self._legacy = legacy
        self._reasons = reasons
        self._ended: dict[int, bool] = {}
        """Index of a choice → whether its finish reason was received."""
        self._calls: dict[int, _ToolCallNumbers] = {}
        """Index of a choice → the numbers of its tool calls."""
        self._count = 0

    def feed(self, event: Event) -> Chunks:
        """The chunk of one event.

        Raises:
            APIStatusError: the event is an error.
            APIResponseError: the event cannot be read.
        """
        data = event.data
        if data.startswith(b"[DONE]"):
            self.done = True
            return ()
        self._count += 1
        if event.name == "error":
            raise _error_event(data)
        chunk: ChatCompletionChunk | None = None
        found, problem = None, ""
        try:
            chunk = read_chunk(data, self._decode)
        except OpenAIErrorInChunk as exc:
            found = exc.value
        except (ShapeError, NotJSONError) as exc:
            problem = f"event {self._count} of the stream cannot be read: {exc}"
        if chunk is None:
            # Not bound to a local name: a cycle of error and frame would live until the garbage collector runs.
            raise APIResponseError(problem, body=as_text(data)) if problem else _error_event(data, found)
        ended = False
        for choice in chunk.choices:
            delta = choice.delta
            if delta.reasoning is not None:
                delta.reasoning_content = delta.reasoning_content or delta.reasoning
                delta.reasoning = None
            if delta.tool_calls is not None:
                self._calls.setdefault(choice.index, _ToolCallNumbers()).number(delta.tool_calls)
            self._ended.setdefault(choice.index, False)
            if choice.finish_reason is not None and self._end(choice, data):
                ended = True
        if ended and chunk.usage is None:
            chunk.usage = _misplaced_usage(data)
        if self._legacy:
            to_legacy_delta(chunk)
        return (chunk,)

    def _end(self, choice: ChunkChoice, data: bytes) -> bool:
        """Records a choice's finish reason; returns whether it is one."""
        if choice.finish_reason not in OPENAI_REASONS:
            normalize_finish_reason(choice, self._reasons)
        if choice.finish_reason is None:
            return False
        self._ended[choice.index] = True
        if is_failed_reason(choice.finish_reason) or is_failed_reason(choice.native_finish_reason):
            raise _error_event(data)
        return True

    def finish(self) -> Chunks:
        """No chunks: all were sent.

        Raises:
            StreamInterruptedError: a choice has no finish reason.
        """
        if self.done or (self._ended and all(self._ended.values())):
            return ()
        raise StreamInterruptedError(
            f"the stream ended after {self._count} events, before the provider sent a finish reason", maybe_billed=True
        )


def _error_event(data: bytes, found: object = None) -> APIError:
    """The exception for an event that is an error; `found` is the error object, where it was parsed already."""
    if found is None:
        try:
            found = loads(data)
        except NotJSONError:
            found = as_text(data)
    return error_from_body(found, None, body_text=as_text(data))


class _ToolCallNumbers:
    """Distinct indices for a choice's tool calls.

    Some servers give all calls the same index (Gemini 0, Z.ai -1); calls are distinguished by the id and name
    with which each begins.
    """

    __slots__ = ("_given", "_last", "_open")

    def __init__(self) -> None:
        self._last = -1
        self._given: set[int] = set()
        self._open: dict[int, tuple[int, str | None]] = {}
        """The server's index → our index and the id of its current call."""

    def number(self, deltas: Sequence[ToolCallDelta]) -> None:
        """Sets the index of each delta."""
        for delta in deltas:
            index = delta.index
            if index is None:
                continue  # the accumulator uses the id alone
            current = self._open.get(index)
            if current is None or (delta.id and delta.id != current[1] and delta.function and delta.function.name):
                is_free = current is None and index >= 0 and index not in self._given
                current = self._open[index] = (index if is_free else self._last + 1, delta.id)
                self._given.add(current[0])
                self._last = max(self._last, current[0])
            delta.index = current[0]


def _misplaced_usage(data: bytes) -> Usage | None:
    """The usage in `x_groq` (Groq, unless the standard place was requested) or in a choice (others)."""
    if b'"usage"' not in data:
        return None
    chunk = cast("dict[str, Any]", loads(data))
    for place in (chunk.get("x_groq"), *chunk["choices"]):
        usage = cast("dict[str, Any]", place).get("usage") if isinstance(place, dict) else None
        if usage is not None:
            try:
                found = Usage.from_dict(usage)
            except ShapeError:
                continue
            set_cost(found)
            return found
    return None


def decoder(request: ChatRequest, target: Target) -> OpenAIStreamDecoder:
    """A new decoder for one stream."""
    return OpenAIStreamDecoder(uses_converted_functions(request, target), finish_reasons(target))
