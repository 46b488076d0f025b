"""Tests that the package follows its architecture plan, and that the check finds every kind of violation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from support.architecture import longest_match, unused_entries, violations
from support.architecture_cases import CLEAN, IMPORTS
from support.architecture_plan import PLAN, ArchitecturePlan

Check = Callable[..., list[str]]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[dict[str, str]], Path]:
    """Writes a small package from file names and sources."""

    def write(sources: dict[str, str]) -> Path:
        package = tmp_path / "anycompletion"
        for name, source in sources.items():
            path = package / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        return package

    return write


@pytest.fixture
def check(write: Callable[[dict[str, str]], Path]) -> Check:
    """Builds a small package and returns its violations."""

    def check(sources: dict[str, str], plan: ArchitecturePlan = PLAN) -> list[str]:
        return violations(write(sources), plan)

    return check


@pytest.fixture
def unused(write: Callable[[dict[str, str]], Path]) -> Check:
    """Builds a small package and returns the entries of a plan that nothing in it needs."""

    def unused(sources: dict[str, str], plan: ArchitecturePlan) -> list[str]:
        return unused_entries(write(sources), plan)

    return unused


def test_a_package_that_follows_the_plan_passes(check: Check) -> None:
    """Correct code would be rejected."""
    assert check(CLEAN) == []


@pytest.mark.parametrize("case", IMPORTS)
def test_every_kind_of_wrong_import_is_found_and_nothing_else(check: Check, case: str) -> None:
    """An import that violates the plan would pass, or be reported as another violation."""
    name, source, sentence = IMPORTS[case]
    sources = CLEAN | {name: CLEAN.get(name, "") + source + "\n"}
    line = sources[name].count("\n")
    found = [text for text in check(sources) if ": import cycle: " not in text]  # some of them are cycles as well
    assert found == [f"{name}:{line}: {sentence}"]


OTHERS: dict[str, tuple[dict[str, str], str]] = {
    "module in no layer": ({"utils.py": "import aiohttp"}, "utils.py:1: utils is in no layer"),
    "stub": ({"auth.pyi": ""}, "auth.pyi:1: a stub; annotations are part of the module"),
    "cycle of two": (
        {"cli/a.py": "\nfrom .b import B", "cli/b.py": "from . import a"},
        "cli/a.py:2: import cycle: cli.a -> cli.b -> cli.a",
    ),
    "cycle of three": (
        {"cli/a.py": "from . import b", "cli/b.py": "from . import c", "cli/c.py": "from . import a, b"},
        "cli/a.py:1: import cycle: cli.a -> cli.b -> cli.c -> cli.a",
    ),
    "cycle of a module with itself": ({"cli/a.py": "from .a import b"}, "cli/a.py:1: import cycle: cli.a -> cli.a"),
    "cycle with the package around": (
        {"cli/commands.py": "from . import main"},
        "cli/__init__.py:1: import cycle: cli -> cli.commands -> cli",
    ),
    "cycle through a package's __init__": (
        {"codecs/__init__.py": "from .converters import unstructure"},
        "codecs/__init__.py:1: import cycle: codecs -> codecs.converters -> records -> records.messages -> codecs",
    ),
    "cycle for type checkers": (
        {"cli/a.py": "if TYPE_CHECKING:\n    from .b import B", "cli/b.py": "from . import a"},
        "cli/a.py:2: import cycle: cli.a -> cli.b -> cli.a",
    ),
    "cycle through a function": (
        {"web/a.py": "def f():\n    from . import starlette", "web/starlette.py": "from . import a"},
        "web/a.py:2: import cycle: web.a -> web.starlette -> web.a",
    ),
    "class name": (
        {"testing/faults.py": "\nclass Record: pass"},
        "testing/faults.py:2: Record is also the name of a type in records/base.py:1",
    ),
    "private class name": (
        {"cli/a.py": "class _A: pass", "cli/b.py": "class _A: pass"},
        "cli/b.py:1: _A is also the name of a type in cli/a.py:1",
    ),
    "nested class name": (
        {"testing/faults.py": "class A:\n    class Record: pass"},
        "testing/faults.py:2: Record is also the name of a type in records/base.py:1",
    ),
    "alias name": (
        {"testing/faults.py": "import typing\nRecord: typing.TypeAlias = int"},
        "testing/faults.py:2: Record is also the name of a type in records/base.py:1",
    ),
    "module name": (
        {"testing/journal.py": ""},
        "testing/journal.py:1: testing.journal has the last name of batch.journal",
    ),
    "module name of the seam elsewhere": (
        {"cli/encode.py": "", "web/encode.py": ""},
        "web/encode.py:1: web.encode has the last name of cli.encode",
    ),
    "module name below the seam": (
        {"dialects/a/b/params.py": ""},
        "params.py:1: params has the last name of dialects.a.b.params",
    ),
    "computing __init__": (
        {"web/__init__.py": "import os\nif os.name:\n    X = 1\n__all__ = []\ndef f(): pass"},
        "web/__init__.py:2: an __init__.py has only a docstring, imports, __all__ and __version__ (2 other statements)",
    ),
    "__init__ with a second text": (
        {"web/__init__.py": "'Doc.'\n'More.'"},
        "web/__init__.py:2: an __init__.py has only a docstring, imports, __all__ and __version__",
    ),
    "dialect class": (
        {"dialects/a_chat/stream.py": "class B: pass\nclass ABC: pass\nclass _C: pass"},
        "dialects/a_chat/stream.py:1: B: public classes of a dialect have its format in their names (a)",
    ),
    "aiohttp's reader": (
        {"transport/errors.py": "import aiohttp\ndef f(x: aiohttp.StreamReader): ..."},
        "transport/errors.py:2: StreamReader is for transport.body only",
    ),
    "aiohttp's reader by import": (
        {"transport/errors.py": "from aiohttp.streams import EMPTY_PAYLOAD as e"},
        "transport/errors.py:1: EMPTY_PAYLOAD is for transport.body only",
    ),
    "member of the connector": (
        {"transport/errors.py": "import aiohttp\ndef f(x):\n    return x.y._conns.z"},
        "transport/errors.py:3: _conns is for transport.connector, transport.http1 only",
    ),
    "member of the connector overridden": (
        {"transport/errors.py": "import aiohttp\nclass A:\n    async def _release(self): ..."},
        "transport/errors.py:3: _release is for transport.connector, transport.http1 only",
    ),
}
"""Case → files that are added or replaced, and what the check reports."""


@pytest.mark.parametrize("case", OTHERS)
def test_every_other_kind_of_violation_is_found_and_nothing_else(check: Check, case: str) -> None:
    """A violation of the plan would pass, or be reported as another one."""
    sources, violation = OTHERS[case]
    assert check(CLEAN | sources) == [violation]


ALLOWED: dict[str, dict[str, str]] = {
    "type variables with the name of a class": {"cli/a.py": "from typing import TypeVar\nRecord = TypeVar('Record')"},
    "modules of the seam": {
        **{f"dialects/{name}/{module}.py": "" for name in ("a", "b") for module in ("encode", "decode", "errors")},
        **{f"testing/formats/{name}/{module}.py": "" for name in ("a", "b") for module in ("encode", "validate")},
    },
    "asyncio's reader": {"cli/a.py": "import asyncio\nasyncio.StreamReader"},
    "asyncio's reader beside aiohttp": {"web/a.py": "import asyncio, aiohttp\nasyncio.StreamReader"},
    "private members of other classes": {"auth.py": "class A:\n    def _release(self): self._get"},
    "longest entry of the identifiers": {
        "testing/a.py": "import aiohttp\nclass A:\n    def _create_connection(self): ..."
    },
    "a type of a higher layer, by exception": {
        "records/completion.py": "",
        "errors.py": "if TYPE_CHECKING:\n    from .records.completion import C",
    },
    "imports for type checkers without a cycle": {"streaming/a.py": "if TYPE_CHECKING:\n    from ..calls import Call"},
}
"""Case → files that are added or replaced."""


@pytest.mark.parametrize("case", ALLOWED)
def test_what_the_plan_allows_passes(check: Check, case: str) -> None:
    """Correct code would be rejected."""
    assert check(CLEAN | ALLOWED[case]) == []


def test_a_class_name_can_be_exempt(check: Check) -> None:
    """An exception with a reason could not be stated."""
    sources = CLEAN | {"testing/faults.py": "class Record: pass"}
    assert check(sources, PLAN._replace(duplicate_names={"Record": "why"})) == []


NOTHING = ArchitecturePlan(
    public_users={"web": {}, "cli": {"testing": ""}, "integrations": {}, "testing": {}, "__main__": {"cli": ""}},
    same_layer={},
    libraries={"aiohttp": {"transport": ""}},
    type_only_libraries={},
    type_only_modules={},
    function_imports={},
    computed_imports={},
    dialect_names={},
    duplicate_names={},
    duplicate_modules={},
    identifiers={},
)
"""A plan whose exceptions are all needed by `NEEDS_NOTHING`."""

NEEDS_NOTHING = {
    "__main__.py": "from .cli import main",
    "cli/a.py": "from ..testing import b",
    "testing/b.py": "",
    "transport/c.py": "import aiohttp",
    "records/b.py": "",
}

UNUSED: dict[str, tuple[ArchitecturePlan, str]] = {
    "public user": (
        NOTHING._replace(public_users={**NOTHING.public_users, "web": {"errors": ""}}),
        "public_users: nothing needs web, errors",
    ),
    "same layer": (
        NOTHING._replace(same_layer={"redaction": {"http": ""}}),
        "same_layer: nothing needs redaction, http",
    ),
    "library": (
        NOTHING._replace(libraries={"aiohttp": {"transport": "", "web": ""}}),
        "libraries: nothing needs aiohttp, web",
    ),
    "longer entry": (
        NOTHING._replace(libraries={"aiohttp": {"transport": "", "transport.c": ""}}),
        "libraries: nothing needs aiohttp, transport",
    ),
    "type-only library": (
        NOTHING._replace(type_only_libraries={"aiohttp": {"client": ""}}),
        "type_only_libraries: nothing needs aiohttp, client",
    ),
    "type-only module": (
        NOTHING._replace(type_only_modules={"errors": {"records.b": ""}}),
        "type_only_modules: nothing needs errors, records.b",
    ),
    "import in a function": (
        NOTHING._replace(function_imports={"cli": {"rich": ""}}),
        "function_imports: nothing needs cli, rich",
    ),
    "computed import": (NOTHING._replace(computed_imports={"auth": ""}), "computed_imports: nothing needs auth"),
    "class name": (NOTHING._replace(duplicate_names={"A": ""}), "duplicate_names: nothing needs A"),
    "module name": (
        NOTHING._replace(duplicate_modules={"testing.b": "", "cli.a": ""}),
        "duplicate_modules: nothing needs cli.a",
    ),
}
"""Case → a plan with one exception that nothing needs, and what is reported."""


@pytest.mark.parametrize("case", UNUSED)
def test_an_exception_that_nothing_needs_is_found(unused: Check, case: str) -> None:
    """An exception of the plan that the package no longer needs would stay."""
    plan, sentence = UNUSED[case]
    assert unused(NEEDS_NOTHING, plan) == [sentence]


def test_an_exception_that_something_needs_is_not_reported(unused: Check) -> None:
    """An exception that the package needs would be reported as unneeded."""
    assert unused(NEEDS_NOTHING, NOTHING._replace(duplicate_modules={"testing.b": ""})) == []


def test_the_plan_is_consistent() -> None:
    """A package in two layers would be in the higher one, and the tables could name what is in no layer."""
    layers = [entry for layer in PLAN.layers for entry in layer]
    level = {entry: number for number, layer in enumerate(PLAN.layers) for entry in layer}
    named = {
        *PLAN.never,
        *PLAN.type_only_modules,
        *PLAN.function_imports,
        *PLAN.computed_imports,
        *PLAN.duplicate_modules,
    }
    for table in (PLAN.never, PLAN.same_layer, PLAN.type_only_modules, PLAN.public_users):
        named |= {name for entries in table.values() for name in entries}
    for table in (PLAN.libraries, PLAN.type_only_libraries, PLAN.identifiers):
        named |= {name for entries in table.values() for name in entries}
    assert len(layers) == len(set(layers))
    assert [name for name in named if longest_match(name, layers) is None] == []
    assert all(level[name] == level[other] for name, others in PLAN.same_layer.items() for other in others)
    assert set(PLAN.public_users) == set(PLAN.layers[-1])
    assert not PLAN.free_libraries & (PLAN.libraries.keys() | PLAN.type_only_libraries.keys())


def test_the_package_follows_the_plan(project: Path) -> None:
    """An import from a higher layer, a library in another module, an import cycle or a duplicate name would pass."""
    assert violations(project / "lib" / "anycompletion") == []


def test_the_package_needs_every_exception_of_the_plan(project: Path) -> None:
    """An exception of the plan that the package no longer needs would stay."""
    assert unused_entries(project / "lib" / "anycompletion") == []
