"""Validates requests for predictions as Replicate does, with Replicate's error messages; never makes a reply."""

from __future__ import annotations

import re
from typing import Any

from ..json_access import as_dict, as_text, is_integer, is_number
from ..wire_format import ErrorSpec, SimulatedRequest
from .models import SimulatedModel

_MAX_WAIT = 60
"""Seconds that a request may wait for its prediction."""

_PREFERENCE = re.compile(r"wait(?:=(\d+))?")


def validate_key(request: SimulatedRequest, api_key: str) -> ErrorSpec | None:
    """The error that rejects the token; the legacy scheme ``Token`` is accepted as well."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() in ("bearer", "token") and token.strip() == api_key:
        return None
    return ErrorSpec(401, "Unauthenticated", "You did not pass a valid authentication token")


def validate_body(request: SimulatedRequest, model: SimulatedModel) -> ErrorSpec | None:
    """The error that rejects the body of a request for a prediction."""
    body = as_dict(request.body)
    if not isinstance(body.get("input"), dict):
        return _unprocessable("input", "input is required")
    if not isinstance(body.get("stream", False), bool):
        return _unprocessable("stream", "Invalid type. Expected: boolean")
    if body.get("webhook") and not as_text(body["webhook"]).startswith("https://"):
        return _unprocessable("webhook", "must be a HTTPS URL")
    values = as_dict(body["input"])
    for name, value in values.items():
        problem = _value_problem(model.inputs.get(name), value)
        if problem is not None:
            return _unprocessable(f"input.{name}", problem)
    if not values.get("prompt") and not (model.takes_messages and values.get("messages")):
        return _unprocessable("input.prompt", "prompt is required")
    return _preference(request)


def requested_wait(request: SimulatedRequest) -> int | None:
    """Seconds that the request wants to wait for its prediction; None if it does not."""
    found = _PREFERENCE.fullmatch(request.headers.get("prefer", ""))
    return None if found is None else int(found[1] or _MAX_WAIT)


def _preference(request: SimulatedRequest) -> ErrorSpec | None:
    if request.headers.get("prefer") is None:
        return None
    seconds = requested_wait(request)
    if seconds is None or not 1 <= seconds <= _MAX_WAIT:
        return _unprocessable("Prefer", f"wait must be between 1 and {_MAX_WAIT} seconds")
    return None


def _unprocessable(name: str, problem: str) -> ErrorSpec:
    return ErrorSpec(422, "Input validation failed", f"- {name}: {problem}\n", param=name)


def _value_problem(rules: dict[str, Any] | None, value: Any) -> str | None:
    if rules is None:
        return "Additional property is not allowed"
    fits = {
        "string": isinstance(value, str),
        "array": isinstance(value, list),
        "integer": is_integer(value),
        "number": is_number(value),
    }
    if not fits[rules["type"]]:
        return f"Invalid type. Expected: {rules['type']}"
    if "minimum" in rules and value < rules["minimum"]:
        return f"Must be greater than or equal to {rules['minimum']}"
    if "maximum" in rules and value > rules["maximum"]:
        return f"Must be less than or equal to {rules['maximum']}"
    return None
