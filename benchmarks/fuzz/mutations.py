"""Mutations of valid input: of JSON values, of their text, of bytes, and of sequences of events.

All choices are drawn from the random generator passed in, so that the same generator gives the same input.
"""

from __future__ import annotations

import json
from collections.abc import Callable, MutableMapping, MutableSequence, Sequence
from random import Random
from typing import Any, TypeAlias, cast

from .seed_types import Event, Write, as_event

Bytes: TypeAlias = "bytes | bytearray"

MANY = 100_000
"""Nesting depth of the deepest values."""

ODD_VALUES: Sequence[Any] = (
    None,
    True,
    False,
    0,
    -1,
    2**31,
    2**63,
    2**64,
    10**30,
    10**300,
    10**400,
    -(10**400),
    0.0,
    -0.5,
    1e308,
    float("nan"),
    float("inf"),
    float("-inf"),
    "",
    " ",
    "0",
    "429",
    "x",
    "é\U0001f600\u2028\x85\0",
    "\ud800",
    "\udfff\ud800",
    "x" * 3000,
    "error",
    "stop",
    "tool_use",
    "text",
    "../..",
    "file:///etc/passwd",
    "http://169.254.169.254/",
    "https://user:word@a.example:99999/",
    "//[",
    "9999-12-31T23:59:59-23:59",
    [],
    [None],
    [[]],
    [0, "x", {}],
    {},
    {"": None},
    {"index": -1},
    {"type": "text"},
    {"a": {"b": [None]}},
)
"""Values that replace the value of a member."""

_ODD = {kind: [odd for odd in ODD_VALUES if type(odd) is kind] for kind in (str, int, float)}

TOKENS: Sequence[bytes] = (
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"\xef\xbb\xbf",
    b"\0",
    b"\xff",
    b"\xe2\x82",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b'"',
    b"\\",
    b"\\ud800",
    b"\\u0000",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"null",
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"-0",
    b"01",
    b"9" * 40,
    b"9" * 5000,
    b"data: ",
    b"data",
    b"event: error\n",
    b"event: done\n",
    b"id: 1\n",
    b"retry: x\n",
    b": comment\n",
    b"data: [DONE]\n\n",
    b"[DONE]",
    b'"error"',
    b'"usage"',
    b'"index":',
)
"""Byte sequences with a meaning for one of the parsers."""


