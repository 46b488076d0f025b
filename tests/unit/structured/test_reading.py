"""Tests of `read_value`: what may stand around the JSON of a reply, in which mode."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anycompletion.structured.mismatch import ValueMismatch
from anycompletion.structured.reading import read_value
from anycompletion.structured.types import compile_type

Mode = Literal["schema", "tool", "json", "prompt"]
STRICT: tuple[Mode, ...] = ("schema", "tool")
LAX: tuple[Mode, ...] = ("json", "prompt")


@dataclass
class Recipe:
    title: str
    minutes: int


@dataclass
class Tree:
    name: str
    kids: list[Tree] = field(default_factory=list)


TOAST = Recipe("Toast", 5)
WHOLE = '{"title": "Toast", "minutes": 5}'
OTHER = '{"title": "Soup", "minutes": 9}'
RECIPES, TREES = compile_type(Recipe), compile_type(Tree)

ANYWHERE: dict[str, str] = {
    "alone": WHOLE,
    "white space": f" \r\n\t{WHOLE}\n\n",
    "a byte-order mark": f"\ufeff{WHOLE}",
    "a fence": f"```\n{WHOLE}\n```",
    "a fence with a language": f"\n```json\n{WHOLE}\n```\n",
    "a fence on the same line": f"```json\n{WHOLE}```",
    "a byte-order mark before a fence": f"\ufeff```json\r\n{WHOLE}\r\n```",
    "an integral float": WHOLE.replace("5", "5.0"),
    "an exponent": WHOLE.replace("5", "0.5e1"),
    "a double member": '{"title": "Soup", ' + WHOLE[1:],
    "an unknown member": '{"taste": null, ' + WHOLE[1:],
}

AROUND: dict[str, str] = {
    "prose before": f"Here you are: {WHOLE}",
    "prose after": f"{WHOLE}\nEnjoy!",
    "prose and a fence": f"Here you are:\n```json\n{WHOLE}\n```\nEnjoy!",
    "braces of prose": f"In {{braces}} and [brackets], f(x) = {{x}}: {WHOLE}",
    "footnotes": f"As in [1] and [2, 3]: {WHOLE}",
    "an example that does not fit": f'Such as {{"title": "..."}}: {WHOLE}',
    "two values": f"{WHOLE} {OTHER}",
    "an array that does not fit": f"[{WHOLE}] {WHOLE}",
}

NOWHERE: dict[str, str] = {
    "nothing": "",
    "prose": "I cannot say.",
    "not a number": WHOLE.replace("5", "NaN"),
    "infinity": WHOLE.replace("5", "Infinity"),
    "a cut value": WHOLE[:-1],
    "a comment": f"{WHOLE[:-1]} // minutes\n}}",
    "single quotes": WHOLE.replace('"', "'"),
    "an outer value that is cut": f'{{"recipe": {WHOLE}',
    "an outer value that is broken": f'{{"recipe" {WHOLE}}}',
    "deep nesting": "[" * 10_000,
}


@pytest.mark.parametrize("mode", [*STRICT, *LAX])
@pytest.mark.parametrize("text", ANYWHERE.values(), ids=ANYWHERE)
def test_json_is_read_in_every_mode(text: str, mode: Mode) -> None:
    """A good reply would be refused, or reported as one with something left out."""
    warnings: list[str] = []
    assert read_value(text, RECIPES, mode, warnings) == TOAST
    assert warnings == []


@pytest.mark.parametrize("text", AROUND.values(), ids=AROUND)
def test_text_around_the_json_is_left_out_of_prompted_replies_only(text: str) -> None:
    """What a model adds in words would cost the reply, or go unnoticed where a schema rules it out."""
    for mode in LAX:
        warnings: list[str] = []
        assert read_value(text, RECIPES, mode, warnings) == TOAST
        assert len(warnings) == 1
    for mode in STRICT:
        with pytest.raises(ValueMismatch):
            read_value(text, RECIPES, mode, [])


@pytest.mark.parametrize("mode", [*STRICT, *LAX])
@pytest.mark.parametrize("text", NOWHERE.values(), ids=NOWHERE)
def test_what_is_no_json_is_a_mismatch(text: str, mode: Mode) -> None:
    """A broken reply would be repaired by guessing, or end the call with another error."""
    with pytest.raises(ValueMismatch) as caught:
        read_value(text, RECIPES, mode, [])
    assert (caught.value.kind, caught.value.path) == ("json", "$")


def test_the_error_is_that_of_the_first_value() -> None:
    """The model would be asked to correct what it did not mean as its value."""
    with pytest.raises(ValueMismatch) as caught:
        read_value('{"title": "Toast", "minutes": "five"} {"x": 1}', RECIPES, "prompt", [])
    assert (caught.value.kind, caught.value.path) == ("schema", "$.minutes")


@given(st.integers(0, 80))
@settings(max_examples=81, deadline=None)
def test_a_cut_recursive_value_is_never_read_as_a_part_of_it(length: int) -> None:
    """A branch of a tree would be returned as the whole tree."""
    whole = json.dumps({"name": "root", "kids": [{"name": "leaf", "kids": []}, {"name": "other", "kids": []}]})
    for mode in LAX:
        with pytest.raises(ValueMismatch):
            read_value(whole[: min(length, len(whole) - 1)], TREES, mode, [])
