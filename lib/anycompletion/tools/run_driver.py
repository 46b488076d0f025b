"""RunDriver: a tool run as steps. It asks the model, has the calls of the reply answered, and asks again.

It knows neither sockets nor providers: a turn is one logical call of a `RunClient`. Between its steps, nothing goes on
but the tools of a turn, and the request of a turn that is streamed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from .._async import Interruptible
from .._boundary import iteration_error
from ..errors import ClientClosedError, CompletionError, ReplyError
from ..records import ChatCompletion, ChatRequest, Message, ToolCall
from ..run_errors import ToolRunError
from ..streaming import CompletionStream
from ..streaming.passed_on import refuse_restarts
from ..structured import ParsedCompletion
from .approvals import PendingCall
from .call_checks import cut_call_ids, cut_outcome, pending_call
from .call_outcome import ToolOutcome
from .event_queue import EventQueue
from .events import CallFinished, RunFinished, ToolEvent, TurnFinished
from .open_turn import OpenTurn
from .run_client import RunClient
from .run_limits import RunLimits
from .run_outcomes import RunOutcome, RunStatus, Turn
from .run_requests import RunRequests
from .run_settings import RunSettings
from .running_call import error_outcome
from .tool_set import ToolSet
from .transcript import Transcript, TurnResults, stored_reply
from .turn_calls import TurnCalls
from .typed_answers import TypedAnswer

_NO_TURNS_LEFT: dict[str, object] = {"error": "not run", "reason": "no calls are left; answer with what is known"}


class RunDriver:
    """The steps of one run, and its state between them."""

    def __init__(
        self,
        client: RunClient,
        request: ChatRequest,
        tools: ToolSet,
        settings: RunSettings,
        answer: TypedAnswer | None = None,
    ) -> None:
        self._client = client
        self._requests = RunRequests(request if answer is None else answer.typed.request, answer)
        self.model = request.model
        self._tools = tools if answer is None else answer.with_name(tools)
        self._settings = settings
        self._answer = answer
        self.limits = RunLimits(settings)
        """What the run has used."""
        self._step: Callable[[], Awaitable[None]] | None = self._start
        """What comes next; None after the end."""
        self._events = EventQueue(settings.on_event)
        self._stream: CompletionStream | None = None
        self._running: TurnCalls | None = None
        """The calls of a turn while they are answered."""
        self._body: Interruptible | None = None
        """What a reader waits for, so that `close` can end it."""
        self._error: BaseException | None = None
        self._is_closed = False
        # --- turns ---
        self._turn: OpenTurn | None = None
        """The turn that goes on, or the last one; None before the first reply."""
        self._is_first = True
        self._is_last = False
        """Whether the model may call no tools any more, because there are no turns left."""
        self._is_refresh = False
        self._reasks = 0
        # --- what readers see ---
        self.is_live = False
        """Whether events are read as they happen, so that turns are streamed."""
        self.shows_chunks = False
        self._transcript = Transcript(cast("list[Message]", list(request.messages)))
        self.turns: list[Turn] = []
        self.pending: list[PendingCall] = []
        self.outcome: RunOutcome[Any] | None = None

    @property
    def messages(self) -> list[Message]:
        """The conversation so far."""
        return self._transcript.messages

    @property
    def has_failed(self) -> bool:
        """Whether the run ended with an error, or was closed before its end."""
        return self._error is not None

    # --- reading ---

    async def next_event(self) -> ToolEvent | None:
        """The next event; None after the last one.

        Raises:
            CompletionError: a turn failed.
            ClientClosedError: the run was closed, or a task that read it was cancelled.
        """
        while not self._events:
            if self._error is not None:
                raise self._error
            if self._step is None:
                return None
            try:
                await self._step()
            except StopAsyncIteration as error:  # of middleware: it would end a reader's loop silently
                self._fail(iteration_error(error))
                await self._stop()
            except Exception as error:  # noqa: BLE001 (raised again, after the events before it, and to each reader)
                if self._is_last and self._requests.allow_calls_after(error):
                    self._step = self._ask
                    continue
                self.limits.explain(error)
                self._fail(error)
                await self._stop()
            except GeneratorExit:  # the reader is dropped, and can wait for nothing any more
                self._fail(_closed())
                raise
            except BaseException:
                self._fail(ClientClosedError("this run was cancelled; a new one can go on from its messages"))
                await self._stop()
                raise
        return self._events.take()

    def _fail(self, error: BaseException) -> None:
        self._step = None
        if self._error is None:
            self._error = error
            if self._answer is not None and isinstance(error, CompletionError):
                self._answer.explain(error)
            if isinstance(error, ReplyError):
                error.usage = self.limits.usage
                if error.partial is not None:
                    error.partial.info.reasks = self._reasks

    # --- steps ---

    async def _start(self) -> None:
        self.limits.start()
        results = self._transcript.restore_open_turn()
        if results is None:
            self._step = self._ask
            return
        # Before a call runs: a program that cannot send what comes of it would run it again with each attempt.
        request = self._requests.next(self.messages, is_first=False, has_to_answer=False)
        with Interruptible() as self._body:
            await self._client.check(request, stream=self.is_live)
        self._check_open()
        self._is_first = False
        reply = stored_reply(results.message, self.model)
        self._begin_calls(self._open_turn(reply, len(self.messages), results))

    async def _ask(self) -> None:
        if self._turn is not None and self.limits.ends_by_budget(self._turn.reply):
            self._finish("budget", self._turn.reply)
            return
        left = self.limits.time_left()
        request = self._requests.next(self.messages, is_first=self._is_first, has_to_answer=self._is_last)
        refresh, self._is_refresh, self._is_first = self._is_refresh, False, False
        self.limits.asked += not refresh
        if self.is_live:
            self._stream = self._client.stream(request, left, refresh=refresh)
            refuse_restarts(self._stream, "events of a run")  # before anything is sent
            self._step = self._open_stream
            return
        with Interruptible() as self._body:
            self._take(await self._client.complete(request, left, refresh=refresh))
        self._check_open()

    async def _open_stream(self) -> None:
        assert self._stream is not None, "a stream was made"
        await self._stream.open()
        refuse_restarts(self._stream, "events of a run")  # middleware may have chosen another route
        self._step = self._read_chunk

    async def _read_chunk(self) -> None:
        stream = self._stream
        assert stream is not None, "a stream was opened"
        async for chunk in stream:
            self._events.add_chunk(chunk, len(self.turns), shows_chunk=self.shows_chunks)
            return
        self._stream = None
        self._take(stream.snapshot)

    async def _answer_calls(self) -> None:
        """Does the next thing that the calls of the turn need, or waits until something happens to them."""
        running = self._running
        assert running is not None, "there are calls"
        with Interruptible() as self._body:
            if not await running.advance():
                self._running = None
                self._end_turn(running)
        self._check_open()

    # --- the reply of a turn ---

    def _take(self, reply: ChatCompletion) -> None:
        """Takes the reply of a turn, and decides what comes next."""
        self.limits.add_reply(reply)
        self._requests.preferred_target = reply.info.target or self._requests.preferred_target
        reply_at = len(self.messages)
        if reply.choices:
            self.messages.append(reply.message)
        results = self._transcript.restore_open_turn()
        turn = self._open_turn(reply, reply_at, results)
        if results is not None:
            reply.info.warnings.extend(results.warnings)
        self.limits.add_calls(is_cut=bool(turn.calls) and turn.is_cut)
        if turn.calls and not turn.gives_answer and not self.limits.allows_turns:
            self._end_without_turns(turn)
        elif turn.calls and self.limits.is_cut_again:
            self._leave_open(turn, "tool_failures")
        elif turn.calls:
            self._begin_calls(turn)
        elif reply.choices and reply.choices[0].paused and not turn.gives_answer:
            self._close_turn(turn, [])
            if self.limits.allows_turns:
                self._step = self._ask
            else:
                self._finish("max_turns", reply)
        else:
            self._close_turn(turn, [])
            self._conclude(turn)

    def _open_turn(self, reply: ChatCompletion, reply_at: int, results: TurnResults | None) -> OpenTurn:
        self._turn = OpenTurn(reply, reply_at, results, self._answer)
        return self._turn

    def _end_without_turns(self, turn: OpenTurn) -> None:
        """Ends the last turn that `max_turns` allows: its calls stay open, or the model is asked for its answer."""
        if self._is_last or not self._settings.final_answer:
            self._leave_open(turn, "max_turns")
            return
        error = ToolRunError("not run: max_turns was reached", status="max_turns")
        outcomes = self._refuse(turn, lambda call: error_outcome(call, _NO_TURNS_LEFT, error))
        self._close_turn(turn, outcomes)
        self._is_last, self._step = True, self._ask

    def _leave_open(self, turn: OpenTurn, status: RunStatus) -> None:
        """Ends the run with open calls. A call that may be cut is refused: a new run could not tell that it is cut."""
        cut_ids = cut_call_ids(turn.calls) if turn.is_cut else set[str]()
        refused = self._refuse(turn, lambda call: cut_outcome(call) if call.id in cut_ids else None)
        index = self._close_turn(turn, refused).index
        refused_ids = {outcome.call.id for outcome in refused}
        pending = [pending_call(call, self._tools, index) for call in turn.calls if call.id not in refused_ids]
        self._finish(status, turn.reply, pending)

    def _refuse(self, turn: OpenTurn, outcome_of: Callable[[ToolCall], ToolOutcome | None]) -> list[ToolOutcome]:
        """Answers open calls without running them; those whose outcome is None stay open."""
        outcomes = turn.refuse(outcome_of)
        for outcome in outcomes:
            self._events.add(CallFinished(outcome.call, outcome, len(self.turns)))
        return outcomes

    # --- the calls of a turn ---

    def _begin_calls(self, turn: OpenTurn) -> None:
        """Checks the calls at once: a run that is resumed finds only messages, which do not say that a call is cut."""
        assert turn.results is not None, "there are calls"
        self._client.track_run(self)
        self._step = self._answer_calls
        self._running = TurnCalls(
            turn.results,
            tools=self._tools,
            settings=self._settings,
            turn=len(self.turns),
            emit=self._events.add,
            cut=turn.is_cut,
            in_order=self._requests.in_order,
            limits=self.limits,
            threads=self._client.threads,
        )

    def _end_turn(self, answers: TurnCalls) -> None:
        """Ends a turn whose calls were answered, and decides what comes next."""
        open_turn = self._turn
        assert open_turn is not None, "its calls were answered"
        turn = self._close_turn(open_turn, answers.outcomes)
        self.limits.add_outcomes(answers.outcomes)
        if answers.pending:
            self._finish("paused" if answers.is_paused else "stopped", turn.reply, answers.pending)
        elif open_turn.gives_answer:
            self._conclude(open_turn)
        elif self.limits.only_failures:
            self._finish("tool_failures", turn.reply)
        elif self.limits.stops_after(turn):
            self._finish("stopped", turn.reply)
        else:
            self._step = self._ask

    def _close_turn(self, open_turn: OpenTurn, outcomes: list[ToolOutcome]) -> Turn:
        turn = Turn(len(self.turns), open_turn.reply, open_turn.calls, outcomes)
        self.turns.append(turn)
        self._events.add(TurnFinished(turn, turn.index))
        return turn

    # --- the end ---

    def _conclude(self, turn: OpenTurn) -> None:
        """Finishes with the reply, or asks again where it is no value of the type that was asked for."""
        answer, reply = self._answer, turn.reply
        if answer is None:
            self._finish("finished", reply)
            return
        read = answer.try_read(reply) if turn.read is None else turn.read
        if isinstance(read, ParsedCompletion):
            read.info.reasks = self._reasks
            self._finish("finished", read)
            return
        if reply.info.cached and not turn.calls and self._client.may_refresh:
            # The answer was in a cache, so the same request is sent once more, past the cache: it counts as no re-ask.
            del self.messages[turn.reply_at :]
            self._is_refresh, self._step = True, self._ask
            return
        if not turn.gives_answer:
            self.messages.append(answer.problem(read))
        if self._reasks == answer.max_reasks:
            raise read
        self._reasks += 1
        self._step = self._ask

    def _finish(self, status: RunStatus, reply: ChatCompletion, pending: Sequence[PendingCall] = ()) -> None:
        self.pending = list(pending)
        self.outcome = RunOutcome(reply, status, self.messages, self.turns, self.limits.usage, self.pending)
        self._step = None
        self._events.add(RunFinished(self.outcome, len(self.turns) - 1))

    # --- closing ---

    def _check_open(self) -> None:
        if self._is_closed:
            raise _closed()

    def close(self) -> None:
        """Ends what goes on, without waiting: closes the request, and cancels the tools of a turn."""
        if self._is_closed or self.outcome is not None:
            return
        self._is_closed = True
        self._fail(_closed())
        running = self._running
        # What closes its own run, such as an observer or `approve`, is no wait that could be ended.
        if self._body is not None and not self._body.is_executing:
            self._body.interrupt()
        if self._stream is not None:
            self._stream.close()
        if running is not None:
            running.cancel()

    async def aclose(self) -> None:
        """The same, and waits until the tools have ended."""
        self.close()
        await self._stop()

    async def _stop(self) -> None:
        if self._stream is not None:
            await self._stream.aclose()
        if self._running is not None:
            await self._running.aclose()


def _closed() -> ClientClosedError:
    return ClientClosedError("this run was closed before its end; a new one can go on from its messages")
