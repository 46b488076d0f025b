"""Tests that each kind of provider is sent exactly the schemas in ``golden/``."""

from __future__ import annotations

import pytest

from support.golden_schemas import GOLDEN, TARGETS, golden


@pytest.mark.parametrize("name", TARGETS)
def test_the_schema_is_the_known_one(name: str) -> None:
    """A change would alter what a provider is sent without anyone reading it; `support.golden_schemas` writes it."""
    assert golden(TARGETS[name]) == (GOLDEN / f"{name}.json").read_text("utf-8")


def test_each_file_is_compared() -> None:
    """A file of a target that is gone would stay."""
    assert {path.stem for path in GOLDEN.iterdir()} == set(TARGETS)
