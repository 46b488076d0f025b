"""Keys: which ones are accepted, the headers that carry them, and that nothing shows them."""

from __future__ import annotations

import pickle
import traceback
from typing import Any

import pytest

from anycompletion.auth import BEARER, MAX_KEY, NO_AUTH, Auth, check_key, header_key, sign
from anycompletion.errors import ConfigurationError
from anycompletion.http import HttpRequest
from anycompletion.redaction import MaskedValue

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
    """A key from a file would be sent with its newline, or a valid key be refused."""
    assert check_key(key, "openai") == checked


@pytest.mark.parametrize(("key", "problem"), BAD)
def test_bad_keys(key: Any, problem: str) -> None:
    """A key could inject a header, or a placeholder be sent to the provider."""
    with pytest.raises(ConfigurationError) as caught:
        check_key(key, "openai")
    assert str(caught.value).startswith(f"the API key for openai {problem}")
    assert caught.value.provider == "openai"


@pytest.mark.parametrize("key", [key for key, _ in BAD if key and "SECRET" in str(key)])
def test_an_error_never_shows_the_key(key: Any) -> None:
    """A key with a typo would appear in a log."""
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
    """A provider would not find the key in the header that it expects."""
    assert sign(scheme, HttpRequest("https://x"), key, token=token) == headers


def test_a_scheme_marks_functions_that_give_tokens() -> None:
    """A token from a function would be sent as a key."""
    assert header_key("api-key", functions_give_tokens=True).functions_give_tokens
    assert not header_key("api-key").functions_give_tokens


def test_a_header_value_with_a_key_hides_it() -> None:
    """A dump of a traceback's locals would show the key, even in frames of aiohttp."""
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
