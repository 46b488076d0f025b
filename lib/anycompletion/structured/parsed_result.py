"""ParsedResult: the value of a call or its error, as one object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, cast

from attrs import define

from ..records.results import Result
from .parsed_completion import ParsedCompletion

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    T_co = TypeVar("T_co", default=Any, covariant=True)
else:
    from typing import TypeVar

    T_co = TypeVar("T_co", covariant=True)


@define(eq=False, repr=False)
class ParsedResult(Result, Generic[T_co]):
    """Result of one typed call: exactly one of `completion`, which has the value, and `error` is set.

    A reply that does not fit the type is an error, a `ReplyError`, with the reply as its `partial`.
    """

    @property
    def parsed(self) -> T_co | None:
        """The value; None where there is an error."""
        return None if self.completion is None else self.unwrap().parsed

    def unwrap(self) -> ParsedCompletion[T_co]:
        """The completion, with the value in `.parsed`.

        Raises:
            CompletionError: the error, if there is no completion.
        """
        return cast("ParsedCompletion[T_co]", super().unwrap())

    @classmethod
    def of(cls, result: Result) -> ParsedResult[Any]:
        """A result whose completion, if it has one, is a `ParsedCompletion`."""
        return cls(result.completion, result.error, result.custom_id, result.request)
