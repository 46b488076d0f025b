"""OpenTurn: the reply of a turn, and the calls in it that have no result yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import ReplyValidationError
from ..records import ChatCompletion, ToolCall
from ..structured import ParsedCompletion
from .call_checks import is_cut
from .call_outcome import ToolOutcome
from .transcript import TurnResults
from .typed_answers import TypedAnswer


class OpenTurn:
    """The turn that goes on in a run. A typed answer among its calls is read, and its result is whether it fits.

    Args:
        reply: the reply of the model.
        reply_at: index of its message in the conversation.
        results: its calls; None where every call has a result.
        answer: how a typed answer is read; None for a run without ``into``.

    Raises:
        ReplyError: the reply gives a typed answer, and was refused or cut.
    """

    __slots__ = ("_answer", "calls", "gives_answer", "read", "reply", "reply_at", "results")

    def __init__(
        self, reply: ChatCompletion, reply_at: int, results: TurnResults | None, answer: TypedAnswer | None
    ) -> None:
        self.reply = reply
        self.reply_at = reply_at
        self.results = results
        self._answer = answer
        self.calls: list[ToolCall] = []
        """Calls that have no result yet, except those that give a typed answer."""
        self.gives_answer = False
        """Whether calls give a typed answer."""
        self.read: ParsedCompletion[Any] | ReplyValidationError | None = None
        """The typed answer that they give, or why it does not fit; None without such calls."""
        if results is not None:
            self.calls = [results.calls[index] for index in results.unanswered]
            self._read_answer(results)

    def _read_answer(self, results: TurnResults) -> None:
        answer = self._answer
        if answer is None:
            return
        indexes = [index for index, call in enumerate(results.calls) if answer.is_answer(call)]
        if not indexes:
            return
        self.gives_answer = True
        self.calls = [call for call in self.calls if not answer.is_answer(call)]
        self.read = answer.try_read(self.reply)
        for index in indexes:
            if index in results.unanswered:
                results.add(index, answer.outcome(results.calls[index], self.read))

    @property
    def is_cut(self) -> bool:
        """Whether the reply ended early, so that a call in it may be incomplete."""
        return is_cut(self.reply)

    def refuse(self, outcome_of: Callable[[ToolCall], ToolOutcome | None]) -> list[ToolOutcome]:
        """Answers open calls without running them; those whose outcome is None stay open."""
        results, outcomes = self.results, list[ToolOutcome]()
        assert results is not None, "there are calls"
        for index in results.unanswered:
            outcome = outcome_of(results.calls[index])
            if outcome is not None:
                results.add(index, outcome)
                outcomes.append(outcome)
        return outcomes
