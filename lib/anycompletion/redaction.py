"""Redaction of secrets: types whose repr hides their value, and functions that replace secrets in texts by ***.

A provider may repeat a secret of the request in its response. No function here stores a secret.
"""

from __future__ import annotations

import base64
import itertools
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NoReturn, Protocol
from urllib.parse import quote

import msgspec

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
    """Bytes whose repr hides them, so that dumps of a traceback's locals show no prompt and no key."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"


_MIN_FRAGMENT = 12
"""Characters; fragments of a secret that are at least this long are hidden. Providers show shorter ones, so that people
recognize the key."""

MIN_SECRET = 4
"""Characters; shorter values are not treated as secrets, because hiding them would garble every text."""

_MIN_OTHER_SECRET = 8
"""The same for values whose names are not those of credentials."""

_MAX_WORK = 500_000
"""Characters that are compared in one text, about; a text that needs more, because it has very many fragments or long
repetitions, is hidden as a whole."""

_CREDENTIAL_NAME = (
    r"(?i)^(?!(x-)?idempotency).*(auth|key|token|secret|cookie|passw|pwd|credential|session|signature|jwt|^sig$"
    r"|access-client)"
)
_SCHEME = r"(?i)(bearer|basic|token|digest|apikey|key) +"
_LOOKS_RANDOM = r"(?i)^bearer |(?=[a-z]*\d)(?=\d*[a-z])[a-z0-9]{16,}"

_PUBLIC_HEADERS = frozenset(
    (
        "accept",
        "accept-language",
        "api-version",
        "anthropic-beta",
        "anthropic-version",
        "content-type",
        "http-referer",
        "openai-beta",
        "openai-organization",
        "openai-project",
        "referer",
        "user-agent",
        "x-title",
    )
)
"""Headers and parameters of URLs whose values are not secret, and may stand in an error's text."""


def is_credential(name: str) -> bool:
    """Whether a header or a parameter of a URL with this name carries a credential, as far as names tell."""
    return re.search(_CREDENTIAL_NAME, name) is not None


def may_be_secret(name: str, value: str) -> bool:
    """Whether a header is a credential by its name, or by its value, which looks random."""
    return is_credential(name) or re.search(_LOOKS_RANDOM, value) is not None


def secret_values(headers: Mapping[str, str]) -> list[str]:
    """The secrets among headers or parameters of a URL: all values but short ones and those of well-known headers.

    Values with a telltale name are secret even if they are short. The auth scheme (``Bearer``) is cut off. With
    ``Basic``, the password is a secret, too.
    """
    values = [
        value
        for name, value in headers.items()
        if name.lower() not in _PUBLIC_HEADERS and (len(value) >= _MIN_OTHER_SECRET or is_credential(name))
    ]
    passwords = [password for value in values if (password := basic_password(value))]
    texts = [text for value in values for text in signature_secrets(value) or [re.sub(_SCHEME, "", value, count=1)]]
    return texts + passwords


def basic_password(value: str) -> str:
    """The password in a header's value of the auth scheme Basic; "" in others."""
    scheme, _, encoded = value.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(encoded).partition(b":")[2].decode()
    except ValueError:
        return ""


def signature_secrets(value: str) -> list[str]:
    """The secrets in a header's value that is an AWS signature: the access key's id and the signature; none in others.

    The rest of it are names of headers, and the date and service, which may stand in any text.
    """
    found = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/.*Signature=([0-9a-f]+)", value)
    return [] if found is None else [*found.groups()]


def hide(text: str, secrets: Iterable[str]) -> str:
    """`text` with *** in place of each secret and of each long fragment of one, in any encoding servers use."""
    return _redact(text, _matching_forms(text, secrets))


class _Form(msgspec.Struct, frozen=True):
    """A secret in one encoding."""

    text: str
    width: int
    """Smallest number of characters that encode one of the secret's."""

    @property
    def fragment_size(self) -> int:
        """Characters of the shortest fragment that is hidden."""
        return min(len(self.text), _MIN_FRAGMENT * self.width)

    def probes(self) -> set[str]:
        """Substrings, half a fragment long: every fragment contains at least one of them whole."""
        half = self.fragment_size // 2
        return {self.text[at : at + half] for at in range(0, len(self.text) - half + 1, half)}


def _matching_forms(text: str, secrets: Iterable[str]) -> list[_Form]:
    """The encoded secrets of which `text` may contain a fragment: usually none, found by a few substring searches."""
    forms = {form for secret in secrets if len(secret) >= MIN_SECRET for form in _encoded_forms(str(secret))}
    return [form for form in forms if any(probe in text for probe in form.probes())]


