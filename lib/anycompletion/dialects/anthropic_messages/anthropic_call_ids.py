"""Ids of tool calls as Anthropic takes them: of its characters, one per call, the same in a call and its result.

Other providers' ids have other characters, are empty, or begin anew with each turn. A conversation's beginning gets the
same ids each time, so that Anthropic's cache finds it again.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

_UNSAFE = "[^a-zA-Z0-9_-]"


class _OpenCall(NamedTuple):
    """A call without a result: the id that was given, the id that was sent, and the function's name."""

    given: str
    sent: str
    name: str


class AnthropicCallIds:
    """The ids of one conversation's calls and results, in order."""

    __slots__ = ("_answered", "_open", "_used")

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._open: list[_OpenCall] = []
        """Calls without a result, in order."""
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
        self._open.append(_OpenCall(given, sent, name))
        return sent

    def of_result(self, given: str) -> str:
        """The id to send for the result of the first open call with that id."""
        call = next((call for call in self._open if call.given == given), None)
        return self._answered.get(given) or tool_id(given) if call is None else self._close(call)

    def of_function_result(self, name: str) -> str | None:
        """The id to send for a legacy result, which has only the function's name; None if nothing called it."""
        call = next((call for call in self._open if call.name == name), None)
        return None if call is None else self._close(call)

    def _close(self, call: _OpenCall) -> str:
        self._open.remove(call)
        self._answered[call.given] = call.sent
        return call.sent


def tool_id(given: str) -> str:
    """An id of Anthropic's characters, deterministic; the digest keeps two different ids different."""
    if given and not re.search(_UNSAFE, given):
        return given
    digest = hashlib.sha256(given.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{re.sub(_UNSAFE, '_', given)}_{digest}"
