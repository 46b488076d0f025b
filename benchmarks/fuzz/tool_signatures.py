"""Functions of every kind of signature that a tool can have, each with arguments that fit it."""

from __future__ import annotations

import datetime
import decimal
import enum
import functools
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, NewType, TypedDict, TypeVar

import annotated_types
import attrs
import msgspec
import pydantic

from anycompletion.tools import ToolContext

CANARY = "sk-canary-0123456789"
"""A secret in what is bound to functions and in defaults that JSON cannot hold."""

T = TypeVar("T")
UserId = NewType("UserId", int)


class Color(enum.Enum):
    """A color."""

    RED = "red"
    BLUE = "blue"


@dataclass
class Place:
    """Where it is."""

    city: str
    country: Annotated[str, "ISO code"] = "no"


@attrs.define
class Tree:
    name: str
    children: list[Tree] = attrs.Factory(list["Tree"])


class Point(NamedTuple):
    x: float
    y: float = 0.0


class Options(TypedDict, total=False):
    limit: int


class Cat(msgspec.Struct, tag=True):
    lives: int


class Dog(msgspec.Struct, tag=True):
    good: bool


class Recipe(pydantic.BaseModel):
    minutes: int = pydantic.Field(ge=1, description="Time to cook")


@dataclass
class Login:
    password: str = CANARY


@dataclass(frozen=True)
class Credentials:
    secret: str


@dataclass
class Session:
    credentials: Credentials = Credentials(CANARY)


class Connection:
    """An object that JSON cannot hold."""

    def __repr__(self) -> str:
        return CANARY


class Shop:
    """An object whose methods are tools, and that is one itself."""

    def price(self, item: str) -> str:
        return item

    @classmethod
    def count(cls, item: str) -> str:
        return item

    @staticmethod
    def is_open(day: datetime.date) -> datetime.date:
        return day

    def __call__(self, question: str) -> str:
        """Asks the shop."""
        return question


def nothing() -> None: ...


def scalars(a: str, b: int, c: float, d: bool, e: None) -> Any:
    return [a, b, c, d, e]


def defaults(a: str = "x", b: int = 2, c: float | None = None, d: list[int] = [1]) -> Any:  # noqa: B006
    return [a, b, c, d]


def unsayable(
    a: Any = Connection(),  # noqa: B008
    b: object = Login(),
    c: list[Any] = [Login()],  # noqa: B006, B008
    d: int = None,  # type: ignore[assignment]  # noqa: RUF013
    e: Credentials = Credentials(CANARY),
    f: dict[str, Credentials] = {"a": Credentials(CANARY)},  # noqa: B006
    g: Session | None = None,
) -> Any:
    return d


def keyword_only(a: int, *, b: str, c: str = "x") -> Any:
    return [a, b, c]


def described(
    city: Annotated[str, "City and country"], day: Annotated[int, msgspec.Meta(description="Day", ge=1)]
) -> Any:
    return [city, day]


def limits(
    a: Annotated[int, annotated_types.Ge(1), annotated_types.Lt(10)],
    b: Annotated[str, msgspec.Meta(min_length=2, pattern="^[a-z]+$")],
    c: Annotated[list[float], annotated_types.Len(1, 3)],
) -> Any:
    return [a, b, c]


def literals(unit: Literal["c", "f"], size: Literal[1, 2] = 1, both: Literal["x", 1, None] = None) -> Any:
    return [unit, size, both]


def enums(color: Color, colors: set[Color]) -> Any:
    return [color, colors]


def collections(a: list[str], b: dict[str, int], c: tuple[int, str], d: tuple[int, ...], e: frozenset[int]) -> Any:
    return [a, b, c, d, e]


def unions(a: int | str, b: list[int] | None, c: float | bool = False) -> Any:
    return [a, b, c]


def times(
    a: datetime.datetime, b: datetime.date, c: datetime.timedelta, d: uuid.UUID, e: decimal.Decimal, f: bytes
) -> Any:
    return [a, b, c, d, e, f.decode()]


def data_class(place: Place, places: list[Place]) -> Any:
    return [place, places]


