"""Whether a data URL can be read; decodes nothing, and looks at one piece of it at a time."""

from __future__ import annotations

from urllib.parse import unquote

_PIECE = 65536
"""Characters looked at at a time, so that a large file is not copied."""

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_SPACE = " \t\n\f\r"

_MALFORMED = "is a data URL whose base64 is malformed"


def problem_of(url: str) -> str | None:
    """Why nobody can read `url`, if it is a data URL that nobody can read.

    What counts as base64 is what the web's own rules for data URLs take: white space in it, and no padding at its end,
    are in order. https://fetch.spec.whatwg.org/#data-url-processor
    """
    if url[:5].lower() != "data:":
        return None
    start = url.find(",") + 1
    if not start:
        return "is a data URL without a comma before the data"
    if "base64" not in (option.strip().lower() for option in url[: start - 1].split(";")[1:]):
        return None
    if url.find("%", start) >= 0:
        url, start = unquote(url[start:]), 0
    return None if _is_base64(url, start) else _MALFORMED


def _is_base64(text: str, start: int) -> bool:
    end = len(text)
    padding = 0
    while end > start and (text[end - 1] == "=" or text[end - 1] in _SPACE):
        padding += text[end - 1] == "="
        end -= 1
    count = 0
    for place in range(start, end, _PIECE):
        piece = text[place : min(place + _PIECE, end)]
        if not piece.isascii():
            return False
        odd = piece.encode().translate(None, _ALPHABET)
        if odd.translate(None, _SPACE.encode()):
            return False
        count += len(piece) - len(odd)
    return padding <= 2 and (count + padding) % 4 == 0 if padding else count % 4 != 1
