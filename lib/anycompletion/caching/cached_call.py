"""One call through a cache: looks for a stored reply, or makes the call and stores its reply."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import attrs

from ..cache_control import CacheControl
from ..dialects.base import Target
from ..errors import APIError, APITimeoutError, CacheMissError
from ..middleware import CallNext, Reply
from ..options import CallOptions
from ..records import ChatCompletion, ChatRequest, ReplyInfo
from ..streaming import CompletionStream
from .single_flight import Flight, FlightOutcome, join_flight
from .store_access import StoreAccess
from .stored_replies import StoredReply, is_storable, read_reply, write_reply
from .stream_entries import Replay, ReplayedChunks, StreamRecorder

T = TypeVar("T")

_UNLIMITED = 1e9
"""Seconds, more than thirty years, from which on a lifetime is none: stores cannot express every number."""


@attrs.frozen
class CacheSettings:
    """How a cache stores and gives replies."""

    ttl: float | None
    replay: Replay
    max_bytes: int
    keep_raw: bool


class CachedCall:
    """A call that may be answered from a store."""

    __slots__ = (
        "_access",
        "_call_next",
        "_control",
        "_flights",
        "_key",
        "_options",
        "_request",
        "_settings",
        "_started",
        "_target",
        "_waited",
        "was_answered",
    )

    def __init__(
        self,
        call: tuple[ChatRequest, CallOptions, CallNext],
        target: Target,
        key: str | None,
        control: CacheControl,
        settings: CacheSettings,
        access: StoreAccess,
        flights: dict[str, Flight] | None,
    ) -> None:
        self._request, self._options, self._call_next = call
        self._target = target
        self._key = key
        """None where the call is not cached."""
        self._control = control
        self._settings = settings
        self._access = access
        self._flights = flights
        """The calls that are made now, by key; None where equal calls do not wait for each other."""
        self._started = asyncio.get_running_loop().time()
        self.was_answered = False
        """Whether a stored reply answered the call, or that of an equal call at the same time."""
        self._waited = False
        """Whether some of the call's time has passed."""

    # --- plain calls ---

    async def complete(self) -> ChatCompletion:
        """A whole reply.

        Raises:
            CacheMissError: there is none, and the call must not be made.
            CompletionError: what the call raises.
        """
        key = self._key
        if key is None or self._control.mode == "only":
            return await self._find(key, self._whole) or await self._ask_uncached()
        if self._control.mode == "refresh":
            return await self._ask_and_store(key)
        if self._flights is None:
            return await self._find(key, self._whole) or await self._ask_and_store(key)
        flight, leads = join_flight(self._flights, key)
        if not leads:
            outcome = await self._in_time(flight.wait())
            if outcome is not None:
                return self._copy(outcome, key)
            self._waited = True
        return await self._lead(flight, key)

    async def _lead(self, flight: Flight, key: str) -> ChatCompletion:
        """A stored reply or a new one, which those who wait for the same get, too."""
        try:
            value = await self._stored(key)
            found = None if value is None else self._read(key, value, self._whole)
            if found is not None:
                flight.land(FlightOutcome(value))
                return found
            reply = await self._ask()
            value = self._store(key, reply)
            if flight.has_waiters:
                kept = copy.deepcopy(reply) if value is None else None
                flight.land(FlightOutcome(value, kept, is_new=True))
            return reply
        except APIError as error:
            if not (isinstance(error, APITimeoutError) and error.phase == "total"):  # else it is this call's own time
                flight.land(FlightOutcome(error=error))
            raise
        finally:
            flight.leave()

    def _copy(self, outcome: FlightOutcome, key: str) -> ChatCompletion:
        stored = outcome.stored()
        reply = outcome.copied() if stored is None else self._whole(stored)
        if stored is None:
            reply.info.attempts = 0
            if reply.usage is not None:
                reply.usage.cost = 0.0
            self._mark(reply.info, key, 0.0)
        elif outcome.is_new:
            reply.info.cache_age = 0.0
        return reply

    async def _ask_and_store(self, key: str) -> ChatCompletion:
        reply = await self._ask()
        self._store(key, reply)
        return reply

    async def _ask_uncached(self) -> ChatCompletion:
        self._check_may_ask()
        return await self._ask()

    async def _ask(self) -> ChatCompletion:
        asking = self._call_next(self._request, self._options)
        reply = await (self._in_time(asking) if self._waited else asking)
        return await reply.get_final_completion() if isinstance(reply, CompletionStream) else reply

    def _store(self, key: str, reply: ChatCompletion) -> bytes | None:
        """Stores a reply, if it may be; returns its stored form, if it has one."""
        reply.info.cache_key = key
        try:
            value = write_reply(reply, time.time(), keep_raw=self._settings.keep_raw)
        except (TypeError, ValueError, RecursionError):
            return None
        if is_storable(reply) and len(value) <= self._settings.max_bytes:
            self._write(key, value)
        return value

    # --- streams ---

    async def stream(self) -> Reply:
        """A stored stream or whole reply, or a new stream, which is recorded.

        Raises:
            CacheMissError: there is none, and the call must not be made.
            CompletionError: what the call raises.
        """
        key = self._key
        if self._control.mode != "refresh":
            found = await self._find(key, self._replayed)
            if found is not None:
                return found
        self._check_may_ask()
        opening = self._call_next(self._request, self._options)
        reply = await (self._in_time(opening) if self._waited else opening)
        if key is None:
            return reply
        if isinstance(reply, ChatCompletion):
            self._store(key, reply)
            return reply
        recorder = StreamRecorder(
            partial(self._write, key),
            asyncio.get_running_loop().time,
            time.time,
            max_bytes=self._settings.max_bytes,
            keep_raw=self._settings.keep_raw,
        )
        reply.info.cache_key = key
        reply.on_end(recorder.end)
        if recorder.has_ended:  # other middleware has read it to its end, or closed it
            whole = await reply.get_final_completion()
            self._store(key, whole)
            return whole
        return reply.map(recorder.record)

    # --- stored replies ---

    async def _find(self, key: str | None, read: Callable[[StoredReply], T]) -> T | None:
        """The stored reply in the form that `read` gives; None if there is none."""
        value = None if key is None else await self._stored(key)
        return None if key is None or value is None else self._read(key, value, read)

    def _stored(self, key: str) -> Awaitable[bytes | None]:
        """The stored bytes, within the time of the call; None if there are none.

        Raises:
            APITimeoutError: the store took all of the time.
        """
        if not self._access.may_wait:
            return self._access.get(key)
        self._waited = True
        return self._in_time(self._access.get(key))

    def _read(self, key: str, value: bytes, read: Callable[[StoredReply], T]) -> T | None:
        try:
            return read(read_reply(value))
        except ValueError:  # of another version of this package, or damaged
            self._access.delete(self._call_next, key)
            return None

    def _whole(self, stored: StoredReply) -> ChatCompletion:
        reply = stored.completion()
        reply.info = self._info(stored)
        return reply

    def _replayed(self, stored: StoredReply) -> Reply:
        if stored.chunks is None:
            return self._whole(stored)
        usage_asked = bool((self._request.stream_options or {}).get("include_usage"))
        chunks = ReplayedChunks(stored.chunk_lines(), self._info(stored), self._settings.replay)
        return CompletionStream(chunks, usage_asked=usage_asked)

    def _info(self, stored: StoredReply) -> ReplyInfo:
        info = stored.reply_info()
        self._mark(info, self._key, max(0.0, time.time() - stored.created))
        return info

    def _mark(self, info: ReplyInfo, key: str | None, age: float) -> None:
        self.was_answered = True
        info.cached, info.cache_age, info.cache_key = True, age, key
        info.elapsed = asyncio.get_running_loop().time() - self._started

    def _write(self, key: str, value: bytes) -> None:
        ttl = self._settings.ttl if self._control.ttl is None else self._control.ttl
        self._access.set(self._call_next, key, value, None if ttl is None or ttl >= _UNLIMITED else ttl)

    # --- limits ---

    def _check_may_ask(self) -> None:
        if self._control.mode == "only":
            target = self._target
            text = "there is no stored reply to this request"
            raise CacheMissError(text, provider=target.provider, model=target.model)

    async def _in_time(self, waiting: Awaitable[T]) -> T:
        """The result of `waiting`, within the total time of this call.

        Raises:
            APITimeoutError: the time is over.
        """
        limit = self._target.time_limit
        if limit is None:
            return await waiting
        timer = asyncio.timeout_at(self._started + limit)
        try:
            async with timer:
                return await waiting
        except TimeoutError:
            if not timer.expired():
                raise
        target, elapsed = self._target, asyncio.get_running_loop().time() - self._started
        text = f"no reply within {limit:g} s, of which the cache took a part"
        raise APITimeoutError(text, provider=target.provider, model=target.model, phase="total", elapsed=elapsed)
