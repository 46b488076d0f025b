"""Converts dicts and records to records with cattrs: the general case, whose errors carry the path of the value.

Imported at the first message, part or tool that is more than a role and a text: importing cattrs takes several
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
    ChatCompletionMessage,
    Content,
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
    SupportsModelDump,
    SystemMessage,
    TextPart,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from .data_urls import find_problem
from .values import (
    MAX_DEPTH,
    MAX_SCHEMA_DEPTH,
    ValidationFailure,
    describe_or_reraise,
    refuse,
    to_builtin,
    to_json_level,
    to_plain_json,
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


_OPTIONAL_IDS: Mapping[type[Any], str] = {ToolMessage: "tool_call_id", ToolCall: "id"}
"""The ids that link calls and results. A few servers accept messages without them: the dialect decides."""


def _check_name(message: SystemMessage | DeveloperMessage | UserMessage) -> None:
    if message.name is not None and not _NAME.fullmatch(message.name):
        raise ValidationFailure("must be 1 to 64 letters, digits, underscores or hyphens", ".name")


def _check_image(image: ImageUrl) -> None:
    _check_data_url(image.url, "" if image.bare else ".url")


def _check_file(file: FileRef) -> None:
    if file.file_data is not None:
        _check_data_url(file.file_data, ".file_data")


def _check_data_url(url: str, path: str) -> None:
    problem = find_problem(url)
    if problem is not None:
        raise ValidationFailure(problem, path)


_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")

_CHECKS: Mapping[type[Any], Callable[[Any], None]] = {
    # Names of assistants and tools are not checked: an assistant's message may be an earlier reply with a name of the
    # provider's, and a tool's result repeats the name that the model called.
    SystemMessage: _check_name,
    DeveloperMessage: _check_name,
    UserMessage: _check_name,
    ImageUrl: _check_image,
    FileRef: _check_file,
}
"""Record → check beyond the types of its fields; raises `ValidationFailure` with the path relative to the record."""


def structure(value: object, cls: Any, param: str) -> Any:
    """`value` as a record of type `cls`.

    Raises:
        InvalidRequestError: `.param` is `param` and the path below it.
    """
    try:
        return _converter().structure(value, cls)
    except Exception as error:  # noqa: BLE001 (the caller's own types may fail in any way)
        path, text = _locate(error)
    refuse(param + path, text)


def _locate(error: Exception) -> tuple[str, str]:
    """The path and the error text of the first invalid value."""
    match error:
        case ClassValidationError():
            noted, _ = error.group_exceptions()
            inner, note = noted[0]
            step = f".{note.name}"
        case ValidationFailure():
            return error.path, str(error)
        case KeyError():
            return "", "is missing"
        case _:
            return "", describe_or_reraise(error)
    path, text = _locate(inner)
    return step + path, text


@functools.cache
def _converter() -> Converter:
    # Made at first use, because many programs send simple messages only.
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
    part = _tagged_hook(converter, "type", _PARTS, CustomPart, has_own_form=_is_bare_audio)
    converter.register_structure_hook(Part, part)
    content = _content_hook(part)
    for shape in (Content, Content | None):
        converter.register_structure_hook(shape, content)
    converter.register_structure_hook_func(lambda shape: shape == dict[str, Any], _object_hook(MAX_DEPTH))
    # A function's parameters are the only field whose type is Mapping.
    converter.register_structure_hook_func(lambda shape: shape == Mapping[str, Any], _object_hook(MAX_SCHEMA_DEPTH))
    converter.register_structure_hook_factory(
        lambda shape: getattr(shape, "__origin__", None) is list,
        lambda shape: _list_hook(converter, shape),  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    )
    return converter


def _bare_url(value: object) -> ImageUrl | None:
    """The record of a bare URL, which OpenAI accepts in place of the documented object; else None."""
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
        fields: Any = to_json_level(value)
        if type(fields) is not dict:
            raise ValidationFailure(f"expected an object, found {type_name(value)}")
        return to_plain_json(fields, depth)

    return hook


def _list_hook(converter: Converter, shape: Any) -> Callable[[object, Any], list[Any]]:
    """Structures lists and tuples only; cattrs would accept every iterable."""
    (kind,) = get_args(shape)

    def hook(value: object, _: Any) -> list[Any]:
        items: Any = to_json_level(value)
        if type(items) is not list:
            raise ValidationFailure(f"expected a list, found {type_name(value)}")
        return _structure_items(cast("Sequence[object]", items), lambda item: converter.structure(item, kind))

    return hook


def _structure_items(items: Sequence[object], structure_item: Callable[[object], Any]) -> list[Any]:
    out: list[Any] = []
    for i, item in enumerate(items):
        try:
            out.append(structure_item(item))
        except Exception as error:  # noqa: BLE001 (the caller's own types may fail in any way)
            path, text = _locate(error)
        else:
            continue
        raise ValidationFailure(text, f"[{i}]{path}")
    return out


def _record_hook(converter: Converter, cls: type[Any]) -> Callable[[object, Any], Any]:
    """Known keys go to fields, unknown keys and explicit nulls to `extra`, so that all are sent as written."""
    fields = {a.name: a for a in attrs.fields(cls) if a.name != "extra" and not a.metadata.get("hidden")}
    omitted = {a.name: override(omit=True) for a in attrs.fields(cls) if a.name not in fields}
    optional_id = _OPTIONAL_IDS.get(cls)
    check = _CHECKS.get(cls)
    structure = make_dict_structure_fn(cls, converter, **omitted)  # type: ignore[arg-type]  # mypy takes the overrides for other keywords

    def hook(value: object, _: Any) -> Any:
        data = _record_fields(value, cls)
        known: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        for name, item in data.items():
            field = fields.get(name)
            if field is None or (item is None and field.default is None):
                extra[name] = item
            else:
                known[name] = item
        if optional_id is not None:
            known.setdefault(optional_id, "")
        record = structure(known, cls)
        if extra:
            record.extra = to_plain_json(extra)
        if check is not None:
            check(record)
        return record

    return hook


def _record_fields(value: object, cls: type[Any]) -> Mapping[str, Any]:
    if isinstance(value, cls):
        fields = [a for a in attrs.fields(cls) if a.name != "extra" and not a.metadata.get("hidden")]
        given = {a.name: getattr(value, a.name) for a in fields}
        unset = {a.name for a in fields if a.default is None and given[a.name] is None}
        return {name: item for name, item in given.items() if name not in unset} | getattr(value, "extra", {})
    mapping = _as_dict(value, "an object")
    if all(type(key) is str for key in mapping):
        return mapping
    return {_as_str_key(key): item for key, item in mapping.items()}


def _as_dict(value: Any, wanted: str) -> dict[Any, Any]:
    if type(value) is dict:
        return cast("dict[Any, Any]", value)
    if not isinstance(value, (Mapping, Record)) and callable(getattr(cast("Any", type(value)), "model_dump", None)):
        return _dumped(value)
    if not isinstance(value, Mapping):
        raise ValidationFailure(f"expected {wanted}, found {type_name(value)}")
    return dict[Any, Any](cast("Mapping[Any, Any]", value))


def _dumped(value: SupportsModelDump) -> dict[Any, Any]:
    """An object of another SDK as a dict, without the fields that are not set and those of Anthropic's replies."""
    fields: Any = value.model_dump()
    if not isinstance(fields, Mapping):
        raise ValidationFailure(f"has a model_dump() that returned {type_name(fields)}")
    given = cast("Mapping[Any, Any]", fields)
    is_reply = given.get("type") == "message"
    return {
        name: _without_nulls(item)
        for name, item in given.items()
        if (item is not None or name == "content") and not (is_reply and name in _OF_ANTHROPICS_REPLIES)
    }


