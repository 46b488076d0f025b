"""The SSE parser conforms to the standard, wherever the bytes are cut."""

import itertools
from collections.abc import Iterable, Iterator

import pytest

from anycompletion.codecs.sse import Event, SSEParser
from anycompletion.errors import APIResponseError
from support.sse_cases import CASES, LARGE, TOO_LARGE, Seen

scored = pytest.mark.score("SSE")

SHORT = 48
"""Bytes; a body of at most this size is cut at every pair of places as well."""

ENDS = 12
"""Bytes at the start and at the end of a large body where it is cut at every place."""


@scored
@pytest.mark.parametrize("name", CASES)
def test_at_every_cut(name: str) -> None:
    """An event would be lost, invented or changed at some cut."""
    body, expected = CASES[name]
    for places in cuts(len(body)):
        assert events(cut(body, *places)) == expected, places
    assert events(body[i : i + 1] for i in range(len(body))) == expected


@scored
@pytest.mark.parametrize("name", LARGE)
def test_large(name: str) -> None:
    """A large event, or many events, would be parsed wrongly."""
    body, expected = LARGE[name]()
    for pieces in large_pieces(body):
        assert same(events(pieces), expected)


@scored
@pytest.mark.parametrize("name", TOO_LARGE)
def test_too_large(name: str) -> None:
    """An event without an end would fill the memory, or earlier events would be lost."""
    body, expected = TOO_LARGE[name]()
    for pieces in large_pieces(body):
        framing = SSEParser()
        found = [event for piece in pieces for event in framing.feed(piece)]
        assert [seen(event) for event in found] == expected
        assert isinstance(framing.error, APIResponseError)


def test_enough_cases() -> None:
    """The tables could lose cases."""
    assert len(CASES) + len(LARGE) + len(TOO_LARGE) >= 60


def test_the_common_wrong_reader_is_found() -> None:
    """The cases would not detect a common wrong parser."""
    wrong = [name for name, (body, expected) in CASES.items() if lines_of_text(body) != expected]
    assert len(wrong) > len(CASES) / 4


def lines_of_text(body: bytes) -> list[Seen]:
    """A common wrong parser: every line that begins with data is an event."""
    lines = body.decode("utf-8", "replace").splitlines()
    return [line[5:].strip() for line in lines if line.startswith("data:")]


# --- reading and cutting ----------------------------------------------------------------------------------------------


def events(pieces: Iterable[bytes]) -> list[Seen]:
    framing = SSEParser()
    found = [seen(event) for piece in pieces for event in framing.feed(piece)]
    assert framing.error is None
    return found


def seen(event: Event) -> Seen:
    """An event as text; invalid UTF-8 is replaced."""
    data = event.data.decode("utf-8", "replace")
    return (event.name, data) if event.name else data


def same(found: list[Seen], expected: list[Seen]) -> bool:
    """Compares without printing megabytes when an assertion fails."""
    return found == expected


def cuts(size: int) -> Iterator[tuple[int, ...]]:
    """No cut, every single cut, and for a short body every pair of cuts."""
    yield ()
    for count in (1, 2) if size <= SHORT else (1,):
        yield from itertools.combinations_with_replacement(range(size + 1), count)


def cut(body: bytes, *places: int) -> list[bytes]:
    return [body[start:end] for start, end in itertools.pairwise((0, *places, len(body)))]


def large_pieces(body: bytes) -> Iterator[list[bytes]]:
    yield [body]
    for size in (64 * 1024 - 1, 4096):
        yield [body[i : i + size] for i in range(0, len(body), size)]
    middle = len(body) // 2
    yield cut(body, *range(1, ENDS), middle, middle + 1, *range(len(body) - ENDS, len(body)))
