"""What every target of fuzzing consists of, and the error of a property that does not hold."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple


class ViolationError(AssertionError):
    """A checked property does not hold."""


def expect(holds: bool, what: str) -> None:
    """Raises `ViolationError` unless the property holds."""
    if not holds:
        raise ViolationError(what)


class Subject(NamedTuple):
    """Target of fuzzing: how to make an input, and which properties to check."""

    make: Callable[[Random], Any]
    check: Callable[[Any], None]
