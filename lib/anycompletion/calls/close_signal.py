"""The signal that ends whatever a streamed call waits for besides the bytes of its response."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from .._async import Interruptible
from ..errors import CompletionError

T = TypeVar("T")


class CloseSignal:
    """Shared by a streamed call and its attempts, which have no other reference to each other."""

    __slots__ = ("_waiting", "error")

    def __init__(self) -> None:
        self.error: CompletionError | None = None
        """The error that the call was closed with; None before that."""
        self._waiting: Interruptible | None = None

    async def interrupting(self, waiting: Coroutine[Any, Any, T]) -> T:
        """The result of `waiting`, which sends, polls, or waits to send again.

        Raises:
            CompletionError: `error`, if the call is closed in the meantime.
        """
        self._waiting = Interruptible()
        try:
            with self._waiting:
                result = await waiting
                if self.error is None:
                    return result
        finally:
            self._waiting = None
        assert self.error is not None, "only `send` interrupts"
        raise self.error

    def send(self, error: CompletionError | None) -> None:
        """Ends what waits with `error`; None, from a reader that has gone, interrupts nothing."""
        if self.error is None:
            self.error = error
        if self._waiting is not None and error is not None:
            self._waiting.interrupt()
