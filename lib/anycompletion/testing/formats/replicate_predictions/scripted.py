"""Runs scripted replies as Replicate's predictions, which are text only; the simulator makes all other responses."""

from __future__ import annotations

import attrs

from ....errors import CompletionError
from ..json_access import text_of
from ..reply_script import ReplyScript
from ..simulated_reply import ReplyOptions
from ..wire_format import ASK, SimulatedRequest, StreamedResponse, WholeResponse
from . import simulate
from .encode import stream_token


def create_prediction(request: SimulatedRequest, script: ReplyScript) -> WholeResponse | StreamedResponse:
    """The response to a request for a prediction.

    Raises:
        ValueError: the reply calls a tool, which a prediction cannot do.
    """
    message = script.choice["message"]
    if message.get("tool_calls") or message.get("function_call"):
        raise ValueError("Replicate's predictions are text: they cannot carry a reply that calls a tool")
    deltas = [choice["delta"].get("content") for choice in script.chunk_choices()]
    pieces = tuple(piece for piece in deltas if piece) or (text_of(message.get("content")),)
    if script.error is not None:
        # The stream is another request, which is interrupted in its turn.
        request.memory.store(_error_key(f"/streams/{stream_token(request.uid[:26])}"), script.error)
    return simulate.respond(attrs.evolve(request, options=ReplyOptions(pieces=pieces), skip_validation=True))


def continue_prediction(request: SimulatedRequest) -> WholeResponse | StreamedResponse:
    """The response to any other step: a model's description, a poll of a prediction, its stream."""
    assert simulate.step(request.method, request.path) != ASK, "create_prediction does that"
    return simulate.respond(attrs.evolve(request, skip_validation=True))


def stream_interruption(request: SimulatedRequest) -> CompletionError | None:
    """The error that interrupts the stream which the request asks for."""
    error: CompletionError | None = request.memory.get(_error_key(request.path))
    return error


def _error_key(path: str) -> str:
    return f"error of {path}"
