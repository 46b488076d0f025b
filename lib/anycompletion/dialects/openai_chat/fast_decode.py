"""Replies and chunks in OpenAI's format → records, decoded by msgspec in one step.

A reply or a chunk with a field that OpenAI does not document, or with a value of another type, is left to the tolerant
paths, which lose nothing and take three times as long: `decode` reads such replies, `tolerant_chunks` such chunks. A
chunk that differs only by unknown fields is read by `read_with_extra`, in half of that time.

Annotations are no strings here: msgspec would evaluate each of them, which takes 1 ms of a process's first call.
"""

import functools
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from ...codecs.lenient import SHALLOW, may_be_large
from ...records import (
    ChatCompletion,
    ChatCompletionMessage,
    Choice,
    CompletionTokensDetails,
    FunctionCall,
    JsonObject,
    PromptTokensDetails,
    ToolCall,
    Usage,
)
from ...records.chunks import CHOICE_FIELDS, CHUNK_FIELDS, DELTA_FIELDS, ChatCompletionChunk


class _Function(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    name: str
    arguments: str


class _ToolCall(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    function: _Function
    type: str = "function"


class _Message(msgspec.Struct, forbid_unknown_fields=True):
    """Message. Fields of the type None or tuple[()] take null or an empty list only; others have the tolerant path."""

    role: str
    content: str | None = None
    refusal: str | None = None
    annotations: tuple[()] | None = None
    tool_calls: list[_ToolCall] | None = None
    function_call: None = None
    audio: None = None


class _Choice(msgspec.Struct, forbid_unknown_fields=True):
    index: int
    message: _Message
    finish_reason: Literal["stop", "length", "tool_calls", "content_filter", "function_call"] | None = None
    logprobs: None = None


class _PromptDetails(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    cached_tokens: int | None = None
    audio_tokens: int | None = None


class _CompletionDetails(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None
    accepted_prediction_tokens: int | None = None
    rejected_prediction_tokens: int | None = None


class _Usage(msgspec.Struct, forbid_unknown_fields=True):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


class _Reply(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    choices: list[_Choice]
    model: str
    created: int
    object: Literal["chat.completion"]
    usage: _Usage | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None


_decode = msgspec.json.Decoder(_Reply).decode


def read_reply(data: bytes) -> ChatCompletion | None:
    """The reply, with `.raw` set; None if it has a field, type or value that `_Reply` does not declare, or no choice.

    Also None for choices with the same index.
    """
    try:
        reply = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    choices = reply.choices
    if not choices or (len(choices) > 1 and len({choice.index for choice in choices}) < len(choices)):
        return None
    completion = ChatCompletion(
        reply.id,
        list(map(_choice, choices)),
        reply.model,
        reply.created,
        reply.object,
        None if reply.usage is None else _usage(reply.usage),
        reply.service_tier,
        reply.system_fingerprint,
    )
    completion.keep_raw_json(data)
    return completion


def _choice(choice: _Choice) -> Choice:
    source = choice.message
    message = ChatCompletionMessage(
        source.content,
        source.refusal,
        [
            ToolCall(call.id, FunctionCall(call.function.name, call.function.arguments), call.type)
            for call in source.tool_calls
        ]
        if source.tool_calls
        else None,
        None,
        None,
        None if source.annotations is None else [],
        role=source.role,
    )
    return Choice(choice.index, message, choice.finish_reason)


def _usage(usage: _Usage) -> Usage:
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    return Usage(
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.total_tokens,
        None if prompt is None else PromptTokensDetails(prompt.cached_tokens, prompt.audio_tokens),
        None
        if completion is None
        else CompletionTokensDetails(
            completion.reasoning_tokens,
            completion.audio_tokens,
            completion.accepted_prediction_tokens,
            completion.rejected_prediction_tokens,
        ),
    )


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
    error = chunk._error  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    if error is not None or (chunk.usage is not None and not _has_known_usage(chunk, data)):
        return None
    chunk.native = data
    return chunk


class _UsageOfChunk(msgspec.Struct, gc=False):
    usage: _Usage


@functools.cache
def _usage_decoder() -> msgspec.json.Decoder[_UsageOfChunk]:
    return msgspec.json.Decoder(_UsageOfChunk)


def _has_known_usage(chunk: ChatCompletionChunk, data: bytes) -> bool:
    """Whether the usage has only fields that OpenAI documents; `ChatCompletionChunk` leaves out all others."""
    try:
        chunk.usage = _usage(_usage_decoder().decode(data).usage)
    except msgspec.DecodeError:
        return False
    return True


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
        if "error" in choice or "error" in choice["delta"] or choice.get("logprobs") is not None:
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
    """Whether `read_with_extra` may read a JSON value: it is an object with choices, and no error."""
    if not _is_object(value) or not _SPECIAL.isdisjoint(value):
        return False
    return type(value.get("choices")) is list and value.get("object") != "error"


def _is_object(value: Any) -> bool:
    return type(value) is dict


_SPECIAL = frozenset(("error", "errors", "err", "type", "base_resp"))
"""Fields with which a chunk may be an error."""
