"""Outcomes of turns and runs, as records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, cast

import attrs

from ..records import ChatCompletion, Message, ToolCall, Usage
from ..run_errors import ToolRunError
from ..structured import ParsedCompletion
from .approvals import PendingCall
from .call_outcome import ToolOutcome

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    T_co = TypeVar("T_co", default=Any, covariant=True)
else:
    from typing import TypeVar

    T_co = TypeVar("T_co", covariant=True)

RunStatus: TypeAlias = Literal["finished", "max_turns", "stopped", "budget", "paused", "tool_failures"]
"""How a run ended.

* "finished": the model has answered.
* "max_turns": the last turn that was allowed left calls open, or its reply was only paused by the provider.
* "stopped": `stop_when` was True, or the caller has to answer a call.
* "budget": the budget is spent, or a reply did not report what it used.
* "paused": a call waits for an approval.
* "tool_failures": all calls of three turns in a row failed, or two replies in a row were cut inside a call. A call that
  was denied has not failed.
"""


@attrs.frozen
class Turn:
    """One turn of a run: the model's reply, the calls in it, and what became of them."""

    index: int
    reply: ChatCompletion = attrs.field(repr=False)
    calls: list[ToolCall] = attrs.field(repr=lambda calls: str([each.function.name or each.type for each in calls]))
    outcomes: list[ToolOutcome]
    """In the order of the calls; calls that were not answered are left out."""


@attrs.frozen
class RunOutcome(Generic[T_co]):
    """The end of a run, and all that led to it."""

    reply: ChatCompletion = attrs.field(repr=False)
    """The last reply."""
    status: RunStatus
    messages: list[Message] = attrs.field(repr=lambda messages: f"<{len(messages)} messages>")
    """The conversation, the last reply included: what a later run continues from."""
    turns: list[Turn] = attrs.field(repr=lambda turns: f"<{len(turns)} turns>")
    usage: Usage | None
    """Tokens of all replies; None where one of them did not say."""
    pending: list[PendingCall] = attrs.field(factory=list[PendingCall])
    """Calls that are not answered."""

    @property
    def text(self) -> str:
        """The text of the last reply, or ""."""
        return self.reply.text

    def unwrap(self) -> ChatCompletion:
        """The last reply.

        Raises:
            ToolRunError: the run did not finish; `.status` is how it ended.
        """
        if self.status != "finished":
            raise ToolRunError(f"the run ended with the status {self.status!r}", status=self.status)
        return self.reply

    @property
    def parsed(self) -> T_co:
        """The value of the last reply; None without `into`.

        Raises:
            ToolRunError: the run did not finish; `.status` is how it ended.
        """
        reply = self.unwrap()
        return (
            cast("ParsedCompletion[T_co]", reply).parsed if isinstance(reply, ParsedCompletion) else cast("T_co", None)
        )
