"""Media of tool results, for formats whose tool results are texts: they follow in a message of the user. No I/O.

They follow after the last result of a turn, because a message of another role would end the turn's results.
"""

from __future__ import annotations

from ..records import AudioPart, FilePart, ImagePart, Part, TextPart, ToolMessage
from .base import EncodingReport

_MEDIA = (ImagePart, FilePart, AudioPart)
_ONLY_MEDIA = "The result is in the next message of the user."


def split_media(
    message: ToolMessage, path: str, provider: str, report: EncodingReport
) -> tuple[ToolMessage, list[Part]]:
    """A tool result as a text, and the parts that the message of the user after the turn's results has for it.

    A result without media is returned unchanged.
    """
    content = message.content
    if isinstance(content, str):
        return message, []
    media = [part for part in content if isinstance(part, _MEDIA)]
    if not media:
        return message, []
    report.warn(f"{path}.content: media sent in a message of the user; {provider} takes texts as results of tools")
    rest = _as_text([part for part in content if not isinstance(part, _MEDIA)])
    text = ToolMessage(rest, message.tool_call_id, message.name, extra=message.extra)
    return text, [TextPart(f"Attached to the result of call {message.tool_call_id}:"), *media]


def _as_text(parts: list[Part]) -> str | list[Part]:
    """Parts as one text, which more servers take than a list; the list, where a part is more than a text."""
    texts = [part.text for part in parts if isinstance(part, TextPart) and not part.extra]
    if len(texts) == len(parts):
        return "\n".join(texts) or _ONLY_MEDIA
    return parts
