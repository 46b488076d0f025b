"""Deltas of text, as nearly all events of a stream are: read by msgspec in one step. No I/O.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlockDeltaEvent.html
"""

# Annotations are no strings here: msgspec would evaluate each of them.

import msgspec


class _ConverseText(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    text: str


class _ConverseTextEvent(msgspec.Struct, forbid_unknown_fields=True, gc=False, rename="camel"):
    content_block_index: int
    delta: _ConverseText
    p: str = ""
    """Padding, which hides the length of the text."""


_decode = msgspec.json.Decoder(_ConverseTextEvent).decode


def plain_text(data: bytes, index: object) -> str:
    """The text of an event that is nothing but a delta of the text block `index`; "" for all others."""
    try:
        event = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return event.delta.text if event.content_block_index == index else ""
