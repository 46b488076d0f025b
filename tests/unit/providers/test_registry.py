"""The address book: models are found, addresses are safe, and the parameter table is applied."""

import re
from typing import Any

import pytest

from anycompletion.auth import NO_AUTH
from anycompletion.dialects.base import EncodingReport
from anycompletion.errors import ConfigurationError, InvalidRequestError, UnsupportedParameterError
from anycompletion.params import NO_OP_VALUES, ParamSupport, ParamTable, unsupported
from anycompletion.providers import (
    DIALECTS,
    PROVIDERS,
    Provider,
    all_providers,
    apply_param_support,
    check_base_url,
    find,
    origin,
    supported_params,
)
from anycompletion.records import PARAM_NAMES, ChatRequest, UserMessage

ACME = Provider("acme", "https://api.acme.ai/v1", prefixes=("acme-",))
ROWS = all_providers([ACME])

# --- finding ---

FOUND: list[tuple[str, str | None, str, str]] = [
    # model, provider=, row, the provider's own name
    ("openai/gpt-4o", None, "openai", "gpt-4o"),
    ("openai:gpt-4o", None, "openai", "gpt-4o"),
    ("openai/gpt-4o", "openai", "openai", "gpt-4o"),
    ("gpt-4o", "openai", "openai", "gpt-4o"),
    ("gpt-4o", None, "openai", "gpt-4o"),
    ("gpt-4o-2024-08-06", None, "openai", "gpt-4o-2024-08-06"),
    ("chatgpt-4o-latest", None, "openai", "chatgpt-4o-latest"),
    ("o1", None, "openai", "o1"),
    ("o3-mini", None, "openai", "o3-mini"),
    ("o4-mini", None, "openai", "o4-mini"),
    ("ft:gpt-4o:org::id", None, "openai", "ft:gpt-4o:org::id"),
    ("openai/ft:gpt-4o:org::id", None, "openai", "ft:gpt-4o:org::id"),
    ("claude-haiku-4-5", None, "anthropic", "claude-haiku-4-5"),
    ("anthropic/claude-opus-4-6", None, "anthropic", "claude-opus-4-6"),
    ("anthropic:claude-opus-4-6", None, "anthropic", "claude-opus-4-6"),
    ("gpt-4o", "anthropic", "anthropic", "gpt-4o"),
    ("openai/gpt-4o", "acme", "acme", "openai/gpt-4o"),
    ("acme/x/y:free", None, "acme", "x/y:free"),
    ("acme:x/y", None, "acme", "x/y"),
    ("acme/acme/x", None, "acme", "acme/x"),
    ("acme/openai/gpt-4o", None, "acme", "openai/gpt-4o"),
    ("acme-large", None, "acme", "acme-large"),
    ("openai/模型", None, "openai", "模型"),
]


@pytest.mark.parametrize(("model", "provider", "name", "own"), FOUND)
def test_models_are_found(model: str, provider: str | None, name: str, own: str):
    """A call would go to another provider, or ask it for a model it does not have."""
    row, found = find(model, provider, ROWS)
    assert (row.name, found) == (name, own)


LOST: list[tuple[str, str | None, str, str]] = [
    ("opnai/gpt-4o", None, "model", "unknown provider 'opnai'; did you mean openai?"),
    ("anthropc/claude", None, "model", "unknown provider 'anthropc'; did you mean anthropic?"),
    ("OpenAI/gpt-4o", None, "model", "unknown provider 'OpenAI'; did you mean openai?"),
    ("gpt-4o", "opnai", "provider", "unknown provider 'opnai'; did you mean openai?"),
    ("gpt-4o", "", "provider", "unknown provider ''; known are acme, "),
    ("qqqqqq/x", None, "model", "unknown provider 'qqqqqq'; known are acme, "),
    ("my-model", None, "model", "'my-model' names no provider; write provider/model, such as openai/gpt-4o"),
    ("/gpt-4o", None, "model", "unknown provider ''"),
    ("openai/", None, "model", "names a provider and no model"),
    ("openai:", None, "model", "names a provider and no model"),
    ("openai/ ", None, "model", "names a provider and no model"),
    ("openai/", "openai", "model", "names a provider and no model"),
    ("gpt-x/y", None, "model", "unknown provider 'gpt-x'"),
]


