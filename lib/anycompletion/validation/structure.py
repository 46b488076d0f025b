"""Dicts and records → records, by cattrs: the general case, with the path of whatever does not fit.

Loaded by the first message, part or tool that is more than a role and a text: cattrs costs an import several
milliseconds, and many programs never send one.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast, get_args

import attrs
from cattrs import ClassValidationError, Converter
from cattrs.gen import make_dict_structure_fn, override

from ..records import (
    AssistantMessage,
    AudioPart,
    CustomMessage,
    CustomPart,
    DeveloperMessage,
    FilePart,
    FileRef,
    FunctionMessage,
    ImagePart,
    ImageUrl,
    Message,
    Part,
    Record,
    RefusalPart,
    SystemMessage,
    TextPart,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from .data_urls import problem_of
from .values import (
    MAX_DEPTH,
    MAX_SCHEMA_DEPTH,
    ValidationFailure,
    failure,
    plain_json,
    refuse,
    to_builtin,
    to_json_level,
    type_name,
)

_MESSAGES: Mapping[str, type[Message]] = {
    "system": SystemMessage,
    "developer": DeveloperMessage,
    "user": UserMessage,
    "assistant": AssistantMessage,
    "tool": ToolMessage,
    "function": FunctionMessage,
}
_PARTS: Mapping[str, type[Part]] = {
    "text": TextPart,
    "image_url": ImagePart,
    "input_audio": AudioPart,
    "file": FilePart,
    "refusal": RefusalPart,
}


_MAY_BE_ABSENT: Mapping[type[Any], str] = {ToolMessage: "tool_call_id", ToolCall: "id"}
"""The ids that tie calls and results together: a few servers take messages without them, so the wire format decides."""


def _check_name(message: SystemMessage | DeveloperMessage | UserMessage) -> None:
    if message.name is not None and not _NAME.fullmatch(message.name):
        raise ValidationFailure("must be 1 to 64 letters, digits, underscores or hyphens", ".name")


def _check_image(image: ImageUrl) -> None:
    _check_data_url(image.url, "" if image.bare else ".url")


def _check_file(file: FileRef) -> None:
    if file.file_data is not None:
        _check_data_url(file.file_data, ".file_data")


def _check_data_url(url: str, path: str) -> None:
    problem = problem_of(url)
    if problem is not None:
        raise ValidationFailure(problem, path)


_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")

_CHECKS: Mapping[type[Any], Callable[[Any], None]] = {
    # Not of an assistant: its message may be an earlier reply, and the name the provider's; nor of a tool's result,
    # which repeats what the model called.
    SystemMessage: _check_name,
    DeveloperMessage: _check_name,
    UserMessage: _check_name,
    ImageUrl: _check_image,
    FileRef: _check_file,
}
"""Record → what its types do not say, raising `Misfit` with the path below the record."""


def structure(value: object, cls: Any, param: str) -> Any:
    """`value` as a record of type `cls`.

    Raises:
        InvalidRequestError: `.param` is `param` and the path below it.
    """
    try:
        return _converter().structure(value, cls)
    except Exception as fault:  # noqa: BLE001 (the caller's own types may fail in any way)
        path, text = _locate(fault)
    refuse(param + path, text)


def _locate(fault: Exception) -> tuple[str, str]:
    """The path and reason of the first thing that does not fit."""
    match fault:
        case ClassValidationError():
            noted, _ = fault.group_exceptions()
            inner, note = noted[0]
            step = f".{note.name}"
        case ValidationFailure():
            return fault.path, str(fault)
        case KeyError():
            return "", "is missing"
        case _:
            return "", failure(fault)
    path, text = _locate(inner)
    return step + path, text


@functools.cache
def _converter() -> Converter:
    # Made at first need: many calls are all simple messages, and the import is kept light.
    converter = Converter(detailed_validation=True)
    for scalar in (str, int, float, bool):
        converter.register_structure_hook(scalar, _scalar_hook(scalar))
    converter.register_structure_hook_factory(
        _is_record,
        lambda cls: _record_hook(converter, cls),  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    )
    image_url = _record_hook(converter, ImageUrl)
    converter.register_structure_hook(ImageUrl, lambda value, cls: _bare_url(value) or image_url(value, cls))
    union = _tagged_hook(converter, "role", _MESSAGES, CustomMessage)
    converter.register_structure_hook(Message, union)
    part = _tagged_hook(converter, "type", _PARTS, CustomPart)
    converter.register_structure_hook(Part, part)
    content = _content_hook(part)
    for shape in (str | list[Part], str | list[Part] | None):
        converter.register_structure_hook(shape, content)
    converter.register_structure_hook_func(lambda shape: shape == dict[str, Any], _object_hook(MAX_DEPTH))
    # Only a function's parameters are a Mapping.
    converter.register_structure_hook_func(lambda shape: shape == Mapping[str, Any], _object_hook(MAX_SCHEMA_DEPTH))
    converter.register_structure_hook_factory(
        lambda shape: getattr(shape, "__origin__", None) is list,
        lambda shape: _list_hook(converter, shape),  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    )
    return converter


def _bare_url(value: object) -> ImageUrl | None:
    """OpenAI also takes an image's URL where its documentation has an object with one."""
    url = to_builtin(value)
    if isinstance(value, ImageUrl) and value.bare:
        url = to_builtin(value.url)
    if type(url) is not str:
        return None
    image = ImageUrl(url, bare=True)
    _check_image(image)
    return image


