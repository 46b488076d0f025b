"""One choice of a streamed reply: its parts so far, and the message that they make.

A chunk of text costs one list append. Pieces are joined when the message is made, and whenever many have gathered,
because a short string takes ten times the memory of its characters.
"""

from __future__ import annotations

from ..codecs.lenient import ShapeError, unknown_fields
from ..records import Annotation, Audio, ChatCompletionMessage, CustomCall, FunctionCall, JsonObject, ToolCall
from ..records.chunks import (
    ChunkChoice,
    CustomDelta,
    Delta,
    FunctionDelta,
    ToolCallDelta,
)
from ..records.logprobs import Logprobs, TokenLogprob
from .fragments import MEDIA_SHARE, OBJECT_SIZE, ReasoningBlocks, joined, merge_audio, merge_extra, size_of

_WHOLE_FIELDS = frozenset(("message", "text"))
"""Fields in which some servers send the message with every delta once more."""

_MIN_PIECES = 32
"""Pieces of a short text that are kept before they are joined."""


def _join_pieces(pieces: list[str]) -> int:
    """Joins all pieces into one, in place; returns how many pieces to keep before they are joined again.

    The number grows with the text, so that each character is copied a few times at most.
    """
    text = "".join(pieces)
    pieces[:] = [text]
    return _MIN_PIECES + len(text) // _MIN_PIECES


class _ToolCallParts:
    """The parts of one tool call or function call that have arrived."""

    __slots__ = ("extra", "id", "name", "pieces", "type")

    def __init__(self) -> None:
        self.id = self.type = self.name = ""
        self.pieces: list[str] = []
        self.extra: JsonObject | None = None

    def add(self, delta: FunctionDelta | CustomDelta) -> int:
        """Adds the name, or a piece of the arguments; returns the characters that this adds."""
        if delta.name:
            self.name = self.name or delta.name
        piece = delta.arguments if isinstance(delta, FunctionDelta) else delta.input
        if piece:
            self.pieces.append(piece)
        return len(piece or "") + len(delta.name or "") + OBJECT_SIZE

    def function_call(self) -> FunctionCall:
        """The call as a function call."""
        return FunctionCall(self.name, "".join(self.pieces))

    def tool_call(self) -> ToolCall:
        """The call as a tool call, of whichever type it has."""
        extra = joined(self.extra or {})
        if self.type == "custom":
            custom = CustomCall(self.name, "".join(self.pieces))
            return ToolCall(self.id, type="custom", custom=custom, extra=extra)
        return ToolCall(self.id, self.function_call(), self.type or "function", extra=extra)


