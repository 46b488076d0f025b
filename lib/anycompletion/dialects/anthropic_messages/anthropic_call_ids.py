"""Ids of tool calls as Anthropic takes them: of its characters, one per call, the same in a call and its result.

Other providers' ids have other characters, are empty, or begin anew with each turn. A conversation's beginning gets the
same ids each time, so that Anthropic's cache finds it again.
"""

from __future__ import annotations

import hashlib
import re

_UNSAFE = "[^a-zA-Z0-9_-]"


class AnthropicCallIds:
    """The ids of one conversation's calls and results, in order."""

    __slots__ = ("_answered", "_open", "_used")

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._open: list[tuple[str, str, str]] = []
        """Calls without a result, in order: given id, sent id, name."""
        self._answered: dict[str, str] = {}
        """Given id → the id that was sent for its last call with a result."""

    def of_call(self, given: str, name: str) -> str:
        """The id to send for a call."""
        sent = base = tool_id(given)
        count = 1
        while sent in self._used:
            count += 1
            sent = f"{base}_{count}"
        self._used.add(sent)
        self._open.append((given, sent, name))
        return sent

    def of_result(self, given: str) -> str:
        """The id to send for the result of the first open call with that id."""
        sent = self._close(0, given)
        return sent or self._answered.get(given) or tool_id(given)

    def of_function_result(self, name: str) -> str | None:
        """The id to send for a legacy result, which has only the function's name; None if nothing called it."""
        return self._close(2, name)

    def _close(self, position: int, value: str) -> str | None:
        for call in self._open:
            if call[position] == value:
                self._open.remove(call)
                self._answered[call[0]] = call[1]
                return call[1]
        return None


def tool_id(given: str) -> str:
    """An id of Anthropic's characters, deterministic; the digest keeps two different ids different."""
    if given and not re.search(_UNSAFE, given):
        return given
    digest = hashlib.sha256(given.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{re.sub(_UNSAFE, '_', given)}_{digest}"
