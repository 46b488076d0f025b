"""Hypothesis strategies for Python objects of every kind, each with the JSON value that it must be sent as.

Strategies generate recipes, which are plain data, and `build` makes the objects of them: a failing example can be
printed although the repr of the objects may raise.
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
    SELF_LIST,
    SELF_PART,
    SURROGATE,
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


class NotJson(enum.Enum):
    """Expectation for an object that has no JSON value."""

    REFUSED = 1
    """It is not JSON-serializable and must be refused as part of JSON."""
    EITHER = 2
    """It may be refused or sent, as its methods contradict its base class."""


Built = tuple[Any, Any]
"""An object and the JSON value it must be sent as, or `NotJson`."""


def fail(*_: Any, **__: Any) -> NoReturn:
    """Every method of a hostile object."""
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
    """A subclass of `base` all of whose methods raise."""
    return type("Hostile", (base,), dict.fromkeys((*_HOSTILE, *more), fail))


Hostile, HostileText = hostile(object), hostile(str, *_OF_TEXT)
HostileCount, HostileNumber = hostile(int), hostile(float, "is_integer")
HostileList, HostileTuple, HostileDict = hostile(list), hostile(tuple), hostile(dict, *_OF_DICTS)


class Closed:
    """An object that raises when any attribute is read, its class included."""

    def __getattribute__(self, name: str) -> Any:
        raise LookupError(name)


class Liar:
    """An object whose `__class__` is another class."""

    def __init__(self, cls: type[Any]) -> None:
        self._cls = cls

    @property
    def __class__(self) -> Any:
        """The other class."""
        return self._cls

    @__class__.setter
    def __class__(self, value: Any) -> None: ...


class Everything:
    """An object that has every attribute."""

    def __getattr__(self, name: str) -> Everything:
        return self


class Meta(type):
    """A metaclass whose classes cannot be compared, hashed or printed."""

    __eq__ = fail
    __hash__ = fail
    __repr__ = fail


class Strange(metaclass=Meta):
    """An instance of a class that cannot be hashed."""


class Endless(list[Any]):
    """A list whose iterator never ends, although its items do."""

    def __iter__(self) -> Iterator[int]:
        while True:
            yield 1


class Array:
    """A number of an array library: it can be converted to Python's numbers, but is no subclass of them."""

    dtype, shape = "int64", ()

    def item(self) -> int:
        """The number as an int."""
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
"""Coroutines to be closed by `close_all`."""


def unawaited() -> Built:
    """A coroutine that is never awaited."""
    OPENED.append(coroutine())
    return OPENED[-1], NotJson.REFUSED


def close_all() -> None:
    """Closes the coroutines of `unawaited`."""
    while OPENED:
        OPENED.pop().close()


def _shared(built: Built) -> Maker:
    return lambda: built


def sent_as(expected: Any, *values: Any) -> list[Maker]:
    """Objects that must all be sent as `expected`; each object is used repeatedly."""
    return [_shared((value, expected)) for value in values]


def unchanged(*values: Any) -> list[Maker]:
    """JSON values, which must be sent as they are."""
    return [_shared((value, value)) for value in values]


_DATA = {"name": "x", "size": 1, "inner": None}

