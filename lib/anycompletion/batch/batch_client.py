"""The part of a client that batches use, as a protocol: batches do not know the client itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from ..options import OptionValues
from ..ratelimit.adaptive_concurrency import AdaptiveConcurrency
from ..records import ChatCompletion, ChatRequest


class BatchClient(Protocol):
    """What a batch needs of its client. It references the client, so that the client lives until the run ends."""

    def complete(
        self, request: ChatRequest, options: OptionValues, on_load_refusal: Callable[[], None] | None
    ) -> Awaitable[ChatCompletion]:
        """Sends a validated request; calls `on_load_refusal` for each attempt that ended with 429 or 529.

        The options need not be checked.
        """
        ...

    def total_timeout(self, options: OptionValues) -> float | None:
        """Seconds that a request with these options may take, its waits included; None where there is no limit."""
        ...

    def provider_of(self, model: str, given: str | None) -> str:
        """The name of the provider that serves `model`, `given` if the item names it; "" where it is unknown."""
        ...

    def track_concurrency(self, provider: str, limit: AdaptiveConcurrency) -> None:
        """Shows the limit in the client's statistics for as long as it exists."""

    def track_task(self, task: asyncio.Task[None]) -> None:
        """References the run's task until it ends, and cancels it when the client is closed."""

    def check_alive(self) -> None:
        """Raises ClientClosedError where the client is closed."""
