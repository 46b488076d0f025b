"""Deltas of text, as nearly all events of a stream are: read by msgspec in one step. No I/O.

https://platform.openai.com/docs/api-reference/responses-streaming/response/output_text/delta
"""

# Annotations are no strings here: msgspec would evaluate each of them.

from typing import Literal

import msgspec

TEXT_DELTA = "response.output_text.delta"
"""Type of the event."""


class OpenAITextDelta(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Event with a piece of a text, and no log probabilities."""

    type: Literal["response.output_text.delta"]
    delta: str
    output_index: int
    content_index: int | None = None
    item_id: str | None = None
    sequence_number: int | None = None
    logprobs: tuple[()] | None = None
    obfuscation: str | None = None


decode_text_delta = msgspec.json.Decoder(OpenAITextDelta).decode
"""Decodes an event that is nothing but a piece of a text; raises for all others."""
