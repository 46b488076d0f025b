"""The items of a batch that wait to be sent: a queue per provider, with a limit of requests in flight."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from ..options import NO_OPTIONS, OptionValues
from ..ratelimit.adaptive_concurrency import AdaptiveConcurrency
from ..records import ChatRequest
from .batch_client import BatchClient
from .items import RequestSource
from .journal import ItemKey
from .outage_pause import OutagePause

_MAX_MODELS = 1000
"""Models whose queue is remembered: an input file may name a new model in every line."""


class ConcurrencyLimit(Protocol):
    """Limit of requests in flight, which may change; `AdaptiveConcurrency` is one."""

    @property
    def limit(self) -> int:
        """Requests that may be in flight now."""
        ...

    def on_start(self) -> None:
        """Called when a request starts."""

    def on_end(self, *, answered: bool) -> None:
        """Called when a request ends.

        Args:
            answered: with a reply, or with an error that is neither a refusal for its load nor a server error.
        """

    def on_throttled(self, request: object) -> None:
        """Called for each attempt that was refused with 429 or 529, the last one of a request included.

        Args:
            request: identifies the request, whose attempts count as one.
        """

    def on_failed(self) -> None:
        """Called when a request ends without an answer of the provider, or with a server error."""


class FixedConcurrency:
    """The limit that the caller chose; no event changes it."""

    __slots__ = ("limit",)

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def on_start(self) -> None:
        """Changes nothing."""

    def on_end(self, *, answered: bool) -> None:
        """Changes nothing."""

    def on_throttled(self, request: object) -> None:
        """Changes nothing."""

    def on_failed(self) -> None:
        """Changes nothing."""


_MAX_RETURNS = 5
"""Times that an item may return to its queue because its provider was away."""


class WorkItem(NamedTuple):
    """An item that is to be sent."""

    number: int
    """Its position among the items that are not skipped."""
    custom_id: str | None
    request: RequestSource
    key: ItemKey | None
    """Its key in the journal, if there is a journal."""
    returns: int = 0
    """How often it returned to its queue."""
    options: OptionValues = NO_OPTIONS
    """The call options that its dict has; not checked yet."""


class ProviderQueue:
    """FIFO queue of the items of one provider; counts the requests in flight.

    Args:
        provider: its name.
        limit: limit of the requests in flight.
        sharing: the queues that share the limit, this one among them; None where it has the limit alone.
    """

    def __init__(self, provider: str, limit: ConcurrencyLimit, sharing: Sequence[ProviderQueue] | None = None) -> None:
        self.provider = provider
        self.limit = limit
        self.sharing: Sequence[ProviderQueue] = (self,) if sharing is None else sharing
        self.outage = OutagePause(lambda: asyncio.get_running_loop().time())
        self.timer: asyncio.TimerHandle | None = None
        """Starts the next item after a pause."""
        self.waiting: deque[WorkItem] = deque()
        self.in_flight = 0

    @property
    def may_start_more(self) -> bool:
        """Whether an item waits and the limit allows to send it."""
        return bool(self.waiting) and sum(queue.in_flight for queue in self.sharing) < self.limit.limit

    @property
    def can_start(self) -> bool:
        """Whether an item may be sent now; in an outage, one item at a time may be sent."""
        if not self.may_start_more:
            return False
        return not self.outage.is_active or (not self.in_flight and not self.outage.remaining)

    @property
    def next_queue(self) -> ProviderQueue | None:
        """Of the queues that share the limit, the one whose first item is the next to be sent; None if there is none.

        That is the first of their items that was read, so that no provider has to wait for another one.
        """
        ready = [queue for queue in self.sharing if queue.can_start]
        return min(ready, key=lambda queue: queue.waiting[0].number) if len(ready) > 1 else next(iter(ready), None)

    def take(self) -> WorkItem | None:
        """Removes the first item, if it may be sent, and counts it as in flight."""
        if not self.can_start:
            return None
        self.in_flight += 1
        self.limit.on_start()
        return self.waiting.popleft()

    def record_answer(self) -> None:
        """Records that the provider answered a request, with a reply or by refusing it."""
        self.outage.on_answer()

    def record_failure(self) -> None:
        """Records that a request got no answer, or a server error."""
        self.limit.on_failed()
        self.outage.on_failure()

    def record_refusal(self) -> None:
        """Records that a request ended with 429 or 529; the limit was notified of each of its attempts."""
        self.outage.on_failure()

    def take_back(self, item: WorkItem) -> bool:
        """Puts an item that failed during an outage back, as the next one; False where it must end with its error."""
        if not self.outage.is_active or item.returns >= _MAX_RETURNS:
            return False
        self.waiting.appendleft(item._replace(returns=item.returns + 1))
        return True


def _model_and_provider(arguments: Mapping[str, Any]) -> tuple[object, str | None]:
    provider: object = arguments.get("provider")
    return arguments["model"], provider if isinstance(provider, str) else None


class ProviderQueues:
    """A queue per provider: with one fixed limit for all where the caller chose one, else with adaptive limits."""

    def __init__(self, concurrency: int | None, client: BatchClient) -> None:
        self._client = client
        self._fixed = None if concurrency is None else FixedConcurrency(concurrency)
        self._by_provider: dict[str, ProviderQueue] = {}
        self._by_model: dict[tuple[str, str | None], ProviderQueue] = {}
        self.all: list[ProviderQueue] = []

    @property
    def in_flight(self) -> int:
        """Requests in flight."""
        return sum(queue.in_flight for queue in self.all)

    @property
    def paused(self) -> dict[str, float]:
        """Provider → seconds until its items are sent again, where it asked to wait or is away."""
        return {queue.provider: left for queue in self.all if (left := queue.outage.remaining)}

    def of(self, request: RequestSource) -> ProviderQueue:
        """The queue for a request. It is not validated yet: the model may have any type."""
        named, provider = (request.model, None) if isinstance(request, ChatRequest) else _model_and_provider(request)
        model = named if isinstance(named, str) else ""
        return self._by_model.get((model, provider)) or self._find_or_create(model, provider)

    def clear(self) -> None:
        """Drops all items that wait."""
        for queue in self.all:
            queue.waiting.clear()
            if queue.timer is not None:
                queue.timer.cancel()

    def _find_or_create(self, model: str, given: str | None) -> ProviderQueue:
        provider = self._client.provider_of(model, given)
        queue = self._by_provider.get(provider)
        if queue is None:
            if self._fixed is not None:
                queue = ProviderQueue(provider, self._fixed, self.all)
            else:
                limit = AdaptiveConcurrency()
                self._client.track_concurrency(provider, limit)
                queue = ProviderQueue(provider, limit)
            self._by_provider[provider] = queue
            self.all.append(queue)
        if len(self._by_model) >= _MAX_MODELS:
            self._by_model.clear()
        self._by_model[model, given] = queue
        return queue
