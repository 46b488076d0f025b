"""Redaction: secrets are replaced by *** in texts, errors and headers from servers."""

from __future__ import annotations

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
    assert secret_values(given) == ["sk-1", "sk-2", "dTpw", "sk-3", "session=4; b=c"]
