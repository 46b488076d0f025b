"""Parameters of tools whose JSON Schema the caller has: the schema is checked, arguments are plain data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from ..codecs import json
from ..errors import InvalidRequestError
from ..structured.types.absent_members import Path, without_optional_nulls
from .argument_reading import ParsedArguments, read_plain


class SchemaReader:
    """The reader of arguments that the tool itself checks.

    Args:
        schema: JSON Schema of the arguments.
        drops_nulls: whether members that the schema does not require are left out where they are null, because
            strict schemas have no members that may be left out.
    """

    def __init__(self, schema: dict[str, Any], *, drops_nulls: bool) -> None:
        self._schema = schema
        self._drops_nulls = drops_nulls

    def __call__(self, text: str) -> ParsedArguments:
        """The arguments in a model's JSON.

        Raises:
            ArgumentMismatch: the text is no JSON object.
        """
        data = read_plain(text)
        if self._drops_nulls:
            data = without_optional_nulls(data, list(_nulls(data, ())), self._schema)
        return ParsedArguments(text, data)


def _nulls(data: Any, path: Path) -> Iterator[Path]:
    """The paths of all nulls in plain JSON data."""
    if data is None:
        yield path
    elif isinstance(data, dict):
        for name, item in cast("dict[str, Any]", data).items():
            yield from _nulls(item, (*path, name))
    elif isinstance(data, list):
        for at, item in enumerate(cast("list[Any]", data)):
            yield from _nulls(item, (*path, at))


def checked_schema(name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the JSON Schema of a tool's arguments, as plain data.

    Raises:
        InvalidRequestError: it is not JSON, or not the schema of an object.
    """
    try:
        plain: object = json.loads(json.dumps(parameters))
    except (TypeError, ValueError, RecursionError):
        raise InvalidRequestError(f"{name}: parameters: cannot be written as JSON", param="parameters") from None
    schema = cast("dict[str, Any]", plain)
    is_object = isinstance(plain, dict) and schema.get("type", "object") == "object"
    if not is_object or not isinstance(schema.get("properties", {}), dict):
        text = f"{name}: parameters: expected a JSON Schema of type object"
        raise InvalidRequestError(text, param="parameters")
    return {"type": "object", "properties": {}, **schema}
