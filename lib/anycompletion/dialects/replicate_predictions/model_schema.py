"""Which model is meant, and what it takes: references, and the models' own schemas as read; fetches nothing itself.

https://replicate.com/docs/reference/http#models.get
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias, cast

import attrs

from ...errors import InvalidRequestError
from ...http import HttpRequest
from ...records import JsonObject
from ..base import FetchedValues, Prerequisite, Target

_PIECE = re.compile(r"[A-Za-z0-9._-]+")
_VERSION = re.compile(r"[0-9a-fA-F]{64}")
_REF = "#/components/schemas/"
_DEPTH = 4
"""References followed from one field; a schema that goes deeper goes in circles."""

Fields: TypeAlias = Mapping[str, JsonObject]
"""Name → JSON schema of what a model takes as input."""

FALLBACK: Fields = {"prompt": {}, "system_prompt": {}, "max_tokens": {}}
"""What is taken for granted of a model whose schema nobody could read."""


# --- references -------------------------------------------------------------------------------------------------------


@attrs.frozen
class Reference:
    """``owner/name``, ``owner/name:version``, a bare version, or ``deployments/owner/name``."""

    path: str | None
    """owner/name, if it was said."""
    version: str | None = None
    deployment: bool = False

    @property
    def page(self) -> str | None:
        """Where the API describes it; a bare version is described nowhere."""
        if self.path is None:
            return None
        if self.deployment:
            return f"/v1/deployments/{self.path}"
        return f"/v1/models/{self.path}" + (f"/versions/{self.version}" if self.version else "")


def read_reference(model: str) -> Reference:
    """What a model's name refers to.

    Raises:
        InvalidRequestError: it is none of the four forms, or would make another URL than it seems to.
    """
    reference = _reference(model)
    if reference is None:
        raise InvalidRequestError(
            "model: Replicate's are owner/name, owner/name:version (64 hexadecimal digits), a bare version, or "
            "deployments/owner/name, of letters, digits, '.', '_' and '-'",
            param="model",
        )
    return reference


def _reference(model: str) -> Reference | None:
    if _VERSION.fullmatch(model):
        return Reference(None, model)
    named, colon, version = model.partition(":")
    pieces = named.split("/")
    if not all(_PIECE.fullmatch(piece) and piece not in (".", "..") for piece in pieces):
        return None
    if len(pieces) == 3 and pieces[0] == "deployments" and not colon:
        return Reference("/".join(pieces[1:]), deployment=True)
    if len(pieces) != 2 or (colon and not _VERSION.fullmatch(version)):
        return None
    return Reference(named, version or None)


# --- descriptions -----------------------------------------------------------------------------------------------------


class Model(NamedTuple):
    """What is known of a model."""

    fields: Fields | None = None
    """What it takes; None where that could not be read."""
    version: str | None = None
    """For a model without an endpoint of its own: the version to run."""


def look_up(reference: Reference, target: Target, known: FetchedValues) -> Model | Prerequisite:
    """What is `known` of the model, or what to fetch first.

    A deployment's description names a version; what that takes is a second question, with the same key as a reference
    to the version itself.
    """
    found = _description(f"schema:{target.model}", reference, target, known)
    if isinstance(found, Prerequisite):
        return found
    if reference.deployment:
        release = _release(found)
        if release is None:
            return Model()
        found = _description(f"schema:{release.path}:{release.version}", release, target, known)
        if isinstance(found, Prerequisite):
            return found
        return Model(_fields(found))
    if reference.version is not None:
        return Model(_fields(found))
    latest = _member(found, "latest_version")
    version = _member(latest, "id") if _member(found, "is_official") is False else None
    return Model(_fields(latest), version if isinstance(version, str) and version else None)


def _description(key: str, reference: Reference, target: Target, known: FetchedValues) -> Any | Prerequisite:
    if reference.page is None or key in known:
        return known.get(key)
    return Prerequisite(key, HttpRequest(target.base_url + reference.page, method="GET"))


def _release(deployment: Any) -> Reference | None:
    release = _member(deployment, "current_release")
    model, version = _member(release, "model"), _member(release, "version")
    if not isinstance(model, str) or not isinstance(version, str):
        return None
    found = _reference(f"{model}:{version}")
    return None if found is None or found.version is None else found


def _member(value: Any, name: str) -> Any:
    """A member of what should be an object; nothing a description may lack is worth a failure."""
    return cast("JsonObject", value).get(name) if isinstance(value, dict) else None


def _fields(version: Any) -> Fields | None:
    schemas = _member(_member(_member(version, "openapi_schema"), "components"), "schemas")
    properties = _member(_resolved(_member(schemas, "Input"), schemas), "properties")
    if not isinstance(properties, dict) or not properties:
        return None
    return {name: _resolved(field, schemas) for name, field in cast("JsonObject", properties).items()}


def _resolved(schema: Any, schemas: Any, depth: int = 0) -> JsonObject:
    """A schema with what it refers to put in its place: models say their choices by reference, and "or null"."""
    if not isinstance(schema, dict) or depth > _DEPTH:
        return {}
    own = dict(cast("JsonObject", schema))
    merged: JsonObject = {}
    ref = own.pop("$ref", None)
    if isinstance(ref, str) and ref.startswith(_REF):
        merged |= _resolved(_member(schemas, ref[len(_REF) :]), schemas, depth + 1)
    for item in _list(own.pop("allOf", None)):
        merged |= _resolved(item, schemas, depth + 1)
    for name in ("anyOf", "oneOf"):
        choices = [_resolved(item, schemas, depth + 1) for item in _list(own.pop(name, None))]
        real = [choice for choice in choices if choice.get("type") != "null"]
        if len(real) == 1:
            merged |= real[0]
    return merged | own


def _list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


# --- ranges -----------------------------------------------------------------------------------------------------------


def missing(fields: Fields, *names: str) -> str:
    """Says that a model has none of `names`."""
    known = ", as far as is known: its input schema could not be read" if fields == FALLBACK else ""
    return f"the model has no {' or '.join(names)}{known}"


def is_array(field: JsonObject) -> bool:
    """True for a field that takes a list."""
    return field.get("type") == "array"


def problem_of(field: JsonObject, value: str | float) -> str | None:
    """Why a model that describes a field so will not take `value`, if that is so."""
    choices = _list(field.get("enum"))
    if choices and value not in choices:
        return f"must be one of {', '.join(map(str, choices))} for this model"
    if isinstance(value, str):
        return None
    low, above = _bound(field, "minimum", "exclusiveMinimum")
    high, below = _bound(field, "maximum", "exclusiveMaximum")
    if low is not None and value < low:
        return f"must be at least {low:g} for this model"
    if above is not None and value <= above:
        return f"must be more than {above:g} for this model"
    if high is not None and value > high:
        return f"must be at most {high:g} for this model"
    if below is not None and value >= below:
        return f"must be less than {below:g} for this model"
    return None


def _bound(field: JsonObject, name: str, exclusive: str) -> tuple[float | None, float | None]:
    """A bound that may be reached, and one that may not."""
    bound, strict = field.get(name), field.get(exclusive)
    if strict is True:  # before OpenAPI 3.1 the number stands beside it
        return None, _number(bound)
    return _number(bound), _number(strict)


def _number(value: object) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