@pytest.mark.parametrize(("model", "provider", "param", "text"), LOST)
def test_unknown_models(model: str, provider: str | None, param: str, text: str):
    """A misspelt provider would be refused without a hint."""
    with pytest.raises(InvalidRequestError) as caught:
        find(model, provider, ROWS)
    assert caught.value.param == param
    assert str(caught.value).startswith(f"{param}: {text}")


@pytest.mark.parametrize("model", ["Why is the sky so very blue? " * 15, "Tell me of / and why. " * 20])
def test_a_prompt_in_the_place_of_a_model_is_not_shown(model: str):
    """A prompt whose place was mistaken would stand in a log."""
    for call in (lambda: find(model, None, ROWS), lambda: find("gpt-4o", model, ROWS)):
        with pytest.raises(InvalidRequestError) as caught:
            call()
        assert model[:45] not in str(caught.value)


def test_a_clients_own_rows_win():
    """A company's own gateway could not take the place of a provider."""
    mine = Provider("openai", "https://gateway.example/v1")
    rows = all_providers([mine])
    assert find("openai/gpt-4o", None, rows)[0] is mine
    assert all_providers()["openai"] is PROVIDERS["openai"]
    assert set(rows) == set(PROVIDERS)


def test_the_built_in_rows_cannot_be_changed():
    """One library could redirect the calls of all others."""
    with pytest.raises(TypeError):
        PROVIDERS["openai"] = ACME  # type: ignore[index]
    with pytest.raises(AttributeError):
        PROVIDERS["openai"].base_url = "https://evil.example"  # type: ignore[misc]


# --- rows ---

BAD_ROWS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"dialect": "of_tomorrow"}, ConfigurationError, "provider 'acme': no dialect 'of_tomorrow', only openai_chat"),
    ({"name": ""}, ConfigurationError, "provider '': a name is lower-case letters"),
    ({"name": "Acme"}, ConfigurationError, "provider 'Acme': a name is"),
    ({"name": "ac/me"}, ConfigurationError, "provider 'ac/me': a name is"),
    ({"name": "ac:me"}, ConfigurationError, "provider 'ac:me': a name is"),
    ({"name": "ac me"}, ConfigurationError, "provider 'ac me': a name is"),
    ({"name": "acme\n"}, ConfigurationError, "provider 'acme\\n': a name is"),
    ({"name": "-acme"}, ConfigurationError, "provider '-acme': a name is"),
    ({"base_url": "http://api.acme.ai"}, InvalidRequestError, "base_url: must use https"),
    ({"base_url": "api.acme.ai"}, InvalidRequestError, "base_url: must begin with https://"),
]


@pytest.mark.parametrize(("members", "cls", "text"), BAD_ROWS)
def test_bad_rows(members: dict[str, Any], cls: type[Exception], text: str):
    """A row that can never work would fail at the first call, far from where it was written."""
    with pytest.raises(cls, match=re.escape(text)):
        Provider(**{"name": "acme", "base_url": "https://api.acme.ai/v1", **members})


