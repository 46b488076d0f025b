"""The error of JSON that does not fit a type, with the path of the value; depends on no other module."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

MismatchKind: TypeAlias = Literal["json", "schema", "value"]
"""What is wrong: the text is not JSON, the JSON does not fit the schema, or the class refuses its arguments."""

ANY_KEY = "[...]"
"""Part of a path that stands for a key of an open object: such keys are text of a model, which no error may show."""

_MAX_REFUSAL = 500
"""Characters of the text of a constructor's exception that are kept."""


class ValueMismatch(ValueError):
    """JSON that does not fit a type.

    `str` of a mismatch has no text of the model: `expected` is a part of it only where it comes from the schema.
    """

    def __init__(self, expected: str, kind: MismatchKind = "schema", parts: tuple[str | int, ...] = ()) -> None:
        super().__init__(expected, kind, parts)
        self.expected = expected
        """What was expected; for the kind "value", the text of the exception, which may quote the value."""
        self.kind: MismatchKind = kind
        self.parts = parts
        """The path as names of members and indices."""

    @property
    def path(self) -> str:
        """The path of the value: ``$.steps[0].minutes``."""
        return "$" + "".join(_part_text(part) for part in self.parts)

    def within(self, part: str | int) -> ValueMismatch:
        """This mismatch, with its path made longer at the front by the place of the value in its parent."""
        self.parts = (part, *self.parts)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.expected, self.kind, self.parts))

    def __str__(self) -> str:
        if self.kind == "value":
            return f"{self.path}: the value was refused"
        return f"{self.path}: expected {self.expected}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r}, kind={self.kind!r})"


def _part_text(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    if part == ANY_KEY:
        return part
    return f".{part}" if part.isidentifier() else f"[{part!r}]"


def refusal(exc: Exception) -> ValueMismatch:
    """The mismatch of a value that user code refused with an exception."""
    text = str(exc)
    if len(exc.args) > 1 and isinstance(exc.args[0], str) and type(exc).__str__ is BaseException.__str__:
        text = exc.args[0]  # attrs's validators have more arguments, which are for programs
    return ValueMismatch(text[:_MAX_REFUSAL], "value")
