"""Decoder of OpenAI's stream: events → chunks, and the ways in which servers end or fail inside a stream. No I/O.

https://platform.openai.com/docs/api-reference/chat-streaming
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from ...codecs.json import loads
from ...codecs.lenient import NotJSONError, ShapeError, optional_object
from ...codecs.split_characters import SplitCharacters
from ...codecs.sse import Event
from ...errors import APIError, APIResponseError, StreamInterruptedError
from ...records import ChatRequest, JsonObject, Usage
from ...records.chunks import ChatCompletionChunk, ChunkChoice, Delta
from ...records.latest_usage import latest_usage
from ..base import Chunks, Target
from ..error_body import is_failed_reason
from ..openai_errors import error_from_body
from ..shared import EMPTY_EVENTS, as_text, set_cost
from .fast_chunks import chunk_decoder, has_unknown_logprob_fields, read_chunk
from .finish_reasons import OPENAI_REASONS, normalize_finish_reason
from .legacy_functions import to_legacy_delta, uses_converted_functions
from .quirks import finish_reasons_of
from .tolerant_chunks import (
    UNKNOWN_INDEX,
    OpenAIChoiceNumbers,
    OpenAIErrorInChunk,
    has_surrogates,
    join_characters,
    read_tolerantly,
    rename_reasoning,
    replacements,
)
from .tool_call_numbers import OpenAIToolCallNumbers

_DONE = b"[DONE]"


class OpenAIStreamDecoder:
    """Decoder of one stream.

    It ends at ``[DONE]``, if anything came before it, or at the end of the body once every choice has a finish reason.
    Only choices that have begun count: some servers send fewer than a request asks for.
    """

    __slots__ = (
        "_calls",
        "_count",
        "_decode",
        "_ended",
        "_halves",
        "_has_content",
        "_is_plain",
        "_legacy",
        "_numbers",
        "_reasons",
        "done",
    )

    def __init__(self, legacy: bool, reasons: Mapping[str, str], count: int) -> None:
        self.done = False
        self._decode: Callable[[bytes], ChatCompletionChunk] = chunk_decoder().decode
        self._legacy = legacy
        self._reasons = reasons
        self._ended: dict[int, bool] = {}
        """Index of a choice → whether its finish reason was received."""
        self._calls: dict[int, OpenAIToolCallNumbers] = {}
        """Index of a choice → the numbers of its tool calls."""
        self._count = 0
        self._has_content = False
        """Whether any delta had more than a role."""
        self._is_plain = True
        """Whether the last chunk had no unknown fields. A server that sends some sends them with every chunk, and
        refusing such a chunk takes `read_chunk` as long as reading one."""
        self._halves: SplitCharacters | None = None
        """Halves of characters that wait for the other half; None until a text has escapes of surrogates."""
        self._numbers: OpenAIChoiceNumbers | None = None
        """None for one choice."""
        if count > 1:
            self._numbers = OpenAIChoiceNumbers(self._decode, self._ended, count)
            self._decode = self._numbers.decode

    def feed(self, event: Event) -> Chunks:
        """The chunk of one event.

        Raises:
            APIStatusError: the event is an error.
            APIResponseError: the event cannot be read.
        """
        data = event.data
        if data == _DONE:
            self.done = True
            return ()
        self._count += 1
        if event.name == "error":
            raise _error_event(data)
        chunk = read_chunk(data, self._decode) if self._is_plain else None
        if chunk is None:
            self.done = data.startswith(_DONE)
            if self.done or data.strip() in EMPTY_EVENTS:
                return ()
            chunk = self._read_tolerantly(data)
        ended = False
        for choice in chunk.choices:
            delta = choice.delta
            if delta.reasoning is not None or choice.logprobs is not None:
                self._complete_choice(choice, chunk)
            if delta.tool_calls is not None:
                numbers = self._calls.get(choice.index) or self._calls.setdefault(choice.index, OpenAIToolCallNumbers())
                numbers.number(delta.tool_calls)
            self._has_content = self._has_content or bool(delta.content) or _has_more(delta)
            if self._ended.get(choice.index) is not False:
                self._begin(choice)
            if choice.finish_reason is not None and self._end(choice, data):
                ended = True
        if ended or self._halves is not None:
            self._complete_chunk(chunk, ended=ended)
        if self._legacy:
            to_legacy_delta(chunk)
        return (chunk,)

    def _read_tolerantly(self, data: bytes) -> ChatCompletionChunk:
        found, problem = None, ""
        try:
            chunk = read_tolerantly(data)
        except OpenAIErrorInChunk as exc:
            found = exc.value
        except (ShapeError, NotJSONError) as exc:
            problem = f"event {self._count} of the stream cannot be read: {exc}"
        else:
            if self._halves is None and has_surrogates(data):
                self._halves = SplitCharacters()
            self._is_plain = chunk.extra is None and not any(map(_has_extra, chunk.choices))
            problem = self._resolve_unknown_index(chunk)
            if not problem:
                return chunk if self._numbers is None else self._numbers.number(chunk)
        # Not bound to a local name: a cycle of error and frame would live until the garbage collector runs.
        raise APIResponseError(problem, body=as_text(data)) if problem else _error_event(data, found)

    def _resolve_unknown_index(self, chunk: ChatCompletionChunk) -> str:
        """Takes a choice whose index cannot be read for the only one; returns the problem if there may be several."""
        for choice in chunk.choices:
            if choice.index == UNKNOWN_INDEX:
                if len(self._ended) > 1 or self._numbers is not None:
                    return f"event {self._count} of the stream cannot be read: choices: the index of one is unknown"
                choice.index = next(iter(self._ended), 0)
        return ""

    def _complete_choice(self, choice: ChunkChoice, chunk: ChatCompletionChunk) -> None:
        """Gives `reasoning` its other name, and log probabilities the fields that `read_chunk` leaves out."""
        rename_reasoning(choice.delta)
        data: bytes = chunk.native
        if choice.logprobs is None or not self._is_plain or not has_unknown_logprob_fields(data):
            return
        for read in self._read_tolerantly(data).choices:
            if read.index == choice.index:
                choice.logprobs, choice.extra = read.logprobs, read.extra

    def _complete_chunk(self, chunk: ChatCompletionChunk, *, ended: bool) -> None:
        """Joins characters that came in halves; at the end of a choice, looks for the usage in unknown fields."""
        if ended and chunk.usage is None and not self._is_plain:
            chunk.usage = _misplaced_usage(chunk)
        if self._halves is not None:
            join_characters(chunk, self._halves)

    def _begin(self, choice: ChunkChoice) -> None:
        """Records that a choice begins, or that text after its finish reason shows that this was not its end."""
        delta = choice.delta
        if choice.index not in self._ended or delta.content or delta.reasoning_content or delta.tool_calls:
            self._ended[choice.index] = False

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
        """No chunks, except for the end of texts that ended in half a character.

        Raises:
            StreamInterruptedError: a choice has no finish reason and ``[DONE]`` did not come, or only ``[DONE]`` came.
        """
        if self.done and not self._has_content and not any(self._ended.values()):
            raise StreamInterruptedError(
                "the stream ended with [DONE], before the provider sent content or a finish reason", maybe_billed=True
            )
        if self.done or (self._ended and all(self._ended.values())):
            return (ChatCompletionChunk(choices=replacements(self._halves)),) if self._halves else ()
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


def _has_extra(choice: ChunkChoice) -> bool:
    return choice.extra is not None or choice.delta.extra is not None


def _has_more(delta: Delta) -> bool:
    """Whether a delta has anything but a role and a content."""
    if delta == Delta(delta.role, delta.content):
        return False
    return any(getattr(delta, name) for name in delta.__struct_fields__ if name not in ("role", "content"))


def _misplaced_usage(chunk: ChatCompletionChunk) -> Usage | None:
    """The usage in `x_groq` (Groq, unless the standard place was requested) or in a choice (others)."""
    places = ((chunk.extra or {}).get("x_groq"), *(choice.extra for choice in chunk.choices))
    usage: Usage | None = None
    for place in places:
        found = optional_object(cast("JsonObject", place).get("usage")) if isinstance(place, dict) else None
        if found is not None:
            usage = latest_usage(usage, Usage.from_dict(found))
    set_cost(usage)
    return usage


def decoder(request: ChatRequest, target: Target) -> OpenAIStreamDecoder:
    """A new decoder for one stream."""
    return OpenAIStreamDecoder(uses_converted_functions(request, target), finish_reasons_of(target), request.n or 1)
