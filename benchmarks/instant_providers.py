"""Providers that answer at once and without a network, for benchmarks of what this package itself takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from anycompletion import Key, Provider
from anycompletion.http import Headers
from anycompletion.testing.fake.wrappers import TransportWrapper
from anycompletion.transport import Response, Transport

HELLO = (
    b'{"id":"1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant",'
    b'"content":"Hello!"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}'
)
"""Body of a reply with a short text."""


class _Response:
    """A good response whose body is there."""

    status = 200
    headers = Headers.of({"content-type": "application/json"})

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def read_all(self, limit: int) -> bytes:
        return self._body


class _InstantTransport(TransportWrapper):
    """A transport that answers without a network."""

    def __init__(self, transport: Transport, reply: Callable[[bytes], bytes]) -> None:
        super().__init__(transport)
        self._reply = reply

    async def send(self, *args: Any, **kwargs: Any) -> Response:
        self.connection_limit.release()
        return cast("Response", _Response(self._reply(args[3] or b"")))  # the body of the request


class InstantProviders:
    """A `ProviderSource` whose providers answer at once.

    Args:
        names: the providers.
        reply: the body of a request → that of its reply; by default, all are `HELLO`.
    """

    def __init__(self, names: Sequence[str], reply: Callable[[bytes], bytes] = lambda _: HELLO) -> None:
        self._names = names
        self._reply = reply

    @property
    def keys(self) -> dict[str, Key]:
        """Keys for them, which are never sent."""
        return dict.fromkeys(self._names, "key-that-is-never-sent")

    def rows(self, known: Mapping[str, Provider]) -> Iterable[Provider]:
        return [known[name] for name in self._names]

    def transport(self, provider: Provider, open_pool: Callable[..., Transport], **overrides: Any) -> Transport:
        return _InstantTransport(open_pool(**overrides), self._reply)
