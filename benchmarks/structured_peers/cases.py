"""Case: a type, the reply that the server gives, and the value that it stands for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

NAME = "$class"
"""Member of a reply's data that names the class of an object, where the members of a union differ in nothing else."""


@dataclass(frozen=True)
class Case:
    """One call that all clients make."""

    name: str
    """Text of its row."""
    into: Any
    expected: Any
    """The right value; None where the right outcome is an error."""
    data: Any = None
    """The value as JSON data, which the server writes in the form of the schema that it was sent."""
    text: str | None = None
    """The text of the reply, as it is, instead of `data`."""
    finish_reason: str = "stop"

    @property
    def prompt(self) -> str:
        """The user's message, by which the server knows the case."""
        return f"Answer with JSON. Case: {self.name}."

    def is_expected(self, value: object) -> bool:
        """Whether a value is the right one, and of its type."""
        return _same(value, self.expected)


def _same(value: Any, expected: Any) -> bool:
    """Whether two values are equal; instances of a subclass of a pydantic model count as its own."""
    if isinstance(expected, list) and isinstance(value, list):
        return len(value) == len(expected) and all(map(_same, value, expected))
    if hasattr(expected, "model_dump"):
        return isinstance(value, type(expected)) and value.model_dump() == expected.model_dump()
    return type(value) is type(expected) and value == expected


def case_of(messages: str, cases: dict[str, Case]) -> Case:
    """The case that a conversation asks for."""
    found = re.search(r"Answer with JSON\. Case: (.*?)\.(?!\w)", messages)
    if found is None:
        raise ValueError("the request names no case")
    return cases[found[1]]