def recursive(tree: Tree) -> Any:
    return tree


def named_tuple(point: Point) -> Any:
    return point


def typed_dict(options: Options, new: UserId) -> Any:
    return [options, new]


def tagged(pet: Cat | Dog) -> Any:
    return pet


def pydantic_model(recipe: Recipe) -> Any:
    return recipe


def untyped(a: Any, b: object, c: list[Any], d: dict[str, Any]) -> Any:
    return [a, b, c, d]


def generic(a: T, b: list[T]) -> Any:
    return [a, b]


def context(a: int, ctx: ToolContext[int]) -> Any:
    return [a, ctx.value]


def optional_context(a: int, ctx: ToolContext[int] | None = None) -> Any:
    return [a, ctx is None]


def bound(token: str, query: str, limit: int = 3) -> Any:
    return [query, limit]


async def asynchronous(a: int) -> Any:
    return a


class Signature(NamedTuple):
    """A function, and arguments that fit its parameters."""

    function: Callable[..., Any]
    arguments: dict[str, Any]


_TREE = {"name": "a", "children": [{"name": "b"}, {"name": "c", "children": []}]}
_TIMES = {
    "a": "2026-01-02T03:04:05Z",
    "b": "2026-01-02",
    "c": "P1D",
    "d": str(uuid.UUID(int=1)),
    "e": "1.5",
    "f": "eA==",
}

SIGNATURES: dict[str, Signature] = {
    "no parameters": Signature(nothing, {}),
    "scalars": Signature(scalars, {"a": "x", "b": 1, "c": 1.5, "d": True, "e": None}),
    "defaults": Signature(defaults, {"a": "y", "b": 3, "c": None, "d": []}),
    "defaults that JSON cannot hold": Signature(unsayable, {"a": 1, "c": [1], "d": 2}),
    "keyword only": Signature(keyword_only, {"a": 1, "b": "x"}),
    "descriptions": Signature(described, {"city": "Oslo, Norway", "day": 1}),
    "limits": Signature(limits, {"a": 1, "b": "xy", "c": [1.0]}),
    "literals": Signature(literals, {"unit": "c", "size": 2, "both": "x"}),
    "enums": Signature(enums, {"color": "red", "colors": ["red", "blue"]}),
    "collections": Signature(collections, {"a": ["x"], "b": {"x": 1}, "c": [1, "x"], "d": [1, 2], "e": [1, 2]}),
    "unions": Signature(unions, {"a": "x", "b": [1], "c": 1.5}),
    "dates and the like": Signature(times, _TIMES),
    "dataclass": Signature(data_class, {"place": {"city": "Oslo"}, "places": [{"city": "Bergen", "country": "no"}]}),
    "recursive class": Signature(recursive, {"tree": _TREE}),
    "NamedTuple": Signature(named_tuple, {"point": {"x": 1.5}}),
    "TypedDict and NewType": Signature(typed_dict, {"options": {"limit": 1}, "new": 2}),
    "tagged union": Signature(tagged, {"pet": {"type": "Cat", "lives": 9}}),
    "pydantic model": Signature(pydantic_model, {"recipe": {"minutes": 10}}),
    "any value": Signature(untyped, {"a": {"x": [1]}, "b": None, "c": [1, "x"], "d": {"x": 1}}),
    "type variables": Signature(generic, {"a": 1, "b": ["x"]}),
    "context": Signature(context, {"a": 1}),
    "optional context": Signature(optional_context, {"a": 1}),
    "async": Signature(asynchronous, {"a": 1}),
    "bound method": Signature(Shop().price, {"item": "x"}),
    "class method": Signature(Shop.count, {"item": "x"}),
    "static method": Signature(Shop.is_open, {"day": "2026-01-02"}),
    "object": Signature(Shop(), {"question": "x"}),
    "partial": Signature(functools.partial(bound, CANARY), {"query": "x"}),
    "partial with a keyword": Signature(functools.partial(bound, token=CANARY), {"query": "x", "limit": 1}),
}
"""Kind of signature → the function and its arguments."""
