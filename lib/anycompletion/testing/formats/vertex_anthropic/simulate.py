"""Simulates Claude on Google Vertex AI: Anthropic's messages, with other paths, keys and errors.

https://docs.anthropic.com/en/api/claude-on-vertex-ai
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs

from ..anthropic_messages import simulate as anthropic
from ..anthropic_messages.validate import PATH as MESSAGES
from ..json_access import as_dict, dump
from ..wire_format import AnyResponse, ErrorSpec, SimulatedRequest, WholeResponse, WireFormat

API_KEY = "simulated-vertex-anthropic-token"

BASE_PATH = "/v1/projects/simulated/locations/global"

_PATH = re.compile(r"/v1/projects/[^/]+/locations/[^/]+/publishers/anthropic/models/([^/:]+):(raw|streamRaw)Predict")
_VERSIONS = {"vertex-2023-10-16": "2023-06-01", "2026-10-21": "2026-10-21"}
"""Version in a body → Anthropic's, which has the same fields."""

ERRORS: Mapping[str, ErrorSpec] = {
    **anthropic.ERRORS,
    "authentication": ErrorSpec(401, "UNAUTHENTICATED", "Request had invalid authentication credentials. (simulated)"),
    "permission": ErrorSpec(403, "PERMISSION_DENIED", "Permission 'aiplatform.endpoints.predict' denied. (simulated)"),
    "not-found": ErrorSpec(404, "NOT_FOUND", "Publisher Model was not found. (simulated)"),
    "rate-limit": ErrorSpec(429, "RESOURCE_EXHAUSTED", "Quota exceeded for the base model. (simulated)"),
}
"""Those whose types are in capitals come from Google and not from Anthropic, in Google's form."""


def validate(request: SimulatedRequest, api_key: str) -> ErrorSpec | None:
    """The error that rejects the request, or None if it is valid."""
    found = _PATH.fullmatch(request.path)
    if found is None or request.method != "POST":
        return ErrorSpec(404, "NOT_FOUND", f"The requested URL {request.path} was not found on this server.")
    if request.bearer != api_key:
        return ERRORS["authentication"]
    body = as_dict(request.body)
    if not body:
        return ErrorSpec(400, "INVALID_ARGUMENT", "Invalid JSON payload received. (simulated)")
    if "model" in body:
        return ErrorSpec(400, "invalid_request_error", "model: Extra inputs are not permitted")
    if str(body.get("anthropic_version")) not in _VERSIONS:
        return ErrorSpec(400, "invalid_request_error", "anthropic_version: Field required, or no such version")
    if bool(body.get("stream")) != (found[2] == "streamRaw"):
        return ErrorSpec(400, "INVALID_ARGUMENT", "stream differs from the method of the URL. (simulated)")
    error = anthropic.FORMAT.validate(_translated(request), anthropic.API_KEY)
    return ERRORS["not-found"] if error is not None and error.status == 404 else error


def reply(request: SimulatedRequest) -> AnyResponse:
    """The response to a valid request."""
    return anthropic.reply(_translated(request))


def encode_error(request: SimulatedRequest, error: ErrorSpec) -> WholeResponse:
    """The error response."""
    if not error.type.isupper():
        return anthropic.FORMAT.encode_error(request, error)
    members = {"code": error.status, "message": error.message, "status": error.type}
    return WholeResponse(error.status, dump({"error": members}))


def headers(request: SimulatedRequest, status: int) -> dict[str, str]:
    """The headers of a response with that status."""
    return {"request-id": f"req_vrtx_{request.uid[:22]}", "x-vertex-ai-internal-prediction-backend": "simulated"}


def _translated(request: SimulatedRequest) -> SimulatedRequest:
    """The request as Anthropic itself would get it."""
    found, body = _PATH.fullmatch(request.path), as_dict(request.body)
    version = _VERSIONS[str(body["anthropic_version"])]
    translated: dict[str, Any] = {name: value for name, value in body.items() if name != "anthropic_version"}
    return attrs.evolve(
        request,
        path=MESSAGES,
        headers={**request.headers, "anthropic-version": version, "x-api-key": anthropic.API_KEY},
        body={"model": "" if found is None else found[1], **translated},
    )


FORMAT = WireFormat(
    provider="vertex-anthropic",
    base_path=BASE_PATH,
    api_key=API_KEY,
    api="rawPredict",
    validate=validate,
    reply=reply,
    errors=ERRORS,
    encode_error=encode_error,
    stream_error=anthropic.stream_error,
    headers=headers,
)
