"""The calls of one turn: all checked first, then approved one after the other, then run, several at a time.

Each call runs in a task of its own, and the end of one starts the next. So the tools of a turn go on while a slow
reader takes the turn's events, and a result is in the transcript as soon as its tool has ended.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from operator import itemgetter
from typing import TypeAlias

import anyio

from .._boundary import call_plainly
from ..errors import APITimeoutError, InvalidRequestError
from ..records import Message, ToolCall
from ..run_errors import ToolExecutionError
from .approvals import Approval, PendingCall
from .call_checks import (
    CheckedCall,
    check_call,
    cut_call_ids,
    denied_outcome,
    pending_call,
    was_raised_by_tool,
    with_approved_arguments,
)
from .call_outcome import ToolOutcome
from .events import CallFinished, CallStarted
from .run_limits import RunLimits
from .run_settings import RunSettings
from .running_call import RunningCall
from .tool_context import ToolContext
from .tool_set import ToolSet
from .transcript import TurnResults

CallEvent: TypeAlias = CallStarted | CallFinished
"""Start or end of a call."""


class TurnCalls:
    """Runs the calls of a turn that have no result, and adds the results to the transcript.

    Call `advance` until it returns False, and `aclose` if it fails or is cancelled.

    Args:
        results: the calls, and where their results go.
        tools: the tools of the run.
        settings: of the run.
        turn: index of the turn.
        emit: called with each event when it happens.
        cut: whether the reply ended early, at the token limit or by a filter.
        in_order: whether the calls must run one after the other, as they do where a tool demands it.
        limits: of the run; its deadline ends approvals and calls, which stay open, and keeps others from starting.
        threads: limit of the threads in which sync tools run.
    """

    def __init__(
        self,
        results: TurnResults,
        *,
        tools: ToolSet,
        settings: RunSettings,
        turn: int,
        emit: Callable[[CallEvent], object],
        cut: bool = False,
        in_order: bool = False,
        limits: RunLimits | None = None,
        threads: anyio.CapacityLimiter | None = None,
    ) -> None:
        self.pending: list[PendingCall] = []
        """Calls without a result: those that wait for an approval, else those that the caller has to answer."""
        self.is_paused = False
        """Whether calls wait for an approval, so that none of the turn has run."""
        self._results = results
        self._tools = tools
        self._settings = settings
        self._turn = turn
        self._emit = emit
        self._in_order = in_order
        self._limits = limits or RunLimits(settings)
        self._threads = threads
        self._conversation: tuple[Message, ...] = results.conversation
        self._outcomes: dict[int, ToolOutcome] = {}
        self._undecided: deque[tuple[int, CheckedCall]] = deque()
        """Calls whose approval was not asked for."""
        self._ready: deque[tuple[int, CheckedCall]] = deque()
        """Calls that may run when all approvals are there, in their order from then on."""
        self._left_to_caller: list[PendingCall] = []
        """Calls that the caller has to answer."""
        self._running: dict[int, RunningCall] = {}
        self._max_running: int | None = None
        """Calls that may run at the same time; None until all approvals are there."""
        self._deadline: asyncio.TimerHandle | None = None
        """Ends the calls that are running at the deadline of the run."""
        self._changed = asyncio.Event()
        """Set when a call ends."""
        self._failure: BaseException | None = None
        self._closed = False
        self._check(cut)

    @property
    def outcomes(self) -> list[ToolOutcome]:
        """The outcomes of the calls that were answered, in the order of the calls."""
        return [outcome for _, outcome in sorted(self._outcomes.items())]

    async def advance(self) -> bool:
        """Waits until something happens; returns False when all calls are answered that can be.

        Raises:
            ToolExecutionError: a tool raised an exception, with ``on_tool_error="raise"``.
            InvalidRequestError: `approve` returned no decision.
            APITimeoutError: the deadline of the run has passed.
        """
        if self._failure is not None:
            raise self._failure
        if self._undecided:
            await self._decide(*self._undecided[0])
            self._undecided.popleft()
            return True
        if self._max_running is None:
            self._begin()
        if self._may_start:
            self._start_next()
        elif self._running:
            await self._wait()
        else:
            self._stop_clock()
            return False
        return True

    def cancel(self) -> None:
        """Cancels the tools that are running; no other is started."""
        self._closed = True
        self._stop_clock()
        self._ready.clear()
        for running in list(self._running.values()):
            running.cancel()

    async def aclose(self) -> None:
        """Cancels the tools that are running and waits for their ends, which take some seconds at most."""
        self.cancel()
        own = asyncio.current_task()  # a tool that closes its run cannot wait for its own end
        while any(not running.runs_in(own) for running in self._running.values()):
            await self._wait()

    # --- checks and approvals ---

    def _check(self, cut: bool) -> None:
        """Checks all calls; those that cannot run get their outcomes at once."""
        cut_ids = cut_call_ids(self._results.calls) if cut else set[str]()
        for index in self._results.unanswered:
            call = self._results.calls[index]
            checked = check_call(call, self._tools, cut=call.id in cut_ids)
            if checked is None:
                self._left_to_caller.append(pending_call(call, self._tools, self._turn))
            elif isinstance(checked, ToolOutcome):
                self._finish(index, checked)
            elif checked.tool.needs_approval or self._settings.approve_every:
                self._undecided.append((index, checked))
            else:
                self._ready.append((index, checked))

    async def _decide(self, index: int, checked: CheckedCall) -> None:
        """Asks for the approval of a call."""
        match decision := await self._decision(checked):
            case True:
                self._ready.append((index, checked))
            case False:
                self._finish(index, denied_outcome(checked.call))
            case str():
                self._finish(index, denied_outcome(checked.call, decision))
            case Approval():
                self._ready.append((index, with_approved_arguments(checked, decision)))
            case None:
                self.pending.append(checked.pending(self._turn))
            case _:
                raise InvalidRequestError(
                    f"approve: expected True, False, a text, an Approval or None, found {type(decision).__name__}",
                    param="approve",
                )

    async def _decision(self, checked: CheckedCall) -> object:
        approve, left = self._settings.approve, self._limits.time_left()
        if approve is None:
            return None
        decision = call_plainly(approve, checked.pending(self._turn))
        if not inspect.isawaitable(decision):
            return decision
        limit = asyncio.timeout(left)
        try:
            async with limit:
                return await decision
        except TimeoutError:
            if limit.expired():
                raise self._limits.deadline_error() from None
            raise

    def _begin(self) -> None:
        """Lets the calls start, if no approval is missing."""
        self._max_running = self._settings.concurrency
        if self.pending:
            self.is_paused = True
            self._ready.clear()
            return
        self.pending = self._left_to_caller
        self._ready = deque(sorted(self._ready, key=itemgetter(0)))
        if self._in_order or any(checked.tool.sequential for _, checked in self._ready):
            self._max_running = 1

    # --- running ---

    def _start_clock(self) -> None:
        if self._deadline is None and self._limits.ends_at is not None:
            left = max(self._limits.ends_at - time.monotonic(), 0)
            self._deadline = asyncio.get_running_loop().call_later(left, self._end_in_time)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()

    def _end_in_time(self) -> None:
        """Ends the turn at the deadline. Its calls get no result: they may do their work in a later run."""
        self._fail(self._limits.deadline_error())

    @property
    def _may_start(self) -> bool:
        """Whether another call may start now."""
        return bool(self._ready) and self._max_running is not None and len(self._running) < self._max_running

    def _start_next(self) -> None:
        settings = self._settings
        while self._may_start:
            try:
                self._limits.time_left()
            except APITimeoutError as error:
                self._fail(error)
                return
            self._start_clock()
            index, checked = self._ready.popleft()
            call, ends_at = checked.call, self._limits.ends_at
            self._emit(CallStarted(call, self._turn))
            if self._has_closed():  # the observer of that event did
                return
            self._running[index] = RunningCall(
                checked.tool,
                call,
                checked.arguments,
                context=ToolContext(settings.context, call, self._turn, self._conversation, ends_at=ends_at),
                timeout=settings.tool_timeout,
                max_result_chars=settings.max_result_chars,
                threads=self._threads,
                on_end=partial(self._on_end, index, call),
            )
            if self._has_closed():
                self._running[index].cancel()  # its task, which is an eager one, closed the run as it began

    def _has_closed(self) -> bool:
        """Whether the turn was closed, which what is called in between may do."""
        return self._closed

    def _on_end(self, index: int, call: ToolCall, ended: ToolOutcome | BaseException) -> None:
        del self._running[index]
        self._changed.set()
        if isinstance(ended, BaseException):
            self._fail(ended)
        elif self._settings.on_tool_error == "raise" and was_raised_by_tool(ended.error):
            error = ToolExecutionError(f"the tool {call.function.name!r} failed", call=call)
            error.__cause__ = ended.error
            self._fail(error)
        else:
            self._finish(index, ended)
        self._start_next()

    def _fail(self, error: BaseException) -> None:
        """Ends the turn with an error; one that comes after the turn was closed is no surprise."""
        if not self._closed:
            self._failure = error
            self.cancel()

    async def _wait(self) -> None:
        """Waits until a call ends."""
        self._changed.clear()
        await self._changed.wait()

    def _finish(self, index: int, outcome: ToolOutcome) -> None:
        self._outcomes[index] = outcome
        self._results.add(index, outcome)
        self._emit(CallFinished(outcome.call, outcome, self._turn))
