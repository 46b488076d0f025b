"""Checks and corrections of base URLs: a key is sent only over https or to loopback, never to a metadata service.

A base URL that already ends in the endpoint's path, or lacks the version, is corrected.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Literal, TypeAlias
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from ..errors import InvalidRequestError

_METADATA_HOSTS = frozenset(("metadata", "metadata.google.internal", "metadata.goog", "instance-data.ec2.internal"))
_METADATA_ADDRESSES = frozenset(("fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"))
"""Of clouds' services that give a machine's credentials to any process on it, besides the link-local ones."""

_OTHER_ENDPOINTS = frozenset(("responses", "completions", "embeddings", "messages", "complete", "count_tokens"))
"""Last segments of other endpoints' URLs; no base URL ends in one of them."""

_LOCAL_HOSTS = frozenset(("localhost", "127.0.0.1", "::1"))

_PATH_CHARACTERS = "/%:@!$&'()*+,;=~"
"""Characters of a path that are not percent-encoded, besides letters, digits and ``_.-``."""

_AMBIGUOUS = frozenset("ßς\u200c\u200d")
"""Letters of host names that the standards of 2003 and of 2008 encode differently."""

_PRIVATE_NETWORKS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


AllowHttp: TypeAlias = "bool | Literal['private']"
"""Where plain http may go besides loopback: nowhere, anywhere, or to private addresses and hosts without a dot."""


def check_base_url(url: str, *, allow_http: AllowHttp = False, param: str = "base_url") -> str:
    """The URL as it is sent, without a slash at its end, if a key may be sent there.

    A host name beyond ASCII is encoded as Punycode, and such letters of the path are percent-encoded.

    Raises:
        InvalidRequestError: it has no scheme or host, contains a user, query, fragment or brace, points to a metadata
            service, or is plain http to a host that neither is loopback nor allowed. `.param` is `param`.
    """
    if _is_plain(url):
        return url
    problem = _url_problem(url, allow_http)
    if problem is not None:
        raise InvalidRequestError(f"{param}: {problem}", param=param)
    return _encoded(url).rstrip("/")


def _is_plain(url: str) -> bool:
    """Whether a URL is https, a host name in lower-case letters, and maybe a path; a quick check for nearly all."""
    rest = url.removeprefix("https://")
    host = rest.partition("/")[0]
    return (
        len(rest) < len(url)
        and host[:1].isalpha()
        and host not in _METADATA_HOSTS
        and rest[-1] not in "./"
        and _PLAIN_CHARACTERS.issuperset(rest)
        and not any(map(rest.__contains__, ("//", "/.", "./")))
    )


_PLAIN_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-./")


def _encoded(url: str) -> str:
    parts = urlsplit(url)
    netloc = parts.netloc
    if not netloc.isascii():
        netloc = _ascii_host(parts.hostname or "") + ("" if parts.port is None else f":{parts.port}")
    path = quote(parts.path, safe=_PATH_CHARACTERS)
    return url if (netloc, path) == (parts.netloc, parts.path) else urlunsplit((parts.scheme, netloc, path, "", ""))


def _ascii_host(host: str) -> str:
    """A host name as resolvers read it: full-width digits are digits, and an ideographic full stop is a dot.

    Raises:
        UnicodeError: it is no valid name.
    """
    return host if host.isascii() else host.encode("idna").decode()


def intended_base_url(url: str, *, endpoint: str, own: str, param: str = "base_url") -> str:
    """A checked base URL, corrected: without the endpoint's path or a part of it, and with the provider's own path.

    ``https://api.openai.com/v1/chat/completions`` and ``https://api.openai.com`` are ``https://api.openai.com/v1``.

    Args:
        url: as `check_base_url` returns it.
        endpoint: the path that is added to the base URL, such as ``/chat/completions``.
        own: the provider's own base URL, or "".
        param: `.param` of the error.

    Raises:
        InvalidRequestError: it ends in another endpoint or another version; the text names the fix.
    """
    parts = urlsplit(url)
    given, last = _segments(parts.path), _segments(endpoint)
    kept = _without_endpoint(given, last)
    problem = _path_problem(kept, last)
    if problem is not None:
        raise InvalidRequestError(f"{param}: {problem}", param=param)
    own_parts = urlsplit(own)
    # A self-hosted server has the same paths on every machine.
    is_self_hosted = not kept and own_parts.hostname in _LOCAL_HOSTS
    if own and "{" not in own and (is_self_hosted or _same_server(url, own)):
        whole = _without_endpoint(_segments(own_parts.path), last)
        kept = whole if kept == whole[: len(kept)] else kept
    return url if kept == given else urlunsplit((parts.scheme, parts.netloc, "/".join(["", *kept]), "", ""))


def _segments(path: str) -> list[str]:
    return [segment for segment in path.split("/") if segment]


def _is_version(segment: str) -> bool:
    # "v", digits, and maybe more, as in v1beta. Not a pattern, whose compilation would take longer than the check.
    return segment[:1] == "v" and segment[1:2].isdecimal() and segment.replace("_", "").isalnum()


