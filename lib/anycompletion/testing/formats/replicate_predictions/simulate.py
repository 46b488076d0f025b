"""Simulates Replicate's predictions; keeps them in the request's memory, and has no other state.

A prediction advances by one status with each poll, and not with time. https://replicate.com/docs/reference/http
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from ..json_access import as_dict, as_text
from ..openai_chat import simulate as openai_chat
from ..simulated_reply import Prompt, choose_reply
from ..wire_format import ASK, SimulatedError, SimulatedRequest, StreamedResponse, WholeResponse, WireFormat, dump, sse
from . import encode
from .encode import COURSES, SimulatedPrediction, prediction_json
from .models import (
    SimulatedModel,
    deployed_model,
    deployment_json,
    find_model,
    model_json,
    model_of_version,
    remember_version,
    version_json,
)
from .validate import requested_wait, validate_body, validate_key

API_KEY = "simulated-replicate-token"
ROOT = "/replicate"

_NOT_FOUND = SimulatedError(404, "Not found", "The requested resource could not be found.")

ERRORS: Mapping[str, SimulatedError] = {
    "bad-request": SimulatedError(400, "Bad request", "The request is not valid. (simulated)"),
    "authentication": SimulatedError(401, "Unauthenticated", "You did not pass a valid authentication token"),
    "quota": SimulatedError(
        402, "Insufficient credit", "You have insufficient credit to run this model. Go to your billing settings."
    ),
    "permission": SimulatedError(403, "Forbidden", "You do not have permission to perform this action. (simulated)"),
    "not-found": _NOT_FOUND,
    "context-length": SimulatedError(
        422,
        "Input validation failed",
        "- input.prompt: the prompt is longer than the maximum context length (simulated)",
    ),
    "content-policy": SimulatedError(422, "Content flagged", "The input was flagged as sensitive. (E005)"),
    "rate-limit": SimulatedError(429, "", "Request was throttled. Your rate limit resets in ~1s."),
    "server-error": SimulatedError(500, "Internal server error", "Something went wrong. (simulated)"),
    "overloaded": SimulatedError(503, "Service unavailable", "The model is overloaded. (simulated)"),
    "unavailable": SimulatedError(503, "Service unavailable", "The service is temporarily unavailable. (simulated)"),
    "timeout": SimulatedError(504, "Gateway timeout", "The request timed out. (simulated)"),
}


def step(method: str, path: str) -> str:
    """The step of a call that a request is."""
    if path.startswith("/streams/"):
        return "stream"
    if path.endswith("/cancel"):
        return "cancel"
    if method == "POST":
        return ASK
    return "poll" if path.startswith("/v1/predictions/") else "model"


def respond(request: SimulatedRequest) -> WholeResponse | StreamedResponse:
    """The response to any request below the format's root."""
    for method, pattern, handler in _ROUTES:
        found = re.fullmatch(pattern, request.path)
        if found is None or method != request.method:
            continue
        # The URL of a stream is a secret itself.
        needs_key = handler is not _stream and not request.skip_validation
        error = validate_key(request, API_KEY) if needs_key else None
        return handler(request, *found.groups()) if error is None else error_response(request, error)
    return error_response(request, _NOT_FOUND)


def error_response(request: SimulatedRequest, error: SimulatedError) -> WholeResponse:
    """The error response."""
    response = encode.error_response(request, error)
    if error.status == 429:
        body = dump({"detail": error.message, "status": 429, "retry_after": 1})
        return attrs.evolve(response, body=body, headers=_headers(request, 0))
    return attrs.evolve(response, headers=_headers(request))


def stream_error(request: SimulatedRequest, error: SimulatedError) -> bytes:
    """The events that report the error inside a stream and end it."""
    return sse({"detail": error.message}, "error") + sse({"reason": "error"}, "done")


def _headers(request: SimulatedRequest, remaining: int = 599) -> dict[str, str]:
    return {"ratelimit-remaining": str(remaining), "ratelimit-reset": "1", "x-request-id": request.uid}


def _success(request: SimulatedRequest, value: Any, status: int = 200) -> WholeResponse:
    return WholeResponse(status, dump(value), _headers(request, 599 if request.method == "POST" else 2999))


# --- models -------------------------------------------------------------------------------------------------------


def _get_model(request: SimulatedRequest, owner: str, name: str) -> WholeResponse:
    model = find_model(owner, name)
    if model is None:
        return error_response(request, _NOT_FOUND)
    remember_version(request.memory, model)
    return _success(request, model_json(model))


def _get_version(request: SimulatedRequest, owner: str, name: str, ident: str) -> WholeResponse:
    model = find_model(owner, name)
    if model is None or model.version != ident:
        return error_response(request, _NOT_FOUND)
    remember_version(request.memory, model)
    return _success(request, version_json(model))


def _get_deployment(request: SimulatedRequest, owner: str, name: str) -> WholeResponse:
    if find_model(owner, name) is None:
        return error_response(request, _NOT_FOUND)
    return _success(request, deployment_json(owner, name))


# --- predictions --------------------------------------------------------------------------------------------------


