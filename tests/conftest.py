"""Scores: tests that share a marker ``score("name")`` are counted at the end of a run, "name: 90 of 90"."""

from collections import Counter
from collections.abc import Iterable

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "score(name): counted at the end of the run, together with all of this name")


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    for item in items:
        for marker in item.iter_markers("score"):
            item.user_properties.append(("score", marker.args[0]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    passed, counted = Counter[object](), Counter[object]()
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.getreports(outcome):
            names = [name for key, name in getattr(report, "user_properties", ()) if key == "score"]
            counted.update(names)
            if outcome == "passed":
                passed.update(names)
    for name, count in counted.items():
        terminalreporter.write_line(f"{name}: {passed[name]} of {count}")
