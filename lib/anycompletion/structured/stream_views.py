"""Views of a typed stream: partial values, and the items of a list; they read the same chunks as the stream itself."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, Self, TypeVar

from .._boundary import ITERATION_ENDS, iteration_error
from .item_scanner import ItemScanner
from .partial import Partial, PartialScanner

T = TypeVar("T")


class ChoiceText:
    """The text of one choice of a stream, as it arrives.

    Args:
        read_more: reads more of the stream; raises StopAsyncIteration at its end.
        pieces: the text so far, in a list to which later pieces are appended, and in which pieces are joined at times.
    """

    __slots__ = ("_count", "_first", "_length", "_pieces", "_read_more")

    def __init__(self, read_more: Callable[[], Awaitable[None]], pieces: Callable[[], Sequence[str]]) -> None:
        self._read_more = read_more
        self._pieces = pieces
        self._length = 0
        """Characters that were returned."""
        self._first = ""
        self._count = 0
        """The first piece, and the number of pieces, when the last text was returned."""

    async def read_more(self) -> bool:
        """Reads more of the stream; whether there was more."""
        try:
            await self._read_more()
        except StopAsyncIteration:
            return False
        return True

    def new(self) -> str:
        """What has arrived since the last time, also what others have read of the stream."""
        pieces = self._pieces()
        if not pieces:
            return ""
        if self._first and pieces[0] is self._first:
            text = "".join(pieces[self._count :])
        else:  # joined in the meantime
            text = "".join(pieces)[self._length :]
        self._first, self._count = pieces[0], len(pieces)
        self._length += len(text)
        return text


class PartialView:
    """Async iterator over the partial values of a choice.

    Args:
        begin: returns the choice's text, and a scanner for the form of the reply.
        restarts: how often the reply has begun anew.
        every: seconds that pass at least between two partials.
        check_end: the data of the whole choice; raises the error of one that is refused, cut or no JSON.
    """

    def __init__(
        self,
        begin: Callable[[], tuple[ChoiceText, PartialScanner]],
        restarts: Callable[[], int],
        every: float,
        check_end: Callable[[], Any],
    ) -> None:
        self._begin = begin
        self._text, self._scanner = begin()
        self._restarts = restarts
        self._seen_restarts = restarts()
        self._every = every
        self._check_end = check_end
        self._due = 0.0
        """When the next partial may be returned, on the loop's clock."""
        self._is_last_out = False
        """Whether the finished partial was returned."""
        self._ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Partial:
        while not self._ended:
            partial = self._partial()
            if partial is not None:
                return partial
            if not await self._text.read_more():
                self._ended = True
                last = self._last()
                if last is not None:
                    return last
        raise StopAsyncIteration

    def _partial(self) -> Partial | None:
        """The next partial, if there is something new and it is due."""
        now = asyncio.get_running_loop().time()
        if self._restarts() != self._seen_restarts:
            self._seen_restarts = self._restarts()
            self._text, self._scanner = self._begin()
            self._is_last_out = False
        if self._is_last_out or now < self._due:
            return None
        self._scanner.feed(self._text.new())
        partial = self._scanner.read()
        if partial is not None:
            self._due = now + self._every
            self._is_last_out = partial.finished
        return partial

    def _last(self) -> Partial | None:
        data = self._check_end()
        if self._is_last_out:
            return None
        self._is_last_out = True
        return Partial(data, None, finished=True)


class ItemView(Generic[T]):
    """Async iterator over the items of a list.

    Args:
        text: the choice's text.
        scanner: for the form of the reply.
        decode: makes an item of its JSON and its index.
        check_end: as for `PartialView`.
        whole: the whole list; raises the error of a reply that is none.
    """

    def __init__(
        self,
        text: ChoiceText,
        scanner: ItemScanner,
        decode: Callable[[bytes, int], T],
        check_end: Callable[[], Any],
        whole: Callable[[], Iterable[T]],
    ) -> None:
        self._text = text
        self._scanner = scanner
        self._decode = decode
        self._check_end = check_end
        self._whole = whole
        self._pending = deque[bytes]()
        """The JSON of items that were not returned yet."""
        self._count = 0
        """Items that were returned or refused."""
        self._ended = False
        """Whether the stream has ended."""
        self._rest: Iterator[T] | None = None
        """Items that the scanner did not find; None until all others were returned."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while not self._take() and not self._ended:
            self._ended = not await self._text.read_more()
        if self._pending:
            self._count += 1
            return self._item(self._pending.popleft(), self._count - 1)
        if self._rest is None:
            self._rest = iter(())
            self._rest = self._end()
        for item in self._rest:
            return item
        raise StopAsyncIteration

    def _item(self, data: bytes, index: int) -> T:
        try:
            return self._decode(data, index)
        except ITERATION_ENDS as error:  # of a constructor
            raise iteration_error(error) from error

    def _take(self) -> bool:
        """Adds the items that have arrived; whether there are any."""
        if not self._pending:
            self._scanner.feed(self._text.new())
            self._pending.extend(self._scanner.take())
        return bool(self._pending)

    def _end(self) -> Iterator[T]:
        if not self._scanner.has_all:
            return itertools.islice(self._whole(), self._count, None)
        self._check_end()
        return iter(())
