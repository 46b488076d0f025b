"""Random types, and random values of them, for property tests of typed replies.

`typed_values()` draws a type with a value. Types are classes of all kinds that `parse` accepts, collections, unions,
literals and scalars, nested up to `MAX_DEPTH` levels. Values are equal to what is read from their own JSON: there is no
NaN, and no union whose members have the same JSON.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import itertools
import typing
import uuid
from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, TypedDict

import annotated_types
import attrs
import msgspec
import pydantic
from hypothesis import strategies as st

MAX_DEPTH = 4
_MAX_FIELDS = 4


class RandomType(NamedTuple):
    """A type, a strategy of its values, and the type of JSON that it has in unions."""

    hint: Any
    values: st.SearchStrategy[Any]
    kind: str
    """Types of one kind are not put into one union, classes excepted."""
    hashable: bool = True
    name: str = ""


_FLOATS = st.floats(allow_nan=False, allow_infinity=False)
_TEXTS = st.text(max_size=8)
_UTC = st.sampled_from((None, datetime.UTC))
_DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9)


class Mood(enum.Enum):
    """How someone feels."""

    GOOD = "good"
    BAD = "bad"


class Size(enum.IntEnum):
    """How large something is."""

    SMALL = 1
    LARGE = 2


UserId = typing.NewType("UserId", int)

SCALARS: tuple[RandomType, ...] = (
    RandomType(int, st.integers(), "number"),
    RandomType(int, st.integers(-(10**30), 10**30), "number"),
    RandomType(float, _FLOATS, "number"),
    RandomType(int | float, st.integers() | _FLOATS, "number"),
    RandomType(bool, st.booleans(), "boolean"),
    RandomType(None, st.none(), "null"),
    RandomType(str, _TEXTS, "string"),
    RandomType(UserId, st.integers(), "number"),
    RandomType(Mood, st.sampled_from(Mood), "string"),
    RandomType(Size, st.sampled_from(Size), "number"),
    RandomType(Literal["a", "b c", ""], st.sampled_from(("a", "b c", "")), "string"),
    RandomType(Literal[1, 2], st.sampled_from((1, 2)), "number"),
    RandomType(Literal["x", 3, None], st.sampled_from(("x", 3, None)), "any"),
    RandomType(Literal[True], st.just(True), "boolean"),
    RandomType(Literal[Mood.GOOD, "other"], st.sampled_from((Mood.GOOD, "other")), "string"),
    RandomType(datetime.datetime, st.datetimes(timezones=_UTC), "string"),
    RandomType(datetime.date, st.dates(), "string"),
    RandomType(datetime.time, st.times(), "string"),
    RandomType(datetime.timedelta, st.timedeltas(), "string"),
    RandomType(uuid.UUID, st.uuids(), "string"),
    RandomType(decimal.Decimal, _DECIMALS, "any"),
    RandomType(bytes, st.binary(max_size=8), "string"),
    RandomType(Annotated[int, msgspec.Meta(ge=0, lt=10), "a digit"], st.integers(0, 9), "number"),
    RandomType(Annotated[float, annotated_types.Ge(-1), annotated_types.Le(1)], st.floats(-1, 1), "number"),
    RandomType(Annotated[str, pydantic.Field(pattern="^a", max_length=3)], st.sampled_from(("a", "abc")), "string"),
    RandomType(Annotated[decimal.Decimal, annotated_types.Gt(0)], st.decimals(1, 9, places=2), "any"),
)
_ANY = RandomType(
    Any,
    st.recursive(
        st.none() | st.booleans() | st.integers() | _FLOATS | _TEXTS,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_TEXTS, inner, max_size=2),
        max_leaves=4,
    ),
    "any",
    hashable=False,
)
_KEYS = [each for each in SCALARS if each.hint in {str, int, datetime.date, uuid.UUID, Mood}]
_names = (f"Type{number}" for number in itertools.count())


@st.composite
def random_types(draw: st.DrawFn, depth: int = MAX_DEPTH) -> RandomType:
    """Types of at most this many levels."""
    if depth == 0:
        return draw(st.sampled_from(SCALARS) | st.just(_ANY))
    makers = (_scalars, _collections, _collections, _unions, _classes, _classes, _classes)
    return draw(draw(st.sampled_from(makers))(depth - 1))


def _scalars(depth: int) -> st.SearchStrategy[RandomType]:
    return random_types(0)


@st.composite
def _collections(draw: st.DrawFn, depth: int) -> RandomType:
    item = draw(random_types(depth))
    values = item.values
    choices: dict[str, Callable[[], RandomType]] = {
        "list": lambda: RandomType(list[item.hint], st.lists(values, max_size=3), "array", hashable=False),
        "tuple": lambda: RandomType(
            tuple[item.hint, ...], st.lists(values, max_size=3).map(tuple), "array", item.hashable
        ),
        "pair": lambda: _pair(item, draw(random_types(depth))),
        "dict": lambda: _dict(draw(st.sampled_from(_KEYS)), item),
        "limited": lambda: RandomType(
            Annotated[list[item.hint], annotated_types.Len(1, 2), "one or two"],
            st.lists(values, min_size=1, max_size=2),
            "array",
            hashable=False,
        ),
    }
    if item.hashable:
        choices["set"] = lambda: RandomType(set[item.hint], st.sets(values, max_size=3), "array", hashable=False)
        choices["frozenset"] = lambda: RandomType(frozenset[item.hint], st.frozensets(values, max_size=3), "array")
    return choices[draw(st.sampled_from(sorted(choices)))]()


def _pair(first: RandomType, second: RandomType) -> RandomType:
    values = st.tuples(first.values, second.values)
    return RandomType(tuple[first.hint, second.hint], values, "array", first.hashable and second.hashable)


def _dict(key: RandomType, item: RandomType) -> RandomType:
    values = st.dictionaries(key.values, item.values, max_size=3)
    return RandomType(dict[key.hint, item.hint], values, "dict", hashable=False)


@st.composite
def _unions(draw: st.DrawFn, depth: int) -> RandomType:
    """Unions of types with different JSON, or of classes, of which there may be any number."""
    wanted = draw(st.integers(2, 3))
    members: list[RandomType] = []
    for _ in range(6):
        found = draw(random_types(depth))
        kinds = {each.kind for each in members}
        is_distinct = found.kind == "class" or found.kind not in kinds
        if found.kind != "any" and is_distinct and not {found.kind, *kinds} >= {"class", "dict"}:
            members.append(found)
        if len(members) == wanted:
            break
    else:
        return RandomType(typing.Optional[int], st.none() | st.integers(), "any")  # noqa: UP045 (the old notation)
    hint = members[0].hint | members[1].hint if wanted == 2 else typing.Union[tuple(each.hint for each in members)]  # noqa: UP007
    return RandomType(hint, st.one_of([each.values for each in members]), "any", all(each.hashable for each in members))


class _Field(NamedTuple):
    name: str
    type: RandomType
    default: tuple[Any, ...]
    """The default as the only item; empty where there is none."""


@st.composite
def _classes(draw: st.DrawFn, depth: int) -> RandomType:
    make = draw(st.sampled_from((_dataclass, _attrs_class, _struct, _named_tuple, _typed_dict, _pydantic_model)))
    types = st.sampled_from(_PYDANTIC) if make is _pydantic_model else random_types(depth)
    names = draw(st.lists(st.sampled_from(("a", "b_c", "name", "value", "kind")), max_size=_MAX_FIELDS, unique=True))
    fields: list[_Field] = []
    for name in names:
        found = draw(types)
        fields.append(_Field(name, found, (draw(found.values),) if draw(st.booleans()) else ()))
    fields.sort(key=lambda field: len(field.default))
    made = make(next(_names), fields)
    return made._replace(hashable=made.hashable and all(field.type.hashable for field in fields))


def _instances(cls: Any, fields: list[_Field]) -> st.SearchStrategy[Any]:
    arguments = st.fixed_dictionaries(
        {field.name: field.type.values for field in fields if not field.default},
        optional={field.name: field.type.values for field in fields if field.default},
    )
    return arguments.map(lambda values: cls(**values))


def _constant(default: tuple[Any, ...]) -> Callable[[], Any]:
    return lambda: default[0]


def _dataclass(name: str, fields: list[_Field]) -> RandomType:
    made: list[Any] = []
    for field in fields:
        if not field.default:
            made.append((field.name, field.type.hint))
        elif field.type.hashable:
            made.append((field.name, field.type.hint, dataclasses.field(default=field.default[0])))
        else:
            made.append((field.name, field.type.hint, dataclasses.field(default_factory=_constant(field.default))))
    cls = dataclasses.make_dataclass(name, made, frozen=True)
    return RandomType(cls, _instances(cls, fields), "class")


def _attrs_class(name: str, fields: list[_Field]) -> RandomType:
    made = {
        f"_{field.name}": attrs.field(
            type=field.type.hint, default=field.default[0] if field.default else attrs.NOTHING
        )
        for field in fields
    }
    cls: Any = attrs.make_class(name, made, frozen=True)
    return RandomType(cls, _instances(cls, fields), "class")


def _struct(name: str, fields: list[_Field]) -> RandomType:
    made: list[Any] = [
        (field.name, field.type.hint, msgspec.field(default_factory=_constant(field.default)))
        if field.default
        else (field.name, field.type.hint)
        for field in fields
    ]
    cls = msgspec.defstruct(name, made, rename="camel", tag=True, frozen=True)
    return RandomType(cls, _instances(cls, fields), "class")


def _named_tuple(name: str, fields: list[_Field]) -> RandomType:
    cls: Any = NamedTuple(name, [(field.name, field.type.hint) for field in fields])
    return RandomType(cls, _instances(cls, [field._replace(default=()) for field in fields]), "class")


def _typed_dict(name: str, fields: list[_Field]) -> RandomType:
    made = {f"the {field.name}": NotRequired[field.type.hint] if field.default else field.type.hint for field in fields}
    cls: Any = TypedDict(name, made)  # type: ignore[operator]
    values = _instances(dict, fields).map(lambda values: {f"the {key}": value for key, value in values.items()})
    return RandomType(cls, values, "dict", hashable=False)


_PYDANTIC = [each for each in SCALARS if each.hint in {int, str, bool, datetime.date, uuid.UUID, Mood}]


def _pydantic_model(name: str, fields: list[_Field]) -> RandomType:
    made: dict[str, Any] = {field.name: (field.type.hint, *(field.default or (...,))) for field in fields}
    cls = pydantic.create_model(name, **made)
    return RandomType(cls, _instances(cls, fields), "class", hashable=False)


@st.composite
def typed_values(draw: st.DrawFn, depth: int = MAX_DEPTH) -> tuple[Any, Any]:
    """A type, and a value of it."""
    found = draw(random_types(depth))
    return found.hint, draw(found.values)
