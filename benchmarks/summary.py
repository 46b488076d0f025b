"""Summary of all results in one table and one picture: ``python -m benchmarks.summary [--out FOLDER]``.

It reads the results as JSON, which each benchmark leaves beside its page. They stay out of version control.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import cold_start, first_chunk, open_streams, single, streams
from benchmarks.contenders import ALL_CONTENDERS
from benchmarks.options import RESULTS
from benchmarks.question import Question
from benchmarks.report import Bar, bars_svg, limit, machine, measured, number, table

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """Column of the table: one figure of a case, as it is or as a ratio to the baseline's."""

    title: str
    question: Question
    case: str
    ratio: bool = True
    figure: str = "main"
    digits: int = 0


_BURST, _PACED = streams.BURSTS[2].name, streams.PACED[0].name

COLUMNS = (
    Column("call", single.QUESTION, single.ONE),
    Column("call, 64 at a time", single.QUESTION, single.MANY),
    Column("chunk, burst", streams.QUESTION, _BURST),
    Column("chunk, paced", streams.QUESTION, _PACED),
    Column("first chunk, ms", first_chunk.QUESTION, first_chunk.FIRST, ratio=False, digits=2),
    Column("open stream, KiB", open_streams.QUESTION, open_streams.STAGGERED, ratio=False),
    Column("import, CPU ms", cold_start.QUESTION, cold_start.IMPORT, ratio=False),
    Column("distributions", cold_start.QUESTION, cold_start.IMPORT, ratio=False, figure="distributions"),
)
"""Columns of the table; ratios are of CPU time."""

PICTURED = COLUMNS[:4]


class Results:
    """Results of all questions in a folder."""

    def __init__(self, folder: Path) -> None:
        self.pages: dict[str, Json] = {
            path.stem: json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))
        }

    def figures(self, column: Column) -> Mapping[str, Json]:
        """Figures of a case by contender; empty where the question has no results."""
        page = self.pages.get(column.question.name)
        cases: Sequence[Json] = () if page is None else page["cases"]
        empty: Mapping[str, Json] = {}
        return next((case["figures"] for case in cases if case["name"] == column.case), empty)

    def value(self, column: Column, name: str) -> float | None:
        """Figure of one contender in a column; None where there is none."""
        figures = self.figures(column).get(name)
        if figures is None:
            return None
        if column.ratio:
            return 1.0 if name == column.question.base else float(figures["ratio"]["median"])
        value = figures["main"]["median"] if column.figure == "main" else figures.get(column.figure)
        return None if value is None else float(value)

    def labels(self) -> dict[str, str]:
        """Labels of the contenders that took part, by name."""
        known: dict[str, str] = {}
        for page in self.pages.values():
            known.update(page["contenders"])
        return {each.name: known[each.name] for each in ALL_CONTENDERS if each.name in known}


def overview(results: Results) -> str:
    """Table of contenders by columns."""
    rows: list[list[str]] = []
    for name, label in results.labels().items():
        values = [(column, results.value(column, name)) for column in COLUMNS]
        rows.append([label, *("" if value is None else _cell(column, value) for column, value in values)])
    base = [_base(column, results) for column in COLUMNS]
    return table(["", *(f"{column.title}{text}" for column, text in zip(COLUMNS, base, strict=True))], rows)


def _base(column: Column, results: Results) -> str:
    """Note on the absolute figure that 1.0 stands for."""
    figures = results.figures(column).get(column.question.base)
    return f" (1.0 = {number(figures['main']['median'])} µs)" if column.ratio and figures else ""


def _cell(column: Column, value: float) -> str:
    if column.ratio:
        return number(value, 2 if value < 10 else 0)
    return number(value, column.digits)


def source(results: Results) -> str:
    """Commits, dates and machines of the results, with the questions where they differ."""
    names: dict[str, list[str]] = {}
    for name, page in results.pages.items():
        where = f"commit {page['commit'] or 'unknown'}, {page['started'][:10]}; {machine(page)}"
        names.setdefault(where, []).append(name.replace("_", " "))
    if len(names) == 1:
        return f"Measured at {next(iter(names))}."
    return "\n".join(f"- {', '.join(questions)}: measured at {where}." for where, questions in names.items())


def bounds(results: Results) -> str:
    """Table of all bounds that were measured."""
    rows = [
        [f"{name.replace('_', ' ')}: {bound['label']}", limit(bound), measured(bound), bound["verdict"]]
        for name, page in results.pages.items()
        for bound in page["bounds"]
        if bound["measured"]
    ]
    return table(["", "bound", "measured", "verdict"], rows)


def picture(results: Results) -> str:
    """Bar chart of the ratios."""
    groups: list[tuple[str, list[Bar]]] = []
    labels = results.labels()
    for column in PICTURED:
        values = [(name, results.value(column, name)) for name in labels]
        bars = [(name, labels[name], value, f"{_cell(column, value)} ×") for name, value in values if value is not None]
        groups.append((f"{column.title}{_base(column, results)}", bars))
    return bars_svg("Client CPU, against careful hand-written aiohttp + orjson", groups)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the tables and writes them and the picture."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.summary", description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULTS, help="the folder with the results")
    folder: Path = parser.parse_args(arguments).out
    results = Results(folder)
    if not results.pages:
        print(f"no results in {folder}", file=sys.stderr)
        return 2
    text = f"{overview(results)}\n\n{source(results)}\n\n{bounds(results)}\n"
    (folder / "summary.md").write_text(text, "utf-8")
    (folder / "summary.svg").write_text(picture(results), "utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
