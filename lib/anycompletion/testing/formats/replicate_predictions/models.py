"""The models of the simulated Replicate: their inputs as JSON Schema, and their descriptions; knows no prediction.

https://replicate.com/docs/reference/http
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import attrs

from ..json_access import as_dict, as_text
from ..wire_format import UNKNOWN_MODEL, ProviderMemory, SimulatedRequest

_VERSION = re.compile(r"[0-9a-f]{64}")


@attrs.frozen
class SimulatedModel:
    """A model, as far as predictions depend on it."""

    owner: str
    name: str

    @property
    def full_name(self) -> str:
        """Owner and name."""
        return f"{self.owner}/{self.name}"

    @property
    def version(self) -> str:
        """The id of its only version."""
        return hashlib.sha256(self.full_name.encode("utf-8", "replace")).hexdigest()

    @property
    def is_official(self) -> bool:
        """False for a model that only runs by its version."""
        return self.owner != "lucataco"

    @property
    def takes_messages(self) -> bool:
        """True for a model that takes a conversation or a prompt, and returns one string instead of pieces."""
        return self.owner == "openai"

    @property
    def inputs(self) -> Mapping[str, dict[str, Any]]:
        """The members of the input, as JSON Schema."""
        return _CONVERSATION_INPUTS if self.takes_messages else _PROMPT_INPUTS


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
_PROMPT_INPUTS: Mapping[str, dict[str, Any]] = {
    **_SHARED,
    "max_tokens": _integer(1, default=512),
    "temperature": _number(0.6, 0, 5),
    "top_k": _integer(0, default=50),
    "seed": _integer(0),
    "stop_sequences": _text("Sequences to stop at, separated by commas", default=""),
}
_CONVERSATION_INPUTS: Mapping[str, dict[str, Any]] = {
    **_SHARED,
    "messages": {"type": "array", "items": {"type": "object"}, "default": [], "description": "Instead of a prompt"},
    "image_input": {"type": "array", "items": {"type": "string", "format": "uri"}, "default": []},
    "max_completion_tokens": _integer(1, default=4096),
    "temperature": _number(1, 0, 2),
}


def find_model(owner: str, name: str) -> SimulatedModel | None:
    """The model of that name."""
    return None if UNKNOWN_MODEL in (owner, name) else SimulatedModel(owner, name)


def deployed_model(name: str) -> SimulatedModel:
    """The model that a deployment runs."""
    return SimulatedModel("openai" if name.startswith("gpt-") else "meta", name)


def remember_version(memory: ProviderMemory, model: SimulatedModel) -> None:
    """Makes predictions by the id of the model's version run that model."""
    memory.store(f"version {model.version}", model)


def model_of_version(request: SimulatedRequest) -> SimulatedModel | None:
    """The model that the body's `version` names: a version's id, with or without the model before it, or a model.

    An id that no earlier request asked for is accepted as a version of some model.
    """
    version = as_text(as_dict(request.body).get("version"))
    prefix, _, ident = version.rpartition(":")
    owner, _, name = (prefix or version).partition("/")
    if not prefix and not name:
        known = request.memory.get(f"version {version}")
        return (known or SimulatedModel("someone", "some-model")) if _VERSION.fullmatch(version) else None
    model = find_model(owner, name)
    if model is None or not name or (not prefix and not model.is_official):
        return None
    return model if not prefix or ident == model.version else None


def model_json(model: SimulatedModel) -> dict[str, Any]:
    """A model's description."""
    return {
        "url": f"https://replicate.com/{model.full_name}",
        "owner": model.owner,
        "name": model.name,
        "description": "A simulated model",
        "visibility": "public",
        "is_official": model.is_official,
        "github_url": None,
        "paper_url": None,
        "license_url": None,
        "run_count": 1,
        "cover_image_url": None,
        "default_example": None,
        "latest_version": version_json(model),
    }


def version_json(model: SimulatedModel) -> dict[str, Any]:
    """The description of a model's version, with the schema of its input."""
    texts = {"type": "array", "items": {"type": "string"}, "x-cog-array-type": "iterator", "title": "Output"}
    properties = {name: {**rules, "x-order": order} for order, (name, rules) in enumerate(model.inputs.items())}
    schemas = {
        "Input": {
            "type": "object",
            "title": "Input",
            "properties": properties,
            "required": [] if model.takes_messages else ["prompt"],
        },
        "Output": {"type": "string", "title": "Output"} if model.takes_messages else texts,
    }
    return {
        "id": model.version,
        "created_at": "2024-01-31T12:00:00.000Z",
        "cog_version": "0.9.0",
        "openapi_schema": {
            "openapi": "3.0.2",
            "info": {"title": "Cog", "version": "0.1.0"},
            "components": {"schemas": schemas},
        },
    }


def deployment_json(owner: str, name: str) -> dict[str, Any]:
    """A deployment's description."""
    model = deployed_model(name)
    release = {
        "number": 1,
        "model": model.full_name,
        "version": model.version,
        "created_at": "2024-01-31T12:00:00.000Z",
        "created_by": {"type": "organization", "username": owner, "name": owner},
        "configuration": {"hardware": "gpu-t4", "min_instances": 0, "max_instances": 1},
    }
    return {"owner": owner, "name": name, "current_release": release}
