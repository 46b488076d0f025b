"""Base URLs: which ones a key may be sent to, and the origin that it is bound to."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from anycompletion import AsyncCompletion
from anycompletion.errors import InvalidRequestError
from anycompletion.providers import PROVIDERS, check_base_url, origin
from anycompletion.providers.base_url import AllowHttp, intended_base_url

VALID: list[tuple[str, str]] = [
    ("https://api.openai.com/v1", "https://api.openai.com/v1"),
    ("https://api.openai.com/v1/", "https://api.openai.com/v1"),
    ("https://api.openai.com/v1///", "https://api.openai.com/v1"),
    ("https://x", "https://x"),
    ("https://x:8443/a/b", "https://x:8443/a/b"),
    ("HTTPS://API.Example.COM", "HTTPS://API.Example.COM"),
    ("https://10.0.0.5/v1", "https://10.0.0.5/v1"),
    ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
    ("https://bücher.example", "https://xn--bcher-kva.example"),
    ("https://BÜCHER.example:8443/ä", "https://xn--bcher-kva.example:8443/%C3%A4"),
    ("https://xn--strae-oqa.example", "https://xn--strae-oqa.example"),
    ("https://\uff41pi.example", "https://api.example"),
    ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ("https://x/modèle/v1/", "https://x/mod%C3%A8le/v1"),
    ("https://x/mod%C3%A8le/v1", "https://x/mod%C3%A8le/v1"),
    ("https://x/a%2Fb/è", "https://x/a%2Fb/%C3%A8"),
    ("https://x/v1/projects/p:q@r,s;t=1", "https://x/v1/projects/p:q@r,s;t=1"),
    ('https://x/<a>"b|c^', "https://x/%3Ca%3E%22b%7Cc%5E"),
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

INVALID: list[tuple[str, str]] = [
    ("localhost:8000/v1", "must begin with http:// or https://"),
    ("127.0.0.1:8000", "must begin with http:// or https://"),
    ("[::1]:8000/v1", "must begin with http:// or https://"),
    ("10.0.0.1:8000/v1", "must begin with https://"),
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
    ("https://[::1].evil.example", "is no URL"),
    ("https://evil.example[::1]", "is no URL"),
    ("https://x/100%", "holds a '%' that does not begin"),
    ("https://x/%zz/v1", "holds a '%' that does not begin"),
    ("https://bücher..example", "has an invalid host name"),
    ("https://straße.example", "has a host name with letters that stand for different hosts"),
    ("https://STRAẞE.example", "has a host name with letters that stand for different hosts"),
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
    ("https://[2001:0:4136:e378:8000:63bf:5601:5601]", "points to a link-local address"),
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
    ("https://metadata", "points to a cloud's metadata service"),
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


@pytest.mark.parametrize(("url", "checked"), VALID)
def test_valid_urls(url: str, checked: str):
    """A self-hosted server could not be reached, or get a path with two slashes."""
    assert check_base_url(url) == checked


@pytest.mark.parametrize(("url", "problem"), INVALID)
def test_invalid_urls(url: str, problem: str):
    """A key could be sent in plain text, to a metadata service, or to another host than the URL seems to have."""
    with pytest.raises(InvalidRequestError) as caught:
        check_base_url(url, param="base_urls.acme")
    assert str(caught.value).startswith(f"base_urls.acme: {problem}")
    assert caught.value.param == "base_urls.acme"
    assert "pw" not in str(caught.value)


def test_plain_http_can_be_allowed():
    """A server anywhere could not be used, or allowing it would disable the other checks."""
    for url in ("http://10.0.0.5/v1", "http://gpu.corp.example", "http://8.8.8.8"):
        assert check_base_url(url, allow_http=True) == url


PRIVATE = [
    "http://vllm:8000/v1",
    "http://10.1.2.3:8000/v1",
    "http://172.16.0.1",
    "http://172.31.255.255",
    "http://192.168.1.20:11434",
    "http://[fd12:3456::1]:8000",
    "http://[::ffff:10.0.0.5]",
    "http://localhost:8000",
    "https://gpu.corp.example",
]
PUBLIC = [
    "http://gpu.corp.example",
    "http://vllm.:8000",
    "http://vllm.default.svc.cluster.local",
    "http://172.32.0.1",
    "http://172.15.0.1",
    "http://192.169.0.1",
    "http://11.0.0.1",
    "http://100.64.0.1",
    "http://8.8.8.8",
    "http://0.0.0.0",
    "http://[2001:db8::1]",
    "http://[::ffff:8.8.8.8]",
]


@pytest.mark.parametrize("url", PRIVATE)
def test_plain_http_to_private_hosts_can_be_allowed(url: str):
    """A server in one's own network could not be used without a key of its own for TLS."""
    assert check_base_url(url, allow_http="private") == url


