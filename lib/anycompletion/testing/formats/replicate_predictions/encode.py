"""Replies as Replicate's predictions: text and nothing else; the steps of a prediction are the simulator's."""

from __future__ import annotations

import attrs

from ....errors import CompletionError
from ...fake.replies import Script
from ..openai_chat.simulate import text_of
from ..simulated_reply import Style
from ..wire_format import ASK, Call, Failure, Plain, Stream, dump
from . import simulate as sim_replicate


def say(call: Call, script: Script) -> Plain | Stream:
    """The answer to a request for a prediction.

    Raises:
        ValueError: the reply calls a tool, and no prediction can.
    """
    message = script.whole["choices"][0]["message"]
    if message.get("tool_calls") or message.get("function_call"):
        raise ValueError("Replicate's predictions are text: a reply that calls a tool cannot be told")
    deltas = [choice["delta"].get("content") for chunk in script.chunks for choice in chunk["choices"]]
    pieces = tuple(piece for piece in deltas if piece) or (text_of(message.get("content")),)
    if script.error is not None:
        call.memory.keep(_end_of(f"/streams/{call.uid[:26][::-1]}stream"), script.error)
    return sim_replicate.answer(attrs.evolve(call, style=Style(pieces=pieces), trusted=True))


def step(call: Call) -> Plain | Stream:
    """The answer to any other step: a model's description, a look at a prediction, its stream."""
    assert sim_replicate.step(call.method, call.path) != ASK, "that is for `say`"
    return sim_replicate.answer(attrs.evolve(call, trusted=True))


def broken_off(call: Call) -> CompletionError | None:
    """What breaks the stream off that the request asks for."""
    error: CompletionError | None = call.memory.find(_end_of(call.path))
    return error


def _end_of(path: str) -> str:
    return f"end of {path}"


def refuse(call: Call, failure: Failure) -> Plain:
    """The error answer for `failure`."""
    told = {"title": failure.code or failure.type, "detail": failure.message, "status": failure.status}
    return Plain(failure.status, dump(told), content_type="application/problem+json")
