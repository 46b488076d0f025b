"""Chunks whose content is the arguments of the tool `answer`, so that the streams of all modes read alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import msgspec

from ..calls.chunk_source import ChunkSource, ReplyRestarted
from ..dialects.base import Chunks
from ..errors import CompletionError
from ..records import ReplyInfo
from ..records.chunks import ChatCompletionChunk, ChunkChoice
from .requests import ANSWER

Next: TypeAlias = "Callable[[], Awaitable[Chunks | None]]"


class AnswerCall:
    """The call of `answer` in one choice, as far as it came."""

    __slots__ = ("_holds_text", "_index", "_text")

    def __init__(self, holds_text: bool) -> None:
        self._holds_text = holds_text
        self._index: int | None = None
        """Its place among the calls of the choice; None before it begins."""
        self._text: list[str] = []
        """Text before it, which is the reply if there is no call."""

    @property
    def has_begun(self) -> bool:
        """Whether a part of the call has come."""
        return self._index is not None

    def change(self, choice: ChunkChoice) -> ChunkChoice:
        """What replaces a fragment of the choice."""
        delta, ended = choice.delta, choice.finish_reason is not None
        if delta.tool_calls is None and delta.content is None and not ended:
            return choice
        content, calls, reason = self._arguments(choice), None, choice.finish_reason
        if self._index is not None:
            reason = "stop" if reason in ("tool_calls", "function_call") else reason
        else:
            calls, content = delta.tool_calls, delta.content
            if self._holds_text:
                self._text.append(content or "")
                content = None
            if ended and self._text:
                content, self._text = "".join(self._text) or None, []
        return msgspec.structs.replace(
            choice, delta=msgspec.structs.replace(delta, content=content, tool_calls=calls), finish_reason=reason
        )

    def _arguments(self, choice: ChunkChoice) -> str | None:
        """The piece of the arguments in a fragment; None where there is none."""
        pieces: list[str] = []
        for call in choice.delta.tool_calls or ():
            if call.function is None:
                continue
            if self._index is None and call.function.name == ANSWER:
                self._index = call.index or 0
            if (call.index or 0) == self._index:
                pieces.append(call.function.arguments or "")
        return "".join(pieces) if pieces else None


class ArgumentChunks(ChunkSource):
    """The chunks of another source, with the arguments of the call of `answer` as their content.

    As in whole replies, text beside the call and later calls are left out, and the finish reason becomes "stop". A
    choice without the call keeps its text, which comes with its finish reason, and its other calls.

    Args:
        source: the other source.
        holds_text: False where the tool may not be asked for, so that text comes at once; what comes before a call is
            then left in.
    """

    __slots__ = ("_answers", "_holds_text", "_next", "_source")

    def __init__(self, source: ChunkSource, *, holds_text: bool = True) -> None:
        self._source = source
        self._holds_text = holds_text
        self._next: Next = source.next
        self._answers: dict[int, AnswerCall] = {}

    @property
    def has_answer(self) -> bool:
        """Whether the tool was called in a choice."""
        return any(answer.has_begun for answer in self._answers.values())

    @property
    def info(self) -> ReplyInfo:
        """Details of the call."""
        return self._source.info

    @property
    def may_restart(self) -> bool:
        """Whether the source may begin anew."""
        return self._source.may_restart

    async def open(self) -> None:
        """Opens the source."""
        await self._source.open()

    async def next(self) -> Chunks | None:
        """The next chunks; None at the proper end."""
        try:
            chunks = await self._next()
        except ReplyRestarted:
            self._answers.clear()
            raise
        return None if chunks is None else [self._changed(chunk) for chunk in chunks]

    def settled_next(self) -> Next:
        """`next`, which from now on asks the source in the way that it prefers once it has delivered chunks."""
        self._next = self._source.settled_next()
        return self.next

    def _changed(self, chunk: ChatCompletionChunk) -> ChatCompletionChunk:
        if not chunk.choices:
            return chunk
        choices = [self._answer(each.index).change(each) for each in chunk.choices]
        return msgspec.structs.replace(chunk, choices=choices)  # middleware may have kept the chunk

    def _answer(self, index: int) -> AnswerCall:
        found = self._answers.get(index)
        if found is None:
            found = self._answers[index] = AnswerCall(self._holds_text)
        return found

    def close(self, end: CompletionError | None = None) -> None:
        """Closes the source."""
        self._source.close(end)

    async def wait_closed(self) -> None:
        """Waits until the source is closed."""
        await self._source.wait_closed()
