"""Tests of the items of a list that is still arriving: each comes once, whole, and as soon as it has ended."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anycompletion.structured.item_scanner import ItemScanner
from anycompletion.structured.types.json_text import read_json
from support.json_texts import VALUES


def taken(pieces: list[str], **options: bool) -> list[list[Any]]:
    """What each piece of a text makes complete."""
    scanner = ItemScanner(**options)
    found: list[list[Any]] = []
    for piece in pieces:
        scanner.feed(piece)
        found.append([read_json(item) for item in scanner.take()])
    return found


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(VALUES, max_size=5), st.booleans())
def test_an_item_comes_as_soon_as_it_has_ended(items: list[Any], pretty: bool) -> None:
    """An item would come later than it could, twice, or as a part of itself."""
    text, ends = '{"value": [', dict[int, Any]()
    for item in items:
        text += json.dumps(item, indent=2 if pretty else None)
        # Only what follows a number or a word shows that it has ended.
        ends[len(text) - 1 if isinstance(item, str | list | dict) else len(text)] = item
        text += "\n, " if pretty else ","
    text = f"{text.rstrip(', ')}]}}"
    by_character = taken(list(text))
    assert {at: found for at, found in enumerate(by_character) if found} == {at: [item] for at, item in ends.items()}
    assert taken([text]) == [items]
    cut = len(text) // 2
    assert [item for found in taken([text[:cut], text[cut:]]) for item in found] == items


STEPS: dict[str, tuple[list[str], list[list[Any]]]] = {
    "other members": (['{"a": ["x"], "b": 1, "value": [1', ',2], "c": [', "3]}"], [[], [1, 2], []]),
    "an escaped key": (['{"v\\u0061lue": [1, '], [[1]]),
    "lists inside of other members": (['{"a": {"value": [1, 2]}, "value": [3]}'], [[3]]),
    "a second list of the same name": (['{"value": [1], "value": [2]}'], [[1]]),
    "no list": (['{"value": {"value": [1]}}'], [[]]),
    "an empty list": (['{"value": [', " ]}"], [[], []]),
    "a long text in pieces": (['{"value": ["a', 'b"', ', "c', 'd", "e"', "]}"], [[], ["ab"], [], ["cd", "e"], []]),
    "lone surrogates and control characters": (['{"value": ["\\ud83d\n", "\ud83d", 1.5'], [["\ufffd\n", "\ufffd"]]),
    "items before what is no JSON": (['{"value": [1, {"a": 2}, x, 3]}', "4"], [[1, {"a": 2}], []]),
    "items before the wrong bracket": (['{"value": [1, 2}'], [[1, 2]]),
    "a code fence": (['```json\n{"value": [1, ', "2]}\n```"], [[1], [2]]),
}
"""Case → pieces of a text, and the items that each of them makes complete."""


@pytest.mark.parametrize("case", STEPS)
def test_steps(case: str) -> None:
    """Items of another list would be taken for those of the reply, or items would be lost."""
    pieces, expected = STEPS[case]
    assert taken(pieces) == expected


def test_text_around_the_list() -> None:
    """A model that explains its list would have no items, or one of them twice."""
    assert taken(["Of {x}: ", '{"value": [1, ', "2]} Done."], is_embedded=True) == [[], [1], [2]]
    assert taken(['{"value": [1, 2', ' x {"value": [3]}'], is_embedded=True) == [[1], [2]]


def test_the_end_of_the_list_is_known() -> None:
    """A list that was cut would be taken for a whole one."""
    scanner = ItemScanner()
    scanner.feed('{"value": [[1], 2')
    assert not scanner.has_all
    scanner.feed("]")
    assert scanner.has_all


def test_items_that_were_taken_are_not_kept() -> None:
    """A list of a million items would be in memory as a whole, and each item cost as much as all before it."""
    scanner = ItemScanner()
    scanner.feed('{"value": [')
    tracemalloc.start()
    try:
        for _ in range(200):
            scanner.feed('{"text": "' + "x" * 1_000 + '"}, ')
            assert len(scanner.take()) == 1
        assert tracemalloc.get_traced_memory()[0] < 20_000
    finally:
        tracemalloc.stop()
