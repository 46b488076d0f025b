"""Calls that wait for a decision, and the decisions, as records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

if TYPE_CHECKING:
    from .runnable_tool import RunnableTool


@attrs.frozen
class Approval:
    """A decision that a call may run, with other arguments. The conversation keeps the model's arguments."""

    arguments: Mapping[str, Any] = attrs.field(repr=False)
    """All of them: they replace the model's, and what is left out has its default. Where they do not fit the tool, the
    run ends with an `InvalidRequestError`."""


ApprovalDecision: TypeAlias = bool | str | Approval | None
"""What `approve` decides: True, False, a text (denied, with that reason for the model), an `Approval` with other
arguments, or None: not decided yet, and the run ends "paused"."""


@attrs.frozen
class PendingCall:
    """A call that was not answered, because it waits for an approval, or because only the caller can answer it."""

    id: str
    name: str
    arguments: dict[str, Any] = attrs.field(repr=False)
    """As plain data; empty where they are no JSON object."""
    tool: RunnableTool[..., Any] | None
    """None for a call of a tool that this run cannot execute, and in a copy that was pickled or made by `copy`."""
    turn: int
    """Index of the turn."""

    def __reduce__(self) -> tuple[Any, ...]:
        return PendingCall, (self.id, self.name, self.arguments, None, self.turn)  # functions do not pickle
