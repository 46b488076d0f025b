"""What the programs of all runners share: the functions that are tools, their journal, and how scenarios are run.

It imports no client, because each program runs in the environment of its own.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
import os
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.tool_peers.scenarios import BY_NAME, SECRET, Scenario

URLS = "ANYCOMPLETION_TOOL_RUNS"
"""Environment variable with the base URLs of the server, by wire format, and the folder of files, as JSON."""

NAMES = "ANYCOMPLETION_TOOL_SCENARIOS"
"""Environment variable with the names of the scenarios to run, as JSON."""

CRASHED = 70
"""Exit code of a process that dies in a function."""

MODEL = "gpt-4o-mini"
TIMEOUT = 120.0
"""Seconds that a request may take, connecting included: a machine that is busy is none of the situations."""

IMAGE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg=="
)
"""A picture of one red pixel."""

ToolFunction = Callable[..., Awaitable[Any]]


@dataclass(frozen=True)
class RunSetup:
    """One run that a program makes."""

    scenario: Scenario
    prompt: str
    functions: Sequence[ToolFunction]
    journal: Journal
    checkpoint: Path
    """Where the program keeps what it needs to resume."""
    resumes: bool = False
    """Whether it resumes a run whose process has died."""


@dataclass
class Done:
    """The end of a run, as its caller sees it."""

    answer: str | None = None
    """The model's last text."""
    kept: int = 0
    """Finished results that the caller has."""
    options: str = ""
    """Options that the run needs for the scenario, and that are not the default."""
    error: str = ""
    cancelled: bool = False
    elapsed: float = 0.0
    log: str = ""
    """What was logged, warnings included."""
    right: int = 0
    """Runs with the right answer."""
    figures: str = ""


Run = Callable[[RunSetup, Done], Awaitable[None]]
"""Makes a run, and writes into `Done` what its caller has; also if it raises."""


class Journal:
    """Starts and ends of the functions, in a file that survives the process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.started: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        """Function → whether it has started in this process."""

    def note(self, event: str, function: str) -> None:
        """Adds a line."""
        self.started[function].set()
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([event, function, time.monotonic()]) + "\n")


def journal_of(folder: Path, scenario: Scenario) -> Path:
    """The journal of a scenario's functions."""
    return folder / f"{scenario.name.replace(' ', '-')}.journal"


def functions_of(journal: Journal, image: Callable[[bytes], Any]) -> dict[str, ToolFunction]:
    """The functions of all scenarios, by name; `image` makes an image of the client's own type."""

    async def weather(city: str) -> str:
        """The weather in a city."""
        journal.note("start", "weather")
        return f"sunny in {city}"

    async def wait(seconds: float) -> str:
        """Wait for some time."""
        journal.note("start", "wait")
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            journal.note("cancel", "wait")
            raise
        journal.note("end", "wait")
        return "waited"

    async def connect() -> str:
        """Connect to the database."""
        raise ConnectionError(f"no connection to postgresql://app:{SECRET}@db/app")

    async def delete(path: str) -> str:
        """Delete a folder."""
        journal.note("start", "delete")
        return f"deleted {path}"

    async def charge(amount: int) -> str:
        """Charge the user's card."""
        journal.note("start", "charge")
        return f"charged {amount}"

    async def crash() -> str:
        """Crash once."""
        await asyncio.sleep(0.3)  # until the other calls of the turn have ended
        journal.note("start", "crash")
        if os.environ.get("ANYCOMPLETION_TOOL_CRASH"):
            os._exit(CRASHED)
        return "survived"

    async def chart() -> str:
        """Draw a chart."""
        found: str = image(IMAGE)  # in fact of the client's own type; annotated for the clients that read annotations
        return found

    async def double(number: int) -> str:
        """Twice a number."""
        return str(2 * number)

    return {each.__name__: each for each in (weather, wait, connect, delete, charge, crash, chart, double)}


async def _one(run: Run, setup: RunSetup) -> Done:
    """Makes a run, and records how it ends."""
    done = Done()
    start = time.monotonic()
    task = asyncio.ensure_future(run(setup, done))
    try:
        if setup.scenario.cancelled_in is not None:
            await setup.journal.started[setup.scenario.cancelled_in].wait()
            await asyncio.sleep(0.3)
            task.cancel()
        await asyncio.wait_for(task, 120)
    except asyncio.CancelledError:
        done.cancelled = True
    except Exception as error:  # noqa: BLE001 (whatever a client raises is its behaviour)
        done.error = type(error).__name__
    done.elapsed = time.monotonic() - start
    return done


async def _at_once(run: Run, setups: Sequence[RunSetup]) -> Done:
    """Makes many runs at the same time, after one for warming up."""
    await _one(run, setups[0])
    before, start = _usage(), time.monotonic()
    ends = await asyncio.gather(*(_one(run, setup) for setup in setups))
    after = _usage()
    right = sum(f"{2 * number}, {2 * number}" in (end.answer or "") for number, end in enumerate(ends))
    errors = {end.error for end in ends if end.error}
    seconds, grown = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime), after.ru_maxrss
    figures = f"{seconds / len(setups) * 1e3:.1f} ms, {(grown - before.ru_maxrss) / 1024:.0f} MiB"
    return Done(right=right, error=", ".join(sorted(errors)), elapsed=time.monotonic() - start, figures=figures)


def _usage() -> resource.struct_rusage:
    return resource.getrusage(resource.RUSAGE_SELF)


async def _scenario(run: Run, scenario: Scenario, image: Callable[[bytes], Any], folder: Path) -> Done:
    journal = Journal(journal_of(folder, scenario))
    functions = functions_of(journal, image)
    named = {call.name for turn in scenario.turns for call in turn} & functions.keys()
    own = [functions[name] for name in sorted(named | {"weather"})]
    checkpoint = folder / f"{scenario.name.replace(' ', '-')}.checkpoint"
    resumes = scenario.crashes and not os.environ.get("ANYCOMPLETION_TOOL_CRASH")
    setups = [
        RunSetup(scenario, scenario.prompt(number), own, journal, checkpoint, resumes)
        for number in range(scenario.runs)
    ]
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    logging.getLogger().addHandler(handler)
    try:
        done = await (_at_once(run, setups) if scenario.runs > 1 else _one(run, setups[0]))
    finally:
        logging.getLogger().removeHandler(handler)
    done.log = log.getvalue()
    return done


@dataclass(frozen=True)
class Setting:
    """What a program gets from its environment."""

    urls: Mapping[str, str]
    """Wire format → base URL."""
    folder: Path
    names: Sequence[str] = field(default_factory=tuple[str, ...])


def setting() -> Setting:
    """The setting of this process."""
    given = json.loads(os.environ[URLS])
    return Setting(given["urls"], Path(given["folder"]), json.loads(os.environ[NAMES]))


def main(version: str, run: Run, image: Callable[[bytes], Any]) -> None:
    """Prints the version and how each scenario ends as JSON, in the last line.

    Args:
        version: of the client.
        run: makes one run.
        image: makes an image, as the client's tools return it.
    """
    given = setting()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    logging.captureWarnings(True)

    async def all_of_them() -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in given.names:
            found[name] = asdict(await _scenario(run, BY_NAME[name], image, given.folder))
        return found

    print(json.dumps({"version": version, "done": asyncio.run(all_of_them())}))
