"""Rows that installed packages bring: the entry-point group ``anycompletion.providers``; looked at only when asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from ..errors import ConfigurationError
from .provider import Provider

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "anycompletion.providers"


def installed() -> dict[str, Provider]:
    """The rows of all installed packages by name.

    An entry point names a `Provider`, a list of them, or a function that returns either. Costs a walk over the
    installed distributions, so it is called when a provider is not known otherwise.

    Raises:
        ConfigurationError: an entry point cannot be loaded, or gives something else.
    """
    from importlib.metadata import entry_points  # noqa: PLC0415 (costs an import 5 ms, and few need it)

    rows: dict[str, Provider] = {}
    for entry in entry_points(group=GROUP):
        for row in _rows_of(entry):
            rows.setdefault(row.name, row)
    return rows


def _rows_of(entry: EntryPoint) -> Iterable[Provider]:
    try:
        value: Any = entry.load()
        if callable(value):
            value = value()
    except Exception as fault:  # noqa: BLE001 (somebody else's code may fail in any way)
        reason = f"{type(fault).__name__}: {fault}"
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
