"""Pytest hooks: scores printed at the end of a run.

Tests that share a marker ``score("name")`` are counted, "name: 90 of 90". For tests that cover rows of the fault matrix
the summary lists which rows passed on which event loop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable

import pytest

from faults.harness import COVERS, Matrix, loop_of, rows_of

_MATRIX = pytest.StashKey[Matrix]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "score(name): counted with all tests of this name at the end of the run")
    config.addinivalue_line("markers", f"{COVERS}(*rows): the rows of the fault matrix that a test covers")
    config.stash[_MATRIX] = Matrix()


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    for item in items:
        for marker in item.iter_markers("score"):
            item.user_properties.append(("score", marker.args[0]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    rows = rows_of(item)
    if rows and (report.failed or (report.passed and report.when == "call")):
        item.config.stash[_MATRIX].count(rows, loop_of(item), passed=report.passed)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    passed, counted = Counter[object](), Counter[object]()
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.getreports(outcome):
            names = [name for key, name in getattr(report, "user_properties", ()) if key == "score"]
            counted.update(names)
            if outcome == "passed":
                passed.update(names)
    for name, count in counted.items():
        terminalreporter.write_line(f"{name}: {passed[name]} of {count}")
    matrix = config.stash[_MATRIX]
    if matrix:
        for line in matrix.lines():
            terminalreporter.write_line(line)
