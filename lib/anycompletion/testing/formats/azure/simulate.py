"""Simulates Azure's chat completions: OpenAI's, with other paths, keys and errors; has no chat format of its own.

https://learn.microsoft.com/azure/ai-foundry/openai/reference
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from ..json_access import as_dict, dump, sse
from ..openai_chat import simulate as openai_chat
from ..openai_chat.encode import DONE
from ..openai_chat.validate import validate_body
from ..simulated_reply import SimulatedReply
from ..wire_format import (
    UNKNOWN_MODEL,
    AnyResponse,
    ErrorSpec,
    SimulatedRequest,
    StreamedResponse,
    StreamEvent,
    WholeResponse,
    WireFormat,
)

API_KEY = "simulated-azure-key"

ERRORS: Mapping[str, ErrorSpec] = {
    **openai_chat.ERRORS,
    "content-policy": ErrorSpec(
        400,
        "",
        "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please "
        "modify your prompt and retry.",
        "content_filter",
        "prompt",
    ),
    "authentication": ErrorSpec(
        401,
        "",
        "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an "
        "active subscription and use a correct regional API endpoint for your resource.",
        "401",
    ),
    "permission": ErrorSpec(403, "", "Public access is disabled. Please configure private endpoint.", "403"),
    "not-found": ErrorSpec(
        404,
        "invalid_request_error",
        "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, "
        "please wait a moment and try again.",
        "DeploymentNotFound",
    ),
    "rate-limit": ErrorSpec(
        429,
        "",
        "Requests to the ChatCompletions_Create Operation have exceeded token rate limit of your current AIServices S0 "
        "pricing tier. Please retry after 1 second.",
        "429",
    ),
}

_CLASSIC = re.compile(r"/openai/deployments/([^/]+)/chat/completions")
_V1 = "/openai/v1/chat/completions"
_FOUNDRY = "/models/chat/completions"
_DATED = re.compile(r"\d{4}-\d{2}-\d{2}(-preview)?")

_ENTRA = "entra-"
"""Prefix of bearer tokens, as opposed to keys."""

_HARMS = {name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")}
_UNDETECTED = {"filtered": False, "detected": False}
_PROMPT_RESULT: dict[str, Any] = {**_HARMS, "jailbreak": _UNDETECTED}
_REPLY_RESULT: dict[str, Any] = {
    **_HARMS,
    "protected_material_code": _UNDETECTED,
    "protected_material_text": _UNDETECTED,
}
_PROMPT_RESULTS = [{"prompt_index": 0, "content_filter_results": _PROMPT_RESULT}]


def validate(request: SimulatedRequest, api_key: str) -> ErrorSpec | None:
    """The error that rejects the request, or None if it is valid."""
    error = _validate_path(request) or _validate_key(request, api_key)
    if error is not None:
        return error
    body = _body(request)
    if body.get("model") == UNKNOWN_MODEL:
        return ERRORS["not-found"]
    return validate_body(attrs.evolve(request, body=body or None))


def _body(request: SimulatedRequest) -> dict[str, Any]:
    """The body, with the deployment of the path as its model."""
    classic = _CLASSIC.fullmatch(request.path)
    body = as_dict(request.body)
    return {**body, "model": classic[1]} if classic is not None and body else body


def reply(request: SimulatedRequest) -> AnyResponse:
    """The response to a valid request."""
    body = _body(request)
    # Responses name the model that is deployed, and not the deployment.
    body = {**body, "model": f"{body['model']}-2025-04-14"}
    replies = openai_chat.choose_replies(request, body)
    if body.get("stream"):
        return StreamedResponse((*_events(request, body, replies), DONE))
    whole = openai_chat.completion(request, body, replies)
    whole["prompt_filter_results"] = _PROMPT_RESULTS
    for choice in whole["choices"]:
        choice["content_filter_results"] = _REPLY_RESULT
    return WholeResponse(200, dump(whole))


def _events(request: SimulatedRequest, body: dict[str, Any], replies: list[SimulatedReply]) -> Iterator[StreamEvent]:
    first: dict[str, Any] = {"choices": [], "created": 0, "id": "", "model": "", "object": ""}
    yield StreamEvent(sse({**first, "prompt_filter_results": _PROMPT_RESULTS}))
    for kind, chunk in openai_chat.chunks(request, body, replies):
        for choice in chunk["choices"]:
            choice["content_filter_results"] = _REPLY_RESULT if choice["delta"].get("content") else {}
        yield StreamEvent(sse(chunk), kind)


def encode_error(request: SimulatedRequest, error: ErrorSpec) -> WholeResponse:
    """The error response."""
    if error.type == _GATEWAY:
        body = {"statusCode": error.status, "message": error.message}
    else:
        body = {"error": _error_json(error)}
    return WholeResponse(error.status, dump(body))


def stream_error(request: SimulatedRequest, error: ErrorSpec) -> bytes:
    """The event that reports the error inside a stream."""
    return sse({"error": _error_json(error)})


def _error_json(error: ErrorSpec) -> dict[str, Any]:
    members: dict[str, Any] = {"code": error.code or str(error.status), "message": error.message}
    if error.type:
        members["type"] = error.type
    if error.param is not None:
        members["param"] = error.param
    if error.code == "content_filter":
        result = {**_PROMPT_RESULT, "violence": {"filtered": True, "severity": "medium"}}
        inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": result}
        members |= {"type": None, "status": error.status, "innererror": inner}
    return members


def headers(request: SimulatedRequest, status: int) -> dict[str, str]:
    """The headers of a response with that status."""
    return {
        "apim-request-id": request.uid,
        "x-request-id": request.uid,
        "x-ms-region": "Simulated",
        "azureml-model-session": "d20260330170902-simulated",
        "x-ratelimit-limit-requests": "120",
        "x-ratelimit-remaining-requests": "0" if status == 429 else "119",
        "x-ratelimit-reset-requests": "1",
        "x-ratelimit-limit-tokens": "120000",
        "x-ratelimit-remaining-tokens": "119986",
        "x-ratelimit-reset-tokens": "7",
    }


# --- paths and keys -----------------------------------------------------------------------------------------------

_GATEWAY = "gateway"
"""The type of errors that come from the gateway, whose bodies have another form."""

_NO_RESOURCE = ErrorSpec(404, "", "Resource not found", "404")


def _bad(message: str) -> ErrorSpec:
    return ErrorSpec(400, "", message, "BadRequest")


def _validate_path(request: SimulatedRequest) -> ErrorSpec | None:
    """The error that rejects the path, the API version or the method."""
    version = request.query.get("api-version")
    if request.path == _V1:
        if version is not None and _DATED.fullmatch(version):
            return _bad("api-version query parameter is not allowed when using /v1 path")
    elif request.path == _FOUNDRY or _CLASSIC.fullmatch(request.path):
        if not version:
            return _bad("Missing required query parameter: api-version") if request.path == _FOUNDRY else _NO_RESOURCE
        if not _DATED.fullmatch(version):
            return _bad("API version not supported")
    else:
        return _NO_RESOURCE
    return None if request.method == "POST" else ErrorSpec(405, "", "Method Not Allowed", "405")


def _validate_key(request: SimulatedRequest, api_key: str) -> ErrorSpec | None:
    given = request.headers.get("api-key")
    if given is not None or request.bearer is None:
        return None if given == api_key else ERRORS["authentication"]
    if request.bearer == api_key or request.bearer.startswith(_ENTRA):
        return None
    message = "Unauthorized. Access token is missing, invalid, audience is incorrect, or have expired."
    return ErrorSpec(401, _GATEWAY, message)


FORMAT = WireFormat(
    provider="azure",
    api_key=API_KEY,
    validate=validate,
    reply=reply,
    errors=ERRORS,
    encode_error=encode_error,
    stream_error=stream_error,
    headers=headers,
)