def test_good_rows():
    """A provider that needs nothing but an address would not be possible."""
    row = Provider("a-b_c.9", "http://10.0.0.5:8000/v1", allow_http=True, key_optional=True, auth=NO_AUTH)
    assert row.table == DIALECTS["openai_chat"].params
    row = Provider("acme", "https://x", params={"n": ParamSupport("fanned_out"), "seed": unsupported("none")})
    assert row.table["n"].support == "fanned_out"
    assert row.table["seed"].note == "none"
    assert row.table["temperature"] == DIALECTS["openai_chat"].params["temperature"]
    assert Provider("acme", "").base_url == ""


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_built_in_rows(name: str):
    """A built-in row would lack what its users need, or speak of a parameter nobody has."""
    row = PROVIDERS[name]
    assert row.name == name
    assert row.key_env or row.key_optional
    assert row.docs.startswith("https://")
    assert not row.base_url.endswith("/")
    assert set(row.table) <= set(PARAM_NAMES)
    assert all(cell.note for cell in row.table.values() if cell.support in ("unsupported", "mapped"))


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_dialects(name: str):
    """A row would refer to a dialect that is called otherwise."""
    assert name == DIALECTS[name].name
    assert set(DIALECTS[name].params) <= set(PARAM_NAMES)


def test_no_prefix_belongs_to_two_rows():
    """A bare model name would go to whichever row comes first."""
    prefixes = [prefix for row in PROVIDERS.values() for prefix in row.prefixes]
    clashes = [(one, other) for one in prefixes for other in prefixes if one is not other and one.startswith(other)]
    assert clashes == []


def test_supported_params():
    """An application could not ask what a provider makes of its parameters."""
    cells = supported_params("openai/gpt-4o")
    assert set(cells) == set(PARAM_NAMES)
    assert (cells["temperature"].minimum, cells["temperature"].maximum) == (0, 2)
    assert cells["thinking"].support == "unsupported"
    cells["n"] = unsupported()
    assert supported_params("gpt-4o")["n"].support == "native"
    assert supported_params("claude-haiku-4-5")["n"].support == "fanned_out"
    assert (
        supported_params("x", "acme", [Provider("acme", "https://x", params={"n": unsupported()})])["n"]
        == unsupported()
    )
    with pytest.raises(InvalidRequestError):
        supported_params("nobody/x")


# --- addresses ---

GOOD_URLS: list[tuple[str, str]] = [
    ("https://api.openai.com/v1", "https://api.openai.com/v1"),
    ("https://api.openai.com/v1/", "https://api.openai.com/v1"),
    ("https://api.openai.com/v1///", "https://api.openai.com/v1"),
    ("https://x", "https://x"),
    ("https://x:8443/a/b", "https://x:8443/a/b"),
    ("HTTPS://API.Example.COM", "HTTPS://API.Example.COM"),
    ("https://10.0.0.5/v1", "https://10.0.0.5/v1"),
    ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
    ("https://bücher.example", "https://bücher.example"),
    ("https://x/a..b/.c/d.", "https://x/a..b/.c/d."),
    ("https://my-resource.openai.azure.com", "https://my-resource.openai.azure.com"),
    ("http://localhost:11434/v1", "http://localhost:11434/v1"),
    ("http://LOCALHOST", "http://LOCALHOST"),
    ("http://app.localhost", "http://app.localhost"),
    ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ("http://127.8.9.1", "http://127.8.9.1"),
    ("http://[::1]:8080/", "http://[::1]:8080"),
    ("http://[::ffff:127.0.0.1]", "http://[::ffff:127.0.0.1]"),
]

