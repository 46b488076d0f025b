"""Whom `logger_fn` tells of a logical call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..calls import CallPlan
from ..errors import CompletionError
from ..logs import observer_failed
from ..records import ChatCompletion, ChatRequest


class Observer:
    """Tells `logger_fn` once before a logical call and once after it; its own failure never breaks the call."""

    def __init__(self, plan: CallPlan, request: ChatRequest) -> None:
        self._request = request
        self._tell = plan.observer
        self._target = plan.target

    def _say(self, make: Callable[[], dict[str, Any]]) -> None:
        if self._tell is None:
            return
        try:
            self._tell({"provider": self._target.provider, "model": self._target.model, **make()})
        except Exception as fault:  # noqa: BLE001 (an observer's failure is logged, whatever it is, and the call goes on)
            observer_failed("logger_fn", fault)

    def before(self) -> None:
        """Before the request."""
        stream = self._target.stream
        self._say(lambda: {"event": "request", "stream": stream, "request": self._request.to_dict()})

    def after(self, completion: ChatCompletion) -> None:
        """After the reply."""
        self._say(lambda: {"event": "reply", "response": completion.to_dict(), "elapsed": completion.info.elapsed})

    def failed(self, error: CompletionError) -> None:
        """After an error."""
        self._say(lambda: {"event": "error", "error": error})
