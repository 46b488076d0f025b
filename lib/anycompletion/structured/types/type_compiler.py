"""The compiler of types: a tree of compiled types out of type hints; what JSON cannot hold is refused with its path."""

from __future__ import annotations

import collections.abc
import enum
import re
import typing
import weakref
from collections.abc import Callable, Hashable, Sequence
from typing import Annotated, Any, Literal, NoReturn, TypeGuard, cast

from ...errors import InvalidRequestError
from .alias_type import AliasType
from .annotated_type import annotate
from .choice_types import EnumType, LiteralType
from .class_fields import ClassField, ClassSpec, class_description, read_class
from .collection_types import ArrayType, MapType, TupleType
from .limits import read_notes
from .object_type import ObjectType
from .pydantic_type import PydanticSource, PydanticType, pydantic_adapter, pydantic_source
from .scalar_types import NONE_TYPE, AnyType, ScalarType, is_scalar
from .type_hints import TypeVars, resolved_alias, type_arguments, wrapper_name
from .type_node import ClassRef, TypeNode, UnionTag
from .type_signature import is_union, is_variable, type_name, type_signature
from .union_tags import UnionClass, choose_tags, literal_value
from .union_type import UnionType

_LISTS = frozenset(
    {
        list,
        collections.abc.Sequence,
        collections.abc.MutableSequence,
        collections.abc.Collection,
        collections.abc.Iterable,
    }
)
_SETS: dict[Any, Any] = {
    set: set,
    frozenset: frozenset,
    collections.abc.Set: frozenset,
    collections.abc.MutableSet: set,
}
_MAPS = frozenset({dict, collections.abc.Mapping, collections.abc.MutableMapping})
_BARE_TUPLE: Any = getattr(typing, "Tuple")  # noqa: B009 (an old name for `tuple`, which linters replace)
_UNREADABLE = (NameError, AttributeError, SyntaxError, TypeError, ValueError, RuntimeError, ImportError)
"""What annotations in quotes raise when they are evaluated, and pydantic where it has no schema."""