def _is_record(cls: Any) -> bool:
    return isinstance(cls, type) and issubclass(cls, Record)


def _scalar_hook(scalar: type[Any]) -> Callable[[object, Any], object]:
    wanted = {str: "a string", int: "an integer", float: "a number", bool: "true or false"}[scalar]

    def hook(value: object, _: Any) -> object:
        if type(value) is scalar:
            return value
        found = to_builtin(value)
        if type(found) is scalar:
            return found
        raise ValidationFailure(f"expected {wanted}, found {type_name(value)}")

    return hook


def _object_hook(depth: int) -> Callable[[object, Any], Any]:
    def hook(value: object, _: Any) -> Any:
        members: Any = to_json_level(value)
        if type(members) is not dict:
            raise ValidationFailure(f"expected an object, found {type_name(value)}")
        return plain_json(members, depth)

    return hook


def _list_hook(converter: Converter, shape: Any) -> Callable[[object, Any], list[Any]]:
    """Only lists are lists; for cattrs everything that can be walked through is one."""
    (kind,) = get_args(shape)

    def hook(value: object, _: Any) -> list[Any]:
        items: Any = to_json_level(value)
        if type(items) is not list:
            raise ValidationFailure(f"expected a list, found {type_name(value)}")
        return _each(cast("Sequence[object]", items), lambda item: converter.structure(item, kind))

    return hook


def _each(items: Sequence[object], read: Callable[[object], Any]) -> list[Any]:
    out: list[Any] = []
    for i, item in enumerate(items):
        try:
            out.append(read(item))
        except Exception as fault:  # noqa: BLE001 (the caller's own types may fail in any way)
            path, text = _locate(fault)
        else:
            continue
        raise ValidationFailure(text, f"[{i}]{path}")
    return out


def _record_hook(converter: Converter, cls: type[Any]) -> Callable[[object, Any], Any]:
    """Known keys go to fields, unknown ones and explicit nulls to `extra`, so that the wire shows what was written."""
    fields = {a.name: a for a in attrs.fields(cls) if a.name != "extra" and not a.metadata.get("hidden")}
    left = {a.name: override(omit=True) for a in attrs.fields(cls) if a.name not in fields}
    absent = _MAY_BE_ABSENT.get(cls)
    check = _CHECKS.get(cls)
    structure = make_dict_structure_fn(cls, converter, **left)  # type: ignore[arg-type]  # mypy takes the overrides for other keywords

    def hook(value: object, _: Any) -> Any:
        data = _members(value, cls)
        known: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        for name, item in data.items():
            field = fields.get(name)
            if field is None or (item is None and field.default is None):
                extra[name] = item
            else:
                known[name] = item
        if absent is not None:
            known.setdefault(absent, "")
        record = structure(known, cls)
        if extra:
            record.extra = plain_json(extra)
        if check is not None:
            check(record)
        return record

    return hook


def _members(value: object, cls: type[Any]) -> Mapping[str, Any]:
    if isinstance(value, cls):
        fields = [a for a in attrs.fields(cls) if a.name != "extra" and not a.metadata.get("hidden")]
        given = {a.name: getattr(value, a.name) for a in fields}
        unset = {a.name for a in fields if a.default is None and given[a.name] is None}
        return {name: item for name, item in given.items() if name not in unset} | getattr(value, "extra", {})
    members = _dict(value, "an object")
    if all(type(key) is str for key in members):
        return members
    return {_key(key): item for key, item in members.items()}


def _dict(value: Any, wanted: str) -> dict[Any, Any]:
    if type(value) is dict:
        return cast("dict[Any, Any]", value)
    if not isinstance(value, Mapping):
        raise ValidationFailure(f"expected {wanted}, found {type_name(value)}")
    return dict[Any, Any](cast("Mapping[Any, Any]", value))


def _key(key: object) -> str:
    name = to_builtin(key)
    if type(name) is not str:
        raise ValidationFailure("has a key that is no string")
    return name


def _tagged_hook(
    converter: Converter, tag: str, known: Mapping[str, type[Any]], other: type[Any]
) -> Callable[[object, Any], Any]:
    def hook(value: object, _: Any) -> Any:
        if isinstance(value, Record):
            cls: type[Any] = type(value)
            if cls is not other and cls not in known.values():
                raise ValidationFailure(f"expected an object with a {tag}, found {type_name(value)}")
            return converter.structure(value, cls)
        members = _dict(value, f"an object with a {tag}")
        name = to_builtin(members.get(tag))
        if type(name) is not str or not name:
            raise ValidationFailure(
                "is missing" if name is None else f"expected a string, found {type_name(name)}", f".{tag}"
            )
        return converter.structure(members, known.get(name, other))

    return hook


def _content_hook(part: Callable[[object, Any], Any]) -> Callable[[object, Any], Any]:
    def hook(value: object, _: Any) -> Any:
        found: Any = to_json_level(value)
        if type(found) is str:
            return found
        if type(found) is not list:
            raise ValidationFailure(f"expected a string or a list of parts, found {type_name(value)}")
        return _each(cast("Sequence[object]", found), lambda item: part(item, None))

    return hook