class _DuplicateName(str):
    """Name of a member that is never equal to another, so that an object can have it twice."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


class _Raw(str):
    """Text that is written into the JSON verbatim."""

    __slots__ = ()


def value(rng: Random, depth: int = 3) -> Any:
    """A random JSON value."""
    kind = rng.random()
    if depth and kind < 0.2:
        return [value(rng, depth - 1) for _ in range(rng.randrange(4))]
    if depth and kind < 0.4:
        return {text(rng): value(rng, depth - 1) for _ in range(rng.randrange(4))}
    if kind < 0.5:
        return text(rng)
    return copied(rng.choice(ODD_VALUES))


def text(rng: Random) -> str:
    """A short text of random characters, surrogates included."""
    ranges = ((32, 127), (0, 32), (128, 0x2100), (0xD800, 0xE000), (0x10000, 0x110000))
    return "".join(chr(rng.randrange(*rng.choice(ranges))) for _ in range(rng.randrange(8)))


# --- JSON ------------------------------------------------------------------------------------------------------------

Mutation: TypeAlias = Callable[[Random, "Place"], None]


class Place:
    """A member of an object or an item of a list, which can be changed in place."""

    def __init__(self, container: Any, key: Any) -> None:
        self.container = container
        self.key = key

    @property
    def members(self) -> dict[str, Any] | None:
        """The object that has this member; None for an item of a list."""
        container: object = self.container
        return cast("dict[str, Any]", container) if isinstance(container, dict) else None

    @property
    def value(self) -> Any:
        return self.container[self.key]

    @value.setter
    def value(self, new: Any) -> None:
        self.container[self.key] = new


def places(root: Any) -> list[Place]:
    """Every member and item below `root`."""
    found: list[Place] = []
    open_values = [root]
    while open_values:
        container = open_values.pop()
        keys: Any = ()
        if isinstance(container, MutableMapping):
            keys = cast("MutableMapping[str, Any]", container).keys()
        elif isinstance(container, MutableSequence):
            keys = range(len(cast("MutableSequence[Any]", container)))
        for key in keys:
            found.append(Place(container, key))
            open_values.append(container[key])
    return found


def _remove(rng: Random, place: Place) -> None:
    del place.container[place.key]


def _rename(rng: Random, place: Place) -> None:
    members = place.members
    if members is not None:
        name = rng.choice((place.key.upper(), place.key + "s", "type", "index", text(rng)))
        members[name] = members.pop(place.key)


def _retype(rng: Random, place: Place) -> None:
    place.value = value(rng)


def _alter(rng: Random, place: Place) -> None:
    """Replaces a value by one of the same type, so that it is read and not refused."""
    old: object = place.value
    match old:
        case str():
            place.value = text(rng) if rng.random() < 0.5 else rng.choice(_ODD[str])
        case list():
            items = cast("list[Any]", old)
            place.value = items[: rng.randrange(len(items) + 1)] * rng.randrange(3)
        case dict():
            members = cast("dict[str, Any]", old)
            names = list(members)[: rng.randrange(len(members) + 1)]
            place.value = {name: members[name] for name in names}
        case _:
            place.value = rng.choice((*_ODD[int], *_ODD[float], None))


def _wrap(rng: Random, place: Place) -> None:
    place.value = [place.value] if rng.random() < 0.5 else {"a": place.value}


def _nest(rng: Random, place: Place) -> None:
    place.value = _Raw(nested(rng))


def _enlarge(rng: Random, place: Place) -> None:
    digits = rng.choice((20, 310, 4299, 4300, 4301, 20_000, 200_000 if rng.random() < 0.05 else 400))
    place.value = _Raw(rng.choice(("", "-")) + rng.choice("123456789") * digits + rng.choice(("", "", ".5", "e9")))


def _double(rng: Random, place: Place) -> None:
    members = place.members
    if members is not None:
        members[_DuplicateName(place.key)] = value(rng)
    else:
        place.container[place.key : place.key] = [place.value] * rng.randrange(1, 4)


def _graft(rng: Random, place: Place) -> None:
    old: object = place.value
    if isinstance(old, dict):
        members = cast("dict[str, Any]", old)
        members[rng.choice(("error", "type", "index", "id", "usage", "logprobs", "message", text(rng)))] = value(rng)


MUTATIONS: Sequence[Mutation] = (
    *(_remove, _rename, _retype, _retype, _wrap, _nest, _enlarge, _double, _graft),
    *(_alter,) * 5,
)


def nested(rng: Random) -> str:
    """A deeply nested value: around the interpreter's recursion limit or far beyond it, sometimes unclosed."""
    depth = MANY if rng.random() < 0.05 else rng.randrange(50, 1100)
    head, tail = rng.choice((("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")))
    return head * depth + "1" + (tail * depth if rng.random() < 0.9 else "")


def changed(rng: Random, source: Any) -> bytes:
    """`source` with a few mutations, as JSON."""
    root = [copied(source)]
    for _ in range(rng.choice((0, 1, 1, 1, 1, 2, 3))):
        rng.choice(MUTATIONS)(rng, rng.choice(places(root) or [Place([None], 0)]))
    return dump(rng, root[0] if root else None)


def copied(source: Any) -> Any:
    """A deep copy of a JSON value."""
    if isinstance(source, dict):
        return {name: copied(item) for name, item in cast("dict[str, Any]", source).items()}
    return [copied(item) for item in cast("list[Any]", source)] if isinstance(source, list) else source


def numbered(source: Any, number: int) -> Any:
    """A copy with its own indexes and ids, as items of a list and events of a stream have."""
    if isinstance(source, dict):
        members = cast("dict[str, Any]", source).items()
        return {
            name: _renumbered(item, number) if name in _NUMBERS else numbered(item, number) for name, item in members
        }
    return [numbered(item, number) for item in cast("list[Any]", source)] if isinstance(source, list) else source


_NUMBERS = ("index", "id", "content_index")


def _renumbered(value: Any, number: int) -> Any:
    return f"{value} {number}" if isinstance(value, str) else number


def dump(rng: Random, source: Any) -> bytes:
    """JSON bytes, sometimes with lone surrogates encoded in three bytes each."""
    raws: list[str] = []
    marked = _mark(source, raws)
    ascii_only = rng.random() < 0.5
    out = json.dumps(marked, ensure_ascii=ascii_only, separators=rng.choice(((",", ":"), (", ", ": "))))
    for i, raw in enumerate(raws):
        out = out.replace(f'"<raw {i}>"', raw)
    return out.encode("utf-8", rng.choice(("replace", "surrogatepass")))


def _mark(source: Any, raws: list[str]) -> Any:
    if isinstance(source, _Raw):
        raws.append(source)
        return f"<raw {len(raws) - 1}>"
    if isinstance(source, dict):
        return {name: _mark(item, raws) for name, item in cast("dict[str, Any]", source).items()}
    return [_mark(item, raws) for item in cast("list[Any]", source)] if isinstance(source, list) else source