_ESCAPES = (
    ("%{:02X}", 3),
    ("%{:02x}", 3),
    ("\\x{:02x}", 4),
    ("\\u{:04x}", 6),
    ("\\u{:04X}", 6),
    ("&#{};", 4),
    ("&#x{:x};", 5),
)
"""How URLs, Python, JSON and HTML write any character, and the width of it."""


_HTML_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})
"""As `html.escape` does it, which takes 1 ms to import."""


def _encoded_forms(secret: str) -> Iterator[_Form]:
    """A secret as it is, in other cases, in base64 and hexadecimal, and as URLs, JSON, HTML and Python escape it."""
    data = secret.encode()
    for text in (secret, secret.upper(), secret.lower(), quote(secret, safe=""), secret.replace("/", r"\/")):
        yield _Form(text, 1)
    yield _Form(secret.translate(_HTML_ESCAPES), 1)
    # Before the secret there may be a scheme and a space; where the secret begins decides how it is encoded.
    for before in range(3 if len(secret) >= _MIN_FRAGMENT else 1):
        encoded = base64.b64encode(bytes(before) + data).decode().rstrip("=")[(0, 2, 3)[before] :]
        yield _Form(encoded, 1)
        yield _Form(encoded.replace("+", "-").replace("/", "_"), 1)
    for text in (data.hex(), data.hex().upper()):
        yield _Form(text, 2)
    for pattern, width in _ESCAPES:
        yield _Form("".join(map(pattern.format, data)), width)


def _redact(text: str, forms: Iterable[_Form]) -> str:
    pieces: list[str] = []
    done = 0
    spans: list[tuple[int, int]] = []
    work = 0
    for start, end in itertools.chain.from_iterable(_fragment_spans(text, form) for form in forms):
        spans.append((start, end))
        work += 50 + end - start  # finding one costs as much as comparing fifty characters
        if work > _MAX_WORK:
            return "***"
    for start, end in sorted(spans):
        if end <= start:
            continue
        if start > done or not pieces:  # else it touches or overlaps the one before, and both are one ***
            pieces += [text[done:start], "***"]
        done = max(done, end)
    return "".join([*pieces, text[done:]]) if pieces else text


def _fragment_spans(text: str, form: _Form) -> Iterator[tuple[int, int]]:
    """Start and end of each fragment of `form` in `text`, as long as possible; an empty span for a probe in none."""
    secret, size = form.text, form.fragment_size
    known = deque[tuple[int, int]](maxlen=16)
    """Fragments that were found last, of which the other probes in them add nothing."""
    for probe in form.probes():
        at, begins = text.find(probe), _positions(secret, probe) if probe in text else []
        while at >= 0:
            latest = at + len(probe)
            around = [end for start, end in known if start <= at and latest <= end] if len(begins) == 1 else []
            for begin in () if around else begins:
                start, end = _extended(text, at, secret, begin, len(probe))
                if end - start >= size:
                    known.append((start, end))
                yield (start, end) if end - start >= size else (0, 0)
                latest = max(latest, end)
            latest = max((latest, *around))
            at = text.find(probe, max(at + 1, latest - len(probe) + 1))


def _positions(text: str, piece: str) -> list[int]:
    found = [text.find(piece)]
    while found[-1] >= 0:
        found.append(text.find(piece, found[-1] + 1))
    return found[:-1]


def _extended(text: str, at: int, secret: str, begin: int, size: int) -> tuple[int, int]:
    """Start and end of the longest common piece of both texts around one of `size` characters."""
    start, end, last = at, at + size, begin + size
    while start and begin and text[start - 1] == secret[begin - 1]:
        start, begin = start - 1, begin - 1
    while end < len(text) and last < len(secret) and text[end] == secret[last]:
        end, last = end + 1, last + 1
    return start, end


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


def header_probes(secret: str) -> list[MaskedBytes]:
    """Pieces of a secret by which `redacted_headers` finds it; few, because every response passes there."""
    data = secret.encode("utf-8", "replace")
    if len(secret) < MIN_SECRET:
        return []
    size = min(len(data), _MIN_FRAGMENT)
    return [MaskedBytes(data[at : at + size]) for at in range(0, len(data) - size + 1, size)]


def redacted_headers(headers: Headers, secrets: Iterable[str]) -> Headers:
    """`headers` where no value contains one of the `header_probes` of a secret, else a redacted copy."""
    found = [secret for secret in secrets if headers.contain_any(header_probes(secret))]
    return Headers.of({name: hide(value, found) for name, value in headers.items()}) if found else headers
