"""Keys: what may stand in a header, how it is signed, and that nothing shows it."""

import pickle
import traceback
from typing import Any

import pytest

from anycompletion.auth import BEARER, MAX_KEY, NO_AUTH, Auth, MaskedValue, check_key, header_key, sign
from anycompletion.errors import ConfigurationError

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
    ("k" * (MAX_KEY + 1), "is longer than 8192 characters"),
    ("None", "is a placeholder"),
    ("null", "is a placeholder"),
    ("NULL\n", "is a placeholder"),
    ("YOUR_API_KEY", "is a placeholder"),
    ("your-api-key", "is a placeholder"),
    ("SECRET key", "has 10 characters, one of which is white space, a control character or not ASCII"),
    ("SECRET\nX-Other: y", "has 17 characters"),
    ("SECRET\r\n\r\nbody", "has 14 characters"),
    ("SECRET\0", "has 7 characters"),
    ("SECRET\x7f", "has 7 characters"),
    ("SECRET\u200b", "has 7 characters"),
    ("SECRETé", "has 7 characters"),
    ("SECRET…", "has 7 characters"),
    ("SECRET\ud800", "has 7 characters"),
    (None, "is no text but of type NoneType"),
    (b"SECRET", "is no text but of type bytes"),
    (["SECRET"], "is no text but of type list"),
]


@pytest.mark.parametrize(("key", "checked"), GOOD)
def test_good_keys(key: str, checked: str):
    """A key read from a file would be sent with its line end, or a good one be refused."""
    assert check_key(key, "openai") == checked


@pytest.mark.parametrize(("key", "problem"), BAD)
def test_bad_keys(key: Any, problem: str):
    """A key could smuggle a header, or a placeholder travel to the provider to be refused there."""
    with pytest.raises(ConfigurationError) as caught:
        check_key(key, "openai")
    assert str(caught.value).startswith(f"the API key for openai {problem}")
    assert caught.value.provider == "openai"


@pytest.mark.parametrize("key", [key for key, _ in BAD if key and "SECRET" in str(key)])
def test_a_refusal_never_shows_the_key(key: Any):
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
def test_signing(scheme: Auth, key: str | None, token: bool, headers: dict[str, str]):
    """A provider would not find the key where it looks for it."""
    assert sign(scheme, key, token=token) == headers


def test_functions_that_give_tokens_are_said_so():
    """A row could not say that its functions give tokens and not keys."""
    assert header_key("api-key", functions_give_tokens=True).functions_give_tokens
    assert not header_key("api-key").functions_give_tokens


def test_a_signed_value_hides_itself():
    """A dump of a traceback's locals would show the key, even from frames of aiohttp."""
    value = sign(BEARER, "sk-secret")["Authorization"]
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
