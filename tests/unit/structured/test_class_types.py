"""Tests of classes as types of replies: which arguments their constructors get, and what their schemas state."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import sys
import types
from collections.abc import Callable
from dataclasses import KW_ONLY, InitVar, dataclass, field
from typing import (
    Annotated,
    Any,
    ClassVar,
    Generic,
    Literal,
    NamedTuple,
    NotRequired,
    Required,
    Self,
    TypedDict,
    TypeVar,
)

import attrs
import msgspec
import pytest
import typing_extensions

from anycompletion.structured.types import ValueMismatch, compile_type

T = TypeVar("T")
U = TypeVar("U")


@dataclass
class Cash:
    amount: float
    currency: Literal["EUR", "USD"] = "EUR"


@dataclass
class Tour:
    """A walk through a city.

    With stops.
    """

    limit: ClassVar[int] = 9
    city: str
    _: KW_ONLY
    fee: Cash | None = None
    stops: list[str] = field(default_factory=list)
    started: datetime.datetime = field(default_factory=datetime.datetime.now)
    length: int = field(init=False, default=0)
    seed: InitVar[int] = 3

    def __post_init__(self, seed: int) -> None:
        self.length = len(self.stops) + seed


def _euros(cents: int | str) -> float:
    return int(cents) / 100


@attrs.frozen
class Account:
    _owner: str = attrs.field(converter=str.strip, validator=attrs.validators.min_len(1))
    balance: float = attrs.field(converter=_euros)
    labels: frozenset[str] = attrs.field(default=(), converter=frozenset)
    number: int = attrs.field(init=False, default=7)
    note: str | None = attrs.field(default=None, alias="remark", kw_only=True)


class Place(TypedDict, total=False):
    """Where something is."""

    city: Required[Annotated[str, "Its name"]]
    country: str


class Address(Place):
    street: str
    number: NotRequired[int | None]


class Point(NamedTuple):
    x: int
    y: int = 0


class Camel(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    first_name: str
    age: int | msgspec.UnsetType = msgspec.UNSET
    visits: int = 0

    def __post_init__(self) -> None:
        if self.first_name == "":
            raise ValueError("no name")


@dataclass
class Box(Generic[T]):
    item: T
    more: list[T]


@dataclass
class Pair(Box[list[U]], Generic[U]):
    other: U


@dataclass
class Named(Pair[int]):
    name: str


@dataclass
class Tree(Generic[T]):
    leaf: T
    more: list[Self]


@dataclass
class Forest(Tree[str]):
    size: int = 0


class OldPlace(typing_extensions.TypedDict):
    city: str
    zip: typing_extensions.NotRequired[str]


class Color(enum.Enum):
    """A color."""

    RED = "red"
    BLUE = "blue"

    @classmethod
    def _missing_(cls, value: object) -> Color | None:
        return cls.RED if value == "rot" else None


def test_a_dataclass_gets_the_arguments_of_its_constructor() -> None:
    """Fields that are no arguments would be asked of the model, or keyword-only ones passed by position."""
    plan = compile_type(Tour)
    tour = plan.decode(b'{"city":"Rome","stops":["a"],"fee":{"amount":2,"currency":"USD"},"seed":5}')
    assert (tour.city, tour.fee, tour.length, tour.limit) == ("Rome", Cash(2.0, "USD"), 6, 9)
    assert list(plan.schema["properties"]) == ["city", "fee", "stops", "started", "seed"]
    assert plan.schema["required"] == ["city"]


def test_defaults_are_in_the_schema_where_they_are_the_same_for_all_values() -> None:
    """A time that was computed when the type was compiled would be sent as the default of all replies."""
    properties = compile_type(Tour).schema["properties"]
    assert {name: each["default"] for name, each in properties.items() if "default" in each} == {
        "fee": None,
        "stops": [],
        "seed": 3,
    }


def test_an_attrs_class_is_built_with_its_aliases_converters_and_validators() -> None:
    """Converters and validators of the user's class would not run, or a private name be sent to the model."""
    plan = compile_type(Account)
    account = plan.decode(b'{"owner":" Eva ","balance":250,"labels":["x","x"],"remark":"hi"}')
    assert account == Account("Eva", 250, frozenset("x"), remark="hi")
    assert account.balance == 2.5
    assert list(plan.schema["properties"]) == ["owner", "balance", "labels", "remark"]
    assert plan.schema["properties"]["balance"] == {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    with pytest.raises(ValueError, match="refused") as caught:
        plan.decode(b'{"owner":" ","balance":"250"}')
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_typed_dict_is_a_dict_with_its_required_keys() -> None:
    """Keys that may be missing would be demanded, or required ones not."""
    plan = compile_type(Address)
    assert plan.decode(b'{"city":"Rome","street":"x","number":null,"country":null,"more":1}') == {
        "city": "Rome",
        "street": "x",
        "number": None,
    }
    assert sorted(plan.schema["required"]) == ["city", "street"]
    assert plan.schema["properties"]["city"] == {"type": "string", "description": "Its name"}
    with pytest.raises(ValueError, match=r"\$\.street: expected string, which is missing"):
        plan.decode(b'{"city":"Rome"}')


def test_keys_of_a_typed_dict_may_have_any_name() -> None:
    """A key that is no identifier would be refused."""
    odd: Any = TypedDict("odd", {"the first": int, "class": str, "$ref": bool})  # type: ignore[operator]
    plan = compile_type(odd)
    value = {"the first": 1, "class": "x", "$ref": True}
    assert plan.decode(plan.encode(value)) == value
    with pytest.raises(ValueMismatch) as caught:
        plan.decode(b'{"the first":"x","class":"x","$ref":true}')
    assert caught.value.path == "$['the first']"


def test_a_named_tuple_is_an_object() -> None:
    """A model would have to count the items of an array instead of naming them."""
    plan = compile_type(Point)
    assert plan.encode(Point(1, 2)) == b'{"x":1,"y":2}'
    assert plan.decode(b'{"x":1}') == Point(1)


def test_a_struct_keeps_its_names_and_forbids_what_it_forbids() -> None:
    """A Struct's own settings would not count."""
    plan = compile_type(Camel)
    assert plan.decode(b'{"firstName":"Eva"}') == Camel(first_name="Eva")
    assert plan.decode(b'{"firstName":"Eva","age":1.0,"visits":null}') == Camel(first_name="Eva", age=1)
    assert plan.encode(Camel(first_name="Eva")) == b'{"firstName":"Eva","visits":0}'
    assert plan.schema["additionalProperties"] is False
    assert plan.schema["properties"]["age"] == {"type": "integer"}
    for text, expected in ((b'{"firstName":"Eva","sesame":1}', "no members besides"), (b'{"firstName":""}', "refused")):
        with pytest.raises(ValueMismatch, match=expected) as caught:
            plan.decode(text)
        assert caught.value.path == "$"
        assert "sesame" not in str(caught.value)


def test_type_variables_have_their_values_in_base_classes() -> None:
    """A field of a generic class would be of any type."""
    assert compile_type(Box[int]).schema["properties"]["more"] == {"type": "array", "items": {"type": "integer"}}
    assert compile_type(Box).decode(b'{"item":{"a":1},"more":["x"]}') == Box({"a": 1}, ["x"])
    plan = compile_type(Named)
    assert plan.schema["properties"]["item"] == {"type": "array", "items": {"type": "integer"}}
    assert plan.decode(b'{"item":[1],"more":[[2]],"other":3,"name":"x"}') == Named([1], [[2]], 3, "x")
    assert compile_type(Pair[str]).schema["properties"]["other"] == {"type": "string"}
    assert compile_type(Box[Box[int]]).decode(b'{"item":{"item":1,"more":[]},"more":[]}') == Box(Box(1, []), [])


def test_self_is_the_class_that_is_asked_for() -> None:
    """A class with `Self` in its annotations would be refused, or be its base class in a subclass."""
    assert compile_type(Tree[int]).decode(b'{"leaf":1,"more":[{"leaf":2,"more":[]}]}') == Tree(1, [Tree(2, [])])
    plan = compile_type(Forest)
    assert plan.decode(b'{"leaf":"a","more":[{"leaf":"b","more":[],"size":2}]}') == Forest("a", [Forest("b", [], 2)])


def test_a_typed_dict_of_typing_extensions_is_one() -> None:
    """Programs that support old versions of Python could not use their TypedDicts."""
    plan = compile_type(OldPlace)
    assert plan.decode(b'{"city":"Rome"}') == {"city": "Rome"}
    assert plan.schema["required"] == ["city"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the syntax is that of Python 3.12")
def test_type_parameters_in_brackets_are_read() -> None:
    """Generic classes and type aliases in the syntax of Python 3.12 would be refused."""
    names: dict[str, Any] = {"__name__": "new_syntax", "dataclass": dataclass}
    sys.modules["new_syntax"] = module = types.ModuleType("new_syntax")
    source = "type Maybe[T] = T | None\n@dataclass\nclass Link[T]:\n    item: T\n    next: 'Maybe[Link[T]]' = None"
    exec(source, names)
    vars(module).update(names)
    try:
        link = names["Link"]
        value = link(1, link(2))
        plan = compile_type(link[int])
        assert plan.decode(plan.encode(value)) == value
        assert plan.schema["properties"]["item"] == {"type": "integer"}
    finally:
        del sys.modules["new_syntax"]


def test_docstrings_are_descriptions_unless_they_are_generated() -> None:
    """The model would not see the description of a class, or see the signature of a dataclass as one."""
    assert compile_type(Tour).schema["description"] == "A walk through a city.\n\nWith stops."
    assert "description" not in compile_type(Cash).schema
    assert "description" not in compile_type(Point).schema
    assert "description" not in compile_type(Address).schema  # that of its base is not its own
    assert compile_type(Place).schema["description"] == "Where something is."
    assert compile_type(Color).schema["properties"]["value"]["description"] == "A color."


def test_an_enum_reads_what_its_own_method_accepts() -> None:
    """The method with which an enum accepts other values would not be called."""
    plan = compile_type(list[Color])
    assert plan.decode(b'{"value":["rot","blue"]}') == [Color.RED, Color.BLUE]
    with pytest.raises(ValueError, match=r'\$\[0\]: expected one of "red", "blue"'):
        plan.decode(b'{"value":["green"]}')


def test_a_member_of_an_enum_with_numbers_is_read() -> None:
    """Enums whose values are no texts would be refused."""
    mixed = enum.Enum("mixed", {"A": 1, "B": 2.5, "C": "c", "D": None, "E": True})
    plan = compile_type(list[mixed])
    assert plan.decode(plan.encode(list(mixed))) == list(mixed)
    level = enum.IntEnum("level", ["LOW", "HIGH"])
    assert compile_type(level).decode(b'{"value":2.0}') is level.HIGH


def test_each_class_is_defined_once_in_a_schema() -> None:
    """A class that is used in several places would be repeated, or a recursive one never end."""

    @dataclass
    class Twice:
        first: Cash
        second: list[Cash]

    schema = compile_type(Twice).schema
    assert schema["properties"]["first"] == {"$ref": "#/$defs/Cash"}
    assert list(schema["$defs"]) == ["Cash"]
    assert "$defs" not in compile_type(list[Cash]).schema


def test_two_classes_of_one_name_have_definitions_of_their_own() -> None:
    """The fields of one class would be those of another in the schema."""
    other = dataclasses.make_dataclass("Cash", [("coins", int)])
    both = dataclasses.make_dataclass("Both", [("a", Cash), ("b", Cash), ("c", other), ("d", other)])
    defs = compile_type(both).schema["$defs"]
    assert {name: list(each["properties"]) for name, each in defs.items()} == {
        "Cash": ["amount", "currency"],
        "Cash_2": ["coins"],
    }


def test_a_class_in_a_function_may_refer_to_itself() -> None:
    """A recursive class that is no global of its module would be refused."""

    @attrs.define
    class Tree:
        leaves: list[Tree] = attrs.field(factory=list)

    assert compile_type(Tree).decode(b'{"leaves":[{"leaves":[]}]}') == Tree([Tree()])


def _cents(text: str) -> int:
    return round(float(text) * 100)


@attrs.frozen
class Priced:
    """A class whose converter has its annotations in quotes, as all of this module."""

    cents: int | None = attrs.field(
        converter=attrs.converters.optional(_cents),
        validator=attrs.validators.optional(attrs.validators.in_([150, 250])),
    )


def test_an_optional_converter_is_asked_for_what_it_takes() -> None:
    """The class would be refused, because attrs leaves a name in quotes in the type."""
    plan = compile_type(Priced)
    assert plan.schema["properties"]["cents"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}
    assert [plan.decode(text).cents for text in (b'{"cents":"1.5"}', b'{"cents":null}')] == [150, None]


def test_the_words_of_a_validator_are_those_for_people() -> None:
    """A model that is asked again would get the repr of attrs's objects."""
    with pytest.raises(ValueMismatch) as caught:
        compile_type(Priced).decode(b'{"cents":"1"}')
    assert caught.value.expected == "'cents' must be in [150, 250] (got 100)"


def test_sets_of_what_is_not_hashable_are_a_mismatch() -> None:
    """A reply would end with a TypeError without a path."""
    plan = compile_type(dict[str, set[Point]])
    assert plan.decode(b'{"a":[{"x":1},{"x":1}]}') == {"a": {Point(1)}}
    with pytest.raises(ValueError, match=r"\$\[\.\.\.\]: the value was refused"):
        compile_type(dict[str, set[Cash]]).decode(b'{"a":[{"amount":1}]}')


@dataclass
class _Handler:
    steps: list[Callable[[int], int]]


@dataclass
class _Unknown:
    part: Missing  # type: ignore[name-defined]  # noqa: F821 (the name does not exist)


@dataclass
class _OtherUnknown:
    part: enum.Missing  # type: ignore[name-defined]  # the module has no such name


class _Plain:
    def __init__(self, value: int) -> None:
        self.value = value


class _Odd(enum.Enum):
    A = (1, 2)


class _Empty(enum.Enum):
    pass


REFUSED: dict[str, tuple[Any, str]] = {
    "list instead of a type": ([int], "into: $: values of [<class 'int'>] cannot be read from JSON"),
    "enum without members": (_Empty, "into: $: an enum without members has no values"),
    "function in a class": (_Handler, "into: $.steps[]: values of Callable cannot be read from JSON"),
    "plain class": (dict[str, _Plain], "into: $[...]: values of _Plain cannot be read from JSON"),
    "value": (5, "into: $: values of 5 cannot be read from JSON"),
    "name": ("Recipe", "into: $: values of 'Recipe' cannot be read from JSON"),
    "unknown annotation": (
        _Unknown,
        "into: $: the annotations of _Unknown cannot be read: name 'Missing' is not defined",
    ),
    "unknown name of a module": (
        _OtherUnknown,
        "into: $: the annotations of _OtherUnknown cannot be read: module 'enum' has no attribute 'Missing'",
    ),
    "text that is no annotation": (
        dataclasses.make_dataclass("_Broken", [("part", "int |")]),
        "into: $: the annotations of _Broken cannot be read: Forward reference must be an expression -- got 'int |'",
    ),
    "key of a dict": (dict[Cash, int], "into: $: keys of a dict must be texts, or be read from texts"),
    "value of an enum": (list[_Odd], "into: $[]: the value (1, 2) is no text, number, boolean or None"),
    "value of a literal": (Literal[b"x"], "into: $: the value b'x' is no text, number, boolean or None"),
    "item of a tuple": (tuple[int, type], "into: $[1]: values of type cannot be read from JSON"),
}
"""Case → a type that JSON cannot hold, and the text of the error."""


@pytest.mark.parametrize("case", REFUSED)
def test_a_type_that_json_cannot_hold_is_refused_with_its_path(case: str) -> None:
    """Users could not find which of many fields has the wrong type."""
    into, text = REFUSED[case]
    with pytest.raises(ValueError, match=r"^into: \$") as caught:
        compile_type(into)
    assert str(caught.value) == text
    assert type(caught.value).__name__ == "InvalidRequestError"
    assert vars(caught.value)["param"] == "into"
