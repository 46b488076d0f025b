"""Descriptions of tools and their parameters out of docstrings."""

from __future__ import annotations

import re

_SECTION = (
    r"(?m)^(?:(?:Args|Arguments|Parameters|Params|Returns?|Yields?|Raises|Examples?)[ \t]*(?::|$)"
    r"|[:@](?:param|parameter|arg|argument|type|returns?|rtype|yields?|raises?)\b)"
)
"""The first line of a section, in the styles of Google, NumPy, Sphinx and Epydoc."""


def tool_description(docstring: str | None) -> str | None:
    """A docstring up to its first section; None if there is nothing."""
    return re.split(_SECTION, docstring, maxsplit=1)[0].strip() or None if docstring else None


def parameter_descriptions(docstring: str | None) -> dict[str, str]:
    """The descriptions of parameters in a docstring of any common style, by name.

    Raises:
        ImportError: the extra ``docstrings`` is not installed.
    """
    try:
        from docstring_parser import parse  # noqa: PLC0415 (an extra, which may be missing)
    except ImportError as error:
        text = "docstrings=True needs docstring-parser: pip install 'anycompletion[docstrings]'"
        raise ImportError(text) from error

    found = parse(docstring or "")
    return {each.arg_name: each.description for each in found.params if each.description}
