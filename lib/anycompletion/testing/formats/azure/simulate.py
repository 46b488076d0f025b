"""Azure's chat completions as the simulator speaks them: OpenAI's, behind other doors; never has a body of its own.

https://learn.microsoft.com/azure/ai-foundry/openai/reference
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from ..json_access import as_dict
from ..openai_chat import simulate as sim_openai
from ..openai_chat import validate as checks_openai
from ..wire_format import UNKNOWN_MODEL, Call, Failure, Format, Plain, Stream, StreamEvent, dump, sse

API_KEY = "simulated-azure-key"

FAILURES: Mapping[str, Failure] = {
    **sim_openai.FAILURES,
    "content-policy": Failure(
        400,
        "",
        "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please "
        "modify your prompt and retry.",
        "content_filter",
        "prompt",
    ),
    "authentication": Failure(
        401,
        "",
        "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an "
        "active subscription and use a correct regional API endpoint for your resource.",
        "401",
    ),
    "permission": Failure(403, "", "Public access is disabled. Please configure private endpoint.", "403"),
    "not-found": Failure(
        404,
        "invalid_request_error",
        "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, "
        "please wait a moment and try again.",
        "DeploymentNotFound",
    ),
    "rate-limit": Failure(
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
"""What a bearer token that is no key begins with."""

_HARMS = {name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")}
_CLEAR = {"filtered": False, "detected": False}
_OF_PROMPT: dict[str, Any] = {**_HARMS, "jailbreak": _CLEAR}
_OF_ANSWER: dict[str, Any] = {**_HARMS, "protected_material_code": _CLEAR, "protected_material_text": _CLEAR}
_PROMPT_RESULTS = [{"prompt_index": 0, "content_filter_results": _OF_PROMPT}]


def answer(call: Call) -> Plain | Stream:
    """The answer to any request below the format's root."""
    failure = _door(call) or _key(call)
    if failure is not None:
        return refuse(call, failure)
    classic = _CLASSIC.fullmatch(call.path)
    body = as_dict(call.body)
    if classic is not None and body:
        body = {**body, "model": classic[1]}
    if body.get("model") == UNKNOWN_MODEL:
        return refuse(call, FAILURES["not-found"])
    failure = checks_openai.body(attrs.evolve(call, body=body or None))
    if failure is not None:
        return refuse(call, failure)
    # Answers name the model that was deployed, and not the deployment.
    return _complete(call, {**body, "model": f"{body['model']}-2025-04-14"})


def _complete(call: Call, body: dict[str, Any]) -> Plain | Stream:
    answers = sim_openai.decisions(call, body)
    if body.get("stream"):
        return Stream((*_events(call, body, answers), sim_openai.DONE), _headers(call))
    whole = sim_openai.completion(call, body, answers)
    whole["prompt_filter_results"] = _PROMPT_RESULTS
    for choice in whole["choices"]:
        choice["content_filter_results"] = _OF_ANSWER
    return Plain(200, dump(whole), _headers(call))


def _events(call: Call, body: dict[str, Any], answers: list[Any]) -> Iterator[StreamEvent]:
    first: dict[str, Any] = {"choices": [], "created": 0, "id": "", "model": "", "object": ""}
    yield StreamEvent(sse({**first, "prompt_filter_results": _PROMPT_RESULTS}))
    for mark, chunk in sim_openai.chunks(call, body, answers):
        for choice in chunk["choices"]:
            choice["content_filter_results"] = _OF_ANSWER if choice["delta"].get("content") else {}
        yield StreamEvent(sse(chunk), mark)


def refuse(call: Call, failure: Failure) -> Plain:
    """The error answer for `failure`."""
    if failure.type == _GATEWAY:
        said = {"statusCode": failure.status, "message": failure.message}
    else:
        said = {"error": _error(failure)}
    return Plain(failure.status, dump(said), _headers(call, 0 if failure.status == 429 else 119))


def stream_error(call: Call, failure: Failure) -> bytes:
    """The event that reports `failure` inside a stream."""
    return sse({"error": _error(failure)})


def _error(failure: Failure) -> dict[str, Any]:
    error: dict[str, Any] = {"code": failure.code or str(failure.status), "message": failure.message}
    if failure.type:
        error["type"] = failure.type
    if failure.param is not None:
        error["param"] = failure.param
    if failure.code == "content_filter":
        found = {**_OF_PROMPT, "violence": {"filtered": True, "severity": "medium"}}
        inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": found}
        error = {**error, "type": None, "status": failure.status, "innererror": inner}
    return error


def _headers(call: Call, remaining: int = 119) -> dict[str, str]:
    return {
        "apim-request-id": call.uid,
        "x-request-id": call.uid,
        "x-ms-region": "Simulated",
        "azureml-model-session": "d20260330170902-simulated",
        "x-ratelimit-limit-requests": "120",
        "x-ratelimit-remaining-requests": str(remaining),
        "x-ratelimit-reset-requests": "1",
        "x-ratelimit-limit-tokens": "120000",
        "x-ratelimit-remaining-tokens": "119986",
        "x-ratelimit-reset-tokens": "7",
    }


# --- doors --------------------------------------------------------------------------------------------------------

_GATEWAY = "gateway"
"""The type of a failure that the gateway reports, which knows another form."""

_NO_RESOURCE = Failure(404, "", "Resource not found", "404")


def _bad(message: str) -> Failure:
    return Failure(400, "", message, "BadRequest")


def _door(call: Call) -> Failure | None:
    """Why the path, the API version or the method is refused."""
    version = call.query.get("api-version")
    if call.path == _V1:
        if version is not None and _DATED.fullmatch(version):
            return _bad("api-version query parameter is not allowed when using /v1 path")
    elif call.path == _FOUNDRY or _CLASSIC.fullmatch(call.path):
        if not version:
            return _bad("Missing required query parameter: api-version") if call.path == _FOUNDRY else _NO_RESOURCE
        if not _DATED.fullmatch(version):
            return _bad("API version not supported")
    else:
        return _NO_RESOURCE
    return None if call.method == "POST" else Failure(405, "", "Method Not Allowed", "405")


def _key(call: Call) -> Failure | None:
    given = call.headers.get("api-key")
    if given is not None or call.bearer is None:
        return None if given == API_KEY else FAILURES["authentication"]
    if call.bearer == API_KEY or call.bearer.startswith(_ENTRA):
        return None
    message = "Unauthorized. Access token is missing, invalid, audience is incorrect, or have expired."
    return Failure(401, _GATEWAY, message)


FORMAT = Format(
    provider="azure",
    root="/azure",
    base="/azure",
    api_key=API_KEY,
    answer=answer,
    failures=FAILURES,
    refuse=refuse,
    stream_error=stream_error,
)