BAD_URLS: list[tuple[str, str]] = [
    ("", "must begin with https://"),
    ("api.openai.com/v1", "must begin with https://"),
    ("//api.openai.com", "must begin with https://"),
    ("ftp://x", "must begin with https://"),
    ("file:///etc/passwd", "must begin with https://"),
    ("javascript:alert(1)", "must begin with https://"),
    ("unix:///run/x.sock", "must begin with https://"),
    ("https://", "has no host"),
    ("https:///v1", "has no host"),
    ("https://:443", "has no host"),
    ("https://user@x", "must not hold a user or password"),
    ("https://user:pw@x", "must not hold a user or password"),
    ("https://@x", "must not hold a user or password"),
    ("https://:pw@x", "must not hold a user or password"),
    ("https://x?a=b", "must not hold a query or fragment"),
    ("https://x/v1?", "must not hold a query or fragment"),
    ("https://x#f", "must not hold a query or fragment"),
    ("https://x/v1#", "must not hold a query or fragment"),
    ("https://x y", "holds white space"),
    ("https://x/\n", "holds white space"),
    (" https://x", "holds white space"),
    ("https://x\\@y", "holds white space"),
    ("https://x/\x00", "holds white space"),
    ("https://x/\x7f", "holds white space"),
    ("https://x/\u2028", "holds white space"),
    ("https://x/\ud800", "holds white space"),
    ("https://x:0x1", "is no URL"),
    ("https://x:99999", "is no URL"),
    ("https://x:-1", "is no URL"),
    ("https://[::1", "is no URL"),
    ("https://x/..", "holds a '.' or '..' segment"),
    ("https://x/a/../b", "holds a '.' or '..' segment"),
    ("https://x/./b", "holds a '.' or '..' segment"),
    ("https://x/%2e%2E/b", "holds a '.' or '..' segment"),
    ("https://2852039166", "has a host that is an IP address in an unusual notation"),
    ("https://0x7f.1", "has a host that is an IP address in an unusual notation"),
    ("https://0X7F000001", "has a host that is an IP address in an unusual notation"),
    ("https://127.1", "has a host that is an IP address in an unusual notation"),
    ("https://0177.0.0.1", "has a host that is an IP address in an unusual notation"),
    ("https://0", "has a host that is an IP address in an unusual notation"),
    ("https://169.254.169.254", "points to a link-local address"),
    ("https://169.254.1.1/v1", "points to a link-local address"),
    ("http://169.254.169.254", "points to a link-local address"),
    ("https://169.254.169.254.", "points to a link-local address"),
    ("https://169\u3002254.169.254", "points to a link-local address"),
    ("https://\u2460\u2465\u2468.254.169.254", "points to a link-local address"),
    ("https://\uff11\uff16\uff19.254.169.254", "points to a link-local address"),
    ("https://[::ffff:169.254.169.254]", "points to a link-local address"),
    ("https://[::ffff:a9fe:a9fe]", "points to a link-local address"),
    ("https://[fe80::1]", "points to a link-local address"),
    ("https://[fe80::1%25eth0]", "points to a link-local address"),
    ("https://[fd00:ec2::254]", "points to a link-local address"),
    ("https://100.100.100.200", "points to a link-local address"),
    ("https://metadata.google.internal", "points to a cloud's metadata service"),
    ("https://METADATA.google.internal", "points to a cloud's metadata service"),
    ("https://[64:ff9b::a9fe:a9fe]", "points to a link-local address"),
    ("https://[2002:a9fe:a9fe::1]", "points to a link-local address"),
    ("https://[::a9fe:a9fe]", "points to a link-local address"),
    ("https://168.63.129.16", "points to a link-local address"),
    ("https://192.0.0.192", "points to a link-local address"),
    ("https://metadata.goog", "points to a cloud's metadata service"),
    ("https://metadata.google.internal.", "points to a cloud's metadata service"),
    ("https://\uff4detadata.google.internal", "points to a cloud's metadata service"),
    ("https://" + "é" * 70 + ".example", "has an invalid host name"),
    ("http://api.openai.com", "must use https"),
    ("http://10.0.0.5", "must use https"),
    ("http://0.0.0.0:8000", "must use https"),
    ("http://localhost.evil.example", "must use https"),
    ("http://notlocalhost", "must use https"),
    ("http://[2001:db8::1]", "must use https"),
]


@pytest.mark.parametrize(("url", "checked"), GOOD_URLS)
def test_good_addresses(url: str, checked: str):
    """A server of one's own could not be reached, or be asked for a path with two slashes."""
    assert check_base_url(url) == checked


@pytest.mark.parametrize(("url", "problem"), BAD_URLS)
def test_bad_addresses(url: str, problem: str):
    """A key could be sent in the clear, to a metadata service or to another host than the URL seems to name."""
    with pytest.raises(InvalidRequestError) as caught:
        check_base_url(url, param="base_urls.acme")
    assert str(caught.value).startswith(f"base_urls.acme: {problem}")
    assert caught.value.param == "base_urls.acme"
    assert "pw" not in str(caught.value)


