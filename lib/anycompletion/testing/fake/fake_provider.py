"""A provider that exists in a test only: scripted replies through the real client; opens no connection.

How it works: a row's `stand_in` gives its pool a session whose connector connects to a server in the same event loop.
So everything between the caller and the socket runs as it does in earnest, the HTTP included.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import NoReturn, TypeVar

import attrs

from ... import Provider, known_providers
from ...errors import ConfigurationError
from ..simulator.faults import Fault, Faults, FaultScript
from .backend import Desk, FakeRequest
from .fake_transport import FakeStandIn
from .replies import FakeReply

ALL = "*"

N = TypeVar("N", int, float)


class FakeProvider:
    """A provider for tests: it answers with what it was given, through the real client and without a network.

    ::

        fake = FakeProvider("Hello!", RateLimitError("slow down"), name="openai")
        client = AsyncCompletion(providers=[fake])

    It replaces the row of that name, so that the app's model strings stay as they are. Everything but the socket is
    the real thing: validation, the parameter table, encoding, retries, clocks, HTTP, decoding, fan-out. It needs no
    key and reads none from the environment. Use it with as many clients and event loops as you like.

    Each choice takes one reply, in order, whatever the provider: a request with ``n=3`` takes three. A function that
    comes last answers all further requests. With no replies at all it answers as the simulator does: it repeats the
    last user message, and calls the first tool on offer. Waits between attempts are skipped, except where an error
    asks for one by `retry_after`.

    Args:
        *replies: each is one of these:

            * a text;
            * a `ChatCompletion`, whose id, model and usage are kept where it has them;
            * an error of this package: the client raises it, or tries again, as if the provider had caused it;
            * a list of texts and `ChatCompletionChunk`s: the pieces of a stream as they are to come. An error may be
              the last of them, and breaks the stream off;
            * a function, async or not, from the `ChatRequest` to one of these. What it raises is raised by the call.
        name: the row to replace, ``"*"`` for all of them. Rows of the client's own can be replaced as well.
        latency: seconds before an answer begins; 0 by default.
        chunk_delay: seconds between the events of a stream; 0 by default.
        chunks: pieces of a text that is streamed; None: one per word.
        fault: what goes wrong, as `SimulatorServer` takes it: ``"cut-after-3-events"``. An answer that a fault replaces
            takes no reply.

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
        self._desk = Desk(name)
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
        """The row it replaces."""
        return self._desk.name

    @property
    def requests(self) -> list[FakeRequest]:
        """The calls that reached it, in order. The list may be cleared."""
        return self._desk.calls

    @property
    def replies(self) -> tuple[FakeReply, ...]:
        """The replies that are left."""
        return tuple(self._desk.replies)

    def add(self, *replies: FakeReply) -> None:
        """More replies, after those that are left.

        Raises:
            TypeError: a reply is none.
        """
        self._desk.add(*replies)

    @property
    def latency(self) -> float:
        """Seconds before an answer begins."""
        return self._desk.latency

    @latency.setter
    def latency(self, seconds: float) -> None:
        self._desk.latency = _checked("latency", seconds, 0)

    @property
    def chunk_delay(self) -> float:
        """Seconds between the events of a stream."""
        return self._desk.chunk_delay

    @chunk_delay.setter
    def chunk_delay(self, seconds: float) -> None:
        self._desk.chunk_delay = _checked("chunk_delay", seconds, 0)

    @property
    def chunks(self) -> int | None:
        """Pieces of a text that is streamed; None: one per word."""
        return self._desk.chunks

    @chunks.setter
    def chunks(self, pieces: int | None) -> None:
        self._desk.chunks = None if pieces is None else _checked("chunks", pieces, 1)

    @property
    def fault(self) -> tuple[Fault, ...]:
        """What goes wrong. Setting it starts all counts anew."""
        return self._desk.faults.faults

    @fault.setter
    def fault(self, fault: Faults) -> None:
        self._desk.faults = FaultScript(fault)

    def rows(self, known: Mapping[str, Provider]) -> Iterable[Provider]:
        """The rows it replaces, with itself behind them; called by the client.

        Raises:
            ConfigurationError: there is no such row.
        """
        if self.name == ALL:
            return [self._behind(row) for row in {**_known(), **known}.values()]
        row = known.get(self.name) or _known().get(self.name)
        if row is None:
            raise ConfigurationError(
                f"FakeProvider: no provider is called {self.name!r}; put its row into providers= beside the fake"
            )
        return [self._behind(row)]

    def _behind(self, row: Provider) -> Provider:
        return attrs.evolve(
            row,
            transport=FakeStandIn(self._desk, row),
            base_url=row.base_url or f"https://{row.name}.invalid",
            # What is in the environment of whoever runs the tests changes nothing.
            key_optional=True,
            key_env=(),
            token_env=(),
            base_url_env=(),
            api_version_env=(),
            headers_env={},
        )


@functools.cache
def _known() -> Mapping[str, Provider]:
    """All rows. To look for installed ones takes milliseconds, and they are the same from one test to the next."""
    return known_providers()


def _checked(what: str, value: N, least: int) -> N:
    if value < least:
        raise ValueError(f"{what} must be at least {least}, got {value}")
    return value
