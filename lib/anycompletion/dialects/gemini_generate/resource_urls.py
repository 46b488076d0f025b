"""URLs of Gemini's methods: the version, the resource and the method follow the base URL. Sends nothing.

https://ai.google.dev/api, https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference

``https://generativelanguage.googleapis.com`` becomes ``…/v1beta/models/gemini-2.5-flash:generateContent``. In a base
URL with a project, the version precedes it: ``https://aiplatform.googleapis.com/projects/p/locations/global`` becomes
``https://aiplatform.googleapis.com/v1beta1/projects/p/locations/global`` and the path of the provider's row.
"""

from __future__ import annotations

import re

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
    method = "streamGenerateContent?alt=sse" if target.stream else "generateContent"
    model = target.model.removeprefix("models/")
    _check_model(model)
    resource = quoted(model, "/@.-_~")
    if model.startswith("projects/"):
        root, _ = _root_and_project(target.base_url)
        return f"{_with_version(root, target)}/{resource}:{method}"
    if model.startswith(_RESOURCES):
        return f"{_resource_root(target)}/{resource}:{method}"
    path = (target.path or PATH).replace("{model}", resource).replace("{method}", method)
    return _resource_root(target) + path


def models_url(target: Target) -> str:
    """The URL of the list of models."""
    root, project = _root_and_project(target.base_url)
    if project or quirks_of(target).vertex:
        return f"{_with_version(root, target)}/publishers/google/models"
    return f"{_with_version(root, target)}/models"


def _check_model(model: str) -> None:
    if any(segment in ("", ".", "..") for segment in model.split("/")):
        raise InvalidRequestError("model: has an empty segment, or one of dots only", param="model")


def _resource_root(target: Target) -> str:
    """The base URL with the version."""
    root, project = _root_and_project(target.base_url)
    return _with_version(root, target) + project


def _root_and_project(base_url: str) -> tuple[str, str]:
    """The base URL up to the project, and the rest of it; "" for one without a project."""
    root, mark, project = base_url.partition(_PROJECTS)
    return root, mark + project


def _with_version(root: str, target: Target) -> str:
    last = root.rpartition("/")[2]
    if ":" in last and "/" in root.partition("://")[2]:
        text = f"base_url: ends in a method, {last}; give the URL before the version"
        raise InvalidRequestError(text, param="base_url")
    if re.fullmatch(_VERSION, last):
        return root
    default = "v1beta1" if quirks_of(target).vertex else "v1beta"
    version = target.api_version
    return f"{root}/{quoted(default if version in (None, 'beta') else version)}"
