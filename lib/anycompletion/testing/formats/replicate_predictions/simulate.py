"""Replicate's predictions as the simulator runs them; they live in the call's memory, and never anywhere else.

A prediction goes on whenever it is looked at, not with the clock: it starts, the first look finds it processing, the
second one finds it done. https://replicate.com/docs/reference/http
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

import attrs

from ...simulator.faults import Fault
from ..json_access import as_dict, as_text
from ..openai_chat import simulate as sim_openai
from ..simulated_reply import Ask, Say, count, decide
from ..wire_format import ASK, Call, Failure, Format, Plain, Stream, StreamEvent, dump, sse
from .validate import Model, body, deployed, key, model, model_of_version, not_found, wait

API_KEY = "simulated-replicate-token"
ROOT = "/replicate"

FAILURES: Mapping[str, Failure] = {
    "bad-request": Failure(400, "Bad request", "The request is not valid. (simulated)"),
    "authentication": Failure(401, "Unauthenticated", "You did not pass a valid authentication token"),
    "quota": Failure(
        402, "Insufficient credit", "You have insufficient credit to run this model. Go to your billing settings."
    ),
    "permission": Failure(403, "Forbidden", "You do not have permission to perform this action. (simulated)"),
    "not-found": not_found(),
    "context-length": Failure(
        422,
        "Input validation failed",
        "- input.prompt: the prompt is longer than the maximum context length (simulated)",
    ),
    "content-policy": Failure(422, "Content flagged", "The input was flagged as sensitive. (E005)"),
    "rate-limit": Failure(429, "", "Request was throttled. Your rate limit resets in ~1s."),
    "server-error": Failure(500, "Internal server error", "Something went wrong. (simulated)"),
    "overloaded": Failure(503, "Service unavailable", "The model is overloaded. (simulated)"),
    "unavailable": Failure(503, "Service unavailable", "The service is temporarily unavailable. (simulated)"),
    "timeout": Failure(504, "Gateway timeout", "The request timed out. (simulated)"),
}

Status: TypeAlias = Literal["starting", "processing", "succeeded", "failed", "canceled", "aborted"]

_COURSES: Mapping[str, tuple[Status, ...]] = {
    "": ("starting", "processing", "succeeded"),
    "slow": ("starting", "starting", "processing", "processing", "succeeded"),
    "failed": ("starting", "processing", "failed"),
    "canceled": ("starting", "processing", "canceled"),
    "aborted": ("starting", "starting", "aborted"),
}
"""Outcome → what the looks at a prediction find, its creation being the first."""

_DETAILS = {"failed": "Prediction failed: the model crashed. (simulated)", "aborted": "Prediction aborted. (simulated)"}


@attrs.define(kw_only=True)
class Prediction:
    """One prediction and how far it is."""

    ident: str
    model: Model
    version: str
    asked: dict[str, Any]
    """The request's body."""
    deployment: str | None
    pieces: tuple[str, ...]
    created: float
    fault: Fault | None
    looks: int = 0
    canceled: bool = False

    @property
    def course(self) -> tuple[Status, ...]:
        """What becomes of it, one look after another."""
        outcome = self.fault.outcome if self.fault is not None and self.fault.kind == "outcome" else ""
        broken = self.fault is not None and self.fault.kind == "error"
        return _COURSES["failed" if broken else outcome]

    @property
    def status(self) -> Status:
        """Where it is."""
        return "canceled" if self.canceled else self.course[self.looks]

    @property
    def over(self) -> bool:
        """True if nothing more will happen."""
        return self.status not in ("starting", "processing")

    def look(self) -> None:
        """Goes on by one look."""
        self.looks = min(self.looks + 1, len(self.course) - 1)

    def finish(self) -> None:
        """Goes on to the end."""
        self.looks = len(self.course) - 1

    @property
    def stream_token(self) -> str:
        """What the path of its stream ends with."""
        return f"{self.ident[::-1]}stream"


