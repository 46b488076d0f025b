"""What Replicate refuses, in Replicate's words, and the models it has; never answers anything."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import attrs

from ..json_access import as_dict, as_text, is_integer, is_number
from ..wire_format import UNKNOWN_MODEL, Call, Failure

LONGEST_WAIT = 60
"""Seconds that a request may wait for its prediction."""

_VERSION = re.compile(r"[0-9a-f]{64}")
_PREFERENCE = re.compile(r"wait(?:=(\d+))?")


@attrs.frozen
class Model:
    """A model, as far as predictions depend on it."""

    owner: str
    name: str

    @property
    def full_name(self) -> str:
        """Owner and name."""
        return f"{self.owner}/{self.name}"

    @property
    def version(self) -> str:
        """The id of the one version there is."""
        return hashlib.sha256(self.full_name.encode("utf-8", "replace")).hexdigest()

    @property
    def is_official(self) -> bool:
        """False for a model that only runs by its version."""
        return self.owner != "lucataco"

    @property
    def takes_messages(self) -> bool:
        """True for a model that takes a conversation beside a prompt, and answers one string instead of pieces."""
        return self.owner == "openai"

    @property
    def inputs(self) -> Mapping[str, dict[str, Any]]:
        """The members of the input, as JSON Schema."""
        return _OF_CONVERSATIONS if self.takes_messages else _OF_PROMPTS


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


def _number(default: float, lowest: float, highest: float) -> dict[str, Any]:
    return {"type": "number", "default": default, "minimum": lowest, "maximum": highest}


def _integer(lowest: int, **more: Any) -> dict[str, Any]:
    return {"type": "integer", "minimum": lowest, **more}


_SHARED: Mapping[str, dict[str, Any]] = {
    "prompt": _text("Prompt"),
    "system_prompt": _text("What the model is to be", default=""),
    "top_p": _number(0.9, 0, 1),
    "presence_penalty": _number(0, -2, 2),
    "frequency_penalty": _number(0, -2, 2),
}
_OF_PROMPTS: Mapping[str, dict[str, Any]] = {
    **_SHARED,
    "max_tokens": _integer(1, default=512),
    "temperature": _number(0.6, 0, 5),
    "top_k": _integer(0, default=50),
    "seed": _integer(0),
    "stop_sequences": _text("Sequences to stop at, separated by commas", default=""),
}
_OF_CONVERSATIONS: Mapping[str, dict[str, Any]] = {
    **_SHARED,
    "messages": {"type": "array", "items": {"type": "object"}, "default": [], "description": "Instead of a prompt"},
    "image_input": {"type": "array", "items": {"type": "string", "format": "uri"}, "default": []},
    "max_completion_tokens": _integer(1, default=4096),
    "temperature": _number(1, 0, 2),
}


def not_found() -> Failure:
    """The answer to a path or a model that is not there."""
    return Failure(404, "Not found", "The requested resource could not be found.")


def key(call: Call, api_key: str) -> Failure | None:
    """Why the token is refused; the old scheme is as good as the new one."""
    scheme, _, token = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() in ("bearer", "token") and token.strip() == api_key:
        return None
    return Failure(401, "Unauthenticated", "You did not pass a valid authentication token")


def model(owner: str, name: str) -> Model | None:
    """The model of that name."""
    return None if UNKNOWN_MODEL in (owner, name) else Model(owner, name)


def deployed(name: str) -> Model:
    """The model behind a deployment."""
    return Model("openai" if name.startswith("gpt-") else "meta", name)


def model_of_version(call: Call) -> Model | None:
    """The model that the body's `version` means: a version's id, with or without the model before it, or a model.

    An id whose model was never asked for is a version of some model.
    """
    given = as_text(as_dict(call.body).get("version"))
    name, _, ident = given.rpartition(":")
    owner, _, own = (name or given).partition("/")
    if not name and not own:
        known = call.memory.find(f"version {given}")
        return (known or Model("someone", "some-model")) if _VERSION.fullmatch(given) else None
    found = model(owner, own)
    if found is None or not own or (not name and not found.is_official):
        return None
    return found if not name or ident == found.version else None


def body(call: Call, target: Model) -> Failure | None:
    """Why the body of a request for a prediction is refused."""
    given = as_dict(call.body)
    if not isinstance(given.get("input"), dict):
        return _misfit("input", "input is required")
    if not isinstance(given.get("stream", False), bool):
        return _misfit("stream", "Invalid type. Expected: boolean")
    if given.get("webhook") and not as_text(given["webhook"]).startswith("https://"):
        return _misfit("webhook", "must be a HTTPS URL")
    values = as_dict(given["input"])
    for name, value in values.items():
        problem = _value(target.inputs.get(name), value)
        if problem is not None:
            return _misfit(f"input.{name}", problem)
    if not values.get("prompt") and not (target.takes_messages and values.get("messages")):
        return _misfit("input.prompt", "prompt is required")
    return _preference(call)


def wait(call: Call) -> int | None:
    """Seconds that the request wants to wait; None if it does not."""
    found = _PREFERENCE.fullmatch(call.headers.get("prefer", ""))
    return None if found is None else int(found[1] or LONGEST_WAIT)


def _preference(call: Call) -> Failure | None:
    given = call.headers.get("prefer")
    if given is None:
        return None
    seconds = wait(call)
    if seconds is None or not 1 <= seconds <= LONGEST_WAIT:
        return _misfit("Prefer", f"wait must be between 1 and {LONGEST_WAIT} seconds")
    return None


def _misfit(name: str, problem: str) -> Failure:
    return Failure(422, "Input validation failed", f"- {name}: {problem}\n", param=name)


def _value(rules: dict[str, Any] | None, value: Any) -> str | None:
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
