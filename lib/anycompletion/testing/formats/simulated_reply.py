"""What the simulator answers, whatever the format: a question in, an answer out; never writes a provider's JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any, Literal, TypeAlias

import attrs

from .schema_sample import sample

Reply: TypeAlias = "str | Callable[[dict[str, Any]], str]"
"""The text to answer, or a function from a request's JSON body to it."""

_ECHOED = 40
"""Words of a message that the default answer repeats."""


@attrs.frozen
class Style:
    """How the simulator was told to answer."""

    reply: Reply | None = None
    chunks: int | None = None
    pieces: tuple[str, ...] | None = None
    """The text in the pieces it is to be sent in, whatever the request asks for; goes before all else."""


@attrs.frozen
class Tool:
    """A tool on offer; a custom one takes text instead of an object."""

    name: str
    schema: Any = None
    custom: bool = False


@attrs.frozen(kw_only=True)
class Ask:
    """What a request asks for, whatever format it came in."""

    body: dict[str, Any] = attrs.field(repr=False)
    user: str = ""
    """The text of the last user message."""
    assistant: str = ""
    """The text of the last assistant message."""
    result: str | None = None
    """The text of the tool result that the conversation ends with."""
    tool: Tool | None = None
    """The tool to call, unless the conversation ends with a tool result."""
    wants_json: bool = False
    schema: Any = None
    """The JSON Schema of the answer; None is any object."""
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()


@attrs.frozen
class Say:
    """An answer in text, cut into the pieces that a stream sends."""

    pieces: tuple[str, ...]
    end: Literal["stop", "length"] = "stop"
    stop_sequence: str | None = None
    """The stop sequence that ended the text."""

    @property
    def text(self) -> str:
        """The whole of it."""
        return "".join(self.pieces)


@attrs.frozen
class UseTool:
    """An answer that calls a tool."""

    tool: Tool
    arguments: Any
    """A JSON object, or text for a custom tool."""

    @property
    def text(self) -> str:
        """The arguments as they are written."""
        return self.arguments if self.tool.custom else json.dumps(self.arguments, ensure_ascii=False)


def count(text: str) -> int:
    """The simulator's tokens: words."""
    return len(text.split())


def words(text: str) -> list[str]:
    """`text` in one-word pieces that add up to it, white space kept with the word it stands before."""
    return re.findall(r"\s*\S+\s*\Z|\s*\S+|\s+", text)


def pick(tools: Iterable[Tool], name: str | None) -> Tool | None:
    """The tool called `name`, or the first one where no name is given."""
    return next((tool for tool in tools if name is None or tool.name == name), None)


def decide(ask: Ask, style: Style, choice: int) -> Say | UseTool:
    """The answer to `ask`; `choice` makes the default texts of several answers to one question different."""
    if style.pieces is not None:
        return Say(style.pieces)
    if ask.tool is not None and ask.result is None:
        arguments = f"some {ask.tool.name}" if ask.tool.custom else sample(ask.tool.schema or {"type": "object"})
        return UseTool(ask.tool, arguments)
    text, repeatable = _text(ask, style, choice)
    if style.chunks and repeatable:
        text = _lengthened(text, style.chunks)
    text, end, stop_sequence = _cut(text, ask)
    return Say(tuple(split(text, style.chunks)), end, stop_sequence)


def split(text: str, pieces: int | None) -> list[str]:
    """`text` in that many pieces of nearly one length (fewer, if it is too short); by words for None."""
    if pieces is None or not text:
        return words(text)
    pieces = min(pieces, len(text))
    cuts = [len(text) * at // pieces for at in range(pieces + 1)]
    return [text[start:stop] for start, stop in pairwise(cuts)]


def _text(ask: Ask, style: Style, choice: int) -> tuple[str, bool]:
    """The text, and whether it may be repeated to make it longer."""
    if style.reply is not None:
        return (style.reply if isinstance(style.reply, str) else style.reply(ask.body)), not ask.wants_json
    line = f"{_line(ask)} (choice {choice})"
    if not ask.wants_json:
        return line, True
    return json.dumps({"answer": line} if ask.schema is None else sample(ask.schema), ensure_ascii=False), False


def _line(ask: Ask) -> str:
    if ask.result is not None:
        return f"The tool says: {_short(ask.result)}"
    if re.sub(r"\W+", " ", ask.user).strip().lower() == "knock knock":
        return "Who's there?"
    if ask.assistant.startswith("Who's there?"):
        return f"{ask.user.strip().rstrip('.!')} who?"
    return f"You said: {_short(ask.user)}"


def _short(text: str) -> str:
    parts = words(text.strip())
    return "".join(parts[:_ECHOED]) + (" …" if len(parts) > _ECHOED else "")


def _lengthened(text: str, characters: int) -> str:
    times = -(-characters // (len(text) + 1))
    return " ".join([text] * times) if text else text


def _cut(text: str, ask: Ask) -> tuple[str, Literal["stop", "length"], str | None]:
    found = [(text.find(stop), stop) for stop in ask.stop if stop and stop in text]
    at, stop_sequence = min(found, default=(len(text), None))
    text = text[:at]
    parts = words(text)
    if ask.max_tokens is not None and len(parts) > ask.max_tokens:
        return "".join(parts[: ask.max_tokens]), "length", None
    return text, "stop", stop_sequence
