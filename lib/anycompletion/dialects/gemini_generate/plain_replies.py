"""Replies with one text of one candidate, as most are: read by msgspec in one step. No I/O.

https://ai.google.dev/api/generate-content#generatecontentresponse
"""

# Annotations are no strings here: msgspec would evaluate each of them.

from typing import Any, Literal

import msgspec

from ...codecs.json import decoded
from ...codecs.lenient import optional_str
from ...records import ChatCompletion, ChatCompletionMessage, Choice
from .gemini_finish import finish_reason
from .token_counts import has_counts, read_usage


class _ReplyPart(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    text: str


class _ReplyContent(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    parts: tuple[_ReplyPart]
    role: str | None = None


class _ReplyCandidate(msgspec.Struct, forbid_unknown_fields=True, gc=False, rename="camel"):
    content: _ReplyContent
    finish_reason: Literal["STOP", "MAX_TOKENS"]
    index: int | None = None


class _PlainReply(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    candidates: tuple[_ReplyCandidate]
    usage_metadata: dict[str, Any] | None = None
    model_version: str | None = None
    response_id: str | None = None


_decode = msgspec.json.Decoder(_PlainReply).decode


def plain_reply(data: bytes, model: str) -> ChatCompletion | None:
    """The completion of a reply with one text of the candidate 0, with `.raw` set; None for all others.

    Args:
        data: the body.
        model: the model's name where the reply has none.
    """
    reply = decoded(data, _decode)
    if reply is None:
        return None
    candidate, usage = reply.candidates[0], reply.usage_metadata
    if candidate.index:
        return None
    message = ChatCompletionMessage(candidate.content.parts[0].text or None)
    reason = candidate.finish_reason
    finish = finish_reason(reason, has_calls=False, legacy=False)
    completion = ChatCompletion(
        reply.response_id or "",
        [Choice(0, message, finish, None, reason)],
        reply.model_version or model,
        usage=read_usage(usage) if usage is not None and has_counts(usage) else None,
        service_tier=None if usage is None else optional_str(usage.get("serviceTier")),
    )
    completion.keep_raw_json(data)
    return completion
