"""Reads the items of a batch one by one from a sync or async iterable, and closes the generator that it read."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping, Sized
from typing import Any, cast

from .._boundary import iteration_error
from ..errors import InvalidRequestError


class ItemSource:
    """An iterable or async iterable that is read lazily, once."""

    def __init__(self, items: object) -> None:
        kind = type(items).__name__
        self.total = len(items) if isinstance(items, Sized) else None
        """Number of items; None where it is unknown."""
        self._async: AsyncIterable[Any] | None = None
        self._sync: Iterable[Any] = ()
        if isinstance(items, AsyncIterable):
            self._async = cast("AsyncIterable[Any]", items)
        elif isinstance(items, Iterable) and not isinstance(items, (str, bytes, Mapping)):
            self._sync = cast("Iterable[Any]", items)
        else:
            raise InvalidRequestError(f"requests: expected an iterable of requests, found {kind}", param="requests")
        self._iterator: Iterator[Any] | AsyncIterator[Any] | None = None

    @property
    def is_sync(self) -> bool:
        """Whether `next_now` reads the items, and not `next`."""
        return self._async is None

    async def next(self, end: object) -> object:
        """The next item of an async iterable, or `end`. Raises what the iterable raises."""
        if self._iterator is None and self._async is not None:
            self._iterator = aiter(self._async)
        return await anext(cast("AsyncIterator[Any]", self._iterator), end)

    def next_now(self, end: object) -> object:
        """The next item of a sync iterable, or `end`. Raises what the iterable raises."""
        if self._iterator is None:
            self._iterator = iter(self._sync)
        try:
            return next(cast("Iterator[Any]", self._iterator), end)
        except GeneratorExit as error:
            raise iteration_error(error) from error

    async def aclose(self) -> None:
        """Closes a generator that was started, so that its `finally` runs now; files and lists are not closed.

        Raises what the generator raises.
        """
        iterator, self._iterator = self._iterator, None
        if isinstance(iterator, AsyncIterator):
            if hasattr(iterator, "aclose"):
                await cast("Any", iterator).aclose()
        elif iterator is not None and hasattr(iterator, "throw"):
            cast("Any", iterator).close()