_OF_ANTHROPICS_REPLIES = frozenset(
    ("id", "type", "model", "stop_reason", "stop_sequence", "stop_details", "usage", "container")
)
"""Fields of a message that Anthropic returns which are about the reply, not part of the message."""


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return {name: _without_nulls(item) for name, item in items if item is not None}
    return list(map(_without_nulls, cast("list[Any]", value))) if isinstance(value, list) else value


def _as_str_key(key: object) -> str:
    name = to_builtin(key)
    if type(name) is not str:
        raise ValidationFailure("has a key that is no string")
    return name


def _tagged_hook(
    converter: Converter,
    tag: str,
    known: Mapping[str, type[Any]],
    custom: type[Any],
    *,
    has_own_form: Callable[[Mapping[Any, Any]], bool] = lambda _: False,
) -> Callable[[object, Any], Any]:
    """Structures objects by their tag; those with an unknown tag, or in a server's own form, are sent as they are."""

    def hook(value: object, _: Any) -> Any:
        if isinstance(value, Record):
            cls: type[Any] = type(value)
            if cls is not custom and cls not in known.values() and not (cls is ChatCompletionMessage and tag == "role"):
                hint = "; write reply.choices[0].message" if tag == "role" and "choices" in value.to_dict() else ""
                raise ValidationFailure(f"expected an object with a {tag}, found {type_name(value)}{hint}")
            return converter.structure(value, cls)
        fields = _as_dict(value, f"an object with a {tag}")
        name = to_builtin(fields.get(tag))
        if type(name) is not str or not name:
            raise ValidationFailure(
                "is missing" if name is None else f"expected a string, found {type_name(name)}", f".{tag}"
            )
        return converter.structure(fields, custom if has_own_form(fields) else known.get(name, custom))

    return hook


def _is_bare_audio(part: Mapping[Any, Any]) -> bool:
    """Whether a part has Mistral's form of audio: its base64 data as text in place of OpenAI's object."""
    return isinstance(part.get("input_audio"), str)


def _content_hook(part: Callable[[object, Any], Any]) -> Callable[[object, Any], Any]:
    def hook(value: object, _: Any) -> Any:
        found: Any = to_json_level(value)
        if type(found) is str:
            return found
        if type(found) is not list:
            raise ValidationFailure(f"expected a string or a list of parts, found {type_name(value)}")
        return _structure_items(cast("Sequence[object]", found), lambda item: part(item, None))

    return hook
