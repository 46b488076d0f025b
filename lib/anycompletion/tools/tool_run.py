"""ToolRun: a run of `client.run_tools`, which is awaited, or read turn by turn, as events, or as text."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator
from typing import TYPE_CHECKING, Any, Generic, Self, cast

from .._async import ClosedOnExit, call_in_loop
from .._boundary import hides_frames
from ..errors import ClientClosedError
from ..records import Message, Usage
from .approvals import PendingCall
from .events import JoinedTexts, TextDelta, ToolEvent, TurnFinished
from .run_driver import RunDriver
from .run_outcomes import RunOutcome, RunStatus, Turn

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    T_co = TypeVar("T_co", default=Any, covariant=True)
else:
    from typing import TypeVar

    T_co = TypeVar("T_co", covariant=True)


class ToolRun(ClosedOnExit, Generic[T_co]):
    """A tool run: awaitable, an async iterator over its `Turn`s, and an async context manager.

    Made by `client.run_tools`; it starts when it is first awaited or read. All ways of reading it share one cursor:
    what one has read, the others do not get again. Awaiting it runs it to its end and may be done again.

    Leaving ``async with``, cancelling the task that reads it, `aclose()` or dropping it closes its request and cancels
    its tools. Its messages stay valid: a new run goes on from them.
    """

    def __init__(self, driver: RunDriver) -> None:
        self._driver = driver
        self._is_read = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def __repr__(self) -> str:
        state = self.status or ("failed" if self._driver.has_failed else "unfinished")
        return f"<ToolRun {state}: {len(self.turns)} turns>"

    # --- the state so far ---

    @property
    def model(self) -> str:
        """The model, or the route, that the run asks."""
        return self._driver.model

    @property
    def messages(self) -> list[Message]:
        """The conversation so far: what a new run goes on from."""
        return self._driver.messages

    @property
    def turns(self) -> list[Turn]:
        """The turns that have ended."""
        return self._driver.turns

    @property
    def usage(self) -> Usage | None:
        """Tokens of all turns so far; None where one of them did not say."""
        return self._driver.limits.usage

    @property
    def status(self) -> RunStatus | None:
        """How the run ended; None while it goes on, and after an error, which every reader gets."""
        outcome = self._driver.outcome
        return None if outcome is None else outcome.status

    @property
    def pending(self) -> list[PendingCall]:
        """Calls that the end of the run left open."""
        return self._driver.pending

    # --- reading ---

    def __await__(self) -> Generator[Any, None, RunOutcome[T_co]]:
        return self._finish().__await__()

    @hides_frames
    async def _finish(self) -> RunOutcome[T_co]:
        self._begin_reading(is_live=False)
        try:
            while await self._driver.next_event() is not None:
                pass
        finally:
            self._is_read = False
        return cast("RunOutcome[T_co]", self._driver.outcome)

    def __aiter__(self) -> AsyncIterator[Turn]:
        return RunTurns(self)

    def events(self, *, raw: bool = False) -> AsyncIterator[ToolEvent]:
        """An async iterator over what happens, as it happens; turns that begin while it is read are streamed.

        Args:
            raw: whether the chunks of streamed turns are among the events, as `ChunkEvent`s.
        """
        return RunEvents(self, shows_chunks=raw)

    @property
    def text(self) -> AsyncIterator[str]:
        """An async iterator over the text, piece by piece; turns that begin while it is read are streamed.

        Texts of two turns have an empty line between them. With `into`, the text is the JSON of the answer, or nothing
        where the answer is a call.
        """
        return RunTexts(self)

    async def next_event(self, *, is_live: bool, shows_chunks: bool = False) -> ToolEvent:
        """The next event of the run, for its views.

        Raises:
            StopAsyncIteration: there is none.
            ClientClosedError: another task reads the run.
        """
        self._begin_reading(is_live=is_live, shows_chunks=shows_chunks)
        try:
            event = await self._driver.next_event()
        finally:
            self._is_read = False
        if event is None:
            raise StopAsyncIteration
        return event

    def _begin_reading(self, *, is_live: bool, shows_chunks: bool = False) -> None:
        if self._is_read:
            raise ClientClosedError(
                "two tasks read this run at the same time; let one of them do it, or start two runs"
            )
        self._is_read = True
        self._loop = self._loop or asyncio.get_running_loop()
        self._driver.is_live, self._driver.shows_chunks = is_live, shows_chunks

    # --- closing ---

    async def aclose(self) -> None:
        """Ends what goes on: closes the request, cancels the tools and waits for them; does nothing after the end."""
        await self._driver.aclose()

    def __del__(self) -> None:
        driver, loop = self.__dict__.get("_driver"), self.__dict__.get("_loop")
        if driver is not None and loop is not None and driver.outcome is None:
            call_in_loop(loop, driver.close)


class RunTurns:
    """Async iterator over the turns of a run."""

    def __init__(self, run: ToolRun[Any]) -> None:
        self._run = run

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Turn:
        while True:
            event = await self._run.next_event(is_live=False)
            if isinstance(event, TurnFinished):
                return event.outcome
            del event  # the traceback of a later error has this frame, which must not show it


class RunEvents:
    """Async iterator over the events of a run."""

    def __init__(self, run: ToolRun[Any], *, shows_chunks: bool) -> None:
        self._run = run
        self._shows_chunks = shows_chunks

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ToolEvent:
        return await self._run.next_event(is_live=True, shows_chunks=self._shows_chunks)


class RunTexts:
    """Async iterator over the text of a run."""

    def __init__(self, run: ToolRun[Any]) -> None:
        self._run = run
        self._joined = JoinedTexts()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        while True:
            event = await self._run.next_event(is_live=True)
            if isinstance(event, TextDelta):
                return self._joined.piece(event)
            del event  # the traceback of a later error has this frame, which must not show it
