"""Events with one text of one candidate, as nearly all of a stream are: read by msgspec in one step. No I/O.

https://ai.google.dev/api/generate-content#generatecontentresponse
"""

# Annotations are no strings here: msgspec would evaluate each of them.

import msgspec


class _PlainPart(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    text: str


class _PlainContent(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    parts: tuple[_PlainPart]
    role: str | None = None


class _PlainCandidate(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    content: _PlainContent
    index: int | None = None


class _PlainCounts(msgspec.Struct, gc=False, rename="camel"):
    """Usage, of which only is read whether it has counts."""

    total_token_count: int | None = None
    prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None


NO_COUNTS = _PlainCounts()
"""Usage without any count."""


class GeminiPlainEvent(msgspec.Struct, forbid_unknown_fields=True, gc=False, rename="camel"):
    """Event with a text and nothing else that makes a chunk."""

    candidates: tuple[_PlainCandidate]
    usage_metadata: _PlainCounts | None = None
    model_version: str | None = None
    response_id: str | None = None
    create_time: str | None = None


decode_plain_event = msgspec.json.Decoder(GeminiPlainEvent).decode
"""Decodes an event with one text of one candidate and nothing else; raises for all others."""
