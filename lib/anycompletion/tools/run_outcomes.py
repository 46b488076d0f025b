"""Outcomes of turns and runs, and what may limit or decide a run.

Records only; nothing here calls a model or a tool.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, cast

import attrs

from ..errors import InvalidRequestError
from ..records import ChatCompletion, Message, ToolCall, Usage
from ..run_errors import ToolRunError
from ..structured import ParsedCompletion
from .outcomes import ToolOutcome

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from .runnable_tool import RunnableTool

    T_co = TypeVar("T_co", default=Any, covariant=True)
else:
    from typing import TypeVar

    T_co = TypeVar("T_co", covariant=True)

RunStatus: TypeAlias = Literal["finished", "max_turns", "stopped", "budget", "paused", "tool_failures"]
"""How a run ended.

* "finished": the model has answered.
* "max_turns": the calls of the last turn that was allowed are open.
* "stopped": `stop_when` was True, or the caller has to answer a call.
* "budget": it is spent, or what was used is not known.
* "paused": a call waits for an approval.
* "tool_failures": all calls of three turns in a row failed, or two replies in a row were cut inside a call. A call that
  was denied has not failed.
"""


@attrs.frozen
class Budget:
    """What a run may use. It is checked before each turn, so that one turn may use more.

    Where a limit is set and a reply does not say what it used, the run ends.

    Raises:
        InvalidRequestError: a limit is not positive.
    """

    total_tokens: int | None = None
    """Tokens of all requests and replies."""
    cost: float | None = None
    """US dollars, as `Usage.cost` has them: of the provider, or of middleware that sets it."""
    tool_calls: int | None = None
    """Calls of tools that were answered."""

    def __attrs_post_init__(self) -> None:
        for name, kinds in (("total_tokens", (int,)), ("cost", (int, float)), ("tool_calls", (int,))):
            value: object = getattr(self, name)
            if value is None:
                continue
            if type(value) not in kinds or not cast("float", value) > 0:
                raise InvalidRequestError(f"budget.{name}: expected a positive number", param=f"budget.{name}")


@attrs.frozen
class Approval:
    """A decision that a call may run, with other arguments than the model's, which the conversation keeps."""

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
