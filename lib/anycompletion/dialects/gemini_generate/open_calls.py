"""Function calls of a conversation that wait for their results, in the order of the model's turns. No I/O.

Gemini pairs a call and its result by the function's name and by their order; an id counts where the model gave one.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import NamedTuple


class GeminiOpenCall(NamedTuple):
    """A call without a result."""

    name: str
    native_id: str | None
    """The id that the model gave it."""
    turn: int
    """Number of the model's turn with the call."""
    position: int
    """Number of the call among those of the turn."""


class GeminiOpenCalls:
    """The calls of one conversation, found by the ids that callers use, or by the function's name."""

    __slots__ = ("_answered", "_by_id", "_by_name", "_last")

    def __init__(self) -> None:
        self._by_id: defaultdict[str, deque[GeminiOpenCall]] = defaultdict(deque)
        self._by_name: defaultdict[str, deque[GeminiOpenCall]] = defaultdict(deque)
        self._answered: set[tuple[int, int]] = set()
        """Turn and position of the calls that have a result."""
        self._last: dict[str, GeminiOpenCall] = {}
        """Id → the last call with it, for a second result."""

    def add(self, call_id: str, call: GeminiOpenCall) -> None:
        """Adds a call; `call_id` is the id that its result will have: the latest turn with an id is the one meant."""
        same_id = self._by_id[call_id]
        if same_id and same_id[-1].turn != call.turn:
            same_id.clear()
        same_id.append(call)
        self._by_name[call.name].append(call)
        self._last[call_id] = call

    def of_result(self, call_id: str) -> GeminiOpenCall | None:
        """The first call with that id and without a result, which it has from now on; None if there was none."""
        return self._first(self._by_id[call_id]) or self._last.get(call_id)

    def of_function_result(self, name: str) -> GeminiOpenCall | None:
        """The same for a legacy result, which has only the function's name."""
        return self._first(self._by_name[name])

    def _first(self, calls: deque[GeminiOpenCall]) -> GeminiOpenCall | None:
        while calls:
            call = calls.popleft()
            place = (call.turn, call.position)
            if place not in self._answered:
                self._answered.add(place)
                return call
        return None
