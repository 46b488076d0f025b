"""Messages with one text, as most are: read by msgspec in one step. No I/O.

https://docs.anthropic.com/en/api/messages
"""

# Annotations are no strings here: msgspec would evaluate each of them.

from typing import Any, Literal

import msgspec

from ...codecs.json import decoded


class _AnthropicTextBlock(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: Literal["text"]
    text: str
    citations: None = None


class AnthropicTextMessage(msgspec.Struct, forbid_unknown_fields=True):
    """Message with one text that ended by itself or at a limit."""

    id: str
    type: Literal["message"]
    model: str
    content: tuple[_AnthropicTextBlock]
    stop_reason: Literal["end_turn", "stop_sequence", "max_tokens"]
    usage: dict[str, Any]
    role: str | None = None
    stop_sequence: str | None = None
    stop_details: None = None
    container: None = None
    context_management: None = None

    @property
    def text(self) -> str:
        """The text."""
        return self.content[0].text


_decode = msgspec.json.Decoder(AnthropicTextMessage).decode


def text_message(data: bytes) -> AnthropicTextMessage | None:
    """A message with one text that is not blank and nothing else; None for all others."""
    message = decoded(data, _decode)
    return None if message is None or not message.text or message.text.isspace() else message
