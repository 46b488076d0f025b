"""A chat request as the HTTP request that creates a prediction; sends nothing and knows no key.

https://replicate.com/docs/reference/http#predictions.create
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ...http import HttpRequest
from ...params import NO_OP_VALUES
from ...records import ChatRequest, JsonObject, Message, UserMessage
from ..base import EncodingReport, FetchedValues, Prerequisite, Target
from .model_input import encode_messages
from .model_schema import FALLBACK, Fields, Reference, is_array, look_up, missing, problem_of, read_reference
from .params import STOPS, TOKEN_LIMITS

HOLD = 60
"""Seconds for which Replicate may hold the answer back until the prediction is done; its own limit."""

_BESIDE_INPUT = ("webhook", "webhook_events_filter", "version")
"""What of `extra_body` belongs to the prediction and not to the model."""
_BY_MODEL = (
    "temperature",
    "top_p",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "reasoning_effort",
    "verbosity",
)


def encode(request: ChatRequest, target: Target, known: FetchedValues) -> HttpRequest | Prerequisite:
    """The HTTP request for a validated `request`, or what to fetch first: how the model describes its input.

    Where the description could not be fetched (`known` says None), or cannot be read, the model is taken to have
    `prompt`, `system_prompt` and `max_tokens`, and a warning says so. A bare version is described nowhere.

    An ``owner/name`` goes to the model's own endpoint. Only official models have one: of one whose description says
    ``"is_official": false`` the latest version is run by its id instead.

    Raises:
        InvalidRequestError: the reference or a message cannot be said; `.param` names the place.
    """
    reference = read_reference(target.model)
    model = look_up(reference, target, known)
    if isinstance(model, Prerequisite):
        return model
    report = EncodingReport(target.on_unsupported)
    fields = model.fields
    if fields is None:
        report.warn("the model's input schema is not known: only prompt, system_prompt and max_tokens are sent")
        fields = FALLBACK
    extra = dict(request.extra_body or {})
    beside: JsonObject = {name: extra.pop(name) for name in _BESIDE_INPUT if name in extra}
    version = reference.version or model.version
    if version is not None:
        beside.setdefault("version", version)
    if target.stream:
        beside["stream"] = True
    _check_stream_options(request.stream_options, report)
    values = {**_said(request, fields, extra, report), **_parameters(request, fields, report), **extra}
    return HttpRequest(
        target.base_url + (target.path or _path(reference, versioned="version" in beside)),
        {**beside, "input": values},
        headers={} if target.stream else {"Prefer": f"wait={_hold(target)}"},
        warnings=report.warnings,
    )


def _hold(target: Target) -> int:
    """Seconds; no longer than the caller waits, because what is held back cannot be cancelled: its id is not known."""
    return HOLD if target.time_limit is None else max(1, min(HOLD, int(target.time_limit / 2)))


def _path(reference: Reference, *, versioned: bool) -> str:
    if reference.deployment:
        return f"/v1/deployments/{reference.path}/predictions"
    return "/v1/predictions" if versioned else f"/v1/models/{reference.path}/predictions"


def _said(request: ChatRequest, fields: Fields, extra: Mapping[str, Any], report: EncodingReport) -> JsonObject:
    messages = request.messages if not isinstance(request.messages, str) else [UserMessage(request.messages)]
    if "prompt" in extra:
        # A prompt of the caller's own: next to messages a model would not look at it.
        fields = {name: field for name, field in fields.items() if name != "messages"}
    return encode_messages(cast("Sequence[Message]", messages), fields, report)


def _check_stream_options(options: Mapping[str, Any] | None, report: EncodingReport) -> None:
    for name, value in (options or {}).items():
        if name != "include_usage" and value:
            report.unsupported(f"stream_options.{name}", "Replicate's streams have no options")


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
    """The first of `names` that the model has, with `value`, which is refused where the model will not take it."""
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
