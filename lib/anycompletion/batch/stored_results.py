"""Results that are read from a journal, as they were or as values of a type."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeVar, overload

from ..errors import ReplyError
from ..records.results import Result
from .journal import read_results as read_journal

if TYPE_CHECKING:
    from typing_extensions import TypeForm

    from ..structured import ParsedResult, SupportsValidateJSON
    from ..structured.reply_type import ReplyType

T = TypeVar("T")

_UNTYPED: Any = object()


@overload
def read_results(path: str | PathLike[str]) -> Iterator[Result]: ...
@overload
def read_results(
    path: str | PathLike[str], *, into: type[T] | SupportsValidateJSON[T]
) -> Iterator[ParsedResult[T]]: ...
@overload
def read_results(path: str | PathLike[str], *, into: TypeForm[T]) -> Iterator[ParsedResult[T]]: ...
def read_results(path: str | PathLike[str], *, into: Any = _UNTYPED) -> Iterator[Result]:
    """The results in a journal, one per item, in the order in which the items first ended.

    It takes no lock, so a run may be writing meanwhile: lines that are appended after the first result was asked for
    are not read, nor is an incomplete one. Requests are not in the journal, so `Result.request` is None.

    Args:
        path: the journal.
        into: the type of the values, as for ``client.batch(..., into=...)``. A reply that is no value of it is an
            error.

    Raises:
        InvalidRequestError: `into` is no type that can be read; raised at once.
        JournalError: there is no such file, it is no journal, or a line before the last is damaged.
    """
    if into is _UNTYPED:
        return read_journal(path)
    from ..structured.reply_type import ReplyType  # noqa: PLC0415 (few milliseconds, and many batches have no types)
    from ..structured.types import compile_type  # noqa: PLC0415 (as above)

    return _read_values(path, ReplyType(compile_type(into)))


def _read_values(path: str | PathLike[str], asked: ReplyType[Any]) -> Iterator[Result]:
    from ..structured import ParsedResult  # noqa: PLC0415 (loaded by now)

    for result in read_journal(path):
        parsed = ParsedResult.of(result)
        if result.completion is not None:
            try:
                parsed.completion = asked.read_stored(result.completion)
            except ReplyError as error:
                parsed.completion, parsed.error = None, error.with_traceback(None)
        yield parsed
