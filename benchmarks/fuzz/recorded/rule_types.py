"""How the rules of a dialect's fields are written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

Role = Literal["part", "identity", "error"]
"""`part`: carries the reply; its value is read by `convert`, or the reply is an error.

`identity`: distinguishes parts; another type is read by `convert` or inferred, or the reply is an error.

`error`: any value that is not empty makes the reply an error.
"""


class Rule(NamedTuple):
    """Role of the fields that match an expression."""

    pattern: str
    role: Role
    convert: Callable[[Any], Any] | None = None
    why: str = ""


class Derived(NamedTuple):
    """Places of a reply that change with a field that is not needed."""

    pattern: str
    places: Sequence[str]
    why: str


LIST_ITEM = r"\[[^\]]*\]"
"""Expression for an item of a list in a pattern."""

MESSAGE = "choices.message"
"""Place of a reply's message."""

NATIVE = f"{MESSAGE}.provider_specific_fields"
"""Place of the provider's own form of a message, which keeps values of any type as they are."""


class DialectRules(NamedTuple):
    """Which fields of a dialect carry a reply, and what is derived from the others."""

    apis: Sequence[str]
    """The recordings' names of its API."""
    changes: int
    """Number of changes that the tests make; the more providers send this format, the more."""
    rules: Sequence[Rule]
    """The first rule that matches decides; a field without one is not needed."""
    stream_rules: Sequence[Rule] = ()
    """Of streams, where they have other rules."""
    opaque: str = r"(?!)"
    """Places whose JSON is the model's own or the request's: nothing inside is changed."""
    derived: Sequence[Derived] = ()
    """What is derived from fields that are not needed, besides the field of the same name."""
    same_names: bool = False
    """Whether a field's place in the reply is its place in the provider's JSON, as in OpenAI's format."""
