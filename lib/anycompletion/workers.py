"""Batches for engines that distribute work over processes: lists of requests → lists of results; imports no engine.

`complete_many` is for engines that call functions (process pools, Spark, Celery), `ChatWorker` for engines that keep
an object in each worker and await it (Ray Data, Dask's actors, Taskiq).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Unpack

from . import AsyncCompletion, ClientClosedError, ClientOptions, Result
from ._async import ClosedOnExit
from .batch import BatchItem


class ChatWorker(ClosedOnExit):
    """Maps lists of requests to lists of results, with one client that is created at the first call.

    Args:
        concurrency: maximum requests in flight per call; None adapts to what the provider accepts. Concurrent calls
            share the client, and each has a maximum of its own.
        **client_options: arguments of `AsyncCompletion`. For pickling, leave keys to the worker's environment.

    It pickles as its options, before and after use, unless there is a key or password in them. An error is a value in
    its request's place, so that one bad row does not end a job.
    """

    def __init__(self, *, concurrency: int | None = None, **client_options: Unpack[ClientOptions]) -> None:
        self._concurrency = concurrency
        self._options = client_options
        self._client: AsyncCompletion | None = None

    def __reduce__(self) -> Any:
        AsyncCompletion(**self._options).__reduce__()  # raises where the options have a key or password
        return _worker, (type(self), self._concurrency, self._options)

    async def __call__(self, requests: Iterable[BatchItem]) -> list[Result]:
        """The results, in the order of the requests; `AsyncCompletion.batch` documents the types of requests.

        Raises:
            ClientClosedError: the event loop is not the one of the first call.
        """
        if self._client is None:
            self._client = AsyncCompletion(**self._options)
        async with self._client.batch(requests, concurrency=self._concurrency, ordered=True) as run:
            return [result async for result in run]

    async def aclose(self) -> None:
        """Closes the client; another call creates a new one."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


def _worker(cls: type[ChatWorker], concurrency: int | None, options: ClientOptions) -> ChatWorker:
    return cls(concurrency=concurrency, **options)


def complete_many(
    requests: Iterable[BatchItem], *, concurrency: int | None = None, **client_options: Unpack[ClientOptions]
) -> list[Result]:
    """The results of a list of requests, in its order: a batch in a new event loop with a client of its own.

    For workers without an event loop. `requests` and `concurrency` are those of `AsyncCompletion.batch`, all other
    arguments those of `AsyncCompletion`. Errors are values.

    Raises:
        ClientClosedError: an event loop is running, which this would block; await ``client.batch`` there.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_complete(requests, concurrency, client_options))
    raise ClientClosedError("complete_many would block the event loop that is running; use client.batch(...) there")


async def _complete(requests: Iterable[BatchItem], concurrency: int | None, options: ClientOptions) -> list[Result]:
    async with ChatWorker(concurrency=concurrency, **options) as worker:
        return await worker(requests)


__all__ = ["ChatWorker", "complete_many"]
