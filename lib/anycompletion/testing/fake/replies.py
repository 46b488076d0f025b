"""Replies that a test scripts, as OpenAI's JSON, whole and in chunks; knows no other format and sends nothing."""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from itertools import count
from typing import Any, TypeAlias, cast

import attrs

from ...errors import CompletionError
from ...records import ChatCompletion, ChatRequest, FunctionCall, JsonObject, ToolCall, Usage
from ...records.chunks import ChatCompletionChunk
from ...streaming.accumulator import accumulated
from ..formats.json_access import as_dict, text_of
from ..formats.reply_script import ReplyScript, choice_chunks, interleave
from ..formats.simulated_reply import count_tokens, split_text
from .parsed_replies import ParsedReply, as_answer

FakePiece: TypeAlias = str | ChatCompletionChunk | ToolCall | CompletionError
"""A piece of a reply: text, a tool call, a chunk, or as the last one the error that interrupts its stream."""

FakeAnswer: TypeAlias = str | ChatCompletion | ToolCall | ParsedReply | CompletionError | Sequence[FakePiece]
"""A text, a completion, a call of a tool, a value, an error to raise, or a list of the pieces of a reply."""

FakeReply: TypeAlias = FakeAnswer | Callable[[ChatRequest], FakeAnswer | Awaitable[FakeAnswer]]
"""What `FakeProvider` replies with: a `FakeAnswer`, or a function, async or not, from the request to one."""


def tool_call(name: str, /, **arguments: Any) -> ToolCall:
    """A call of the tool `name` with these arguments, as a model makes it, and with a new id."""
    return ToolCall(f"call_{uuid.uuid4().hex}", FunctionCall(name, json.dumps(arguments, ensure_ascii=False)))


@attrs.frozen(kw_only=True)
class ReplyDefaults:
    """Properties of a reply that the scripted answer does not specify itself."""

    id: str
    created: int
    model: str
    request: ChatRequest = attrs.field(repr=False)
    stream: bool
    pieces: int | None = None
    """Pieces of a text in a stream; None: one per word."""


@attrs.frozen(kw_only=True)
class _AnswerParts:
    """One answer, its choices numbered from 0."""

    frame: JsonObject
    choices: list[JsonObject]
    chunks: list[JsonObject]
    usage: JsonObject | None
    error: CompletionError | None = None


def check_reply(reply: object) -> FakeReply:
    """`reply`, if it is one.

    Raises:
        TypeError: it is none.
    """
    if isinstance(reply, type):
        name = reply.__name__
        example = f"{name}('...')" if issubclass(reply, CompletionError) else "a value of it"
        raise TypeError(f"a reply is no class: this is {name} itself; write {example}, or a function of the request")
    if isinstance(reply, (str, ChatCompletion, ToolCall, ParsedReply, CompletionError)) or callable(reply):
        return cast("FakeReply", reply)
    if isinstance(reply, (list, tuple)):
        pieces = cast("Sequence[object]", reply)
        others = [each for each in pieces if not isinstance(each, (str, ChatCompletionChunk, ToolCall))]
        if not others or (others == [pieces[-1]] and isinstance(others[0], CompletionError)):
            return cast("Sequence[FakePiece]", reply)
        raise TypeError(
            "a list is the pieces of a reply: texts, tool calls and chunks, and as the last one an error; "
            f"there is a {type(others[0]).__name__} in it"
        )
    raise TypeError(
        "a reply is a text, a ChatCompletion, a ToolCall, an error of anycompletion, a list of pieces, or a function; "
        f"this is a {type(reply).__name__}; as a reply to parse, write ParsedReply(...)"
    )


def count_choices(answer: FakeAnswer) -> int:
    """The number of choices in an answer."""
    if isinstance(answer, ChatCompletion):
        return len(answer.choices)
    if isinstance(answer, (str, ToolCall, ParsedReply, CompletionError)):
        return 1
    chunks = [each for each in answer if isinstance(each, ChatCompletionChunk)]
    return max([choice.index for chunk in chunks for choice in chunk.choices], default=0) + 1


def make_script(answers: Sequence[FakeAnswer], defaults: ReplyDefaults) -> ReplyScript:
    """One reply with the choices of all answers, in order."""
    parts = [_answer_parts(each, defaults) for each in answers]
    frame = {"id": defaults.id, "created": defaults.created, "model": defaults.model} | parts[0].frame
    offsets = [sum(len(part.choices) for part in parts[:at]) for at in range(len(parts))]
    choices = [
        {**choice, "index": choice["index"] + offset}
        for part, offset in zip(parts, offsets, strict=True)
        for choice in part.choices
    ]
    tracks = [[_moved(chunk, offset) for chunk in part.chunks] for part, offset in zip(parts, offsets, strict=True)]
    usage = parts[0].usage if len(parts) == 1 else _total_usage(answers, parts, defaults)
    return ReplyScript(
        whole={**frame, "object": "chat.completion", "choices": choices, "usage": usage},
        chunks=tuple(
            {**frame, "object": "chat.completion.chunk", **_without_blanks(chunk)} for chunk in interleave(tracks)
        ),
        usage=usage,
        error=next((part.error for part in parts if part.error is not None), None),
    )


def _without_blanks(members: JsonObject) -> JsonObject:
    """The members that have a value."""
    return {name: value for name, value in members.items() if value not in ("", 0, None)}


