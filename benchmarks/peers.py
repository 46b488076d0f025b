"""Virtual environments of the clients that the benchmarks compare: ``python -m benchmarks.peers install``.

Every peer has an environment of its own under ``benchmarks/.peers/``, so that their dependencies do not conflict.
`bare` is hand-written aiohttp + orjson; this package runs in the same environment, from the working tree, so
that both have the same interpreter and the same aiohttp.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tomllib
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ROOT / "lib"
HOME = ROOT / "benchmarks" / ".peers"

DEPENDENCIES = "the project's dependencies"
"""Placeholder for the runtime dependencies in pyproject.toml."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment and the pinned requirements installed into it."""

    pins: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    """Environment variables of the processes that run in it."""


ENVIRONMENTS: Mapping[str, Environment] = {
    "bare": Environment((DEPENDENCIES, "aiohttp==3.14.5", "orjson==3.13.0", "uvloop==0.23.0; sys_platform != 'win32'")),
    "openai": Environment(("openai[aiohttp]==3.54.0",)),
    "anthropic": Environment(("anthropic==2.12.0",)),
    # Its import would fetch a price list from the network; the variable selects the copy inside the package.
    # It imports mcp for requests with tools, although it does not depend on it.
    "litellm": Environment(("litellm==1.106.0", "mcp==2.3.0"), {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}),
    "any-llm": Environment(("any-llm-sdk[openai]==1.40.2",)),
    # attrs, because one of the compared types is a class of it.
    "pydantic-ai": Environment(("pydantic-ai-slim[openai]==2.68.0", "attrs==26.1.0")),
    "instructor": Environment(("instructor==1.17.0", "openai<3.4")),
    # This package with pydantic, for the types that it shares with other clients.
    "pydantic": Environment((DEPENDENCIES, "pydantic==2.14.4")),
    "langchain-openai": Environment(("langchain-openai==1.7.3",)),
}


def python_of(name: str) -> Path | None:
    """The interpreter of an installed environment."""
    folder = HOME / name
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    return python if (folder / ".complete").is_file() and python.exists() else None


def installed() -> list[str]:
    """Names of the installed environments."""
    return [name for name in ENVIRONMENTS if python_of(name) is not None]


async def output_of(python: Path | str, module: str, variables: Mapping[str, str]) -> tuple[int, str, str]:
    """Status, output and errors of a module, in a process of another environment."""
    ours = {"PYTHONPATH": str(LIBRARY), "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    process = await asyncio.create_subprocess_exec(
        *(str(python), "-m", module),
        cwd=ROOT,
        env={**os.environ, **ours, **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode is not None, "the process has ended"
    return process.returncode, output.decode(), errors.decode()


async def result_of(python: Path | str, module: str, variables: Mapping[str, str]) -> Any:
    """The JSON that a module prints last, in a process of another environment.

    Raises:
        SystemExit: the process failed.
    """
    status, output, errors = await output_of(python, module, variables)
    if status:
        raise SystemExit(f"{module} failed:\n{errors}")
    return json.loads(output.splitlines()[-1])


def requirements(pins: Sequence[str]) -> list[str]:
    """Requirements of an environment, with the placeholder resolved."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return [each for pin in pins for each in (project["dependencies"] if pin == DEPENDENCIES else [pin])]


def install(names: Sequence[str]) -> None:
    """Recreates the environments; a marker file shows that one is complete."""
    for name in names:
        folder = HOME / name
        print(f"{name}: {', '.join(ENVIRONMENTS[name].pins)}", flush=True)
        venv.create(folder, clear=True, with_pip=True, symlinks=sys.platform != "win32")
        python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", *requirements(ENVIRONMENTS[name].pins)],
            check=True,
        )
        (folder / ".complete").touch()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: ``install [--only a,b]`` or ``list``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("command", choices=("install", "list"))
    parser.add_argument("--only", metavar="NAMES", help=f"comma-separated, of: {', '.join(ENVIRONMENTS)}")
    options = parser.parse_args(arguments)
    names = options.only.split(",") if options.only else list(ENVIRONMENTS)
    if unknown := set(names) - ENVIRONMENTS.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    if options.command == "install":
        install(names)
    for name in names:
        print(f"{name:18} {python_of(name) or 'not installed'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
