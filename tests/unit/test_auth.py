"""Keys: what may stand in a header, how it is signed, and that nothing shows it."""

import pickle
import traceback
from typing import Any

import pytest

from anycompletion.auth import BEARER, MAX_KEY, NO_AUTH, Auth, check_key, header_key, sign
from anycompletion.errors import ConfigurationError, RateLimitError
from anycompletion.http import Headers, HttpRequest
from anycompletion.redaction import MaskedValue, credentials, hide, hide_echoes, without_echoes

GOOD: list[tuple[str, str]] = [
    ("sk-abc", "sk-abc"),
    ("sk-abc\n", "sk-abc"),
    (" \t sk-abc \r\n", "sk-abc"),
    ("x", "x"),
    ("!~", "!~"),
    ("null-and-none", "null-and-none"),
    ("k" * MAX_KEY, "k" * MAX_KEY),
    ("aHR0cHM6Ly8=", "aHR0cHM6Ly8="),
]

BAD: list[tuple[Any, str]] = [
    ("", "is empty"),
    (" \n\t", "is empty"),
    ("k" * (MAX_KEY + 1), "has 8193 characters, more than 8192"),
    ("None", "is a placeholder"),
    ("null", "is a placeholder"),
    ("NULL\n", "is a placeholder"),
    ("YOUR_API_KEY", "is a placeholder"),
    ("your-api-key", "is a placeholder"),
    ("SECRET key", "has 10 characters, one of which is white space"),
    ("SECRET\nX-Other: y", "has 17 characters, one of which is white space"),
    ("SECRET\r\n\r\nbody", "has 14 characters, one of which is white space"),
    ("SECRET\xa0key", "has 10 characters, one of which is white space"),
    ("SECRET\0", "has 7 characters, one of which is a control character"),
    ("SECRET\x7f", "has 7 characters, one of which is a control character"),
    ("SECRET\u200b", "has 7 characters, one of which is not ASCII"),
    ("SECRETé", "has 7 characters, one of which is not ASCII"),
    ("éSECRET", "has 7 characters, one of which is not ASCII"),
    ("SECRET…", "has 7 characters, one of which is not ASCII"),
    ("SECRET\ud800", "has 7 characters, one of which is not ASCII"),
    (None, "is no text but of type NoneType"),
    (b"SECRET", "is no text but of type bytes"),
    (["SECRET"], "is no text but of type list"),
]


@pytest.mark.parametrize(("key", "checked"), GOOD)
def test_good_keys(key: str, checked: str) -> None:
    """A key read from a file would be sent with its line end, or a good one be refused."""
    assert check_key(key, "openai") == checked


@pytest.mark.parametrize(("key", "problem"), BAD)
def test_bad_keys(key: Any, problem: str) -> None:
    """A key could smuggle a header, or a placeholder travel to the provider to be refused there."""
    with pytest.raises(ConfigurationError) as caught:
        check_key(key, "openai")
    assert str(caught.value).startswith(f"the API key for openai {problem}")
    assert caught.value.provider == "openai"


@pytest.mark.parametrize("key", [key for key, _ in BAD if key and "SECRET" in str(key)])
def test_a_refusal_never_shows_the_key(key: Any) -> None:
    """A key with a typo would end up in a log."""
    with pytest.raises(ConfigurationError) as caught:
        check_key(key, "openai")
    error = caught.value
    shown = [str(error), repr(error), repr(vars(error)), repr(error.args), repr(pickle.dumps(error))]
    assert "SECRET" not in "".join([*shown, *traceback.format_exception(error)])


SCHEMES: list[tuple[Auth, str | None, bool, dict[str, str]]] = [
    (BEARER, "sk", False, {"Authorization": "Bearer sk"}),
    (BEARER, None, False, {}),
    (NO_AUTH, "sk", False, {}),
    (NO_AUTH, None, True, {}),
    (header_key("x-api-key"), "sk", False, {"x-api-key": "sk"}),
    (header_key("api-key"), "tok", True, {"Authorization": "Bearer tok"}),
    (Auth("X-Token", "Token "), "sk", False, {"X-Token": "Token sk"}),
]


@pytest.mark.parametrize(("scheme", "key", "token", "headers"), SCHEMES)
def test_signing(scheme: Auth, key: str | None, token: bool, headers: dict[str, str]) -> None:
    """A provider would not find the key where it looks for it."""
    assert sign(scheme, HttpRequest("https://x"), key, token=token) == headers


