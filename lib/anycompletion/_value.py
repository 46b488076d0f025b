"""Base classes of attrs classes: one `__eq__`, `__hash__` and `__repr__` for all.

Importing the package makes about 50 attrs classes, and attrs would generate these methods for each: a fifth of the time
of an import.
"""

from __future__ import annotations

from typing import Any

import attrs


class Value:
    """Mutable attrs class whose equality and repr follow its fields; the repr leaves out what is None or empty."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self._compared())

    __hash__: Any = None

    def __repr__(self) -> str:
        shown = (
            f"{attribute.name}={value!r}"
            for attribute in self._attributes()
            if attribute.repr and not self._is_hidden(attribute, value := getattr(self, attribute.name))
        )
        return f"{type(self).__name__}({', '.join(shown)})"

    def _is_hidden(self, attribute: attrs.Attribute[Any], value: object) -> bool:
        """Whether the repr leaves this field out."""
        return value is None or value == {}

    @classmethod
    def _compared(cls) -> list[str]:
        return [attribute.name for attribute in cls._attributes() if attribute.eq]

    @classmethod
    def _attributes(cls) -> tuple[attrs.Attribute[Any], ...]:
        return getattr(cls, "__attrs_attrs__", ())  # none where a base class without fields is no attrs class


class FrozenValue(Value):
    """Immutable attrs class whose equality, hash and repr follow its fields."""

    __slots__ = ()

    def __hash__(self) -> int:
        return hash((type(self), *(getattr(self, name) for name in self._compared())))


class Declaration(FrozenValue):
    """Immutable attrs class of which most fields keep their defaults; the repr leaves those out."""

    __slots__ = ()

    def _is_hidden(self, attribute: attrs.Attribute[Any], value: object) -> bool:
        default: Any = attribute.default
        if hasattr(default, "takes_self"):  # an attrs.Factory
            default = default.factory(self) if default.takes_self else default.factory()
        return bool(value == default)
