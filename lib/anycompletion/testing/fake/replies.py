"""Replies that a test writes, as OpenAI's JSON, whole and in pieces; knows no other format and sends nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from itertools import chain, zip_longest
from typing import Any, TypeAlias, cast

import attrs

from ...errors import CompletionError
from ...records import ChatCompletion, ChatRequest, Usage
from ...records.chunks import ChatCompletionChunk
from ...streaming.accumulator import Accumulator
from ..formats.json_access import as_dict, as_list
from ..formats.openai_chat.simulate import text_of
from ..formats.simulated_reply import count, split

JsonObject: TypeAlias = dict[str, Any]

Piece: TypeAlias = str | ChatCompletionChunk | CompletionError
"""A piece of a stream: text, a chunk, or as the last one the error that breaks it off."""

Answer: TypeAlias = str | ChatCompletion | CompletionError | Sequence[Piece]
"""A text, a reply, an error to raise, or the pieces of a stream in a list."""

FakeReply: TypeAlias = Answer | Callable[[ChatRequest], Answer | Awaitable[Answer]]
"""What `FakeProvider` answers with: an `Answer`, or a function, async or not, from the request to one."""


@attrs.frozen(kw_only=True)
class Script:
    """What one request gets, in OpenAI's JSON."""

    whole: JsonObject
    """The completion."""
    chunks: tuple[JsonObject, ...]
    """The same in pieces, without usage; none where nobody streams."""
    usage: JsonObject | None
    error: CompletionError | None = None
    """What breaks the stream off."""


@attrs.frozen(kw_only=True)
class Frame:
    """What surrounds an answer that says nothing of its own about it."""

    id: str
    created: int
    model: str
    request: ChatRequest = attrs.field(repr=False)
    stream: bool
    pieces: int | None = None
    """Pieces of a text in a stream; None: one per word."""


@attrs.frozen(kw_only=True)
class _Part:
    """One answer: its choices, numbered from 0."""

    head: JsonObject
    choices: list[JsonObject]
    chunks: list[JsonObject]
    usage: JsonObject | None
    error: CompletionError | None = None


def check(reply: object) -> FakeReply:
    """`reply`, if it is one.

    Raises:
        TypeError: it is none.
    """
    if isinstance(reply, (str, ChatCompletion, CompletionError)) or callable(reply):
        return cast("FakeReply", reply)
    if isinstance(reply, (list, tuple)):
        pieces = cast("Sequence[object]", reply)
        odd = [each for each in pieces if not isinstance(each, (str, ChatCompletionChunk))]
        if not odd or (odd == [pieces[-1]] and isinstance(odd[0], CompletionError)):
            return cast("Sequence[Piece]", reply)
        raise TypeError(
            "a list is the pieces of a stream: texts and chunks, and as the last one an error; "
            f"there is a {type(odd[0]).__name__} in it"
        )
    raise TypeError(
        f"a reply is a text, a ChatCompletion, an error of anycompletion, a list of pieces, or a function; "
        f"this is a {type(reply).__name__}"
    )


def choices_of(answer: Answer) -> int:
    """How many choices an answer holds."""
    if isinstance(answer, ChatCompletion):
        return len(answer.choices)
    if isinstance(answer, (str, CompletionError)):
        return 1
    chunks = [each for each in answer if isinstance(each, ChatCompletionChunk)]
    return max([choice.index for chunk in chunks for choice in chunk.choices], default=0) + 1


def script_of(answers: Sequence[Answer], frame: Frame) -> Script:
    """The answers as the choices of one reply, in their order."""
    parts = [_part(each, frame) for each in answers]
    head = {"id": frame.id, "created": frame.created, "model": frame.model} | parts[0].head
    offsets = [sum(len(part.choices) for part in parts[:at]) for at in range(len(parts))]
    choices = [
        {**choice, "index": choice["index"] + offset}
        for part, offset in zip(parts, offsets, strict=True)
        for choice in part.choices
    ]
    tracks = [[_moved(chunk, offset) for chunk in part.chunks] for part, offset in zip(parts, offsets, strict=True)]
    usage = parts[0].usage if len(parts) == 1 else _sum(answers, parts, frame)
    return Script(
        whole={**head, "object": "chat.completion", "choices": choices, "usage": usage},
        chunks=tuple(
            {**head, "object": "chat.completion.chunk", **_set(chunk)}
            for chunk in chain(*zip_longest(*tracks))
            if chunk is not None
        ),
        usage=usage,
        error=next((part.error for part in parts if part.error is not None), None),
    )


def _set(chunk: JsonObject) -> JsonObject:
    """Without what only fills a place."""
    return {name: value for name, value in chunk.items() if value not in ("", 0, None)}


def _moved(chunk: JsonObject, offset: int) -> JsonObject:
    choices = [{**each, "index": each["index"] + offset} for each in chunk.get("choices", ())]
    return {**chunk, "choices": choices}


def _sum(answers: Sequence[Answer], parts: Sequence[_Part], frame: Frame) -> JsonObject | None:
    if all(isinstance(each, str) for each in answers):
        return _count(frame.request, "\n".join(cast("Sequence[str]", answers)))
    if any(part.usage is None for part in parts):
        return None
    total = Usage.from_dict(parts[0].usage)
    for part in parts[1:]:
        total = total + Usage.from_dict(part.usage)
    return total.to_dict()


def _part(answer: Answer, frame: Frame) -> _Part:
    if isinstance(answer, str):
        message = {"role": "assistant", "content": answer}
        return _whole(
            {}, [{"index": 0, "message": message, "finish_reason": "stop"}], _count(frame.request, answer), frame
        )
    if isinstance(answer, ChatCompletion):
        data = answer.to_dict()
        head = {name: value for name, value in data.items() if name not in _OWN and value not in ("", 0, None)}
        return _whole(head, data["choices"], data.get("usage"), frame)
    if isinstance(answer, CompletionError):
        raise TypeError("an error is no choice")
    return _streamed(answer, frame)