LEAVES: list[Maker] = [
    *unchanged(None, True, False, 0, 1, -1, 5, 2**31, 2**63, -(2**64), 10**30, 0.0, 0.5, 1e308, 5e-324, -0.1),
    *unchanged(
        "", "x", "auto", "none", "user", "text", "openai", "gpt-4o", "openai/gpt-4o", "\0", "é", "🦊 שלום\u2028"
    ),
    *unchanged(
        [], {}, ["a"], {"type": "text"}, {"a": [1, {"b": None}]}, "warn", "a\r\nb", "x" * 5000, " ", nested(300)
    ),
    *sent_as(NotJson.REFUSED, SURROGATE, {SURROGATE: 1}, 10**5000, math.nan, math.inf, -math.inf, Number(math.nan)),
    *sent_as(
        NotJson.REFUSED, b"x", bytearray(b"x"), memoryview(b"x"), 1j, {1}, frozenset(), range(3), ..., NotImplemented
    ),
    *sent_as(
        NotJson.REFUSED, decimal.Decimal("1.5"), fractions.Fraction(1, 3), datetime.date(2026, 1, 1), uuid.UUID(int=1)
    ),
    *sent_as(
        NotJson.REFUSED, pathlib.PurePosixPath("x"), object(), len, int, Data, math, types, lines, Level, deque([1])
    ),
    *sent_as(NotJson.REFUSED, events(), lines(), iter([1]), {}.items(), map(int, "1"), threading.Lock(), coroutine),
    *sent_as(NotJson.REFUSED, types.SimpleNamespace(a=1), Secret("sk"), Array(), Level.ODD, Everything()),
    *sent_as(NotJson.REFUSED, CYCLE, SELF_LIST, SELF_PART, nested(501), nested(100_000)),
    *sent_as(NotJson.REFUSED, {1.5: 1}, {None: 1}, {True: 1}, {b"a": 1}, {1: 1, "1": 2}),
    *sent_as(
        NotJson.REFUSED,
        Closed(),
        Strange(),
        Hostile(),
        *map(Liar, (int, list, dict, str, Timeout, Secret, UserMessage)),
    ),
    unawaited,
    *sent_as("x", Text("x"), HostileText("x")),
    *sent_as(0.5, Number(0.5), HostileNumber(0.5)),
    *sent_as(3, Count(3), HostileCount(3), Level.MANY),
    *sent_as("user", Role.USER),
    *sent_as("low", Level.LOW),
    *sent_as(None, Level.NOTHING),
    *sent_as(
        ["a", 1], Level.PAIR, ("a", 1), Pair("a", 1), HostileList(["a", 1]), HostileTuple(("a", 1)), Endless(["a", 1])
    ),
    *sent_as({"a": 1}, OrderedDict(a=1), types.MappingProxyType({"a": 1}), UserDict({"a": 1}), ChainMap({"a": 1}, {})),
    *sent_as({"1": 1, "-2": {"3": 4}}, {1: 1, -2: {3: 4}}),
    *sent_as({"user": 1, "k": 2}, {Role.USER: 1, Text("k"): 2}),
    *sent_as(_DATA, Data(), Attrs()),
    *sent_as({"name": "x", "size": 1, "inner": _DATA}, Attrs(inner=Data()), Data(inner=Attrs())),
    *sent_as({"type": "text", "text": "x"}, TextPart("x")),
    *sent_as({"role": "user", "content": "x"}, UserMessage("x")),
    *sent_as({"total": 1.0, "connect": 10.0, "first_chunk": 300.0, "idle": 60.0}, Timeout(1.0)),
    *sent_as(NotJson.EITHER, HostileDict(a=1), ChainMap(HostileDict())),
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
    (1.5, NotJson.REFUSED),
    (None, NotJson.REFUSED),
    (SURROGATE, NotJson.REFUSED),
]

_WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "list": list,
    "tuple": tuple,
    "named": lambda items: Pair(*items),
    "list subclass": type("Items", (list,), {}),
}


class Recipe(NamedTuple):
    """Description of one object, from which `build` makes it."""

    kind: str
    parts: Any


def recipes() -> st.SearchStrategy[Recipe]:
    """Objects of every kind, and containers of them."""
    leaf = st.builds(Recipe, st.just("leaf"), st.integers(0, len(LEAVES) - 1))
    text = st.builds(Recipe, st.just("unchanged"), st.text(max_size=4) | st.integers() | st.floats(-1e9, 1e9))

    def around(inner: st.SearchStrategy[Recipe]) -> st.SearchStrategy[Recipe]:
        pairs = st.lists(st.tuples(st.integers(0, len(KEYS) - 1), inner), max_size=3)
        return (
            st.builds(Recipe, st.sampled_from(sorted(_WRAPPERS)), st.lists(inner, max_size=3))
            | st.builds(Recipe, st.sampled_from(["dict", "proxy", "ordered"]), pairs)
            | st.builds(Recipe, st.sampled_from(["dataclass", "attrs", "enum", "part"]), inner)
        )

    return st.recursive(leaf | text, around, max_leaves=6)


