"""Deltas of text, as nearly all events of a stream are: read by msgspec in one step. No I/O.

https://docs.anthropic.com/en/api/messages-streaming
"""

# Annotations are no strings here: msgspec would evaluate each of them.

from typing import Literal

import msgspec


class _AnthropicText(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: Literal["text_delta"]
    text: str


class _AnthropicTextEvent(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: Literal["content_block_delta"]
    index: int
    delta: _AnthropicText


_decode = msgspec.json.Decoder(_AnthropicTextEvent).decode


def plain_text(data: bytes, index: int | None) -> str:
    """The text of an event that is nothing but a delta of the text block `index`; "" for all others."""
    try:
        event = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return event.delta.text if event.index == index else ""