_OWN = frozenset({"choices", "usage", "object"})


def _count(request: ChatRequest, text: str) -> JsonObject:
    """Tokens as the simulator counts them: words."""
    messages = request.to_dict()["messages"]
    said = messages if isinstance(messages, str) else "\n".join(text_of(as_dict(m).get("content")) for m in messages)
    prompt, completion = count(said), count(text)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


# --- a whole answer, in pieces ---------------------------------------------------------------------------------------


def _whole(head: JsonObject, choices: list[JsonObject], usage: JsonObject | None, frame: Frame) -> _Part:
    if not frame.stream:
        return _Part(head=head, choices=choices, chunks=[], usage=usage)
    tracks = [[_chunk(choice["index"], delta) for delta in _deltas(choice, frame)] for choice in choices]
    for choice, track in zip(choices, tracks, strict=True):
        rest = {name: value for name, value in choice.items() if name not in ("index", "message", "logprobs")}
        track.append(_chunk(choice["index"], {}, **rest))
    chunks = [chunk for chunk in chain(*zip_longest(*tracks)) if chunk is not None]
    return _Part(head=head, choices=choices, chunks=chunks, usage=usage)


def _chunk(index: int, delta: JsonObject, **rest: Any) -> JsonObject:
    return {"choices": [{"index": index, "delta": delta, "finish_reason": None, **rest}]}


def _deltas(choice: JsonObject, frame: Frame) -> Iterator[JsonObject]:
    message = as_dict(choice.get("message"))
    yield {"role": "assistant", "content": ""}
    blocks = as_list(message.get("thinking_blocks"))
    for index, block in enumerate(blocks):
        yield {"thinking_blocks": [{"index": index, **block}]}
    if not blocks:
        yield from _texts("reasoning_content", message, None)
    yield from _texts("content", message, frame.pieces)
    yield from _texts("refusal", message, None)
    for index, call in enumerate(as_list(message.get("tool_calls"))):
        yield from _call_deltas(index, as_dict(call))
    call = as_dict(message.get("function_call"))
    if call:
        yield {"function_call": {"name": call.get("name"), "arguments": ""}}
        yield from ({"function_call": {"arguments": piece}} for piece in split(call.get("arguments") or "", None))
    others = {name: value for name, value in message.items() if name not in _IN_PIECES and value is not None}
    if others:
        yield others


_IN_PIECES = frozenset(
    {"role", "content", "reasoning_content", "thinking_blocks", "refusal", "tool_calls", "function_call"}
)


def _texts(name: str, message: JsonObject, pieces: int | None) -> Iterator[JsonObject]:
    return ({name: piece} for piece in split(text_of(message.get(name)), pieces))


def _call_deltas(index: int, call: JsonObject) -> Iterator[JsonObject]:
    kind = "custom" if call.get("type") == "custom" else "function"
    member = "input" if kind == "custom" else "arguments"
    told = as_dict(call.get(kind))
    yield {"tool_calls": [{"index": index, **call, kind: {**told, member: ""}}]}
    for piece in split(told.get(member) or "", None):
        yield {"tool_calls": [{"index": index, kind: {member: piece}}]}


# --- pieces, and the whole they make ---------------------------------------------------------------------------------


def _streamed(pieces: Sequence[Piece], frame: Frame) -> _Part:
    """What the pieces are, with the end that was left out."""
    error = pieces[-1] if pieces and isinstance(pieces[-1], CompletionError) else None
    chunks = [_chunk_of(each) for each in pieces if not isinstance(each, CompletionError)]
    usage = next((each["usage"] for each in reversed(chunks) if each.get("usage")), None)
    if error is None:
        chunks += _ends(chunks)
    accumulator = Accumulator()
    for chunk in chunks:
        accumulator.add(ChatCompletionChunk.from_dict(chunk))
    whole = accumulator.completion().to_dict()
    if usage is None and error is None:
        said = "\n".join(text_of(as_dict(each.get("message")).get("content")) for each in whole["choices"])
        usage = _count(frame.request, said)
    head = {name: value for name, value in whole.items() if name not in _OWN and value not in ("", 0, None)}
    told = [{name: value for name, value in each.items() if name != "usage"} for each in chunks]
    return _Part(
        head=head,
        choices=whole["choices"],
        chunks=[each for each in told if each["choices"] or each.keys() - _HEAD],
        usage=usage,
        error=error,
    )


_HEAD = frozenset({"id", "object", "created", "model", "choices", "service_tier", "system_fingerprint"})


def _chunk_of(piece: str | ChatCompletionChunk) -> JsonObject:
    return _chunk(0, {"content": piece}) if isinstance(piece, str) else piece.to_dict()


def _ends(chunks: Iterable[JsonObject]) -> list[JsonObject]:
    """A reason to stop for each choice that has none."""
    reasons: dict[int, str | None] = {}
    for choice in (each for chunk in chunks for each in chunk["choices"]):
        index = choice["index"]
        calls = "tool_calls" if choice["delta"].get("tool_calls") else None
        reasons[index] = choice.get("finish_reason") or reasons.get(index) or calls
    missing = dict.fromkeys(reasons or {0: None}, "stop")
    ended = {choice["index"] for chunk in chunks for choice in chunk["choices"] if choice.get("finish_reason")}
    return [
        _chunk(index, {}, finish_reason=reasons.get(index) or end)
        for index, end in missing.items()
        if index not in ended
    ]
