"""Stays within an account's limits and a sum of money, with the built-in limits, an own limiter and a middleware."""

import asyncio

from anycompletion import (
    AsyncCompletion,
    CallNext,
    CallOptions,
    ChatCompletion,
    ChatRequest,
    CompletionError,
    RateLimit,
    RateLimiter,
    Reply,
)
from anycompletion.integrations.prices import cost

LIMITS = {
    "openai": RateLimit(requests_per_minute=6000, tokens_per_minute=2_000_000, concurrency=8),
    "openai/gpt-4o-mini": RateLimit(concurrency=2),
}


class BudgetExceededError(Exception):
    """More was spent than allowed."""


class SpendingLimit:
    """Middleware that counts US dollars, and refuses calls when they are spent."""

    def __init__(self, dollars: float) -> None:
        self._left = dollars
        self.calls = 0

    async def __call__(self, request: ChatRequest, options: CallOptions, call_next: CallNext) -> Reply:
        if self._left <= 0:
            raise BudgetExceededError
        reply = await call_next(request, options)
        if isinstance(reply, ChatCompletion):
            self._spend(reply, None)
        else:
            reply.on_end(self._spend)
        return reply

    def _spend(self, reply: ChatCompletion, error: CompletionError | None) -> None:
        self.calls += 1
        self._left -= cost(reply) or 0.0


class OneAtATime:
    """A rate limiter that several clients of the program share."""

    def __init__(self) -> None:
        self._free = asyncio.Event()
        self._free.set()
        self.tokens: dict[str, int] = {}

    async def acquire(self, key: str, *, requests: int, tokens: int) -> None:
        while not self._free.is_set():
            await self._free.wait()
        self._free.clear()

    def settle(self, key: str, *, estimated: int, actual: int) -> None:
        self.tokens[key] = self.tokens.get(key, 0) + actual
        self._free.set()


async def main() -> None:
    budget = SpendingLimit(1e-6)
    async with AsyncCompletion(limits=LIMITS, middleware=[budget]) as client:
        print("limited:", (await client.create("openai/gpt-4o-mini", "Hello!")).info.attempts)
        try:
            await client.create("openai/gpt-4o-mini", "Hello again!")
        except BudgetExceededError:
            print("spent after", budget.calls, "call")

    shared = OneAtATime()
    limiter: RateLimiter = shared
    async with AsyncCompletion(rate_limiter=limiter) as one, AsyncCompletion(rate_limiter=limiter) as other:
        replies = await asyncio.gather(
            one.create("openai/gpt-4o-mini", "Hello!"), other.create("anthropic/claude-haiku-4-5", "Hello!")
        )
        async with one.stream("openai/gpt-4o-mini", "Hello!") as stream:
            streamed = await stream.get_final_completion()
    spent = sum(reply.usage.total_tokens or 0 for reply in (*replies, streamed) if reply.usage is not None)
    print("counted:", sorted(shared.tokens), sum(shared.tokens.values()) == spent)


if __name__ == "__main__":
    asyncio.run(main())