def _without_endpoint(path: Sequence[str], endpoint: Sequence[str]) -> list[str]:
    """`path` without the endpoint, or its beginning, at the end, and with only one of two equal versions there."""
    kept = list(path)
    size = len(endpoint)
    while size:
        begins = endpoint[:size]
        is_meant = (
            size == len(endpoint)
            or _is_version(begins[-1])
            or begins == ["api"]
            or (len(kept) > size and _is_version(kept[-size - 1]))
        )
        if kept[-size:] == list(begins) and is_meant:
            del kept[-size:]
            size = len(endpoint)
        else:
            size -= 1
    while len(kept) > 1 and kept[-1] == kept[-2] and _is_version(kept[-1]):
        del kept[-1]
    return kept


def _path_problem(path: Sequence[str], endpoint: Sequence[str]) -> str | None:
    """Why no endpoint can be added to a path; None if one can."""
    if not path:
        return None
    last, added = f"/{path[-1]}", f"/{'/'.join(endpoint)}"
    if path[-1] in _OTHER_ENDPOINTS or path[-1] == endpoint[-1]:
        return f"ends in {last}, which is an endpoint; give the URL before it, to which {added} is added"
    if _is_version(endpoint[0]) and _is_version(path[-1]):
        return f"ends in {last}, and {added} is added; leave the version out"
    return None


def _same_server(url: str, own: str) -> bool:
    """Whether two URLs have one origin; all names of this machine are one."""
    ours, theirs = urlsplit(own), urlsplit(url)
    if ours.hostname in _LOCAL_HOSTS and theirs.hostname in _LOCAL_HOSTS:
        return (ours.scheme, ours.port) == (theirs.scheme, theirs.port)
    return origin(url) == origin(own)


def origin(url: str) -> str:
    """Scheme, host and port of a URL, to which a key is bound."""
    parts = urlsplit(url)
    port = {"https": 443, "http": 80}.get(parts.scheme) if parts.port is None else parts.port
    return f"{parts.scheme}://{parts.hostname}:{port}"


def _url_problem(url: str, allow_http: AllowHttp) -> str | None:
    if " " in url or "\\" in url or not url.isprintable():
        return "holds white space, a backslash, a control character or a lone surrogate"
    if "{" in url or "}" in url:
        return "holds '{' or '}', which only stand for placeholders of a Provider"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is no URL"
    if parts.scheme not in ("http", "https"):
        is_local = "://" not in url and _url_problem(f"http://{url}", allow_http) is None
        return "must begin with http:// or https://" if is_local else "must begin with https://"
    if not host:
        return "has no host"
    if parts.username is not None or parts.password is not None:
        return "must not hold a user or password"
    if "?" in url or "#" in url:
        return "must not hold a query or fragment; extra_query adds one"
    if "[" in parts.netloc and re.fullmatch(r"\[[^\[\]]+\](:\d*)?", parts.netloc) is None:
        return "is no URL"
    if "%" in parts.path and re.search(r"%(?![0-9A-Fa-f]{2})", parts.path):
        return "holds a '%' that does not begin a percent-encoded character"
    may_have_dots = "/." in parts.path or "%" in parts.path
    if may_have_dots and any(unquote(segment) in (".", "..") for segment in parts.path.split("/")):
        return "holds a '.' or '..' segment"
    return _host_problem(host, parts.scheme, allow_http)


def _host_problem(host: str, scheme: str, allow_http: AllowHttp) -> str | None:
    if _AMBIGUOUS.intersection(host):
        return "has a host name with letters that stand for different hosts in different programs; write it as xn--…"
    try:
        host = _ascii_host(host)
    except UnicodeError:
        return "has an invalid host name"
    is_dotless, host = "." not in host, host.removesuffix(".")
    address = _ip_address(host)
    if address is None:
        if host[:1].isdigit() and re.fullmatch(r"(0x[0-9a-f]+|\d+)(\.(0x[0-9a-f]+|\d+))*", host):
            return "has a host that is an IP address in an unusual notation"
        if host in _METADATA_HOSTS:
            return "points to a cloud's metadata service"
        loopback = host == "localhost" or host.endswith(".localhost")
    else:
        address = _without_tunnel(address)
        if address.is_link_local or str(address).partition("%")[0] in _METADATA_ADDRESSES:
            return "points to a link-local address or a cloud's metadata service"
        loopback = address.is_loopback
    if scheme == "https" or loopback or allow_http is True:
        return None
    if allow_http == "private" and (is_dotless if address is None else _is_private(address)):
        return None
    where = "this machine, private addresses and hosts without a dot" if allow_http else "this machine"
    return (
        f"must use https; plain http is allowed to {where}. To allow it anywhere, give the client a Provider with "
        "allow_http=True; of a built-in one: providers=[attrs.evolve(PROVIDERS[name], allow_http=True)]"
    )


def _ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    # Names are recognized first: refusing them takes `ipaddress` longer than all other checks of a URL.
    if ":" not in host and not host[:1].isdigit():
        return None
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_private(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return any(address in ipaddress.ip_network(network) for network in _PRIVATE_NETWORKS)


def _without_tunnel(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address that an IPv6 one stands for in a translation or a tunnel."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64 or (int(address) >> 32 == 0 and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None) or address
