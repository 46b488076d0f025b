"""A chat request as Gemini's HTTP request. Sends nothing.

https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ...codecs.sse import MAX_MEDIA_EVENT
from ...http import HttpRequest
from ...records import ChatRequest, JsonObject
from ..base import EncodingReport, FetchedValues, Target
from ..shared import messages_of, refuse_stream_options
from .contents import GeminiContentEncoder
from .gemini_quirks import SERVICE_TIERS, quirks_of
from .generation_config import encode_config
from .model_families import family_of
from .resource_urls import method_url
from .tool_declarations import encode_tools

_CAMEL_CASE: Mapping[str, str] = {
    "generation_config": "generationConfig",
    "tool_config": "toolConfig",
    "system_instruction": "systemInstruction",
    "service_tier": "serviceTier",
}
"""Other spelling of a field, which the API accepts as well, but not both in one request."""

_STANDARD = "standard"
"""The service tier that has no header."""

_MERGED = ("generationConfig", "toolConfig")
"""Fields of `extra_body` that are merged with those that the parameters make."""


def encode(request: ChatRequest, target: Target, fetched: FetchedValues) -> HttpRequest:
    """The HTTP request for a validated `request`, whose messages and tools are records.

    Raises:
        InvalidRequestError: the format cannot express the request; `.param` names the place.
    """
    report = EncodingReport(target.on_unsupported)
    quirks, family = quirks_of(target), family_of(target.model)
    extra = _camel_case(request.extra_body) if request.extra_body else {}
    encoder = GeminiContentEncoder(report, family, quirks.backend)
    encoder.add_all(messages_of(request))
    tools = encode_tools(request, _list(extra.pop("tools", None)), family, quirks.vertex, report)
    tier = SERVICE_TIERS.get(request.service_tier or "auto")
    body: JsonObject = {"contents": ()}  # which stand first, and are refused last
    system = encoder.system()
    if system is not None:
        body["systemInstruction"] = system
    body |= tools
    config = encode_config(request, family, encoder.resolution, "tools" in tools, report)
    if config:
        body["generationConfig"] = config
    body["contents"] = encoder.contents()
    if tier is not None and not quirks.tier_header:
        body["serviceTier"] = tier
    if request.metadata:
        body["labels"] = request.metadata
    if request.stream_options:
        refuse_stream_options(request, "Gemini", report)
    for name, value in extra.items():
        own = body.get(name) if name in _MERGED else None
        body[name] = {**own, **value} if isinstance(own, dict) and isinstance(value, Mapping) else value
    return HttpRequest(
        method_url(target),
        body,
        headers={quirks.tier_header: tier} if quirks.tier_header and tier not in (None, _STANDARD) else {},
        warnings=report.warnings,
        max_response_bytes=MAX_MEDIA_EVENT,
    )


def _camel_case(fields: Mapping[str, Any]) -> JsonObject:
    return {_CAMEL_CASE.get(name, name): value for name, value in fields.items()}


def _list(value: object) -> Sequence[Any]:
    if value is None:
        return ()
    return cast("Sequence[Any]", value) if isinstance(value, (list, tuple)) else (value,)
