"""Deltas of text, as nearly all events of a stream are: read by msgspec in one step. No I/O.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlockDeltaEvent.html

One is ``{"contentBlockIndex": 0, "delta": {"text": "Hel"}, "p": "abcdefghij"}``.
"""

# Annotations are no strings here: msgspec would evaluate each of them.

import msgspec


class _ConverseText(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Delta of text alone."""

    text: str


class BedrockTextDelta(msgspec.Struct, forbid_unknown_fields=True, gc=False, rename="camel"):
    """Event with a piece of a text."""

    content_block_index: int
    delta: _ConverseText
    p: str = ""
    """Padding, which hides the length of the text."""


decode_text_delta = msgspec.json.Decoder(BedrockTextDelta).decode
"""Decodes an event that is nothing but a delta of text.

Raises msgspec's errors for all others, of which the caller then reads what there is.
"""
