"""The compiled type of what pydantic validates, recognized by its methods; imports no pydantic."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any, cast

import attrs

from ...codecs import json as codec
from ..mismatch import ANY_KEY, ValueMismatch, refusal
from .absent_members import without_optional_nulls
from .type_node import JSON_KINDS, ClassRef, SchemaDefs, TypeNode, UnionTag, is_array, is_object, map_schema, references

_OWN_TEXT = frozenset({"value_error", "assertion_error", "union_tag_invalid"})
"""Types of pydantic's errors whose texts may quote the value."""


@attrs.frozen
class PydanticSource:
    """Functions of one pydantic type, which refer to it weakly."""

    name: str
    schema: dict[str, Any]
    validate: Callable[[bytes], Any]
    to_json: Callable[[Any], bytes]
    accepts: Callable[[Any], bool]


def pydantic_source(into: Any, track: Callable[[Any], ClassRef]) -> PydanticSource | None:
    """What is known of a pydantic model or dataclass, or of a `SupportsValidateJSON`; None for other types.

    Args:
        into: the type.
        track: returns a weak reference to an object, and takes note of it.

    Raises:
        RuntimeError, NameError, TypeError, ValueError: pydantic has no schema for the type.
    """
    if not isinstance(into, type):
        is_adapter = hasattr(into, "validate_json") and hasattr(into, "json_schema")
        return _adapter_source("value", into, track(into)) if is_adapter else None
    if hasattr(into, "model_json_schema") and hasattr(into, "model_validate_json"):
        schema = cast("Any", into).model_json_schema(mode="validation")
    elif "__pydantic_validator__" in vars(into):
        schema = sys.modules["pydantic"].TypeAdapter(into).json_schema()
    else:
        return None
    ref = track(into)
    return PydanticSource(
        into.__name__,
        schema,
        lambda data: _validator(ref()).validate_json(data),
        lambda value: ref().__pydantic_serializer__.to_json(value, by_alias=True),
        lambda value: isinstance(value, ref()),
    )


def pydantic_adapter(cls: Any) -> PydanticSource | None:
    """What is known of another class that pydantic has methods for, such as its URLs; None for all other classes."""
    if not isinstance(cls, type) or not hasattr(cls, "__get_pydantic_core_schema__") or "pydantic" not in sys.modules:
        return None
    adapter = sys.modules["pydantic"].TypeAdapter(cls)
    return _adapter_source(cls.__name__, adapter, lambda: adapter)


def _adapter_source(name: str, adapter: Any, ref: ClassRef) -> PydanticSource:
    return PydanticSource(
        name,
        adapter.json_schema(),
        lambda data: ref().validate_json(data),
        lambda value: ref().dump_json(value, by_alias=True),
        lambda value: _is_valid(ref(), value),
    )


def _has(data: Any, part: str | int) -> bool:
    """Whether plain JSON data has a member or an item; parts of pydantic's paths may be names of its types."""
    if isinstance(part, int):
        return is_array(data) and part < len(data)
    return is_object(data) and part in data


def _path(error: dict[str, Any], data: Any) -> list[str | int]:
    """The place of one of pydantic's errors in the data."""
    found: list[str | int] = []
    for part in error["loc"]:
        if _has(data, part):
            data = data[part]
            found.append(part)
    return found


def _is_own(error: dict[str, Any]) -> bool:
    """Whether an error is one of a check by the class itself."""
    return error["type"] in _OWN_TEXT or "url" not in error


def _validator(cls: Any) -> Any:
    return cls.__pydantic_validator__


def _is_valid(adapter: Any, value: Any) -> bool:
    try:
        adapter.validate_python(value, strict=True)
    except ValueError:
        return False
    return True


