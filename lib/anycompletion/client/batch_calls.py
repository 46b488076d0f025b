"""The client as batches use it: calls that report when a provider refuses them for its load."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from ..errors import CompletionError
from ..options import OptionValues, Timeout
from ..providers import resolve_model
from ..records import ChatCompletion, ChatRequest
from ..validation import check_option_values
from .dispatch import CallDispatcher
from .typed_dispatch import OnLoadRefusal

if TYPE_CHECKING:
    from ..ratelimit.adaptive_concurrency import AdaptiveConcurrency


class BatchCalls:
    """A client as `batch.BatchClient`; it references the client, which so lives as long as the batch runs."""

    __slots__ = ("_client", "_dispatcher")

    def __init__(self, client: object, dispatcher: CallDispatcher) -> None:
        self._client = client
        self._dispatcher = dispatcher

    def complete(
        self, request: ChatRequest, options: OptionValues, on_load_refusal: OnLoadRefusal
    ) -> Awaitable[ChatCompletion]:
        """Sends a validated request."""
        return self._dispatcher.complete(request, options, on_load_refusal=on_load_refusal)

    def total_timeout(self, options: OptionValues) -> float | None:
        """The total timeout of a request, in seconds."""
        timeout: Timeout = (self._dispatcher.defaults | check_option_values(options))["timeout"]
        return timeout.total

    def provider_of(self, model: str, given: str | None) -> str:
        """The name of the provider that serves `model`, or of the route; "" where neither is known.

        A route is one queue, whose requests in flight adapt together. Sending reports what is unknown.
        """
        dispatcher = self._dispatcher
        if given is None and model in dispatcher.state.config.routes:
            return model
        provider = given or dispatcher.defaults.get("provider")
        try:
            return resolve_model(model, provider, dispatcher.state.providers)[0].name
        except CompletionError:
            return ""

    def track_concurrency(self, provider: str, limit: AdaptiveConcurrency) -> None:
        """Has `stats()` show the limit for as long as it exists."""
        self._dispatcher.state.track_concurrency(provider, limit)

    def track_task(self, task: asyncio.Task[None]) -> None:
        """Keeps a strong reference to a task of the batch; closing the client cancels it."""
        self._dispatcher.state.track_task(task)

    def check_alive(self) -> None:
        """Raises `ClientClosedError` if the client cannot be used."""
        self._dispatcher.state.check_alive()