def test_plain_http_may_be_allowed():
    """A server in one's own network could not be used, or allowing it would allow all."""
    assert check_base_url("http://10.0.0.5/v1/", allow_http=True) == "http://10.0.0.5/v1"
    for url in ("http://169.254.169.254", "http://2852039166", "http://a:b@x", "ftp://x"):
        with pytest.raises(InvalidRequestError):
            check_base_url(url, allow_http=True)


ORIGINS: list[tuple[str, str]] = [
    ("https://api.openai.com/v1", "https://api.openai.com:443"),
    ("https://API.OpenAI.com:443", "https://api.openai.com:443"),
    ("https://api.openai.com:8443/v1", "https://api.openai.com:8443"),
    ("http://localhost/v1", "http://localhost:80"),
    ("http://[::1]:8080", "http://::1:8080"),
]


@pytest.mark.parametrize(("url", "same"), ORIGINS)
def test_origins(url: str, same: str):
    """A key would be sent to another server than the one it was given for, or withheld from its own."""
    assert origin(url) == same


# --- the gate ---

TABLE: ParamTable = {
    "temperature": ParamSupport("native", minimum=0, maximum=1),
    "n": ParamSupport("native", minimum=1, maximum=4),
    "stop": ParamSupport("native", max_items=2),
    "reasoning_effort": ParamSupport("mapped", values=("low", "high"), note="thinking"),
    "max_tokens": ParamSupport("native", minimum=1),
    "seed": unsupported("there are no seeds"),
    "tools": ParamSupport("native", max_items=1),
    **{name: unsupported() for name in NO_OP_VALUES if name not in ("n", "tools")},
}

REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"temperature": 1.5}, "temperature", "must be at most 1 here"),
    ({"temperature": -0.1}, "temperature", "must be at least 0 here"),
    ({"temperature": 10**400}, "temperature", "must be at most 1 here"),
    ({"n": 5}, "n", "must be at most 4 here"),
    ({"stop": ["a", "b", "c"]}, "stop", "takes at most 2 items here"),
    ({"reasoning_effort": "medium"}, "reasoning_effort", "must be one of low, high here (thinking)"),
    ({"max_tokens": 0}, "max_tokens", "must be at least 1 here"),
    ({"seed": 1}, "seed", "there are no seeds"),
    ({"seed": 0}, "seed", "there are no seeds"),
    ({"tools": [{}, {}]}, "tools", "takes at most 1 items here"),
    ({"logprobs": True}, "logprobs", "the provider has no such parameter"),
    ({"parallel_tool_calls": False}, "parallel_tool_calls", "the provider has no such parameter"),
    ({"presence_penalty": 0.1}, "presence_penalty", "the provider has no such parameter"),
    ({"logit_bias": {"5": 0}}, "logit_bias", "the provider has no such parameter"),
    ({"response_format": {"type": "json_object"}}, "response_format", "the provider has no such parameter"),
    ({"tool_choice": "none"}, "tool_choice", "the provider has no such parameter"),
]


def gated(params: dict[str, Any], policy: Any = "raise") -> tuple[ChatRequest, list[str]]:
    report = EncodingReport(policy)
    return apply_param_support(ChatRequest("m", [UserMessage("x")], **params), TABLE, report), report.warnings


@pytest.mark.parametrize(("params", "param", "why"), REFUSED)
def test_what_the_table_refuses(params: dict[str, Any], param: str, why: str):
    """A parameter the provider does not have would be paid for and ignored, or dropped against the caller's wish."""
    with pytest.raises(UnsupportedParameterError) as caught:
        gated(params)
    assert caught.value.param == param
    assert str(caught.value) == f"{param}: {why}"
    request, warnings = gated(params, "warn")
    assert getattr(request, param) is None
    assert warnings == [f"{param} dropped: {why}"]
    request, warnings = gated(params, "drop")
    assert getattr(request, param) is None
    assert warnings == []


