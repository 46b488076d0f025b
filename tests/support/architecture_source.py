"""Reads a package's modules and their imports out of the source, without importing anything."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

COMPUTED = "?"
"""Name of an import whose module is known at run time only."""


class Import(NamedTuple):
    """One imported module."""

    name: str
    """Absolute and dotted, or `COMPUTED`; of ``from a import b``, ``a.b`` where that is a module of the package."""
    inside: str | None
    """Its name inside the package, None for a library."""
    line: int
    in_function: bool
    type_only: bool
    """Whether it is under ``if TYPE_CHECKING:`` and never runs."""


class Module(NamedTuple):
    """One module of the package; a package's ``__init__.py`` has the package's name, that of the root ``__init__``."""

    name: str
    path: str
    """Relative to the package's folder."""
    tree: ast.Module
    imports: tuple[Import, ...]


def read_package(package_dir: Path) -> dict[str, Module]:
    """All modules of the package by their names."""
    files = {_module_name(path, package_dir): path for path in sorted(package_dir.rglob("*.py"))}
    modules = {}
    for name, path in files.items():
        tree = ast.parse(path.read_text("utf-8"), str(path))
        package = name if path.stem == "__init__" else name.rpartition(".")[0]
        parents = [package_dir.name, *(part for part in package.split(".") if part not in {"", "__init__"})]
        imports = tuple(_imports(tree, parents, files.keys()))
        modules[name] = Module(name, path.relative_to(package_dir).as_posix(), tree, imports)
    return modules


def last_name(node: ast.expr) -> str:
    """The last name of ``a.b.c``, or ""."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _module_name(path: Path, package_dir: Path) -> str:
    parts = path.relative_to(package_dir).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def _imports(tree: ast.Module, parents: list[str], modules: Collection[str]) -> Iterator[Import]:
    """The imports of one module, whose package is `parents`."""
    for node, in_function, type_only in _nodes(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = [*parents[: len(parents) - node.level + 1], node.module or ""] if node.level else [node.module or ""]
            names = [_member(".".join(filter(None, base)), alias.name, parents[0], modules) for alias in node.names]
        elif isinstance(node, ast.Call) and last_name(node.func) in {"__import__", "import_module"}:
            names = [COMPUTED]
        else:
            continue
        for name in names:
            yield Import(name, _inside(name, parents[0]), node.lineno, in_function, type_only)


def _nodes(node: ast.AST, in_function: bool = False, type_only: bool = False) -> Iterator[tuple[ast.AST, bool, bool]]:
    """All nodes, each with whether it is in a function, and whether it is under ``if TYPE_CHECKING:``."""
    yield node, in_function, type_only
    in_function = in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    guarded = set(node.body) if isinstance(node, ast.If) and last_name(node.test) == "TYPE_CHECKING" else set()
    for child in ast.iter_child_nodes(node):
        yield from _nodes(child, in_function, type_only or child in guarded)


def _member(base: str, name: str, package: str, modules: Collection[str]) -> str:
    """The module that ``from base import name`` names: ``base.name`` where that is one of the package, or `base`."""
    member = f"{base}.{name}"
    return member if _inside(member, package) in modules else base


def _inside(name: str, package: str) -> str | None:
    """An absolute name as the name of a module of the package, None for a library."""
    first, _, rest = name.partition(".")
    return (rest or "__init__") if first == package else None
