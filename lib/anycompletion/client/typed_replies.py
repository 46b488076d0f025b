"""The methods of AsyncCompletion for typed replies; what they do is in `structured`, loaded at their first use."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from .._boundary import hides_frames
from ..records import Messages
from .dispatch import CallDispatcher
from .state import ClientState

if TYPE_CHECKING:
    from typing_extensions import TypeForm

    from ..records.call_params import ParseParams
    from ..structured import ParsedCompletion, ParsedStream, ParseMode, SupportsValidateJSON

T = TypeVar("T")


class TypedReplyMethods:
    """Base class of `AsyncCompletion`: the calls whose replies are values of a type."""

    _state: ClientState
    _dispatcher: CallDispatcher

    @overload
    async def parse(
        self,
        model: str,
        messages: Messages,
        into: type[T] | SupportsValidateJSON[T],
        *,
        mode: ParseMode = "auto",
        strict: bool | None = None,
        max_reasks: int = 0,
        validate: Callable[[T], object] | None = None,
        **params: Unpack[ParseParams],
    ) -> ParsedCompletion[T]: ...
    @overload
    async def parse(
        self,
        model: str,
        messages: Messages,
        into: TypeForm[T],
        *,
        mode: ParseMode = "auto",
        strict: bool | None = None,
        max_reasks: int = 0,
        validate: Callable[[T], object] | None = None,
        **params: Unpack[ParseParams],
    ) -> ParsedCompletion[T]: ...
    @hides_frames
    async def parse(
        self,
        model: str,
        messages: Messages,
        into: Any,
        *,
        mode: ParseMode = "auto",
        strict: bool | None = None,
        max_reasks: int = 0,
        validate: Callable[[Any], object] | None = None,
        **params: Unpack[ParseParams],
    ) -> ParsedCompletion[Any]:
        """One reply as a value of a type: a `ChatCompletion` with `.parsed`.

        Args:
            model: as for `create`.
            messages: as for `create`.
            into: the type: a dataclass, attrs class, TypedDict, NamedTuple, msgspec Struct, pydantic model or
                TypeAdapter, an enum, a Literal, a list, a dict, a union, or a combination of these.
            mode: how the type is sent: "schema" as the format of the reply, "tool" as a function that the model has to
                call, "json" in the prompt with the provider's JSON mode, "prompt" in the prompt alone. Default: the
                best that the provider has.
            strict: whether the provider has to guarantee the form. Default: where it can, without a change of meaning.
            max_reasks: how often the model is asked again, with its last reply and what is wrong with it, if the reply
                does not fit. Each is paid for; usage and attempts are sums. Default 0.
            validate: a function of the value that raises ValueError or TypeError where the value is wrong. What it
                returns is ignored.
            **params: as for `create`, without those about the form of the reply and about tools.

        Raises:
            ReplyValidationError: the reply is no JSON, does not fit the type, or was refused by a constructor of it or
                by `validate`; `.path` is the place.
            ReplyTruncatedError: the reply ended at the token limit; `.data` is the part that arrived.
            ReplyRefusedError: the model refused, or a content filter ended the reply.
            InvalidRequestError: `into` is no type that can be sent, or the request is invalid; nothing was sent.
            UnsupportedParameterError: the provider does not have `mode`, or `strict` for this type; nothing was sent.
            APIError: as `create`.
        """
        from ..structured.parse import parse, typed_call  # noqa: PLC0415 (few ms, and many programs read text only)

        started = await self._state.start_call()
        arguments = {"mode": mode, "strict": strict, "validate": validate}
        try:
            asked, typed, options = typed_call(self._dispatcher, model, messages, into, arguments, params)
        finally:
            del params  # errors of `validate` and of middleware keep their traceback, which has this frame
        return await parse(self._dispatcher, asked, typed, options, max_reasks, started)

    @overload
    def parse_stream(
        self,
        model: str,
        messages: Messages,
        into: type[T] | SupportsValidateJSON[T],
        *,
        mode: ParseMode = "auto",
        strict: bool | None = None,
        validate: Callable[[T], object] | None = None,
        **params: Unpack[ParseParams],
    ) -> ParsedStream[T]: ...
    @overload
    def parse_stream(
        self,
        model: str,
        messages: Messages,
        into: TypeForm[T],
        *,
        mode: ParseMode = "auto",
        strict: bool | None = None,
        validate: Callable[[T], object] | None = None,
        **params: Unpack[ParseParams],
    ) -> ParsedStream[T]: ...
    @hides_frames
    def parse_stream(
        self,
        model: str,
        messages: Messages,
        into: Any,
        *,
        mode: ParseMode = "auto",
        strict: bool | None = None,
        validate: Callable[[Any], object] | None = None,
        **params: Unpack[ParseParams],
    ) -> ParsedStream[Any]:
        """A stream whose reply is a value of a type, which can be read while it arrives: `ParsedStream`.

        Takes the arguments of `parse`, except `max_reasks`. The request is validated now, and sent at ``async with`` or
        when the first chunk is read. Raises now what `parse` raises before sending.
        """
        from ..structured.parsed_stream import parse_stream  # noqa: PLC0415 (as in `parse`)

        arguments = {"mode": mode, "strict": strict, "validate": validate}
        return parse_stream(self._dispatcher, model, messages, into, arguments, params)
