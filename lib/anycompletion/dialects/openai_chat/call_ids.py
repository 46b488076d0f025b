"""Tool-call ids in the form that a server accepts: an id of another provider's form is replaced by one made from it."""

from __future__ import annotations

import hashlib
import re

import msgspec

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class OpenAICallIdForm(msgspec.Struct, frozen=True):
    """The form of tool-call ids that a server accepts."""

    pattern: str
    """Regular expression for the whole id."""
    length: int
    """Length of the ids that replace others, in letters and digits; the pattern accepts these."""


def fitting_id(given: str, form: OpenAICallIdForm) -> str:
    """`given` if the form accepts it, else an id made from it: the same one for a call and its result.

    Nothing is stored: the provider that made the id gets it back unchanged, because the conversation keeps it.
    """
    if re.fullmatch(form.pattern, given, re.DOTALL):
        return given
    number = int.from_bytes(hashlib.sha256(given.encode("utf-8", "surrogatepass")).digest())
    made = ""
    for _ in range(form.length):
        number, digit = divmod(number, len(_ALPHABET))
        made += _ALPHABET[digit]
    return made
