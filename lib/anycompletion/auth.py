"""HttpRequest + secret → headers that sign it; never keeps a key and never sees where it came from."""

from __future__ import annotations

import re
from typing import Literal

import attrs

from .errors import ConfigurationError

_VISIBLE = re.compile(r"[\x21-\x7e]+")
_PLACEHOLDERS = frozenset({"none", "null", "your_api_key", "your-api-key"})
MAX_KEY = 8192


class MaskedValue(str):
    """A header value whose repr hides it, so that dumps of a traceback's locals show no key."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


@attrs.frozen
class Auth:
    """How a provider wants its key: the header, and what stands before the key in it."""

    header: str = "Authorization"
    prefix: str = "Bearer "
    kind: Literal["header", "none"] = "header"
    functions_give_tokens: bool = False
    """Whether an ``async () -> str`` gives a bearer token and not a key (Azure's Entra ID)."""


BEARER = Auth()
NO_AUTH = Auth(kind="none")


def header_key(name: str, *, functions_give_tokens: bool = False) -> Auth:
    """The key as it is, in a header of its own (``x-api-key``, ``api-key``)."""
    return Auth(name, "", functions_give_tokens=functions_give_tokens)


def check_key(key: object, provider: str, source: str = "") -> str:
    """The key without outer white space (files end in newlines), if it can stand in a header.

    Raises:
        ConfigurationError: it cannot; the text tells its length and what is wrong, never the key.
    """
    if isinstance(key, str):
        key = MaskedValue(key)  # this frame is in the traceback of what it raises
    text = MaskedValue(key.strip() if isinstance(key, str) else "")
    problem = None
    if not isinstance(key, str):
        problem = f"is no text but of type {type(key).__name__}"
    elif not text:
        problem = "is empty"
    elif len(text) > MAX_KEY:
        problem = f"is longer than {MAX_KEY} characters"
    elif text.lower() in _PLACEHOLDERS:
        problem = "is a placeholder"
    elif not _VISIBLE.fullmatch(text):
        problem = f"has {len(text)} characters, one of which is white space, a control character or not ASCII"
    if problem is not None:
        origin = f" ({source})" if source else ""
        raise ConfigurationError(f"the API key for {provider}{origin} {problem}", provider=provider)
    return text


def sign(scheme: Auth, key: str | None, *, token: bool = False) -> dict[str, str]:
    """The headers that carry `key`; a bearer token goes as one whatever the scheme."""
    if scheme.kind == "none" or key is None:
        return {}
    scheme = BEARER if token else scheme
    return {scheme.header: MaskedValue(scheme.prefix + key)}
