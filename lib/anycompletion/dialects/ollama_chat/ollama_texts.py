"""Replies with a text and no calls, as most are: read by msgspec in one step. No I/O.

https://docs.ollama.com/api/chat
"""

# Annotations are no strings here: msgspec would evaluate each of them.

from typing import Literal

import msgspec

from ...codecs.json import decoded


class _OllamaTextMessage(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    role: str = "assistant"
    content: str = ""
    thinking: str | None = None


class OllamaTextReply(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Reply with a text, thinking or both, that ended by itself or at a limit."""

    model: str
    created_at: str
    message: _OllamaTextMessage
    done: bool
    done_reason: Literal["stop", "length"]
    total_duration: int | None = None
    load_duration: int | None = None
    prompt_eval_count: int | None = None
    prompt_eval_cached_count: int | None = None
    prompt_eval_duration: int | None = None
    eval_count: int | None = None
    eval_duration: int | None = None


_decode = msgspec.json.Decoder(OllamaTextReply).decode


def text_reply(data: bytes) -> OllamaTextReply | None:
    """A reply with nothing but a text and thinking; None for all others."""
    reply = decoded(data, _decode)
    return reply if reply is not None and reply.done else None
