"""Length of the call path: how many functions of this package one call and one streamed chunk enter.

``python -m benchmarks.call_path [--before DIR] [--list]`` makes plain calls in OpenAI's format to the loopback server
and counts, with ``sys.setprofile``:

* entries: call events of functions whose source is in the package, `testing` left out. Each resumption of a coroutine
  and each comprehension is an entry. Methods that attrs generates have no source file and are not counted.
* files: the distinct source files of these functions.
* coroutines: coroutines and generators of the package on the stack when the request is first written to the transport.
* entries per chunk: entries between one chunk and the next, in the middle of a stream whose chunks come one by one.

The calls are warm: the same call was made before. Every figure is that of the median call or chunk, so that a timer or
a late chunk does not change it. The figures do not depend on the load of the machine. They depend on the version of
Python (3.12 and later inline comprehensions), so the bounds are for CPython 3.11 and are not judged elsewhere.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import peers
from benchmarks.options import checkout_library
from benchmarks.processes import BenchmarkError, Server, environment
from benchmarks.report import table

JUDGED = sys.implementation.name == "cpython" and sys.version_info[:2] == (3, 11)
"""Whether the bounds are for the running interpreter."""


class Function(NamedTuple):
    """Source position and qualified name of a function."""

    file: str
    """Relative to the package."""
    line: int
    name: str


class Measurement(NamedTuple):
    """The functions that the median call and the median chunk entered, in order."""

    call: Sequence[Function]
    stack: Sequence[Function]
    """Our coroutines at the first write of the request, outermost first."""
    chunk: Sequence[Function]

    @property
    def entries(self) -> int:
        """Entries of our functions during the call."""
        return len(self.call)

    @property
    def files(self) -> int:
        """Distinct files entered during the call."""
        return len({function.file for function in self.call})

    @property
    def coroutines(self) -> int:
        """Our coroutines on the stack at the first write."""
        return len(self.stack)

    @property
    def chunk_entries(self) -> int:
        """Entries of our functions from one chunk to the next."""
        return len(self.chunk)


class Bound(NamedTuple):
    """Upper bound of one figure."""

    figure: str
    """A property of `Measurement`."""
    title: str
    at_most: int

    def value(self, measurement: Measurement) -> int:
        """The figure of a measurement."""
        value: int = getattr(measurement, self.figure)
        return value

    def verdict(self, measurement: Measurement) -> str:
        """Whether the figure passes, where the bound is for the running interpreter."""
        if not JUDGED:
            return f"not judged: {platform.python_implementation()} {platform.python_version()}"
        return "pass" if self.value(measurement) <= self.at_most else "FAIL"


BOUNDS = (
    Bound("entries", "entries of our functions per call", 90),
    Bound("files", "files of ours entered per call", 26),
    Bound("coroutines", "our coroutines on the stack at the first write", 8),
    Bound("chunk_entries", "entries of our functions per chunk that comes alone", 16),
)


# --- the measurement -----------------------------------------------------------------------------------------------


def measure(library: Path = peers.LIBRARY) -> Measurement:
    """Measures the package in `library`, the ``lib`` folder of a checkout."""
    server = Server(None)
    try:
        # A process of its own has no other profiler and has not imported the package from another checkout.
        done = subprocess.run(
            [sys.executable, "-P", "-m", "benchmarks.call_recorder", server.root],
            env=environment(None, library),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    finally:
        server.stop()
    if done.returncode:
        raise BenchmarkError(f"measuring {library} failed:\n{done.stderr[-4000:]}")
    result: Mapping[str, Any] = json.loads(done.stdout)
    if Path(result["package"]) != library.resolve() / "anycompletion":
        raise BenchmarkError(f"measured {result['package']}, which is not in {library}")
    return Measurement(*([Function(*each) for each in result[name]] for name in Measurement._fields))


# --- the report ----------------------------------------------------------------------------------------------------


def overview(measurement: Measurement, before: Measurement | None = None) -> str:
    """The figures, their bounds and verdicts as a Markdown table."""
    columns = {"measured": measurement} if before is None else {"before": before, "measured": measurement}
    rows = [
        [
            bound.title,
            f"≤ {bound.at_most}",
            *(str(bound.value(column)) for column in columns.values()),
            bound.verdict(measurement),
        ]
        for bound in BOUNDS
    ]
    return table(["", "bound", *columns, "verdict"], rows)


def listing(title: str, measurement: Measurement) -> str:
    """The functions of a measurement in the order of their first entry, each with the number of its entries."""
    parts = {
        "entries of one call": measurement.call,
        "coroutines at the first write": measurement.stack,
        "entries of one chunk": measurement.chunk,
    }
    lines: list[str] = []
    for part, functions in parts.items():
        lines += ["", f"{title}: {len(functions)} {part}"]
        lines += [f"{count:4}  {each.file}:{each.line} {each.name}" for each, count in Counter(functions).items()]
    return "\n".join(lines)


# --- the command ---------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints; the exit code: 0, 1 if a bound fails, 2 if the measurement fails."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.call_path", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--before", type=checkout_library, metavar="DIR", help="another checkout to compare with")
    parser.add_argument("--list", action="store_true", help="list the functions entered, with the number of entries")
    options = parser.parse_args(arguments)
    try:
        measurement = measure()
        before = None if options.before is None else measure(options.before)
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 2
    print(overview(measurement, before))
    if options.list:
        print(listing("this checkout", measurement))
        if before is not None:
            print(listing("before", before))
    return 1 if any(bound.verdict(measurement) == "FAIL" for bound in BOUNDS) else 0


if __name__ == "__main__":
    sys.exit(main())