class PydanticType(TypeNode):
    """The compiled type of a pydantic type: the decoder returns plain data, which pydantic validates."""

    wire = Any
    is_leaf = True

    def __init__(self, source: PydanticSource, tag: UnionTag | None = None) -> None:
        self._source = source
        self.tag = tag
        kind = self._root().get("type")
        self.kinds = frozenset({kind}) if kind in {"object", "array", "string"} else JSON_KINDS
        self.build = self._validated

    def _root(self) -> dict[str, Any]:
        """The schema of the type itself, which pydantic puts among the definitions where it is recursive."""
        schema = self._source.schema
        if "$ref" in schema:
            schema = schema["$defs"][schema["$ref"].rpartition("/")[2]]
        return {key: item for key, item in schema.items() if key != "$defs"}

    def schema(self, defs: SchemaDefs) -> dict[str, Any]:
        """A reference to the definition of the type; its own definitions are lifted to the root."""
        nested: dict[str, dict[str, Any]] = self._source.schema.get("$defs", {})

        def lifted(schema: dict[str, Any]) -> dict[str, Any]:
            out = {key: item for key, item in schema.items() if key != "discriminator"}
            target = str(out.get("$ref", "")).removeprefix("#/$defs/")
            if target in nested:
                out |= reference(target, nested[target])
            if isinstance(out.get("properties"), dict):
                out["properties"] = {name: _untitled(item, name) for name, item in out["properties"].items()}
            return out

        def reference(name: str, schema: dict[str, Any]) -> dict[str, Any]:
            whole = [schema, *(nested[each] for each in sorted(set(references(schema, nested))))]
            key = (name, json.dumps(whole, sort_keys=True))
            return defs.reference(key, name, lambda: map_schema(_untitled(schema, name), lifted))

        root, name = self._root(), self._source.name
        return reference(name, root if self.tag is None else _tagged(root, self.tag))

    def literal_members(self) -> dict[str, str | int]:
        """The members that have one possible value."""
        found: dict[str, str | int] = {}
        for name, schema in self._root().get("properties", {}).items():
            values = schema.get("enum", [schema["const"]] if "const" in schema else [])
            if len(values) == 1 and isinstance(values[0], (str, int)) and not isinstance(values[0], bool):
                found[name] = values[0]
        return found

    def member_names(self) -> set[str]:
        """The names of all members."""
        return set(self._root().get("properties", {}))

    def mismatch(self) -> ValueMismatch:
        """The error of data of another type."""
        return ValueMismatch("object" if self.kinds == frozenset({"object"}) else self._source.name)

    def fit(self, data: Any) -> Any:
        """The data, which is validated only where a union selects the member that fits."""
        if self.must_fit:
            self._validated(data)
        return data

    def _validated(self, data: Any) -> Any:
        if self.tag is not None and not self.tag.is_field and is_object(data):
            data = {name: item for name, item in data.items() if name != self.tag.field}
        try:
            return self._source.validate(codec.dumps(data))
        except ValueError as exc:
            if not hasattr(exc, "errors"):
                raise refusal(exc) from exc
            errors = cast("Any", exc).errors()
            paths = [_path(each, data) for each in errors if not _is_own(each)]
            shorter = without_optional_nulls(data, paths, self._source.schema)
            if shorter is data:
                raise self._mismatch_of(errors, data) from exc
        return self._validated(shorter)

    def _mismatch_of(self, errors: list[dict[str, Any]], data: Any) -> ValueMismatch:
        """The first of pydantic's errors, with its place in the data."""
        first = errors[0]
        declared = _all_names(self._source.schema)
        parts = [part if isinstance(part, int) or part in declared else ANY_KEY for part in _path(first, data)]
        kind = first["type"]
        if kind == "missing":
            parts.append(first["loc"][-1])
            return ValueMismatch("a member, which is missing", parts=tuple(parts))
        if kind == "extra_forbidden":
            return ValueMismatch("no members besides those of the schema", parts=tuple(parts[:-1]))
        expected = str(first["msg"]).removeprefix("Input should be ")
        if kind.endswith("_parsing"):
            expected = expected.partition(",")[0]  # what follows may quote the text
        return ValueMismatch(expected, "value" if _is_own(first) else "schema", tuple(parts))

    def accepts(self, value: Any) -> bool:
        """Whether it is an instance of the class, or valid for the adapter."""
        return self._source.accepts(value)

    def dump(self, value: Any) -> Any:
        """The value as JSON data, with the tag."""
        plain = codec.loads(self._source.to_json(value))
        if self.tag is None or self.tag.is_field:
            return plain
        return {self.tag.field: self.tag.value} | plain


def _tagged(schema: dict[str, Any], tag: UnionTag) -> dict[str, Any]:
    """The schema of an object with its tag, which is required even where the class has a default for it."""
    kind = "string" if isinstance(tag.value, str) else "integer"
    properties = schema.get("properties", {}) | {tag.field: {"type": kind, "const": tag.value}}
    required = [name for name in schema.get("required", ()) if name != tag.field]
    return schema | {
        "properties": {tag.field: properties.pop(tag.field)} | properties,
        "required": [tag.field, *required],
    }


def _untitled(schema: Any, name: str) -> Any:
    """A schema without the title that pydantic makes of a name."""
    if is_object(schema) and schema.get("title") in {name, name.replace("_", " ").title()}:
        return {key: item for key, item in schema.items() if key != "title"}
    return schema


def _all_names(schema: dict[str, Any]) -> set[str]:
    """The names of the members of all objects in a schema."""
    names: set[str] = set()

    def collect(each: dict[str, Any]) -> dict[str, Any]:
        names.update(each.get("properties", ()))
        return each

    map_schema(schema, collect)
    return names
