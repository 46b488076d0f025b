"""Chunks in OpenAI's format that `fast_chunks` does not read: odd types, unknown fields, errors, characters in halves.

Choices with the same index are numbered, too. No I/O. Nothing that a chunk has is lost: fields without a place of their
own are in `extra`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ...codecs import lenient
from ...codecs.json import loads
from ...codecs.lenient import as_list, as_object, optional_int
from ...codecs.split_characters import SplitCharacters
from ...records.chunks import (
    ChatCompletionChunk,
    ChunkChoice,
    CustomDelta,
    Delta,
    FunctionDelta,
    ToolCallDelta,
)
from ..error_body import holds_error
from ..shared import set_cost
from .fast_chunks import may_have_extra, read_with_extra
from .variants import with_plain_deltas

_TEXTS = ("content", "reasoning_content", "refusal")
"""Fields of a delta that are texts in pieces."""

_CALL = "tool_calls"
"""Marks the text of a tool call or function call among the texts of a choice."""

UNKNOWN_INDEX = -1
"""Index of a choice whose own index cannot be read; the decoder replaces it."""


class OpenAIErrorInChunk(ValueError):
    """The event is or contains an error; `.value` is its JSON."""

    def __init__(self, value: Any) -> None:
        super().__init__("contains an error")
        self.value = value


def read_tolerantly(data: bytes) -> ChatCompletionChunk:
    """The chunk, with `.raw` set.

    Raises:
        OpenAIErrorInChunk: it is or contains an error, perhaps beside ordinary choices.
        NotJSONError: the bytes are not JSON.
        ShapeError: a field has a type that cannot be read.
    """
    value = loads(data)
    chunk: ChatCompletionChunk | None = None
    if may_have_extra(value):
        chunk = read_with_extra(value)
        if chunk is None:
            value = loads(data)  # its unknown fields were removed
    if chunk is None:
        if holds_error(value):
            raise OpenAIErrorInChunk(value)
        chunk = _chunk(value)
    set_cost(chunk.usage)
    chunk.native = data
    return chunk


def _chunk(value: Any) -> ChatCompletionChunk:
    source = with_plain_deltas(as_object(value, "chunk"))
    chunk = ChatCompletionChunk.from_dict(source)
    for choice, fields in zip(chunk.choices, as_list(source.get("choices"), "choices"), strict=True):
        rename_reasoning(choice.delta)
        index = as_object(fields, "choice").get("index")
        if index is not None and optional_int(index) is None:
            choice.index = UNKNOWN_INDEX
    return chunk


def rename_reasoning(delta: Delta) -> None:
    """Moves `reasoning`, as some servers call it, to `reasoning_content`."""
    if delta.reasoning is not None:
        delta.reasoning_content = delta.reasoning_content or delta.reasoning
        delta.reasoning = None


# --- choices with the same index --------------------------------------------------------------------------------------


class OpenAIChoiceNumbers:
    """Numbers for the choices of a stream, in place of their indexes, which some servers leave at 0 for all.

    Texts of choices with the same index are distinguished by their place in a chunk; and where one comes after the
    other, by the finish reason between them. Chunks of such choices that take turns look like those of one choice.

    A server that has sent another index than 0 numbers its choices itself: text after a finish reason then belongs to
    the same choice. Before that, such text counts as the next choice's, because the two cases look the same.

    Args:
        decode: decodes an event.
        ended: number of a choice → whether its finish reason was received.
        count: choices that were asked for.
    """

    __slots__ = ("_by_place", "_count", "_decode", "_ended", "_has_indexes")

    def __init__(self, decode: Callable[[bytes], ChatCompletionChunk], ended: Mapping[int, bool], count: int) -> None:
        self._decode, self._ended, self._count = decode, ended, count
        self._by_place: dict[tuple[int, int], int] = {}
        """Index of a choice, and how many before it in its chunk have that index → its number."""
        self._has_indexes = False
        """Whether a choice had another index than 0."""

    def decode(self, data: bytes) -> ChatCompletionChunk:
        """The chunk of an event, numbered."""
        return self.number(self._decode(data))

    def number(self, chunk: ChatCompletionChunk) -> ChatCompletionChunk:
        """Sets the index of each choice to its number."""
        indexes = [choice.index for choice in chunk.choices]
        self._has_indexes = self._has_indexes or any(indexes)
        for at, choice in enumerate(chunk.choices):
            place = choice.index, indexes[:at].count(choice.index)
            number = self._by_place.get(place, choice.index)
            is_other = place not in self._by_place and place[1] > 0
            is_next = self._ended.get(number) and len(self._ended) < self._count and not self._has_indexes
            if choice.delta.content and (is_other or is_next):
                number = 1 + max((*indexes, *self._ended, *self._by_place.values()))
            if choice.delta.content:
                self._by_place[place] = number
            choice.index = number
        return chunk


# --- characters in halves ---------------------------------------------------------------------------------------------


def has_surrogates(data: bytes) -> bool:
    """Whether JSON has escapes of surrogates, alone or in pairs."""
    return b"\\u" in data and (b"\\ud" in data or b"\\uD" in data)


def join_characters(chunk: ChatCompletionChunk, halves: SplitCharacters) -> None:
    """Joins the halves of characters that came in this chunk and in an earlier one, in all texts that come in pieces.

    A half that stays alone becomes U+FFFD, at the latest in the chunk that ends its choice. The calls of `chunk` must
    be numbered.
    """
    whole = chunk
    if has_surrogates(chunk.native):
        whole = _chunk(lenient.loads(chunk.native, keep_surrogates=True))
    for choice, source in zip(chunk.choices, whole.choices, strict=True):
        for (text_id, owner, name), (_, original, _) in zip(_texts(choice), _texts(source), strict=True):
            setattr(owner, name, halves.join((choice.index, *text_id), getattr(original, name)))
        if choice.finish_reason is not None and halves:
            _add_replacements(choice, halves)


def replacements(halves: SplitCharacters) -> list[ChunkChoice]:
    """Choices of a last chunk, with U+FFFD for each half that still waits at the end of the stream."""
    indexes = sorted({text_id[0] for text_id in _waiting(halves)})
    choices = [ChunkChoice(index) for index in indexes]
    for choice in choices:
        _add_replacements(choice, halves)
    return choices


def _texts(choice: ChunkChoice) -> Iterator[tuple[tuple[str, int], Any, str]]:
    """The texts of a choice: what identifies each, the object that has it, and the name of its field."""
    delta = choice.delta
    for name in _TEXTS:
        if getattr(delta, name) is not None:
            yield (name, 0), delta, name
    calls = [(call.function or call.custom, call.index) for call in delta.tool_calls or ()]
    for part, number in [(delta.function_call, -1), *calls]:
        name = "input" if isinstance(part, CustomDelta) else "arguments"
        if part is not None and getattr(part, name) is not None:
            yield (_CALL, -1 if number is None else number), part, name


def _waiting(halves: SplitCharacters) -> list[tuple[int, str, int]]:
    """The texts that end in a half: the index of the choice, then what `_texts` identifies each by."""
    return [text_id for text_id in halves.waiting() if isinstance(text_id, tuple)]


def _add_replacements(choice: ChunkChoice, halves: SplitCharacters) -> None:
    delta = choice.delta
    for text_id in _waiting(halves):
        index, name, number = text_id
        if index != choice.index:
            continue
        text = halves.give_up(text_id)
        if name != _CALL:
            setattr(delta, name, (getattr(delta, name) or "") + text)
        elif number < 0:
            delta.function_call = delta.function_call or FunctionDelta()
            delta.function_call.arguments = (delta.function_call.arguments or "") + text
        else:
            # For custom calls, too: the text of either kind of call is appended to the same pieces.
            delta.tool_calls = [*(delta.tool_calls or ()), ToolCallDelta(number, function=FunctionDelta(None, text))]
