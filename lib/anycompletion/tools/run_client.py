"""RunClient: the part of a client that runs use."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

import anyio

from ..records import ChatCompletion, ChatRequest
from ..streaming import CompletionStream


class OpenRun(Protocol):
    """A run whose tools may be running."""

    def close(self) -> None:
        """Cancels the tools, without waiting for their ends."""
        ...

    async def aclose(self) -> None:
        """The same, and waits for their ends."""
        ...


class RunClient(Protocol):
    """The client of one run: it makes a logical call for each turn."""

    @property
    def threads(self) -> anyio.CapacityLimiter:
        """The limit of the threads of sync tools."""
        ...

    @property
    def may_refresh(self) -> bool:
        """Whether a reply may be asked for anew that a cache has stored."""
        ...

    async def check(self, request: ChatRequest, *, stream: bool) -> None:
        """Checks whether the request can be sent, as far as that is known before it is made.

        Raises:
            CompletionError: the client is closed, the provider is unknown or has no tools, or there is no key.
        """
        ...

    def track_run(self, run: OpenRun) -> None:
        """Has the client close a run when it is closed itself."""
        ...

    def complete(self, request: ChatRequest, left: float | None, *, refresh: bool) -> Awaitable[ChatCompletion]:
        """One reply, within `left` seconds; with `refresh`, no stored one."""
        ...

    def stream(self, request: ChatRequest, left: float | None, *, refresh: bool) -> CompletionStream:
        """One streamed reply, within `left` seconds; with `refresh`, no stored one."""
        ...
