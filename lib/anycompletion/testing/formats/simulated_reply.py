"""The simulator's reply to a prompt, independent of the wire format; never writes a provider's JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any, Literal, TypeAlias

import attrs

from .prompted_schema import prompted_schema
from .schema_sample import sample

SimulatorReply: TypeAlias = "str | Callable[[dict[str, Any]], str]"
"""The text to reply with, or a function from a request's JSON body to it."""

_MAX_ECHOED = 40
"""Words of a message that the default reply repeats."""


@attrs.frozen
class ReplyOptions:
    """Options of the simulator's replies."""

    reply: SimulatorReply | None = None
    chunks: int | None = None
    pieces: tuple[str, ...] | None = None
    """The text in the pieces to send, whatever the request asks for; has priority over all other options."""


@attrs.frozen
class OfferedTool:
    """A tool that a request offers; a custom one takes text instead of an object."""

    name: str
    schema: Any = None
    custom: bool = False


@attrs.frozen(kw_only=True)
class Prompt:
    """What a request asks for, independent of its format."""

    body: dict[str, Any] = attrs.field(repr=False)
    user: str = ""
    """The text of the last user message."""
    assistant: str = ""
    """The text of the last assistant message."""
    result: str | None = None
    """The text of the tool result that the conversation ends with."""
    tool: OfferedTool | None = None
    """The tool to call, unless the conversation ends with a tool result."""
    wants_json: bool = False
    schema: Any = None
    """The JSON Schema of the reply; None is any object."""
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()


@attrs.frozen
class TextReply:
    """A reply in text, cut into the pieces that a stream sends."""

    pieces: tuple[str, ...]
    end: Literal["stop", "length"] = "stop"
    stop_sequence: str | None = None
    """The stop sequence that ended the text."""

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.pieces)


@attrs.frozen
class ToolCallReply:
    """A reply that calls a tool."""

    tool: OfferedTool
    arguments: Any
    """A JSON object, or text for a custom tool."""

    @property
    def text(self) -> str:
        """The arguments as text."""
        return self.arguments if self.tool.custom else json.dumps(self.arguments, ensure_ascii=False)

    @property
    def pieces(self) -> tuple[str, ...]:
        """Pieces of the reply's content, of which there is none."""
        return ()


SimulatedReply: TypeAlias = TextReply | ToolCallReply


def count_tokens(text: str) -> int:
    """The simulator's number of tokens: one per word."""
    return len(text.split())


def split_words(text: str) -> list[str]:
    """`text` in one-word pieces that add up to it; white space stays with the word that follows it."""
    return re.findall(r"\s*\S+\s*\Z|\s*\S+|\s+", text)


def select_tool(tools: Iterable[OfferedTool], name: str | None) -> OfferedTool | None:
    """The tool called `name`, or the first one where no name is given."""
    return next((tool for tool in tools if name is None or tool.name == name), None)


def choose_reply(prompt: Prompt, options: ReplyOptions, choice: int) -> SimulatedReply:
    """The reply to `prompt`; `choice` makes the default texts of several replies to one prompt different."""
    if options.pieces is not None:
        return TextReply(options.pieces)
    if prompt.tool is not None and prompt.result is None:
        arguments = f"some {prompt.tool.name}" if prompt.tool.custom else sample(prompt.tool.schema or _ANY_OBJECT)
        return ToolCallReply(prompt.tool, arguments)
    text, repeatable = _text(prompt, options, choice)
    if options.chunks and repeatable:
        text = _lengthened(text, options.chunks)
    text, end, stop_sequence = _cut(text, prompt)
    return TextReply(tuple(split_text(text, options.chunks)), end, stop_sequence)


_ANY_OBJECT = {"type": "object"}


def split_text(text: str, pieces: int | None) -> list[str]:
    """`text` in that many pieces of nearly one length (fewer, if it is too short); by words for None."""
    if pieces is None or not text:
        return split_words(text)
    pieces = min(pieces, len(text))
    cuts = [len(text) * at // pieces for at in range(pieces + 1)]
    return [text[start:stop] for start, stop in pairwise(cuts)]


def _text(prompt: Prompt, options: ReplyOptions, choice: int) -> tuple[str, bool]:
    """The text, and whether it may be repeated to make it longer."""
    if options.reply is not None:
        text = options.reply if isinstance(options.reply, str) else options.reply(prompt.body)
        return text, not prompt.wants_json
    schema = prompted_schema(prompt.body) if prompt.schema is None else prompt.schema
    if schema is not None:
        return json.dumps(sample(schema), ensure_ascii=False), False
    line = f"{_line(prompt)} (choice {choice})"
    return (json.dumps({"answer": line}, ensure_ascii=False), False) if prompt.wants_json else (line, True)


def _line(prompt: Prompt) -> str:
    if prompt.result is not None:
        return f"The tool says: {_shortened(prompt.result)}"
    if re.sub(r"\W+", " ", prompt.user).strip().lower() == "knock knock":
        return "Who's there?"
    if prompt.assistant.startswith("Who's there?"):
        return f"{prompt.user.strip().rstrip('.!')} who?"
    return f"You said: {_shortened(prompt.user)}"


def _shortened(text: str) -> str:
    parts = split_words(text.strip())
    return "".join(parts[:_MAX_ECHOED]) + (" …" if len(parts) > _MAX_ECHOED else "")


def _lengthened(text: str, characters: int) -> str:
    times = -(-characters // (len(text) + 1))
    return " ".join([text] * times) if text else text


def _cut(text: str, prompt: Prompt) -> tuple[str, Literal["stop", "length"], str | None]:
    found = [(text.find(stop), stop) for stop in prompt.stop if stop and stop in text]
    at, stop_sequence = min(found, default=(len(text), None))
    text = text[:at]
    parts = split_words(text)
    if prompt.max_tokens is not None and len(parts) > prompt.max_tokens:
        return "".join(parts[: prompt.max_tokens]), "length", None
    return text, "stop", stop_sequence
