"""The types that all clients are asked for, each with a value: classes of the standard library, attrs and pydantic."""

from __future__ import annotations

import datetime
import decimal
import enum
from dataclasses import dataclass, field
from typing import Annotated, Generic, Literal, NamedTuple, NotRequired, TypeVar, Union

import attrs
import pydantic
from pydantic import BaseModel, ConfigDict, Field, RootModel, TypeAdapter, field_validator
from typing_extensions import TypedDict  # pydantic refuses that of `typing` before Python 3.12

from benchmarks.structured_peers.cases import NAME, Case

T = TypeVar("T")


class Person(BaseModel):
    name: str
    age: int


class Team(BaseModel):
    title: str
    members: list[Person]


class WithDefault(BaseModel):
    name: str
    note: str = "none"


class WithNull(BaseModel):
    name: str
    nickname: str | None


class Rating(BaseModel):
    stars: int = Field(ge=1, le=5)
    tags: list[str] = Field(min_length=1, max_length=3)


class Stock(BaseModel):
    counts: dict[str, int]


class Extra(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str


class Folder(BaseModel):
    name: str
    folders: list[Folder]


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: list[str]


class Owner(BaseModel):
    pet: Cat | Dog = Field(discriminator="kind")


class Shouted(BaseModel):
    word: str

    @field_validator("word")
    @classmethod
    def upper(cls, word: str) -> str:
        return word.upper()


class Invoice(BaseModel):
    day: datetime.date
    total: decimal.Decimal


@pydantic.dataclasses.dataclass
class Checked:
    name: str
    age: int


class Numbers(RootModel[list[int]]):
    pass


@dataclass
class Step:
    text: str
    minutes: int


@dataclass
class Recipe:
    title: str
    steps: list[Step]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    name: str
    scores: list[float] = field(default_factory=list)


@dataclass
class Sum:
    left: int
    right: int
    total: int = field(init=False)

    def __post_init__(self) -> None:
        self.total = self.left + self.right


@dataclass
class Tree:
    value: int
    children: list[Tree]


@dataclass
class Box(Generic[T]):
    item: T


@dataclass
class Meeting:
    begin: datetime.datetime
    length: datetime.timedelta


@dataclass
class Cash:
    amount: int


@dataclass
class Card:
    amount: int


@dataclass
class Payment:
    by: Cash | Card


@attrs.frozen
class Point:
    x: float = attrs.field(converter=float)
    y: float = attrs.field(converter=float)


@attrs.define
class Hidden:
    _name: str
    age: int = attrs.field(alias="years")


class Film(TypedDict):
    title: str
    year: int


class Optional(TypedDict):
    title: str
    year: NotRequired[int]


class Place(NamedTuple):
    name: str
    height: float


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


# instructor takes unions of this form, and refuses `Cat | Person`.
UNION_OF_MODELS = Union[Cat, Person]  # noqa: UP007
UNION_OF_CLASSES = Union[Cash, Card]  # noqa: UP007

_ANN = {"name": "Ann", "age": 41}

TYPES = (
    Case("pydantic model", Person, Person(name="Ann", age=41), _ANN),
    Case(
        "pydantic model in a model",
        Team,
        Team(title="A", members=[Person(name="Ann", age=41)]),
        {"title": "A", "members": [_ANN]},
    ),
    Case("pydantic field with a default", WithDefault, WithDefault(name="A", note="b"), {"name": "A", "note": "b"}),
    Case("pydantic field `str | None`", WithNull, WithNull(name="A", nickname=None), {"name": "A", "nickname": None}),
    Case("pydantic field with bounds", Rating, Rating(stars=5, tags=["a"]), {"stars": 5, "tags": ["a"]}),
    Case("pydantic field `dict[str, int]`", Stock, Stock(counts={"a": 1}), {"counts": {"a": 1}}),
    Case('pydantic `extra="allow"`', Extra, Extra(name="A"), {"name": "A"}),
    Case(
        "pydantic, recursive",
        Folder,
        Folder(name="a", folders=[Folder(name="b", folders=[])]),
        {"name": "a", "folders": [{"name": "b", "folders": []}]},
    ),
    Case(
        "pydantic `discriminator`",
        Owner,
        Owner(pet=Dog(kind="dog", tricks=["sit"])),
        {"pet": {NAME: "Dog", "kind": "dog", "tricks": ["sit"]}},
    ),
    Case("pydantic validator", Shouted, Shouted(word="TEA"), {"word": "tea"}),
    Case(
        "pydantic date and Decimal",
        Invoice,
        Invoice(day=datetime.date(2026, 1, 2), total=decimal.Decimal("9.90")),
        {"day": "2026-01-02", "total": "9.90"},
    ),
    Case("pydantic dataclass", Checked, Checked("Ann", 41), _ANN),
    Case("pydantic `RootModel[list[int]]`", Numbers, Numbers([1, 2]), [1, 2]),
    Case("`TypeAdapter(list[Person])`", TypeAdapter(list[Person]), [Person(name="Ann", age=41)], [_ANN]),
    Case("dataclass", Step, Step("Cut", 1), {"text": "Cut", "minutes": 1}),
    Case(
        "dataclass in a dataclass",
        Recipe,
        Recipe("Toast", [Step("Cut", 1)]),
        {"title": "Toast", "steps": [{"text": "Cut", "minutes": 1}]},
    ),
    Case("dataclass, frozen, keyword-only", Frozen, Frozen(name="A", scores=[1.5]), {"name": "A", "scores": [1.5]}),
    Case("dataclass with `__post_init__`", Sum, Sum(1, 2), {"left": 1, "right": 2}),
    Case(
        "dataclass, recursive",
        Tree,
        Tree(1, [Tree(2, [])]),
        {"value": 1, "children": [{"value": 2, "children": []}]},
    ),
    Case("dataclass, generic: `Box[int]`", Box[int], Box(3), {"item": 3}),
    Case(
        "dataclass with datetime and timedelta",
        Meeting,
        Meeting(datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC), datetime.timedelta(hours=2)),
        {"begin": "2026-01-02T03:04:00Z", "length": "PT2H"},
    ),
    Case(
        "dataclass with a union of classes with equal fields",
        Payment,
        Payment(Card(5)),
        {"by": {NAME: "Card", "amount": 5}},
    ),
    Case("attrs class with converters", Point, Point(1.0, 2.5), {"x": 1, "y": 2.5}),
    Case("attrs class with an alias and a private field", Hidden, Hidden("A", years=4), {"name": "A", "years": 4}),
    Case("TypedDict", Film, Film(title="A", year=1999), {"title": "A", "year": 1999}),
    Case("TypedDict, a `NotRequired` member left out", Optional, Optional(title="A"), {"title": "A"}),
    Case("NamedTuple", Place, Place("K2", 8611.0), {"name": "K2", "height": 8611.0}),
    Case("Enum", Color, Color.GREEN, "green"),
    Case("`Literal`", Literal["yes", "no"], "no", "no"),
    Case("`str`", str, "tea", "tea"),
    Case("`int` of 31 digits", int, 10**30, 10**30),
    Case("`bool`", bool, True, True),
    Case("`list[str]`", list[str], ["a", "b"], ["a", "b"]),
    Case("`list` of dataclasses", list[Step], [Step("Cut", 1)], [{"text": "Cut", "minutes": 1}]),
    Case("`dict[str, int]`", dict[str, int], {"a": 1, "b": 2}, {"a": 1, "b": 2}),
    Case("`tuple[int, str]`", tuple[int, str], (1, "a"), [1, "a"]),
    Case("`set[int]`", set[int], {1, 2}, [1, 2]),
    Case("union of pydantic models", UNION_OF_MODELS, Person(name="Ann", age=41), {NAME: "Person", **_ANN}),
    Case("union of dataclasses with equal fields", UNION_OF_CLASSES, Card(5), {NAME: "Card", "amount": 5}),
    Case(
        "`Annotated[list[int | str], …]`",
        Annotated[list[int | str], Field(description="Numbers and names.")],
        [1, "a"],
        [1, "a"],
    ),
)
