"""How many tokens a request may cost, guessed before it is sent from the size of its body."""

from __future__ import annotations

from ..records import AudioPart, ChatRequest, FilePart, ImagePart, Part, TextPart, Usage

_BYTES = 4
"""Of a body per token: English text has four characters a token, and most other scripts more bytes a character."""

_MEDIUM = 1000
"""Tokens of an image, a sound or a file: of the size of its data they do not depend much."""


def estimated_tokens(request: ChatRequest, size: int) -> int:
    """A quarter of the body's `size` in bytes, 1,000 for each image, sound and file, and what the reply may have.

    That is `max_completion_tokens` or `max_tokens` for each of `n` choices; where nobody set a limit it is unknown, and
    counts nothing until the reply tells.
    """
    media = 0
    if not isinstance(request.messages, str):
        for message in request.messages:
            content: object = getattr(message, "content", None)
            if isinstance(content, list):
                for part in content:  # pyright: ignore[reportUnknownVariableType]  # what `validate` made: parts
                    if not isinstance(part, TextPart):
                        media += 1
                        size -= _data(part)  # pyright: ignore[reportUnknownArgumentType]
    reply = request.max_completion_tokens or request.max_tokens or 0
    return max(size, 0) // _BYTES + media * _MEDIUM + reply * (request.n or 1)


def _data(part: Part) -> int:
    """The characters of a part that are no text."""
    match part:
        case ImagePart():
            return len(part.image_url.url)
        case AudioPart():
            return len(part.input_audio.data)
        case FilePart():
            return len(part.file.file_data or "")
        case _:
            return 0


def used_tokens(usage: Usage | None) -> int | None:
    """The tokens that a reply took, as the provider counted them; None where it did not say."""
    if usage is None:
        return None
    if usage.prompt_tokens is None or usage.completion_tokens is None:
        return usage.total_tokens
    return usage.prompt_tokens + usage.completion_tokens
