"""The items of a batch, one after the other, from whatever gives them; closes what it began to read."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping, Sized
from typing import Any, cast

from ..errors import InvalidRequestError


class ItemSource:
    """An iterable or async iterable that is read lazily, once."""

    def __init__(self, items: object) -> None:
        kind = type(items).__name__
        self.total = _length(items)
        """How many items there are, where that is known."""
        if isinstance(items, AsyncIterable):
            self._later: AsyncIterable[Any] | None = cast("AsyncIterable[Any]", items)
            self._now: Iterable[Any] = ()
        elif isinstance(items, Iterable) and not isinstance(items, (str, bytes, Mapping)):
            self._later, self._now = None, cast("Iterable[Any]", items)
        else:
            raise InvalidRequestError(f"requests: expected an iterable of requests, found {kind}", param="requests")
        self._iterator: Iterator[Any] | AsyncIterator[Any] | None = None

    @property
    def is_sync(self) -> bool:
        """Whether no item has to be waited for."""
        return self._later is None

    async def next(self, end: object) -> object:
        """The next item of an async iterable, or `end`. Raises what the iterable raises."""
        if self._iterator is None and self._later is not None:
            self._iterator = aiter(self._later)
        return await anext(cast("AsyncIterator[Any]", self._iterator), end)

    def next_now(self, end: object) -> object:
        """The next item of another one, or `end`. Raises what the iterable raises."""
        if self._iterator is None:
            self._iterator = iter(self._now)
        return next(cast("Iterator[Any]", self._iterator), end)

    async def aclose(self) -> None:
        """Ends a generator that was begun, so that its `finally` runs now; files and lists stay as they are.

        Raises what the generator raises.
        """
        iterator, self._iterator = self._iterator, None
        if isinstance(iterator, AsyncIterator):
            if hasattr(iterator, "aclose"):
                await cast("Any", iterator).aclose()
        elif iterator is not None and hasattr(iterator, "throw"):
            cast("Any", iterator).close()


def _length(items: object) -> int | None:
    return len(items) if isinstance(items, Sized) else None
