"""RunRequests: the request of each turn of a run."""

from __future__ import annotations

from typing import Any

from ..errors import UnsupportedParameterError
from ..records import ChatRequest, Message
from .typed_answers import TypedAnswer


class RunRequests:
    """Makes the requests of a run, which differ in their messages and in `tool_choice`."""

    __slots__ = ("_answer", "_cannot_forbid", "_first", "_model", "_params", "preferred_target")

    def __init__(self, first: ChatRequest, answer: TypedAnswer | None) -> None:
        self._model = first.model
        self._first = first.given()
        self._params = {name: value for name, value in self._first.items() if name != "tool_choice"}
        self._answer = answer
        self._cannot_forbid = False
        """Whether the provider cannot be asked for a reply without calls."""
        self.preferred_target: str | None = None
        """Name of the route's target that answered the last turn."""
        choice = self._first.get("tool_choice")
        if answer is not None and answer.is_forced:
            self._params["tool_choice"] = "required"
        elif choice is not None and "tools" in self._params:
            # What holds longer than the first turn would never let the model answer.
            self._params["tool_choice"] = "none" if choice == "none" else "auto"

    @property
    def in_order(self) -> bool:
        """Whether the caller asked for one call at a time."""
        return self._first.get("parallel_tool_calls") is False

    def next(self, messages: list[Message], *, is_first: bool, has_to_answer: bool) -> ChatRequest:
        """The request of a turn.

        Args:
            messages: the conversation so far.
            is_first: whether the caller's `tool_choice` holds.
            has_to_answer: whether the model may call no tools any more.
        """
        params: dict[str, Any] = dict(self._first if is_first else self._params)
        if has_to_answer and "tools" in params and not self._cannot_forbid:
            last = "none" if self._answer is None else self._answer.last_choice
            if last is not None:
                params["tool_choice"] = last
        sent = [*messages] if self._answer is None else self._answer.with_instruction([*messages])
        request = ChatRequest(self._model, sent, **params)
        request.preferred_target = self.preferred_target
        request.cache_given(params)
        return request

    def allow_calls_after(self, error: Exception) -> bool:
        """Whether the request of the last answer failed because calls cannot be forbidden; the next one allows them.

        The provider refuses the choice, and the tools of earlier turns have to be sent. That no calls are left, the
        model knows from their results.
        """
        if self._cannot_forbid or not isinstance(error, UnsupportedParameterError) or error.param != "tool_choice":
            return False
        self._cannot_forbid = True
        return True
