"""Estimate of the tokens that a request uses, from the size of its body; loads no tokenizer."""

from __future__ import annotations

from ..records import AudioPart, ChatRequest, FilePart, ImagePart, Part, TextPart, Usage

_BYTES_PER_TOKEN = 4
"""English text has four characters per token; most other scripts have more bytes per character."""

_TOKENS_PER_MEDIUM = 1000
"""Tokens of an image, a sound or a file, which depend little on the size of its data."""


def estimated_tokens(request: ChatRequest, size: int) -> int:
    """A quarter of the body's `size` in bytes, 1,000 for each image, sound and file, and the limit of the reply.

    That limit is `max_completion_tokens` or `max_tokens`, for each of `n` choices. Where the request has none, the
    reply counts nothing until its usage is known.
    """
    media = 0
    if not isinstance(request.messages, str):
        for message in request.messages:
            content: object = getattr(message, "content", None)
            if isinstance(content, list):
                for part in content:  # pyright: ignore[reportUnknownVariableType]  # parts, after validation
                    if not isinstance(part, TextPart):
                        media += 1
                        size -= _data_size(part)  # pyright: ignore[reportUnknownArgumentType]
    reply = request.max_completion_tokens or request.max_tokens or 0
    return max(size, 0) // _BYTES_PER_TOKEN + media * _TOKENS_PER_MEDIUM + reply * (request.n or 1)


def _data_size(part: Part) -> int:
    """Characters of a part's data."""
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
    """The tokens that a request and its reply used, as the provider counted them; None where it reported none."""
    if usage is None:
        return None
    if usage.prompt_tokens is None or usage.completion_tokens is None:
        return usage.total_tokens
    return usage.prompt_tokens + usage.completion_tokens
