"""Redaction of secrets: types whose repr hides their value, and functions that replace secrets in texts by ***.

A provider may repeat a secret of the request in its response. No function here stores a secret.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NoReturn, Protocol
from urllib.parse import quote

from .errors import CompletionError
from .http import Headers


class MaskedValue(str):
    """Header value whose repr hides it, so that dumps of a traceback's locals show no key."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"

    def __deepcopy__(self, memo: object) -> MaskedValue:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a header value that may hold a key does not pickle")


class MaskedBytes(bytes):
    """Request body whose repr hides it, so that dumps of a traceback's locals show no prompt."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"


_MIN_FRAGMENT = 12
"""Characters; fragments of a secret that are at least this long are hidden. Providers show shorter ones, so that people
recognize the key."""

MIN_SECRET = 4
"""Characters; shorter values are not treated as secrets, because hiding them would garble every text."""

_SECRET_HEADER = r"(?i)auth|key|token|secret|cookie|password|credential"
_SCHEME = r"(?i)(bearer|basic|token|digest|apikey|key) +"


def secret_values(headers: Mapping[str, str]) -> list[str]:
    """The secrets among a caller's headers: the values of headers with a telltale name, without the auth scheme."""
    return [re.sub(_SCHEME, "", value, count=1) for name, value in headers.items() if re.search(_SECRET_HEADER, name)]


def hide(text: str, secrets: Iterable[str]) -> str:
    """`text` with *** in place of each secret and of each long fragment of one, in any encoding servers use."""
    return _redact(text, _matching_forms(text, secrets))


def _matching_forms(text: str, secrets: Iterable[str]) -> list[str]:
    """The encoded secrets of which `text` may contain a fragment: usually none, found by a few substring searches."""
    forms = {form for secret in secrets if len(secret) >= MIN_SECRET for form in _encoded_forms(secret)}
    return [form for form in forms if any(probe in text for probe in _probes(form))]


def _encoded_forms(secret: str) -> set[str]:
    """A secret as it is, in base64, percent-encoded, and in JSON that escapes slashes."""
    encoded = base64.b64encode(secret.encode()).decode().rstrip("=")
    return {str(secret), encoded, quote(secret, safe=""), secret.replace("/", r"\/")}


def _fragment_size(form: str) -> int:
    return min(len(form), _MIN_FRAGMENT)


def _probes(form: str) -> list[str]:
    """Consecutive substrings of `form`, half a fragment long: every fragment contains at least one of them whole."""
    half = _fragment_size(form) // 2
    return [form[at : at + half] for at in range(0, len(form) - half + 1, half)]


def _redact(text: str, forms: Iterable[str]) -> str:
    pieces: list[str] = []
    done = 0
    for start, end in sorted(span for form in forms for span in _fragment_spans(text, form)):
        if start > done or not pieces:  # else it touches or overlaps the one before, and both are one ***
            pieces += [text[done:start], "***"]
        done = max(done, end)
    return "".join([*pieces, text[done:]]) if pieces else text


def _fragment_spans(text: str, form: str) -> Iterator[tuple[int, int]]:
    """Start and end of each fragment of `form` in `text`, as long as possible."""
    size = _fragment_size(form)
    fragments = {form[at : at + size] for at in range(len(form) - size + 1)}
    at = 0
    while at + size <= len(text):
        end = at + size
        if text[at:end] not in fragments:
            at += 1
            continue
        while text[end - size + 1 : end + 1] in fragments:
            end += 1
        yield at, end
        at = end


class _HasHeaders(Protocol):
    """A `CompletionError` or a `ReplyInfo`."""

    @property
    def headers(self) -> Mapping[str, str] | None: ...


_ECHOING = ("message", "code", "type", "param", "request_id", "body")
"""Attributes of errors and of `ReplyInfo` that contain text from a response."""


def redact_in_place(target: _HasHeaders, secrets: Iterable[str]) -> None:
    """Redacts the request's secrets, and long fragments of them, in all texts of an error or `ReplyInfo`."""
    texts = {name: text for name in _ECHOING if isinstance(text := getattr(target, name, None), str)}
    headers = target.headers
    shown = headers or {}
    forms = _matching_forms("\n".join((*texts.values(), *shown.keys(), *shown.values())), secrets)
    if not forms:
        return
    redacted: dict[str, Any] = {name: _redact(text, forms) for name, text in texts.items()}
    if headers is not None:
        redacted["headers"] = Headers.of(
            {_redact(name, forms): _redact(value, forms) for name, value in headers.items()}
        )
    for name, value in redacted.items():
        setattr(target, name, value)
    if isinstance(target, CompletionError):
        target.args = (target.message,)


def redacted_headers(headers: Headers, secrets: Iterable[str]) -> Headers:
    """`headers` where no value contains a whole secret, else a redacted copy.

    Fragments are not searched for, because every response passes here.
    """
    found = [
        secret
        for secret in secrets
        if len(secret) >= MIN_SECRET and headers.contain_any([secret.encode("utf-8", "replace")])
    ]
    return Headers.of({name: hide(value, found) for name, value in headers.items()}) if found else headers
