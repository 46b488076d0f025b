"""Ids of a conversation's tool calls in the form of a provider: one per call, the same in a call and its result.

Other providers' ids have other characters, are empty, or begin anew with each turn. A conversation's beginning gets the
same ids each time, so that a provider's prompt cache finds it again.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable


class ToolCallIds:
    """The ids of one conversation's calls and results, in order; each takes the same time, however many there are.

    `form` makes the id to send of a given id; its second argument is 1, and greater where that id was sent already.
    """

    __slots__ = ("_answered", "_by_given", "_by_name", "_counts", "_form", "_open", "_used")

    def __init__(self, form: Callable[[str, int], str]) -> None:
        self._form = form
        self._used: set[str] = set()
        self._counts: dict[str, int] = {}
        """Id of the form → the number with which it was last made."""
        self._open: dict[str, str] = {}
        """Id that was sent for a call without a result → the id that was given."""
        self._by_given: defaultdict[str, deque[str]] = defaultdict(deque)
        """Given id → the ids that were sent for its calls, in order; some may have a result by now."""
        self._by_name: defaultdict[str, deque[str]] = defaultdict(deque)
        """Function's name → the ids that were sent for its calls, likewise."""
        self._answered: dict[str, str] = {}
        """Given id → the id that was sent for its last call with a result."""

    def of_call(self, given: str, name: str) -> str:
        """The id to send for a call."""
        sent = base = self._form(given, 1)
        count = self._counts.get(base, 1)
        while sent in self._used:
            count += 1
            sent = self._form(given, count)
        self._counts[base] = count
        self._used.add(sent)
        self._open[sent] = given
        self._by_given[given].append(sent)
        self._by_name[name].append(sent)
        return sent

    def of_result(self, given: str) -> str:
        """The id to send for the result of the first open call with that id."""
        return self._close_first(self._by_given[given]) or self._answered.get(given) or self._form(given, 1)

    def of_function_result(self, name: str) -> str | None:
        """The id to send for a legacy result, which has only the function's name; None if nothing called it."""
        return self._close_first(self._by_name[name])

    def _close_first(self, ids: deque[str]) -> str | None:
        """The first of these sent ids whose call has no result, which it has from now on; None if all have one."""
        while ids:
            sent = ids.popleft()
            given = self._open.pop(sent, None)
            if given is not None:
                self._answered[given] = sent
                return sent
        return None
