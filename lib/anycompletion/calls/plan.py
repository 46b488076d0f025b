"""How calls of one kind are made: all that is the same from one call to the next, prepared once."""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..auth import Auth, check_key, sign
from ..dialects.base import Dialect, Target
from ..http import Headers, HttpRequest, RequestHeaders
from ..options import BearerToken, Secret, Timeout
from ..redaction import MIN_SECRET, MaskedValue, credentials, without_echoes
from ..transport import Pool
from .endpoint_state import EndpointState

if TYPE_CHECKING:
    from ..ratelimit.client_limits import ModelLimits

KeySource = str | Secret | Callable[[], Awaitable[str]] | None

USER_AGENT = "anycompletion"

EVENTS = "text/event-stream"
"""The media type of a stream."""


class DialectCache:
    """What a client has fetched for one provider's dialect, shared by its calls; nothing is fetched twice at a time."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.locks: dict[str, asyncio.Lock] = {}


class CallPlan:
    """How calls of one kind are made; made by the client. A plain class: what attrs makes would cost an import 3 ms."""

    __slots__ = (
        "_needles",
        "_ready",
        "_secrets",
        "auth",
        "cache",
        "dialect",
        "endpoint",
        "extra_body",
        "extra_headers",
        "headers",
        "idempotency_header",
        "key",
        "key_source",
        "limits",
        "locks",
        "log_level",
        "max_retries",
        "observer",
        "pool",
        "query",
        "request_id_header",
        "retry_safe",
        "signed",
        "target",
        "timeout",
        "track_task",
        "values",
        "warnings",
    )

    def __init__(
        self,
        *,
        dialect: Dialect,
        target: Target,
        pool: Pool,
        road: EndpointState,
        auth: Auth,
        key: KeySource,
        key_source: str,
        headers: Mapping[str, str],
        extra_headers: Mapping[str, str],
        query: Mapping[str, str] | None,
        request_id_header: str,
        retry_safe: bool,
        idempotency_header: str,
        timeout: Timeout,
        max_retries: int,
        known: DialectCache,
        keep: Callable[[asyncio.Task[None]], None],
        log_level: int = logging.DEBUG,
        observer: Callable[[dict[str, Any]], object] | None = None,
        extra_body: Mapping[str, Any] | None = None,
        warnings: tuple[str, ...] = (),
        limits: ModelLimits | None = None,
    ) -> None:
        self.dialect = dialect
        self.target = target
        self.pool = pool
        self.endpoint = road
        self.auth = auth
        self.key: KeySource = key
        self.key_source = key_source
        """Where a key of the environment came from, for errors; "" for one that was given."""
        self.headers = headers
        self.extra_headers = extra_headers
        """The caller's own; they win over all others."""
        self.query = query
        self.request_id_header = request_id_header
        self.retry_safe = retry_safe
        """Whether a request that may have been received can be sent again."""
        self.idempotency_header = idempotency_header
        """The header that tells the provider that a request is a second try of the same; "" where it knows none."""
        self.timeout = timeout
        self.max_retries = max_retries
        self.cache = known
        self.track_task = keep
        """Takes a strong reference to a task for as long as it runs."""
        self.log_level = log_level
        self.observer = observer
        """The caller's `logger_fn`."""
        self.extra_body = extra_body
        """What the options add to the request's own."""
        self.warnings = warnings
        """What of the options was dropped or changed."""
        self.limits = limits
        """What holds these calls back; None where nothing does."""
        self.signed: Mapping[str, str] | None = None
        """The headers that carry the key, once it was checked; None where it has to be asked for."""
        given = [*credentials(self.headers), *credentials(self.extra_headers)]
        self._secrets = tuple(Secret(text) for text in given)
        needles = [secret.encode("utf-8", "replace") for secret in self.secrets(None) if len(secret) >= MIN_SECRET]
        self._needles: Callable[[], list[bytes]] = lambda: needles
        """The secrets as they would stand in the headers of an answer."""
        self._ready: dict[tuple[Any, ...], RequestHeaders] = {}

    def for_cancel_request(self, total: float) -> CallPlan:
        """The same for a call that nobody waits for, in so many seconds and without regard to others."""
        hurried = copy.copy(self)
        hurried.endpoint, hurried.timeout = EndpointState(), Timeout(total=total)
        return hurried

    def secrets(self, revealed: Secret | None) -> list[str]:
        """What requests are signed with."""
        secrets = [secret.reveal() for secret in self._secrets]
        if revealed is not None:
            secrets.append(revealed.reveal())
        elif isinstance(self.key, Secret):
            secrets.append(self.key.reveal().strip())
        elif isinstance(self.key, str):
            secrets.append(self.key.strip())
        return secrets

    def without_echoes(self, headers: Headers, revealed: Secret | None) -> Headers:
        """The headers of an answer without what the request was signed with."""
        if revealed is None and not headers.contain_any(self._needles()):
            return headers
        return without_echoes(headers, self.secrets(revealed))

    def checked_key(self) -> str | None:
        """The key, where it is known without asking.

        Raises:
            ConfigurationError: it cannot be sent.
        """
        key = self.key
        if key is None or callable(key):
            return None
        text = MaskedValue(key.reveal()) if isinstance(key, Secret) else key
        return check_key(text, self.target.provider, self.key_source)

    def sign(self, request: HttpRequest, key: str | None) -> dict[str, str]:
        """The headers that authenticate `request` with `key`."""
        return sign(self.auth, request, key, token=self._is_token())

    def _is_token(self) -> bool:
        return isinstance(self.key, BearerToken) or (callable(self.key) and self.auth.functions_give_tokens)

    def request_headers(
        self, request: HttpRequest, accept: str, has_body: bool, signed: Mapping[str, str]
    ) -> RequestHeaders:
        """The headers of a request, prepared once for all that are like it."""
        kind = (accept, has_body, request.authenticated, *request.headers.items())
        if signed is not self.signed:
            return self._make(request, accept, has_body, signed)
        known = self._ready.get(kind)
        if known is None:
            if len(self._ready) > _KINDS:
                self._ready.clear()
            known = self._ready[kind] = self._make(request, accept, has_body, signed)
        return known

    def _make(self, request: HttpRequest, accept: str, has_body: bool, signed: Mapping[str, str]) -> RequestHeaders:
        # A host the key was not meant for learns nothing else of ours either.
        ours = self.headers if request.authenticated else {"User-Agent": USER_AGENT}
        headers = {**ours, "Accept": accept, **request.headers}
        if has_body and "Content-Type" not in request.headers:
            headers["Content-Type"] = "application/json"
        # An event stream in pieces gains nothing from compression and would wait in its buffers.
        headers["Accept-Encoding"] = "identity" if accept == EVENTS else "gzip, deflate"
        if request.authenticated:
            headers |= signed
            if self.extra_headers:
                headers = override(headers, self.extra_headers)
        return RequestHeaders(headers)


_KINDS = 16


def override(headers: Mapping[str, str], extra: Mapping[str, str]) -> RequestHeaders:
    """`headers` with those of `extra`, whatever their case."""
    given = {name.lower() for name in extra}
    return RequestHeaders({name: value for name, value in headers.items() if name.lower() not in given} | dict(extra))
