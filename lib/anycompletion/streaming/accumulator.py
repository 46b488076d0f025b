"""Chunks → completion: one accumulator for streams, fan-out and tests; keeps pieces, never chunks.

Strategy: a chunk of text costs one list append. Pieces are joined when somebody asks for the reply, and every now and
then, because a short piece takes ten times the memory of its text.
"""

from __future__ import annotations

from typing import Any

from ..codecs.lenient import ShapeError, unknown_fields
from ..records import (
    Annotation,
    AssistantMessage,
    Audio,
    ChatCompletion,
    Choice,
    CustomCall,
    FunctionCall,
    JsonObject,
    Logprobs,
    TokenLogprob,
    ToolCall,
    Usage,
)
from ..records.chunks import ChatCompletionChunk, ChunkChoice, CustomDelta, Delta, FunctionDelta, ToolCallDelta

_MESSAGE = frozenset(("message",))

_APPENDED = ("thinking", "text", "summary")
"""Members of a reasoning block that arrive in pieces; all others are replaced."""


_LOOSE = 32
"""Pieces of a text that are held one by one."""


def _join(pieces: list[str]) -> int:
    """Makes one piece of all; returns how many there may be the next time: more where the text is long, so that each
    character is copied a few times at most."""
    text = "".join(pieces)
    pieces[:] = [text]
    return _LOOSE + len(text) // _LOOSE


class _Call:
    __slots__ = ("id", "name", "pieces", "type")

    def __init__(self) -> None:
        self.id = self.type = self.name = ""
        self.pieces: list[str] = []

    def add(self, delta: FunctionDelta | CustomDelta) -> None:
        if delta.name:
            self.name = self.name or delta.name
        piece = delta.arguments if isinstance(delta, FunctionDelta) else delta.input
        if piece:
            self.pieces.append(piece)

    def function(self) -> FunctionCall:
        return FunctionCall(self.name, "".join(self.pieces))

    def tool_call(self) -> ToolCall:
        if self.type == "custom":
            return ToolCall(self.id, type="custom", custom=CustomCall(self.name, "".join(self.pieces)))
        return ToolCall(self.id, self.function(), self.type or "function")


class _ChoiceState:
    """What one choice has said so far."""

    __slots__ = (
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
        "loose",
        "native_finish_reason",
        "provider_specific",
        "reasoning",
        "refusal",
        "role",
        "thinking",
    )

    def __init__(self) -> None:
        self.role = "assistant"
        self.extra: JsonObject = {}
        self.content: list[str] | None = None
        self.loose = _LOOSE
        """Pieces that `content` and `reasoning` may hold before they are joined."""
        self.refusal: list[str] | None = None
        self.reasoning: list[str] | None = None
        self.calls: dict[int, _Call] = {}
        self.last_call = -1
        self.function_call: _Call | None = None
        self.audio: JsonObject | None = None
        self.annotations: list[Annotation] | None = None
        self.thinking: dict[Any, JsonObject] = {}
        self.details: dict[Any, JsonObject] = {}
        self.provider_specific: JsonObject | None = None
        self.logprobs: Logprobs | None = None
        self.finish_reason: str | None = None
        self.native_finish_reason: str | None = None

    def add(self, choice: ChunkChoice) -> None:
        delta = choice.delta
        content = delta.content
        if content is not None:
            if self.content is None:
                self.content = [content]
            else:
                self.content.append(content)
                if len(self.content) > self.loose:
                    self.loose = _join(self.content)
        if choice.finish_reason is not None:
            self.finish_reason = choice.finish_reason
        if choice.native_finish_reason is not None:
            self.native_finish_reason = choice.native_finish_reason
        if choice.content_filter_results is not None:
            known = self.extra.get("content_filter_results", {})
            self.extra["content_filter_results"] = known | choice.content_filter_results
        if choice.extra is not None:
            # Some servers tell a whole `message` beside every delta, which is a member that choices of replies have.
            self.extra |= unknown_fields(choice.extra, _MESSAGE)
        if choice.logprobs is not None:
            self._add_logprobs(choice.logprobs)
        if delta != Delta(content=content):
            self._add_more(delta)

    def _add_more(self, delta: Delta) -> None:
        """Adds what a delta has besides its content."""
        for call in delta.tool_calls or ():
            self._add_call(call)
        if delta.reasoning_content is not None:
            if self.reasoning is None:
                self.reasoning = [delta.reasoning_content]
            else:
                self.reasoning.append(delta.reasoning_content)
                if len(self.reasoning) > self.loose:
                    self.loose = _join(self.reasoning)
        self._add_rare(delta)

    def _add_rare(self, delta: Delta) -> None:
        if delta.role:
            self.role = delta.role
        if delta.refusal is not None:
            self.refusal = self.refusal or []
            self.refusal.append(delta.refusal)
        if delta.function_call is not None:
            self.function_call = self.function_call or _Call()
            self.function_call.add(delta.function_call)
        if delta.audio is not None:
            self.audio = _merge_audio(self.audio or {}, delta.audio)
        if delta.annotations is not None:
            self.annotations = self.annotations or []
            self.annotations.extend(map(_annotation, delta.annotations))
        for block in delta.thinking_blocks or ():
            _merge_block(self.thinking, block)
        for block in delta.reasoning_details or ():
            _merge_block(self.details, block)
        if delta.provider_specific_fields is not None:
            self.provider_specific = (self.provider_specific or {}) | delta.provider_specific_fields

    def _add_call(self, delta: ToolCallDelta) -> None:
        index = delta.index
        if index is None:
            # A server that leaves the index out starts a new call by a new id.
            known = self.calls.get(self.last_call)
            starts = known is None or (bool(delta.id) and delta.id != known.id)
            index = self.last_call + 1 if starts else self.last_call
        self.last_call = index
        call = self.calls.get(index)
        if call is None:
            call = self.calls[index] = _Call()
        call.id = call.id or delta.id or ""
        call.type = call.type or delta.type or ""
        if delta.function is not None:
            call.add(delta.function)
        if delta.custom is not None:
            call.add(delta.custom)

    def _add_logprobs(self, logprobs: Logprobs) -> None:
        mine = self.logprobs = self.logprobs or Logprobs()
        mine.content = _extended(mine.content, logprobs.content)
        mine.refusal = _extended(mine.refusal, logprobs.refusal)

    def token_logprobs(self) -> Logprobs | None:
        mine = self.logprobs
        return None if mine is None else Logprobs(_extended(None, mine.content), _extended(None, mine.refusal))

    def message(self) -> AssistantMessage:
        return AssistantMessage(
            None if self.content is None else "".join(self.content),
            None if self.refusal is None else "".join(self.refusal),
            [self.calls[index].tool_call() for index in sorted(self.calls)] or None,
            None if self.function_call is None else self.function_call.function(),
            None if self.audio is None else Audio(**_joined(self.audio)),
            None if self.annotations is None else list(self.annotations),
            None if self.reasoning is None else "".join(self.reasoning),
            [_joined(block) for block in self.thinking.values()] or None,
            [_joined(block) for block in self.details.values()] or None,
            self.provider_specific,
            role=self.role,
        )


