"""Types of the client's keyword arguments, for functions that make clients."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypedDict

from ..options import Key, OnUnsupported, RateLimit, RateLimiter, Timeout
from ..providers import Provider, ProviderSource

if TYPE_CHECKING:
    import aiohttp

    from ..middleware import Middleware
    from ..routing.route import Route
    from ..routing.shared_health import SharedHealth


class ClientOptions(TypedDict, total=False):
    """Keyword arguments of `AsyncCompletion`, which documents them; for functions that make clients.

    ::

        def make_client(**options: Unpack[ClientOptions]) -> AsyncCompletion: ...
    """

    providers: Iterable[Provider | ProviderSource]
    api_keys: Mapping[str, Key] | None
    base_urls: Mapping[str, str] | None
    timeout: float | Timeout | None
    max_retries: int
    on_unsupported: OnUnsupported
    limits: Mapping[str, RateLimit] | None
    rate_limiter: RateLimiter | None
    middleware: Sequence[Middleware]
    routes: Mapping[str, Route] | None
    route_health: SharedHealth | None
    session: aiohttp.ClientSession | None
    proxy: str | None
    ssl_context: ssl.SSLContext | None