def step(method: str, path: str) -> str:
    """Which step of a call a request is."""
    if path.startswith("/streams/"):
        return "stream"
    if path.endswith("/cancel"):
        return "cancel"
    if method == "POST":
        return ASK
    return "poll" if path.startswith("/v1/predictions/") else "model"


def answer(call: Call) -> Plain | Stream:
    """The answer to any request below the format's root."""
    for method, pattern, respond in _ROUTES:
        found = re.fullmatch(pattern, call.path)
        if found is None or method != call.method:
            continue
        # The address of a stream is a secret itself.
        failure = None if respond is _stream or call.trusted else key(call, API_KEY)
        return respond(call, *found.groups()) if failure is None else refuse(call, failure)
    return refuse(call, not_found())


def refuse(call: Call, failure: Failure) -> Plain:
    """The error answer for `failure`."""
    problem: dict[str, Any] = {"title": failure.type, "detail": failure.message, "status": failure.status}
    if failure.status == 429:
        problem = {"detail": failure.message, "status": 429, "retry_after": 1}
    if failure.param is not None:
        description = failure.message.rpartition(": ")[2].strip()
        problem["invalid_fields"] = [{"type": "invalid", "field": failure.param, "description": description}]
    return Plain(failure.status, dump(problem), _headers(call, 0 if failure.status == 429 else 599), _PROBLEM)


_PROBLEM = "application/problem+json"


def stream_error(call: Call, failure: Failure) -> bytes:
    """The events that report `failure` inside a stream and end it."""
    return sse({"detail": failure.message}, "error") + sse({"reason": "error"}, "done")


def _headers(call: Call, remaining: int = 599) -> dict[str, str]:
    return {"ratelimit-remaining": str(remaining), "ratelimit-reset": "1", "x-request-id": call.uid}


def _good(call: Call, value: Any, status: int = 200) -> Plain:
    return Plain(status, dump(value), _headers(call, 599 if call.method == "POST" else 2999))


# --- models -------------------------------------------------------------------------------------------------------


def _get_model(call: Call, owner: str, name: str) -> Plain:
    found = model(owner, name)
    if found is None:
        return refuse(call, not_found())
    call.memory.keep(f"version {found.version}", found)
    whole = {
        "url": f"https://replicate.com/{found.full_name}",
        "owner": owner,
        "name": name,
        "description": "A simulated model",
        "visibility": "public",
        "is_official": found.is_official,
        "github_url": None,
        "paper_url": None,
        "license_url": None,
        "run_count": 1,
        "cover_image_url": None,
        "default_example": None,
        "latest_version": _version(found),
    }
    return _good(call, whole)


def _get_version(call: Call, owner: str, name: str, ident: str) -> Plain:
    found = model(owner, name)
    if found is None or found.version != ident:
        return refuse(call, not_found())
    call.memory.keep(f"version {ident}", found)
    return _good(call, _version(found))


def _get_deployment(call: Call, owner: str, name: str) -> Plain:
    if model(owner, name) is None:
        return refuse(call, not_found())
    found = deployed(name)
    release = {
        "number": 1,
        "model": found.full_name,
        "version": found.version,
        "created_at": "2024-01-31T12:00:00.000Z",
        "created_by": {"type": "organization", "username": owner, "name": owner},
        "configuration": {"hardware": "gpu-t4", "min_instances": 0, "max_instances": 1},
    }
    return _good(call, {"owner": owner, "name": name, "current_release": release})


def _version(of: Model) -> dict[str, Any]:
    texts = {"type": "array", "items": {"type": "string"}, "x-cog-array-type": "iterator", "title": "Output"}
    properties = {name: {**rules, "x-order": order} for order, (name, rules) in enumerate(of.inputs.items())}
    schemas = {
        "Input": {
            "type": "object",
            "title": "Input",
            "properties": properties,
            "required": [] if of.takes_messages else ["prompt"],
        },
        "Output": {"type": "string", "title": "Output"} if of.takes_messages else texts,
    }
    return {
        "id": of.version,
        "created_at": "2024-01-31T12:00:00.000Z",
        "cog_version": "0.9.0",
        "openapi_schema": {
            "openapi": "3.0.2",
            "info": {"title": "Cog", "version": "0.1.0"},
            "components": {"schemas": schemas},
        },
    }


