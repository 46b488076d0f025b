"""A provider that exists in a test only: scripted replies through the real client; opens no connection.

How it works: the transport gets a session whose connector connects to a server in the same event loop. So everything
between the caller and the socket runs as it does in production, the HTTP included.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn, TypeVar

import attrs

from ... import Provider, known_providers
from ...errors import ConfigurationError
from ...transport import Transport
from ..simulator.faults import Fault, Faults, FaultSequence
from .backend import FakeBackend, FakeRequest
from .fake_transport import FakeTransport
from .replies import FakeReply

ALL = "*"

N = TypeVar("N", int, float)


class FakeProvider:
    """A provider for tests: it returns scripted replies through the real client and without a network.

    ::

        fake = FakeProvider("Hello!", RateLimitError("slow down"), name="openai")
        client = AsyncCompletion(providers=[fake])

    It replaces the provider of that name, so that the app's model strings stay as they are. Everything but the socket
    is real: validation, the parameter table, encoding, retries, timeouts, HTTP, decoding, fan-out. It needs no key and
    reads none from the environment. Use it with as many clients and event loops as you like.

    Each choice takes one reply, in order, whatever the provider: a request with ``n=3`` takes three. A function that
    comes last answers all further requests. With no replies at all it answers as the simulator does: it repeats the
    last user message, and calls the first tool of the request. Waits between attempts are skipped, except where an
    error asks for one by `retry_after`. It has no list of models: `client.models` raises `NotFoundError`.

    Args:
        *replies: each is one of these:

            * a text;
            * a `ChatCompletion`, whose id, model and usage are kept where it has them;
            * an error of this package: the client raises it, or tries again, as if the provider had caused it;
            * a `ParsedReply`, the value that `parse` and its relatives return;
            * a `ToolCall`, which `tool_call` makes: ``tool_call("weather", city="Oslo")``;
            * a list of texts, `ToolCall`s and `ChatCompletionChunk`s: the pieces of a reply in order. An error may be
              the last of them, and interrupts the stream;
            * a function, async or not, from the `ChatRequest` to one of these. What it raises is raised by the call.
        name: the provider to replace, ``"*"`` for all of them, also those of the client's own. Default:
            ``"openai"``; all others stay real, and need a key.
        latency: seconds before a response begins; 0 by default.
        chunk_delay: seconds between the events of a stream; 0 by default.
        chunks: pieces of a text that is streamed; None: one per word.
        fault: the faults to inject, as for `SimulatorServer`: ``"cut-after-3-events"``. A response that a fault
            replaces takes no reply.

    Raises:
        TypeError: a reply is none of these.
        ValueError: a number is out of range, or there is no such fault.
    """

    def __init__(
        self,
        *replies: FakeReply,
        name: str = "openai",
        latency: float = 0.0,
        chunk_delay: float = 0.0,
        chunks: int | None = None,
        fault: Faults = None,
    ) -> None:
        self._backend = FakeBackend(name)
        self.latency = latency
        self.chunk_delay = chunk_delay
        self.chunks = chunks
        self.fault = fault
        self.add(*replies)

    def __repr__(self) -> str:
        return f"<FakeProvider {self.name!r}: {len(self.replies)} replies left, {len(self.requests)} calls>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a FakeProvider does not pickle: its replies would be given once in each process")

    @property
    def name(self) -> str:
        """The provider it replaces."""
        return self._backend.name

    @property
    def requests(self) -> list[FakeRequest]:
        """The calls that reached it, in order. The list may be cleared."""
        return self._backend.calls

    @property
    def replies(self) -> tuple[FakeReply, ...]:
        """The replies that are left."""
        return tuple(self._backend.replies)

    def add(self, *replies: FakeReply) -> None:
        """Adds replies, after those that are left.

        Raises:
            TypeError: a reply is none.
        """
        self._backend.add(*replies)

    @property
    def latency(self) -> float:
        """Seconds before a response begins."""
        return self._backend.latency

    @latency.setter
    def latency(self, seconds: float) -> None:
        self._backend.latency = _checked("latency", seconds, 0)

    @property
    def chunk_delay(self) -> float:
        """Seconds between the events of a stream."""
        return self._backend.chunk_delay

    @chunk_delay.setter
    def chunk_delay(self, seconds: float) -> None:
        self._backend.chunk_delay = _checked("chunk_delay", seconds, 0)

    @property
    def chunks(self) -> int | None:
        """Pieces of a text that is streamed; None: one per word."""
        return self._backend.chunks

    @chunks.setter
    def chunks(self, pieces: int | None) -> None:
        self._backend.chunks = None if pieces is None else _checked("chunks", pieces, 1)

    @property
    def fault(self) -> tuple[Fault, ...]:
        """The faults to inject. Setting it resets all counts."""
        return self._backend.faults.faults

    @fault.setter
    def fault(self, fault: Faults) -> None:
        self._backend.faults = FaultSequence(fault)

    def rows(self, known: Mapping[str, Provider]) -> Iterable[Provider]:
        """The providers it replaces, with its transport; called by the client.

        Raises:
            ConfigurationError: there is no such provider.
        """
        if self.name == ALL:
            return [self._replaced(row) for row in {**_known(), **known}.values()]
        row = known.get(self.name) or _known().get(self.name)
        if row is None:
            raise ConfigurationError(
                f"FakeProvider: no provider is called {self.name!r}; put its row into providers= beside the fake"
            )
        return [self._replaced(row)]

    def transport(self, provider: Provider, open_pool: Callable[..., Transport], **overrides: Any) -> Transport:
        """Opens the connections of a client to the fake; called by the client, or by a fake that replaces this one."""
        if overrides:
            return open_pool(**overrides)
        return FakeTransport(self._backend, provider, open_pool)

    def _replaced(self, row: Provider) -> Provider:
        return attrs.evolve(
            row,
            base_url=row.base_url if row.base_url and not row.placeholders else f"https://{row.name}.invalid",
            placeholders={},
            api_key_base_url="",
            # The environment of the machine that runs the tests must change nothing.
            key_optional=True,
            key_env=(),
            token_env=(),
            base_url_env=(),
            api_version_env=(),
            headers_env={},
            auth=attrs.evolve(row.auth, credentials_env=(), region="us-east-1"),
        )


@functools.cache
def _known() -> Mapping[str, Provider]:
    """All providers, cached: looking for installed plugins takes milliseconds, and they do not change between tests."""
    return known_providers()


def _checked(name: str, value: N, least: int) -> N:
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    return value
