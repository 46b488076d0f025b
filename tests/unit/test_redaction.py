"""Redaction: secrets are replaced by *** in texts, errors and headers from servers."""

from __future__ import annotations

import base64
import hashlib
import html
import time
from collections.abc import Callable
from urllib.parse import quote

import pytest

from anycompletion.errors import RateLimitError
from anycompletion.http import Headers
from anycompletion.redaction import hide, redact_in_place, redacted_headers, secret_values

LONG = "sk-proj-0123456789abcdefghijklmnop/qrstuvw+xyzABCDEFG=="

HIDDEN: list[tuple[str, str, str]] = [
    (LONG, "Incorrect API key provided: {}.", "Incorrect API key provided: ***."),
    (LONG, "{}", "***"),
    (LONG, "{0}{0} {0}", "*** ***"),
    (LONG, "{0:.12} {0:.11}", f"*** {LONG[:11]}"),
    (LONG, "Bearer {0:.20}…", "Bearer ***…"),
    ("abcd", "{} and abcde and abc", "*** and ***e and abc"),
    ("abcdefghijklm", "{} {0:.12}", "*** ***"),
    ("abc", "{} is too short to be a secret", "abc is too short to be a secret"),
    ("aaaaaaaaaaaaaaaa", "{0} a {0}a", "*** a ***"),
    (LONG, "sk-proj-****************DEFG==", "sk-proj-****************DEFG=="),
    (LONG, "c2stcHJvai0wMTIzNDU2Nzg5YWJj in base64", "*** in base64"),
    (LONG, "?key=sk-proj-0123456789abcdefghijklmnop%2Fqrstuvw%2BxyzABCDEFG%3D%3D&x", "?key=***&x"),
    (LONG, '"ghijklmnop\\/qrstuvw"', '"***"'),
]


@pytest.mark.parametrize(("secret", "text", "shown"), HIDDEN)
def test_secrets_are_hidden(secret: str, text: str, shown: str) -> None:
    """A provider's text would show the key, or lose more than the key."""
    assert hide(text.replace("{}", "{0}").format(secret), [secret]) == shown


def escaped(pattern: str) -> Callable[[str], str]:
    return lambda secret: "".join(pattern.format(ord(char)) for char in secret)


ENCODINGS: dict[str, Callable[[str], str]] = {
    "base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "base64 of a header": lambda secret: base64.b64encode(f"Bearer {secret}".encode()).decode()[12:],
    "base64 of a pair": lambda secret: base64.b64encode(f"me:{secret}".encode()).decode()[4:],
    "base64 after two bytes": lambda secret: base64.b64encode(f"k={secret}".encode()).decode()[4:],
    "base64 for URLs": lambda secret: base64.urlsafe_b64encode(secret.encode()).decode(),
    "hexadecimal": lambda secret: secret.encode().hex(),
    "capital hexadecimal": lambda secret: secret.encode().hex().upper(),
    "capitals": str.upper,
    "small letters": str.lower,
    "URL": lambda secret: quote(secret, safe=""),
    "URL, all": escaped("%{:02X}"),
    "URL, all small": escaped("%{:02x}"),
    "JSON, all": escaped("\\u{:04x}"),
    "Python, all": escaped("\\x{:02x}"),
    "HTML": html.escape,
    "HTML, decimal": escaped("&#{};"),
    "HTML, hexadecimal": escaped("&#x{:x};"),
}


