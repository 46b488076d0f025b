"""Tests of `compile_type`: values out of JSON, and errors with their paths."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from anycompletion.structured.mismatch import ValueMismatch
from anycompletion.structured.types import compile_type


@dataclass
class Step:
    """A step of a recipe."""

    text: str
    minutes: int


@dataclass
class Recipe:
    """A recipe."""

    title: str
    steps: list[Step]


TOAST = Recipe("Toast", [Step("Cut", 1), Step("Toast", 3)])


def test_a_value_survives_encoding_and_decoding() -> None:
    """A reply would be read as another value than the provider sent."""
    plan = compile_type(Recipe)
    assert plan.decode(plan.encode(TOAST)) == TOAST


def test_a_list_is_wrapped_and_its_items_are_not() -> None:
    """A root that is no object would be sent as it is, which most providers refuse."""
    plan = compile_type(list[Recipe])
    element = plan.element()
    assert plan.schema["required"] == ["value"]
    assert plan.decode(plan.encode([TOAST])) == [TOAST]
    assert element is not None
    assert element.decode(element.encode(TOAST)) == TOAST


def test_a_mismatch_has_the_path_of_the_value() -> None:
    """Users could not find the wrong value, nor a re-ask name it."""
    with pytest.raises(ValueMismatch) as caught:
        compile_type(Recipe).decode(b'{"title": "x", "steps": [{"text": "x", "minutes": "3"}]}')
    assert caught.value.path == "$.steps[0].minutes"
    assert caught.value.kind == "schema"
