"""ParsedStream: a stream whose reply is a value of a type, with views of the value while it arrives."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, Protocol, cast

from .._boundary import ITERATION_ENDS, UsageError, iteration_error
from ..calls.chunk_source import ChunkSource
from ..errors import APIResponseError, CompletionError, InvalidRequestError
from ..options import OptionValues
from ..providers.structured_support import StructuredMode
from ..records import ChatCompletion, ChatRequest
from ..streaming import CompletionStream
from ..streaming.passed_on import refuse_restarts
from ..validation.values import check_integer, check_number
from .argument_chunks import ArgumentChunks
from .item_scanner import ItemScanner
from .mismatch import ValueMismatch
from .parse import ProviderLookup, typed_call
from .parsed_choices import add_details, mismatch_error, parsed_completion
from .parsed_completion import ParsedCompletion
from .partial import Partial, PartialScanner, PlainData
from .reading import read_value
from .reasks import add_mode_note
from .reply_type import ReplyType, TypedRequest
from .stream_views import ChoiceText, ItemView, PartialView
from .types import TypePlan

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    X = TypeVar("X")
    T_co = TypeVar("T_co", default=Any, covariant=True)
else:
    from typing import TypeVar

    X = TypeVar("X")
    T_co = TypeVar("T_co", covariant=True)


class ParsedStream(CompletionStream, Generic[T_co]):
    """A streamed reply that is a value of a type; made by `client.parse_stream(...)`.

    It is read as any `CompletionStream`, or by `partials` or `items`, which read the same chunks: what one of them has
    read, the others do not get again, but all know the whole text so far. Where the type is sent as a tool, the
    arguments of the call are the content of the chunks.
    """

    def __init__(
        self,
        source: ChunkSource,
        *,
        usage_asked: bool = False,
        keep_text: bool = True,
        asked: ReplyType[T_co],
        typed: TypedRequest,
    ) -> None:
        self._asked = asked
        self._typed = typed
        # Over a route, the target that answers may be asked in any mode.
        self._is_routed = typed.request.reply_schema is not None
        self._arguments = ArgumentChunks(source, holds_text=not self._is_routed) if typed.mode == "tool" else None
        super().__init__(self._arguments or source, usage_asked=usage_asked, keep_text=keep_text)

    async def get_final_completion(self) -> ParsedCompletion[T_co]:
        """Reads the rest of the stream and returns the whole reply with its value; sends no second request.

        Raises:
            ReplyValidationError: the reply is no JSON, does not fit the type, or was refused by a constructor of it or
                by `validate`; `.path` is the place.
            ReplyTruncatedError: the reply ended at the token limit; `.data` is the part that arrived.
            ReplyRefusedError: the model refused, or a content filter ended the reply.
            InvalidRequestError: the stream does not keep its text (`keep_text=False`).
            StreamInterruptedError: the stream did not end properly, or was left early.
            APIError: the error that ended the stream.
        """
        return self._parsed(await super().get_final_completion())

    def partials(self, every: float = 0.05, choice: int = 0) -> AsyncIterator[Partial]:
        """An async iterator over what the value is so far, as plain data that is not validated: `Partial`.

        Strings grow; numbers, true, false and null appear when they are complete. Partials come while text comes: the
        first at once, the finished one always. After it, the stream is read to its end. If the reply begins anew at
        another target (``Route(restart_streams=True)``), so does the value.

        Args:
            every: seconds from one partial to the next, at least; with 0 there is one for each read that has new data.
            choice: index of the choice, where the call has ``n``.

        Raises:
            InvalidRequestError: an invalid argument; the stream does not keep its text (`keep_text=False`).
            ReplyValidationError: while iterating: the reply is no JSON. Whether it fits the type, only
                `get_final_completion` checks.
            ReplyTruncatedError, ReplyRefusedError, StreamInterruptedError, APIError: while iterating, at the end of the
                stream: as for `get_final_completion`.
        """
        self._check_keeps_text()
        every = check_number(every, "every")
        if every < 0:
            raise InvalidRequestError("every: expected a number of seconds that is not negative", param="every")
        choice = check_integer(0, (self._typed.request.n or 1) - 1)(choice, "choice")

        def begin() -> tuple[ChoiceText, PartialScanner]:
            scanner = PartialScanner(is_wrapped=self._asked.plan.wrapped, is_embedded=self._is_embedded)
            return self._text_of(choice, self._read_more), scanner

        return PartialView(begin, lambda: self.restarts, every, lambda: self._end_data(choice))

    def items(self: ParsedStream[list[X]]) -> AsyncIterator[X]:
        """For ``into=list[X]``, an async iterator over the items of choice 0, each built and checked when it has ended.

        An item that does not fit raises `ReplyValidationError` with its path, ``$[3]``, after the good ones before it;
        the next call gives the next item. What concerns the whole list, as its length and `validate`, only
        `get_final_completion` checks.

        Raises:
            InvalidRequestError: `into` is no list; the stream keeps no text (`keep_text=False`); or its reply may begin
                anew (``Route(restart_streams=True)``), which would give items twice.
            ReplyValidationError: while iterating: an item does not fit, or the reply is no list.
            ReplyTruncatedError, ReplyRefusedError, StreamInterruptedError, APIError: while iterating, after the items
                that have arrived: as for `get_final_completion`.
        """
        self._check_keeps_text()
        plan = cast("TypePlan[X] | None", self._asked.plan.element())
        if plan is None:
            raise InvalidRequestError(
                "items: into is no list; in place of a TypeAdapter, write list[...]", param="into"
            )
        refuse_restarts(self, "items")

        def decode(data: bytes, index: int) -> X:
            text = data.decode()
            try:
                return read_value(text, plan, "schema", [])
            except ValueMismatch as error:
                found = error.within(index)
            raise add_details(mismatch_error(found, 0, text), self.snapshot)

        scanner = ItemScanner(is_embedded=self._is_embedded)
        return ItemView(
            self._text_of(0, self._read_items), scanner, decode, lambda: self._end_data(0), self._whole_list
        )

    # --- what views are made of ---

    def _check_keeps_text(self) -> None:
        if not self._keep_text:
            raise InvalidRequestError("keep_text: this stream keeps no text, so it has no value", param="keep_text")

    @property
    def _is_embedded(self) -> bool:
        """Whether text may surround the value."""
        return self._is_routed or self._typed.mode in ("json", "prompt")

    def _text_of(self, choice: int, read_more: Callable[[], Awaitable[None]]) -> ChoiceText:
        return ChoiceText(read_more, functools.partial(self._accumulator.text_pieces, choice))

    async def _read_items(self) -> None:
        if not self._opened:
            await self.open()
            refuse_restarts(self, "items")  # known here at the latest, where middleware made the call
        await self._read_more()

    async def _read_more(self) -> None:
        """Reads the next chunk, and those that arrived with it."""
        await self.__anext__()
        try:
            deque(map(self._accumulator.add, self._ready), maxlen=0)
        except APIResponseError as error:  # there is more than a stream may have
            self._fail(error)
            raise

    def _end_with(self, error: CompletionError) -> None:
        add_mode_note(error, self._typed)
        super()._end_with(error)

    # --- the value at the end ---

    @property
    def _mode(self) -> StructuredMode:
        """The mode in which the content of the chunks is read: arguments of a call are as strict as a schema."""
        has_answer = self._arguments is not None and self._arguments.has_answer
        return "schema" if has_answer and not self._is_routed else self._typed.mode

    def _parsed(self, reply: ChatCompletion) -> ParsedCompletion[T_co]:
        try:
            return self._asked.read(reply, TypedRequest(self._typed.request, self._mode, self._typed.notes))
        except ITERATION_ENDS as error:  # of a constructor, or of `validate`
            raise iteration_error(error) from error

    def _whole_list(self) -> Any:
        return self._parsed(self.snapshot).parsed

    def _end_data(self, choice: int) -> Any:
        """The plain data of a choice that has ended; raises the error of one that is refused, cut or no JSON."""
        reply, plan = self.snapshot, PlainData(is_wrapped=self._asked.plan.wrapped)
        reply.choices = [each for each in reply.choices if each.index == choice]

        def read(text: str, mode: StructuredMode, warnings: list[str]) -> Any:
            return read_value(text, plan, mode, warnings)

        return parsed_completion(reply, read, self._mode, is_wrapped=plan.is_wrapped).parsed


class StreamDispatcher(ProviderLookup, Protocol):
    """The part of a client that makes its streams."""

    def stream(
        self,
        request: ChatRequest,
        options: OptionValues,
        started: float = 0.0,
        make: Callable[..., CompletionStream] = CompletionStream,
    ) -> CompletionStream:
        """One streamed reply, made by `make`."""
        ...


def parse_stream(
    dispatcher: StreamDispatcher,
    model: str,
    messages: object,
    into: object,
    arguments: Mapping[str, Any],
    params: Mapping[str, Any],
) -> ParsedStream[Any]:
    """The stream of a call of `client.parse_stream`; for the arguments see `typed_call`.

    Raises:
        CompletionError: what `create` raises before sending.
    """
    if "max_reasks" in params:
        raise UsageError("parse_stream has no 'max_reasks': what was streamed is not asked again; see parse")
    asked, typed, options = typed_call(dispatcher, model, messages, into, arguments, params)
    make = functools.partial(ParsedStream[Any], asked=asked, typed=typed)
    return cast("ParsedStream[Any]", dispatcher.stream(typed.request, options, make=make))
