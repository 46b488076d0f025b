"""The rules of all dialects. Each module is named for a dialect and defines its `RULES`; a new dialect adds one."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules

from ..rule_types import DialectRules

RULES: Mapping[str, DialectRules] = {
    module.name: import_module(f"{__name__}.{module.name}").RULES for module in iter_modules(__path__)
}
"""Dialect → its rules."""
