"""Chunks in OpenAI's format → records, decoded by msgspec in one step.

A chunk with a field that OpenAI does not document, or with a value of another type, is left to `tolerant_chunks`, which
loses nothing and takes three times as long. One that differs only by unknown fields is read by `read_with_extra`, in
half of that time.

Annotations are no strings here: msgspec would evaluate each of them, which takes time of a process's first stream.
"""

import functools
from collections.abc import Callable
from typing import Any

import msgspec

from ...codecs.lenient import SHALLOW, may_be_large
from ...records import JsonObject, Usage
from ...records.chunks import CHOICE_FIELDS, CHUNK_FIELDS, DELTA_FIELDS, ChatCompletionChunk
from ..error_body import OWN_MARKS
from .fast_replies import OpenAIUsage, read_usage


@functools.cache
def chunk_decoder() -> msgspec.json.Decoder[ChatCompletionChunk]:
    """The decoder of the fast path, which is made for the first stream, because that takes 0.6 ms."""
    return msgspec.json.Decoder(ChatCompletionChunk)


def read_chunk(data: bytes, decode: Callable[[bytes], ChatCompletionChunk]) -> ChatCompletionChunk | None:
    """The chunk, with `.native` set; None if it has a field or type that OpenAI does not document, or an error.

    Also None for one that may be nested deeply, which is checked before any of it is decoded.

    Args:
        data: the event's JSON.
        decode: `chunk_decoder().decode`, which a stream looks up once.
    """
    if len(data) > SHALLOW and may_be_large(data):
        return None
    try:
        chunk = decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if chunk._error is not None:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        return None
    if chunk.usage is not None:
        chunk.usage = _read_usage(data)
        if chunk.usage is None:
            return None
    chunk.native = data
    return chunk


class _UsageOfChunk(msgspec.Struct, gc=False):
    usage: OpenAIUsage


@functools.cache
def _usage_decoder() -> msgspec.json.Decoder[_UsageOfChunk]:
    return msgspec.json.Decoder(_UsageOfChunk)


def _read_usage(data: bytes) -> Usage | None:
    """A chunk's usage; None if it has fields that OpenAI does not document, which `ChatCompletionChunk` leaves out."""
    try:
        return read_usage(_usage_decoder().decode(data).usage)
    except msgspec.DecodeError:
        return None


class _TopLogprob(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    token: str
    logprob: float
    bytes: Any = None


class _TokenLogprob(_TopLogprob, forbid_unknown_fields=True, gc=False):
    top_logprobs: list[_TopLogprob] | None = None


class _Logprobs(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    content: list[_TokenLogprob] | None = None
    refusal: list[_TokenLogprob] | None = None


class _LogprobsOfChoice(msgspec.Struct, gc=False):
    logprobs: _Logprobs | None = None


class _LogprobsOfChunk(msgspec.Struct, gc=False):
    choices: list[_LogprobsOfChoice]


@functools.cache
def _logprobs_decoder() -> msgspec.json.Decoder[_LogprobsOfChunk]:
    return msgspec.json.Decoder(_LogprobsOfChunk)


def has_unknown_logprob_fields(data: bytes) -> bool:
    """Whether a chunk's log probabilities have fields that OpenAI does not document, which `read_chunk` leaves out."""
    try:
        _logprobs_decoder().decode(data)
    except msgspec.DecodeError:
        return True
    return False


# --- chunks with unknown fields ---------------------------------------------------------------------------------------


def read_with_extra(chunk: JsonObject) -> ChatCompletionChunk | None:
    """A chunk that passed `may_have_extra`, with its unknown fields in `extra`; None if a known field has a wrong type.

    It takes half the time of `ChatCompletionChunk.from_dict`. The unknown fields are removed from `chunk`.
    """
    usage: Any = chunk.pop("usage", None)
    if usage is not None and not _is_object(usage):
        return None
    extra = _pop_unknown(chunk, CHUNK_FIELDS)
    extras: list[tuple[JsonObject | None, JsonObject | None]] = []
    choices: list[Any] = chunk["choices"]
    for choice in choices:
        if not _is_object(choice) or not _is_object(choice.get("delta")):
            return None
        if "error" in choice or "error" in choice["delta"] or "message" in choice:
            return None  # may be an error
        if choice.get("logprobs") is not None:
            return None
        extras.append((_pop_unknown(choice, CHOICE_FIELDS), _pop_unknown(choice["delta"], DELTA_FIELDS)))
    try:
        found = msgspec.convert(chunk, ChatCompletionChunk)
    except msgspec.ValidationError:
        return None
    found.extra = extra
    if usage is not None:
        found.usage = Usage.from_dict(usage)
    for choice, (of_choice, of_delta) in zip(found.choices, extras, strict=True):
        choice.extra = of_choice
        choice.delta.extra = of_delta
    return found


def _pop_unknown(source: JsonObject, known: frozenset[str]) -> JsonObject | None:
    """Removes all fields that are not known; returns those that are not null, or None."""
    if source.keys() <= known:
        return None
    names = [name for name in source if name not in known]
    return {name: value for name in names if (value := source.pop(name)) is not None} or None


def may_have_extra(value: Any) -> bool:
    """Whether `read_with_extra` may read a JSON value: it is an object with a choice, and has no mark of an error."""
    if not _is_object(value) or not OWN_MARKS.isdisjoint(value):
        return False
    choices: Any = value.get("choices")
    return type(choices) is list and choices != [] and value.get("object") != "error"


def _is_object(value: Any) -> bool:
    return type(value) is dict
