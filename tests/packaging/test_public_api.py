"""Tests that the public names are complete, importable, and cheap to import."""

from __future__ import annotations

import importlib
import inspect
import modulefinder
import subprocess
import sys
from pathlib import Path

import pytest

import anycompletion

EXTRAS = (
    "botocore",
    "cyclopts",
    "docstring_parser",
    "google",
    "mcp",
    "opentelemetry",
    "redis",
    "rich",
    "starlette",
    "throttled",
)
"""Libraries that only extras install."""

EXPENSIVE = (
    *(
        "anycompletion.batch",
        "anycompletion.caching",
        "anycompletion.cli",
        "anycompletion.routing",
        "anycompletion.structured",
        "anycompletion.testing",
        "anycompletion.tools",
    ),
    *("anycompletion.web", "anyio", "cattrs"),
)
"""Modules whose import takes more than 2 ms and that not every program needs."""


def loaded_by(code: str) -> set[str]:
    """Modules loaded in a fresh interpreter after `code`."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"], capture_output=True, check=True, text=True
    )
    return set(done.stdout.split())


def test_every_public_name_is_listed_once_and_exists() -> None:
    """`from anycompletion import *` would fail, or leave a public name out."""
    names = anycompletion.__all__
    assert len(set(names)) == len(names)
    assert [name for name in names if not hasattr(anycompletion, name)] == []
    assert set(names) <= set(dir(anycompletion))
    exported = {
        name for name, value in vars(anycompletion).items() if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert exported == set(names)


SUB_PACKAGES = (
    "batch",
    "caching",
    "integrations.aws",
    "integrations.google",
    "integrations.litellm",
    "integrations.mcp",
    "integrations.otel",
    "integrations.prices",
    "integrations.redis",
    "routing",
    "structured",
    "testing",
    "tools",
    "web",
    "workers",
)


@pytest.mark.parametrize("name", SUB_PACKAGES)
def test_a_sub_package_lists_its_public_names(name: str) -> None:
    """`from ... import *` would fail, or take names of other libraries for the package's."""
    module = importlib.import_module(f"anycompletion.{name}")
    listed: list[str] = module.__all__
    assert len(set(listed)) == len(listed)
    objects = [vars(module)[each] for each in listed]
    classes_and_functions = [each for each in objects if inspect.isclass(each) or inspect.isfunction(each)]
    assert {each.__module__.partition(".")[0] for each in classes_and_functions} == {"anycompletion"}


@pytest.mark.parametrize("module", [*EXTRAS, *EXPENSIVE])
def test_an_import_loads_no_more_than_every_program_needs(module: str) -> None:
    """The import would fail where an extra is not installed, or load a module that few programs need."""
    assert module not in loaded_by("import anycompletion")


def test_making_a_client_loads_no_further_library() -> None:
    """Making a client would block the event loop while a library is loaded."""
    before = loaded_by("import anycompletion")
    added = loaded_by("import anycompletion; anycompletion.AsyncCompletion()") - before
    assert {name.partition(".")[0] for name in added} <= {"anycompletion"} | sys.stdlib_module_names


def test_packers_find_every_module_that_a_client_needs(tmp_path: Path) -> None:
    """An app packed into one file would lack modules of the package."""
    script = tmp_path / "app.py"
    script.write_text("from anycompletion import AsyncCompletion")
    finder = modulefinder.ModuleFinder(path=[str(Path(inspect.getfile(anycompletion)).parents[1])])
    finder.run_script(str(script))
    assert {"anycompletion.client.client", "anycompletion.dialects.openai_chat"} <= finder.modules.keys()
