"""Single flight: of equal calls at the same time one is made, and the others wait for its reply.

The task that makes the call *leads*. If it is cancelled, or its own time is over, the next waiter leads.
"""

from __future__ import annotations

import asyncio
import copy
from typing import Any

from .._async import WaiterQueue
from ..errors import CompletionError
from ..records import ChatCompletion
from .stored_replies import StoredReply, read_reply


class FlightOutcome:
    """What the leader got: a reply that others copy, or an error of the provider."""

    __slots__ = ("_error", "_reply", "_value", "is_new")

    def __init__(
        self,
        value: bytes | None = None,
        reply: ChatCompletion | None = None,
        error: CompletionError | None = None,
        *,
        is_new: bool = False,
    ) -> None:
        self.is_new = is_new
        """Whether the call was made, and its reply was not a stored one."""
        self._value = value
        self._reply = reply
        self._error = error

    def stored(self) -> StoredReply | None:
        """The reply as it was stored, if it could be; raises a copy of the error.

        Raises:
            CompletionError: the leader's error.
        """
        if self._error is not None:
            raise copy.copy(self._error)
        return None if self._value is None else read_reply(self._value)

    def copied(self) -> ChatCompletion:
        """A copy of a reply that could not be stored."""
        assert self._reply is not None, "an outcome has a value, a reply or an error"
        return copy.deepcopy(self._reply)


class Flight:
    """A call that others with the same key wait for."""

    __slots__ = ("_flights", "_key", "_loop", "_outcome", "_waiters")

    def __init__(self, flights: dict[str, Flight], key: str) -> None:
        self._flights = flights
        self._key = key
        self._loop = asyncio.get_running_loop()
        self._outcome: FlightOutcome | None = None
        self._waiters: WaiterQueue[Any] | None = None
        """Most calls have no waiters."""

    @property
    def is_of_this_loop(self) -> bool:
        """Whether its waiters can be woken from here."""
        return self._loop is asyncio.get_running_loop()

    @property
    def has_waiters(self) -> bool:
        """Whether others wait for the outcome."""
        return bool(self._waiters)

    async def wait(self) -> FlightOutcome | None:
        """The outcome; None if the caller has to lead now."""
        if self._waiters is None:
            self._waiters = WaiterQueue()
        await self._waiters.wait(self._waiters.enqueue(), on_lost=self.leave)
        return self._outcome

    def land(self, outcome: FlightOutcome) -> None:
        """Gives all waiters the outcome; later calls do not get it."""
        self._outcome = outcome
        self._end()
        if self._waiters is not None:
            self._waiters.wake_all()

    def leave(self) -> None:
        """Has the next waiter lead, unless there is an outcome; the flight ends where there is none."""
        if self._outcome is None and not (self._waiters is not None and self._waiters.wake_first()):
            self._end()

    def _end(self) -> None:
        if self._flights.get(self._key) is self:
            del self._flights[self._key]


def join_flight(flights: dict[str, Flight], key: str) -> tuple[Flight, bool]:
    """The flight of a key, and whether the caller leads it; a flight of another event loop cannot be joined."""
    flight = flights.get(key)
    if flight is not None and flight.is_of_this_loop:
        return flight, False
    flight = flights[key] = Flight(flights, key)
    return flight, True
