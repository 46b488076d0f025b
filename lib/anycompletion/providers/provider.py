"""One row of the address book: where a provider is and how it differs; says nothing of any particular one."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit

import attrs

from ..auth import BEARER, Auth
from ..dialects.base import Dialect
from ..dialects.openai_chat.quirks import Quirks
from ..errors import ConfigurationError, InvalidRequestError
from ..params import ParamSupport, ParamTable
from ..validation import check_headers

if TYPE_CHECKING:
    from ..calls import CallPlan
    from ..records import ChatRequest
    from ..transport import Pool


class _Dialects(Mapping[str, Dialect]):
    """The wire formats by name; each is loaded when it is first asked for, because most programs need one or two."""

    def __getitem__(self, name: str) -> Dialect:
        return _load_dialect(name)

    def __contains__(self, name: object) -> bool:
        return name in _DIALECT_NAMES  # the inherited one would load it

    def __iter__(self) -> Iterator[str]:
        return iter(_DIALECT_NAMES)

    def __len__(self) -> int:
        return len(_DIALECT_NAMES)


_DIALECT_NAMES = ("openai_chat", "anthropic_messages", "cohere_chat", "replicate_predictions")


def _load_dialect(name: str) -> Dialect:
    match name:
        case "openai_chat":
            from ..dialects.openai_chat.dialect import DIALECT  # noqa: PLC0415 (1 ms each, and most programs need one)
        case "anthropic_messages":
            from ..dialects.anthropic_messages.dialect import DIALECT  # noqa: PLC0415 (as above)
        case "cohere_chat":
            from ..dialects.cohere_chat.dialect import DIALECT  # noqa: PLC0415 (as above)
        case "replicate_predictions":
            from ..dialects.replicate_predictions.dialect import DIALECT  # noqa: PLC0415 (as above)
        case _:
            raise KeyError(name)
    return DIALECT


DIALECTS: Mapping[str, Dialect] = _Dialects()


class TransportOverride(Protocol):
    """What `anycompletion.testing` puts between a client and a provider's connections."""

    def pool(self, make: Callable[..., Pool]) -> Pool:
        """The connections; `make` makes those the client would use, with other arguments where some are given."""
        ...

    def plan(self, request: ChatRequest, plan: CallPlan) -> CallPlan:
        """How one logical call is made; `request` is what the caller meant, before the parameter table saw it."""
        ...


class ProviderSource(Protocol):
    """What may stand beside rows among a client's providers: it makes rows out of those there are."""

    def rows(self, known: Mapping[str, Provider]) -> Iterable[Provider]:
        """The rows that replace those of the same names."""
        ...


@attrs.frozen
class Provider:
    """Where to talk: one row of data. A provider that speaks a known format needs nothing else.

    ``AsyncCompletion(providers=[Provider("acme", "https://api.acme.ai/v1", key_env=("ACME_API_KEY",))])`` makes
    ``acme/any-model`` work.
    """

    name: str
    """What stands before the slash in a model."""
    base_url: str
    """As the vendor's own SDK takes it: OpenAI-compatible ones with the version path, no slash at the end.

    "" where every customer has one of their own: it then comes from `base_urls` or the environment.
    """
    dialect: str = "openai_chat"
    """The wire format: a key of `DIALECTS`."""
    key_env: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    """Environment variables that may hold the key, in the order they are looked for."""
    token_env: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    """Environment variables that may hold a bearer token instead; such a token wins over a key."""
    base_url_env: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    """Environment variables that may replace the base URL."""
    key_optional: bool = attrs.field(default=False, kw_only=True)
    """True for servers that need no key."""
    auth: Auth = attrs.field(default=BEARER, kw_only=True)
    path: str | None = attrs.field(default=None, kw_only=True)
    """Replaces the dialect's path below the base URL."""
    api_version: str | None = attrs.field(default=None, kw_only=True)
    api_version_env: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    """Environment variables that may hold the API version."""
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], kw_only=True, repr=False)
    """Sent with every request."""
    headers_env: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict[str, "tuple[str, ...]"], kw_only=True)
    """Header name → environment variables that may hold its value (OpenAI's organization and project)."""
    request_id_header: str = attrs.field(default="x-request-id", kw_only=True)
    quirks: Quirks = attrs.field(default=Quirks(), kw_only=True)
    params: ParamTable = attrs.field(factory=dict[str, ParamSupport], kw_only=True)
    """Cells that differ from the dialect's."""
    prefixes: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    """Beginnings of bare model names that mean this provider."""
    docs: str = attrs.field(default="", kw_only=True)
    """The provider's page on this API."""
    unverified: str = attrs.field(default="", kw_only=True)
    """What of this row could not be confirmed from recorded traffic or the provider's documentation."""
    retry_safe: bool = attrs.field(default=True, kw_only=True)
    """False where a request starts work that goes on unheard: it is only sent again when that cannot have begun."""
    idempotency_header: str = attrs.field(default="", kw_only=True)
    """The header in which the provider takes a key that is the same for all attempts of one call; "" where it is not
    known to take one. No built-in row has any: no vendor documents one for chat completions."""
    allow_http: bool = attrs.field(default=False, kw_only=True)
    """Allows plain http to hosts that are not loopback."""
    transport: TransportOverride | None = attrs.field(default=None, kw_only=True, eq=False, repr=False)
    """What stands in for the provider's connections, in tests; see `anycompletion.testing`."""

    def __attrs_post_init__(self) -> None:
        if self.dialect not in DIALECTS:
            raise ConfigurationError(f"provider {self.name!r}: no dialect {self.dialect!r}, only {', '.join(DIALECTS)}")
        if not _is_name(self.name):
            raise ConfigurationError(f"provider {self.name!r}: a name is lower-case letters, digits, '-', '_' and '.'")
        if self.base_url:
            check_base_url(self.base_url, allow_http=self.allow_http)
        if self.headers or self.headers_env:
            check_headers({**dict.fromkeys(self.headers_env, "-"), **self.headers}, "headers")

    @property
    def table(self) -> ParamTable:
        """Parameter name → cell: the dialect's column with this row's differences."""
        return {**DIALECTS[self.dialect].params, **self.quirks.cells(), **self.params}


