"""Checks of call options."""

import types
from typing import Any

import attrs
import pytest

from anycompletion.errors import InvalidRequestError
from anycompletion.options import Secret, Timeout
from anycompletion.validation import check_options
from support.bad_input import (
    INF,
)


def test_the_three_names_of_the_timeout() -> None:
    """Code written for LiteLLM would have another timeout, or two at once."""
    for name in ("timeout", "forceTimeout", "force_timeout"):
        assert check_options({name: 5}) == {"timeout": Timeout(total=5)}
        assert check_options({name: 5})["timeout"].total_is_explicit
        assert check_options({name: INF}) == {"timeout": Timeout(total=None)}
    for one, other in (("timeout", "forceTimeout"), ("timeout", "force_timeout"), ("forceTimeout", "force_timeout")):
        with pytest.raises(InvalidRequestError, match=f"means the same as {one}") as caught:
            check_options({other: 5, one: 5})
        assert caught.value.param == other


def test_unlimited_timeouts() -> None:
    """A timeout that the event loop cannot schedule would raise from it."""
    unlimited = Timeout(total=10**400, connect=INF, first_chunk=1e300, idle=5)
    assert check_options({"timeout": unlimited})["timeout"] == Timeout(None, None, None, 5)
    assert check_options({"timeout": 10**400})["timeout"].total is None
    mine = Timeout(idle=5)
    assert check_options({"timeout": mine})["timeout"] is mine
    default = attrs.evolve(mine, connect=INF)
    assert not check_options({"timeout": default})["timeout"].total_is_explicit


def test_azure() -> None:
    """Code written for LiteLLM would call another provider."""
    assert check_options({"azure": True}) == {"provider": "azure"}
    assert check_options({"azure": False}) == {}
    assert check_options({"azure": True, "provider": "azure"}) == {"provider": "azure"}
    assert check_options({"azure": False, "provider": "openai"}) == {"provider": "openai"}
    with pytest.raises(InvalidRequestError, match="contradicts provider='openai'") as caught:
        check_options({"azure": True, "provider": "openai"})
    assert caught.value.param == "azure"


async def some_key() -> str:
    return "sk"


VALID_OPTIONS: list[tuple[str, Any, Any]] = [
    ("provider", "openai", "openai"),
    ("max_retries", 0, 0),
    ("max_retries", 100, 100),
    ("on_unsupported", "warn", "warn"),
    ("extra_body", {"top_k": (1, 2)}, {"top_k": [1, 2]}),
    ("extra_headers", {"X-A": " é\t1 ", "!#$%&'*+.^_`|~09az": ""}, {"X-A": "é\t1", "!#$%&'*+.^_`|~09az": ""}),
    ("extra_headers", {"Authorization": "Bearer x"}, {"Authorization": "Bearer x"}),
    ("extra_query", {"a b": "c&d=ü"}, {"a b": "c&d=ü"}),
    ("extra_query", types.MappingProxyType({"a": ""}), {"a": ""}),
    ("tags", {"team": "blue", "user": "ü 7"}, {"team": "blue", "user": "ü 7"}),
    ("api_key", "sk", "sk"),
    ("api_key", Secret("sk"), Secret("sk")),
    ("api_key", some_key, some_key),
    ("base_url", "https://x", "https://x"),
    ("api_version", "2024-10-21 ", "2024-10-21"),
    ("organization", "org-1", "org-1"),
    ("project", "proj-1", "proj-1"),
    ("logger_fn", print, print),
    ("verbose", True, True),
]


@pytest.mark.parametrize(("name", "value", "checked"), VALID_OPTIONS)
def test_valid_options(name: str, value: Any, checked: Any) -> None:
    """A valid option would be refused, or changed."""
    assert check_options({name: value}) == {name: checked}


OF_THE_CONNECTION = ["Host", "Content-Length", "content-encoding", "Transfer-Encoding", "Connection", "Expect", "TE"]


@pytest.mark.parametrize("name", [*OF_THE_CONNECTION, "Trailer", "Upgrade"])
def test_headers_of_the_connection_are_refused(name: str) -> None:
    """A request would be read as another one, or would wait for an answer that servers do not give."""
    with pytest.raises(InvalidRequestError, match=f"extra_headers.{name}: is set by the transport") as caught:
        check_options({"extra_headers": {name: "1"}})
    assert caught.value.param == f"extra_headers.{name}"


@pytest.mark.parametrize("value", ["\x7f", "a\nb", "a\x00b", "\u2028", "\ud800", "日", 3, None, b"x"])
def test_values_that_cannot_be_sent_are_refused_by_name(value: Any) -> None:
    """The transport would refuse a header without the parameter's name."""
    for param in ("extra_headers", "organization", "project", "api_version"):
        given = {"x-a": value} if param == "extra_headers" else value
        with pytest.raises(InvalidRequestError) as caught:
            check_options({param: given})
        assert caught.value.param in (param, f"{param}.x-a")


@pytest.mark.parametrize("value", ["\ud800", 3, None, b"x"])
def test_texts_of_a_query_that_cannot_be_sent_are_refused_by_name(value: Any) -> None:
    """A call would end in an error that does not name the parameter."""
    with pytest.raises(InvalidRequestError) as caught:
        check_options({"extra_query": {"x-a": value}})
    assert caught.value.param == "extra_query.x-a"
