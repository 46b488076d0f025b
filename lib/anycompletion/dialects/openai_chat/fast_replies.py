"""Replies in OpenAI's format → records, decoded by msgspec in one step.

A reply with a field that OpenAI does not document, or with a value of another type, is left to the tolerant path of
`decode`, which loses nothing and takes three times as long.

Annotations are no strings here: msgspec would evaluate each of them, which takes 1 ms of a process's first call.
"""

from typing import Literal

import msgspec

from ...records import (
    ChatCompletion,
    ChatCompletionMessage,
    Choice,
    CompletionTokensDetails,
    FunctionCall,
    PromptTokensDetails,
    ToolCall,
    Usage,
)


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


class OpenAIUsage(msgspec.Struct, forbid_unknown_fields=True):
    """Token counts with the fields that OpenAI documents."""

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
    usage: OpenAIUsage | None = None
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
        None if reply.usage is None else read_usage(reply.usage),
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


def read_usage(usage: OpenAIUsage) -> Usage:
    """The token counts as a record."""
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