@pytest.mark.parametrize("secret", [LONG, "k&<>/+=0123456789-abcdefgh", "tenant-key-123456"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_secrets_are_hidden_in_other_encodings(encoding: str, secret: str) -> None:
    """A server that encodes what it repeats would show the key."""
    echo = ENCODINGS[encoding](secret)
    for piece in (echo, echo[: len(echo) * 3 // 4], echo[len(echo) // 4 :]):
        shown = hide(f"<{piece}>", [secret])
        left = shown.replace("***", "")
        assert len(left) <= 2 + 8, left
    text = "an ordinary text of a server, with an id 0123456789abcdef0123456789abcdef and a URL https://x.example/v1"
    assert hide(text, ["sk-proj-zyxwvutsrqponmlkjihgfedcba"]) == text


@pytest.mark.parametrize("filling", ["{0:.11} ", "{0:.6}", "{0} ", "{0:.12}", "k"])
def test_redaction_takes_linear_time(filling: str) -> None:
    """A server could stop the event loop for seconds with pieces of the key."""
    secret = "k" * 40 if filling == "k" else LONG
    piece = filling.format(secret)

    def seconds(size: int) -> float:
        text = piece * (size // len(piece))
        started = time.process_time()
        assert len(hide(text, [secret])) < len(text)
        return time.process_time() - started

    # Four times the text: four times the time, where a quadratic search would take sixteen times.
    assert min(seconds(800_000) for _ in range(3)) < 10 * min(seconds(200_000) for _ in range(3))


@pytest.mark.parametrize(("secret", "echoes"), [("a" * 8000, 8), ("ab" * 4000, 8), ("eyJhbGciOiJSUzI1NiJ9." * 140, 20)])
def test_redaction_of_long_secrets_takes_no_longer(secret: str, echoes: int) -> None:
    """A server that repeats a long token with repetitions in it could stop the event loop for seconds."""
    started = time.process_time()
    shown = hide(f"{secret[1:]} <{secret[: len(secret) // 2]}> " * (echoes // 2), [secret])
    assert time.process_time() - started < 2.0
    assert not any(piece in shown for piece in (secret[:12], secret[-12:]))


def test_a_long_token_leaves_the_text_around_it_readable() -> None:
    """An error in which a server repeats a token of two thousand characters would lose its explanation."""
    token = base64.urlsafe_b64encode(hashlib.shake_256().digest(1500)).decode()
    text = f"the token {token} is expired; got {token[:900]} and {token[300:]}, {token}"
    assert hide(text, [token]) == "the token *** is expired; got *** and ***, ***"


def test_every_long_fragment_is_hidden() -> None:
    """Truncated texts would show the rest of a key."""
    for secret in (LONG, "k" * 30, "abcdefgh", "0123456789abc", "ab/cd/ef/gh/ij/kl"):
        size = min(12, len(secret))
        for start in range(len(secret) - size + 1):
            for end in range(start + size, len(secret) + 1):
                assert hide(f"<{secret[start:end]}>", ["another-one", secret]) == "<***>"


def test_texts_without_the_key_are_unchanged() -> None:
    """Redaction would change other texts of providers."""
    text = "the rate limit of this organization was reached; see the documentation for sk-proj- keys " * 40
    assert hide(text, [LONG]) == text
    assert hide("", [LONG]) == ""
    error = RateLimitError(text, code="rate_limit", headers=Headers([(b"a", b"b")]), body=text)
    before = dict(vars(error))
    redact_in_place(error, [LONG])
    assert vars(error) == before


def test_errors_with_other_types_are_redacted() -> None:
    """An error whose headers are a dict, or whose code is no text, would show the key or raise."""
    error = RateLimitError(f"no {LONG}", headers={f"x-{LONG}": LONG, "y": "z"}, code=LONG)
    error.type = 5  # type: ignore[assignment]
    redact_in_place(error, [LONG])
    assert (error.message, error.args, error.code) == ("no ***", ("no ***",), "***")
    assert vars(error)["type"] == 5
    assert error.headers == {"x-***": "***", "y": "z"}
    bare = RateLimitError(f"no {LONG}")
    redact_in_place(bare, [LONG])
    assert (bare.message, bare.headers) == ("no ***", None)


def test_headers_of_responses_are_redacted() -> None:
    """Stored replies would contain the key."""
    clean = Headers([(b"x", b"y"), (b"z", "\u20ac\udc80".encode("utf-8", "surrogateescape"))])
    assert redacted_headers(clean, [LONG]) is clean
    assert redacted_headers(clean, []) is clean
    assert redacted_headers(Headers([(b"x", b"abc")]), ["abc"]) == {"x": "abc"}
    echoing = Headers([(b"X-Echo", f"Bearer {LONG}".encode()), *clean._pairs])
    assert redacted_headers(echoing, ["sk-another", LONG]) == {"x-echo": "Bearer ***", "x": "y", "z": "\u20ac\udc80"}


def test_headers_with_secrets_are_recognized() -> None:
    """A token in a caller's header would be shown when a server repeats it."""
    given = {
        "Authorization": "Bearer sk-1",
        "X-API-Key": "sk-2",
        "cf-aig-authorization": "Basic dTpw",
        "X-Auth-Token": "sk-3",
        "Cookie": "session=4; b=c",
        "X-Title": "my app",
        "Accept-Language": "de",
    }
    assert secret_values(given) == ["sk-1", "sk-2", "dTpw", "sk-3", "session=4; b=c", "p"]


def test_the_password_of_a_basic_header_is_a_secret() -> None:
    """A gateway that names the password it refuses would get it into the logs."""
    pair = base64.b64encode(b"me:hunter2:hunter2").decode()
    for given in ({"X-Gateway-Auth": f"Basic {pair}"}, {"X-Gate": f"basic {pair}"}):
        text = f"me:hunter2:hunter2 ({pair}) is wrong"
        assert hide(text, secret_values(given)) == "me:*** (***) is wrong"
    for value in ("Basic", "Basic !", "Basic /w==", "Basic bWU=", "Bearer bWU6cHc="):
        assert "" not in secret_values({"Authorization": value})


def test_values_without_a_telltale_name_are_secrets_too() -> None:
    """A password in a header of a gateway's own would be shown when a server repeats it."""
    given = {"X-Custom-Gate": "hunter2hunter2", "Cf-Access-Client-Id": "0123456789.access", "X-Mode": "fast"}
    assert secret_values(given) == ["hunter2hunter2", "0123456789.access"]
    assert secret_values({"User-Agent": "my-application/1", "Content-Type": "application/json"}) == []


def test_half_a_secret_in_a_header_is_redacted() -> None:
    """Stored replies would contain most of the key."""
    for begin in range(len(LONG) - 24):
        echoing = Headers([(b"x-echo", LONG[begin : begin + 24].encode())])
        assert redacted_headers(echoing, [LONG]) == {"x-echo": "***"}


def test_of_an_aws_signature_only_the_secret_parts_are_secret() -> None:
    """Names of headers in a signature would be masked wherever they stand, or a signature be shown."""
    signature = "0123456789abcdef" * 4
    value = (
        "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20261130/us-east-1/bedrock/aws4_request, "
        f"SignedHeaders=content-type;host;x-amz-date, Signature={signature}"
    )
    assert secret_values({"Authorization": value}) == ["AKIAEXAMPLE", signature]
    assert secret_values({"Authorization": "AWS4-HMAC-SHA256 something"}) == ["AWS4-HMAC-SHA256 something"]
