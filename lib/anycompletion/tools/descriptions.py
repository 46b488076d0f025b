"""Descriptions of tools out of docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

_SECTION = (
    r"(?m)^[ \t]*(?:(?:Args|Arguments|Parameters|Params|Returns?|Raises|Examples?|Yields|Notes?|Attributes"
    r"|Keyword Args|Other Parameters|Warns|See Also)[ \t]*:?[ \t]*$|:(?:param|type|returns?|rtype|raises)\b)"
)


def description_of(function: Callable[..., Any]) -> str | None:
    """The docstring of a function up to its first section; None if there is none."""
    text = inspect.getdoc(function)
    if not text:
        return None
    return re.split(_SECTION, text, maxsplit=1)[0].strip() or None


def parameter_descriptions(function: Callable[..., Any]) -> dict[str, str]:
    """The descriptions of parameters in a docstring of any common style, by name.

    Raises:
        ImportError: the extra ``docstrings`` is not installed.
    """
    from docstring_parser import parse  # noqa: PLC0415 (an extra, which may be missing)

    found = parse(inspect.getdoc(function) or "")
    return {each.arg_name: each.description for each in found.params if each.description}
