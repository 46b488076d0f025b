"""For engines that spread work over processes: lists of requests → lists of results; knows no engine.

`complete_many` is for engines that call functions (process pools, Spark, Celery), `ChatWorker` for those that keep an
object in each worker and await it (Ray Data, Dask's actors, Taskiq).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

from .batch import BatchItem
from .client import AsyncCompletion
from .errors import ClientClosedError
from .records import Result


class ChatWorker:
    """Maps lists of requests to lists of results, with one client that opens at the first call.

    Args:
        concurrency: how many requests of one call are in flight at most; None finds out what the provider takes. Calls
            that run at the same time share the client and count each for itself.
        **client_options: what `AsyncCompletion` takes. To be pickled, leave the keys to the worker's environment.

    It pickles as its options, before and after it was used. An error is a value in its request's place, so that one bad
    row ends no job.
    """

    def __init__(self, *, concurrency: int | None = None, **client_options: Any) -> None:
        self._concurrency = concurrency
        self._options = client_options
        self._client: AsyncCompletion | None = None

    def __reduce__(self) -> Any:
        return _worker, (type(self), self._concurrency, self._options)

    async def __call__(self, requests: Iterable[BatchItem]) -> list[Result]:
        """The results, in the order of the requests; see `AsyncCompletion.batch` for what a request may be.

        Raises:
            ClientClosedError: it is called in another event loop than before.
        """
        if self._client is None:
            self._client = AsyncCompletion(**self._options)
        async with self._client.batch(requests, concurrency=self._concurrency, ordered=True) as run:
            return [result async for result in run]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes the client; another call opens a new one."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


def _worker(cls: type[ChatWorker], concurrency: int | None, options: dict[str, Any]) -> ChatWorker:
    return cls(concurrency=concurrency, **options)


def complete_many(
    requests: Iterable[BatchItem], *, concurrency: int | None = None, **client_options: Any
) -> list[Result]:
    """The results of a list of requests, in its order: a batch in an event loop and with a client of its own.

    For workers that have no event loop. `concurrency` and the requests are those of `AsyncCompletion.batch`, all other
    arguments are those of `AsyncCompletion`. Errors are values.

    Raises:
        ClientClosedError: an event loop is running, which this would stop; await ``client.batch`` there.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_complete(requests, concurrency, client_options))
    raise ClientClosedError("complete_many would block the event loop that is running; use client.batch(...) there")


async def _complete(requests: Iterable[BatchItem], concurrency: int | None, options: dict[str, Any]) -> list[Result]:
    async with ChatWorker(concurrency=concurrency, **options) as worker:
        return await worker(requests)
