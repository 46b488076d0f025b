"""The plan of the package as data, and the check that its imports follow it.

The rooms of `FLOORS` stand from the ground up: an import goes down, never up, and rooms of one floor are strangers
unless `NEIGHBOURS` says otherwise. A library enters by the rooms `DOORS` names for it. What stands under
``if TYPE_CHECKING:`` never runs, so it is exempt; what stands inside a function does run, so it counts. A menu that
loads its names when they are asked for has a stub, and that is read as well.
"""

import ast
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

GROUND = ("errors", "lenient", "logs", "options", "wire", "records", "chunks")
FRONT_DOOR = ("client", "__init__")
PORCHES = ("testing", "web", "integrations", "cli", "__main__")

FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "lenient", "logs"),
    ("options",),
    ("wire",),
    ("records",),
    ("chunks",),
    ("convert",),
    ("framing", "validate", "auth", "accumulate", "retry", "limits", "transport"),
    ("dialects",),
    ("dialects.*",),
    ("providers",),
    ("call",),
    ("relay",),
    ("stream", "fanout", "journal", "batch"),
    ("middleware",),
    ("client",),
    ("workers",),
    ("__init__",),
    PORCHES,
)

NEIGHBOURS = frozenset({("fanout", "stream"), ("batch", "journal")})
"""(who, whom): imports along one floor that the plan allows."""

DIALECTS_NEVER = ("transport", "retry", "limits", "auth")

NEVER = {
    ("transport", "records"): "the transport carries bytes and does not know what a chat is",
    **{("dialects.*", room): "a dialect is pure and leaves sending to others" for room in DIALECTS_NEVER},
}
"""(who, whom) → why not, although the floors would allow it."""

PORCH_MAY = frozenset({*FRONT_DOOR, *GROUND, "accumulate", "auth", "batch", "framing", "testing", "workers"})
"""All that a porch may use."""

PORCH_PAIRS = frozenset({("__main__", "cli")})
"""`python -m anycompletion` is the command line by another name."""

_HTTP = frozenset({"transport", "testing", "web", "cli"})

DOORS: dict[str, frozenset[str]] = {
    "aiohttp": _HTTP,
    "anyio": frozenset({"batch", "web", "testing", "cli", "client", "fanout"}),
    "cattrs": frozenset({"convert", "validate"}),
    "cyclopts": frozenset({"cli"}),
    "genai_prices": frozenset({"integrations"}),
    "redis": frozenset({"integrations"}),
    "throttled": frozenset({"integrations"}),
    "msgspec": frozenset({"convert", "chunks", "framing"}),
    "opentelemetry": frozenset({"integrations"}),
    "pytest": frozenset({"testing"}),
    "rich": frozenset({"cli"}),
    "starlette": frozenset({"web"}),
    "uvloop": frozenset({"testing"}),
    "yarl": _HTTP,  # aiohttp's own type of URLs
}
"""Library → the rooms it may enter by; a library that is neither here nor in `FREE` may not enter at all."""

FREE = frozenset({"attr", "attrs"}) | sys.stdlib_module_names

_COMPUTED = ("?",)

_LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}


class Import(NamedTuple):
    """One imported module: absolute, as dotted parts, and the line it stands on."""

    parts: tuple[str, ...]
    line: int


def check(package_dir: Path) -> list[str]:
    """Every way in which the package in `package_dir` leaves the plan, as sentences that begin with file:line."""
    package = package_dir.name
    modules = {_module(path, package_dir): path for path in sorted(package_dir.rglob("*.py"))}
    found: list[str] = []
    stubs = {_module(path, package_dir): path for path in sorted(package_dir.rglob("*.pyi"))}
    for parts, path in (*modules.items(), *stubs.items()):
        where = path.relative_to(package_dir).as_posix()
        room = _room(parts)
        if _plan(room) not in _LEVEL:
            found.append(f"{where}:1: {room} is no room of the plan")
            continue
        for imported in _imports(path, parts, package, modules.keys()):
            if imported.parts == _COMPUTED and parts in stubs:
                continue
            fault = _fault(room, imported.parts, package)
            if fault:
                found.append(f"{where}:{imported.line}: {fault}")
    return found


def _module(path: Path, package_dir: Path) -> tuple[str, ...]:
    """A file as a module of the package: ``()`` is the package itself."""
    parts = path.relative_to(package_dir).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def _room(parts: tuple[str, ...]) -> str:
    """The room a module belongs to; a module of a package inside a room belongs to that room."""
    if not parts:
        return "__init__"
    return ".".join(parts[: 2 if parts[0] == "dialects" else 1])


def _plan(room: str) -> str:
    """The name under which the plan speaks of a room."""
    return "dialects.*" if room.startswith("dialects.") else room


# --- reading -----------------------------------------------------------------------------------------------------


def _imports(
    path: Path, parts: tuple[str, ...], package: str, modules: Collection[tuple[str, ...]]
) -> Iterator[Import]:
    inside = parts if path.stem == "__init__" else parts[:-1]
    for node in _running(ast.parse(path.read_text("utf-8"), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(tuple(alias.name.split(".")), node.lineno)
        elif isinstance(node, ast.ImportFrom):
            base = tuple(node.module.split(".")) if node.module else ()
            if node.level:
                base = (package, *inside[: len(inside) - node.level + 1], *base)
            for alias in node.names:
                member = (*base, alias.name)
                is_module = base[0] == package and member[1:] in modules
                yield Import(member if is_module else base, node.lineno)
        elif isinstance(node, ast.Call) and _name(node.func) in {"__import__", "import_module"}:
            yield Import(_COMPUTED, node.lineno)


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """Every node that may run: all but what stands under ``if TYPE_CHECKING:``."""
    yield node
    if isinstance(node, ast.If) and _name(node.test) == "TYPE_CHECKING":
        below: list[ast.AST] = list(node.orelse)
    else:
        below = list(ast.iter_child_nodes(node))
    for child in below:
        yield from _running(child)


def _name(node: ast.expr) -> str:
    """The last name of ``a.b.c``, or ""."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


# --- judging -----------------------------------------------------------------------------------------------------


def _fault(room: str, imported: tuple[str, ...], package: str) -> str | None:
    if imported == _COMPUTED:
        return f"{room} imports by a computed name, which this check cannot see"
    if imported[0] != package:
        return _door_fault(room, imported[0])
    return _room_fault(room, _room(imported[1:]))


def _door_fault(room: str, library: str) -> str | None:
    if library in FREE or room in DOORS.get(library, ()):
        return None
    if library not in DOORS:
        return f"{room} imports {library}, which is no library of the plan"
    return f"{room} imports {library}, which only enters by {', '.join(sorted(DOORS[library]))}"


def _room_fault(room: str, target: str) -> str | None:
    who, whom = _plan(room), _plan(target)
    if room == target or (who, whom) in NEIGHBOURS | PORCH_PAIRS:
        return None
    if whom not in _LEVEL:
        return f"{room} imports {target}, which is no room of the plan"
    if (who, whom) in NEVER:
        return f"{room} imports {target}: {NEVER[who, whom]}"
    if who in PORCHES:
        return None if whom in PORCH_MAY else f"{room} imports {target}: a porch uses the front door and testing only"
    if _LEVEL[whom] > _LEVEL[who]:
        return f"{room} imports {target}, which stands above it"
    if _LEVEL[whom] == _LEVEL[who]:
        return f"{room} imports {target}: strangers on one floor"
    return None
