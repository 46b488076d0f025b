"""Encodes predictions, their streams and errors as Replicate sends them; pure, and never advances a prediction.

https://replicate.com/docs/reference/http
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

import attrs

from ...simulator.faults import Fault
from ..json_access import as_dict, as_text, dump, sse, text_of
from ..simulated_reply import count_tokens
from ..wire_format import ErrorSpec, SimulatedRequest, StreamEvent, WholeResponse
from .models import SimulatedModel

PredictionStatus: TypeAlias = Literal["starting", "processing", "succeeded", "failed", "canceled", "aborted"]

COURSES: Mapping[str, tuple[PredictionStatus, ...]] = {
    "": ("starting", "processing", "succeeded"),
    "slow": ("starting", "starting", "processing", "processing", "succeeded"),
    "failed": ("starting", "processing", "failed"),
    "canceled": ("starting", "processing", "canceled"),
    "aborted": ("starting", "starting", "aborted"),
}
"""Outcome → the status at the creation of a prediction and at each poll after it."""

_ERRORS = {"failed": "Prediction failed: the model crashed. (simulated)", "aborted": "Prediction aborted. (simulated)"}


@attrs.define(kw_only=True)
class SimulatedPrediction:
    """A prediction and how far it has come."""

    ident: str
    model: SimulatedModel
    version: str
    body: dict[str, Any]
    """The request's body."""
    deployment: str | None
    pieces: tuple[str, ...]
    created: float
    fault: Fault | None
    polls: int = 0
    canceled: bool = False

    @property
    def course(self) -> tuple[PredictionStatus, ...]:
        """Its status at each poll."""
        outcome = self.fault.outcome if self.fault is not None and self.fault.kind == "outcome" else ""
        broken = self.fault is not None and self.fault.kind == "error"
        return COURSES["failed" if broken else outcome]

    @property
    def status(self) -> PredictionStatus:
        """Its status now."""
        return "canceled" if self.canceled else self.course[self.polls]

    @property
    def is_done(self) -> bool:
        """True if its status is final."""
        return self.status not in ("starting", "processing")

    def advance(self) -> None:
        """Advances by one poll."""
        self.polls = min(self.polls + 1, len(self.course) - 1)

    def finish(self) -> None:
        """Advances to the end."""
        self.polls = len(self.course) - 1

    @property
    def stream_token(self) -> str:
        """The last segment of its stream's path."""
        return stream_token(self.ident)


def stream_token(ident: str) -> str:
    """The last segment of the path of a prediction's stream."""
    return f"{ident[::-1]}stream"


def prediction_json(prediction: SimulatedPrediction, base_url: str) -> dict[str, Any]:
    """A prediction as a response shows it."""
    url = f"{base_url}/v1/predictions/{prediction.ident}"
    urls = {"get": url, "cancel": f"{url}/cancel", "web": f"https://replicate.com/p/{prediction.ident}"}
    if prediction.body.get("stream"):
        urls["stream"] = f"{base_url}/streams/{prediction.stream_token}"
    members: dict[str, Any] = {
        "id": prediction.ident,
        "model": prediction.model.full_name,
        "version": prediction.version,
        "input": prediction.body["input"],
        "logs": "",
        "output": _output(prediction),
        "data_removed": False,
        "error": _ERRORS.get(prediction.status),
        "source": "api",
        "status": prediction.status,
        "created_at": _time(prediction.created),
        "urls": urls,
    }
    if prediction.deployment is not None:
        members["deployment"] = prediction.deployment
    if prediction.status not in ("starting", "aborted"):
        members["started_at"] = _time(prediction.created + 0.01)
    if prediction.is_done:
        members["completed_at"] = _time(prediction.created + 0.26)
        members["metrics"] = _metrics(prediction)
    return members


def _output(prediction: SimulatedPrediction) -> Any:
    """The whole output, or its first half while the prediction runs."""
    match prediction.status:
        case "succeeded":
            pieces = prediction.pieces
        case "processing":
            pieces = prediction.pieces[: len(prediction.pieces) // 2]
        case _:
            pieces = ()
    if not pieces:
        return [] if prediction.status == "succeeded" and not prediction.model.takes_messages else None
    return "".join(pieces) if prediction.model.takes_messages else list(pieces)


def _metrics(prediction: SimulatedPrediction) -> dict[str, Any]:
    metrics: dict[str, Any] = {"total_time": 0.26}
    if prediction.status != "aborted":
        metrics["predict_time"] = 0.25
    if prediction.status == "succeeded":
        given = as_dict(prediction.body["input"])
        prompts = [as_text(given.get("prompt"))]
        if given.get("messages"):
            prompts = [text_of(as_dict(each).get("content")) for each in given["messages"]]
        metrics["input_token_count"] = sum(map(count_tokens, [as_text(given.get("system_prompt")), *prompts]))
        metrics["output_token_count"] = count_tokens("".join(prediction.pieces))
        metrics["time_to_first_token"] = 0.05
    return metrics


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def stream_events(prediction: SimulatedPrediction) -> Iterator[StreamEvent]:
    """The events of a prediction's stream."""
    end = "canceled" if prediction.canceled else prediction.course[-1]
    whole = end == "succeeded" or (prediction.fault is not None and prediction.fault.kind == "error")
    pieces = prediction.pieces if whole else prediction.pieces[: len(prediction.pieces) // 2]
    for number, piece in enumerate(() if end == "aborted" else pieces):
        # Not splitlines: it also splits at characters that do not end a line of an event stream.
        data = "".join(f"data: {line}\n" for line in re.split("\r\n|\r|\n", piece))
        yield StreamEvent(f"event: output\nid: {number}:0\n{data}\n".encode("utf-8", "replace"))
    last = f"id: {len(pieces)}:0\n".encode()
    if end == "failed":
        yield StreamEvent(last + sse({"detail": _ERRORS["failed"]}, "error"), "finish")
    reasons = {"failed": "error", "canceled": "canceled", "aborted": "canceled"}
    yield StreamEvent(last + sse({"reason": reasons[end]} if end in reasons else {}, "done"), "end")


# --- errors ----------------------------------------------------------------------------------------------------------


def encode_error(request: SimulatedRequest, error: ErrorSpec) -> WholeResponse:
    """The error response."""
    problem: dict[str, Any] = {"title": error.code or error.type, "detail": error.message, "status": error.status}
    if error.param is not None:
        description = error.message.rpartition(": ")[2].strip()
        problem["invalid_fields"] = [{"type": "invalid", "field": error.param, "description": description}]
    return WholeResponse(error.status, dump(problem), content_type="application/problem+json")
