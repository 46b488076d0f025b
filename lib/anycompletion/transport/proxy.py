"""The address of a proxy, separated from its password."""

from __future__ import annotations

from base64 import b64encode

from yarl import URL

from ..errors import ConfigurationError
from ..redaction import MaskedValue


def proxy_of(proxy: str | None) -> tuple[URL | None, dict[str, str]]:
    """A proxy's URL without the password, and the header with it: aiohttp's frames would show it in the URL.

    Raises:
        ConfigurationError: `proxy` is not the URL of a proxy.
    """
    if not proxy:
        return None, {}
    url = _url_of(proxy)
    if url is None:
        raise ConfigurationError("proxy: expected the URL of an HTTP proxy, such as http://proxy.example:3128")
    if url.user is None:
        return url, {}
    login = b64encode(f"{url.user}:{url.password or ''}".encode()).decode()
    return url.with_user(None), {"Proxy-Authorization": MaskedValue(f"Basic {login}")}


def _url_of(proxy: str) -> URL | None:
    try:
        url = URL(proxy)
    except ValueError:
        return None
    return url if url.scheme in ("http", "https") and url.host else None
