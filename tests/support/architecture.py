"""Checks the package against its plan: layers, libraries, cycles, names, and where imports may be.

The plan is data, in `architecture_plan`. `violations` lists each place that departs from the plan, `unused_entries`
each exception of the plan that nothing needs. Imports under ``if TYPE_CHECKING:`` and imports inside functions count as
all others do: a type that a lower layer needs from a higher one is in the wrong layer.

Command line: ``PYTHONPATH=tests python -m support.architecture`` prints both.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict, deque
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from support.architecture_plan import PLAN, ArchitecturePlan
from support.architecture_source import COMPUTED, Import, Module, last_name, read_package

_RESTRICTIONS = frozenset({"layers", "never", "free_libraries", "identifiers"})
"""Tables of the plan whose entries forbid, or name what is still to come: nothing has to need them."""


class Violation(NamedTuple):
    """One violation of the plan."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


def violations(package_dir: Path, plan: ArchitecturePlan = PLAN) -> list[str]:
    """Violations of the plan by the package in `package_dir`, as ``file:line: sentence``."""
    return [str(found) for found in sorted(set(_Check(package_dir, plan).run()))]


def unused_entries(package_dir: Path, plan: ArchitecturePlan = PLAN) -> list[str]:
    """Exceptions of the plan that no module of the package needs."""
    check = _Check(package_dir, plan)
    for _ in check.run():
        pass
    return sorted(f"{table}: nothing needs {', '.join(entry)}" for table, *entry in _entries(plan) - check.used)


