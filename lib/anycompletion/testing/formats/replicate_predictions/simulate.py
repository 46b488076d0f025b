"""Simulates Replicate's predictions; keeps them in the request's memory, and has no other state.

A prediction advances by one status with each poll, and not with time. https://replicate.com/docs/reference/http
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from ....errors import CompletionError
from ..json_access import as_dict, as_text, dump, sse, text_of
from ..openai_chat import simulate as openai_chat
from ..reply_script import ReplyScript
from ..simulated_reply import Prompt, ReplyOptions, choose_reply
from ..wire_format import ASK, AnyResponse, ErrorSpec, SimulatedRequest, StreamedResponse, WholeResponse, WireFormat
from .encode import COURSES, SimulatedPrediction, encode_error, prediction_json, stream_events, stream_token
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

_NOT_FOUND = ErrorSpec(404, "Not found", "The requested resource could not be found.")

ERRORS: Mapping[str, ErrorSpec] = {
    "bad-request": ErrorSpec(400, "Bad request", "The request is not valid. (simulated)"),
    "authentication": ErrorSpec(401, "Unauthenticated", "You did not pass a valid authentication token"),
    "quota": ErrorSpec(
        402, "Insufficient credit", "You have insufficient credit to run this model. Go to your billing settings."
    ),
    "permission": ErrorSpec(403, "Forbidden", "You do not have permission to perform this action. (simulated)"),
    "not-found": _NOT_FOUND,
    "context-length": ErrorSpec(
        422,
        "Input validation failed",
        "- input.prompt: the prompt is longer than the maximum context length (simulated)",
    ),
    "content-policy": ErrorSpec(422, "Content flagged", "The input was flagged as sensitive. (E005)"),
    "rate-limit": ErrorSpec(429, "", "Request was throttled. Your rate limit resets in ~1s."),
    "server-error": ErrorSpec(500, "Internal server error", "Something went wrong. (simulated)"),
    "overloaded": ErrorSpec(503, "Service unavailable", "The model is overloaded. (simulated)"),
    "unavailable": ErrorSpec(503, "Service unavailable", "The service is temporarily unavailable. (simulated)"),
    "timeout": ErrorSpec(504, "Gateway timeout", "The request timed out. (simulated)"),
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


def validate(request: SimulatedRequest, api_key: str) -> ErrorSpec | None:
    """The error that rejects the path or the token; None for a request that reaches its endpoint."""
    handler, _ = _route(request)
    if handler is None:
        return _NOT_FOUND
    # The URL of a stream is a secret itself.
    return None if handler is _stream else validate_key(request, api_key)


def reply(request: SimulatedRequest) -> AnyResponse:
    """The response to a valid request."""
    handler, arguments = _route(request)
    return encode_error(request, _NOT_FOUND) if handler is None else handler(request, *arguments)


def _route(request: SimulatedRequest) -> tuple[Callable[..., AnyResponse] | None, tuple[str, ...]]:
    """The function for an endpoint, and the parts of the path that it takes."""
    for method, pattern, handler in _ROUTES:
        found = re.fullmatch(pattern, request.path)
        if found is not None and method == request.method:
            return handler, found.groups()
    return None, ()


def stream_error(request: SimulatedRequest, error: ErrorSpec) -> bytes:
    """The events that report the error inside a stream and end it."""
    return sse({"detail": error.message}, "error") + sse({"reason": "error"}, "done")


def headers(request: SimulatedRequest, status: int) -> dict[str, str]:
    """The headers of a response with that status."""
    remaining = 0 if status == 429 else 599 if request.method == "POST" or status >= 400 else 2999
    return {"ratelimit-remaining": str(remaining), "ratelimit-reset": "1", "x-request-id": request.uid}


# --- models -------------------------------------------------------------------------------------------------------


def _json(value: Any, status: int = 200) -> WholeResponse:
    return WholeResponse(status, dump(value))


def _get_model(request: SimulatedRequest, owner: str, name: str) -> WholeResponse:
    model = find_model(owner, name)
    if model is None:
        return encode_error(request, _NOT_FOUND)
    remember_version(request.memory, model)
    return _json(model_json(model))


def _get_version(request: SimulatedRequest, owner: str, name: str, ident: str) -> WholeResponse:
    model = find_model(owner, name)
    if model is None or model.version != ident:
        return encode_error(request, _NOT_FOUND)
    remember_version(request.memory, model)
    return _json(version_json(model))


def _get_deployment(request: SimulatedRequest, owner: str, name: str) -> WholeResponse:
    if find_model(owner, name) is None:
        return encode_error(request, _NOT_FOUND)
    return _json(deployment_json(owner, name))


# --- predictions --------------------------------------------------------------------------------------------------


def _create_by_model(request: SimulatedRequest, owner: str, name: str) -> WholeResponse:
    model = find_model(owner, name)
    if model is None or not model.is_official:
        return encode_error(request, _NOT_FOUND)
    return _create(request, model)


def _create_by_version(request: SimulatedRequest) -> WholeResponse:
    model = model_of_version(request)
    if model is None:
        detail = "The specified version does not exist (or perhaps you don't have permission to use it?)"
        return encode_error(request, ErrorSpec(422, "Invalid version or not permitted", detail))
    ident = as_text(request.body["version"]).rpartition(":")[2]
    return _create(request, model, version=model.version if "/" in ident else ident)


def _create_by_deployment(request: SimulatedRequest, owner: str, name: str) -> WholeResponse:
    if find_model(owner, name) is None:
        return encode_error(request, _NOT_FOUND)
    return _create(request, deployed_model(name), deployment=f"{owner}/{name}")


def _create(
    request: SimulatedRequest, model: SimulatedModel, *, version: str = "hidden", deployment: str | None = None
) -> WholeResponse:
    error = None if request.skip_validation else validate_body(request, model)
    if error is not None:
        return encode_error(request, error)
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
    applied = {} if seconds is None else {"preference-applied": request.headers["prefer"]}
    return attrs.evolve(_show(request, prediction, 201), headers=applied, opens_stream=bool(body.get("stream")))


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
        return encode_error(request, _NOT_FOUND)
    prediction.advance()
    return _show(request, prediction)


def _cancel(request: SimulatedRequest, ident: str) -> WholeResponse:
    prediction: SimulatedPrediction | None = request.memory.get(f"prediction {ident}")
    if prediction is None:
        return encode_error(request, _NOT_FOUND)
    prediction.canceled = prediction.canceled or not prediction.is_done
    return _show(request, prediction)


def _show(request: SimulatedRequest, prediction: SimulatedPrediction, status: int = 200) -> WholeResponse:
    return _json(prediction_json(prediction, f"{request.origin}{ROOT}"), status)


def _stream(request: SimulatedRequest, token: str) -> AnyResponse:
    prediction: SimulatedPrediction | None = request.memory.get(f"stream {token}")
    if prediction is None or not prediction.body.get("stream"):
        return encode_error(request, _NOT_FOUND)
    if not prediction.is_done:
        # The next poll, after the stream, finds the final status.
        prediction.polls = len(prediction.course) - 2
    fault = prediction.fault if prediction.fault is not None and prediction.fault.kind != "outcome" else None
    events = tuple(stream_events(prediction))
    return StreamedResponse(events, {"cache-control": "no-store"}, "text/event-stream", fault=fault)


_ROUTES: tuple[tuple[str, str, Callable[..., AnyResponse]], ...] = (
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


# --- scripted replies ---------------------------------------------------------------------------------------------


def create_scripted(request: SimulatedRequest, script: ReplyScript) -> AnyResponse:
    """The response to a request for a prediction whose output is a scripted reply.

    Raises:
        ValueError: the reply calls a tool, which a prediction cannot do.
    """
    message = script.choice["message"]
    if message.get("tool_calls") or message.get("function_call"):
        raise ValueError("Replicate's predictions are text: they cannot carry a reply that calls a tool")
    deltas = [choice["delta"].get("content") for choice in script.chunk_choices()]
    pieces = tuple(piece for piece in deltas if piece) or (text_of(message.get("content")),)
    if script.error is not None:
        # Another request reads the stream, and is interrupted then.
        request.memory.store(_error_key(f"/streams/{stream_token(request.uid[:26])}"), script.error)
    return reply(attrs.evolve(request, options=ReplyOptions(pieces=pieces), skip_validation=True))


def stream_interruption(request: SimulatedRequest) -> CompletionError | None:
    """The error of the script that interrupts the stream which the request reads."""
    error: CompletionError | None = request.memory.get(_error_key(request.path))
    return error


def _error_key(path: str) -> str:
    return f"error of {path}"


FORMAT = WireFormat(
    provider="replicate",
    api_key=API_KEY,
    api="predictions",
    validate=validate,
    reply=reply,
    encode=create_scripted,
    errors=ERRORS,
    encode_error=encode_error,
    stream_error=stream_error,
    headers=headers,
    step=step,
)
