"""ParsedCompletion: a chat completion together with the values that were read out of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic

from attrs import define

from ..errors import ReplyError
from ..records import ChatCompletion, Choice
from ..records.base import hidden

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    T_co = TypeVar("T_co", default=Any, covariant=True)
else:
    from typing import TypeVar

    T_co = TypeVar("T_co", covariant=True)


@define(repr=False, eq=False)
class ParsedCompletion(ChatCompletion, Generic[T_co]):
    """A chat completion with the values of its choices; `to_dict()` is OpenAI's JSON, without them.

    Where the schema was sent as a tool, the arguments of the call are the content, and the finish reason is "stop".
    """

    _values: Sequence[T_co] = hidden(factory=list, repr=False, kw_only=True)
    _invalid: Sequence[ReplyError] = hidden(factory=list, repr=False, kw_only=True)

    @classmethod
    def of(
        cls,
        reply: ChatCompletion,
        choices: list[Choice],
        values: Sequence[T_co],
        invalid: Sequence[ReplyError] = (),
    ) -> ParsedCompletion[T_co]:
        """A reply with these choices and the values that were read out of them."""
        make: Any = cls  # pyright does not know the names of private fields
        parsed: ParsedCompletion[T_co] = make(
            reply.id,
            choices,
            reply.model,
            reply.created,
            reply.object,
            reply.usage,
            reply.service_tier,
            reply.system_fingerprint,
            extra=reply.extra,
            raw=reply._raw,  # noqa: SLF001 (a subclass)
            raw_json=reply._raw_json,  # noqa: SLF001
            info=reply._info,  # noqa: SLF001
            values=values,
            invalid=invalid,
        )
        return parsed

    @property
    def parsed(self) -> T_co:
        """The value of the first choice that fits the type."""
        return self._values[0]

    @property
    def parsed_all(self) -> list[T_co]:
        """The values of all choices that fit the type, in order."""
        return list(self._values)

    @property
    def invalid(self) -> list[ReplyError]:
        """The errors of the other choices, each with its `.choice`, refusals and cut replies among them."""
        return list(self._invalid)
