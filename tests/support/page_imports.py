"""What the Python blocks of a page import, against what the page has its readers install.

Both commands and the text of a page count, such as "It needs ``pip install 'anycompletion[cli]'``". Requirements stand
for all that they require in turn, as installed here.
"""

from __future__ import annotations

import ast
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from support.pages import ROOT, Snippet, snippets_of

_INSTALL = re.compile(r"pip install ((?:'[^']+'|[\w.\[\]<>=,-]+|\s)+)")
_OWN = "anycompletion"


def not_installed(page: Path) -> list[str]:
    """Modules that blocks of a page import, and that neither the page nor a ``needs`` mark has had installed."""
    named = set(_named(page.read_text("utf-8")))
    found: list[str] = []
    for block in snippets_of(page):
        if block.language == "python" and block.is_run and not block.missing:
            there = _with_requirements([_OWN, *named, *block.reasons("needs")])
            found += [f"{block}: {module}" for module in _imports(block) if not _distributions(module) & there]
    return found


def _named(text: str) -> Iterator[str]:
    """Requirements after ``pip install`` in a page."""
    for command in _INSTALL.finditer(text):
        for word in shlex.split(command[1], comments=True):
            try:
                yield str(Requirement(re.sub(r"^\.(?=\[)", _OWN, word)))
            except InvalidRequirement:
                continue  # an option, or a word after the command


def _imports(block: Snippet) -> list[str]:
    """Other libraries that a block imports."""
    nodes = list(ast.walk(ast.parse(block.program)))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    saved = {Path(one.reason("file")).stem for one in snippets_of(ROOT / block.page)}
    return sorted({name.split(".")[0] for name in names} - sys.stdlib_module_names - saved - {_OWN})


@cache
def _modules() -> dict[str, set[str]]:
    return {name: set(map(canonicalize_name, there)) for name, there in packages_distributions().items()}


def _distributions(module: str) -> set[str]:
    """Names of the distributions that have a module."""
    return _modules().get(module, set())


def _with_requirements(names: list[str]) -> set[str]:
    """Names of distributions, with all that they require."""
    found: set[tuple[str, str]] = set()
    left = [Requirement(name) for name in names]
    while left:
        requirement = left.pop()
        name = canonicalize_name(requirement.name)
        for extra in ("", *requirement.extras):
            if (name, extra) not in found:
                found.add((name, extra))
                left += [each for each in _requirements(name) if _applies(each, extra)]
    return {name for name, _ in found}


def _applies(requirement: Requirement, extra: str) -> bool:
    """Whether a distribution requires it here, with that extra."""
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _requirements(name: str) -> list[Requirement]:
    return [Requirement(each) for each in (_own() if name == _OWN else _installed(name))]


@cache
def _installed(name: str) -> list[str]:
    try:
        return requires(name) or []
    except PackageNotFoundError:
        return []


def _own() -> list[str]:
    """This checkout's requirements, in the form of an installed distribution's."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"].items()
    mine: list[str] = project["dependencies"]
    for extra, requirements in extras:
        for each in requirements:
            text, _, marker = each.partition(";")
            mine.append(f"{text}; extra == '{extra}'" + (f" and ({marker})" if marker else ""))
    return mine
