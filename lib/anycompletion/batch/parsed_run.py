"""ParsedBatchRun, a batch whose replies are values of one type; loads nothing of `structured` itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic

from ..records.results import Result
from .batch_client import BatchClient
from .run import BatchRun

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from ..structured import ParsedResult

    T_co = TypeVar("T_co", default=Any, covariant=True)
else:
    from typing import TypeVar

    T_co = TypeVar("T_co", covariant=True)


class ParsedBatchRun(BatchRun, Generic[T_co]):
    """A batch in progress, made by ``client.batch(..., into=...)``: an async iterator over `ParsedResult`s."""

    def __init__(
        self,
        requests: object,
        *,
        client: BatchClient,
        into: str,
        as_parsed: Callable[[Result], ParsedResult[Any]],
        **options: Any,
    ) -> None:
        """Makes a run of calls whose replies are values.

        Args:
            requests: as for `BatchRun`.
            client: completes requests as `ParsedCompletion`s.
            into: digest of the type.
            as_parsed: makes the result with the value.
            **options: as for `BatchRun`.
        """
        super().__init__(requests, client=client, into=into, **options)
        self._as_parsed = as_parsed

    async def __anext__(self) -> ParsedResult[T_co]:
        return self._as_parsed(await super().__anext__())