class _Check:
    """One run of all rules over one package; it notes which entries of the plan allowed something."""

    def __init__(self, package_dir: Path, plan: ArchitecturePlan) -> None:
        self._dir = package_dir
        self._plan = plan
        self._modules = read_package(package_dir)
        self._level = {entry: level for level, entries in enumerate(plan.layers) for entry in entries}
        self.used: set[tuple[str, ...]] = set()

    def run(self) -> Iterator[Violation]:
        for path in sorted(self._dir.rglob("*.pyi")):
            yield Violation(path.relative_to(self._dir).as_posix(), 1, "a stub; annotations are part of the module")
        for module in self._modules.values():
            if longest_match(module.name, self._level) is None:
                yield Violation(module.path, 1, f"{module.name} is in no layer")
                continue
            for line, text in self._module_faults(module):
                yield Violation(module.path, line, text)
        yield from self._cycles()
        yield from self._duplicate_names()
        yield from self._duplicate_modules()

    def _module_faults(self, module: Module) -> Iterator[tuple[int, str]]:
        for imported in module.imports:
            for text in self._import_faults(module.name, imported):
                yield imported.line, text
        yield from self._identifier_faults(module)
        yield from _init_faults(module)
        yield from self._dialect_faults(module)

    def _dialect_faults(self, module: Module) -> Iterator[tuple[int, str]]:
        """Public classes of a dialect without the name of its format."""
        parts = module.name.split(".")
        if parts[0] != "dialects" or len(parts) == 1 or parts[1] == "base":
            return
        word = parts[1].partition("_")[0]
        for node in module.tree.body:
            if not isinstance(node, ast.ClassDef) or node.name.startswith("_") or word in node.name.lower():
                continue
            if not self._allowed("dialect_names", node.name):
                yield node.lineno, f"{node.name}: public classes of a dialect have its format in their names ({word})"

    # --- imports -------------------------------------------------------------------------------------------------

    def _import_faults(self, name: str, imported: Import) -> Iterator[str]:
        if imported.name == COMPUTED:
            if not self._allowed("computed_imports", name):
                yield f"{name} imports by a computed name, which this check cannot follow"
            return
        if imported.in_function and not self._allowed("function_imports", name, imported.name):
            yield f"{name} imports {imported.inside or imported.name} inside a function"
        if imported.inside is None:
            yield from self._library_faults(name, imported)
        else:
            yield from self._layer_faults(name, imported.inside, imported.type_only)

    def _library_faults(self, name: str, imported: Import) -> Iterator[str]:
        library = imported.name.partition(".")[0]
        if library in self._plan.free_libraries or self._allowed("libraries", library, name):
            return
        may_import = self._plan.libraries.get(library, {})
        if longest_match(name, self._plan.type_only_libraries.get(library, ())) is not None:
            if not imported.type_only:
                yield f"{name} imports {library}, which it may import under TYPE_CHECKING only"
            else:
                self._allowed("type_only_libraries", library, name)
        elif may_import:
            yield f"{name} imports {library}, which only {', '.join(sorted(may_import))} may import"
        else:
            yield f"{name} imports {library}, which is no library of the plan"

    def _layer_faults(self, name: str, imported: str, type_only: bool) -> Iterator[str]:
        layer, other = longest_match(name, self._level), longest_match(imported, self._level)
        assert layer is not None
        if other is None:
            yield f"{name} imports {imported}, which is in no layer"
        elif _package(name, layer) == _package(imported, other):
            return
        elif reason := self._forbidden(name, imported):
            yield f"{name} imports {imported}: {reason}"
        elif layer in self._plan.public_users:
            if imported != "__init__" and not self._allowed("public_users", layer, imported):
                may_import = ", ".join(["the package itself", *sorted(self._plan.public_users[layer])])
                yield f"{name} imports {imported}; it may import {may_import}"
        elif self._level[other] > self._level[layer]:
            if type_only and self._allowed("type_only_modules", name, imported):
                return
            yield f"{name} imports {imported}, which is in a higher layer"
        elif self._level[other] == self._level[layer] and not self._allowed("same_layer", name, imported):
            yield f"{name} imports {imported}, which is in the same layer"

    def _forbidden(self, name: str, imported: str) -> str | None:
        """Why the plan forbids an import that the layers allow."""
        never = self._plan.never.get(longest_match(name, self._plan.never) or "", {})
        return never.get(longest_match(imported, never) or "")

    # --- cycles --------------------------------------------------------------------------------------------------

    def _cycles(self) -> Iterator[Violation]:
        """For each module that is in an import cycle and in none of those before: its shortest one."""
        edges = {name: self._edges(module) for name, module in self._modules.items()}
        reported: set[str] = set()
        for name in sorted(edges):
            cycle = [] if name in reported else _shortest_cycle(name, edges)
            if cycle:
                reported.update(cycle)
                text = f"import cycle: {' -> '.join([*cycle, name])}"
                yield Violation(self._modules[name].path, edges[name][(cycle[1:] or cycle)[0]], text)

    def _edges(self, module: Module) -> dict[str, int]:
        """Module that is imported → the first line that does so.

        An import that runs when the module does also runs the ``__init__`` of each package around the imported module,
        except those that are being imported already. Types that the plan allows a lower layer to import are no edges.
        """
        edges: dict[str, int] = {}
        types = self._plan.type_only_modules.get(module.name, {})
        for imported in module.imports:
            if imported.type_only and imported.inside in types:
                continue
            names = {imported.inside or ""}
            if imported.inside and not imported.in_function and not imported.type_only:
                names.update(set(_around(imported.inside)).difference(_around(module.name), {module.name}))
            for name in names & self._modules.keys():
                edges.setdefault(name, imported.line)
        return edges

    # --- names ---------------------------------------------------------------------------------------------------

    def _duplicate_names(self) -> Iterator[Violation]:
        first: dict[str, str] = {}
        for module in self._modules.values():
            for name, line in _defined_types(module.tree):
                where = first.setdefault(name, f"{module.path}:{line}")
                if where != f"{module.path}:{line}" and not self._allowed("duplicate_names", name):
                    yield Violation(module.path, line, f"{name} is also the name of a type in {where}")

    def _duplicate_modules(self) -> Iterator[Violation]:
        same: defaultdict[str, list[Module]] = defaultdict(list)
        for module in self._modules.values():
            same[module.name.rpartition(".")[2]].append(module)
        for modules in same.values():
            if len(modules) > 1:
                rest = [module for module in modules if not self._may_share_its_name(module.name)]
                for module in rest[1:]:
                    yield Violation(module.path, 1, f"{module.name} has the last name of {rest[0].name}")

    def _may_share_its_name(self, name: str) -> bool:
        parts = name.split(".")
        for pattern in self._plan.duplicate_modules:
            wanted = pattern.split(".")
            if len(wanted) == len(parts) and all(w in {"*", part} for w, part in zip(wanted, parts, strict=True)):
                return self._allowed("duplicate_modules", pattern)
        return False

    def _identifier_faults(self, module: Module) -> Iterator[tuple[int, str]]:
        """Members of aiohttp that the plan reserves for other modules."""
        if not any(imported.name.partition(".")[0] == "aiohttp" for imported in module.imports):
            return
        for node in ast.walk(module.tree):
            for name in _member_names(node):
                may_name = self._plan.identifiers.get(name)
                if may_name and not self._allowed("identifiers", name, module.name):
                    yield getattr(node, "lineno", 0), f"{name} is for {', '.join(sorted(may_name))} only"

    # --- entries of the plan -------------------------------------------------------------------------------------

    def _allowed(self, table: str, *names: str) -> bool:
        """Whether the entries of `table` cover `names`, one in another; notes which entry was needed."""
        entries: Any = getattr(self._plan, table)
        needed = [table]
        for name in names:
            entry = longest_match(name, entries)
            if entry is None:
                return False
            needed.append(entry)
            entries = entries[entry]
        self.used.add(tuple(needed))
        return True


