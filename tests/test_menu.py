"""The menu: what `import anycompletion` offers, and how little it loads."""

import ast
import importlib
import inspect
import modulefinder
import operator
import subprocess
import sys
from pathlib import Path

import pytest

import anycompletion

STUB = ast.parse(Path(inspect.getfile(anycompletion)).with_suffix(".pyi").read_text("utf-8"))

SAID = {alias.name: node.module for node in STUB.body if isinstance(node, ast.ImportFrom) for alias in node.names}
"""Public name → the module it comes from, as type checkers read it."""


def loaded(code: str) -> set[str]:
    """The top modules, and ours, that a fresh process has after running `code`."""
    script = f"import sys; before = {{*sys.modules}}; {code}; print(*({{*sys.modules}} - before))"
    names = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    return {name if name.startswith("anycompletion.") else name.partition(".")[0] for name in names}


def test_the_stub_says_what_there_is() -> None:
    """Type checkers would know names that do not exist, or others than the program."""
    assert sorted(SAID) == anycompletion.__all__
    for name, module in SAID.items():
        assert getattr(anycompletion, name) is getattr(importlib.import_module(f"anycompletion.{module}"), name), name


def test_all_names_can_be_imported_at_once() -> None:
    """`from anycompletion import *` would find nothing, and completion in a shell would offer nothing."""
    names: dict[str, object] = {}
    exec("from anycompletion import *", names)
    assert {*anycompletion.__all__} <= names.keys()
    assert {*anycompletion.__all__, "__version__"} <= {*dir(anycompletion)}


def test_a_name_that_is_not_there_is_refused() -> None:
    """A misspelt name would end in an error that speaks of modules, or in none."""
    with pytest.raises(AttributeError, match="module 'anycompletion' has no attribute 'AsyncCompletions'"):
        operator.attrgetter("AsyncCompletions")(anycompletion)
    with pytest.raises(ImportError, match="cannot import name 'AsyncCompletions'"):
        exec("from anycompletion import AsyncCompletions")


def test_the_package_alone_loads_no_library() -> None:
    """A program that only asks for the version, or for an error, would pay for aiohttp."""
    assert (
        loaded("import anycompletion") & {"aiohttp", "attrs", "attr", "cattrs", "msgspec", "anyio", "asyncio"} == set()
    )
    assert loaded("from anycompletion import RateLimitError") & {"aiohttp", "msgspec", "anyio"} == set()


def test_a_client_that_is_not_made_loads_little() -> None:
    """The import of the client would cost much more than that of aiohttp."""
    assert (
        loaded("from anycompletion import AsyncCompletion")
        & {
            "anyio",
            "cattrs",
            "msgspec",
            "anycompletion.call",
            "anycompletion.records",
            "anycompletion.validate",
        }
        == set()
    )


def test_the_first_client_does_not_load_aiohttp() -> None:
    """Making a client in a running event loop would stop everything for as long as aiohttp takes to load."""
    assert "aiohttp" in loaded("from anycompletion import AsyncCompletion")
    assert "aiohttp" not in loaded(
        "import anycompletion.client.door; before = {*sys.modules}; anycompletion.AsyncCompletion()"
    )


def test_the_modules_of_public_names_are_there_too() -> None:
    """`except anycompletion.errors.RateLimitError` would work or not, depending on what ran before."""
    code = "import anycompletion; print(anycompletion.errors.RateLimitError is anycompletion.RateLimitError)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"True\n"


def test_programs_that_look_for_imports_find_them(tmp_path: Path) -> None:
    """An app that is packed into one file would lack most of the package."""
    script = tmp_path / "app.py"
    script.write_text("from anycompletion import AsyncCompletion")
    finder = modulefinder.ModuleFinder(path=[str(Path(inspect.getfile(anycompletion)).parents[1])])
    finder.run_script(str(script))
    assert {f"anycompletion.{module}" for module in SAID.values()} <= finder.modules.keys()
    assert {"anycompletion.client.desk", "anycompletion.dialects.openai_chat"} <= finder.modules.keys()
