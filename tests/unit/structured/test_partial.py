"""Tests of partial values: any text, cut anywhere, is what has arrived of it, and only grows."""

from __future__ import annotations

import json
import re
from typing import Any

import jiter
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from anycompletion.structured.partial import Partial, PartialScanner, partial_data
from support.json_texts import objects


def partials(pieces: list[str], **options: bool) -> list[Partial]:
    """The partials of a text that comes in these pieces."""
    scanner = PartialScanner(**options)
    found: list[Partial] = []
    for piece in pieces:
        scanner.feed(piece)
        partial = scanner.read()
        if partial is not None:
            found.append(partial)
    return found


def final_at(partial: Partial, whole: Any) -> None:
    """Asserts that all of a partial is final, except what is on its open path."""
    data, path = partial.data, partial.open
    if path is None:
        assert data == whole
        return
    for part in path:
        settled = dict(data) if isinstance(data, dict) else dict(enumerate(data))
        there = whole if isinstance(whole, dict) else dict(enumerate(whole))
        growing = settled.pop(part)
        assert {key: there[key] for key in settled} == settled
        assert list(there)[: len(settled) + 1] == [*settled, part]
        data, whole = growing, there[part]
    if isinstance(data, str):
        assert whole.startswith(data)
    elif isinstance(data, list):
        assert whole[: len(data)] == data
    else:
        assert list(whole.items())[: len(data)] == list(data.items())


def in_string(text: str) -> bool:
    """Whether JSON that is cut here is cut in a string."""
    return re.sub(r"\\.", "", text, flags=re.DOTALL).count('"') % 2 == 1


@settings(max_examples=100, derandomize=True, deadline=None)
@given(objects())
@example('{"a": [1, 2.5e3, -0, true, false, null, {}, [], ""], "\\u00e9\\n": {"\\ud83d\\ude00": "\\ud83d\\ude00x"}}')
def test_a_text_cut_anywhere_is_what_jiter_reads(text: str) -> None:
    """A partial would lack something that has arrived, or have something that has not."""
    scanner, read = PartialScanner(), Partial({}, (), finished=False)
    whole = json.loads(text)
    for end in range(1, len(text) + 1):
        scanner.feed(text[end - 1])
        read = scanner.read() or read
        complete = text[:end]
        if not in_string(complete):  # jiter also reads the first digits of a number
            complete = re.sub(r"[-+.0-9A-Za-z]+\Z", "", complete)
        assert read.data == jiter.from_json(complete.encode(), partial_mode="trailing-strings")
        final_at(read, whole)
    assert read == Partial(whole, None, finished=True)
    assert not scanner.failed


@settings(max_examples=100, derandomize=True, deadline=None)
@given(objects(), st.lists(st.integers(1, 12), min_size=1, max_size=20))
def test_a_text_is_the_same_in_any_pieces(text: str, sizes: list[int]) -> None:
    """What arrives in one read would be another value than what arrives in several."""
    pieces: list[str] = []
    rest = text
    while rest:
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(rest[:size])
        rest = rest[size:]
    at_once, by_pieces = partials([text]), partials(pieces)
    assert at_once == by_pieces[-1:] == [Partial(json.loads(text), None, finished=True)]
    every_piece = {repr(partial) for partial in partials(list(text))}
    assert {repr(partial) for partial in by_pieces} <= every_piece


STEPS: dict[str, tuple[list[str], list[tuple[Any, Any, bool]]]] = {
    "a string grows": (
        ['{"a"', ': "', "x", 'y"', "}"],
        [
            ({}, (), False),
            ({"a": ""}, ("a",), False),
            ({"a": "x"}, ("a",), False),
            ({"a": "xy"}, (), False),
            ({"a": "xy"}, None, True),
        ],
    ),
    "a number appears when it is complete": (
        ['{"a": -1', "25", "0", ".5", "e1", ", "],
        [({}, (), False), ({"a": -12505.0}, (), False)],
    ),
    "words appear when they are complete": (
        ['{"a": [', "tr", "ue", ",fals", "e ,nul", "l]"],
        [
            ({"a": []}, ("a",), False),
            ({"a": [True]}, ("a",), False),
            ({"a": [True, False]}, ("a",), False),
            ({"a": [True, False, None]}, (), False),
        ],
    ),
    "an escape appears when it is complete": (
        ['{"a": "x\\', "n\\u00", "e9\\ud83d", "\\ude", "00"],
        [
            ({"a": "x"}, ("a",), False),
            ({"a": "x\n"}, ("a",), False),
            ({"a": "x\né"}, ("a",), False),
            ({"a": "x\né😀"}, ("a",), False),
        ],
    ),
    "half a character is replaced when the other half cannot come": (
        ['{"a": "\\ud83d', "\\u0", '041\\ud83d\\ud83d"'],
        [({"a": ""}, ("a",), False), ({"a": "\ufffd"}, ("a",), False), ({"a": "\ufffdA\ufffd\ufffd"}, (), False)],
    ),
    "keys of the path are decoded": (
        ['{"\\u00e9\\"": [{"b\\n": "'],
        [({'é"': [{"b\n": ""}]}, ('é"', 0, "b\n"), False)],
    ),
    "the last of equal keys counts": (
        ['{"a": 1, "a": "x'],
        [({"a": "x"}, ("a",), False)],
    ),
    "raw control characters": (
        ['{"a": "x\ny\t', 'z"}'],
        [({"a": "x\ny\t"}, ("a",), False), ({"a": "x\ny\tz"}, None, True)],
    ),
    "integers of any size": (
        ['{"a": [123456789012345678901234567890, 2'],
        [({"a": [123456789012345678901234567890]}, ("a",), False)],
    ),
    "a code fence": (
        ["\ufeff\n``", "`json\n", '{"a"', ": 1}", "\n```"],
        [({}, (), False), ({"a": 1}, None, True)],
    ),
    "text after the object": (
        ['{"a": 1} and', ' {"b": 2}'],
        [({"a": 1}, None, True)],
    ),
    "lone surrogates of a middleware": (
        ['{"a": "\ud83d'],
        [({"a": "\ufffd"}, ("a",), False)],
    ),
}
"""Case → pieces of a text, and the partials that they make."""


