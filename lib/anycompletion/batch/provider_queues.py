"""Whose turn it is: the items of one provider, and how many of them may be in flight."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol, cast

from ..records import ChatRequest
from .items import RequestSource
from .journal import ItemKey


class ConcurrencyLimit(Protocol):
    """How many requests may be in flight; told how they end. `anycompletion.limits.Adaptive` is one."""

    @property
    def limit(self) -> int:
        """So many, now."""
        ...

    def on_start(self) -> None:
        """A request begins."""

    def on_end(self, *, refused: bool) -> None:
        """It ended; `refused` where the provider said that it is asked too much."""

    def on_throttled(self) -> None:
        """An attempt was refused so, and will be made again."""


class FixedConcurrency:
    """A limit that the caller chose."""

    __slots__ = ("limit",)

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def on_start(self) -> None:
        """Changes nothing."""

    def on_end(self, *, refused: bool) -> None:
        """Changes nothing."""

    def on_throttled(self) -> None:
        """Changes nothing."""


class WorkItem(NamedTuple):
    """An item that is to be sent."""

    number: int
    """Its place among those that are not skipped."""
    custom_id: str | None
    request: RequestSource
    label: ItemKey | None
    """Under which the journal knows it."""


class ProviderQueue:
    """The items of one provider, or of all: those that wait, and how many are under way."""

    __slots__ = ("in_flight", "limit", "on_refused", "waiting")

    def __init__(self, limit: ConcurrencyLimit) -> None:
        self.limit = limit
        self.on_refused: Callable[[], None] | None = None if isinstance(limit, FixedConcurrency) else limit.on_throttled
        self.waiting: deque[WorkItem] = deque()
        self.in_flight = 0

    def take(self) -> WorkItem | None:
        """The next item, if one waits and there is room for it; it is under way from now on."""
        if not self.waiting or self.in_flight >= self.limit.limit:
            return None
        self.in_flight += 1
        self.limit.on_start()
        return self.waiting.popleft()


class ProviderQueues:
    """One lane for all where the caller said how many, else one for each provider."""

    def __init__(
        self, concurrency: int | None, provider_of: Callable[[str], str], adaptive: Callable[[], ConcurrencyLimit]
    ) -> None:
        self._provider_of = provider_of
        self._adaptive = adaptive
        self._only = None if concurrency is None else ProviderQueue(FixedConcurrency(concurrency))
        self._by_provider: dict[str, ProviderQueue] = {}
        self._by_model: dict[str, ProviderQueue] = {}
        self.all: list[ProviderQueue] = [] if self._only is None else [self._only]

    def of(self, request: RequestSource) -> ProviderQueue:
        """The lane of a request, whatever its model may be."""
        if self._only is not None:
            return self._only
        model = cast("object", request.model if isinstance(request, ChatRequest) else request["model"])
        lane = self._by_model.get(model) if isinstance(model, str) else None
        return lane or self._found(model if isinstance(model, str) else "")

    def _found(self, model: str) -> ProviderQueue:
        provider = self._provider_of(model)
        lane = self._by_provider.get(provider)
        if lane is None:
            lane = self._by_provider[provider] = ProviderQueue(self._adaptive())
            self.all.append(lane)
        if len(self._by_model) >= _MODELS:
            self._by_model.clear()
        self._by_model[model] = lane
        return lane

    @property
    def in_flight(self) -> int:
        """Items that are under way."""
        return sum(lane.in_flight for lane in self.all)


_MODELS = 1000
"""Models whose provider is remembered; an input file may name a new one in every line."""