@pytest.mark.parametrize("url", PUBLIC)
def test_plain_http_to_private_hosts_goes_no_further(url: str):
    """A key and the prompts would cross the internet in the clear."""
    with pytest.raises(InvalidRequestError, match="private addresses and hosts without a dot") as caught:
        check_base_url(url, allow_http="private")
    assert "attrs.evolve(PROVIDERS[name], allow_http=True)" in str(caught.value)


@pytest.mark.parametrize("allowed", ["no", "privat", 1, None])
def test_plain_http_needs_one_of_the_documented_values(allowed: Any):
    """A key would be sent in the clear where a text was meant to forbid it."""
    with pytest.raises(InvalidRequestError, match="must use https"):
        check_base_url("http://10.0.0.1", allow_http=allowed)


@pytest.mark.parametrize("allowed", [True, "private"])
@pytest.mark.parametrize(
    "url", ["http://169.254.169.254", "http://metadata", "http://[fd00:ec2::254]", "http://2852039166", "http://a:b@x"]
)
def test_plain_http_never_goes_to_a_metadata_service(url: str, allowed: AllowHttp):
    """Allowing plain http would disable the other checks."""
    with pytest.raises(InvalidRequestError):
        check_base_url(url, allow_http=allowed)


SELF_HOSTED = {"vllm", "ollama", "ollama-openai", "llamacpp", "lmstudio", "litellm", "gpustack", "mistralrs"}


def test_rows_of_own_servers_take_plain_http_to_private_hosts():
    """A server in a cluster would be refused, or a vendor's key be sent in the clear within it."""
    assert {row.name for row in PROVIDERS.values() if row.allow_http == "private"} == SELF_HOSTED
    assert not any(row.allow_http is True for row in PROVIDERS.values())


async def test_the_base_url_of_an_own_server_comes_from_anywhere(monkeypatch: pytest.MonkeyPatch):
    """A server in a cluster could be given in one way and not in another."""
    url = "http://vllm:8000/v1"
    async with AsyncCompletion(base_urls={"vllm": url}) as client:
        assert client.check("vllm/m").base_url == url
    async with AsyncCompletion() as client:
        assert client.check("ollama-openai/m", base_url=url).base_url == url
        assert client.with_options(base_url=url).check("llamacpp/m").base_url == url
        monkeypatch.setenv("HOSTED_VLLM_API_BASE", url)
        assert client.check("vllm/m").base_url == url
        with pytest.raises(InvalidRequestError, match="must use https; plain http is allowed to this machine\\."):
            client.check("openai/m", base_url=url, api_key="k")
    evolved = attrs.evolve(PROVIDERS["openai"], allow_http=True)
    async with AsyncCompletion(providers=[evolved]) as client:
        assert client.check("openai/m", base_url=url, api_key="k").base_url == url


ORIGINS: list[tuple[str, str]] = [
    ("https://api.openai.com/v1", "https://api.openai.com:443"),
    ("https://API.OpenAI.com:443", "https://api.openai.com:443"),
    ("https://api.openai.com:8443/v1", "https://api.openai.com:8443"),
    ("http://localhost/v1", "http://localhost:80"),
    ("https://api.openai.com:0/v1", "https://api.openai.com:0"),
    ("http://[::1]:8080", "http://::1:8080"),
]


@pytest.mark.parametrize(("url", "expected"), ORIGINS)
def test_origins(url: str, expected: str):
    """A key would be sent to another server than its own, or not be sent to its own."""
    assert origin(url) == expected


# --- base URLs as they are meant ---

OPENAI, ANTHROPIC, COHERE, REPLICATE = "/chat/completions", "/v1/messages", "/v2/chat", "/v1/predictions"