class TypeCompiler:
    """Compiles one type; classes that it meets twice are compiled once."""

    def __init__(self, on_collected: Callable[[Any], object]) -> None:
        self.refs: dict[int, weakref.ref[Any]] = {}
        """The user's classes, by their ids."""
        self._on_collected = on_collected
        self._objects: dict[Hashable, TypeNode] = {}
        self._aliases: dict[Hashable, AliasType] = {}

    def track(self, target: Any) -> ClassRef:
        """A weak reference to a class of the user's."""
        return self.refs.setdefault(id(target), weakref.ref(target, self._on_collected))

    def compile(self, hint: Any, variables: TypeVars, path: str) -> TypeNode:
        """The compiled type of a hint.

        Raises:
            InvalidRequestError: values of the type cannot be read from JSON; the text names `path`.
        """
        if is_variable(hint, variables):
            return self.compile(*_resolved(hint, variables), path)
        if hint is Any or hint is object:
            return AnyType()
        if type(hint).__hash__ is None:  # a list or dict instead of a type
            _refuse(path, f"values of {hint!r:.100} cannot be read from JSON")
        if hint is None:
            return ScalarType(NONE_TYPE)
        if is_scalar(hint):
            return ScalarType(hint)
        if (target := getattr(hint, "__supertype__", None)) is not None:  # a NewType
            return self.compile(target, variables, path)
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if hasattr(origin or hint, "__value__"):
            return self._alias(origin or hint, arguments, variables, path)
        if origin is None:
            return self._bare(hint, variables, path)
        return self._generic(hint, origin, arguments, variables, path)

    def compile_members(self, name: str, fields: Sequence[ClassField]) -> TypeNode:
        """The compiled type of an object with the given members and no others, whose values are dicts.

        Raises:
            InvalidRequestError: as `compile`.
        """
        spec = ClassSpec(dict, list(fields), is_dict=True, forbid_unknown=True)
        return self._object(UnionClass(name, name, spec, {}), None, "$")

    def _generic(self, hint: Any, origin: Any, arguments: tuple[Any, ...], variables: TypeVars, path: str) -> TypeNode:
        if origin is Annotated:
            return _annotated(self.compile(arguments[0], variables, path), hint.__metadata__, path)
        if origin is Literal:
            enums = {type(value): self.track(type(value)) for value in arguments if isinstance(value, enum.Enum)}
            try:
                return LiteralType(arguments, enums)
            except TypeError as exc:
                _refuse(path, str(exc))
        if is_union(origin):
            return self._union(hint, variables, path)
        if origin is tuple and not arguments and hint is not tuple and hint != _BARE_TUPLE:
            return TupleType([])
        if wrapper_name(hint):
            return self.compile(arguments[0], variables, path)
        return self._collection(origin, arguments, variables, path) or self._class(origin, arguments, variables, path)

    def _bare(self, hint: Any, variables: TypeVars, path: str) -> TypeNode:
        if hint is typing.LiteralString or getattr(hint, "__name__", "") == "LiteralString":
            return ScalarType(str)
        return self._collection(hint, (), variables, path) or self._class(hint, (), variables, path)

    def _collection(self, origin: Any, arguments: tuple[Any, ...], variables: TypeVars, path: str) -> TypeNode | None:
        if origin in _LISTS or origin in _SETS:
            item = self.compile(arguments[0] if arguments else Any, variables, f"{path}[]")
            if origin in _SETS:
                return ArrayType(item, _SETS[origin], (set, frozenset))
            return ArrayType(item, list, (list,) if origin is list else (collections.abc.Sequence,))
        if origin in _MAPS:
            key, value = arguments or (str, Any)
            return MapType(self._key(key, variables, path), self.compile(value, variables, f"{path}[...]"))
        if origin is not tuple:
            return None
        if not arguments or arguments[-1] is ...:
            item = self.compile(arguments[0] if arguments else Any, variables, f"{path}[]")
            return ArrayType(item, tuple, (tuple,))
        return TupleType([self.compile(each, variables, f"{path}[{index}]") for index, each in enumerate(arguments)])

    def _key(self, hint: Any, variables: TypeVars, path: str) -> TypeNode:
        key = self.compile(hint, variables, path)
        if isinstance(key, (AnyType, PydanticType)) or not (key.is_leaf and key.kinds <= {"string", "integer"}):
            _refuse(path, "keys of a dict must be texts, or be read from texts")
        return key

    def _alias(self, alias: Any, arguments: tuple[Any, ...], variables: TypeVars, path: str) -> TypeNode:
        key = (type_signature(alias, {}), *(type_signature(each, variables) for each in arguments))
        if (known := self._aliases.get(key)) is not None:
            known.is_recursive = known.is_recursive or known.target is None
            return known if known.is_recursive or known.target is None else known.target
        node = self._aliases[key] = AliasType(type_name(alias, {}))
        try:
            value = resolved_alias(alias)
        except _UNREADABLE as exc:
            _refuse(path, f"the type alias {alias.__name__} cannot be read: {exc}")
        node.target = self.compile(value, type_arguments(alias, arguments, variables), path)
        return node if node.is_recursive else node.target

    # --- classes ---

    def _class(self, cls: Any, arguments: tuple[Any, ...], variables: TypeVars, path: str) -> TypeNode:
        if _is_enum(cls):
            try:
                return EnumType(cls, self.track(cls), class_description(cls))
            except TypeError as exc:
                _refuse(path, str(exc))
        described = self._described(cls, arguments, variables, path)
        if described is None:
            name = getattr(cls, "__qualname__", None) or repr(cls)
            _refuse(path, f"values of {name[:100]} cannot be read from JSON")
        tag = None
        spec = described.spec
        if isinstance(spec, ClassSpec) and spec.tag_field is not None and spec.tag is not None:
            tag = UnionTag(spec.tag_field, spec.tag, is_field=False)
        return self._object(described, tag, path)

    def _described(self, cls: Any, arguments: tuple[Any, ...], variables: TypeVars, path: str) -> UnionClass | None:
        """A class with what is read of it; None for a type that is no class with fields, and not pydantic's."""
        try:
            found = (
                pydantic_source(cls, self.track)
                or read_class(cls, type_arguments(cls, arguments, variables))
                or pydantic_adapter(cls)
            )
            if found is None:
                return None
            key = (type_signature(cls, {}), *(type_signature(each, variables) for each in arguments))
        except _UNREADABLE as exc:
            _refuse(path, f"the annotations of {getattr(cls, '__qualname__', 'the type')} cannot be read: {exc}")
        if isinstance(found, PydanticSource):
            return UnionClass(key, found.name, found, PydanticType(found).literal_members())
        name = "_".join([cls.__name__, *(type_name(each, variables) for each in arguments)])
        literals = {
            field.json_name: value for field in found.fields if (value := literal_value(field.hint)) is not None
        }
        return UnionClass(key, name, found, literals)

    def _object(self, described: UnionClass, tag: UnionTag | None, path: str) -> TypeNode:
        key = (described.key, tag)
        if (known := self._objects.get(key)) is not None:
            return known
        spec = described.spec
        if isinstance(spec, PydanticSource):
            return self._objects.setdefault(key, PydanticType(spec, tag))
        names = [field.json_name for field in spec.fields]
        if len(names) != len(set(names)):
            _refuse(path, f"two fields of {described.name} have the same name in JSON")
        found = ObjectType(spec, described.name, self.track(spec.cls), tag)
        self._objects[key] = found
        for field in spec.fields:
            if tag is None or field.json_name != tag.field:
                node = self.compile(field.hint, field.variables, f"{path}.{field.json_name}")
                found.add_member(field, node, {"description": field.description} if field.description else {})
        return found

    # --- unions ---

    def _union(self, hint: Any, variables: TypeVars, path: str) -> TypeNode:
        members = list(_flattened(hint, variables))
        classes: dict[int, UnionClass] = {}
        for index, (member, known, _) in enumerate(members):
            origin = typing.get_origin(member) or member
            if _may_be_class(origin):
                found = self._described(origin, typing.get_args(member), known, path)
                if found is not None and found.is_object:
                    classes[index] = found
        tags: dict[int, UnionTag] = {}
        if len(classes) > 1:
            try:
                tags = dict(zip(classes, choose_tags(list(classes.values())), strict=True))
            except ValueError as exc:
                _refuse(path, str(exc))
        nodes: list[TypeNode] = []
        for index, (member, known, metadata) in enumerate(members):
            tag = tags.get(index)
            node = self.compile(member, known, path) if tag is None else self._object(classes[index], tag, path)
            nodes.append(_annotated(node, metadata, path) if metadata else node)
        return nodes[0] if len(nodes) == 1 else UnionType(nodes)


