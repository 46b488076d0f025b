"""Values as replies: `ParsedReply`, and the JSON and form in which a typed request asks for them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, cast

import attrs

from ...codecs import json
from ...records import ChatRequest, FunctionCall, ToolCall
from ...structured.requests import ANSWER, calls_answer, sent_schema
from ...structured.types import compile_type
from ..formats.json_access import as_dict, as_list

_PLAIN = (str, int, float, bool, type(None))


@attrs.frozen
class ParsedReply:
    """A value as a reply to `parse`, `parse_stream` and typed batches, in the mode and with the schema of the request.

    ``FakeProvider(ParsedReply(Recipe("Toast", 5)))``. A call that asks for no type gets the value's JSON as text.
    """

    value: Any
    """An instance of the type that is asked for."""


def as_answer(reply: ParsedReply, request: ChatRequest) -> str | ToolCall:
    """The text or the call with which a model answers the request.

    Raises:
        InvalidRequestError: the value is of no type that `parse` takes.
    """
    schema = sent_schema(request)
    data = _data(reply.value)
    if schema is not None:
        data = _with_root(data, reply.value, as_dict(schema))
    text = json.dumps(data).decode()
    if not calls_answer(request):
        return text
    return ToolCall(f"call_{uuid.uuid4().hex}", FunctionCall(ANSWER, text))


def _data(value: Any) -> Any:
    """A value as JSON data; what has a class of its own as that class is sent."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Mapping):
        return {_key(key): _data(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    if type(value) in (list, tuple, set, frozenset):
        return [_data(item) for item in value]
    plan = compile_type(cast("type[Any]", type(value)))
    data = json.loads(plan.encode(value))
    return data["value"] if plan.wrapped else data


def _key(key: Any) -> str:
    """A key of a dict as the name of a member."""
    name = _data(key)
    return name if isinstance(name, str) else json.dumps(name).decode()


def _with_root(data: Any, value: Any, schema: dict[str, Any]) -> Any:
    """The data of the object that a schema describes: a value that is no object of its own is a member of one."""
    properties = as_dict(_resolved(schema, schema).get("properties"))
    if list(properties) != ["value"]:
        return _with_tags(data, value, schema, schema)
    is_whole = isinstance(data, dict) and list(cast("dict[str, Any]", data)) == ["value"]
    if is_whole and _fits(data, schema, schema):
        return cast("dict[str, Any]", data)
    return {"value": _with_tags(data, value, properties["value"], schema)}


def _fits(data: Any, schema: Any, root: dict[str, Any]) -> bool:
    """Whether the members and the types of data are those of a schema, as far as it names them."""
    return any(_fits_option(data, option, root) for option in _options(schema, root))


def _fits_option(data: Any, rules: dict[str, Any], root: dict[str, Any]) -> bool:
    if not isinstance(data, dict):
        return "type" not in rules or _TYPES[type(data)] in (rules["type"], *as_list(rules["type"]))
    fields, properties = cast("dict[str, Any]", data), as_dict(rules.get("properties"))
    return all(_fits(item, properties[name], root) for name, item in fields.items() if name in properties)


_TYPES: dict[type, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
    list: "array",
}


def _with_tags(data: Any, value: Any, schema: Any, root: dict[str, Any]) -> Any:
    """The data with the tags by which members of unions are distinguished, where the values' own classes have none."""
    options = _options(schema, root)
    if type(value) in (list, tuple):
        members = cast("Sequence[Any]", value)
        first = as_list(next((each["prefixItems"] for each in options if "prefixItems" in each), None))
        items = [*first, *[_first(options, "items")] * (len(members) - len(first))]
        return [_with_tags(*each, root) for each in zip(data, members, items, strict=True)]
    if not isinstance(data, dict):
        return data
    fields = cast("dict[str, Any]", data)
    own = [(name, rules) for each in options for name, rules in as_dict(each.get("properties")).items()]
    if isinstance(value, Mapping):
        rest, by_name = _first(options, "additionalProperties"), dict(own)
        of_names = {_key(name): item for name, item in cast("Mapping[Any, Any]", value).items()}
        return {name: _with_tags(item, of_names[name], by_name.get(name, rest), root) for name, item in fields.items()}
    tag = type(value).__name__
    for name, rules in own:
        if name not in fields and tag in (rules.get("const"), *as_list(rules.get("enum"))):
            return {name: tag, **fields}
    return fields


def _first(options: Sequence[dict[str, Any]], keyword: str) -> dict[str, Any]:
    """The first schema that the options have under a keyword."""
    return as_dict(next((option[keyword] for option in options if option.get(keyword)), None))


def _options(schema: Any, root: dict[str, Any]) -> list[dict[str, Any]]:
    """The schemas of which a value has to fit one."""
    rules = _resolved(schema, root)
    nested = as_list(rules.get("anyOf")) or as_list(rules.get("oneOf"))
    return [option for each in nested for option in _options(each, root)] if nested else [rules]


def _resolved(schema: Any, root: dict[str, Any]) -> dict[str, Any]:
    rules = as_dict(schema)
    if "$ref" not in rules:
        return rules
    defs, name = as_dict(root.get("$defs")), str(rules["$ref"]).removeprefix("#/$defs/")
    return as_dict(defs.get(name))
