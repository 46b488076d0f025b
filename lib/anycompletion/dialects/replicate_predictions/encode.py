"""A chat request as the HTTP request that creates a prediction. Sends nothing.

https://replicate.com/docs/reference/http#predictions.create
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...http import HttpRequest
from ...params import NO_OP_VALUES
from ...records import ChatRequest, JsonObject
from ..base import EncodingReport, FetchedValues, Prerequisite, Target
from ..shared import messages_of, refuse_stream_options
from .model_input import encode_messages
from .model_schema import (
    FALLBACK,
    Fields,
    ReplicateReference,
    find_model,
    is_array,
    missing,
    problem_of,
    read_reference,
)
from .params import STOPS, TOKEN_LIMITS

PATH = "/v1/predictions"
"""The path for models that are named by a version; others have paths of their own."""

MAX_WAIT = 60
"""Seconds for which Replicate can delay its response until the prediction is done; Replicate's own maximum."""

_PREDICTION_FIELDS = ("webhook", "webhook_events_filter", "version")
"""Fields of `extra_body` that belong to the prediction and not to the model's input."""
_BY_MODEL = (
    "temperature",
    "top_p",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "reasoning_effort",
    "verbosity",
)
"""Parameters that are sent under their own names to models whose schema has them."""


def encode(request: ChatRequest, target: Target, fetched: FetchedValues) -> HttpRequest | Prerequisite:
    """The HTTP request for a validated `request`, or the request for the model's description, which is needed first.

    If the description could not be fetched (its value in `fetched` is None) or cannot be read, the input is assumed to
    have `prompt`, `system_prompt` and `max_tokens`, with a warning. A bare version has no description.

    An ``owner/name`` is sent to the model's own endpoint. Only official models have one: if the description contains
    ``"is_official": false``, the latest version is run by its id instead.

    Raises:
        InvalidRequestError: the model's name is invalid, or the format cannot express a message; `.param` names the
            place.
    """
    reference = read_reference(target.model)
    model = find_model(reference, target, fetched)
    if isinstance(model, Prerequisite):
        return model
    report = EncodingReport(target.on_unsupported)
    fields = model.fields
    if fields is None:
        report.warn("the model's input schema is not known: only prompt, system_prompt and max_tokens are sent")
        fields = FALLBACK
    extra = dict(request.extra_body or {})
    prediction: JsonObject = {name: extra.pop(name) for name in _PREDICTION_FIELDS if name in extra}
    version = reference.version or model.version
    if version is not None:
        prediction.setdefault("version", version)
    if target.stream:
        prediction["stream"] = True
    refuse_stream_options(request, "Replicate", report)
    values = {**_messages(request, fields, extra, report), **_parameters(request, fields, report), **extra}
    return HttpRequest(
        target.base_url + (target.path or _path(reference, versioned="version" in prediction)),
        {**prediction, "input": values},
        headers={} if target.stream else {"Prefer": f"wait={_wait(target)}"},
        warnings=report.warnings,
    )


def _wait(target: Target) -> int:
    """Seconds for ``Prefer: wait``: half the time limit at most, because a prediction whose id is unknown cannot be
    cancelled."""
    return MAX_WAIT if target.time_limit is None else max(1, min(MAX_WAIT, int(target.time_limit / 2)))


def _path(reference: ReplicateReference, *, versioned: bool) -> str:
    if reference.deployment:
        return f"/v1/deployments/{reference.path}/predictions"
    return PATH if versioned else f"/v1/models/{reference.path}/predictions"


def _messages(request: ChatRequest, fields: Fields, extra: Mapping[str, Any], report: EncodingReport) -> JsonObject:
    if "prompt" in extra:
        # The caller's own prompt; models ignore it beside messages.
        fields = {name: field for name, field in fields.items() if name != "messages"}
    return encode_messages(messages_of(request), fields, report)


# --- parameters -------------------------------------------------------------------------------------------------------


def _parameters(request: ChatRequest, fields: Fields, report: EncodingReport) -> JsonObject:
    values = _limit(request, fields, report)
    if request.stop is not None:
        values |= _stop([request.stop] if isinstance(request.stop, str) else list(request.stop), fields, report)
    for param in _BY_MODEL:
        value = getattr(request, param)
        if value is not None:
            values |= _value(param, (param,), value, fields, report)
    return values


def _limit(request: ChatRequest, fields: Fields, report: EncodingReport) -> JsonObject:
    param, limit = "max_completion_tokens", request.max_completion_tokens
    if limit is None:
        param, limit = "max_tokens", request.max_tokens
    elif request.max_tokens not in (None, limit):
        report.warn("max_tokens left out: max_completion_tokens was given too, and wins")
    return {} if limit is None else _value(param, TOKEN_LIMITS, limit, fields, report)


def _value(
    param: str, names: tuple[str, ...], value: str | float, fields: Fields, report: EncodingReport
) -> JsonObject:
    """The first of `names` that the model has, with `value`; a value that the model does not accept is refused."""
    name = next((name for name in names if name in fields), None)
    if name is None:
        if value not in NO_OP_VALUES.get(param, ()):
            report.unsupported(param, missing(fields, *names))
        return {}
    problem = problem_of(fields[name], value)
    if problem is not None:
        report.unsupported(param, problem)
        return {}
    return {name: value}


def _stop(stops: list[str], fields: Fields, report: EncodingReport) -> JsonObject:
    name = next((name for name in STOPS if name in fields), None)
    if name is None:
        report.unsupported("stop", missing(fields, *STOPS))
        return {}
    if is_array(fields[name]):
        return {name: stops}
    if any("," in stop for stop in stops):
        report.unsupported("stop", "the model takes stops joined with commas, so none can hold a comma")
        return {}
    return {name: ",".join(stops)}
