"""Prints the minimum version of each dependency of the package and of its extras for users, as requirements of pip.

``pip install $(python tests/support/minimum_versions.py)`` installs them.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

FOR_DEVELOPERS = frozenset({"test", "conformance"})
"""Extras whose minimums are not tested: their tools are installed in their newest versions."""

NEEDS_NEWER = frozenset({"mcp"})
"""Extras that need newer versions of the package's other dependencies than the minimums of those."""

_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+(?:\[[\w,-]+\])?)>=(?P<version>[\w.]+)(?:,<[\w.]+)?")


def minimum_versions(pyproject: Mapping[str, Any]) -> Iterator[str]:
    """The minimums that a pyproject.toml declares: ``name==version``.

    Raises:
        ValueError: a dependency has no minimum.
    """
    project = pyproject["project"]
    declared = list(project["dependencies"])
    for extra, requirements in project.get("optional-dependencies", {}).items():
        if extra not in FOR_DEVELOPERS | NEEDS_NEWER:
            declared += requirements
    for requirement in declared:
        found = _REQUIREMENT.fullmatch(requirement)
        if found is None:
            raise ValueError(f"no minimum version: {requirement}")
        yield f"{found['name']}=={found['version']}"


if __name__ == "__main__":
    sys.stdout.writelines(
        f"{each}\n" for each in minimum_versions(tomllib.loads((ROOT / "pyproject.toml").read_text()))
    )
