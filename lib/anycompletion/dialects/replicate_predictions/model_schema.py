"""A model's name and input schema: parses names, reads descriptions, checks values. Fetches nothing itself.

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
_LONGEST_DESCRIPTION = 4 * 1024 * 1024
"""Bytes; descriptions are cached, and a long one is not read."""
_DEPTH = 4
"""References followed from one field; a deeper schema is circular."""

Fields: TypeAlias = Mapping[str, JsonObject]
"""Name of an input field → its JSON schema."""

FALLBACK: Fields = {"prompt": {}, "system_prompt": {}, "max_tokens": {}}
"""The fields assumed of a model whose schema could not be read."""


# --- references -------------------------------------------------------------------------------------------------------


@attrs.frozen
class ReplicateReference:
    """A model's name: ``owner/name``, ``owner/name:version``, a bare version, or ``deployments/owner/name``."""

    path: str | None
    """owner/name; None for a bare version."""
    version: str | None = None
    deployment: bool = False

    @property
    def description_path(self) -> str | None:
        """The path of its description; a bare version has none."""
        if self.path is None:
            return None
        if self.deployment:
            return f"/v1/deployments/{self.path}"
        return f"/v1/models/{self.path}" + (f"/versions/{self.version}" if self.version else "")


def read_reference(model: str) -> ReplicateReference:
    """Parses a model's name.

    Raises:
        InvalidRequestError: it has none of the four forms, or its parts would change the URL's path.
    """
    reference = _reference(model)
    if reference is None:
        raise InvalidRequestError(
            "model: Replicate's are owner/name, owner/name:version (64 hexadecimal digits), a bare version, or "
            "deployments/owner/name, of letters, digits, '.', '_' and '-'",
            param="model",
        )
    return reference


def _reference(model: str) -> ReplicateReference | None:
    if _VERSION.fullmatch(model):
        return ReplicateReference(None, model)
    named, colon, version = model.partition(":")
    pieces = named.split("/")
    if not all(_PIECE.fullmatch(piece) and piece not in (".", "..") for piece in pieces):
        return None
    if len(pieces) == 3 and pieces[0] == "deployments" and not colon:
        return ReplicateReference("/".join(pieces[1:]), deployment=True)
    if len(pieces) != 2 or (colon and not _VERSION.fullmatch(version)):
        return None
    return ReplicateReference(named, version or None)


# --- descriptions -----------------------------------------------------------------------------------------------------


class ReplicateModel(NamedTuple):
    """Description of a model."""

    fields: Fields | None = None
    """Its input fields; None where these could not be read."""
    version: str | None = None
    """The version to run, for a model without an endpoint of its own."""


def find_model(reference: ReplicateReference, target: Target, fetched: FetchedValues) -> ReplicateModel | Prerequisite:
    """The model's description from `fetched`, or the request that is needed first.

    A deployment's description contains a version, whose description is a second request, with the same key as for a
    reference to that version.
    """
    found = _description(f"schema:{target.model}", reference, target, fetched)
    if isinstance(found, Prerequisite):
        return found
    if reference.deployment:
        release = _release(found)
        if release is None:
            return ReplicateModel()
        found = _description(f"schema:{release.path}:{release.version}", release, target, fetched)
        if isinstance(found, Prerequisite):
            return found
        return ReplicateModel(_fields(found))
    if reference.version is not None:
        return ReplicateModel(_fields(found))
    latest = _field(found, "latest_version")
    version = _field(latest, "id") if _field(found, "is_official") is False else None
    # An id of another form would run something else.
    return ReplicateModel(
        _fields(latest), version if isinstance(version, str) and _VERSION.fullmatch(version) else None
    )


def _description(key: str, reference: ReplicateReference, target: Target, fetched: FetchedValues) -> Any | Prerequisite:
    if reference.description_path is None or key in fetched:
        return fetched.get(key)
    request = HttpRequest(
        target.base_url + reference.description_path, method="GET", max_response_bytes=_LONGEST_DESCRIPTION
    )
    return Prerequisite(key, request)


def _release(deployment: Any) -> ReplicateReference | None:
    release = _field(deployment, "current_release")
    model, version = _field(release, "model"), _field(release, "version")
    if not isinstance(model, str) or not isinstance(version, str):
        return None
    found = _reference(f"{model}:{version}")
    return None if found is None or found.version is None else found


def _field(value: Any, name: str) -> Any:
    """A field of an object; None for anything else, because an incomplete description must not fail the call."""
    return cast("JsonObject", value).get(name) if isinstance(value, dict) else None


def _fields(version: Any) -> Fields | None:
    schemas = _field(_field(_field(version, "openapi_schema"), "components"), "schemas")
    properties = _field(_resolved(_field(schemas, "Input"), schemas), "properties")
    if not isinstance(properties, dict) or not properties:
        return None
    return {name: _resolved(field, schemas) for name, field in cast("JsonObject", properties).items()}


def _resolved(schema: Any, schemas: Any, depth: int = 0) -> JsonObject:
    """A schema with its references replaced: models use references for enums, and `anyOf` for "or null"."""
    if not isinstance(schema, dict) or depth > _DEPTH:
        return {}
    own = dict(cast("JsonObject", schema))
    merged: JsonObject = {}
    ref = own.pop("$ref", None)
    if isinstance(ref, str) and ref.startswith(_REF):
        merged |= _resolved(_field(schemas, ref[len(_REF) :]), schemas, depth + 1)
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
    """The message that a model has none of `names`."""
    doubt = ", as far as is known: its input schema could not be read" if fields == FALLBACK else ""
    return f"the model has no {' or '.join(names)}{doubt}"


def is_array(field: JsonObject) -> bool:
    """Whether a field accepts a list."""
    return field.get("type") == "array"


def problem_of(field: JsonObject, value: str | float) -> str | None:
    """Why a model with this field does not accept `value`; None if it does."""
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
    """The inclusive and the exclusive bound."""
    bound, strict = field.get(name), field.get(exclusive)
    if strict is True:  # before OpenAPI 3.1 this is a flag for the other bound
        return None, _number(bound)
    return _number(bound), _number(strict)


def _number(value: object) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
