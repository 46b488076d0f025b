"""URLs of Gemini's methods: the version, the resource and the method follow the base URL. Sends nothing.

https://ai.google.dev/api, https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference

``https://generativelanguage.googleapis.com`` becomes ``…/v1beta/models/gemini-2.5-flash:generateContent``. In a base
URL with a project, the version precedes it: ``https://aiplatform.googleapis.com/projects/p/locations/global`` becomes
``https://aiplatform.googleapis.com/v1beta1/projects/p/locations/global`` and the path of the provider's row.
"""

from __future__ import annotations

import re
from functools import lru_cache

from ...errors import InvalidRequestError
from ..base import Target
from ..shared import quoted
from .gemini_quirks import quirks_of

PATH = "/models/{model}:{method}"
"""The path below the base URL and the version; the `path` of a row replaces it and has the same placeholders."""

_RESOURCES = ("tunedModels/", "endpoints/", "publishers/")
"""Beginnings of model names that are resources beside ``models``."""

_VERSION = r"v\d\w*"
_PROJECTS = "/projects/"


def method_url(target: Target) -> str:
    """The URL that generates content with the target's model.

    Raises:
        InvalidRequestError: the model's name or the base URL is not valid; `.param` names which.
    """
    root, project = _versioned(target)
    method = "streamGenerateContent?alt=sse" if target.stream else "generateContent"
    return _method_url(root, project, target.model.removeprefix("models/"), target.path or PATH, method)


@lru_cache(256)
def _method_url(root: str, project: str, model: str, path: str, method: str) -> str:
    _check_model(model)
    resource = quoted(model, "/@.-_~")
    if model.startswith("projects/"):
        return f"{root}/{resource}:{method}"
    if model.startswith(_RESOURCES):
        return f"{root}{project}/{resource}:{method}"
    return root + project + path.replace("{model}", resource).replace("{method}", method)


def models_url(target: Target) -> str:
    """The URL of the list of models."""
    root, project = _versioned(target)
    return f"{root}/publishers/google/models" if project or quirks_of(target).vertex else f"{root}/models"


def _check_model(model: str) -> None:
    if any(segment in ("", ".", "..") for segment in model.split("/")):
        raise InvalidRequestError("model: has an empty segment, or one of dots only", param="model")


def _versioned(target: Target) -> tuple[str, str]:
    """The base URL up to the project, with the version, and the rest of it; "" for one without a project."""
    default = "v1beta1" if quirks_of(target).vertex else "v1beta"
    version = default if target.api_version in (None, "beta") else target.api_version
    return _with_version(target.base_url, version)


@lru_cache(64)
def _with_version(base_url: str, version: str) -> tuple[str, str]:
    root, mark, project = base_url.partition(_PROJECTS)
    last = root.rpartition("/")[2]
    if ":" in last and "/" in root.partition("://")[2]:
        text = f"base_url: ends in a method, {last}; give the URL before the version"
        raise InvalidRequestError(text, param="base_url")
    return root if re.fullmatch(_VERSION, last) else f"{root}/{quoted(version)}", mark + project
