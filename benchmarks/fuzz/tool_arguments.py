"""Fuzzing of the arguments of tools: whatever a model writes has to become a result, or an error for the model."""

from __future__ import annotations

import asyncio
import functools
import json
from random import Random
from typing import Any, NamedTuple

from anycompletion import FunctionCall, ToolCall
from anycompletion.tools import RunnableTool, ToolOutcome, tool
from anycompletion.validation import parse_call

from . import mutations
from .subject import Subject, expect
from .tool_signatures import CANARY, SIGNATURES

CONTEXT = 7
"""The value of the context."""


class Arguments(NamedTuple):
    """The kind of a signature, and a model's text for its arguments."""

    kind: str
    text: str


@functools.cache
def tools() -> dict[str, RunnableTool[..., Any]]:
    """The tools by kind of signature."""
    return {
        kind: tool(name=f"tool_{at}")(signature.function) for at, (kind, signature) in enumerate(SIGNATURES.items())
    }


def make_arguments(rng: Random) -> Arguments:
    """Arguments that fit, with one member changed, damaged as bytes, or none at all."""
    kind = rng.choice(list(SIGNATURES))
    arguments = SIGNATURES[kind].arguments
    way = rng.random()
    if way < 0.2:
        data = mutations.dump(rng, arguments)
    elif way < 0.7:
        data = mutations.changed(rng, arguments)
    elif way < 0.9:
        data = mutations.damaged(rng, mutations.dump(rng, arguments))
    else:
        data = mutations.noise(rng)
    if rng.random() < 0.05:
        data = b"```json\n" + data + b"\n```"
    return Arguments(kind, data.decode("utf-8", "surrogateescape"))


def check_arguments(given: Arguments) -> None:
    """The call has an outcome that can be sent to the model."""
    outcome = asyncio.run(outcome_of(given))
    content = outcome.content
    expect(isinstance(content, str), f"no text as content: {content!r}")
    expect(CANARY not in str(content), "a secret in the content")
    if outcome.error is not None:
        expect("error" in json.loads(str(content)), f"no error as content: {content!r}")
    parse_call("openai/gpt-4o", [{"role": "user", "content": "Hi."}, outcome.message], {})


async def outcome_of(given: Arguments) -> ToolOutcome:
    """The outcome of a call with these arguments."""
    asked = tools()[given.kind]
    return await asked.run(ToolCall("call_1", FunctionCall(asked.name, given.text)), context=CONTEXT)


TOOL_ARGUMENTS = Subject(make_arguments, check_arguments)