def _annotated(node: TypeNode, metadata: tuple[Any, ...], path: str) -> TypeNode:
    try:
        return annotate(node, read_notes(metadata))
    except (ValueError, re.error) as exc:
        _refuse(path, str(exc))


def _flattened(hint: Any, variables: TypeVars) -> typing.Iterator[tuple[Any, TypeVars, tuple[Any, ...]]]:
    """The members of a union and of the unions in it, with their type variables and the metadata of `Annotated`."""
    for argument in typing.get_args(hint):
        member, known, metadata = argument, variables, tuple[Any, ...]()
        while True:
            if is_variable(member, known):
                member, known = _resolved(member, known)
            elif typing.get_origin(member) is Annotated:
                member, metadata = typing.get_args(member)[0], (*member.__metadata__, *metadata)
            else:
                break
        if is_union(typing.get_origin(member)) and not metadata:
            yield from _flattened(member, known)
        elif not _is_unset(member):
            yield member, known, metadata


def _is_enum(cls: Any) -> TypeGuard[type[enum.Enum]]:
    return isinstance(cls, type) and issubclass(cls, enum.Enum)


def _is_unset(hint: Any) -> bool:
    """Whether a type is msgspec's mark of a member that is left out."""
    return getattr(hint, "__name__", "") == "UnsetType"


def _may_be_class(origin: Any) -> bool:
    if not isinstance(origin, type):
        return hasattr(origin, "validate_json")
    is_plain = is_scalar(origin) or origin in _LISTS or origin in _SETS or origin in _MAPS or origin is tuple
    return not is_plain and not issubclass(origin, enum.Enum) and not is_union(origin)


def _resolved(variable: Any, variables: TypeVars) -> tuple[Any, TypeVars]:
    """The type of a type variable; its default, bound or `Any` where it has none."""
    if variable in variables:
        return cast("tuple[Any, TypeVars]", variables[variable])
    default = getattr(variable, "__default__", None)
    if default is not None and getattr(variable, "has_default", lambda: False)():
        return default, {}
    return variable.__bound__ if variable.__bound__ is not None else Any, {}


def _refuse(path: str, reason: str) -> NoReturn:
    raise InvalidRequestError(f"into: {path}: {reason}", param="into") from None
