"""Typed calls over routes: each target is asked in its own mode and with the schema that its provider takes.

The request that middleware and routes see asks in the prompt, which every target understands. It has what was asked for
in the form of no provider beside it (`ChatRequest.reply_schema`), of which the requests of the targets are made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ..providers import Provider
from ..providers.structured_support import ParseMode, StructuredMode
from ..records import ChatRequest
from .requests import plain_request, typed_request
from .schemas import PreparedSchema, forces_tool, resolve_mode, schema_for

_MAX_PREPARED = 256
"""Schemas of targets that are kept."""

_prepared: dict[tuple[int, str, str, str, bool | None], tuple[object, StructuredMode, PreparedSchema]] = {}
"""Identity of a schema, provider, model, mode and strict → that schema, and what was prepared of it."""


def neutral_request(
    request: ChatRequest, name: str, schema: Mapping[str, Any], mode: ParseMode, strict: bool | None
) -> ChatRequest:
    """A validated request as one for a value of the schema, for any target of a route."""
    typed = typed_request(request, name, schema, "prompt", strict=None)
    typed.reply_schema = {"name": name, "schema": schema, "mode": mode, "strict": strict}
    return typed


def request_for_target(request: ChatRequest, provider: Provider, model: str) -> ChatRequest:
    """A neutral request as one for a target of its route.

    Args:
        request: with `reply_schema`.
        provider: the target's provider.
        model: the model as it is written after the provider's name.

    Raises:
        UnsupportedParameterError: the provider has not the mode that the call demands, or cannot be strict.
    """
    asked = cast("Mapping[str, Any]", request.reply_schema)
    mode, prepared = _prepare(asked, provider, model)
    plain = plain_request(request)
    forced = mode != "tool" or forces_tool(provider, model, plain.given())
    return typed_request(plain, asked["name"], prepared.schema, mode, strict=prepared.strict, forced=forced)


def _prepare(asked: Mapping[str, Any], provider: Provider, model: str) -> tuple[StructuredMode, PreparedSchema]:
    schema: dict[str, Any] = asked["schema"]
    key = (id(schema), provider.name, model, cast("str", asked["mode"]), cast("bool | None", asked["strict"]))
    known = _prepared.get(key)
    if known is not None and known[0] is schema:
        return known[1], known[2]
    mode = resolve_mode(provider, model, schema, mode=asked["mode"], strict=asked["strict"])
    prepared = schema_for(provider, model, schema, mode=mode, strict=asked["strict"])
    if len(_prepared) >= _MAX_PREPARED:
        _prepared.clear()
    _prepared[key] = (schema, mode, prepared)
    return mode, prepared
