"""Python objects of every kind, each with what JSON would make of it: what hypothesis builds calls from.

Strategies give recipes, which are plain data; `build` makes the objects. So a failing example can be shown although
the objects themselves may raise from their own repr.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
import math
import pathlib
import threading
import types
import uuid
from collections import ChainMap, OrderedDict, UserDict, deque
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, NamedTuple, NoReturn

from hypothesis import strategies as st

from anycompletion import Secret, Timeout
from anycompletion.records import TextPart, UserMessage
from support.bad_input import (
    CYCLE,
    HALF,
    SELF_LIST,
    SELF_PART,
    Attrs,
    Count,
    Data,
    Level,
    Number,
    Pair,
    Role,
    Text,
    nested,
)


class Meaning(enum.Enum):
    """What is no JSON value."""

    NONE = 1
    """JSON cannot say it: it must be refused wherever JSON is asked for."""
    OPEN = 2
    """It contradicts itself: it may be refused or taken, but only in one of these ways."""


Built = tuple[Any, Any]
"""An object, and the JSON value it means, or a `Meaning`."""


def fail(*_: Any, **__: Any) -> NoReturn:
    """What everything of a hostile object does."""
    raise LookupError("hostile")


_HOSTILE = (
    "__bool__",
    "__contains__",
    "__eq__",
    "__float__",
    "__format__",
    "__ge__",
    "__getitem__",
    "__gt__",
    "__hash__",
    "__index__",
    "__int__",
    "__iter__",
    "__le__",
    "__len__",
    "__lt__",
    "__ne__",
    "__repr__",
    "__str__",
)
_OF_TEXT = ("strip", "lower", "encode", "replace", "startswith", "removeprefix", "partition", "split", "isprintable")
_OF_DICTS = ("items", "keys", "values", "get", "copy")


def hostile(base: type[Any], *more: str) -> type[Any]:
    """A type whose every method fails."""
    return type("Hostile", (base,), dict.fromkeys((*_HOSTILE, *more), fail))


Hostile, HostileText = hostile(object), hostile(str, *_OF_TEXT)
HostileCount, HostileNumber = hostile(int), hostile(float, "is_integer")
HostileList, HostileTuple, HostileDict = hostile(list), hostile(tuple), hostile(dict, *_OF_DICTS)


class Closed:
    """An object that fails when it is asked for anything, its class too."""

    def __getattribute__(self, name: str) -> Any:
        raise LookupError(name)


class Liar:
    """An object that says it is of another class."""

    def __init__(self, claim: type[Any]) -> None:
        self._claim = claim

    @property
    def __class__(self) -> Any:
        """A lie."""
        return self._claim

    @__class__.setter
    def __class__(self, value: Any) -> None: ...


class Everything:
    """An object that has every attribute there is."""

    def __getattr__(self, name: str) -> Everything:
        return self


class Meta(type):
    """A class of classes that cannot be compared, hashed or shown."""

    __eq__ = fail
    __hash__ = fail
    __repr__ = fail


class Strange(metaclass=Meta):
    """An instance of a class that cannot be hashed."""


class Endless(list[Any]):
    """A list that has no end when it is walked through; its own items do."""

    def __iter__(self) -> Iterator[int]:
        while True:
            yield 1


class Array:
    """A number as array libraries have them: it can be made into Python's, and is none of them."""

    dtype, shape = "int64", ()

    def item(self) -> int:
        """Python's number."""
        return 3

    __index__ = __int__ = __float__ = tolist = item

    def __array__(self) -> Any:
        """Itself."""
        return self

    def __len__(self) -> int:
        raise TypeError("no length")


async def coroutine() -> None:
    """Never awaited."""


async def events() -> Any:
    """Never read."""
    yield 1


def lines() -> Iterator[int]:
    """Never read."""
    yield 1


Maker = Callable[[], Built]

OPENED: list[Coroutine[Any, Any, None]] = []
"""Coroutines that were made and that somebody has to close."""


def unawaited() -> Built:
    """A coroutine that nobody awaits."""
    OPENED.append(coroutine())
    return OPENED[-1], Meaning.NONE


def close_all() -> None:
    """Closes the coroutines that were made."""
    while OPENED:
        OPENED.pop().close()


def _shared(built: Built) -> Maker:
    return lambda: built


def means(meaning: Any, *values: Any) -> list[Maker]:
    """Objects that all mean the same; each is used again and again."""
    return [_shared((value, meaning)) for value in values]


def same(*values: Any) -> list[Maker]:
    """JSON values."""
    return [_shared((value, value)) for value in values]