def test_functions_that_give_tokens_are_said_so() -> None:
    """A row could not say that its functions give tokens and not keys."""
    assert header_key("api-key", functions_give_tokens=True).functions_give_tokens
    assert not header_key("api-key").functions_give_tokens


def test_a_signed_value_hides_itself() -> None:
    """A dump of a traceback's locals would show the key, even from frames of aiohttp."""
    value = sign(BEARER, HttpRequest("https://x"), "sk-secret")["Authorization"]
    assert isinstance(value, MaskedValue)
    assert isinstance(value, str)
    assert value == "Bearer sk-secret"
    assert value.encode() == b"Bearer sk-secret"
    assert repr(value) == "'***'"
    assert f"{value!r}" == "'***'"
    assert "secret" not in repr({"headers": {"Authorization": value}})

    def fail(headers: dict[str, str]) -> None:
        raise RuntimeError(len(headers))

    try:
        fail({"Authorization": value})
    except RuntimeError as error:
        lines = traceback.TracebackException.from_exception(error, capture_locals=True).format()
        assert "sk-secret" not in "".join(line for line in lines if "headers =" in line or "value =" in line)


# --- what comes back -----------------------------------------------------------------------------------------------

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
def test_what_is_hidden(secret: str, text: str, shown: str) -> None:
    """A provider's words would show the key, or not show anything else."""
    assert hide(text.replace("{}", "{0}").format(secret), [secret]) == shown


def test_every_long_piece_is_hidden() -> None:
    """Texts that were cut somewhere would show the rest of a key."""
    for secret in (LONG, "k" * 30, "abcdefgh", "0123456789abc", "ab/cd/ef/gh/ij/kl"):
        size = min(12, len(secret))
        for start in range(len(secret) - size + 1):
            for end in range(start + size, len(secret) + 1):
                assert hide(f"<{secret[start:end]}>", ["another-one", secret]) == "<***>"


def test_texts_without_the_key_stay_as_they_are() -> None:
    """Hiding would cost time and change what providers say."""
    text = "the rate limit of this organization was reached; see the documentation for sk-proj- keys " * 40
    assert hide(text, [LONG]) == text
    assert hide("", [LONG]) == ""
    error = RateLimitError(text, code="rate_limit", headers=Headers([(b"a", b"b")]), body=text)
    before = dict(vars(error))
    hide_echoes(error, [LONG])
    assert vars(error) == before


def test_errors_of_other_makers_are_cleaned_too() -> None:
    """A dialect of somebody's own may keep headers in a dict, or no text in a code."""
    error = RateLimitError(f"no {LONG}", headers={f"x-{LONG}": LONG, "y": "z"}, code=LONG)
    error.type = 5  # type: ignore[assignment]
    hide_echoes(error, [LONG])
    assert (error.message, error.args, error.code) == ("no ***", ("no ***",), "***")
    assert vars(error)["type"] == 5
    assert error.headers == {"x-***": "***", "y": "z"}
    bare = RateLimitError(f"no {LONG}")
    hide_echoes(bare, [LONG])
    assert (bare.message, bare.headers) == ("no ***", None)


def test_headers_of_answers() -> None:
    """What keeps replies would keep the key with them."""
    clean = Headers([(b"x", b"y"), (b"z", "\u20ac\udc80".encode("utf-8", "surrogateescape"))])
    assert without_echoes(clean, [LONG]) is clean
    assert without_echoes(clean, []) is clean
    assert without_echoes(Headers([(b"x", b"abc")]), ["abc"]) == {"x": "abc"}
    told = Headers([(b"X-Echo", f"Bearer {LONG}".encode()), *clean._pairs])
    assert without_echoes(told, ["sk-another", LONG]) == {"x-echo": "Bearer ***", "x": "y", "z": "\u20ac\udc80"}


def test_which_headers_hold_secrets() -> None:
    """A token in a header of the caller's own would be shown when a server repeats it."""
    given = {
        "Authorization": "Bearer sk-1",
        "X-API-Key": "sk-2",
        "cf-aig-authorization": "Basic dTpw",
        "X-Auth-Token": "sk-3",
        "Cookie": "session=4; b=c",
        "X-Title": "my app",
        "Accept-Language": "de",
    }
    assert credentials(given) == ["sk-1", "sk-2", "dTpw", "sk-3", "session=4; b=c"]
