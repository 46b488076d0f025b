"""Dicts and records → records, by cattrs: the general case, with the path of whatever does not fit.

Loaded by the first message, part or tool that is more than a role and a text: cattrs costs an import several
milliseconds, and many programs never send one.
"""

from __future__ import annotations

import functools
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
from .values import Misfit, kind_of, plain_json, refuse

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


def structure(value: object, cls: Any, param: str) -> Any:
    """`value` as a record of type `cls`.

    Raises:
        InvalidRequestError: `.param` is `param` and the path below it.
    """
    try:
        return _converter().structure(value, cls)
    except (Misfit, ClassValidationError) as fault:
        path, text = _locate(fault)
    refuse(param + path, text)


def _locate(fault: BaseException) -> tuple[str, str]:
    """The path and reason of the first thing that does not fit."""
    match fault:
        case ClassValidationError():
            noted, _ = fault.group_exceptions()
            inner, note = noted[0]
            step = f".{note.name}"
        case Misfit():
            return fault.path, str(fault)
        case KeyError():
            return "", "is missing"
        case _:
            return "", "does not fit"
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
    converter.register_structure_hook_func(lambda shape: shape in (dict[str, Any], Mapping[str, Any]), _json_object)
    converter.register_structure_hook_factory(
        lambda shape: getattr(shape, "__origin__", None) is list,
        lambda shape: _list_hook(converter, shape),  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    )
    return converter


def _bare_url(value: object) -> ImageUrl | None:
    """OpenAI also takes an image's URL where its documentation has an object with one."""
    if isinstance(value, ImageUrl):
        return value if value.bare and type(value.url) is str else None
    return ImageUrl(value, bare=True) if isinstance(value, str) else None


def _is_record(cls: Any) -> bool:
    return isinstance(cls, type) and issubclass(cls, Record)


def _scalar_hook(scalar: type[Any]) -> Callable[[object, Any], object]:
    wanted = {str: "a string", int: "an integer", float: "a number", bool: "true or false"}[scalar]

    def hook(value: object, _: Any) -> object:
        if type(value) is scalar or (isinstance(value, scalar) and not isinstance(value, bool)):
            return value
        raise Misfit(f"expected {wanted}, found {kind_of(value)}")

    return hook


def _json_object(value: object, _: Any) -> Any:
    if not isinstance(value, Mapping):
        raise Misfit(f"expected an object, found {kind_of(value)}")
    return plain_json(value)


def _list_hook(converter: Converter, shape: Any) -> Callable[[object, Any], list[Any]]:
    """Only lists are lists; for cattrs everything that can be walked through is one."""
    (kind,) = get_args(shape)

    def hook(value: object, _: Any) -> list[Any]:
        if not isinstance(value, (list, tuple)):
            raise Misfit(f"expected a list, found {kind_of(value)}")
        return _each(cast("Sequence[object]", value), lambda item: converter.structure(item, kind))

    return hook


def _each(items: Sequence[object], read: Callable[[object], Any]) -> list[Any]:
    out: list[Any] = []
    for i, item in enumerate(items):
        try:
            out.append(read(item))
        except (Misfit, ClassValidationError) as fault:
            path, text = _locate(fault)
        else:
            continue
        raise Misfit(text, f"[{i}]{path}")
    return out


def _record_hook(converter: Converter, cls: type[Any]) -> Callable[[object, Any], Any]:
    """Known keys go to fields, unknown ones and explicit nulls to `extra`, so that the wire shows what was written."""
    fields = {a.name: a for a in attrs.fields(cls) if a.name != "extra" and not a.metadata.get("hidden")}
    left = {a.name: override(omit=True) for a in attrs.fields(cls) if a.name not in fields}
    absent = _MAY_BE_ABSENT.get(cls)
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
        return record

    return hook


def _members(value: object, cls: type[Any]) -> Mapping[str, Any]:
    if isinstance(value, cls):
        fields = [a for a in attrs.fields(cls) if a.name != "extra" and not a.metadata.get("hidden")]
        given = {a.name: getattr(value, a.name) for a in fields}
        unset = {a.name for a in fields if a.default is None and given[a.name] is None}
        return {name: item for name, item in given.items() if name not in unset} | getattr(value, "extra", {})
    if not isinstance(value, Mapping):
        raise Misfit(f"expected an object, found {kind_of(value)}")
    if not all(isinstance(key, str) for key in cast("Mapping[Any, Any]", value)):
        raise Misfit("has a key that is no string")
    return cast("Mapping[str, Any]", value)


def _tagged_hook(
    converter: Converter, tag: str, known: Mapping[str, type[Any]], other: type[Any]
) -> Callable[[object, Any], Any]:
    def hook(value: object, _: Any) -> Any:
        if isinstance(value, Record):
            cls: type[Any] = type(value)
            if cls is not other and cls not in known.values():
                raise Misfit(f"expected an object with a {tag}, found {kind_of(value)}")
            return converter.structure(value, cls)
        if not isinstance(value, Mapping):
            raise Misfit(f"expected an object with a {tag}, found {kind_of(value)}")
        name = cast("Mapping[str, Any]", value).get(tag)
        if not isinstance(name, str) or not name:
            raise Misfit("is missing" if name is None else f"expected a string, found {kind_of(name)}", f".{tag}")
        # An enum of texts equals its text and yet has another hash.
        return converter.structure(value, known.get(str.__str__(name), other))

    return hook


def _content_hook(part: Callable[[object, Any], Any]) -> Callable[[object, Any], Any]:
    def hook(value: object, _: Any) -> Any:
        if isinstance(value, str) or value is None:
            if value is None:
                raise Misfit("expected a string or a list of parts, found null")
            return value
        if not isinstance(value, (list, tuple)):
            raise Misfit(f"expected a string or a list of parts, found {kind_of(value)}")
        return _each(cast("Sequence[object]", value), lambda item: part(item, None))

    return hook