NEUTRAL_VALUES = [
    (name, value) for name, values in NO_OP_VALUES.items() for value in values if name not in ("n", "tools")
]


@pytest.mark.parametrize(("name", "value"), [*NEUTRAL_VALUES, ("presence_penalty", 0.0), ("frequency_penalty", -0.0)])
@pytest.mark.parametrize("policy", ["raise", "warn", "drop"])
def test_values_that_ask_for_nothing(name: str, value: Any, policy: str):
    """Code written for OpenAI that spells out its defaults would be refused elsewhere."""
    request, warnings = gated({name: value}, policy)
    assert getattr(request, name) is None
    assert warnings == []


WITHIN: list[dict[str, Any]] = [
    {"temperature": 0},
    {"temperature": 1},
    {"n": 1},
    {"n": 4},
    {"stop": "a"},
    {"stop": "a long text is one item"},
    {"stop": ["a", "b"]},
    {"reasoning_effort": "low"},
    {"max_tokens": 1},
    {"user": "no cell, so it passes"},
    {"metadata": None},
    {},
]


@pytest.mark.parametrize("params", WITHIN)
def test_what_the_table_lets_through(params: dict[str, Any]):
    """A good value would be dropped."""
    request = ChatRequest("m", [UserMessage("x")], **params)
    assert apply_param_support(request, TABLE, EncodingReport("raise")) is request


def test_the_callers_request_stays():
    """A request that is sent to two providers would lose its parameters at the first."""
    request = ChatRequest("m", [UserMessage("x")], seed=1, temperature=0.5, extra_body={"a": 1}, custom_id="1")
    out = apply_param_support(request, TABLE, EncodingReport("drop"))
    assert (request.seed, out.seed) == (1, None)
    assert (out.temperature, out.extra_body, out.custom_id, out.messages) == (0.5, {"a": 1}, "1", request.messages)


OPENAI_RANGES: list[tuple[str, list[Any], list[Any]]] = [
    ("temperature", [0, 1, 2, 0.5], [-0.1, 2.1]),
    ("top_p", [0, 1], [-0.1, 1.1]),
    ("n", [1, 128], [0, 129]),
    ("stop", ["x", ["a"] * 4], [["a"] * 5]),
    ("presence_penalty", [-2, 0, 2], [-2.1, 2.1]),
    ("frequency_penalty", [-2, 0, 2], [-2.1, 2.1]),
    ("max_tokens", [1, 10**9], [0]),
    ("max_completion_tokens", [1], [0]),
    ("top_logprobs", [0, 20], [21]),
    ("thinking", [], [{"type": "enabled"}]),
]


@pytest.mark.parametrize(("name", "good", "bad"), OPENAI_RANGES)
def test_openais_ranges(name: str, good: list[Any], bad: list[Any]):
    """A request OpenAI refuses would be sent, or one it takes be refused."""
    table = PROVIDERS["openai"].table
    for value in good:
        request = ChatRequest("m", "x", **{name: value})
        assert apply_param_support(request, table, EncodingReport("raise")) is request
    for value in bad:
        with pytest.raises(UnsupportedParameterError) as caught:
            apply_param_support(ChatRequest("m", "x", **{name: value}), table, EncodingReport("raise"))
        assert caught.value.param == name


@pytest.mark.parametrize(
    "headers",
    [{"Content-Length": "9"}, {"transfer-encoding": "chunked"}, {"X y": "1"}, {"X": "a\r\nY: b"}],
    ids=["length", "encoding", "no token", "two lines"],
)
def test_a_row_has_no_headers_that_begin_another_request(headers: dict[str, str]) -> None:
    """Whoever writes a row could have requests read as other ones than they are."""
    with pytest.raises(InvalidRequestError):
        Provider("acme", "https://api.acme.ai/v1", headers=headers)
