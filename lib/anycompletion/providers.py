"""The address book: one row per provider, and the parameter table as its rows and dialects say it; sends nothing."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, cast
from urllib.parse import urlsplit

import attrs

from .auth import BEARER, Auth, header_key
from .dialects import Dialect, anthropic_messages, openai_chat
from .errors import ConfigurationError, InvalidRequestError
from .options import NEUTRAL, Cell, Table
from .records import ChatRequest
from .wire import Quirks, Report

DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {dialect.NAME: dialect for dialect in cast("tuple[Dialect, ...]", (openai_chat, anthropic_messages))}
)


@attrs.frozen
class Provider:
    """Where to talk: one row of data. A provider that speaks a known format needs nothing else.

    ``AsyncCompletion(providers=[Provider("acme", "https://api.acme.ai/v1", key_env=("ACME_API_KEY",))])`` makes
    ``acme/any-model`` work.
    """

    name: str
    """What stands before the slash in a model."""
    base_url: str
    """As the vendor's own SDK takes it: OpenAI-compatible ones with the version path, no slash at the end."""
    dialect: str = "openai_chat"
    """openai_chat or anthropic_messages."""
    key_env: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    """Environment variables that may hold the key, in the order they are looked for."""
    base_url_env: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    """Environment variables that may replace the base URL."""
    key_optional: bool = attrs.field(default=False, kw_only=True)
    """True for servers that need no key."""
    auth: Auth = attrs.field(default=BEARER, kw_only=True)
    path: str | None = attrs.field(default=None, kw_only=True)
    """Replaces the dialect's path below the base URL."""
    api_version: str | None = attrs.field(default=None, kw_only=True)
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], kw_only=True)
    """Sent with every request."""
    headers_env: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict[str, "tuple[str, ...]"], kw_only=True)
    """Header name → environment variables that may hold its value (OpenAI's organization and project)."""
    request_id_header: str = attrs.field(default="x-request-id", kw_only=True)
    quirks: Quirks = attrs.field(default=Quirks(), kw_only=True)
    params: Table = attrs.field(factory=dict[str, Cell], kw_only=True)
    """Cells that differ from the dialect's."""
    prefixes: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    """Beginnings of bare model names that mean this provider."""
    docs: str = attrs.field(default="", kw_only=True)
    """The provider's page on this API."""
    allow_http: bool = attrs.field(default=False, kw_only=True)
    """Allows plain http to hosts that are not loopback."""

    def __attrs_post_init__(self) -> None:
        if self.dialect not in DIALECTS:
            raise ConfigurationError(f"provider {self.name!r}: no dialect {self.dialect!r}, only {', '.join(DIALECTS)}")
        if not _NAME.fullmatch(self.name):
            raise ConfigurationError(f"provider {self.name!r}: a name is lower-case letters, digits, '-', '_' and '.'")
        check_base_url(self.base_url, allow_http=self.allow_http)

    @property
    def table(self) -> Table:
        """Parameter name → cell: the dialect's column with this row's differences."""
        return {**DIALECTS[self.dialect].PARAMS, **self.params}


_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_BAD_IN_URL = re.compile(r"[\s\\\x00-\x1f\x7f]")


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
    if _BAD_IN_URL.search(url):
        return "holds white space, a backslash or a control character"
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
    if parts.query or parts.fragment:
        return "must not hold a query or fragment; extra_query adds one"
    if any(segment in (".", "..") for segment in parts.path.split("/")):
        return "holds a '.' or '..' segment"
    return _host_problem(host, parts.scheme, allow_http)


def _host_problem(host: str, scheme: str, allow_http: bool) -> str | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if re.fullmatch(r"(0x[0-9a-f]+|\d+)(\.(0x[0-9a-f]+|\d+))*", host):
            return "has a host that is a number in disguise"
        if host == "metadata.google.internal":
            return "points to a cloud's metadata service"
        loopback = host == "localhost" or host.endswith(".localhost")
    else:
        if address.is_link_local or str(address) in ("fd00:ec2::254", "100.100.100.200"):
            return "points to a link-local address or a cloud's metadata service"
        loopback = address.is_loopback
    if scheme == "http" and not loopback and not allow_http:
        return "must use https (plain http only goes to loopback, or where Provider(allow_http=True) says so)"
    return None


def origin(url: str) -> str:
    """Scheme, host and port: what a key is bound to."""
    parts = urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return f"{parts.scheme}://{parts.hostname}:{port}"