def _moved(chunk: JsonObject, offset: int) -> JsonObject:
    choices = [{**each, "index": each["index"] + offset} for each in chunk.get("choices", ())]
    return {**chunk, "choices": choices}


def _total_usage(
    answers: Sequence[FakeAnswer], parts: Sequence[_AnswerParts], defaults: ReplyDefaults
) -> JsonObject | None:
    if all(isinstance(each, str) for each in answers):
        return _count_usage(defaults.request, "\n".join(cast("Sequence[str]", answers)))
    if any(part.usage is None for part in parts):
        return None
    total = Usage.from_dict(parts[0].usage)
    for part in parts[1:]:
        total = total + Usage.from_dict(part.usage)
    return total.to_dict()


def _answer_parts(answer: FakeAnswer, defaults: ReplyDefaults) -> _AnswerParts:
    if isinstance(answer, CompletionError):
        raise TypeError("an error has no choices")
    if isinstance(answer, ParsedReply):
        answer = as_answer(answer, defaults.request)
    if isinstance(answer, str):
        choice = {"index": 0, "message": {"role": "assistant", "content": answer}, "finish_reason": "stop"}
        return _whole_parts({}, [choice], _count_usage(defaults.request, answer), defaults)
    if isinstance(answer, ChatCompletion):
        data = answer.to_dict()
        return _whole_parts(_frame(data), data["choices"], data.get("usage"), defaults)
    if isinstance(answer, ToolCall):
        message = {"role": "assistant", "content": None, "tool_calls": [answer.to_dict()]}
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
        return _whole_parts({}, [choice], _count_usage(defaults.request, ""), defaults)
    return _streamed_parts(answer, defaults)


def _frame(completion: JsonObject) -> JsonObject:
    """The members of a completion besides its choices and usage."""
    others = {name: value for name, value in completion.items() if name not in ("choices", "usage", "object")}
    return _without_blanks(others)


def _count_usage(request: ChatRequest, text: str) -> JsonObject:
    """Tokens as the simulator counts them: words."""
    messages = request.to_dict()["messages"]
    if not isinstance(messages, str):
        messages = "\n".join(text_of(as_dict(each).get("content")) for each in messages)
    prompt, completion = count_tokens(messages), count_tokens(text)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _whole_parts(
    frame: JsonObject, choices: list[JsonObject], usage: JsonObject | None, defaults: ReplyDefaults
) -> _AnswerParts:
    """The parts of a completion, which is cut into chunks where the request streams."""
    tracks: list[list[JsonObject]] = []
    for choice in choices if defaults.stream else ():
        pieces = split_text(text_of(as_dict(choice.get("message")).get("content")), defaults.pieces)
        tracks.append([{"choices": [each]} for each in choice_chunks(choice, pieces)])
    return _AnswerParts(frame=frame, choices=choices, chunks=interleave(tracks), usage=usage)


# --- pieces, and the completion they add up to -----------------------------------------------------------------------


def _streamed_parts(pieces: Sequence[FakePiece], defaults: ReplyDefaults) -> _AnswerParts:
    """The parts of a stream, with finish reasons where they were left out."""
    error = pieces[-1] if pieces and isinstance(pieces[-1], CompletionError) else None
    indexes = count()
    chunks = [_chunk_json(each, indexes) for each in pieces if not isinstance(each, CompletionError)]
    usage = next((each["usage"] for each in reversed(chunks) if each.get("usage")), None)
    if error is None:
        chunks += _missing_ends(chunks)
    whole = accumulated(map(ChatCompletionChunk.from_dict, chunks)).to_dict()
    if usage is None and error is None:
        texts = [text_of(as_dict(each.get("message")).get("content")) for each in whole["choices"]]
        usage = _count_usage(defaults.request, "\n".join(texts))
    without_usage = [{name: value for name, value in each.items() if name != "usage"} for each in chunks]
    return _AnswerParts(
        frame=_frame(whole),
        choices=whole["choices"],
        chunks=[each for each in without_usage if each["choices"] or each.keys() - _FRAME],
        usage=usage,
        error=error,
    )


_FRAME = frozenset({"id", "object", "created", "model", "choices", "service_tier", "system_fingerprint"})


def _chunk_json(piece: str | ToolCall | ChatCompletionChunk, indexes: Iterator[int]) -> JsonObject:
    if isinstance(piece, ToolCall):
        return _chunk(0, {"tool_calls": [{"index": next(indexes), **piece.to_dict()}]})
    return _chunk(0, {"content": piece}) if isinstance(piece, str) else piece.to_dict()


def _chunk(index: int, delta: JsonObject, finish_reason: Any = None) -> JsonObject:
    return {"choices": [{"index": index, "delta": delta, "finish_reason": finish_reason}]}


def _missing_ends(chunks: Iterable[JsonObject]) -> list[JsonObject]:
    """Chunks with a finish reason for each choice that has none."""
    reasons: dict[int, str | None] = {}
    for choice in (each for chunk in chunks for each in chunk["choices"]):
        index = choice["index"]
        calls = "tool_calls" if choice["delta"].get("tool_calls") else None
        reasons[index] = choice.get("finish_reason") or reasons.get(index) or calls
    ended = {choice["index"] for chunk in chunks for choice in chunk["choices"] if choice.get("finish_reason")}
    return [
        _chunk(index, {}, reason or "stop") for index, reason in (reasons or {0: None}).items() if index not in ended
    ]
