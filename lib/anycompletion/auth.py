"""HttpRequest + secret → headers that sign it, and texts without what signed them; never keeps a key."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal
from urllib.parse import quote

import attrs

from .errors import CompletionError, ConfigurationError
from .http import Headers, MaskedValue
from .records import ReplyInfo

_VISIBLE = re.compile(r"[\x21-\x7e]+")
_PLACEHOLDERS = frozenset({"none", "null", "your_api_key", "your-api-key"})
MAX_KEY = 8192


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
    kind = type(key).__name__
    # This frame is in the traceback of what it raises: nothing in it shows the key.
    text = MaskedValue(key.strip()) if isinstance(key, str) else None
    del key
    problem = f"is no text but of type {kind}" if text is None else _problem(text)
    if problem is not None:
        origin = f" ({source})" if source else ""
        raise ConfigurationError(f"the API key for {provider}{origin} {problem}", provider=provider)
    assert text is not None, "or there is a problem"
    return text


def _problem(text: str) -> str | None:
    if not text:
        return "is empty"
    if len(text) > MAX_KEY:
        return f"has {len(text)} characters, more than {MAX_KEY}"
    if text.lower() in _PLACEHOLDERS:
        return "is a placeholder"
    if _VISIBLE.fullmatch(text):
        return None
    return f"has {len(text)} characters, one of which is {next(map(_odd, filter(None, _VISIBLE.split(text))))}"


def _odd(text: str) -> str:
    """What kind of character `text` begins with."""
    if text[0].isspace():
        return "white space"
    return "a control character" if text[0] < "\x80" else "not ASCII"


def sign(scheme: Auth, key: str | None, *, token: bool = False) -> dict[str, str]:
    """The headers that carry `key`; a bearer token goes as one whatever the scheme."""
    if scheme.kind == "none" or key is None:
        return {}
    scheme = BEARER if token else scheme
    return {scheme.header: MaskedValue(scheme.prefix + key)}


# --- what comes back -------------------------------------------------------------------------------------------------

_PIECE = 12
"""Characters of a secret in a row that are hidden. Providers show fewer, so that people see which key it was."""

SHORTEST = 4
"""Characters; a shorter secret is none, and hiding it would garble every text."""

_BEARS_SECRETS = re.compile(r"auth|key|token|secret|cookie|password|credential", re.IGNORECASE)
_SCHEME = re.compile(r"(bearer|basic|token|digest|apikey|key) +", re.IGNORECASE)


def credentials(headers: Mapping[str, str]) -> list[str]:
    """The secrets in headers that a caller gave: the values of those whose names say so, without their scheme."""
    return [_SCHEME.sub("", value, count=1) for name, value in headers.items() if _BEARS_SECRETS.search(name)]


def hide(text: str, secrets: Iterable[str]) -> str:
    """`text` with *** where a secret stands: all of it or a long piece, as it is or as servers write it."""
    return _without(text, _found(text, secrets))


def _found(text: str, secrets: Iterable[str]) -> list[str]:
    """The forms of secrets that `text` may hold a piece of: none, nearly always, for a few searches."""
    forms = {form for secret in secrets if len(secret) >= SHORTEST for form in _forms(secret)}
    return [form for form in forms if any(half in text for half in _halves(form))]


def _forms(secret: str) -> set[str]:
    """A secret as it is, in base64, in a URL, and in JSON that escapes slashes."""
    encoded = base64.b64encode(secret.encode()).decode().rstrip("=")
    return {str(secret), encoded, quote(secret, safe=""), secret.replace("/", r"\/")}


def _size(form: str) -> int:
    return min(len(form), _PIECE)


def _halves(form: str) -> list[str]:
    """Every piece that has to be hidden holds one of these whole."""
    half = _size(form) // 2
    return [form[at : at + half] for at in range(0, len(form) - half + 1, half)]


def _without(text: str, forms: Iterable[str]) -> str:
    kept: list[str] = []
    shown = 0
    for start, end in sorted(span for form in forms for span in _spans(text, form)):
        if start > shown or not kept:
            kept += [text[shown:start], "***"]
        shown = max(shown, end)
    return "".join([*kept, text[shown:]]) if kept else text


def _spans(text: str, form: str) -> Iterator[tuple[int, int]]:
    """Where pieces of `form` stand, as long as they are."""
    size = _size(form)
    pieces = {form[at : at + size] for at in range(len(form) - size + 1)}
    at = 0
    while at + size <= len(text):
        end = at + size
        if text[at:end] not in pieces:
            at += 1
            continue
        while text[end - size + 1 : end + 1] in pieces:
            end += 1
        yield at, end
        at = end


_TEXTS = ("message", "code", "type", "param", "request_id", "body")


def hide_echoes(told: CompletionError | ReplyInfo, secrets: Iterable[str]) -> None:
    """Hides what a request was signed with wherever `told` shows what the provider sent back."""
    texts = {name: text for name in _TEXTS if isinstance(text := getattr(told, name, None), str)}
    headers = told.headers or {}
    forms = _found("\n".join((*texts.values(), *headers.keys(), *headers.values())), secrets)
    if not forms:
        return
    for name, text in texts.items():
        setattr(told, name, _without(text, forms))
    if told.headers is not None:
        told.headers = Headers.of({_without(name, forms): _without(value, forms) for name, value in headers.items()})
    if isinstance(told, CompletionError):
        told.args = (told.message,)


def without_echoes(headers: Headers, secrets: Iterable[str]) -> Headers:
    """The headers of an answer, which are kept whether it is good or bad, without a secret that stands there whole."""
    found = [
        secret
        for secret in secrets
        if len(secret) >= SHORTEST and headers.contain_any([secret.encode("utf-8", "replace")])
    ]
    return Headers.of({name: hide(value, found) for name, value in headers.items()}) if found else headers
