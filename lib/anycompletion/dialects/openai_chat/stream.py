"""OpenAI's stream events → chunks: the fast path, and every way in which servers end or fail inside a stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from ...codecs.json import loads
from ...codecs.lenient import NotJSONError, ShapeError
from ...codecs.sse import Event
from ...errors import APIError, APIResponseError, StreamInterruptedError
from ...records import ChatRequest, Usage
from ...records.chunks import ChatCompletionChunk, ToolCallDelta
from ..base import Target
from .errors import as_text, error_of
from .fast_decode import EmbeddedErrorFound, read_chunk
from .legacy_functions import to_legacy_delta, uses_legacy_functions
from .variants import set_cost


class OpenAIStreamDecoder:
    """One stream: ends at ``[DONE]``, or at the end of the body once every choice said why it stopped."""

    __slots__ = ("_calls", "_count", "_ended", "_expected", "_legacy", "done")

    def __init__(self, expected: int, legacy: bool = False) -> None:
        self.done = False
        self._legacy = legacy
        self._expected = expected
        self._ended: dict[int, bool] = {}
        """Whether each choice that was seen has said why it stopped."""
        self._calls: dict[int, _Calls] = {}
        """The tool calls of each choice."""
        self._count = 0

    def feed(self, event: Event) -> Sequence[ChatCompletionChunk]:
        """The chunk of one event."""
        data = event.data
        if data.startswith(b"[DONE]"):
            self.done = True
            return ()
        self._count += 1
        if event.name == "error":
            raise self._told(data)
        chunk: ChatCompletionChunk | None = None
        told, reason = None, ""
        try:
            chunk = read_chunk(data)
        except EmbeddedErrorFound as fault:
            told = fault.value
        except (ShapeError, NotJSONError) as fault:
            reason = f"event {self._count} of the stream cannot be read: {fault}"
        if chunk is None:
            # No name of this frame holds it: one that is never shown would keep its frames until the collector comes.
            raise APIResponseError(reason, body=as_text(data)) if reason else self._told(data, told)
        ended = False
        for choice in chunk.choices:
            delta = choice.delta
            if delta.reasoning is not None:
                delta.reasoning_content = delta.reasoning_content or delta.reasoning
                delta.reasoning = None
            if delta.tool_calls is not None:
                self._calls.setdefault(choice.index, _Calls()).number(delta.tool_calls)
            self._ended.setdefault(choice.index, False)
            if choice.finish_reason is not None:
                if choice.finish_reason == "":
                    choice.finish_reason = None  # Snowflake's way to say that there is none
                    continue
                ended = True
                self._ended[choice.index] = True
                if choice.finish_reason == "error":
                    raise self._told(data)
        if ended and chunk.usage is None:
            chunk.usage = _usage_elsewhere(data)
        if self._legacy:
            to_legacy_delta(chunk)
        return (chunk,)

    def _told(self, data: bytes, value: object = None) -> APIError:
        """What an event says that is known to tell of an error; `value` is what was read of it."""
        if value is None:
            try:
                value = loads(data)
            except NotJSONError:
                value = as_text(data)
        return error_of(value, None, body_text=as_text(data))

    def finish(self) -> Sequence[ChatCompletionChunk]:
        """Nothing is held back; says whether anything is missing."""
        if self.done or (len(self._ended) >= self._expected and all(self._ended.values())):
            return ()
        raise StreamInterruptedError(
            f"the stream ended after {self._count} events, before the provider said why it stopped", maybe_billed=True
        )


class _Calls:
    """The numbers of a choice's tool calls.

    A server may give all of them one index (Gemini 0, Z.ai -1); where each begins with an id and a name of its own,
    nothing is mixed up.
    """

    __slots__ = ("_given", "_last", "_open")

    def __init__(self) -> None:
        self._last = -1
        self._given: set[int] = set()
        self._open: dict[int, tuple[int, str | None]] = {}
        """The server's index → our number and the id of the call it stands for now."""

    def number(self, deltas: Sequence[ToolCallDelta]) -> None:
        for delta in deltas:
            index = delta.index
            if index is None:
                continue  # the accumulator goes by the id alone
            known = self._open.get(index)
            if known is None or (delta.id and delta.id != known[1] and delta.function and delta.function.name):
                free = known is None and index >= 0 and index not in self._given
                known = self._open[index] = (index if free else self._last + 1, delta.id)
                self._given.add(known[0])
                self._last = max(self._last, known[0])
            delta.index = known[0]


def _usage_elsewhere(data: bytes) -> Usage | None:
    """Groq tells the usage of a stream in `x_groq`, and beside it only where it was asked to; others in a choice."""
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
    """A decoder for one stream of `request.n` choices."""
    return OpenAIStreamDecoder(request.n or 1, uses_legacy_functions(request, target))
