"""Replies in OpenAI's JSON, whole and in chunks: the input of every format's encoder; knows no other format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest
from typing import Any

import attrs

from ...errors import CompletionError
from ...records import JsonObject
from .json_access import as_dict, as_list, text_of
from .simulated_reply import split_words


@attrs.frozen(kw_only=True)
class ReplyScript:
    """The reply to one request: a completion, and the same in chunks."""

    whole: JsonObject
    """The completion."""
    chunks: tuple[JsonObject, ...] = ()
    """The chunks that add up to it, without usage; empty where the request does not stream."""
    usage: JsonObject | None = None
    native_usage: JsonObject | None = None
    """The usage in the format's own JSON, for details that OpenAI's does not have; None: encoded from `usage`."""
    error: CompletionError | None = None
    """Interrupts the stream after the last chunk."""

    @property
    def choice(self) -> JsonObject:
        """The first choice, for formats that have one only."""
        return as_dict(self.whole["choices"][0])

    def chunk_choices(self) -> Iterator[JsonObject]:
        """The choices of all chunks, in order."""
        return (choice for chunk in self.chunks for choice in chunk["choices"])


def single_reply(
    ident: str, model: str, choice: JsonObject, pieces: Sequence[str], native_usage: JsonObject
) -> ReplyScript:
    """A reply with one choice, whose content is streamed in `pieces`."""
    choice = {"index": 0, **choice}
    return ReplyScript(
        whole={"id": ident, "model": model, "choices": [choice]},
        chunks=tuple({"choices": [each]} for each in choice_chunks(choice, pieces)),
        native_usage=native_usage,
    )


def interleave(tracks: Sequence[Sequence[JsonObject]]) -> list[JsonObject]:
    """The first item of each track, then the second of each, and so on."""
    return [each for each in chain(*zip_longest(*tracks)) if each is not None]


def choice_chunks(choice: JsonObject, pieces: Sequence[str]) -> list[JsonObject]:
    """The choices of the chunks that add up to a choice of a completion, its content in `pieces`."""
    message = as_dict(choice.get("message"))
    tokens = as_list(as_dict(choice.get("logprobs")).get("content"))

    def chunk(delta: JsonObject, at: int = -1, **members: Any) -> JsonObject:
        logprobs = {"content": [tokens[at]], "refusal": None} if at >= 0 and len(tokens) == len(pieces) else None
        return {"index": choice["index"], "delta": delta, "logprobs": logprobs, "finish_reason": None, **members}

    head: JsonObject = {"role": "assistant", "content": "", "refusal": None}
    before, after = list(_reasoning_deltas(message)), list(_call_deltas(message))
    if message.get("content") is None and after and not before:
        # A call without a text begins in the first chunk.
        head, after = {**head, "content": None, **after[0]}, after[1:]
    deltas = [head, *before]
    ending = {name: value for name, value in choice.items() if name not in ("index", "message", "logprobs")}
    return [
        *map(chunk, deltas),
        *(chunk({"content": piece}, at) for at, piece in enumerate(pieces)),
        *map(chunk, after),
        chunk({}, **ending),
    ]


_STREAMED = frozenset(
    {"role", "content", "reasoning_content", "thinking_blocks", "refusal", "tool_plan", "tool_calls", "function_call"}
)
"""Members of a message that are streamed in pieces."""


def _reasoning_deltas(message: JsonObject) -> Iterator[JsonObject]:
    blocks = [as_dict(each) for each in as_list(message.get("thinking_blocks"))]
    for index, block in enumerate(blocks):
        pieces = split_words(text_of(block.get("thinking"))) if block.get("type") == "thinking" else []
        for piece in pieces:
            yield {"thinking_blocks": [{"index": index, "type": "thinking", "thinking": piece}]}
        rest = {name: value for name, value in block.items() if name != "thinking" or not pieces}
        yield {"thinking_blocks": [{"index": index, **rest}]}
    if not blocks:
        yield from _text_deltas("reasoning_content", message)


def _call_deltas(message: JsonObject) -> Iterator[JsonObject]:
    """What follows the content: a refusal, calls of tools, and members that are not streamed in pieces."""
    yield from _text_deltas("refusal", message)
    yield from _text_deltas("tool_plan", message)
    for index, call in enumerate(as_dict(each) for each in as_list(message.get("tool_calls"))):
        kind, member = ("custom", "input") if call.get("type") == "custom" else ("function", "arguments")
        function = as_dict(call.get(kind))
        yield {"tool_calls": [{"index": index, **call, kind: {**function, member: ""}}]}
        for piece in split_words(function.get(member) or ""):
            yield {"tool_calls": [{"index": index, kind: {member: piece}}]}
    function = as_dict(message.get("function_call"))
    if function:
        yield {"function_call": {"name": function.get("name"), "arguments": ""}}
        yield from ({"function_call": {"arguments": piece}} for piece in split_words(function.get("arguments") or ""))
    others = {name: value for name, value in message.items() if name not in _STREAMED and value not in (None, [])}
    if others:
        yield others


def _text_deltas(name: str, message: JsonObject) -> Iterator[JsonObject]:
    return ({name: piece} for piece in split_words(text_of(message.get(name))))
