"""Random JSON Schemas as libraries of types write them: limits, unions, tuples, dicts, references and cycles."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Schema = dict[str, Any]

NAMES = ("A", "B", "a/b", "C~d")
"""Names of definitions, some of which JSON pointers escape."""

_WORDS = st.sampled_from(("name", "size", "kind", "next", "items", "$ref", "properties", "ä"))

_STRINGS = st.fixed_dictionaries(
    {"type": st.just("string")},
    optional={
        "minLength": st.integers(0, 3),
        "maxLength": st.integers(30, 50),
        "format": st.sampled_from(("date-time", "date", "uuid", "uri", "decimal", "ipv4", "time", "duration")),
        "default": st.just("x"),
        "title": st.just("Text"),
        "description": st.just("a text"),
    },
)
_PATTERNS = st.fixed_dictionaries(
    {"type": st.just("string"), "pattern": st.sampled_from(("^[a-z]+$", "^(?=a)a", "a,b", "^(a|b)$"))}
)
_NUMBERS = st.fixed_dictionaries(
    {"type": st.sampled_from(("integer", "number"))},
    optional={
        "minimum": st.integers(-3, 3),
        "exclusiveMinimum": st.integers(-3, 3),
        "maximum": st.integers(10, 20),
        "exclusiveMaximum": st.integers(10, 20),
        "multipleOf": st.sampled_from((1, 2)),
        "description": st.just("a number"),
    },
)
_ENUMS = st.sampled_from(
    (
        {"enum": ["a", "b"]},
        {"enum": ["a", 1, None]},
        {"type": "string", "enum": ["a"], "title": "Kind"},
        {"const": "a"},
        {"const": 3, "description": "always"},
    )
)
_LEAVES = (
    _STRINGS
    | _PATTERNS
    | _NUMBERS
    | _ENUMS
    | st.sampled_from(({"type": "boolean"}, {"type": "null"}, {"type": ["string", "null"]}))
    | st.just({"type": "string", "contentEncoding": "base64"})
)
_OPEN = st.sampled_from(({}, True, {"type": "object"}, {"type": "array"}, {"description": "anything"}))


def _reference(name: str) -> Schema:
    return {"$ref": "#/$defs/" + name.replace("~", "~0").replace("/", "~1")}


_REFERENCES = st.builds(
    lambda name, more: {**_reference(name), **more},
    st.sampled_from(NAMES),
    st.sampled_from(({}, {"description": "a part"}, {"default": None}, {"title": "Part"})),
)


def _objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Schema]:
    def build(properties: Schema, required: frozenset[str], more: Schema) -> Schema:
        names = [name for name in properties if name in required]
        return {"type": "object", "properties": properties, **({"required": names} if names else {}), **more}

    return st.builds(
        build,
        st.dictionaries(_WORDS, inner, max_size=4),
        st.frozensets(_WORDS, max_size=6),
        st.sampled_from(({}, {"additionalProperties": False}, {"title": "Thing"}, {"description": "A thing."})),
    )


def _compounds(inner: st.SearchStrategy[Any], *, is_open: bool) -> st.SearchStrategy[Any]:
    arrays = st.builds(
        lambda items, more: {"type": "array", "items": items, **more},
        inner,
        st.sampled_from(({}, {"minItems": 1}, {"minItems": 2, "maxItems": 4}, {"uniqueItems": True}, {"maxItems": 0})),
    )
    unions = st.builds(
        lambda word, options, more: {word: options, **more},
        st.sampled_from(("anyOf", "oneOf")),
        st.lists(inner, min_size=1, max_size=3),
        st.sampled_from(({}, {"description": "one of them"}, {"discriminator": {"propertyName": "kind"}})),
    )
    nullable = st.builds(lambda each: {"anyOf": [each, {"type": "null"}], "default": None}, inner)
    joined = st.builds(lambda each, text: {"allOf": [each], "description": text}, inner, st.sampled_from(("", "x")))
    both = st.builds(lambda one, other: {"allOf": [one, other]}, _objects(inner), _objects(inner))
    found = _objects(inner) | arrays | unions | nullable | joined | both
    if not is_open:
        return found
    tuples = st.builds(
        lambda members: {
            "type": "array",
            "prefixItems": members,
            "items": False,
            "minItems": len(members),
            "maxItems": len(members),
        },
        st.lists(inner, min_size=1, max_size=3),
    )
    dicts = st.builds(
        lambda values, more: {"type": "object", "additionalProperties": values, **more},
        inner,
        st.sampled_from(({}, {"propertyNames": {"pattern": "^[a-z]+$"}}, {"minProperties": 1})),
    )
    return found | tuples | dicts


def _values(*, is_open: bool) -> st.SearchStrategy[Any]:
    leaves = _LEAVES | _REFERENCES | (_OPEN if is_open else st.nothing())
    return st.recursive(leaves, lambda inner: _compounds(inner, is_open=is_open), max_leaves=8)


def _schemas(*, is_open: bool) -> st.SearchStrategy[Schema]:
    values = _values(is_open=is_open)
    defs = st.fixed_dictionaries({name: _objects(values) | _ENUMS for name in NAMES})
    return st.builds(lambda root, found: {**root, "$defs": found}, _objects(values), defs)


SCHEMAS: st.SearchStrategy[Schema] = _schemas(is_open=True) | _schemas(is_open=False)
"""Schemas of objects, half of them without open parts."""
