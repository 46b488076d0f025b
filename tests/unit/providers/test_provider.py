"""Provider rows: invalid ones are refused when they are made."""

from __future__ import annotations

import re
from typing import Any

import pytest

from anycompletion.auth import NO_AUTH
from anycompletion.errors import ConfigurationError, InvalidRequestError
from anycompletion.params import ParamSupport, unsupported
from anycompletion.providers import (
    DIALECTS,
    PROVIDERS,
    Provider,
)
from anycompletion.records import PARAM_NAMES
from anycompletion.validation import parse_keys

INVALID: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"dialect": "of_tomorrow"}, ConfigurationError, "provider 'acme': no dialect 'of_tomorrow', only openai_chat"),
    ({"name": ""}, ConfigurationError, "provider '': a name is at most 64 lower-case letters"),
    ({"name": "Acme"}, ConfigurationError, "provider 'Acme': a name is"),
    ({"name": "ac/me"}, ConfigurationError, "provider 'ac/me': a name is"),
    ({"name": "ac:me"}, ConfigurationError, "provider 'ac:me': a name is"),
    ({"name": "ac me"}, ConfigurationError, "provider 'ac me': a name is"),
    ({"name": "acme\n"}, ConfigurationError, "provider 'acme\\n': a name is"),
    ({"name": "-acme"}, ConfigurationError, "provider '-acme': a name is"),
    ({"key_env": "ACME_API_KEY"}, ConfigurationError, "found a text; write ('ACME_API_KEY',)"),
    (
        {"key_env": "sk-a-key-0123456789"},
        ConfigurationError,
        "key_env: expected a tuple of texts, found a text; write (name,)",
    ),
    ({"key_env": ("sk-a-key-0123456789",)}, ConfigurationError, "key_env: expected names of environment variables"),
    ({"token_env": ("gsk_a_key_0123456789",)}, ConfigurationError, "token_env: expected names of environment"),
    ({"token_env": "ACME_TOKEN"}, ConfigurationError, "write ('ACME_TOKEN',)"),
    ({"base_url_env": ("https://a-key@acme.ai",)}, ConfigurationError, "base_url_env: expected names of environment"),
    ({"api_version_env": ("v1",)}, ConfigurationError, "api_version_env: expected names of environment"),
    ({"headers_env": {"X-A": ("sk-a-key",)}}, ConfigurationError, "headers_env['X-A']: expected names of environment"),
    (
        {"base_url": "https://{zone}.acme.ai", "placeholders": {"zone": ("eu-west",)}},
        ConfigurationError,
        "placeholders['zone']: expected names of environment",
    ),
    ({"base_url_env": "ACME_URL"}, ConfigurationError, "base_url_env: expected a tuple"),
    ({"api_version_env": "ACME_VERSION"}, ConfigurationError, "api_version_env: expected a tuple"),
    ({"prefixes": "acme-"}, ConfigurationError, "prefixes: expected a tuple"),
    ({"own_models": "auto"}, ConfigurationError, "own_models: expected a tuple"),
    ({"headers_env": {"X-Org": "ACME_ORG"}}, ConfigurationError, "headers_env['X-Org']: expected a tuple"),
    (
        {"base_url": "https://{zone}.acme.ai", "placeholders": {"zone": "ACME_ZONE"}},
        ConfigurationError,
        "placeholders['zone']: expected a tuple",
    ),
    ({"name": "a" * 65}, ConfigurationError, "a name is at most 64"),
    *(
        (
            {"allow_http": value, "base_url": "http://10.0.0.1"},
            ConfigurationError,
            "allow_http: expected True, False or",
        )
        for value in ("no", "privat", "anywhere", "", 1, 0, None)
    ),
    *(({"key_optional": value}, ConfigurationError, "key_optional: expected True or False") for value in ("no", 1)),
    *(({"retry_safe": value}, ConfigurationError, "retry_safe: expected True or False") for value in ("no", 0)),
    *(({"rate_limit_scope": value}, ConfigurationError, "rate_limit_scope: expected 'model'") for value in ("x", None)),
    ({"base_url": "http://api.acme.ai"}, InvalidRequestError, "base_url: must use https"),
    ({"base_url": "api.acme.ai"}, InvalidRequestError, "base_url: must begin with https://"),
]


@pytest.mark.parametrize(("members", "cls", "text"), INVALID)
def test_invalid_providers(members: dict[str, Any], cls: type[Exception], text: str):
    """An invalid provider would fail at its first call, far from its definition."""
    with pytest.raises(cls, match=re.escape(text)):
        Provider(**{"name": "acme", "base_url": "https://api.acme.ai/v1", **members})


def test_valid_providers():
    """A provider with only a name and a base URL would be impossible."""
    row = Provider("a-b_c.9", "http://10.0.0.5:8000/v1", allow_http=True, key_optional=True, auth=NO_AUTH)
    assert row.table == DIALECTS["openai_chat"].params
    row = Provider("acme", "https://x", params={"n": ParamSupport("fanned_out"), "seed": unsupported("none")})
    assert row.table["n"].support == "fanned_out"
    assert row.table["seed"].note == "none"
    assert row.table["temperature"] == DIALECTS["openai_chat"].params["temperature"]
    assert Provider("acme", "").base_url == ""
    for allowed in (True, False, "private"):
        assert Provider("acme", "http://127.0.0.1", allow_http=allowed).allow_http == allowed


def test_a_key_can_be_given_for_every_name_of_a_provider() -> None:
    """A provider could be made whose key no client takes."""
    name = "a" * 64
    parse_keys({name: "k"}, "api_keys")
    assert Provider(name, "https://api.acme.ai").name == name


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_built_in_providers(name: str):
    """A built-in provider would lack a key's variable or documentation, or list an unknown parameter."""
    row = PROVIDERS[name]
    assert row.name == name
    assert row.key_env or row.key_optional
    assert row.docs.startswith("https://")
    assert not row.base_url.endswith("/")
    assert set(row.table) <= set(PARAM_NAMES)
    assert all(support.note for support in row.table.values() if support.support in ("unsupported", "mapped"))


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_dialects(name: str):
    """A dialect's name would differ from its folder."""
    assert name == DIALECTS[name].name
    assert set(DIALECTS[name].params) <= set(PARAM_NAMES)


@pytest.mark.parametrize(
    "headers",
    [{"Content-Length": "9"}, {"transfer-encoding": "chunked"}, {"X y": "1"}, {"X": "a\r\nY: b"}],
    ids=["length", "encoding", "no token", "two lines"],
)
def test_headers_cannot_inject_a_request(headers: dict[str, str]) -> None:
    """A provider's headers could split a request in two."""
    with pytest.raises(InvalidRequestError):
        Provider("acme", "https://api.acme.ai/v1", headers=headers)


def test_the_repr_has_what_differs_from_the_defaults() -> None:
    """A row would print a screen of defaults, or hide one of its differences."""
    acme = Provider("acme", "https://api.acme.ai/v1", params={"seed": unsupported("no seed")}, key_optional=True)
    assert repr(acme) == (
        "Provider(name='acme', base_url='https://api.acme.ai/v1', key_optional=True, "
        "params={'seed': ParamSupport(support='unsupported', note='no seed')})"
    )