def _extended(mine: list[TokenLogprob] | None, more: list[TokenLogprob] | None) -> list[TokenLogprob] | None:
    if mine is None or more is None:
        return mine if more is None else list(more)
    mine.extend(more)
    return mine


def _annotation(data: JsonObject) -> Annotation:
    """One that has an unreadable shape is kept as it came: a citation is no reason to lose a reply."""
    try:
        return Annotation.from_dict(data)
    except ShapeError:
        return Annotation("", extra=data)


class _Pieces(list[str]):
    """A text that arrives in pieces."""


def _appended(old: Any, value: Any) -> Any:
    """What is known of a member after one more piece of it; a value that is no text replaces it."""
    if not isinstance(value, str):
        return value
    if not isinstance(old, _Pieces):
        return _Pieces([value])
    old.append(value)
    return old


def _joined(members: JsonObject) -> JsonObject:
    return {name: "".join(value) if isinstance(value, _Pieces) else value for name, value in members.items()}


def _merge_audio(audio: JsonObject, piece: JsonObject) -> JsonObject:
    for name in ("id", "data", "transcript", "expires_at"):
        value = piece.get(name)
        if value is not None:
            audio[name] = _appended(audio.get(name), value) if name in ("data", "transcript") else value
    return audio


def _merge_block(blocks: dict[Any, JsonObject], piece: JsonObject) -> None:
    index = piece.get("index")
    if not isinstance(index, (int, str)):
        index = None, len(blocks)  # a block without one is a block of its own
    block = blocks.setdefault(index, {})
    for name, value in piece.items():
        if name != "index":
            block[name] = _appended(block.get(name), value) if name in _APPENDED else value


class Accumulator:
    """Folds chunks into a completion."""

    __slots__ = ("_choices", "_created", "_extra", "_id", "_model", "_service_tier", "_system_fingerprint", "usage")

    def __init__(self) -> None:
        self._choices: dict[int, _ChoiceState] = {}
        self._id = ""
        self._model = ""
        self._created = 0
        self._extra: JsonObject = {}
        self._service_tier: str | None = None
        self._system_fingerprint: str | None = None
        self.usage: Usage | None = None
        """The newest usage any chunk told; streams tell it cumulatively."""

    def add(self, chunk: ChatCompletionChunk) -> None:
        """Folds one chunk in."""
        choices = chunk.choices
        for choice in choices:
            state = self._choices.get(choice.index)
            if state is None:
                state = self._choices[choice.index] = _ChoiceState()
            state.add(choice)
        if chunk.usage is not None:
            self.usage = chunk.usage
        if not self._id or not self._model:
            self._add_head(chunk)
        if chunk.service_tier is not None:
            self._service_tier = chunk.service_tier
        if chunk.system_fingerprint is not None:
            self._system_fingerprint = chunk.system_fingerprint
        if chunk.prompt_filter_results is not None:
            self._extra["prompt_filter_results"] = chunk.prompt_filter_results

    def _add_head(self, chunk: ChatCompletionChunk) -> None:
        # Filter-only chunks of Azure come first and leave these empty.
        self._id = self._id or chunk.id
        self._model = self._model or chunk.model
        self._created = self._created or chunk.created

    @property
    def started(self) -> bool:
        """True once any chunk was folded in."""
        return bool(self._choices or self._id)

    @property
    def finish_reasons(self) -> dict[int, str | None]:
        """Why each choice seen so far stopped."""
        return {index: state.finish_reason for index, state in self._choices.items()}

    def completion(self) -> ChatCompletion:
        """The reply so far, as a record of its own."""
        return ChatCompletion(
            self._id,
            [
                Choice(
                    index,
                    state.message(),
                    state.finish_reason,
                    state.token_logprobs(),
                    state.native_finish_reason,
                    extra=dict(state.extra),
                )
                for index, state in sorted(self._choices.items())
            ],
            self._model,
            self._created,
            usage=self.usage,
            service_tier=self._service_tier,
            system_fingerprint=self._system_fingerprint,
            extra=dict(self._extra),
        )
