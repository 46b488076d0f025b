"""URLs of Azure's OpenAI APIs, which contain the API version, and for dated versions the deployment.

https://learn.microsoft.com/en-us/azure/ai-foundry/openai/reference
"""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

from .base import Target
from .shared import path_segment

_UNDATED = (None, "v1", "latest", "preview")
"""API versions of the v1 API, which needs none."""


def azure_url(target: Target, path: str, *, of_deployment: bool) -> str:
    """The URL of an endpoint of Azure's.

    Args:
        target: its base URL may be the resource's, that of the v1 API or of a deployment, or Azure AI Foundry's.
        path: the endpoint's path, such as ``/chat/completions``.
        of_deployment: whether dated versions have the deployment in the path.

    Raises:
        InvalidRequestError: the deployment's name cannot be part of a path.
    """
    base, version = target.base_url, target.api_version
    query = f"?{urlencode({'api-version': version})}" if version is not None and version != "v1" else ""
    base_path = urlsplit(base).path
    for end in ("/openai", "/openai/deployments"):
        if base_path.endswith(end):  # the resource's URL with the beginning of the paths below
            base, base_path = base.removesuffix(end), base_path.removesuffix(end)
    # The base URL names the deployment, or is Azure AI Foundry's endpoint for all models.
    if "/openai/deployments/" in base_path or base_path.endswith("/models"):
        return f"{base}{path}{query}"
    # The base URL is that of the v1 API, which has no dated versions.
    if base_path.endswith("/openai/v1"):
        return base + path + ("" if version is None or version[:1].isdigit() else query)
    # The base URL is the resource's: the v1 API, unless a dated version is asked for.
    if version in _UNDATED:
        return f"{base}/openai/v1{path}" + _preview(version)
    deployment = f"/deployments/{path_segment(target.model)}" if of_deployment else ""
    return f"{base}/openai{deployment}{path}{query}"


def azure_models_url(target: Target) -> str:
    """The URL of the list of models, which is that of the resource."""
    version = target.api_version
    resource = target.base_url.partition("/openai")[0].removesuffix("/models")
    if version in _UNDATED:
        return f"{resource}/openai/v1/models" + _preview(version)
    return f"{resource}/openai/models?{urlencode({'api-version': version})}"


def _preview(version: str | None) -> str:
    return "?api-version=preview" if version == "preview" else ""