# --- bytes -----------------------------------------------------------------------------------------------------------


def damaged(rng: Random, data: bytes) -> bytes:
    """`data` with a few bytes flipped, deleted, duplicated or inserted, or truncated."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(out) + 1)
        end = at + rng.randrange(1, 12)
        match rng.randrange(6):
            case 0 if at < len(out):
                out[at] ^= 1 << rng.randrange(8)
            case 1:
                del out[at:end]
            case 2:
                out[at:at] = out[at : at + rng.randrange(200)]
            case 3:
                del out[at:]
            case 4:
                out[at:at] = rng.randbytes(rng.randrange(8))
            case _:
                out[at:at] = rng.choice(TOKENS)
    return bytes(out)


def noise(rng: Random) -> bytes:
    """Invalid input: random bytes, random UTF-8, random JSON, or a sequence of tokens."""
    match rng.randrange(4):
        case 0:
            return rng.randbytes(rng.randrange(60))
        case 1:
            return text(rng).encode("utf-8", "surrogatepass")
        case 2:
            return dump(rng, value(rng))
        case _:
            return b"".join(rng.choices(TOKENS, k=rng.randrange(30)))


def body(rng: Random, seeds: Sequence[Any]) -> bytes:
    """Body of a complete response."""
    kind = rng.random()
    if kind < 0.05:
        return noise(rng)
    data = changed(rng, rng.choice(seeds))
    return damaged(rng, data) if kind < 0.2 else data


# --- events ----------------------------------------------------------------------------------------------------------


def stream(
    rng: Random, seeds: Sequence[Sequence[Event]], others: Sequence[Sequence[Event]], write: Write = as_event
) -> bytes:
    """Body of a stream: events of one seed, some mutated, moved, deleted, duplicated, or from another seed."""
    events = list(rng.choice(seeds))
    for _ in range(rng.choice((0, 0, 1, 2))):
        at = rng.randrange(len(events) + 1)
        match rng.randrange(5):
            case 0:
                del events[at : at + 1]
            case 1:
                events[at:at] = events[at : at + 1] * rng.randrange(1, 4)
            case 2:
                rng.shuffle(events)
            case 3:
                events.insert(at, rng.choice(rng.choice(seeds)))
            case _:
                events.insert(at, rng.choice(rng.choice(others)))
    changes = rng.choice((0, 1, 1, 1, 2, 3))
    chosen = set(rng.sample(range(len(events)), min(changes, len(events))))
    out = b"".join(event_bytes(rng, name, data, i in chosen, write) for i, (name, data) in enumerate(events))
    return damaged(rng, out) if rng.random() < 0.25 else out


def event_bytes(rng: Random, name: str, data: Any, change: bool, write: Write = as_event) -> bytes:
    """Bytes of one event on the wire."""
    if isinstance(data, str) and not change:
        written = data.encode()
    elif change:
        written = noise(rng) if rng.random() < 0.1 else changed(rng, data)
        name = rng.choice(("", "error", "done", "output", "message")) if rng.random() < 0.1 else name
    else:
        written = dump(rng, data)
    return write(rng, name, written)


def cuts(rng: Random, data: bytes) -> list[bytes]:
    """`data` in pieces: of one byte each, at a few random positions, or with the first or last bytes separate."""
    size = len(data)
    match rng.randrange(4):
        case 0 if size < 2000:
            return [data[i : i + 1] for i in range(size)]
        case 1:
            at = sorted(rng.randrange(size + 1) for _ in range(2))
        case 2:
            at = [min(size, 1), min(size, 2), max(0, size - 1)] if size > 3 else []
        case _:
            at = sorted(rng.randrange(size + 1) for _ in range(rng.randrange(1, 20)))
    return [data[start:end] for start, end in zip([0, *at], [*at, size], strict=True)]


# --- headers ---------------------------------------------------------------------------------------------------------


def header(rng: Random, original: str) -> bytes:
    """Value of a header, unchanged or mutated."""
    kind = rng.random()
    if kind < 0.4:
        return original.encode()
    if kind < 0.6:
        odd = (
            "",
            " ",
            "nan",
            "inf",
            "-inf",
            "-1",
            "1e400",
            "9" * 70,
            "9" * 5000,
            "٣",
            "1_0",
            "0x10",
            "+5",
            "5 s",
            "5,5",
        )
        return rng.choice(odd).encode()
    if kind < 0.7:
        return noise(rng).replace(b"\n", b"").replace(b"\r", b"")[:200]
    return damaged(rng, original.encode())[:6000]