_DATA = {"name": "x", "size": 1, "inner": None}

LEAVES: list[Maker] = [
    *same(None, True, False, 0, 1, -1, 5, 2**31, 2**63, -(2**64), 10**30, 0.0, 0.5, 1e308, 5e-324, -0.1),
    *same("", "x", "auto", "none", "user", "text", "openai", "gpt-4o", "openai/gpt-4o", "\0", "é", "🦊 שלום\u2028"),
    *same([], {}, ["a"], {"type": "text"}, {"a": [1, {"b": None}]}, "warn", "a\r\nb", "x" * 5000, " ", nested(300)),
    *means(Meaning.NONE, HALF, {HALF: 1}, 10**5000, math.nan, math.inf, -math.inf, Number(math.nan)),
    *means(Meaning.NONE, b"x", bytearray(b"x"), memoryview(b"x"), 1j, {1}, frozenset(), range(3), ..., NotImplemented),
    *means(Meaning.NONE, decimal.Decimal("1.5"), fractions.Fraction(1, 3), datetime.date(2026, 1, 1), uuid.UUID(int=1)),
    *means(Meaning.NONE, pathlib.PurePosixPath("x"), object(), len, int, Data, math, types, lines, Level, deque([1])),
    *means(Meaning.NONE, events(), lines(), iter([1]), {}.items(), map(int, "1"), threading.Lock(), coroutine),
    *means(Meaning.NONE, types.SimpleNamespace(a=1), Secret("sk"), Array(), Level.ODD, Everything()),
    *means(Meaning.NONE, CYCLE, SELF_LIST, SELF_PART, nested(501), nested(100_000)),
    *means(Meaning.NONE, {1.5: 1}, {None: 1}, {True: 1}, {b"a": 1}, {1: 1, "1": 2}),
    *means(
        Meaning.NONE, Closed(), Strange(), Hostile(), *map(Liar, (int, list, dict, str, Timeout, Secret, UserMessage))
    ),
    unawaited,
    *means("x", Text("x"), HostileText("x")),
    *means(0.5, Number(0.5), HostileNumber(0.5)),
    *means(3, Count(3), HostileCount(3), Level.MANY),
    *means("user", Role.USER),
    *means("low", Level.LOW),
    *means(None, Level.NOTHING),
    *means(
        ["a", 1], Level.PAIR, ("a", 1), Pair("a", 1), HostileList(["a", 1]), HostileTuple(("a", 1)), Endless(["a", 1])
    ),
    *means({"a": 1}, OrderedDict(a=1), types.MappingProxyType({"a": 1}), UserDict({"a": 1}), ChainMap({"a": 1}, {})),
    *means({"1": 1, "-2": {"3": 4}}, {1: 1, -2: {3: 4}}),
    *means({"user": 1, "k": 2}, {Role.USER: 1, Text("k"): 2}),
    *means(_DATA, Data(), Attrs()),
    *means({"name": "x", "size": 1, "inner": _DATA}, Attrs(inner=Data()), Data(inner=Attrs())),
    *means({"type": "text", "text": "x"}, TextPart("x")),
    *means({"role": "user", "content": "x"}, UserMessage("x")),
    *means({"total": 1.0, "connect": 10.0, "first_chunk": 300.0, "idle": 60.0}, Timeout(1.0)),
    *means(Meaning.OPEN, HostileDict(a=1), ChainMap(HostileDict())),
]

_NAMES = ("role", "content", "type", "text", "name", "function", "parameters", "id", "url", "image_url", "tool_calls")

KEYS: list[Built] = [
    *(
        (name, name)
        for name in (*_NAMES, "a", "1", "", "schema", "extra", "détail", "x" * 300, "a\nb", "user", "total")
    ),
    (1, "1"),
    (-7, "-7"),
    (Text("a"), "a"),
    (Role.USER, "user"),
    (Level.LOW, "low"),
    (1.5, Meaning.NONE),
    (None, Meaning.NONE),
    (HALF, Meaning.NONE),
]

_WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "list": list,
    "tuple": tuple,
    "named": lambda items: Pair(*items),
    "list of its own": type("Items", (list,), {}),
}


class Recipe(NamedTuple):
    """How to build one object."""

    kind: str
    parts: Any


