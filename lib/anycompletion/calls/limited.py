"""Calls that have limits: each attempt is let in before it is sent, and says what it took when it is over.

They are classes of their own so that calls without limits pay nothing for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ..errors import APIError, APITimeoutError, CompletionError
from ..http import HttpRequest
from ..rate_limit_headers import remaining_quotas
from ..ratelimit.client_limits import Permit
from ..ratelimit.limiter import RemainingQuota
from ..ratelimit.token_estimate import estimated_tokens, used_tokens
from ..records import ChatCompletion, ChatRequest, ReplyInfo, Usage
from ..records.chunks import ChatCompletionChunk
from ..transport import Response
from .call import Call
from .chunk_source import CallChunks
from .plan import CallPlan


class RateLimitedCall(Call):
    """A call that waits for its turn."""

    __slots__ = ("_ticket",)

    def __init__(self, plan: CallPlan, request: ChatRequest, info: ReplyInfo, began: float = 0.0) -> None:
        super().__init__(plan, request, info, began)
        self._ticket: Permit | None = None
        """Of the attempt that is under way."""

    async def send(self, request: HttpRequest, body: bytes | None, accept: str) -> Response:
        """Sends one request; the one that asks for an answer, as opposed to those that look after it, when it may."""
        if body is None:
            return await super().send(request, body, accept)
        ticket = self._ticket = await self._enter(estimated_tokens(self.request, len(body)))
        before = self.info.headers
        try:
            return await super().send(request, body, accept)
        finally:
            if self.info.headers is not before:
                ticket.update_from_headers([RemainingQuota(*left) for left in remaining_quotas(self.info.headers)])

    async def _enter(self, tokens: int) -> Permit:
        limits = self.plan.limits
        assert limits is not None, "that is why it is a limited call"
        clock = asyncio.timeout(self.time_left())
        try:
            async with clock:
                ticket = await limits.acquire(tokens)
        except TimeoutError:
            if not clock.expired():
                raise
        else:
            return ticket
        raise APITimeoutError(
            f"the total timeout ran out while the call waited for the limits of {limits.key}", phase="total"
        )

    def leave(self, usage: Usage | None = None, *, refused: bool = False) -> None:
        """What was sent is over. A refusal took no tokens; where nobody knows what it took, the estimate stands."""
        ticket, self._ticket = self._ticket, None
        if ticket is not None:
            ticket.settle(0 if refused else used_tokens(usage))

    async def retry_or_raise(self, error: APIError, tried: int, *, creating: bool = False) -> None:
        """Waits before the next attempt, or raises `error`, stamped; who waits for that holds nothing."""
        if creating:
            self.leave(refused=not error.maybe_billed)
        await super().retry_or_raise(error, tried, creating=creating)

    async def complete(self) -> ChatCompletion:
        """One reply."""
        try:
            completion = await super().complete()
        except BaseException:  # it failed or was cancelled after it was sent, and what it took is not known
            self.leave()
            raise
        self.leave(completion.usage)
        return completion


class RateLimitedChunks(CallChunks):
    """The chunks of a call that waits for its turn."""

    __slots__ = ("_limited", "_usage")

    def __init__(self, call: RateLimitedCall) -> None:
        super().__init__(call)
        self._limited = call
        self._usage: Usage | None = None

    async def open(self) -> None:
        """Sends the request; returns after a good status."""
        try:
            await super().open()
        except BaseException:  # failed, cancelled, or closed meanwhile
            self._limited.leave()
            raise

    async def next(self) -> Sequence[ChatCompletionChunk] | None:
        """The next chunks, at least one; None at the proper end."""
        try:
            chunks = await super().next()
        except BaseException:  # the stream failed, or its reader was cancelled, which ends it too
            self._limited.leave()
            raise
        for chunk in chunks or ():
            self._usage = chunk.usage or self._usage
        if self._ended:
            self._limited.leave(self._usage)
        return chunks

    def _close(self, end: CompletionError | None) -> None:
        super()._close(end)
        self._limited.leave()