class ChoiceState:
    """The parts of one choice that have arrived."""

    __slots__ = (
        "_text_choice",
        "_text_delta",
        "annotations",
        "audio",
        "calls",
        "content",
        "details",
        "extra",
        "finish_reason",
        "function_call",
        "last_call",
        "logprobs",
        "max_pieces",
        "message_extra",
        "native_finish_reason",
        "paused",
        "provider_specific",
        "reasoning",
        "refusal",
        "role",
        "thinking",
    )

    def __init__(self, index: int = 0) -> None:
        self._text_delta = Delta()
        self._text_choice = ChunkChoice(index, self._text_delta)
        """A choice of a chunk that has only text; `add` puts the present text into it, so that one comparison shows
        whether there is anything else."""
        self.role = "assistant"
        self.extra: JsonObject = {}
        self.content: list[str] | None = None
        self.max_pieces = _MIN_PIECES
        """Pieces that `content` and `reasoning` may have before they are joined."""
        self.refusal: list[str] | None = None
        self.reasoning: list[str] | None = None
        self.calls: dict[int, _ToolCallParts] = {}
        self.last_call = -1
        self.function_call: _ToolCallParts | None = None
        self.audio: JsonObject | None = None
        self.annotations: list[Annotation] | None = None
        self.thinking: ReasoningBlocks | None = None
        self.details: ReasoningBlocks | None = None
        self.message_extra: JsonObject | None = None
        self.provider_specific: JsonObject | None = None
        self.logprobs: Logprobs | None = None
        self.finish_reason: str | None = None
        self.native_finish_reason: str | None = None
        self.paused = False

    def add(self, choice: ChunkChoice) -> int:
        """Adds what one chunk has of this choice; returns its characters, and for other values about what they take."""
        self._text_delta.content = content = choice.delta.content
        size = 0
        if content is not None:  # as in `add_text`, whose call would take as long
            size = len(content)
            pieces = self.content
            if pieces is None:
                self.content = [content]
            else:
                pieces.append(content)
                if len(pieces) > self.max_pieces:
                    self.max_pieces = _join_pieces(pieces)
        return size if choice == self._text_choice else size + self._add_more(choice)

    def add_text(self, text: str) -> int:
        """Adds a piece of the content; returns its characters."""
        pieces = self.content
        if pieces is None:
            self.content = [text]
        else:
            pieces.append(text)
            if len(pieces) > self.max_pieces:
                self.max_pieces = _join_pieces(pieces)
        return len(text)

    def _add_more(self, choice: ChunkChoice) -> int:
        """Adds everything but the content."""
        size = 0
        if choice.finish_reason is not None:
            self.finish_reason = choice.finish_reason
            self.paused = choice.paused
        if choice.native_finish_reason is not None:
            self.native_finish_reason = choice.native_finish_reason
        if choice.content_filter_results is not None:
            known = len(self.extra.get("content_filter_results", ()))
            merge_extra(self.extra, {"content_filter_results": choice.content_filter_results})
            if len(self.extra["content_filter_results"]) > known:
                size += size_of(choice.content_filter_results)
        if choice.extra is not None:
            size += size_of(choice.extra)
            # The message that is made of the deltas is kept instead.
            merge_extra(self.extra, unknown_fields(choice.extra, _WHOLE_FIELDS), lists=True)
        if choice.logprobs is not None:
            size += self._add_logprobs(choice.logprobs)
        return size + self._add_delta(choice.delta)

    def _add_delta(self, delta: Delta) -> int:
        size = sum(map(self._add_call, delta.tool_calls or ()))
        if delta.reasoning_content is not None:
            size += len(delta.reasoning_content)
            if self.reasoning is None:
                self.reasoning = [delta.reasoning_content]
            else:
                self.reasoning.append(delta.reasoning_content)
                if len(self.reasoning) > self.max_pieces:
                    self.max_pieces = _join_pieces(self.reasoning)
        return size + self._add_rare_fields(delta)

    def _add_rare_fields(self, delta: Delta) -> int:
        """Adds fields that most streams do not have."""
        size = 0
        if delta.role:
            self.role = delta.role
        if delta.refusal is not None:
            size += len(delta.refusal)
            self.refusal = self.refusal or []
            self.refusal.append(delta.refusal)
        if delta.function_call is not None:
            self.function_call = self.function_call or _ToolCallParts()
            size += self.function_call.add(delta.function_call)
        if delta.audio is not None:
            size += size_of(delta.audio) // MEDIA_SHARE
            self.audio = merge_audio(self.audio or {}, delta.audio)
        if delta.annotations is not None:
            size += size_of(delta.annotations)
            self.annotations = self.annotations or []
            self.annotations.extend(map(_annotation, delta.annotations))
        if delta.thinking_blocks is not None:
            size += size_of(delta.thinking_blocks)
            self.thinking = self.thinking or ReasoningBlocks()
            self.thinking.add(delta.thinking_blocks)
        if delta.reasoning_details is not None:
            size += size_of(delta.reasoning_details)
            self.details = self.details or ReasoningBlocks()
            self.details.add(delta.reasoning_details)
        if delta.provider_specific_fields is not None:
            size += size_of(delta.provider_specific_fields)
            self.provider_specific = self.provider_specific or {}
            merge_extra(self.provider_specific, delta.provider_specific_fields, lists=True)
        if delta.extra is not None:
            size += size_of(delta.extra)
            self.message_extra = self.message_extra or {}
            merge_extra(self.message_extra, delta.extra, lists=True, texts=True)
        return size

    def _add_call(self, delta: ToolCallDelta) -> int:
        index = delta.index
        if index is None:
            index = self.last_call + 1 if self._starts_call(delta) else self.last_call
        self.last_call = index
        size = len(delta.id or "") + len(delta.type or "")
        call = self.calls.get(index)
        if call is None:
            call = self.calls[index] = _ToolCallParts()
            size += OBJECT_SIZE
        call.id = call.id or delta.id or ""
        call.type = call.type or delta.type or ""
        if delta.function is not None:
            size += call.add(delta.function)
        if delta.custom is not None:
            size += call.add(delta.custom)
        if delta.extra is not None:
            size += size_of(delta.extra)
            call.extra = call.extra or {}
            merge_extra(call.extra, delta.extra, lists=True)
        return size

    def _starts_call(self, delta: ToolCallDelta) -> bool:
        """Whether a fragment without an index begins a call: a new id does, and without an id a second name.

        Dialects number the calls of their streams; such fragments are made by callers.
        """
        last = self.calls.get(self.last_call)
        if last is None:
            return True
        if delta.id:
            return delta.id != last.id
        part = delta.function or delta.custom
        return part is not None and bool(part.name) and bool(last.name)

    def _add_logprobs(self, logprobs: Logprobs) -> int:
        all_logprobs = self.logprobs = self.logprobs or Logprobs()
        all_logprobs.content = _extended(all_logprobs.content, logprobs.content)
        all_logprobs.refusal = _extended(all_logprobs.refusal, logprobs.refusal)
        if logprobs.extra:
            merge_extra(all_logprobs.extra, logprobs.extra, lists=True)
        tokens = (*(logprobs.content or ()), *(logprobs.refusal or ()))
        return sum(OBJECT_SIZE * (1 + len(token.top_logprobs or ())) for token in tokens)

    def token_logprobs(self) -> Logprobs | None:
        """A copy of the log probabilities that have arrived."""
        logprobs = self.logprobs
        if logprobs is None:
            return None
        return Logprobs(
            _extended(None, logprobs.content), _extended(None, logprobs.refusal), extra=joined(logprobs.extra)
        )

    def message(self) -> ChatCompletionMessage:
        """The message made of the parts."""
        return ChatCompletionMessage(
            None if self.content is None else "".join(self.content),
            None if self.refusal is None else "".join(self.refusal),
            [self.calls[index].tool_call() for index in sorted(self.calls)] or None,
            None if self.function_call is None else self.function_call.function_call(),
            None if self.audio is None else Audio.from_dict(joined(self.audio)),
            None if self.annotations is None else list(self.annotations),
            None if self.reasoning is None else "".join(self.reasoning),
            None if self.thinking is None else self.thinking.joined(with_index=False),
            None if self.details is None else self.details.joined(with_index=True),
            None if self.provider_specific is None else joined(self.provider_specific),
            role=self.role,
            extra=joined(self.message_extra or {}),
        )


class ChoiceEnd(ChoiceState):
    """The finish reasons of one choice, without its contents."""

    __slots__ = ()

    def add_text(self, text: str) -> int:
        """Keeps nothing; returns 0."""
        return 0

    def add(self, choice: ChunkChoice) -> int:
        """Adds the finish reasons of one chunk; returns 0, because they are not kept twice."""
        if choice.finish_reason is not None:
            self.finish_reason = choice.finish_reason
            self.paused = choice.paused
        if choice.native_finish_reason is not None:
            self.native_finish_reason = choice.native_finish_reason
        return 0


def _extended(tokens: list[TokenLogprob] | None, more: list[TokenLogprob] | None) -> list[TokenLogprob] | None:
    """`tokens` with `more` appended in place; a copy of `more` where there are none."""
    if tokens is None or more is None:
        return tokens if more is None else list(more)
    tokens.extend(more)
    return tokens


def _annotation(data: JsonObject) -> Annotation:
    """An annotation; one of an unknown shape is kept as `extra`, so that it does not cost the reply."""
    try:
        return Annotation.from_dict(data)
    except ShapeError:
        return Annotation("", extra=data)