def recipes() -> st.SearchStrategy[Recipe]:
    """Objects of every kind, and containers of them."""
    leaf = st.builds(Recipe, st.just("leaf"), st.integers(0, len(LEAVES) - 1))
    text = st.builds(Recipe, st.just("same"), st.text(max_size=4) | st.integers() | st.floats(-1e9, 1e9))

    def around(inner: st.SearchStrategy[Recipe]) -> st.SearchStrategy[Recipe]:
        pairs = st.lists(st.tuples(st.integers(0, len(KEYS) - 1), inner), max_size=3)
        return (
            st.builds(Recipe, st.sampled_from(sorted(_WRAPPERS)), st.lists(inner, max_size=3))
            | st.builds(Recipe, st.sampled_from(["dict", "proxy", "ordered"]), pairs)
            | st.builds(Recipe, st.sampled_from(["dataclass", "attrs", "enum", "part"]), inner)
        )

    return st.recursive(leaf | text, around, max_leaves=6)


def _said(**members: Any) -> st.SearchStrategy[Recipe]:
    """Objects that have these members at least."""
    numbers = [next(i for i, (key, _) in enumerate(KEYS) if key == name) for name in members]
    more = st.lists(st.tuples(st.integers(0, len(KEYS) - 1), recipes()), max_size=1)
    own = st.tuples(
        *(st.tuples(st.just(number), member) for number, member in zip(numbers, members.values(), strict=True))
    )
    return st.builds(_object, own, more)


def _object(own: tuple[Any, ...], more: list[Any]) -> Recipe:
    return Recipe("dict", [*more, *own])


def _word(*words: str) -> st.SearchStrategy[Recipe]:
    return st.sampled_from(words).map(lambda word: Recipe("same", word))


def conversations() -> st.SearchStrategy[Recipe]:
    """Lists of what is a message at first sight."""
    part = _said(type=_word("text", "image_url", "video"), text=recipes())
    parts = st.builds(Recipe, st.just("list"), st.lists(part, max_size=2))
    role = _word("user", "assistant", "system", "tool", "critic")
    message = _said(role=role, content=recipes() | _word("x") | parts)
    return st.builds(Recipe, st.sampled_from(["list", "tuple"]), st.lists(message, min_size=1, max_size=2))


def _leaf(number: int) -> Built:
    return LEAVES[number]()


def build(recipe: Recipe) -> Built:
    """The object of a recipe, and what it means."""
    kind: str = recipe.kind
    parts: Any = recipe.parts
    if kind == "leaf":
        return _leaf(parts)
    if kind == "same":
        return parts, parts if isinstance(parts, (int, float)) or _sayable(parts) else Meaning.NONE
    if kind in _WRAPPERS:
        built = [build(part) for part in parts]
        if kind == "named":
            built = [*built, (None, None), (None, None)][:2]
        return _WRAPPERS[kind]([value for value, _ in built]), _whole([meaning for _, meaning in built])
    if kind in ("dict", "proxy", "ordered"):
        return _mapping(kind, parts)
    return _wrapped(kind, *build(parts))


def _sayable(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)


def _whole(meanings: list[Any]) -> Any:
    """What a container means, if all that is in it means something."""
    for meaning in Meaning:
        if any(each is meaning for each in meanings):
            return meaning
    return meanings


def _mapping(kind: str, parts: list[tuple[int, Recipe]]) -> Built:
    members: dict[Any, Any] = {}
    meanings: dict[Any, Any] = {}
    for number, part in parts:
        key, _ = KEYS[number]
        members[key], meanings[key] = build(part)
    # The first of two equal keys stays, and so does its type.
    names = [next(meaning for known, meaning in KEYS if known is key) for key in members]
    whole = _whole([*names, *meanings.values()])
    if isinstance(whole, list):
        whole = dict(zip(names, meanings.values(), strict=True)) if len(set(names)) == len(names) else Meaning.NONE
    made = {"dict": dict, "proxy": types.MappingProxyType, "ordered": OrderedDict}[kind](members)
    return made, whole


def _wrapped(kind: str, value: Any, meaning: Any) -> Built:
    if kind == "enum":
        try:
            return enum.Enum("Made", {"ONE": value}).ONE, meaning  # type: ignore[attr-defined]
        except Exception:  # noqa: BLE001 (an enum takes no hostile values, and says so with whatever they raise)
            return value, meaning
    whole = meaning if isinstance(meaning, Meaning) else {"name": "x", "size": 1, "inner": meaning}
    if kind == "part":
        made = TextPart("x", extra={"y": value})
        return made, meaning if isinstance(meaning, Meaning) else {"text": "x", "type": "text", "y": meaning}
    return (Data if kind == "dataclass" else Attrs)(inner=value), whole
