"""Answers repeated requests from memory: a middleware whose replies serve streams, too, and are asked for only once."""

import asyncio
import hashlib
import json
from collections.abc import Awaitable
from typing import Protocol

from anycompletion import (
    AsyncCompletion,
    CallNext,
    CallOptions,
    ChatCompletion,
    ChatCompletionChunk,
    ChatRequest,
    CompletionError,
    Reply,
)


class Storage(Protocol):
    """A place for replies as JSON, such as Redis."""

    def get(self, key: str) -> Awaitable[bytes | None]: ...

    def set(self, key: str, value: bytes) -> Awaitable[None]: ...


class Memory:
    """A storage in memory."""

    def __init__(self) -> None:
        self._values: dict[str, bytes] = {}

    async def get(self, key: str) -> bytes | None:
        return self._values.get(key)

    async def set(self, key: str, value: bytes) -> None:
        self._values[key] = value


def key_of(request: ChatRequest) -> str:
    return hashlib.sha256(json.dumps(request.to_dict(), sort_keys=True).encode()).hexdigest()


class ReplyCache:
    """Middleware that keeps whole replies."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._locks: dict[str, asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.hits = 0

    async def __call__(self, request: ChatRequest, options: CallOptions, call_next: CallNext) -> Reply:
        key = key_of(request)
        async with self._locks.setdefault(key, asyncio.Lock()):
            kept = await self._storage.get(key)
            if kept is not None:
                self.hits += 1
                return ChatCompletion.from_dict(json.loads(kept))
            reply = await call_next(request, options)
            if isinstance(reply, ChatCompletion):
                await self._keep(key, reply)
                return reply

        def on_end(completion: ChatCompletion, error: CompletionError | None) -> None:
            if error is None:
                task = asyncio.get_running_loop().create_task(self._keep(key, completion))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

        reply.on_end(on_end)
        return reply

    async def _keep(self, key: str, reply: ChatCompletion) -> None:
        await self._storage.set(key, reply.model_dump_json().encode())


async def lower_case(request: ChatRequest, options: CallOptions, call_next: CallNext) -> Reply:
    """Another middleware, which changes what comes back."""

    def change(chunk: ChatCompletionChunk) -> ChatCompletionChunk | None:
        for choice in chunk.choices:
            if choice.delta.content is not None:
                choice.delta.content = choice.delta.content.lower()
        return chunk

    reply = await call_next(request, options)
    if not isinstance(reply, ChatCompletion):
        return reply.map(change)
    for choice in reply.choices:
        if choice.message.content is not None:
            choice.message.content = choice.message.content.lower()
    return reply


async def main() -> None:
    cache = ReplyCache(Memory())
    async with AsyncCompletion(middleware=[lower_case, cache]) as client:
        calls = [client.create("openai/gpt-4o-mini", "Hello!", temperature=0) for _ in range(3)]
        replies = await asyncio.gather(*calls)
        print("the same:", len({reply.text for reply in replies}), "hits:", cache.hits)
        async with client.stream("openai/gpt-4o-mini", "Hello!", temperature=0) as stream:
            text = "".join([text async for text in stream.text])
        print("streamed:", text == replies[0].text == text.lower(), "hits:", cache.hits)
        async with client.stream("anthropic/claude-haiku-4-5", "Bye!") as stream:
            await stream.get_final_completion()
        await asyncio.sleep(0)
        await client.create("anthropic/claude-haiku-4-5", "Bye!")
        print("kept of a stream:", cache.hits)


if __name__ == "__main__":
    asyncio.run(main())
