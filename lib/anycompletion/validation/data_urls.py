"""Checks whether a data URL is well-formed; decodes nothing, and reads it in bounded chunks."""

from __future__ import annotations

from urllib.parse import unquote

_CHUNK = 65536
"""Characters checked at a time, so that a large file is not copied as a whole."""

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_WHITESPACE = " \t\n\f\r"

_MALFORMED = "is a data URL whose base64 is malformed"


def find_problem(url: str) -> str | None:
    """Why `url` is a malformed data URL; None for a well-formed one and for every other URL.

    Base64 is what the WHATWG's algorithm accepts: whitespace in it and missing padding are valid.
    https://fetch.spec.whatwg.org/#data-url-processor
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
    while end > start and (text[end - 1] == "=" or text[end - 1] in _WHITESPACE):
        padding += text[end - 1] == "="
        end -= 1
    digits = 0
    for offset in range(start, end, _CHUNK):
        chunk = text[offset : min(offset + _CHUNK, end)]
        if not chunk.isascii():
            return False
        others = chunk.encode().translate(None, _ALPHABET)
        if others.translate(None, _WHITESPACE.encode()):
            return False
        digits += len(chunk) - len(others)
    return padding <= 2 and (digits + padding) % 4 == 0 if padding else digits % 4 != 1
