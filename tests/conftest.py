"""Pytest hooks: scores printed at the end of a run, and the option ``--eager-tasks``.

Tests that share a marker ``score("name")`` are counted, "name: 90 of 90". For tests that cover rows of the fault matrix
the summary lists which rows passed on which event loop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable

import pytest

from faults.harness import COVERS, Matrix, loop_of, rows_of
from support.eager_tasks import start_tasks_eagerly


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--eager-tasks", action="store_true", help="run on event loops with eager tasks (Python 3.12+)")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--eager-tasks"):
        try:
            start_tasks_eagerly()
        except RuntimeError as error:
            raise pytest.UsageError(str(error)) from None
    config.addinivalue_line("markers", "score(name): counted with all tests of this name at the end of the run")
    config.addinivalue_line("markers", f"{COVERS}(*rows): the rows of the fault matrix that a test covers")


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
        # With the report, which processes that run tests send to the one that prints the summary.
        report.user_properties.append(("faults", (loop_of(item), *rows)))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    passed, counted = Counter[object](), Counter[object]()
    matrix = Matrix()
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.getreports(outcome):
            names = [name for key, name in getattr(report, "user_properties", ()) if key == "score"]
            counted.update(names)
            if outcome == "passed":
                passed.update(names)
            for key, value in getattr(report, "user_properties", ()):
                if key == "faults":
                    loop, *rows = value
                    matrix.count(rows, loop, passed=outcome == "passed")
    for name, count in counted.items():
        terminalreporter.write_line(f"{name}: {passed[name]} of {count}")
    if matrix:
        for line in matrix.lines():
            terminalreporter.write_line(line)