# --- predictions --------------------------------------------------------------------------------------------------


def _of_model(call: Call, owner: str, name: str) -> Plain:
    found = model(owner, name)
    if found is None or not found.is_official:
        return refuse(call, not_found())
    return _create(call, found)


def _of_version(call: Call) -> Plain:
    found = model_of_version(call)
    if found is None:
        detail = "The specified version does not exist (or perhaps you don't have permission to use it?)"
        return refuse(call, Failure(422, "Invalid version or not permitted", detail))
    ident = as_text(call.body["version"]).rpartition(":")[2]
    return _create(call, found, version=found.version if "/" in ident else ident)


def _of_deployment(call: Call, owner: str, name: str) -> Plain:
    if model(owner, name) is None:
        return refuse(call, not_found())
    return _create(call, deployed(name), deployment=f"{owner}/{name}")


def _create(call: Call, target: Model, *, version: str = "hidden", deployment: str | None = None) -> Plain:
    failure = None if call.trusted else body(call, target)
    if failure is not None:
        return refuse(call, failure)
    asked = as_dict(call.body)
    said = decide(read(asked), call.style, call.twins)
    prediction = Prediction(
        ident=call.uid[:26],
        model=target,
        version=version,
        asked=asked,
        deployment=deployment,
        pieces=said.pieces if isinstance(said, Say) else (),
        created=call.now,
        fault=call.fault,
    )
    call.memory.keep(f"prediction {prediction.ident}", prediction)
    call.memory.keep(f"stream {prediction.stream_token}", prediction)
    seconds = wait(call)
    if seconds is not None and seconds >= call.latency and prediction.course is not _COURSES["slow"]:
        prediction.finish()
    created = _good(call, _shown(call, prediction), 201)
    applied = {} if seconds is None else {"preference-applied": call.headers["prefer"]}
    opens = bool(asked.get("stream"))
    return attrs.evolve(created, headers={**created.headers, **applied}, opens_stream=opens)


def read(asked: dict[str, Any]) -> Ask:
    """What the request asks for."""
    given = as_dict(asked["input"])
    if given.get("messages"):
        talk = sim_openai.read({"messages": given["messages"]})
        return attrs.evolve(talk, body=asked, max_tokens=given.get("max_completion_tokens"))
    return Ask(
        body=asked,
        user=as_text(given["prompt"]),
        max_tokens=given.get("max_tokens", given.get("max_completion_tokens")),
        stop=tuple(each for each in as_text(given.get("stop_sequences")).split(",") if each),
    )


def _poll(call: Call, ident: str) -> Plain:
    prediction: Prediction | None = call.memory.find(f"prediction {ident}")
    if prediction is None:
        return refuse(call, not_found())
    prediction.look()
    return _good(call, _shown(call, prediction))


def _cancel(call: Call, ident: str) -> Plain:
    prediction: Prediction | None = call.memory.find(f"prediction {ident}")
    if prediction is None:
        return refuse(call, not_found())
    prediction.canceled = prediction.canceled or not prediction.over
    return _good(call, _shown(call, prediction))


def _shown(call: Call, prediction: Prediction) -> dict[str, Any]:
    url = f"{call.origin}{ROOT}/v1/predictions/{prediction.ident}"
    urls = {"get": url, "cancel": f"{url}/cancel", "web": f"https://replicate.com/p/{prediction.ident}"}
    if prediction.asked.get("stream"):
        urls["stream"] = f"{call.origin}{ROOT}/streams/{prediction.stream_token}"
    shown: dict[str, Any] = {
        "id": prediction.ident,
        "model": prediction.model.full_name,
        "version": prediction.version,
        "input": prediction.asked["input"],
        "logs": "",
        "output": _output(prediction),
        "data_removed": False,
        "error": _DETAILS.get(prediction.status),
        "source": "api",
        "status": prediction.status,
        "created_at": _time(prediction.created),
        "urls": urls,
    }
    if prediction.deployment is not None:
        shown["deployment"] = prediction.deployment
    if prediction.status not in ("starting", "aborted"):
        shown["started_at"] = _time(prediction.created + 0.01)
    if prediction.over:
        shown["completed_at"] = _time(prediction.created + 0.26)
        shown["metrics"] = _metrics(prediction)
    return shown