_ROWS = (
    Provider(
        "openai",
        "https://api.openai.com/v1",
        key_env=("OPENAI_API_KEY",),
        base_url_env=("OPENAI_BASE_URL", "OPENAI_API_BASE", "OPENAI_API_URL"),
        headers_env={
            "OpenAI-Organization": ("OPENAI_ORG_ID", "OPENAI_ORGANIZATION", "OPENAI_ORGANIZATION_KEY"),
            "OpenAI-Project": ("OPENAI_PROJECT_ID",),
        },
        prefixes=("gpt-", "chatgpt-", "o1", "o3", "o4", "ft:gpt-"),
        docs="https://platform.openai.com/docs/api-reference/chat",
    ),
    Provider(
        "anthropic",
        "https://api.anthropic.com",
        "anthropic_messages",
        key_env=("ANTHROPIC_API_KEY",),
        base_url_env=("ANTHROPIC_BASE_URL", "ANTHROPIC_API_BASE"),
        auth=header_key("x-api-key"),
        request_id_header="request-id",
        prefixes=("claude-",),
        docs="https://docs.anthropic.com/en/api/messages",
    ),
)

PROVIDERS: Mapping[str, Provider] = MappingProxyType({row.name: row for row in _ROWS})
"""The built-in rows by name."""


def directory(own: Iterable[Provider] = ()) -> dict[str, Provider]:
    """The built-in rows and a client's own; of one name, its own wins."""
    return {**PROVIDERS, **{row.name: row for row in own}}


def find(model: str, provider: str | None, rows: Mapping[str, Provider]) -> tuple[Provider, str]:
    """The row and the provider's own model name for what a caller wrote.

    ``provider/model`` is split at the first slash (or colon) whose left side is a known provider; a bare name needs
    `provider`, or one of the well-known prefixes.

    Raises:
        InvalidRequestError: nobody knows the provider; the text names close ones.
    """
    if provider is not None:
        row = rows.get(provider)
        if row is None:
            raise InvalidRequestError(f"provider: {_unknown(provider, rows)}", param="provider")
        return row, model.removeprefix(f"{provider}/")
    for separator in "/:":
        left, found, right = model.partition(separator)
        row = rows.get(left)
        if found and right and row is not None:
            return row, right
    for row in rows.values():
        if row.prefixes and model.startswith(row.prefixes) and "/" not in model:
            return row, model
    name, slash, _ = model.partition("/")
    if slash:
        text = _unknown(name, rows)
    else:
        text = f"{model!r} names no provider; write provider/model, such as openai/{model}, or pass provider="
    raise InvalidRequestError(f"model: {text}", param="model")


def _unknown(name: str, rows: Mapping[str, Provider]) -> str:
    import difflib  # noqa: PLC0415 (only for an error; it costs an import 1 ms)

    close = difflib.get_close_matches(name, rows, 3)
    hint = f"did you mean {' or '.join(close)}?" if close else f"known are {', '.join(sorted(rows))}"
    return f"unknown provider {name!r}; {hint}"


def supported_params(model: str, provider: str | None = None, providers: Iterable[Provider] = ()) -> dict[str, Cell]:
    """What `model`'s provider makes of every parameter: native, mapped, fanned out or refused, with ranges.

    Raises:
        InvalidRequestError: nobody knows the provider.
    """
    row, _ = find(model, provider, directory(providers))
    return dict(row.table)


# --- the gate: the parameter table applied to one request ---


def gate(request: ChatRequest, table: Table, report: Report) -> ChatRequest:
    """`request` without what the table refuses; the caller's policy decides whether that is an error.

    A value that asks for nothing is accepted everywhere and left out where it is unknown.

    Raises:
        UnsupportedParameterError: under the policy "raise"; `.param` names the parameter.
    """
    dropped: dict[str, None] = {}
    for name, cell in table.items():
        value = getattr(request, name, None)
        if value is None:
            continue
        if cell.support == "refused":
            if value not in NEUTRAL.get(name, ()):
                report.unsupported(name, cell.note)
            dropped[name] = None
        elif problem := _out_of_range(value, cell):
            report.unsupported(name, problem)
            dropped[name] = None
    return attrs.evolve(request, **cast("dict[str, Any]", dropped)) if dropped else request


def _out_of_range(value: Any, cell: Cell) -> str | None:
    if isinstance(value, (int, float)):
        if cell.minimum is not None and value < cell.minimum:
            return f"must be at least {cell.minimum:g} here"
        if cell.maximum is not None and value > cell.maximum:
            return f"must be at most {cell.maximum:g} here"
    elif isinstance(value, str):
        if cell.values is not None and value not in cell.values:
            return f"must be one of {', '.join(cell.values)} here"
    elif cell.max_items is not None and len(value) > cell.max_items:
        return f"takes at most {cell.max_items} items here"
    return None