_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")


def _is_name(text: str) -> bool:
    # No pattern: an import would pay more for its compilation than for asking all rows.
    return text[:1] in _LETTERS and _LETTERS.union("._-").issuperset(text)


def check_base_url(url: str, *, allow_http: bool = False, param: str = "base_url") -> str:
    """The URL without a slash at its end, if a key may be sent there.

    Raises:
        InvalidRequestError: it has no scheme or host, holds a user, query or fragment, points to a metadata service,
            or is plain http to a host that is not loopback. `.param` is `param`.
    """
    problem = _url_problem(url, allow_http)
    if problem is not None:
        raise InvalidRequestError(f"{param}: {problem}", param=param)
    return url.rstrip("/")


def _url_problem(url: str, allow_http: bool) -> str | None:
    if " " in url or "\\" in url or not url.isprintable():
        return "holds white space, a backslash, a control character or a lone surrogate"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is no URL"
    if parts.scheme not in ("http", "https"):
        return "must begin with https://"
    if not host:
        return "has no host"
    if parts.username is not None or parts.password is not None:
        return "must not hold a user or password"
    if "?" in url or "#" in url:
        return "must not hold a query or fragment; extra_query adds one"
    if any(unquote(segment) in (".", "..") for segment in parts.path.split("/")):
        return "holds a '.' or '..' segment"
    return _host_problem(host, parts.scheme, allow_http)


def _host_problem(host: str, scheme: str, allow_http: bool) -> str | None:
    try:
        # What a resolver makes of it: full-width digits are digits, an ideographic full stop is a dot.
        host = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        return "has a host that is no name"
    host = host.removesuffix(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if host[:1].isdigit() and re.fullmatch(r"(0x[0-9a-f]+|\d+)(\.(0x[0-9a-f]+|\d+))*", host):
            return "has a host that is a number in disguise"
        if host in _METADATA_HOSTS:
            return "points to a cloud's metadata service"
        loopback = host == "localhost" or host.endswith(".localhost")
    else:
        address = _wrapped(address)
        if address.is_link_local or str(address).partition("%")[0] in _METADATA_ADDRESSES:
            return "points to a link-local address or a cloud's metadata service"
        loopback = address.is_loopback
    if scheme == "http" and not loopback and not allow_http:
        return "must use https (plain http only goes to loopback, or where Provider(allow_http=True) says so)"
    return None


_METADATA_HOSTS = frozenset(("metadata.google.internal", "metadata.goog", "instance-data.ec2.internal"))
_METADATA_ADDRESSES = frozenset(("fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"))
"""Of clouds' services that tell any process on a machine its credentials, besides the link-local ones."""


def _wrapped(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address that an IPv6 one stands for in a translation or a tunnel."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64 or (int(address) >> 32 == 0 and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def origin(url: str) -> str:
    """Scheme, host and port: what a key is bound to."""
    parts = urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return f"{parts.scheme}://{parts.hostname}:{port}"
