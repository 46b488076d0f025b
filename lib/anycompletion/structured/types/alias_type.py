"""The compiled type of a recursive type alias: ``type Tree = list[Tree] | int``."""

from __future__ import annotations

from typing import Any

from ..mismatch import ValueMismatch
from .type_node import SchemaDefs, TypeNode


class AliasType(TypeNode):
    """The compiled type of a type alias, which may be used before its target is compiled.

    The decoder returns plain data: msgspec knows recursive classes, but no recursive aliases.
    """

    wire = Any

    def __init__(self, name: str) -> None:
        self.target: TypeNode | None = None
        self.is_recursive = False
        self._name = name
        self.build = self.read

    @property
    def _found(self) -> TypeNode:
        assert self.target is not None
        return self.target

    def schema(self, defs: SchemaDefs) -> dict[str, Any]:
        """A reference to the definition of the alias."""
        return defs.reference(self, self._name, lambda: self._found.schema(defs))

    def mismatch(self) -> ValueMismatch:
        """The error that names the alias."""
        return ValueMismatch(self._name)

    def fit(self, data: Any) -> Any:
        """Data that fits the target."""
        return self._found.fit(data)

    def read(self, data: Any) -> Any:
        """The value of plain data."""
        return self._found.read(data)

    def accepts(self, value: Any) -> bool:
        """Whether the target accepts it."""
        return self._found.accepts(value)

    def dump(self, value: Any) -> Any:
        """The value as the target writes it."""
        return self._found.dump(value)
