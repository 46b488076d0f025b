"""Seeds of all formats. Each module is named for a dialect and defines its `SEEDS`; a new dialect adds one."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules

from ..seed_types import Seeds

SEEDS: Mapping[str, Seeds] = {
    module.name: import_module(f"{__name__}.{module.name}").SEEDS for module in iter_modules(__path__)
}
"""Dialect → its seeds."""