MEANT: list[tuple[str, str, str, str]] = [
    # the endpoint, the provider's own base URL, the given one, the one that is used
    (OPENAI, "", "https://x", "https://x"),
    (OPENAI, "", "https://x/v1", "https://x/v1"),
    (OPENAI, "", "https://x/v1/chat/completions", "https://x/v1"),
    (OPENAI, "", "https://x/v1/chat/completions///", "https://x/v1"),
    (OPENAI, "", "https://x/chat/completions/chat/completions", "https://x"),
    (OPENAI, "", "https://x/v1/chat", "https://x/v1"),
    (OPENAI, "", "https://x/chat", "https://x/chat"),
    (OPENAI, "", "https://x/v1/v1", "https://x/v1"),
    (OPENAI, "", "https://x/v1beta/openai", "https://x/v1beta/openai"),
    (OPENAI, "", "https://x/openai/deployments/d/chat/completions", "https://x/openai/deployments/d"),
    (OPENAI, "https://x/v1/chat/completions", "https://x/v1/chat/completions", "https://x/v1"),
    (OPENAI, "https://x/api/v1", "https://x", "https://x/api/v1"),
    (OPENAI, "https://x/api/v1", "https://x:443/api/", "https://x:443/api/v1"),
    (OPENAI, "https://x/api/v1", "https://y", "https://y"),
    (OPENAI, "https://x/api/v1", "https://x/other", "https://x/other"),
    (OPENAI, "https://x/api/v1", "https://x/api/v2", "https://x/api/v2"),
    (OPENAI, "https://x", "https://x/v1", "https://x/v1"),
    (OPENAI, "https://x/{region}/v1", "https://x", "https://x"),
    (OPENAI, "http://localhost:8000/v1", "http://127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
    (OPENAI, "http://localhost:8000/v1", "http://127.0.0.1:9000", "http://127.0.0.1:9000/v1"),
    (OPENAI, "http://localhost:8000/v1", "https://gpu.example", "https://gpu.example/v1"),
    (OPENAI, "http://localhost:8000/v1", "https://gpu.example/llm", "https://gpu.example/llm"),
    (OPENAI, "http://localhost:4000", "https://gpu.example", "https://gpu.example"),
    ("/chat", "https://x/v1", "https://x/v1/chat", "https://x/v1"),
    (ANTHROPIC, "", "https://x/v1", "https://x"),
    (ANTHROPIC, "", "https://x/proxy/v1/messages", "https://x/proxy"),
    (ANTHROPIC, "", "https://x/anthropic", "https://x/anthropic"),
    (COHERE, "", "https://x/v2", "https://x"),
    (COHERE, "", "https://x/v2/chat", "https://x"),
    (REPLICATE, "", "https://x/v1", "https://x"),
    (REPLICATE, "", "https://x/v1/predictions", "https://x"),
]


@pytest.mark.parametrize(("endpoint", "own", "given", "used"), MEANT)
def test_a_base_url_is_used_as_it_is_meant(endpoint: str, own: str, given: str, used: str):
    """A request would go to a doubled path, or to a path without its version, and be answered with 404."""
    assert intended_base_url(given.rstrip("/"), endpoint=endpoint, own=own) == used
    assert intended_base_url(used, endpoint=endpoint, own=own) == used


NOT_MEANT: list[tuple[str, str]] = [
    (OPENAI, "https://x/v1/responses"),
    (OPENAI, "https://x/v1/completions"),
    (OPENAI, "https://x/v1/embeddings"),
    (OPENAI, "https://x/v1/messages"),
    (ANTHROPIC, "https://x/messages"),
    (ANTHROPIC, "https://x/v1/complete"),
    (ANTHROPIC, "https://x/v2"),
    (COHERE, "https://x/v1"),
    (COHERE, "https://x/v1/chat"),
    (REPLICATE, "https://x/v1/models/a/b/predictions"),
]


@pytest.mark.parametrize(("endpoint", "given"), NOT_MEANT)
def test_a_base_url_that_cannot_be_meant_is_refused(endpoint: str, given: str):
    """A caller would get a 404 in place of the cause."""
    with pytest.raises(InvalidRequestError) as caught:
        intended_base_url(given, endpoint=endpoint, own="", param="base_urls['x']")
    assert caught.value.param == "base_urls['x']"
    assert f"ends in /{given.rpartition('/')[2]}" in str(caught.value)
    assert endpoint in str(caught.value)