@pytest.mark.parametrize("case", STEPS)
def test_steps(case: str) -> None:
    """A form would show a value that is not true yet, or the wrong place as the one that is being written."""
    pieces, expected = STEPS[case]
    assert partials(pieces) == [Partial(*each) for each in expected]


WRAPPED: dict[str, tuple[list[str], list[tuple[Any, Any, bool]]]] = {
    "a list": (
        ['{"value"', ": [", '"a', '", {"b": "', 'c"}', "]", "}"],
        [
            ([], (), False),
            (["a"], (0,), False),
            (["a", {"b": ""}], (1, "b"), False),
            (["a", {"b": "c"}], (), False),
            (["a", {"b": "c"}], None, False),
            (["a", {"b": "c"}], None, True),
        ],
    ),
    "a number": (['{"value": 1', "2", "}"], [(12, None, True)]),
    "a string": (['{"value": "', "x"], [("", (), False), ("x", (), False)]),
    "other members": (
        ['{"note": "', 'x", "value": [', '1], "more": ["', '"]}'],
        [([], (), False), ([1], None, False), ([1], None, True)],
    ),
    "no value": (['{"values": [1]}'], []),
}


@pytest.mark.parametrize("case", WRAPPED)
def test_a_root_that_is_no_object_is_unwrapped(case: str) -> None:
    """The object around a list would be shown as a part of the reply."""
    pieces, expected = WRAPPED[case]
    assert partials(pieces, is_wrapped=True) == [Partial(*each) for each in expected]


EMBEDDED: dict[str, tuple[str, Any]] = {
    "text around": ('Here you are:\n\n```json\n{"a": 1}\n```\nMore?', {"a": 1}),
    "brackets before": ('Of {x} and { y } I made {"a": 1}.', {"a": 1}),
    "broken JSON before": ('{"b": x, "c": {"a": 1}}', None),
    "an array before": ('As in [1, 2]: {"a": 1}', {"a": 1}),
    "no object": ("I cannot {do} that", None),
    "many brackets": ("{" * 15 + '{"a": 1}', {"a": 1}),
    "too many brackets": ("{" * 16 + '{"a": 1}', None),
}


@pytest.mark.parametrize("case", EMBEDDED)
def test_text_around_the_object(case: str) -> None:
    """A model that explains its answer would have no partials, or those of its explanation."""
    text, expected = EMBEDDED[case]
    for pieces in ([text], list(text)):
        found = partials(pieces, is_embedded=True)
        assert (found[-1].data if found and found[-1].finished else None) == expected


REFUSED = {
    "text before": 'Sure: {"a": 1}',
    "text without an object": "No. " * 300,
    "a list": '[{"a": 1}]',
    "a comma at the end of an object": '{"a": 1,}',
    "a comma at the end of a list": '{"a": [1,]}',
    "no comma": '{"a": 1 "b": 2}',
    "no colon": '{"a" 1}',
    "the wrong bracket": '{"a": [1}',
    "no value": '{"a": , "b": 1}',
    "a key without quotes": "{a: 1}",
    "an invalid escape": '{"a": "\\x"}',
    "an invalid escape of a key": '{"\\x": 1}',
    "an invalid number": '{"a": 01}',
    "a number that never ends": '{"a": ' + "1" * 5_000,
    "a number that is larger than a float can be": '{"a": 1e400, ',
    "NaN": '{"a": NaN}',
    "an unknown word": '{"a": nil}',
    "too deep": '{"a":' * 201,
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_json_has_no_more_partials(case: str) -> None:
    """A text that no value can be made of would be shown as one, or as finished."""
    for pieces in ([REFUSED[case]], list(REFUSED[case])):
        scanner = PartialScanner()
        for piece in pieces:
            scanner.feed(piece)
            assert scanner.read() is None or not scanner.failed
        assert scanner.failed
        assert not scanner.finished


def test_the_deepest_value() -> None:
    """A value as deep as replies may be would be refused while it streams."""
    scanner = PartialScanner()
    scanner.feed('{"a":' * 200)
    partial = scanner.read()
    assert partial is not None
    assert partial.open == ("a",) * 199


def test_partials_are_values_of_their_own() -> None:
    """A partial that is kept, or changed, would change with the next one."""
    first, second = partials(['{"a": [1,', "2]"])
    first.data["a"].append("x")
    assert second.data == {"a": [1, 2]}


def test_data_of_a_text_that_was_cut() -> None:
    """The part of a reply that arrived before its token limit would be lost."""
    assert partial_data('{"a": [1, {"b": "x') == {"a": [1, {"b": "x"}]}
    assert partial_data('```json\n{"value": [1, 2', is_wrapped=True) == [1]
    assert partial_data("I would") is None
    assert partial_data("") is None
