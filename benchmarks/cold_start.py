"""Benchmark: cost of importing a client, and of a process that makes one call."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import peers
from benchmarks.contenders import BARE, OPENAI_AIOHTTP, OURS, PEERS, Contender
from benchmarks.driver import BEFORE, Session, main, substitute_for_orjson
from benchmarks.processes import BenchmarkError, environment, python_for
from benchmarks.question import Case, Column, Figures, Question
from benchmarks.stats import Bound, difference, ratio
from benchmarks.system import on_core

IMPORT, CLIENT, CALL = "import", "import and client", "first call"

PYTHON = dataclasses.replace(BARE, name="python", label="python alone", adapter="", distributions=())
AIOHTTP = dataclasses.replace(BARE, name="aiohttp", label="aiohttp alone", distributions=("aiohttp",))

_JSON = substitute_for_orjson() or "orjson"
_IMPORTS = {
    PYTHON.name: "pass",
    AIOHTTP.name: "import aiohttp",
    BARE.name: f"import aiohttp, {_JSON}",
    OURS.name: "from anycompletion import AsyncCompletion",
    "openai": "from openai import AsyncOpenAI",
    "anthropic": "from anthropic import AsyncAnthropic",
    "any-llm": "from any_llm import AnyLLM",
    "pydantic-ai": "import pydantic_ai.direct, pydantic_ai.models.openai",
    "langchain-openai": "from langchain_openai import ChatOpenAI",
    "litellm": "import litellm",
}
"""Import statement by contender or environment."""

_CLIENTS = {
    OURS.name: "AsyncCompletion()",
    "openai": "AsyncOpenAI(api_key='k')",
    "anthropic": "AsyncAnthropic(api_key='k')",
}
"""Expression that makes a client, for the clients that need no event loop for it."""

_ROOTS = {PYTHON.name: [], AIOHTTP.name: ["aiohttp"], BARE.name: ["aiohttp", _JSON]}
"""Requirements whose size is measured; for the other contenders, the pins of their environment."""

_CLOSURE = """
import importlib.metadata as metadata, json, sys
from pip._vendor.packaging.requirements import Requirement
todo, seen, size = [Requirement(text) for text in json.loads(sys.argv[1])], {}, 0
while todo:
    wanted = todo.pop()
    name = wanted.name.lower().replace("_", "-").replace(".", "-")
    extras = seen.setdefault(name, set())
    if extras and wanted.extras <= extras:
        continue
    known = metadata.distribution(wanted.name)
    if not extras:
        size += sum(path.stat().st_size for file in known.files or () if (path := file.locate()).is_file())
    extras |= {"", *wanted.extras}
    todo += [each for each in map(Requirement, known.requires or ())
             if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in extras)]
print(len(seen), size)
"""
"""Program that counts the distributions in the closure of some requirements, and their bytes."""


def _run(command: Sequence[str | Path], contender: Contender, library: Path) -> str:
    done = subprocess.run(command, env=environment(contender, library), capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkError(f"{contender.name}: {done.stderr[-4000:]}")
    return done.stdout


def _statement(contender: Contender) -> str:
    return _IMPORTS.get(contender.name.removesuffix(BEFORE)) or _IMPORTS[contender.environment]


@functools.cache
def _size(contender: str) -> tuple[int, int]:
    """Number and bytes of the distributions installed for a contender, its own included."""
    owner = next(each for each in QUESTION.contenders if each.name == contender)
    roots = _ROOTS.get(contender)
    if roots is None:
        pins = (peers.DEPENDENCIES,) if contender == OURS.name else peers.ENVIRONMENTS[owner.environment].pins
        roots = peers.requirements(pins)
    if not roots:
        return 0, 0
    count, size = map(int, _run([python_for(owner), "-c", _CLOSURE, json.dumps(roots)], owner, peers.LIBRARY).split())
    if contender == OURS.name:
        ours = [path.stat().st_size for path in (peers.LIBRARY / "anycompletion").rglob("*.py*")]
        count, size = count + 1, size + sum(ours)
    return count, size


_MODULES: dict[str, int] = {}


def _modules(contender: Contender, library: Path) -> int:
    """Number of modules loaded after the import."""
    if contender.name not in _MODULES:
        code = f"import sys; {_statement(contender)}; print(len(sys.modules))"
        _MODULES[contender.name] = int(_run([python_for(contender), "-P", "-c", code], contender, library))
    return _MODULES[contender.name]


def measure(session: Session, case: Case, contender: Contender) -> Figures:
    """Runs one process to its end on the client's core."""
    library = session.options.library if contender.library is None else Path(contender.library)
    python = str(python_for(contender))
    if case.name == IMPORT:
        command = [python, "-P", "-c", _statement(contender)]
    elif case.name == CLIENT:
        command = [python, "-P", "-c", f"{_statement(contender)}; {_CLIENTS[contender.name.removesuffix(BEFORE)]}"]
    else:
        script = Path(__file__).parent / "clients" / f"{contender.adapter}.py"
        command = [python, "-P", str(script), session.server.root]
    with on_core(session.client_core):
        start = time.perf_counter()
        # The process inherits stderr, so that its errors are shown.
        process = subprocess.Popen(command, env=environment(contender, library), stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise BenchmarkError(f"{contender.name} failed: {' '.join(command)}")
    figures = {
        "cpu_ms": (usage.ru_utime + usage.ru_stime) * 1e3,
        "wall_ms": wall * 1e3,
        "rss_mib": usage.ru_maxrss / 1024 / (1024 if sys.platform == "darwin" else 1),
    }
    if case.name == IMPORT:
        figures["modules"] = _modules(contender, library)
        if contender.library is None:
            figures["distributions"], size = _size(contender.name)
            figures["mb"] = size / 1e6
    return figures


QUESTION = Question(
    "cold_start",
    "Import, and a process that makes one call",
    "process",
    (
        Case(IMPORT),
        Case(
            CLIENT,
            only=frozenset(_CLIENTS),
            note="Clients load modules at different times: here, all that a client loads before its first call.",
        ),
        Case(
            CALL,
            only=frozenset({BARE.name, OURS.name, *(each.name for each in PEERS)}),
            note="Starts, imports, makes one call, closes the client, exits.",
        ),
    ),
    (PYTHON, AIOHTTP, BARE, OURS, *(each for each in PEERS if each is not OPENAI_AIOHTTP)),
    (
        Bound(
            "import, over `import aiohttp`",
            difference(IMPORT, OURS.name, AIOHTTP.name, "cpu_ms"),
            at_most=40,
            unit="ms",
            fixed=True,
        ),
        Bound("first call, against bare", ratio(CALL, OURS.name, BARE.name, "cpu_ms"), at_most=1.3),
    ),
    main=Column("cpu_ms", "CPU ms"),
    beside=(
        Column("wall_ms", "wall ms"),
        Column("rss_mib", "peak MiB"),
        Column("modules", "modules", 0),
        Column("distributions", "distributions", 0),
        Column("mb", "MB on disk"),
    ),
    always=frozenset({PYTHON.name, AIOHTTP.name, BARE.name, OURS.name}),
    slices=2,
    measure=measure,
)

if __name__ == "__main__":
    sys.exit(main(QUESTION))