def longest_match(name: str, entries: Collection[str]) -> str | None:
    """The longest of the entries that cover a dotted name: ``a.b`` and ``a.*`` cover ``a.b`` and all below it."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        for entry in (".".join(parts[:end]), ".".join([*parts[: end - 1], "*"])):
            if entry in entries:
                return entry
    return None


def _entries(plan: ArchitecturePlan) -> set[tuple[str, ...]]:
    """All entries of the plan that are exceptions to a rule: the table and its one or two keys."""
    return {
        (table, key, *inner)
        for table in set(ArchitecturePlan._fields) - _RESTRICTIONS
        for key, value in getattr(plan, table).items()
        for inner in ([()] if isinstance(value, str) else [(name,) for name in value])
    }


def _package(name: str, entry: str) -> str:
    """The package or module that an entry of the layers stands for: ``dialects.*`` is a package per format."""
    return ".".join(name.split(".")[: entry.count(".") + 1])


def _around(name: str) -> list[str]:
    """The packages that a module is in, the root's ``__init__`` excepted."""
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]


def _shortest_cycle(start: str, edges: Mapping[str, Collection[str]]) -> list[str]:
    """The modules of the shortest way from `start` back to it, in order; none where there is no way."""
    paths = deque([[start]])
    seen: set[str] = set()
    while paths:
        path = paths.popleft()
        for name in edges[path[-1]]:
            if name == start:
                return path
            if name not in seen:
                seen.add(name)
                paths.append([*path, name])
    return []


# --- rules for one module ----------------------------------------------------------------------------------------


def _init_faults(module: Module) -> Iterator[tuple[int, str]]:
    """Statements of an ``__init__.py`` other than the docstring, imports, ``__all__`` and ``__version__``.

    Imports may differ for type checkers.
    """
    if not module.path.endswith("__init__.py"):
        return
    others = [node.lineno for index, node in enumerate(module.tree.body) if not _re_exports(node, first=index == 0)]
    if others:
        count = f" ({len(others)} other statements)" if len(others) > 1 else ""
        yield others[0], f"an __init__.py has only a docstring, imports, __all__ and __version__{count}"


def _re_exports(node: ast.stmt, *, first: bool) -> bool:
    if isinstance(node, ast.Expr):
        return first and isinstance(node.value, ast.Constant)
    if isinstance(node, ast.Assign):
        return {last_name(target) for target in node.targets} <= {"__all__", "__version__"}
    if isinstance(node, ast.If) and last_name(node.test) == "TYPE_CHECKING":
        return all(isinstance(each, ast.Import | ast.ImportFrom) for each in (*node.body, *node.orelse))
    return isinstance(node, ast.Import | ast.ImportFrom)


def _defined_types(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Names and lines of all classes and type aliases of a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.AnnAssign) and last_name(node.annotation) == "TypeAlias":
            yield last_name(node.target), node.lineno
        elif type(node).__name__ == "TypeAlias":  # the statement ``type X = ...`` of Python 3.12
            yield node.name.id, node.lineno  # type: ignore[attr-defined]


def _member_names(node: ast.AST) -> Iterator[str]:
    """Names that are accessed as attributes, imported from aiohttp, or defined as functions; not those of asyncio."""
    if isinstance(node, ast.Attribute) and last_name(node.value) != "asyncio":
        yield node.attr
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield node.name
    elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "aiohttp":
        yield from (alias.name for alias in node.names)


if __name__ == "__main__":
    package = Path(__file__).parents[2] / "lib" / "anycompletion"
    sys.stdout.writelines(f"{text}\n" for text in (*violations(package), *unused_entries(package)))
