"""Authentication of requests: checks keys and makes the headers that carry them; stores no key."""

from __future__ import annotations

import re
from typing import Literal

import attrs

from ._value import FrozenValue
from .errors import ConfigurationError
from .http import HttpRequest
from .redaction import MaskedValue

_PLACEHOLDERS = frozenset({"none", "null", "your_api_key", "your-api-key"})
MAX_KEY = 8192
"""Characters of the longest key that is accepted."""


@attrs.frozen(eq=False, repr=False)
class Auth(FrozenValue):
    """Authentication scheme of a provider: the header for the key, and the text before the key in it."""

    header: str = "Authorization"
    """Header that has the key."""
    prefix: str = "Bearer "
    """Text before the key."""
    kind: Literal["header", "none"] = "header"
    """Where the key is; "none" sends no key."""
    functions_give_tokens: bool = False
    """Whether an ``async () -> str`` returns a bearer token and not a key (Azure's Entra ID)."""


BEARER = Auth()
NO_AUTH = Auth(kind="none")


def header_key(name: str, *, functions_give_tokens: bool = False) -> Auth:
    """Scheme with the bare key in a header of its own (``x-api-key``, ``api-key``)."""
    return Auth(name, "", functions_give_tokens=functions_give_tokens)


def check_key(key: object, provider: str, source: str = "") -> str:
    """The key without surrounding white space (files end in newlines), if a header can carry it.

    Raises:
        ConfigurationError: a header cannot; the text states the length and the problem, never the key.
    """
    kind = type(key).__name__
    # The traceback of the error below has this frame, so no local may show the key.
    text = MaskedValue(key.strip()) if isinstance(key, str) else None
    del key
    problem = f"is no text but of type {kind}" if text is None else _problem(text)
    if problem is not None:
        where = f" ({source})" if source else ""
        raise ConfigurationError(f"the API key for {provider}{where} {problem}", provider=provider)
    assert text is not None, "or there is a problem"
    return text


def _problem(text: str) -> str | None:
    if not text:
        return "is empty"
    if len(text) > MAX_KEY:
        return f"has {len(text)} characters, more than {MAX_KEY}"
    if text.lower() in _PLACEHOLDERS:
        return "is a placeholder"
    if text.isascii() and text.isprintable() and " " not in text:
        return None
    unexpected = next(filter(None, re.split(r"[\x21-\x7e]+", text)))
    return f"has {len(text)} characters, one of which is {_kind(unexpected)}"


def _kind(text: str) -> str:
    """The kind of the first character of `text`, which is no visible ASCII one."""
    if text[0].isspace():
        return "white space"
    return "a control character" if text[0] < "\x80" else "not ASCII"


def sign(scheme: Auth, request: HttpRequest, key: str | None, *, token: bool = False) -> dict[str, str]:
    """The headers that authenticate `request` with `key`.

    A bearer token is sent as one whatever the scheme is. `calls/signing.py` keeps these headers for other requests,
    because no scheme depends on `request`; those of a scheme that signs the request must not be kept.
    """
    if scheme.kind == "none" or key is None:
        return {}
    scheme = BEARER if token else scheme
    return {scheme.header: MaskedValue(scheme.prefix + key)}
