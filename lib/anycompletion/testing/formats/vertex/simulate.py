"""Simulates Gemini on Google Vertex AI: Gemini's generateContent, with other paths, tokens and fields.

https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import attrs

from ..gemini_generate import simulate as gemini
from ..json_access import as_dict
from ..wire_format import AnyResponse, ErrorSpec, SimulatedRequest, WireFormat

API_KEY = "simulated-vertex-token"

BASE_PATH = "/projects/simulated/locations/global"

_PATH = re.compile(
    r"/v1(?:beta1)?/(?:projects/[^/]+/locations/[^/]+/)?publishers/google/models/([^/:]+)"
    r":(generateContent|streamGenerateContent)"
)
_OWN_FIELDS = frozenset({"labels", "modelArmorConfig", "outputConfig"})
_FOREIGN_FIELDS = frozenset({"store"})
"""Fields of the Gemini API that Vertex AI does not have."""

ERRORS: Mapping[str, ErrorSpec] = {
    **gemini.ERRORS,
    "permission": ErrorSpec(403, "PERMISSION_DENIED", "Permission 'aiplatform.endpoints.predict' denied. (simulated)"),
    "not-found": ErrorSpec(404, "NOT_FOUND", "Publisher Model was not found. (simulated)"),
    "rate-limit": ErrorSpec(429, "RESOURCE_EXHAUSTED", "Resource exhausted. Please try again later. (simulated)"),
}


def validate(request: SimulatedRequest, api_key: str) -> ErrorSpec | None:
    """The error that rejects the request, or None if it is valid."""
    found = _PATH.fullmatch(request.path)
    if found is None or request.method != "POST":
        return ErrorSpec(404, "NOT_FOUND", f"The requested URL {request.path} was not found on this server.")
    if api_key not in (request.bearer, request.headers.get("x-goog-api-key")):
        return ERRORS["authentication"]
    foreign = next((name for name in as_dict(request.body) if name in _FOREIGN_FIELDS), None)
    if foreign is not None:
        return ErrorSpec(400, "INVALID_ARGUMENT", f'Unknown name "{foreign}": Cannot find field. (simulated)')
    error = gemini.FORMAT.validate(_translated(request), gemini.API_KEY)
    return ERRORS["not-found"] if error is not None and error.status == 404 else error


def reply(request: SimulatedRequest) -> AnyResponse:
    """The response to a valid request."""
    return gemini.reply(_translated(request))


def headers(request: SimulatedRequest, status: int) -> dict[str, str]:
    """The headers of any response."""
    return {"server-timing": "gfet4t7; dur=50"}


def _translated(request: SimulatedRequest) -> SimulatedRequest:
    """The request as the Gemini API would get it."""
    found, body = _PATH.fullmatch(request.path), request.body
    path = request.path if found is None else f"/v1beta/models/{found[1]}:{found[2]}"
    if isinstance(body, dict):
        body = {name: value for name, value in as_dict(body).items() if name not in _OWN_FIELDS}
    return attrs.evolve(request, path=path, headers={**request.headers, "x-goog-api-key": gemini.API_KEY}, body=body)


FORMAT = WireFormat(
    provider="vertex",
    base_path=BASE_PATH,
    api_key=API_KEY,
    api="generateContent",
    validate=validate,
    reply=reply,
    max_choices=gemini.FORMAT.max_choices,
    errors=ERRORS,
    error_codes=gemini.FORMAT.error_codes,
    encode_error=gemini.FORMAT.encode_error,
    stream_error=gemini.FORMAT.stream_error,
    headers=headers,
)
