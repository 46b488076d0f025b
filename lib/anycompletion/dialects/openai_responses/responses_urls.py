"""URLs of the Responses API, and the requests about a response that runs in the background.

https://platform.openai.com/docs/guides/background
"""

from __future__ import annotations

import re

from ...http import Headers, HttpRequest, parse_date
from ..azure_urls import azure_models_url, azure_url
from ..base import Continuation, Target
from .params import PATH
from .responses_quirks import OpenAIResponsesQuirks

_ID = "[A-Za-z0-9_-]{1,200}"
_SHORTEST_DELAY, _LONGEST_DELAY = 0.5, 2.0
"""Seconds between polls."""


def quirks_of(target: Target) -> OpenAIResponsesQuirks:
    """The target's quirks."""
    return target.quirks if isinstance(target.quirks, OpenAIResponsesQuirks) else _OPENAI


_OPENAI = OpenAIResponsesQuirks()


def responses_url(target: Target, suffix: str = "") -> str:
    """The URL of the endpoint, or of what `suffix` names below it.

    Raises:
        InvalidRequestError: Azure's URL cannot contain the deployment's name.
    """
    if quirks_of(target).azure_urls:
        return azure_url(target, PATH + suffix, of_deployment=False)
    return target.base_url + (target.path or PATH) + suffix


def models_url(target: Target) -> str:
    """The URL of the server's list of models."""
    return azure_models_url(target) if quirks_of(target).azure_urls else f"{target.base_url}/models"


def poll(response_id: str, target: Target, age: float | None) -> Continuation | None:
    """The request for the state of a response in the background; None where its id cannot be part of a URL.

    Args:
        response_id: the response's id.
        target: where it runs.
        age: seconds since it was created, by which the wait grows to two seconds; None if it is unknown.
    """
    if not re.fullmatch(_ID, response_id):
        return None
    after = 2 * _SHORTEST_DELAY if age is None else min(_LONGEST_DELAY, max(_SHORTEST_DELAY, age / 8))
    state = HttpRequest(responses_url(target, f"/{response_id}"), method="GET")
    return Continuation(state, after, HttpRequest(responses_url(target, f"/{response_id}/cancel")))


def age_of(created: float | None, headers: Headers) -> float | None:
    """Seconds since a response was created, by the server's own clock; None if it is unknown."""
    now = parse_date(headers.get("date"))
    return None if now is None or created is None else now - created
