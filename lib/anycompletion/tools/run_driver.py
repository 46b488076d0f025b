"""RunDriver: a tool run as steps. It asks the model, has the calls of the reply answered, and asks again.

It knows neither sockets nor providers: a turn is one logical call of a `RunClient`. Nothing runs between its steps but
the tools of a turn and the request of a turn that is streamed.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import anyio
import attrs

from .._async import Interruptible
from ..errors import APITimeoutError, ClientClosedError
from ..logs import observer_failed
from ..records import ChatCompletion, ChatCompletionChunk, ChatRequest, Choice, Message, ToolCall, Usage
from ..records.messages import AssistantTurn, ChatCompletionMessage
from ..streaming import CompletionStream
from .call_checks import pending_call
from .events import (
    ChunkEvent,
    ReasoningDelta,
    RunFinished,
    TextDelta,
    ToolEvent,
    TurnFinished,
)
from .outcomes import ToolOutcome
from .run_outcomes import PendingCall, RunOutcome, RunStatus, Turn
from .run_settings import RunSettings
from .tool_set import ToolSet
from .transcript import Transcript, TurnResults
from .turn_calls import TurnCalls

_MAX_FAILED_TURNS = 3
"""Turns in a row in which every call failed, after which a run ends."""


class RunClient(Protocol):
    """The client as runs use it."""

    @property
    def threads(self) -> anyio.CapacityLimiter:
        """The limit of the threads of sync tools."""
        ...

    def complete(self, request: ChatRequest, left: float | None) -> Awaitable[ChatCompletion]:
        """One reply, within `left` seconds."""
        ...

    def stream(self, request: ChatRequest, left: float | None) -> CompletionStream:
        """One streamed reply, within `left` seconds."""
        ...

    def track_task(self, task: asyncio.Task[Any]) -> None:
        """Keeps a strong reference to a task; closing the client cancels it."""
        ...


class RunDriver:
    """The steps of one run, and its state between them."""

    def __init__(self, client: RunClient, request: ChatRequest, tools: ToolSet, settings: RunSettings) -> None:
        self._client = client
        self._request = request
        self._tools = tools
        self._settings = settings
        self._step: Callable[[], Awaitable[None]] | None = self._start
        """What comes next; None after the end."""
        self._ready: deque[ToolEvent] = deque()
        """Events that happened and were not read."""
        self._stream: CompletionStream | None = None
        self._results: TurnResults | None = None
        """The calls of the last reply, which are open; None where there are none."""
        self._calls: TurnCalls | None = None
        """Those calls, while they are answered."""
        self._body: Interruptible | None = None
        self._ends_at: float | None = None
        self._asked = 0
        self._failed_turns = 0
        self._turn_calls: list[ToolCall] = []
        self._error: BaseException | None = None
        self._closed = False
        self.is_live = False
        """Whether events are read as they happen, so that turns are streamed."""
        self.shows_chunks = False
        self.reply: ChatCompletion | None = None
        self._transcript = Transcript(list(request.messages))  # type: ignore[arg-type]
        self.turns: list[Turn] = []
        self.pending: list[PendingCall] = []
        self.usages: list[Usage | None] = []
        self.outcome: RunOutcome[Any] | None = None

    # --- reading ---

    async def next_event(self) -> ToolEvent | None:
        """The next event; None after the last one.

        Raises:
            CompletionError: a turn failed.
            ClientClosedError: the run was closed, or a task that read it was cancelled.
        """
        while not self._ready:
            if self._error is not None:
                raise self._error
            if self._step is None:
                return None
            try:
                await self._step()
            except Exception as error:  # noqa: BLE001 (raised again, to each reader)
                self._fail(error)
                await self._stop()
            except BaseException:
                self._fail(ClientClosedError("this run was cancelled; its messages are what a new one goes on from"))
                await self._stop()
                raise
        return self._ready.popleft()

    def _fail(self, error: BaseException) -> None:
        self._step = None
        if self._error is None:
            self._error = error

    # --- steps ---

    async def _start(self) -> None:
        if self._settings.deadline is not None:
            self._ends_at = time.monotonic() + self._settings.deadline
        self._results = self._transcript.open_turn()
        if self._results is None:
            self._step = self._ask
            return
        self.reply = _stored_reply(self._results.message, self._request.model)
        self._turn_calls = [self._results.calls[index] for index in self._results.unanswered]
        self._step = self._answer

    async def _ask(self) -> None:
        left = self._time_left()
        request = self._next_request()
        self._asked += 1
        if self.is_live:
            self._stream = self._client.stream(request, left)
            self._step = self._read
            return
        with Interruptible() as self._body:
            self._take(await self._client.complete(request, left))
        self._check_open()

    async def _read(self) -> None:
        stream = self._stream
        assert stream is not None, "a stream was opened"
        async for chunk in stream:
            self._show(chunk)
            return
        self._stream = None
        self._take(stream.snapshot)

    async def _answer(self) -> None:
        """Does the next thing that the calls of the turn need, or waits until something happens to them."""
        if self._calls is None:
            self._calls = self._turn_calls_of(self._results)
        with Interruptible() as self._body:
            if not await self._calls.advance():
                self._end_turn(self._calls)
                self._calls = None
        self._check_open()

    # --- one turn ---

    def _next_request(self) -> ChatRequest:
        request = attrs.evolve(self._request, messages=[*self.messages])
        if self._asked and request.tool_choice not in (None, "none"):
            request.tool_choice = "auto"
        return request

    def _time_left(self) -> float | None:
        """Seconds until the run's deadline.

        Raises:
            APITimeoutError: it has passed.
        """
        if self._ends_at is None:
            return None
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise APITimeoutError(
                f"the run took longer than its deadline of {self._settings.deadline:g} s", phase="total"
            )
        return left

    def _show(self, chunk: ChatCompletionChunk) -> None:
        """The events of a chunk."""
        turn = len(self.turns)
        if self.shows_chunks:
            self._ready.append(ChunkEvent(chunk, turn))
        for choice in chunk.choices:
            if choice.index != 0:
                continue
            if choice.delta.reasoning_content:
                self._ready.append(ReasoningDelta(choice.delta.reasoning_content, turn))
            if choice.delta.content:
                self._ready.append(TextDelta(choice.delta.content, turn))

    def _take(self, reply: ChatCompletion) -> None:
        """Takes the reply of a turn, and decides what comes next."""
        self.usages.append(reply.usage)
        self.messages.append(reply.message)
        self.reply = reply
        self._results = self._transcript.open_turn()
        self._turn_calls = [] if self._results is None else list(self._results.calls)
        if self._results is not None:
            reply.info.warnings.extend(self._results.warnings)
        if self._turn_calls and self._asked < self._settings.max_turns:
            self._step = self._answer
            return
        self._close_turn([])
        is_paused = bool(reply.choices) and reply.choices[0].paused
        if self._turn_calls or (is_paused and self._asked >= self._settings.max_turns):
            self._finish(
                "max_turns", [pending_call(call, self._tools, len(self.turns) - 1) for call in self._turn_calls]
            )
        elif is_paused:
            self._step = self._ask
        else:
            self._finish("finished")

    def _turn_calls_of(self, results: TurnResults | None) -> TurnCalls:
        assert results is not None, "there are open calls"
        assert self.reply is not None, "calls are in a reply"
        return TurnCalls(
            results,
            tools=self._tools,
            settings=self._settings,
            turn=len(self.turns),
            emit=self._emit,
            cut=bool(self.reply.choices) and self.reply.choices[0].finish_reason == "length",
            in_order=self._request.parallel_tool_calls is False,
            ends_at=self._ends_at,
            threads=self._client.threads,
        )

    def _end_turn(self, answers: TurnCalls) -> None:
        """Ends a turn whose calls were answered, and decides what comes next."""
        outcomes = answers.outcomes
        turn = self._close_turn(outcomes)
        if outcomes:
            failed = all(outcome.error is not None for outcome in outcomes)
            self._failed_turns = self._failed_turns + 1 if failed else 0
        if answers.pending:
            self._finish("paused" if answers.is_paused else "stopped", answers.pending)
        elif self._failed_turns >= _MAX_FAILED_TURNS:
            self._finish("tool_failures")
        elif self._settings.stop_when is not None and self._settings.stop_when(turn):
            self._finish("stopped")
        else:
            self._step = self._ask

    def _close_turn(self, outcomes: list[ToolOutcome]) -> Turn:
        assert self.reply is not None, "a turn has a reply"
        turn = Turn(len(self.turns), self.reply, self._turn_calls, outcomes)
        self.turns.append(turn)
        self._emit(TurnFinished(turn, turn.index))
        return turn

    def _finish(self, status: RunStatus, pending: Sequence[PendingCall] = ()) -> None:
        assert self.reply is not None, "a run ends after a reply"
        self.pending = list(pending)
        self.outcome = RunOutcome(self.reply, status, self.messages, self.turns, self.usage, self.pending)
        self._step = None
        self._emit(RunFinished(self.outcome, len(self.turns) - 1))

    @property
    def messages(self) -> list[Message]:
        """The conversation so far."""
        return self._transcript.messages

    @property
    def usage(self) -> Usage | None:
        """Tokens of all turns so far; None where one of them did not say."""
        known = [usage for usage in self.usages if usage is not None]
        return Usage.total_of(known) if known and len(known) == len(self.usages) else None

    # --- events ---

    def _emit(self, event: ToolEvent) -> None:
        """Adds an event that `on_event` sees as well."""
        self._ready.append(event)
        if self._settings.on_event is not None:
            try:
                self._settings.on_event(event)
            except (Exception, GeneratorExit) as error:  # noqa: BLE001 (an observer's failure is logged, whatever it is)
                observer_failed("on_event", error)

    # --- closing ---

    def _check_open(self) -> None:
        if self._closed:
            raise ClientClosedError("this run was closed before its end")

    def close(self) -> None:
        """Ends what goes on, without waiting: closes a stream, cancels a request and the tools of a turn."""
        if self._closed or self.outcome is not None:
            return
        self._closed = True
        self._fail(ClientClosedError("this run was closed before its end"))
        if self._body is not None:
            self._body.interrupt()
        if self._stream is not None:
            self._stream.close()
        if self._calls is not None:
            self._calls.cancel()

    async def aclose(self) -> None:
        """The same, and waits until the tools have ended."""
        self.close()
        await self._stop()

    async def _stop(self) -> None:
        if self._stream is not None:
            await self._stream.aclose()
        if self._calls is not None:
            await self._calls.aclose()


def _stored_reply(message: AssistantTurn, model: str) -> ChatCompletion:
    """The message of a transcript from which a run goes on, as a reply."""
    if not isinstance(message, ChatCompletionMessage):
        message = ChatCompletionMessage.from_dict(message.to_dict())
    return ChatCompletion("", [Choice(0, message, "tool_calls")], model)
