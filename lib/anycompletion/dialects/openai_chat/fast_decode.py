"""Replies and chunks in OpenAI's format → records, decoded by msgspec in one step.

This takes a third of the time of the tolerant paths, which read the same bytes, so that nothing is lost. A reply that
has a field that OpenAI does not document, or a value of another type, is left to `decode`. A chunk may have unknown
fields; one that has a value of another type, an error or usage is read by `_read_tolerantly`.

Annotations are no strings here: msgspec would evaluate each of them, which takes 1 ms of a process's first call.
"""

import functools
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from ...codecs import lenient
from ...codecs.json import loads
from ...codecs.lenient import as_object
from ...records import (
    AssistantMessage,
    ChatCompletion,
    Choice,
    CompletionTokensDetails,
    FunctionCall,
    PromptTokensDetails,
    ToolCall,
    Usage,
)
from ...records.chunks import ChatCompletionChunk
from ..error_body import holds_error
from .variants import set_cost, with_text_content


class _Function(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    name: str
    arguments: str


class _ToolCall(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    function: _Function
    type: str = "function"


class _Message(msgspec.Struct, forbid_unknown_fields=True):
    """Message; with more than null or an empty list in a field of the type None or tuple[()] it is not decoded here."""

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
    message = AssistantMessage(
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


class OpenAIErrorInChunk(ValueError):
    """The event contains an error; `.value` is its JSON."""

    def __init__(self, value: Any) -> None:
        super().__init__("contains an error")
        self.value = value


@functools.cache
def chunk_decoder() -> msgspec.json.Decoder[ChatCompletionChunk]:
    """The decoder of the fast path, which is made for the first stream, because that takes 0.6 ms."""
    return msgspec.json.Decoder(ChatCompletionChunk)


def read_chunk(data: bytes, decode: Callable[[bytes], ChatCompletionChunk]) -> ChatCompletionChunk:
    """One chunk in OpenAI's format: the fast path, and the tolerant one where the JSON does not fit it.

    Args:
        data: the event's JSON.
        decode: `chunk_decoder().decode`, which a stream looks up once.

    Raises:
        OpenAIErrorInChunk: it is or contains an error, perhaps beside ordinary choices.
        NotJSONError: the bytes are not JSON.
        ShapeError: a field has a type that cannot be read.
    """
    try:
        chunk = decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        chunk = _read_tolerantly(data)
    else:
        error = chunk._error  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        # Usage, which is rare, is the only place of a chunk whose unknown fields belong to the reply. A chunk without
        # choices may be an error in another form.
        is_rare = error is not None or not chunk.choices or chunk.usage is not None
        if is_rare or (len(data) > lenient.SHALLOW and lenient.may_be_deep(data)):
            chunk = _read_tolerantly(data)
    chunk.native = data
    return chunk


def _read_tolerantly(data: bytes) -> ChatCompletionChunk:
    value = loads(data)
    if holds_error(value):
        raise OpenAIErrorInChunk(value)
    value = as_object(value, "chunk")
    chunk = ChatCompletionChunk.from_dict(with_text_content(value))
    set_cost(chunk.usage)
    return chunk
