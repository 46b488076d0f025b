"""Providers of installed packages: the entry-point group ``anycompletion.providers``, read on demand only."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import attrs

from ..errors import ConfigurationError
from .provider import Provider

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "anycompletion.providers"


@functools.cache
def installed() -> Mapping[str, Provider]:
    """The providers of all installed packages by name; none of them is chosen for a bare model name.

    An entry point is a `Provider`, a list of them, or a function that returns either. This reads the metadata of all
    installed distributions, and imports the packages that have providers; so it is called only when a provider is not
    known otherwise, and once in a process.

    Raises:
        ConfigurationError: an entry point cannot be loaded, or is something else.
    """
    from importlib.metadata import entry_points  # noqa: PLC0415 (takes 4 ms, and few programs need it)

    rows: dict[str, Provider] = {}
    for entry in entry_points(group=GROUP):
        for row in _rows_of(entry):
            rows.setdefault(row.name, attrs.evolve(row, prefixes=()))
    return MappingProxyType(rows)


def _rows_of(entry: EntryPoint) -> Iterable[Provider]:
    try:
        value: Any = entry.load()
        if callable(value):
            value = value()
    except Exception as exc:  # noqa: BLE001 (code of other packages can raise anything)
        reason = f"{type(exc).__name__}: {exc}"
    else:
        rows = (value,) if isinstance(value, Provider) else value
        if isinstance(rows, Mapping):
            rows = cast("Mapping[str, Any]", rows).values()
        if isinstance(rows, Iterable):
            found = list(cast("Iterable[Any]", rows))
            if all(isinstance(row, Provider) for row in found):
                return found
        reason = f"it gives {type(value).__name__}, not a Provider or a list of them"
    raise ConfigurationError(f"the installed provider {entry.name!r} ({entry.value}) does not load: {reason}")
