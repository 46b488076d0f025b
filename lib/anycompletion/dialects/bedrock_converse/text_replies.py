"""Replies with one text, as most are: read by msgspec in one step. No I/O.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

# Annotations are no strings here: msgspec would evaluate each of them.

from typing import Any, Literal

import msgspec

from ...codecs.json import decoded


class _TextBlock(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    text: str


class _TextMessage(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    content: tuple[_TextBlock]
    role: str | None = None


class _TextOutput(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    message: _TextMessage


class BedrockTextReply(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """Reply with one text that ended by itself or at a limit."""

    output: _TextOutput
    stop_reason: Literal["end_turn", "stop_sequence", "max_tokens"]
    usage: dict[str, Any] | None = None
    metrics: dict[str, Any] | None = None

    @property
    def text(self) -> str:
        """The text."""
        return self.output.message.content[0].text


_decode = msgspec.json.Decoder(BedrockTextReply).decode


def text_reply(data: bytes) -> BedrockTextReply | None:
    """A reply with one text that is not blank and nothing else that needs reading; None for all others."""
    reply = decoded(data, _decode)
    return None if reply is None or not reply.text or reply.text.isspace() else reply
