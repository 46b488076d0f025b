"""Whole replies in OpenAI's format → records, the fast path: for bytes that hold nothing but what OpenAI documents.

Whatever else they hold, a member nobody knows or a type nobody expects, makes this path give up; the tolerant one
(`ChatCompletion.from_dict`) then reads the same bytes. So nothing is lost, and the usual reply costs a third.
"""

from __future__ import annotations

import msgspec

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


class _Function(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    name: str
    arguments: str


class _ToolCall(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    function: _Function
    type: str = "function"


class _Message(msgspec.Struct, forbid_unknown_fields=True):
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
    finish_reason: str | None = None
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
    object: str
    usage: _Usage | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None


_decode = msgspec.json.Decoder(_Reply).decode


def read_reply(data: bytes) -> ChatCompletion | None:
    """A reply with at least one choice and `.raw` set, or None: the bytes hold something else, or something more."""
    try:
        reply = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not reply.choices:
        return None
    completion = ChatCompletion(
        reply.id,
        [_choice(choice) for choice in reply.choices],
        reply.model,
        reply.created,
        reply.object,
        None if reply.usage is None else _usage(reply.usage),
        reply.service_tier,
        reply.system_fingerprint,
    )
    completion.keep_native(data)
    return completion


def _choice(choice: _Choice) -> Choice:
    said = choice.message
    message = AssistantMessage(
        said.content,
        said.refusal,
        [
            ToolCall(call.id, FunctionCall(call.function.name, call.function.arguments), call.type)
            for call in said.tool_calls
        ]
        if said.tool_calls
        else None,
        None,
        None,
        None if said.annotations is None else [],
        role=said.role,
    )
    return Choice(choice.index, message, choice.finish_reason or None)


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
