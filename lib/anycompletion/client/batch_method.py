"""The method of AsyncCompletion for batches; what it does is in `batch`, loaded at its first use."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeVar, overload

from ..errors import InvalidRequestError
from .dispatch import CallDispatcher

if TYPE_CHECKING:
    from typing_extensions import TypeForm

    from ..batch import BatchItems, BatchProgress, BatchRun, ParsedBatchRun
    from ..structured import ParseMode, SupportsValidateJSON

T = TypeVar("T")

UNTYPED: Any = object()
"""In place of a type, of which None is one."""


class BatchMethod:
    """Base class of `AsyncCompletion`: many requests at once."""

    _dispatcher: CallDispatcher

    @overload
    def batch(
        self,
        requests: BatchItems,
        *,
        concurrency: int | None = None,
        journal: str | PathLike[str] | None = None,
        ordered: bool = False,
        on_progress: Callable[[BatchProgress], object] | None = None,
    ) -> BatchRun: ...
    @overload
    def batch(
        self,
        requests: BatchItems,
        *,
        into: type[T] | SupportsValidateJSON[T],
        mode: ParseMode = "auto",
        strict: bool | None = None,
        max_reasks: int = 0,
        validate: Callable[[T], object] | None = None,
        concurrency: int | None = None,
        journal: str | PathLike[str] | None = None,
        ordered: bool = False,
        on_progress: Callable[[BatchProgress], object] | None = None,
    ) -> ParsedBatchRun[T]: ...
    @overload
    def batch(
        self,
        requests: BatchItems,
        *,
        into: TypeForm[T],
        mode: ParseMode = "auto",
        strict: bool | None = None,
        max_reasks: int = 0,
        validate: Callable[[T], object] | None = None,
        concurrency: int | None = None,
        journal: str | PathLike[str] | None = None,
        ordered: bool = False,
        on_progress: Callable[[BatchProgress], object] | None = None,
    ) -> ParsedBatchRun[T]: ...
    def batch(
        self,
        requests: BatchItems,
        *,
        into: Any = UNTYPED,
        mode: ParseMode = "auto",
        strict: bool | None = None,
        max_reasks: int = 0,
        validate: Callable[[Any], object] | None = None,
        concurrency: int | None = None,
        journal: str | PathLike[str] | None = None,
        ordered: bool = False,
        on_progress: Callable[[BatchProgress], object] | None = None,
    ) -> BatchRun:
        """Sends many requests concurrently; iterating over the run gives their results as they arrive.

        Args:
            requests: an iterable or async iterable, which is read as needed: `ChatRequest`s, dicts of `create`'s
                arguments (call options and ``custom_id`` among them), input lines of OpenAI's Batch API, or ``(id,
                request)``. An argument that `create` does not have is the error of its item.
            concurrency: maximum number of requests in flight, of all providers together. None (the default) adapts to
                each provider: 16 at first, 512 at most, a little less after a refusal, half after many. An item whose
                provider is at its limit delays those of other providers only when 512 items wait.
            journal: a file that stores the results, so that an interrupted run can be resumed: items whose result is in
                it are skipped, permanent errors among them (see `BatchProgress.skipped` and `skipped_failed`, and
                `read_results`), items that failed with a temporary error are sent again. The file is locked during the
                run, which needs POSIX.
            ordered: whether results are in the order of the requests. A slow item then delays those after it; 256 of
                them (twice the concurrency, if that is more) may finish meanwhile, then no new item is sent. Without
                `concurrency`, up to 2,048 items are read before the first result is taken, in either order.
            on_progress: called with a `BatchProgress`, at most ten times a second, and at the end.
            into: the type of the replies, as for `parse`. Results are then `ParsedResult`s, with the value in
                `.parsed`. A reply that is no value of the type is the error of its item, which the next run with the
                journal asks for again. The type is part of what is asked, so that a journal has values of one type.
            mode: as for `parse`, like the next three arguments; only with `into`.
            strict: whether the provider has to guarantee the form.
            max_reasks: how often the model is asked again where a reply does not fit.
            validate: a function of each value that raises ValueError or TypeError where it is wrong.

        Starts at ``async with`` or when the first result is read. Iterating gives a `Result` for each item that is not
        skipped. Errors are values, also for items that are invalid or have an id that was used before, and the run
        continues. With a journal, a result is stored before it is returned, and an item without an id gets one that is
        computed from its request.

        Raises:
            InvalidRequestError: an invalid argument.
            JournalError: while iterating: the journal is in use, damaged or cannot be written (`UnwrittenError`, which
                has the results that are not in it), or an item has the id of an earlier one with another request.
            ClientClosedError: while iterating: the client was closed.

        An exception of the iterable is raised after the results of all items that were read before it; one of
        middleware that is not a `CompletionError`, such as that of a budget, ends the run as well.
        """
        kept: dict[str, Any] = {
            "concurrency": concurrency,
            "journal": journal,
            "ordered": ordered,
            "on_progress": on_progress,
        }
        typing = {"mode": mode, "strict": strict, "max_reasks": max_reasks, "validate": validate}
        if into is UNTYPED:
            from ..batch import BatchRun  # noqa: PLC0415 (3.5 ms, and most programs run no batch)
            from .batch_calls import BatchCalls  # noqa: PLC0415

            refuse_typing(typing)
            return BatchRun(requests, client=BatchCalls(self, self._dispatcher), **kept)
        from .parsed_batch import parsed_batch  # noqa: PLC0415 (loads the types, which many batches do not need)

        return parsed_batch(self, self._dispatcher, requests, into, typing, kept)


def refuse_typing(given: dict[str, Any]) -> None:
    """Refuses arguments that have no meaning without a type."""
    for name, default in (("mode", "auto"), ("strict", None), ("max_reasks", 0), ("validate", None)):
        if given[name] != default:
            raise InvalidRequestError(f"{name}: only with into=, the type of the replies", param=name)