def _with_members(**members: Any) -> st.SearchStrategy[Recipe]:
    """Dicts that have these members and may have others."""
    numbers = [next(i for i, (key, _) in enumerate(KEYS) if key == name) for name in members]
    more = st.lists(st.tuples(st.integers(0, len(KEYS) - 1), recipes()), max_size=1)
    own = st.tuples(
        *(st.tuples(st.just(number), member) for number, member in zip(numbers, members.values(), strict=True))
    )
    return st.builds(_object, own, more)


def _object(own: tuple[Any, ...], more: list[Any]) -> Recipe:
    return Recipe("dict", [*more, *own])


def _word(*words: str) -> st.SearchStrategy[Recipe]:
    return st.sampled_from(words).map(lambda word: Recipe("unchanged", word))


def conversations() -> st.SearchStrategy[Recipe]:
    """Lists of dicts that resemble messages."""
    part = _with_members(type=_word("text", "image_url", "video"), text=recipes())
    parts = st.builds(Recipe, st.just("list"), st.lists(part, max_size=2))
    role = _word("user", "assistant", "system", "tool", "critic")
    message = _with_members(role=role, content=recipes() | _word("x") | parts)
    return st.builds(Recipe, st.sampled_from(["list", "tuple"]), st.lists(message, min_size=1, max_size=2))


def _leaf(number: int) -> Built:
    return LEAVES[number]()


def build(recipe: Recipe) -> Built:
    """The object of a recipe and its expected JSON value."""
    kind: str = recipe.kind
    parts: Any = recipe.parts
    if kind == "leaf":
        return _leaf(parts)
    if kind == "unchanged":
        return parts, parts if isinstance(parts, (int, float)) or _is_encodable(parts) else NotJson.REFUSED
    if kind in _WRAPPERS:
        built = [build(part) for part in parts]
        if kind == "named":
            built = [*built, (None, None), (None, None)][:2]
        return _WRAPPERS[kind]([value for value, _ in built]), _combine([expected for _, expected in built])
    if kind in ("dict", "proxy", "ordered"):
        return _mapping(kind, parts)
    return _wrapped(kind, *build(parts))


def _is_encodable(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)


def _combine(expected: list[Any]) -> Any:
    """The expected values of a container, or the `NotJson` of one of its items."""
    for not_json in NotJson:
        if any(each is not_json for each in expected):
            return not_json
    return expected


def _mapping(kind: str, parts: list[tuple[int, Recipe]]) -> Built:
    members: dict[Any, Any] = {}
    expected: dict[Any, Any] = {}
    for number, part in parts:
        key, _ = KEYS[number]
        members[key], expected[key] = build(part)
    # Of two equal keys the first one is kept, with its type.
    names = [next(name for known, name in KEYS if known is key) for key in members]
    whole = _combine([*names, *expected.values()])
    if isinstance(whole, list):
        whole = dict(zip(names, expected.values(), strict=True)) if len(set(names)) == len(names) else NotJson.REFUSED
    made = {"dict": dict, "proxy": types.MappingProxyType, "ordered": OrderedDict}[kind](members)
    return made, whole


def _wrapped(kind: str, value: Any, expected: Any) -> Built:
    if kind == "enum":
        try:
            return enum.Enum("Made", {"ONE": value}).ONE, expected  # type: ignore[attr-defined]
        except Exception:  # noqa: BLE001 (an enum raises whatever the methods of hostile values raise)
            return value, expected
    whole = expected if isinstance(expected, NotJson) else {"name": "x", "size": 1, "inner": expected}
    if kind == "part":
        made = TextPart("x", extra={"y": value})
        return made, expected if isinstance(expected, NotJson) else {"text": "x", "type": "text", "y": expected}
    return (Data if kind == "dataclass" else Attrs)(inner=value), whole