def _create_by_model(request: SimulatedRequest, owner: str, name: str) -> WholeResponse:
    model = find_model(owner, name)
    if model is None or not model.is_official:
        return error_response(request, _NOT_FOUND)
    return _create(request, model)


def _create_by_version(request: SimulatedRequest) -> WholeResponse:
    model = model_of_version(request)
    if model is None:
        detail = "The specified version does not exist (or perhaps you don't have permission to use it?)"
        return error_response(request, SimulatedError(422, "Invalid version or not permitted", detail))
    ident = as_text(request.body["version"]).rpartition(":")[2]
    return _create(request, model, version=model.version if "/" in ident else ident)


def _create_by_deployment(request: SimulatedRequest, owner: str, name: str) -> WholeResponse:
    if find_model(owner, name) is None:
        return error_response(request, _NOT_FOUND)
    return _create(request, deployed_model(name), deployment=f"{owner}/{name}")


def _create(
    request: SimulatedRequest, model: SimulatedModel, *, version: str = "hidden", deployment: str | None = None
) -> WholeResponse:
    error = None if request.skip_validation else validate_body(request, model)
    if error is not None:
        return error_response(request, error)
    body = as_dict(request.body)
    prediction = SimulatedPrediction(
        ident=request.uid[:26],
        model=model,
        version=version,
        body=body,
        deployment=deployment,
        pieces=choose_reply(read_prompt(body), request.options, request.repeats).pieces,
        created=request.now,
        fault=request.fault,
    )
    request.memory.store(f"prediction {prediction.ident}", prediction)
    request.memory.store(f"stream {prediction.stream_token}", prediction)
    seconds = requested_wait(request)
    if seconds is not None and seconds >= request.latency and prediction.course is not COURSES["slow"]:
        prediction.finish()
    created = _show(request, prediction, 201)
    applied = {} if seconds is None else {"preference-applied": request.headers["prefer"]}
    return attrs.evolve(created, headers={**created.headers, **applied}, opens_stream=bool(body.get("stream")))


def read_prompt(body: dict[str, Any]) -> Prompt:
    """What the request asks for."""
    given = as_dict(body["input"])
    if given.get("messages"):
        prompt = openai_chat.read_prompt({"messages": given["messages"]})
        return attrs.evolve(prompt, body=body, max_tokens=given.get("max_completion_tokens"))
    return Prompt(
        body=body,
        user=as_text(given["prompt"]),
        max_tokens=given.get("max_tokens", given.get("max_completion_tokens")),
        stop=tuple(each for each in as_text(given.get("stop_sequences")).split(",") if each),
    )


def _poll(request: SimulatedRequest, ident: str) -> WholeResponse:
    prediction: SimulatedPrediction | None = request.memory.get(f"prediction {ident}")
    if prediction is None:
        return error_response(request, _NOT_FOUND)
    prediction.advance()
    return _show(request, prediction)


def _cancel(request: SimulatedRequest, ident: str) -> WholeResponse:
    prediction: SimulatedPrediction | None = request.memory.get(f"prediction {ident}")
    if prediction is None:
        return error_response(request, _NOT_FOUND)
    prediction.canceled = prediction.canceled or not prediction.is_done
    return _show(request, prediction)


def _show(request: SimulatedRequest, prediction: SimulatedPrediction, status: int = 200) -> WholeResponse:
    return _success(request, prediction_json(prediction, f"{request.origin}{ROOT}"), status)


def _stream(request: SimulatedRequest, token: str) -> WholeResponse | StreamedResponse:
    prediction: SimulatedPrediction | None = request.memory.get(f"stream {token}")
    if prediction is None or not prediction.body.get("stream"):
        return error_response(request, _NOT_FOUND)
    if not prediction.is_done:
        # The next poll, after the stream, finds the final status.
        prediction.polls = len(prediction.course) - 2
    fault = prediction.fault if prediction.fault is not None and prediction.fault.kind != "outcome" else None
    events = tuple(encode.stream_events(prediction))
    return StreamedResponse(events, {"cache-control": "no-store"}, "text/event-stream", fault=fault)


_ROUTES: tuple[tuple[str, str, Callable[..., WholeResponse | StreamedResponse]], ...] = (
    ("GET", "/v1/models/([^/]+)/([^/]+)", _get_model),
    ("GET", "/v1/models/([^/]+)/([^/]+)/versions/([^/]+)", _get_version),
    ("GET", "/v1/deployments/([^/]+)/([^/]+)", _get_deployment),
    ("POST", "/v1/models/([^/]+)/([^/]+)/predictions", _create_by_model),
    ("POST", "/v1/deployments/([^/]+)/([^/]+)/predictions", _create_by_deployment),
    ("POST", "/v1/predictions", _create_by_version),
    ("GET", "/v1/predictions/([^/]+)", _poll),
    ("POST", "/v1/predictions/([^/]+)/cancel", _cancel),
    ("GET", "/streams/([^/]+)", _stream),
)

FORMAT = WireFormat(
    provider="replicate",
    root=ROOT,
    base=ROOT,
    api_key=API_KEY,
    respond=respond,
    errors=ERRORS,
    error_response=error_response,
    stream_error=stream_error,
    step=step,
)