def _output(prediction: Prediction) -> Any:
    """All of the output, or the first half of it while the rest is made."""
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


def _metrics(prediction: Prediction) -> dict[str, Any]:
    metrics: dict[str, Any] = {"total_time": 0.26}
    if prediction.status != "aborted":
        metrics["predict_time"] = 0.25
    if prediction.status == "succeeded":
        given = as_dict(prediction.asked["input"])
        talk = [as_text(given.get("prompt"))]
        if given.get("messages"):
            talk = [sim_openai.text_of(as_dict(each).get("content")) for each in given["messages"]]
        metrics["input_token_count"] = sum(map(count, [as_text(given.get("system_prompt")), *talk]))
        metrics["output_token_count"] = count("".join(prediction.pieces))
        metrics["time_to_first_token"] = 0.05
    return metrics


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


# --- streams ------------------------------------------------------------------------------------------------------


def _stream(call: Call, token: str) -> Plain | Stream:
    prediction: Prediction | None = call.memory.find(f"stream {token}")
    if prediction is None or not prediction.asked.get("stream"):
        return refuse(call, not_found())
    if not prediction.over:
        # Its last look is the one that asks how it ended.
        prediction.looks = len(prediction.course) - 2
    waiting = prediction.fault if prediction.fault is not None and prediction.fault.kind != "outcome" else None
    return Stream(tuple(_events(prediction)), {"cache-control": "no-store"}, "text/event-stream", fault=waiting)


def _events(prediction: Prediction) -> Iterator[StreamEvent]:
    end = "canceled" if prediction.canceled else prediction.course[-1]
    whole = end == "succeeded" or (prediction.fault is not None and prediction.fault.kind == "error")
    pieces = prediction.pieces if whole else prediction.pieces[: len(prediction.pieces) // 2]
    for number, piece in enumerate(() if end == "aborted" else pieces):
        # Not splitlines: that knows ends of lines that are none for an event stream.
        data = "".join(f"data: {line}\n" for line in re.split("\r\n|\r|\n", piece))
        yield StreamEvent(f"event: output\nid: {number}:0\n{data}\n".encode("utf-8", "replace"))
    last = f"id: {len(pieces)}:0\n".encode()
    if end == "failed":
        yield StreamEvent(last + sse({"detail": _DETAILS["failed"]}, "error"), "finish")
    reasons = {"failed": "error", "canceled": "canceled", "aborted": "canceled"}
    yield StreamEvent(last + sse({"reason": reasons[end]} if end in reasons else {}, "done"), "end")


_ROUTES: tuple[tuple[str, str, Callable[..., Plain | Stream]], ...] = (
    ("GET", "/v1/models/([^/]+)/([^/]+)", _get_model),
    ("GET", "/v1/models/([^/]+)/([^/]+)/versions/([^/]+)", _get_version),
    ("GET", "/v1/deployments/([^/]+)/([^/]+)", _get_deployment),
    ("POST", "/v1/models/([^/]+)/([^/]+)/predictions", _of_model),
    ("POST", "/v1/deployments/([^/]+)/([^/]+)/predictions", _of_deployment),
    ("POST", "/v1/predictions", _of_version),
    ("GET", "/v1/predictions/([^/]+)", _poll),
    ("POST", "/v1/predictions/([^/]+)/cancel", _cancel),
    ("GET", "/streams/([^/]+)", _stream),
)

FORMAT = Format(
    provider="replicate",
    root=ROOT,
    base=ROOT,
    api_key=API_KEY,
    answer=answer,
    failures=FAILURES,
    refuse=refuse,
    stream_error=stream_error,
    step=step,
)
