"""What passes a stream on: its text alone, and server-sent events; and the refusal of streams that cannot be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from .._boundary import ITERATION_ENDS, iteration_error
from ..codecs.json import dumps
from ..errors import CompletionError, InvalidRequestError, message_line
from ..records import JsonObject
from ..records.chunks import ChatCompletionChunk
from .mapped import ReadableStream


class TextView:
    """Async iterator over the text of a stream's choice 0."""

    def __init__(self, stream: ReadableStream) -> None:
        self._stream = stream

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        while True:
            text = _text_of(await self._stream.__anext__())
            if text:
                return text


def _text_of(chunk: ChatCompletionChunk) -> str | None:
    return next((choice.delta.content for choice in chunk.choices if choice.index == 0 and choice.delta.content), None)


class SSEView:
    """Async iterator over a stream as server-sent events in OpenAI's format."""

    def __init__(self, stream: ReadableStream, describe: Callable[[CompletionError], JsonObject]) -> None:
        self._stream = stream
        self._describe = describe
        self._is_checked = False
        self._ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._ended:
            raise StopAsyncIteration
        try:
            if not self._is_checked:
                await self._check()
            chunk = await self._stream.__anext__()
        except StopAsyncIteration:
            self._ended = True
            return b"data: [DONE]\n\n"
        except CompletionError as error:
            self._ended = True
            try:
                described = self._describe(error)
            except ITERATION_ENDS as failure:
                raise iteration_error(failure) from failure
            return b"data: " + dumps({"error": described}) + b"\n\n"
        return b"data: " + dumps(chunk.to_dict()) + b"\n\n"

    async def _check(self) -> None:
        """Opens the stream: behind middleware, only then is it known whether its reply may begin anew."""
        await self._stream.open()
        try:
            refuse_restarts(self._stream, "sse")
        except InvalidRequestError:
            self._stream.close()
            raise
        self._is_checked = True


def refuse_restarts(stream: ReadableStream, reader: str) -> None:
    """Refuses a stream whose reply may begin anew, for a reader that cannot take back what it has passed on.

    Raises:
        InvalidRequestError: it may.
    """
    if stream.may_restart:
        param = "restart_streams"
        text = f"{param}: {reader} would pass on the beginning of a reply twice; call a route without {param}"
        raise InvalidRequestError(text, param=param)


def error_object(error: CompletionError) -> JsonObject:
    """An error as the object that OpenAI's API sends: message, type, param, code."""
    return {
        "message": message_line(error),
        "type": error.type or type(error).__name__,
        "param": error.param,
        "code": error.code,
    }
