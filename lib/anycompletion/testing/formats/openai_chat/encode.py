"""Replies as an OpenAI-compatible server sends them; pure, and checks nothing of the request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...fake.replies import Script
from ..json_access import as_dict
from ..wire_format import Call, Failure, Plain, Stream, StreamEvent, dump, sse
from .simulate import DONE, error


def say(call: Call, script: Script) -> Plain | Stream:
    """The answer to a request for chat completions."""
    if as_dict(call.body).get("stream"):
        return Stream((*_events(call, script), DONE))
    return Plain(200, dump(script.whole))


def _events(call: Call, script: Script) -> Iterator[StreamEvent]:
    for chunk in script.chunks:
        ends = any(choice.get("finish_reason") for choice in chunk["choices"])
        yield StreamEvent(sse(chunk), "finish" if ends else "body")
    options = as_dict(as_dict(call.body).get("stream_options"))
    if options.get("include_usage") and script.usage is not None:
        frame = {name: script.whole[name] for name in ("id", "created", "model")}
        told: dict[str, Any] = {**frame, "object": "chat.completion.chunk", "choices": [], "usage": script.usage}
        yield StreamEvent(sse(told), "usage")


def refuse(call: Call, failure: Failure) -> Plain:
    """The error answer for `failure`."""
    return Plain(failure.status, dump(error(failure)))
