"""The formats of recorded traffic. Each module is named for a dialect and defines its `FORMAT`; a format adds one."""

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules

from conformance.recorded_format import RecordedFormat

FORMATS: Mapping[str, RecordedFormat] = {
    module.name: import_module(f"{__name__}.{module.name}").FORMAT for module in iter_modules(__path__)
}
"""Dialect → its format."""
